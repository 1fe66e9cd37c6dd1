"""The table of hostile input (tests/hostile/rows.py) over OCPP-S, on the real wire."""

import base64
import gzip
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from lxml import etree

from csms.models import MeterValue, QuarantinedMessage, Transaction, UnknownChargePoint
from ocpp_soap.namespaces import CS
from tests.hostile.knocking import Honest, SoapAttacker, lists, wrapped
from tests.hostile.rows import row
from tests.hostile.test_json import EVIL, FORMULA, TIMES, T
from tests.running import System, noted

if TYPE_CHECKING:
    from django.test import Client

MIB = 1024 * 1024


@pytest.fixture
def evil(system: System, honest: Honest) -> SoapAttacker:
    return SoapAttacker(system)


def fields(**values: object) -> str:
    return "".join(f"<{name}>{value}</{name}>" for name, value in values.items())


def start(**changes: object) -> str:
    values = {"connectorId": 1, "idTag": "TAG", "timestamp": T, "meterStart": 0}
    return fields(**(values | changes))


def value(response_text: str, name: str) -> str:
    return etree.fromstring(response_text.encode()).findtext(f".//{{*}}{name}") or ""


@row("SOAP: Oversize")
def test_oversize(evil: SoapAttacker) -> None:
    """413 before anything is parsed."""
    body = evil.text("DataTransfer", fields(vendorId="V", data="x" * MIB))
    assert evil.refused(evil.post(body), status=413) == "ProtocolError"


@row("SOAP: Oversize")
def test_a_stop_of_400_kb_is_no_attack(evil: SoapAttacker) -> None:
    """Eight hours at one sample a minute: refusing it would lose the sale."""
    number = int(value(evil.say("StartTransaction", start()).text, "transactionId"))
    sample = f"<transactionData><timestamp>{T}</timestamp>" + (
        "<sampledValue><value>1</value><measurand>Power.Active.Import</measurand></sampledValue>"
        * 9
    )
    stop = fields(transactionId=number, timestamp=T, meterStop=1)
    body = evil.text("StopTransaction", stop + (sample + "</transactionData>") * 480)
    assert len(body) > 400_000
    assert evil.post(body).status_code == 200
    assert Transaction.objects.get(transaction_id=number).state == "stopped"


@row("SOAP: Compression bomb")
@pytest.mark.parametrize("size", [900_000, 100_000_000])
def test_compression_bomb(evil: SoapAttacker, size: int) -> None:
    """Beyond the size, and below it beyond the ratio."""
    bomb = gzip.compress(b" " * size)
    response = evil.post(bomb, Content_Encoding="gzip")
    assert evil.refused(response, status=413) == "ProtocolError"


@row("SOAP: Deep nesting")
@pytest.mark.parametrize("depth", [40, 50_000])
def test_deep_nesting(evil: SoapAttacker, depth: int) -> None:
    inner = "<a>" * depth + "</a>" * depth
    response = evil.say("DataTransfer", f"<vendorId>V</vendorId><data>{inner}</data>")
    assert evil.refused(response) == "ProtocolError"


@row("SOAP: Huge integers")
@pytest.mark.parametrize("number", ["9" * 5000, "9223372036854775807", "2147483648"])
def test_huge_integers(evil: SoapAttacker, number: str) -> None:
    """Refused, but set aside in transaction messages, which are answered."""
    status = fields(connectorId=number, status="Available", errorCode="NoError")
    assert evil.refused(evil.say("StatusNotification", status)) == "ProtocolError"
    stop = fields(transactionId=number, timestamp=T, meterStop=1)
    assert evil.say("StopTransaction", stop).status_code == 200
    sample = f"<meterValue><timestamp>{T}</timestamp><sampledValue><value>1</value></sampledValue>"
    meter = fields(connectorId=1, transactionId=number) + sample + "</meterValue>"
    assert evil.say("MeterValues", meter).status_code == 200
    assert QuarantinedMessage.objects.get().action == "StopTransaction"
    assert MeterValue.objects.get().transaction is None
    assert len(evil.lines()) == 3


@row("SOAP: NaN, Infinity, 1e999")
@pytest.mark.parametrize("number", ["NaN", "INF", "-INF", "1e999", "Infinity"])
def test_numbers_that_are_none(evil: SoapAttacker, number: str) -> None:
    status = fields(connectorId=number, status="Available", errorCode="NoError")
    assert evil.refused(evil.say("StatusNotification", status)) == "ProtocolError"


@row("SOAP: Invalid UTF-8, BOM, lone surrogate")
@pytest.mark.parametrize("text", [b"\xff", b"\xed\xa0\x80", b"&#xD800;", b"&#xFFFF;"])
def test_invalid_utf_8(evil: SoapAttacker, text: bytes) -> None:
    """400. A byte order mark is none of it: it is read."""
    body = evil.text("Authorize", "<idTag>TAG</idTag>").encode()
    assert evil.refused(evil.post(body.replace(b"TAG", text))) == "ProtocolError"
    assert evil.post(b"\xef\xbb\xbf" + body).status_code == 200


@row("SOAP: NUL and control characters")
@pytest.mark.parametrize("text", ["\0", "&#0;", "\x1b[31m", "&#27;"])
def test_nul_and_control_characters(evil: SoapAttacker, text: str) -> None:
    response = evil.say("Authorize", f"<idTag>{text}</idTag>")
    assert evil.refused(response) == "ProtocolError"
    assert "\0" not in evil.line().request


@row("SOAP: Timestamps")
def test_timestamps(evil: SoapAttacker, admin_client: "Client") -> None:
    """Each transaction is kept and answered, and no page of the admin breaks on it."""
    for number, stamp in enumerate(TIMES):
        started = evil.say("StartTransaction", start(timestamp=stamp, meterStart=number))
        transaction_id = int(value(started.text, "transactionId"))
        stop = fields(transactionId=transaction_id, timestamp=stamp, meterStop=number + 1)
        assert evil.say("StopTransaction", stop).status_code == 200
    assert len(evil.lines()) == 2 * len(TIMES)
    assert Transaction.objects.filter(charge_point=evil.row).count() == len(TIMES)
    for page in ("transaction", "message", "chargepoint"):
        assert admin_client.get(f"/admin/csms/{page}/").status_code == 200


BILLION = (
    '<!DOCTYPE a [<!ENTITY x "'
    + "x" * 1000
    + '">'
    + "".join(f'<!ENTITY x{i} "{"&x;" * 100}">' for i in range(10))
    + "]>"
)


@row("SOAP: XXE, billion laughs, quadratic blow-up")
@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd">',
        BILLION,
        f'<!DOCTYPE a [<!ENTITY x "{"x" * 50_000}">]>',
        "<!-- a --><!DOCTYPE a>",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_doctype(evil: SoapAttacker, doctype: str, encoding: str) -> None:
    """SOAP 1.2 part 1, 5: "A SOAP message MUST NOT contain a Document Type Declaration"."""
    body = doctype + evil.text("Authorize", "<idTag>&x;</idTag>")
    response = evil.post(body.encode(encoding), Content_Type="application/soap+xml")
    assert evil.refused(response) == "ProtocolError"
    assert "root:" not in response.text


@row("SOAP: Many attributes")
def test_many_attributes(evil: SoapAttacker) -> None:
    """80,000 attributes cost spyne 15 s of CPU time."""
    attributes = " ".join(f'a{number}="1"' for number in range(80_000))
    body = evil.text("Heartbeat").replace("<heartbeatRequest", f"<heartbeatRequest {attributes}")
    assert len(body) < MIB
    assert evil.refused(evil.post(body)) == "ProtocolError"


@row("SOAP: Schema-invalid")
@pytest.mark.parametrize(
    ("action", "inner"),
    [
        ("Authorize", ""),
        ("Authorize", "<idTag>A</idTag><idTag>B</idTag>"),
        ("StatusNotification", "<connectorId>x</connectorId>"),
        ("DataTransfer", "<vendorId/><vendorId>V</vendorId>"),
    ],
)
def test_schema_invalid(evil: SoapAttacker, action: str, inner: str) -> None:
    assert evil.refused(evil.say(action, inner)) == "ProtocolError"


@row("SOAP: Empty body, bad Content-Length, bad charset")
@pytest.mark.parametrize("body", [b"", b" \r\n", b"{}", b"<", b"\x1f\x8b\x08"])
def test_empty_body(evil: SoapAttacker, body: bytes) -> None:
    assert evil.refused(evil.post(body)) == "ProtocolError"


@row("SOAP: Empty body, bad Content-Length, bad charset")
@pytest.mark.parametrize("charset", ["nonsense", "utf-7", "x" * 300, '"', "\\"])
def test_bad_charset(evil: SoapAttacker, charset: str) -> None:
    named = f"application/soap+xml; charset={charset}"
    response = evil.post(evil.text("Heartbeat"), Content_Type=named)
    if response.status_code != 200:  # an empty or broken parameter is no charset
        assert evil.refused(response, status=415) == "ProtocolError"


@row("SOAP: Empty body, bad Content-Length, bad charset")
@pytest.mark.parametrize("length", ["-1", "1e3", "abc", "99999999999999999999", "1, 1"])
def test_bad_content_length(evil: SoapAttacker, length: str) -> None:
    """400 from whoever reads it first, never silence."""
    place = urlsplit(evil.system.http_url)
    with socket.create_connection((place.hostname, place.port), timeout=5) as raw:
        raw.sendall(
            f"POST /ocpp/soap HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()
        )
        answer = raw.recv(4096)
    assert answer.split()[1] in (b"400", b"413")


@row("SOAP: Wrapping, two body children, Action")
def test_wrapping(evil: SoapAttacker) -> None:
    """What is signed or seen elsewhere is not what is executed: one child, and Action fits it."""
    heartbeat = f'<h:heartbeatRequest xmlns:h="{CS}"/>'
    authorize = f'<h:authorizeRequest xmlns:h="{CS}"><h:idTag>A</h:idTag></h:authorizeRequest>'
    for body in (
        wrapped(evil.row.identity, "/Heartbeat", heartbeat + authorize),
        wrapped(evil.row.identity, "/Heartbeat", authorize),
        wrapped(evil.row.identity, "/Heartbeat", ""),
        wrapped(evil.row.identity, "/Authorize", heartbeat),
        evil.text("Heartbeat").replace("</env:Body>", "</env:Body><env:Body/>"),
        evil.text("Heartbeat").replace(
            "</env:Header>", "<wsa:MessageID>other</wsa:MessageID></env:Header>"
        ),
    ):
        response = evil.post(body)
        assert response.status_code == 400
        assert "ProtocolError" in response.text
    assert len(evil.lines()) == 6
    hidden = wrapped(evil.row.identity, "/Heartbeat", heartbeat, f"<x>{authorize}</x>")
    assert "heartbeatResponse" in evil.post(hidden).text


@row("SOAP: Server-side request forgery")
@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]:8000/admin/",
        "http://[::ffff:169.254.169.254]/",
        "http://10.0.0.1:22/",
        "gopher://127.0.0.1/",
        "file:///etc/passwd",
        "http://user:password@127.0.0.1:8080/",
        "http://127.0.0.1:99999/",
        "http://[/",
    ],
)
def test_forged_callback(evil: SoapAttacker, address: str) -> None:
    """The request is answered, but nobody is ever called there."""
    before = evil.row.callback_url
    body = evil.text("Heartbeat").replace("http://192.0.2.7:8080/cp", address)
    assert evil.post(body).status_code == 200
    evil.row.refresh_from_db()
    assert evil.row.callback_url == before
    assert len(evil.lines()) == 1


@row("SOAP: Server-side request forgery")
def test_a_known_callback_moves_by_proof_only(evil: SoapAttacker) -> None:
    """Nobody is moved by a From that anybody can write."""
    evil.row.callback_url = "http://127.0.0.1:8123/cp"
    evil.row.save()
    moved = evil.text("Heartbeat").replace("http://192.0.2.7:8080/cp", "http://127.0.0.1:9999/")
    assert evil.post(moved).status_code == 200
    evil.row.refresh_from_db()
    assert evil.row.callback_url == "http://127.0.0.1:8123/cp"
    assert evil.row.callback_proposed == "http://127.0.0.1:9999/"
    anonymous = "<wsa:ReplyTo><wsa:Address>http://127.0.0.1:9999/</wsa:Address></wsa:ReplyTo>"
    text = evil.text("Heartbeat")
    begin, end = text.index("<wsa:ReplyTo"), text.index("</env:Header>")
    answer = evil.post(text[:begin] + anonymous + text[end:])
    assert (answer.status_code, "ProtocolError" in answer.text) == (400, True)


@row("SOAP: Identity abuse")
@pytest.mark.parametrize("identity", ["..", "a/b", "a%2Fb", "x" * 10_000, "", "a?b", "a&#10;b"])
def test_identity_abuse(evil: SoapAttacker, identity: str) -> None:
    """400; nothing is listed or stored under it."""
    body = evil.text("Heartbeat").replace(f">{evil.row.identity}<", f">{identity}<")
    response = evil.post(body)
    assert response.status_code in (400, 401)
    assert not UnknownChargePoint.objects.exclude(identity="a%2Fb").exists()
    assert len(evil.lines()) == 1


@row("SOAP: Identity abuse")
def test_identity_of_another(evil: SoapAttacker) -> None:
    """The header's identity must be that of the path and of the password."""
    body = evil.text("Heartbeat")
    assert "IdentityMismatch" in evil.post(body, path="/HONEST-S").text
    named = base64.b64encode(b"HONEST-S:x").decode()
    assert "IdentityMismatch" in evil.post(body, Authorization=f"Basic {named}").text
    assert evil.post(body, path="/..%2Fadmin").status_code == 404
    assert len(evil.lines()) == 3


@row("SOAP: Stored XSS, CSV and log injection")
def test_what_is_stored_is_only_text(
    evil: SoapAttacker, admin_client: "Client", caplog: pytest.LogCaptureFixture
) -> None:
    """Kept as sent, escaped on every page; no line of the log is forged."""
    text = EVIL.replace("<", "&lt;")
    assert evil.say("StartTransaction", start(idTag=text)).status_code == 200
    boot = fields(chargePointVendor=text, chargePointModel=FORMULA, iccid="a\nforged: line")
    assert evil.say("BootNotification", boot).status_code == 200
    assert evil.say("DataTransfer", fields(vendorId=text, data=text)).status_code == 200
    stranger = evil.text("Heartbeat").replace(f">{evil.row.identity}<", f">{text}\n\x85<")
    assert evil.post(stranger).status_code in (400, 401)
    lines = evil.lines()
    assert len(lines) == 4
    urls = ["/admin/", *lists(), f"/admin/csms/chargepoint/{evil.row.pk}/change/"]
    urls += [f"/admin/csms/message/{line.pk}/change/" for line in lines]
    for url in urls:
        answer = admin_client.get(url)
        assert answer.status_code == 200, url
        assert "<script>alert" not in answer.content.decode(), url
    assert not [record for record in caplog.records if "\n" in record.getMessage()]


@row("SOAP: Message-id reuse")
def test_message_id_reuse(evil: SoapAttacker) -> None:
    """N17, N22: a repeated transaction message is one row; a missing MessageID is noted."""
    first = evil.say("StartTransaction", start())
    again = evil.say("StartTransaction", start())
    assert value(first.text, "transactionId") == value(again.text, "transactionId")
    assert Transaction.objects.filter(charge_point=evil.row).count() == 1
    assert evil.say("Heartbeat").status_code == 200
    assert evil.say("Heartbeat").status_code == 200
    without = evil.text("Heartbeat").replace("<wsa:MessageID>urn:uuid:1</wsa:MessageID>", "")
    assert "RelatesTo" not in evil.post(without).text
    *_, last = evil.lines()
    assert "missing_header" in noted(last)
