"""Each kind of deviation that SOAP charge points are known for, in envelopes of our own making."""

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from lxml import etree

from csms.models import ChargePoint, Command, Connector, Message, Transaction, UnknownChargePoint
from csms.services.commands import command_send, request_of
from tests import factories
from tests.field.bench import NS, deviations, fault, finished, header
from tests.running import last_message, post

if TYPE_CHECKING:
    from tests.running import System

CS, CP = "urn://Ocpp/Cs/2015/10/", "urn://Ocpp/Cp/2015/10/"
SOAP, WSA = NS["env"], NS["wsa"]
IDENTITY = "<c:chargeBoxIdentity>CP-S</c:chargeBoxIdentity>"
FROM = "<a:From><a:Address>http://127.0.0.1:8123/cp</a:Address></a:From>"
MESSAGE_ID = "<a:MessageID>urn:uuid:1</a:MessageID>"
TO = "<a:To>http://csms/</a:To>"


@pytest.fixture
def row(system: "System") -> ChargePoint:
    factories.id_tag("TAG", max_transactions=0)
    return factories.charge_point(identity="CP-S", transport="soap")


def envelope(
    action: str,
    inner: str = "",
    *,
    headers: str = IDENTITY + FROM + MESSAGE_ID + TO,
    namespace: str = CS,
    soap: str = SOAP,
) -> str:
    """An envelope of prefixes s, a and c; with a wsa:Action unless there are no headers."""
    name = f"{action[0].lower()}{action[1:]}Request"
    if headers:
        headers += f"<a:Action>/{action}</a:Action>"
    return (
        f'<s:Envelope xmlns:s="{soap}" xmlns:a="{WSA}" xmlns:c="{namespace}">'
        f"<s:Header>{headers}</s:Header><s:Body><c:{name}>{inner}</c:{name}></s:Body></s:Envelope>"
    )


def answered(response: httpx.Response) -> dict[str, str]:
    """The texts of a reply."""
    assert response.status_code == 200, response.text
    (body,) = etree.fromstring(response.content).findall("env:Body/*", NS)
    assert etree.QName(body).namespace == CS
    return {etree.QName(leaf).localname: leaf.text or "" for leaf in body.iter() if not len(leaf)}


def fields(**values: object) -> str:
    return "".join(f"<c:{name}>{value}</c:{name}>" for name, value in values.items())


START = {"meterStart": 1000, "timestamp": "2026-01-02T10:00:00Z", "connectorId": 1, "idTag": "TAG"}


def test_children_in_any_order(system: "System", row: ChargePoint) -> None:
    answer = answered(post(system, envelope("StartTransaction", fields(**START))))
    assert answer["status"] == "Accepted"
    assert int(answer["transactionId"]) == Transaction.objects.get().transaction_id


@pytest.mark.parametrize(
    ("headers", "relates_to"),
    [
        (IDENTITY, ""),
        (IDENTITY + MESSAGE_ID, "urn:uuid:1"),
        (IDENTITY + "<a:MessageID>\n  7230 \n</a:MessageID>" + TO, "7230"),
        (IDENTITY + MESSAGE_ID + "<a:From><a:Address>anonymous</a:Address></a:From>", "urn:uuid:1"),
    ],
)
def test_headers_that_are_missing_or_odd(
    system: "System", row: ChargePoint, headers: str, relates_to: str
) -> None:
    """Answered; MessageID is echoed as it is, without its blanks; no callback is learnt."""
    response = post(system, envelope("Heartbeat", headers=headers))
    assert answered(response)["currentTime"].endswith("Z")
    assert header(response, "RelatesTo") == relates_to
    row.refresh_from_db()
    assert row.callback_url == ""
    assert deviations(row)


def test_no_header_at_all(system: "System", row: ChargePoint) -> None:
    """Whose message it is says the URL, or nobody."""
    assert answered(post(system, envelope("Heartbeat", headers=""), path="/CP-S"))
    response = post(system, envelope("Heartbeat", headers=""))
    assert (response.status_code, fault(response)) == (400, "ProtocolError")


def test_identity_in_another_case(system: "System", row: ChargePoint) -> None:
    """The header's name is compared without regard to case, the identity itself exactly."""
    odd = IDENTITY.replace("chargeBoxIdentity", "ChargeBoxIdentity")
    assert answered(post(system, envelope("Heartbeat", headers=odd + MESSAGE_ID)))
    response = post(system, envelope("Heartbeat", headers=IDENTITY.replace("CP-S", "cp-s")))
    assert fault(response) == "SecurityError"
    assert UnknownChargePoint.objects.get().identity == "cp-s"


def test_host_left_out_of_from(system: "System", row: ChargePoint) -> None:
    """It is that of the peer."""
    headers = IDENTITY + MESSAGE_ID + FROM.replace("127.0.0.1", "")
    answered(post(system, envelope("Heartbeat", headers=headers)))
    row.refresh_from_db()
    assert row.callback_url == "http://127.0.0.1:8123/cp"


def test_callback_that_must_not_be_called(system: "System", row: ChargePoint) -> None:
    """The request is answered all the same."""
    headers = IDENTITY + MESSAGE_ID + FROM.replace("127.0.0.1", "169.254.169.254")
    answered(post(system, envelope("Heartbeat", headers=headers)))
    row.refresh_from_db()
    assert row.callback_url == ""
    assert "169.254.169.254" in row.callback_error


def test_namespace_of_the_other_side(system: "System", row: ChargePoint) -> None:
    """Requests in the Cp namespace are answered in the Cs namespace."""
    answered(post(system, envelope("Heartbeat", namespace=CP)))
    assert "namespace" in deviations(row)


def test_values(system: "System", row: ChargePoint) -> None:
    """Empty elements, blanks, misspelt values, an element for a text."""
    odd = fields(connectorId=" 1 ", status="charging", errorCode="Error", info="")
    answered(post(system, envelope("StatusNotification", odd)))
    connector = Connector.objects.get()
    assert (connector.status, connector.error_code) == ("Charging", "Error")
    inner = fields(vendorId="V", data="<x>loop</x>")
    assert answered(post(system, envelope("DataTransfer", inner)))["status"] == "UnknownVendorId"
    stop = fields(transactionId=0, timestamp="2026-01-02T10:00:00", meterStop=0, transactionData="")
    answered(post(system, envelope("StopTransaction", stop)))
    assert deviations(row) >= {"unknown_value", "element_for_text", "zoneless_time"}


@pytest.mark.parametrize(
    ("text", "status", "subcode"),
    [
        ("{}", 400, "ProtocolError"),
        ("", 400, "ProtocolError"),
        (envelope("Frobnicate"), 500, "NotSupported"),
        (envelope("Reset"), 500, "NotSupported"),
        (envelope("Heartbeat", namespace="urn://Ocpp/Cs/2012/06/"), 500, "NotSupported"),
        (envelope("Heartbeat").replace("</s:Body>", "<c:x/></s:Body>"), 400, "ProtocolError"),
        (envelope("Heartbeat").replace("/Heartbeat<", "/Authorize<"), 400, "ProtocolError"),
        (envelope("Authorize"), 400, "ProtocolError"),
        ("<!DOCTYPE x>" + envelope("Heartbeat"), 400, "ProtocolError"),
    ],
)
def test_what_is_refused(
    system: "System", row: ChargePoint, text: str, status: int, subcode: str
) -> None:
    """A Fault of SOAP 1.2, a line in the log; the next message is answered."""
    response = post(system, text)
    assert (response.status_code, fault(response)) == (status, subcode)
    system.written()
    assert Message.objects.get().error
    assert answered(post(system, envelope("Heartbeat")))


def test_envelope_of_soap_11(system: "System", row: ChargePoint) -> None:
    """Frame 120 of the field: no charge point's; refused, in SOAP 1.2."""
    text = envelope("Heartbeat", soap="http://schemas.xmlsoap.org/soap/envelope/")
    response = post(system, text)
    assert response.status_code in (400, 500)
    assert "Fault" in response.text


@pytest.mark.parametrize(
    ("text", "subcode"),
    [
        (envelope("Heartbeat", headers=IDENTITY + FROM + TO), "ProtocolError"),
        (envelope("Heartbeat", headers=IDENTITY + MESSAGE_ID + TO), "ProtocolError"),
        (envelope("StartTransaction", fields(**START)), "ProtocolError"),
        (envelope("Authorize", fields(idTag="T" * 21)), "ProtocolError"),
        (envelope("Heartbeat", namespace=CP), "ProtocolError"),
    ],
)
def test_strict(system: "System", row: ChargePoint, text: str, subcode: str) -> None:
    """A charge point that is to be certified gets the Faults that its deviations are."""
    ChargePoint.objects.update(strictness="strict")
    response = post(system, text)
    assert (response.status_code, fault(response)) == (400, subcode)
    assert last_message(row).error
    assert not Transaction.objects.exists()


def test_secrets_are_not_kept(system: "System") -> None:
    system.deliver()
    canary = "correct &lt; battery staple"
    body = (
        f'<e:Envelope xmlns:e="{SOAP}"><e:Body><getConfigurationResponse xmlns="{CP}">'
        f"<configurationKey><key>WifiPassword</key><readonly>0</readonly><value>{canary}</value>"
        "</configurationKey></getConfigurationResponse></e:Body></e:Envelope>"
    )
    callback = system.callback(lambda _: body)
    row = factories.charge_point(transport="soap", callback_url=callback.url)

    def sent(action: str, payload: dict[str, Any]) -> Command:
        return finished(command_send(charge_point=row, request=request_of(action, payload)))

    assert sent("GetConfiguration", {}).state == "accepted"
    # Answered with the wrong element: the outcome is unreadable, and its text kept without values.
    assert sent("ChangeConfiguration", {"key": "ApiKey", "value": canary}).state == "error"
    assert canary.replace("&", "&amp;") in callback.requests[-1][1]
    system.written()
    kept = [*Command.objects.values(), *Message.objects.values()]
    assert "WifiPassword" in str(kept)
    assert "battery staple" not in str(kept)
