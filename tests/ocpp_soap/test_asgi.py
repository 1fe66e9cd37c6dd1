"""The endpoint: identity and credentials, availability, sizes, and that nothing escapes."""

import asyncio
import gzip
import zlib
from urllib.parse import unquote

import pytest
from lxml import etree

from csms.ocpp import core
from csms.ocpp.errors import InternalFailure
from csms.ocpp.types import AuthorizationStatus, IdTagInfo
from csms.services.admission import Refused
from ocpp_soap import guard
from ocpp_soap.namespaces import CS
from tests.ocpp_soap.house import HEARTBEAT, House, basic, fault_of, message, parsed

pytestmark = pytest.mark.anyio

MISMATCH = ("env:Sender", f"{{{CS}}}IdentityMismatch")
SECURITY = ("env:Sender", f"{{{CS}}}SecurityError")
PROTOCOL = ("env:Sender", f"{{{CS}}}ProtocolError")


async def _nothing() -> dict:
    raise AssertionError("nothing is read")


def _location(wsdl: bytes) -> str | None:
    address = etree.fromstring(wsdl).find(".//{*}address")
    assert address is not None
    return address.get("location")


async def _call(house: House, parts: list[bytes], **headers: str) -> tuple[int, bytes]:
    """Status and body by the ASGI protocol itself; `parts` arrive one by one, then nothing."""
    sent: list[dict] = []
    waiting = [{"type": "http.request", "body": part, "more_body": True} for part in parts]

    async def receive() -> dict:
        if waiting:
            return waiting.pop(0)
        await asyncio.sleep(60)
        raise AssertionError

    async def send(event) -> None:
        sent.append(event)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/ocpp/soap",
        "query_string": b"",
        "client": None,
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
    }
    await house.application(scope, receive, send)
    return sent[0]["status"], sent[1]["body"]


# --- identity ------------------------------------------------------------------------------------


async def test_identity_of_the_path_must_be_that_of_the_header(house: House) -> None:
    assert (await house.post(HEARTBEAT, "/ocpp/soap/CP1")).status_code == 200
    assert (await house.post(HEARTBEAT, "/ocpp/soap/CP1/")).status_code == 200
    response = await house.post(HEARTBEAT, "/ocpp/soap/CP2")
    assert (response.status_code, fault_of(response)) == (400, MISMATCH)
    assert house.inbox.entries[-1].identity == "CP1"


async def test_identity_of_the_path_stands_in_for_the_header(house: House) -> None:
    text = HEARTBEAT.replace("chargeBoxIdentity", "somethingElse").replace("mustUnderstand", "x")
    assert (await house.post(text, "/ocpp/soap/CP1")).status_code == 200
    assert house.last.identity == "CP1"
    assert fault_of(await house.post(text)) == PROTOCOL


@pytest.mark.parametrize("path", ["a/b", "..%2Fx", "%2e%2e/", "a%2Fb", "a%00b", "a%0Ab"])
async def test_paths_that_are_none(house: House, path: str) -> None:
    sent: list[dict] = []

    async def send(event) -> None:
        sent.append(event)

    path = unquote(f"/ocpp/soap/{path}")
    scope = {"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b""}
    await house.application(scope, _nothing, send)
    assert sent[0]["status"] == 404


@pytest.mark.parametrize("identity", ["", " ", "a/b", "..", "x" * 300, "a?b", "a\u200bb"])
async def test_identities_that_are_none(house: House, identity: str) -> None:
    response = await house.post(message("Heartbeat", identity=identity))
    assert (response.status_code, fault_of(response)) == (400, PROTOCOL)
    assert house.asked == []


async def test_basic_user_must_be_the_identity(house: House) -> None:
    house.passwords = {"CP1": b"secret", "CP2": b"other"}
    response = await house.post(HEARTBEAT, authorization=basic("CP2", b"other"))
    assert (response.status_code, fault_of(response)) == (400, MISMATCH)
    assert house.inbox.taken == []


async def test_wrong_or_missing_password(house: House) -> None:
    house.passwords = {"CP1": b"secret"}
    for headers in ({}, {"authorization": basic("CP1", b"no")}, {"authorization": "Basic ###"}):
        response = await house.post(HEARTBEAT, **headers)
        assert (response.status_code, fault_of(response)) == (401, SECURITY)
        assert response.headers["www-authenticate"] == 'Basic realm="ocpp"'
    assert len(house.inbox.entries) == 3
    assert (await house.post(HEARTBEAT, authorization=basic("CP1", b"secret"))).status_code == 200
    assert house.last.charger is not None
    assert house.last.charger.authenticated


@pytest.mark.parametrize("password", [b"a:b", b"\xff\x00:"])
async def test_identities_and_keys_with_colons(house: House, password: bytes) -> None:
    identity = "00:90:0B:00:00:01"
    house.passwords = {identity: password}
    text = message("Heartbeat", identity=identity)
    response = await house.post(text, authorization=basic(identity, password))
    assert response.status_code == 200


async def test_other_refusals_are_forbidden(house: House) -> None:
    async def admit(**_):
        raise Refused("This charge point is set up for JSON.")

    house.application._admit = admit
    response = await house.post(HEARTBEAT)
    assert (response.status_code, fault_of(response)) == (403, SECURITY)
    assert "set up for JSON" in response.text


async def test_unknown_identity_is_decided_by_the_services(house: House) -> None:
    house.unknown = {"CP1"}
    response = await house.post(HEARTBEAT)
    assert (response.status_code, fault_of(response)) == (400, SECURITY)
    assert house.last.charger is None
    assert house.request == core.Heartbeat()


# --- availability --------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["Heartbeat", "StopTransaction", "Nonsense"])
async def test_f3_everything_is_503_while_nothing_can_be_committed(house: House, action) -> None:
    house.inbox.available = False
    response = await house.post(message(action))
    assert (response.status_code, response.content) == (503, b"")
    assert int(response.headers["retry-after"]) > 0


async def test_f3_also_when_the_queue_is_full(house: House) -> None:
    house.inbox.full = True
    assert (await house.post(HEARTBEAT)).status_code == 503
    assert house.asked == []


async def test_f3_broken_envelopes_are_no_exception(house: House) -> None:
    house.inbox.available = False
    text = HEARTBEAT.replace("/Heartbeat", "/Authorize")
    assert (await house.post(text)).status_code == 503


# --- HTTP ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", ["", "text/xml", "application/soap+xml", "text/plain"])
async def test_any_content_type(house: House, content_type: str) -> None:
    assert (await house.post(HEARTBEAT, content_type=content_type)).status_code == 200


async def test_n24_compressed_bodies(house: House) -> None:
    engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    raw = engine.compress(HEARTBEAT.encode()) + engine.flush()
    for body, coding in (
        (gzip.compress(HEARTBEAT.encode()), "gzip"),
        (zlib.compress(HEARTBEAT.encode()), "deflate"),
        (raw, "deflate"),
    ):
        assert (await house.post(body, content_encoding=coding)).status_code == 200
        assert house.last.raw == HEARTBEAT


async def test_n24_bomb(house: House) -> None:
    bomb = gzip.compress(b"\0" * 20_000_000)
    response = await house.post(bomb, content_encoding="gzip")
    assert (response.status_code, fault_of(response)) == (413, PROTOCOL)


async def test_utf_16(house: House) -> None:
    assert (await house.post(HEARTBEAT.encode("utf-16"))).status_code == 200


async def test_declared_and_streamed_sizes(house: House) -> None:
    big = b" " * (1024 * 1024 + 1)
    assert (await _call(house, [], content_length=str(len(big))))[0] == 413
    assert (await _call(house, [big[:500_000]] * 3))[0] == 413
    assert (await _call(house, [], content_length="-5"))[0] == 400
    assert (await _call(house, [], content_length="nonsense"))[0] == 400


async def test_a_request_must_arrive_in_time(house: House) -> None:
    status, body = await _call(house, [HEARTBEAT[:50].encode()])
    assert status == 408
    assert b"Fault" in body


async def test_a_client_that_is_gone(house: House) -> None:
    async def receive() -> dict:
        return {"type": "http.disconnect"}

    async def send(event) -> None:
        raise AssertionError

    scope = {"type": "http", "method": "POST", "path": "/ocpp/soap", "headers": []}
    await house.application(scope, receive, send)


async def test_a_400_kb_stop_transaction(house: House) -> None:
    sample = (
        "<transactionData><timestamp>2026-01-01T00:00:00Z</timestamp>"
        + "<sampledValue><value>1</value><measurand>Power.Active.Import</measurand></sampledValue>"
        * 8
        + "</transactionData>"
    )
    inner = (
        "<transactionId>1</transactionId><timestamp>2026-01-01T00:00:00Z</timestamp>"
        "<meterStop>1</meterStop>" + sample * 480
    )
    text = message("StopTransaction", inner)
    assert 300_000 < len(text) < 1024 * 1024
    assert (await house.post(text)).status_code == 200
    assert len(house.request.transaction_data) == 480


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<",
        b"\xff\xfe",
        b"\x1f\x8b\x08",
        HEARTBEAT.encode()[:-1],
        b"<!DOCTYPE x>" + HEARTBEAT.encode(),
        HEARTBEAT.replace("urn:uuid:1", "&#0;").encode(),
        b"<a>" * 300,
        HEARTBEAT.replace("<wsa:From>", '<wsa:From xsi:nil="1">').encode(),
    ],
)
async def test_refused_bodies_are_answered_and_logged(house: House, body: bytes) -> None:
    response = await house.post(body)
    assert (response.status_code, fault_of(response)) == (400, PROTOCOL)
    assert response.headers["connection"] == "close"
    (entry,) = house.inbox.entries
    assert entry.error.startswith("Refused: ")
    assert entry.answer == response.text
    assert "\0" not in entry.request


async def test_what_is_no_xml_is_still_known_in_the_log(house: House) -> None:
    response = await house.post(HEARTBEAT.replace("<env:Body>", '<env:Body a:b="c">'))
    (entry,) = house.inbox.entries
    assert (entry.identity, entry.action, entry.message_id) == ("CP1", "Heartbeat", "urn:uuid:1")
    assert parsed(response).findtext(".//{*}RelatesTo") == "urn:uuid:1"


async def test_unknown_charset(house: House) -> None:
    response = await house.post(HEARTBEAT, content_type="text/xml; charset=nonsense")
    assert (response.status_code, fault_of(response)) == (415, PROTOCOL)


@pytest.mark.parametrize("step", ["admit", "parse", "submit", "encode"])
async def test_no_step_lets_an_exception_escape(house: House, step: str, monkeypatch) -> None:
    def fail(*_, **__):
        raise KeyError("a secret of ours")

    if step == "admit":
        house.application._admit = fail
    elif step == "parse":
        monkeypatch.setattr(guard, "parse", fail)
    elif step == "submit":
        house.inbox.decide = fail
    else:
        monkeypatch.setattr("ocpp_soap.codec.write", fail)
    response = await house.post(HEARTBEAT)
    assert response.status_code == 500
    assert fault_of(response) == ("env:Receiver", f"{{{CS}}}InternalError")
    assert "secret" not in response.text
    assert house.inbox.entries[-1].error.startswith("InternalFailure")


async def test_errors_of_the_services_become_faults(house: House) -> None:
    house.inbox.decide = lambda _: InternalFailure()
    response = await house.post(HEARTBEAT)
    assert response.status_code == 500
    assert parsed(response).findtext(".//{*}RelatesTo") == "urn:uuid:1"


async def test_quarantined_messages_are_answered_though_they_could_not_be_read(house) -> None:
    house.inbox.decide = lambda _: core.StopTransactionResponse()
    answer = parsed(await house.post(message("StopTransaction", "<meterStop>x</meterStop>")))
    assert house.last.action == "StopTransaction"
    assert house.request is None
    assert house.last.error is not None
    assert answer.find(f".//{{{CS}}}stopTransactionResponse") is not None


async def test_answers_may_be_encoded_again(house: House) -> None:
    """A batch that is tried again decides, and so encodes, again."""
    await house.post(message("Authorize", "<idTag>A</idTag>"))
    error = etree.fromstring(house.last.encode(InternalFailure()))
    assert error.find(".//{*}Fault") is not None
    again = etree.fromstring(
        house.last.encode(
            core.AuthorizeResponse(id_tag_info=IdTagInfo(status=AuthorizationStatus.BLOCKED))
        )
    )
    assert again.findtext(".//{*}status") == "Blocked"


# --- pages ---------------------------------------------------------------------------------------


async def test_pages(house: House) -> None:
    response = await house.client.get("/ocpp/soap")
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert "?wsdl" in response.text
    assert (await house.client.put("/ocpp/soap?wsdl", content=b"x")).status_code == 405


@pytest.mark.parametrize("path", ["/ocpp/soap?wsdl", "/ocpp/soap/?WSDL", "/ocpp/soap?wsdl=1"])
async def test_wsdl_names_the_host_that_was_asked(house: House, path: str) -> None:
    response = await house.client.get(path, headers={"host": "ocpp.example.com:8000"})
    assert response.status_code == 200
    assert _location(response.content) == "http://ocpp.example.com:8000/ocpp/soap"


async def test_wsdl_of_the_charge_point_service(house: House) -> None:
    response = await house.client.get("/ocpp/soap/charge-point?wsdl")
    assert etree.fromstring(response.content).get("name") == "ChargePointService"


async def test_wsdl_location_cannot_be_injected() -> None:
    house = House(CSMS_PUBLIC_HOST="csms.example.com")
    for host in ('x"><y', "csms:8000", "a b"):
        response = await house.client.get("/ocpp/soap?wsdl", headers={"host": host})
        port = ":8000" if host == "csms:8000" else ""
        assert _location(response.content) == f"http://csms.example.com{port}/ocpp/soap"
    await house.close()
