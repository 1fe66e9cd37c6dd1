"""The table of hostile input (tests/hostile/rows.py) over OCPP-J, on the real wire."""

import json
import socket
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import InvalidMessage, InvalidStatus

from csms.models import MeterValue, QuarantinedMessage, Transaction
from tests import factories
from tests.hostile.knocking import Attacker, Honest, lists
from tests.hostile.rows import row
from tests.running import System, noted

if TYPE_CHECKING:
    from django.test import Client

MIB = 1024 * 1024
T = "2026-01-02T03:04:05Z"


@pytest.fixture
def evil(system: System, honest: Honest) -> Attacker:
    return Attacker(system)


def call(action: str, payload: str, message_id: str = "m") -> str:
    return f'[2,"{message_id}","{action}",{payload}]'


def start(**changes: Any) -> str:
    payload = {"connectorId": 1, "idTag": "TAG", "timestamp": T, "meterStart": 0}
    return call("StartTransaction", json.dumps(payload | changes))


@row("JSON: Oversize")
def test_oversize(evil: Attacker) -> None:
    """1009 beyond 512 KiB, with one line in the log."""
    assert evil.closed("x" * (MIB // 2 + 1)) == 1009
    assert evil.line().error.startswith("Closed with 1009")


@row("JSON: Oversize")
def test_a_long_handshake(evil: Attacker) -> None:
    """431 beyond 16 KiB: before authentication there is nothing else to send."""
    where = urlsplit(evil.system.json_url)
    with socket.create_connection((where.hostname, where.port), timeout=5) as raw:
        raw.sendall(f"GET /{evil.row.identity} HTTP/1.1\r\nHost: x\r\n".encode())
        raw.sendall(b"X-Long: xxxxxxxxxxxxxxxxxxxx\r\n" * 1000)
        assert raw.recv(4096).startswith(b"HTTP/1.1 431 ")
    evil.charger.lives()


@row("JSON: Oversize")
def test_a_stop_of_400_kb_is_no_attack(evil: Attacker) -> None:
    """Eight hours at one sample a minute: refusing it would lose the sale."""
    sample = f'{{"timestamp":"{T}","sampledValue":[{{"value":"1234567"}}]}}'
    number = evil.ask(start())[2]["transactionId"]
    data = ",".join([sample] * 5500)
    payload = (
        f'{{"transactionId":{number},"timestamp":"{T}","meterStop":1,"transactionData":[{data}]}}'
    )
    frame = call("StopTransaction", payload, "stop")
    assert len(frame) > 400_000
    assert evil.ask(frame)[:2] == [3, "stop"]
    assert Transaction.objects.get(transaction_id=number).state == "stopped"


@row("JSON: Fragment flood")
@pytest.mark.parametrize("fragment", ["x" * 1000, ""])
def test_fragment_flood(evil: Attacker, fragment: str) -> None:
    """1009; websockets counts empty fragments since 17.4."""
    assert tuple(map(int, version("websockets").split(".")[:2])) >= (17, 4)
    assert evil.closed([fragment] * 20_000) == 1009
    assert evil.line().error.startswith("Closed with 1009")


@row("JSON: Fragment flood")
def test_a_flood_of_empty_fragments_from_who_does_not_listen(evil: Attacker) -> None:
    """It goes on sending after it was told 1009: that is in the log, and costs little."""
    raw = evil.charger.socket.socket
    raw.sendall(b"\x01\x80\0\0\0\0" + b"\x00\x80\0\0\0\0" * 200_000)
    assert evil.closed() == 1009
    assert evil.line().error.startswith("Closed with 1009")


@row("JSON: Compression bomb")
def test_compression_is_never_negotiated(evil: Attacker) -> None:
    """The client offers permessage-deflate; a compressed frame breaks the protocol (1002)."""
    socket = evil.charger.socket
    assert socket.request is not None
    assert "permessage-deflate" in socket.request.headers["Sec-WebSocket-Extensions"]
    assert socket.response is not None
    assert "Sec-WebSocket-Extensions" not in socket.response.headers
    socket.socket.sendall(b"\xc1\x81\0\0\0\0x")  # text, final, RSV1 (compressed), masked
    assert evil.closed() == 1002
    assert evil.line().error.startswith("Closed with 1002")


@row("JSON: Deep nesting")
def test_deep_nesting(evil: Attacker) -> None:
    """Ignored where no message can be seen, else a CALLERROR."""
    evil.charger.send("[" * 100_000)
    deep = "[" * 100_000 + "]" * 100_000
    assert evil.refused(call("DataTransfer", f'{{"vendorId":"V","data":{deep}}}')) == (
        "FormationViolation"
    )
    assert evil.refused(call("Heartbeat", deep)) == "FormationViolation"
    ignored, *refused = sorted(line.answer for line in evil.lines())
    assert ignored == ""
    assert [answer[:2] for answer in refused] == ["[4", "[4"]


@row("JSON: Huge integers")
@pytest.mark.parametrize("number", ["9" * 5000, "9223372036854775807", "2147483648"])
def test_huge_integers(evil: Attacker, number: str) -> None:
    """Refused, but set aside in transaction messages, which are answered."""
    status = f'{{"connectorId":{number},"errorCode":"NoError","status":"Available"}}'
    assert evil.refused(call("StatusNotification", status)) == "PropertyConstraintViolation"
    stop = f'{{"transactionId":{number},"timestamp":"{T}","meterStop":1}}'
    assert evil.ask(call("StopTransaction", stop, "s")) == [3, "s", {}]
    value = f'{{"timestamp":"{T}","sampledValue":[{{"value":"1"}}]}}'
    meter = f'{{"connectorId":1,"transactionId":{number},"meterValue":[{value}]}}'
    assert evil.ask(call("MeterValues", meter, "v")) == [3, "v", {}]
    assert QuarantinedMessage.objects.get().action == "StopTransaction"
    assert MeterValue.objects.get().transaction is None
    assert len(evil.lines()) == 3


@row("JSON: NaN, Infinity, 1e999")
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_numbers_that_are_none(evil: Attacker, number: str) -> None:
    status = f'{{"connectorId":{number},"errorCode":"NoError","status":"Available"}}'
    assert evil.refused(call("StatusNotification", status))
    assert evil.line().error


@row("JSON: true as integer, 2.0 as message type")
def test_true_as_integer(evil: Attacker) -> None:
    """Refused; of duplicate keys the last wins."""
    status = '{"connectorId":true,"errorCode":"NoError","status":"Available"}'
    assert evil.refused(call("StatusNotification", status)) == "TypeConstraintViolation"
    for kind in ("2.0", "true", '"2"', "9" * 5000):
        evil.charger.send(f'[{kind},"m","Heartbeat",{{}}]')
    twice = '{"connectorId":true,"connectorId":7,"errorCode":"NoError","status":"Available"}'
    assert evil.ask(call("StatusNotification", twice)) == [3, "m", {}]
    assert sorted(line.answer != "" for line in evil.lines()) == [False] * 4 + [True] * 2


@row("JSON: Invalid UTF-8, BOM, lone surrogate")
@pytest.mark.parametrize("data", [b"\xff\xfe", b'[2,"m","Heartbeat",{"a":"\xed\xa0\x80"}]'])
def test_invalid_utf_8(evil: Attacker, data: bytes) -> None:
    assert evil.closed(data, text=True) == 1007
    assert evil.line().error.startswith("Closed with 1007")


@row("JSON: Invalid UTF-8, BOM, lone surrogate")
def test_bom_and_lone_surrogates(evil: Attacker) -> None:
    assert evil.refused("\ufeff" + call("Heartbeat", "{}")) == "FormationViolation"
    for text in (r"\ud800", r"\udc00\ud800", r"a\udfffb"):
        payload = f'{{"vendorId":"V","data":"{text}"}}'
        assert evil.refused(call("DataTransfer", payload)) == "FormationViolation"
        assert evil.refused(call(text, "{}", "x")) == "FormationViolation"
    evil.charger.send(call("Heartbeat", "{}", r"\ud800"))  # an id that no answer can carry
    assert len(evil.lines()) == 8


@row("JSON: NUL and control characters")
@pytest.mark.parametrize("text", ["\0", r"\u0000", r"\u001b[31m", r"\ufffe", "\uffff"])
def test_nul_and_control_characters(evil: Attacker, text: str) -> None:
    """Refused before the database; U+FFFE and U+FFFF because XML cannot carry them either."""
    payload = f'{{"vendorId":"{text}"}}'
    assert evil.refused(call("DataTransfer", payload)) == "FormationViolation"
    nested = f'{{"vendorId":"V","x":{{"{text}":1}}}}'
    assert evil.refused(call("DataTransfer", nested, "n")) == "FormationViolation"
    tag = start().replace("TAG", text)
    assert evil.ask(tag)[2]["idTagInfo"]["status"] == "Invalid"  # answered, and kept as it came
    assert "\0" not in QuarantinedMessage.objects.get().raw
    assert len(evil.lines()) == 3


TIMES = (
    "222222017-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "2026-01-02T24:00:00Z",
    "2026-12-31T23:59:60Z",
    "2026-03-29T02:30:00",
    "1970-01-01T00:00:00Z",
    "2099-01-01T00:00:00Z",
    "2026-02-29T07:02:33Z",
    "",
)


@row("JSON: Timestamps")
def test_timestamps(evil: Attacker, admin_client: "Client") -> None:
    """Each transaction is kept and answered, and no page of the admin breaks on it."""
    for number, stamp in enumerate(TIMES):
        started = evil.ask(start(timestamp=stamp, meterStart=number))
        sample = {"timestamp": stamp, "sampledValue": [{"value": "1"}]}
        value = {"connectorId": 1, "meterValue": [sample]}
        assert evil.ask(call("MeterValues", json.dumps(value)))[0] == 3
        stop = {
            "transactionId": started[2]["transactionId"],
            "timestamp": stamp,
            "meterStop": number + 1,
        }
        assert evil.ask(call("StopTransaction", json.dumps(stop)))[0] == 3
    assert len(evil.lines()) == 3 * len(TIMES)
    assert Transaction.objects.filter(charge_point=evil.row).count() == len(TIMES)
    for page in ("transaction", "metervalue", "message", "chargepoint"):
        assert admin_client.get(f"/admin/csms/{page}/").status_code == 200
    for transaction in Transaction.objects.filter(charge_point=evil.row):
        page = f"/admin/csms/transaction/{transaction.pk}/change/"
        assert admin_client.get(page).status_code == 200


@row("JSON: Schema-invalid")
@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (call("Authorize", "{}"), "OccurenceConstraintViolation"),
        (call("Authorize", '{"idTag":[]}'), "TypeConstraintViolation"),
        (call("Authorize", "[]"), "FormationViolation"),
        (call("StatusNotification", '{"connectorId":"x"}'), "TypeConstraintViolation"),
        (call("Nonsense", "{}"), "NotImplemented"),
        (call("Reset", '{"type":"Hard"}'), "NotSupported"),
        ('[2,"m","Heartbeat"]', "FormationViolation"),
        ('[2,"m","Heartbeat",{},{}]', "FormationViolation"),
        ('[2,"m","Heartbeat",{"a":}]', "FormationViolation"),
    ],
)
def test_schema_invalid(evil: Attacker, frame: str, code: str) -> None:
    """A CALLERROR, and the socket stays open."""
    assert evil.refused(frame) == code
    evil.charger.lives()
    refused, _ = evil.lines()
    assert refused.error


@row("JSON: Identity abuse")
@pytest.mark.parametrize(
    "path",
    ["/..", "/.", "/a%2Fb", "/%00", "/%0d%0aX", "/evil-j", "/" + "x" * 10_000, "/%FF%FE", "/"],
)
def test_identity_abuse(evil: Attacker, path: str) -> None:
    """400 or 404; an identity is compared exactly."""
    with pytest.raises((InvalidStatus, InvalidMessage)) as refused:
        evil.system.charger(evil.row, path=path)
    if isinstance(refused.value, InvalidStatus):
        assert refused.value.response.status_code in (400, 404, 414, 426, 431)
    evil.charger.lives()


EVIL = "<script>alert(1)</script>"
FORMULA = "=cmd|' /C calc'!A0"


@row("JSON: Stored XSS, CSV and log injection")
def test_what_is_stored_is_only_text(
    evil: Attacker, admin_client: "Client", caplog: pytest.LogCaptureFixture
) -> None:
    """Kept as sent, escaped on every page; no line of the log is forged."""
    evil.ask(start(idTag=EVIL))
    boot = {"chargePointVendor": EVIL, "chargePointModel": FORMULA, "iccid": "a\nforged: line"}
    assert evil.ask(call("BootNotification", json.dumps(boot)))[0] == 3
    status = {"connectorId": 1, "errorCode": "NoError", "status": "Available", "info": EVIL}
    assert evil.ask(call("StatusNotification", json.dumps(status)))[0] == 3
    assert evil.ask(call("DataTransfer", json.dumps({"vendorId": EVIL, "data": EVIL})))[0] == 3
    assert evil.refused(call("Nonsense" + EVIL, "{}")) == "NotImplemented"
    assert len(evil.lines()) == 5
    urls = ["/admin/", *lists(), f"/admin/csms/chargepoint/{evil.row.pk}/change/"]
    for line in evil.lines():
        urls.append(f"/admin/csms/message/{line.pk}/change/")
    for url in urls:
        answer = admin_client.get(url)
        assert answer.status_code == 200, url
        assert "<script>alert" not in answer.content.decode(), url
    assert not [record for record in caplog.records if "\n" in record.getMessage()]


@row("JSON: Message-id reuse")
def test_message_id_reuse(evil: Attacker) -> None:
    """N17: a transaction message is answered from what is stored, all others run afresh; an id
    with another payload is processed and noted."""
    factories.id_tag("TAG", max_transactions=0)
    first = evil.ask(start())
    assert evil.ask(start()) == first
    other = evil.ask(start(meterStart=5, timestamp="2026-01-02T03:05:05Z"))
    assert other[2]["transactionId"] != first[2]["transactionId"]
    assert Transaction.objects.filter(charge_point=evil.row).count() == 2
    for _ in range(50):
        assert "currentTime" in evil.ask(call("Heartbeat", "{}"))[2]
    lines = evil.lines()
    assert len(lines) == 53
    assert noted(lines[1]) | noted(lines[2])
