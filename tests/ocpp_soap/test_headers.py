"""N22: the headers of requests and answers, as raw XML at the ASGI door."""

import re

import pytest

from csms.ocpp import core
from ocpp_soap.namespaces import ANONYMOUS, CP, CS
from tests.ocpp_soap.house import (
    HEARTBEAT,
    House,
    envelope,
    fault_of,
    header,
    message,
    parsed,
    text_of,
)

pytestmark = pytest.mark.anyio

PROTOCOL_ERROR = ("env:Sender", f"{{{CS}}}ProtocolError")
BODY = f'<heartbeatRequest xmlns="{CS}"/>'


def _without(text: str, name: str) -> str:
    return re.sub(rf"<(\w+):{name}\b.*?</\1:{name}>", "", text)


def _notes(house: House) -> list[tuple[str, str]]:
    return [(note.name, note.path) for note in house.last.notes]


async def test_n22_golden_answer(house: House) -> None:
    response = await house.post(HEARTBEAT)
    assert response.status_code == 200
    text = re.sub(r"urn:uuid:[0-9a-f-]{36}", "urn:uuid:…", response.text)
    assert text == (
        '<env:Envelope xmlns:env="http://www.w3.org/2003/05/soap-envelope"'
        ' xmlns:wsa="http://www.w3.org/2005/08/addressing" xmlns:cs="urn://Ocpp/Cs/2015/10/">'
        "<env:Header>"
        '<wsa:Action env:mustUnderstand="true">/HeartbeatResponse</wsa:Action>'
        "<wsa:MessageID>urn:uuid:…</wsa:MessageID>"
        f'<wsa:To env:mustUnderstand="true">{ANONYMOUS}</wsa:To>'
        "<wsa:RelatesTo>urn:uuid:1</wsa:RelatesTo>"
        "</env:Header><env:Body><cs:heartbeatResponse>"
        "<cs:currentTime>2026-01-02T03:04:05Z</cs:currentTime>"
        "</cs:heartbeatResponse></env:Body></env:Envelope>"
    )
    assert house.last.notes == ()
    assert house.last.callback == "http://192.0.2.7:8080/cp"
    assert house.last.message_id == "urn:uuid:1"
    assert house.last.raw == HEARTBEAT


async def test_n22_each_answer_has_its_own_message_id(house: House) -> None:
    answers = [parsed(await house.post(HEARTBEAT)) for _ in range(2)]
    assert len({text_of(answer, "env:Header/wsa:MessageID") for answer in answers}) == 2


@pytest.mark.parametrize(
    "name", ["chargeboxidentity", "ChargeBoxIdentity", "CHARGEBOXIDENTITY", "chargeBoxIdentity"]
)
@pytest.mark.parametrize("namespace", [CS, CP, "http://www.w3.org/2005/08/addressing"])
async def test_n22_name_of_charge_box_identity(house: House, name: str, namespace: str) -> None:
    given = f'<{name} xmlns="{namespace}">\n  CP7\n</{name}>'
    text = _without(HEARTBEAT, "chargeBoxIdentity").replace("<env:Header>", f"<env:Header>{given}")
    assert (await house.post(text)).status_code == 200
    assert house.last.identity == "CP7"


@pytest.mark.parametrize("message_id", ["7230", "uuid:9f70", "\n urn:uuid:2 \n", "1OX17K", "é&lt;"])
async def test_n22_any_message_id_is_echoed(house: House, message_id: str) -> None:
    answer = parsed(await house.post(message("Heartbeat", message_id=message_id)))
    expected = message_id.strip().replace("&lt;", "<")
    assert text_of(answer, "env:Header/wsa:RelatesTo") == expected


@pytest.mark.parametrize("name", ["MessageID", "From", "To", "Action"])
async def test_n22_missing_header(house: House, name: str) -> None:
    text = _without(HEARTBEAT, name)
    answer = parsed(await house.post(text))
    assert answer.find(".//{*}heartbeatResponse") is not None
    assert _notes(house) == [("missing_header", name)]
    if name == "MessageID":
        assert answer.find(".//{*}RelatesTo") is None
    if name == "From":
        assert house.last.callback == ""
    house.strict = True
    assert fault_of(await house.post(text)) == PROTOCOL_ERROR


@pytest.mark.parametrize("strict", [False, True])
async def test_n22_missing_reply_to_means_anonymous(house: House, strict: bool) -> None:
    house.strict = strict
    assert (await house.post(_without(HEARTBEAT, "ReplyTo"))).status_code == 200
    assert house.last.notes == ()


@pytest.mark.parametrize("address", ["http://192.0.2.7/reply", "http://169.254.169.254/", "x"])
async def test_n22_reply_to_only_anonymous(house: House, address: str) -> None:
    text = HEARTBEAT.replace(ANONYMOUS, address)
    response = await house.post(text)
    assert (response.status_code, fault_of(response)) == (400, PROTOCOL_ERROR)


async def test_n22_fault_to_is_ignored(house: House) -> None:
    block = "<wsa:FaultTo><wsa:Address>http://192.0.2.9/</wsa:Address></wsa:FaultTo></env:Header>"
    assert (await house.post(HEARTBEAT.replace("</env:Header>", block))).status_code == 200


async def test_n22_must_understand(house: House) -> None:
    understood = "".join(
        f'<wsa:{name} env:mustUnderstand="1"><wsa:Address>{ANONYMOUS}</wsa:Address></wsa:{name}>'
        for name in ("FaultTo", "RelatesTo")
    )
    text = HEARTBEAT.replace("<wsa:MessageID>", '<wsa:MessageID env:mustUnderstand="true">')
    text = text.replace("<wsa:From>", f'{understood}<wsa:From env:mustUnderstand="true">')
    assert (await house.post(text)).status_code == 200


@pytest.mark.parametrize("value", ["true", "1", "false", "0", None])
async def test_n22_unknown_header(house: House, value: str | None) -> None:
    mark = "" if value is None else f' env:mustUnderstand="{value}"'
    block = f'<s:Security xmlns:s="urn:s"{mark}/></env:Header>'
    response = await house.post(HEARTBEAT.replace("</env:Header>", block))
    if value in ("true", "1"):
        assert (response.status_code, fault_of(response)) == (500, ("env:MustUnderstand", ""))
        assert 'qname="block:Security"' in response.text
    else:
        assert response.status_code == 200


async def test_n22_action_must_fit_the_body(house: House) -> None:
    text = envelope(header(action="/StartTransaction"), BODY)
    assert fault_of(await house.post(text)) == PROTOCOL_ERROR
    assert (house.last.action, house.request) == ("", None)


async def test_n22_a_refused_envelope_is_never_quarantined(house: House) -> None:
    """The services answer transaction messages in any case; these are none."""
    text = message("StopTransaction").replace("/StopTransaction", "/Authorize")
    await house.post(text)
    assert house.last.action == ""


@pytest.mark.parametrize("action", ["Heartbeat", "urn://Ocpp/Cs/2015/10/Heartbeat"])
async def test_n22_other_forms_of_action(house: House, action: str) -> None:
    text = envelope(header(action=action), BODY)
    assert (await house.post(text)).status_code == 200
    assert _notes(house) == [("action_form", "Action")]


@pytest.mark.parametrize(
    "body", ["", BODY + BODY, BODY + "<x/>", "text", "</env:Body><env:Body>" + BODY]
)
async def test_n22_exactly_one_body_element(house: House, body: str) -> None:
    response = await house.post(envelope(header(action="/Heartbeat"), body))
    assert (response.status_code, fault_of(response)) == (400, PROTOCOL_ERROR)


async def test_wrapped_second_header(house: House) -> None:
    other = f'<chargeBoxIdentity xmlns="{CS}">CP2</chargeBoxIdentity></env:Header>'
    response = await house.post(HEARTBEAT.replace("</env:Header>", other))
    assert fault_of(response) == PROTOCOL_ERROR


async def test_n22_soap_11(house: House) -> None:
    text = HEARTBEAT.replace(
        "http://www.w3.org/2003/05/soap-envelope", "http://schemas.xmlsoap.org/soap/envelope/"
    )
    response = await house.post(text)
    assert (response.status_code, fault_of(response)) == (500, ("env:VersionMismatch", ""))
    assert 'SupportedEnvelope qname="env:Envelope"' in response.text


async def test_no_envelope_at_all(house: House) -> None:
    assert fault_of(await house.post("<html><body/></html>")) == PROTOCOL_ERROR
    assert house.inbox.entries[0].error.startswith("RpcViolation")


async def test_n22_dispatch_by_the_body_element(house: House) -> None:
    response = await house.post(
        _without(HEARTBEAT, "Action"), content_type='text/xml; action="/BootNotification"'
    )
    assert parsed(response).find(".//{*}heartbeatResponse") is not None


@pytest.mark.parametrize("namespace", [CP, ""])
async def test_request_in_the_wrong_namespace(house: House, namespace: str) -> None:
    body = f'<authorizeRequest xmlns="{namespace}"><idTag>A</idTag></authorizeRequest>'
    text = envelope(header(action="/Authorize"), body)
    answer = parsed(await house.post(text))
    assert answer.find(f".//{{{CS}}}authorizeResponse") is not None
    assert house.request == core.Authorize(id_tag="A")
    assert {name for name, _ in _notes(house)} == {"namespace"}
    house.strict = True
    assert fault_of(await house.post(text)) == PROTOCOL_ERROR


async def test_other_versions_are_not_supported(house: House) -> None:
    response = await house.post(HEARTBEAT.replace("2015/10", "2012/06"))
    assert fault_of(response) == ("env:Receiver", f"{{{CS}}}NotSupported")


@pytest.mark.parametrize(
    ("action", "subcode"),
    [("Reset", "NotSupported"), ("SignCertificate", "NotSupported"), ("Nonsense", "NotSupported")],
)
async def test_n23_operations_that_are_not_ours(house: House, action: str, subcode: str) -> None:
    response = await house.post(message(action))
    assert (response.status_code, fault_of(response)[1]) == (500, f"{{{CS}}}{subcode}")


@pytest.mark.parametrize("element", ["heartbeatResponse", "Request", "heartbeat", "x" * 5000])
async def test_bodies_that_are_no_request(house: House, element: str) -> None:
    text = envelope(_without(header(), "Action"), f'<{element} xmlns="{CS}"/>')
    assert fault_of(await house.post(text)) == PROTOCOL_ERROR


async def test_overlong_headers(house: House) -> None:
    response = await house.post(message("Heartbeat", message_id="x" * 5000))
    assert fault_of(response) == PROTOCOL_ERROR
    assert "x" * 100 not in response.text
