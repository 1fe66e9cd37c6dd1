"""Security events, signing requests, transfers and DataTransfer: N11, N12, Plug & Charge."""

import json
from datetime import UTC, datetime

import pytest
from msgspec import UNSET

from csms.models import CertificateSigningRequest, SecurityEvent, TransferStatus
from csms.ocpp import core, firmware_management, security
from csms.ocpp.base import Payload
from tests import factories
from tests.services.harness import House, known_tag

pytestmark = pytest.mark.django_db

PNC = "org.openchargealliance.iso15118pnc"


@pytest.mark.parametrize("kind", ["FirmwareUpdated", "SomethingOfOurOwn", "<script>"])
def test_n12_every_security_event_is_acknowledged_and_kept(house: House, kind: str) -> None:
    cp = house.charger()
    cp.address = "192.0.2.1"
    reply = cp.send_plain(
        "SecurityEventNotification",
        {"type": kind, "timestamp": "2026-03-01T00:00:00Z", "techInfo": "t"},
    )
    assert reply == security.SecurityEventNotificationResponse()
    event = SecurityEvent.objects.get()
    assert (event.kind, event.tech_info, event.ours) == (kind, "t", False)
    assert event.happened_at == datetime(2026, 3, 1, tzinfo=UTC)
    assert (event.received_at, event.charge_point_id) == (house.now, cp.pk)
    assert event.remote_address == "192.0.2.1"


def test_n12_long_kinds(house: House) -> None:
    cp = house.charger()
    payload = {"type": "x" * 200, "timestamp": "2026-03-01T00:00:00Z", "techInfo": "i" * 400}
    cp.send_plain("SecurityEventNotification", payload)
    event = SecurityEvent.objects.get()
    assert (event.kind, len(event.tech_info)) == ("x" * 200, 255)


def test_n11_signing_request_is_kept(house: House) -> None:
    cp = house.charger()
    reply = cp.send(security.SignCertificate(csr="-----BEGIN CERTIFICATE REQUEST-----"))
    assert reply.status == "Accepted"
    row = CertificateSigningRequest.objects.get()
    assert (row.charge_point_id, row.received_at) == (cp.pk, house.now)


@pytest.mark.parametrize(
    ("name", "payload", "kind", "column", "reply"),
    [
        (
            "FirmwareStatusNotification",
            {"status": "Installing"},
            "firmware",
            "firmware_status",
            firmware_management.FirmwareStatusNotificationResponse(),
        ),
        (
            "DiagnosticsStatusNotification",
            {"status": "Uploading"},
            "diagnostics",
            "diagnostics_status",
            firmware_management.DiagnosticsStatusNotificationResponse(),
        ),
        (
            "SignedFirmwareStatusNotification",
            {"status": "InvalidSignature", "requestId": 7},
            "signed firmware",
            "firmware_status",
            security.SignedFirmwareStatusNotificationResponse(),
        ),
        (
            "LogStatusNotification",
            {"status": "Uploading", "requestId": 7},
            "log",
            "diagnostics_status",
            security.LogStatusNotificationResponse(),
        ),
    ],
)
def test_transfers(
    house: House, name: str, payload: dict, kind: str, column: str, reply: Payload
) -> None:
    cp = house.charger()
    assert cp.send_plain(name, payload) == reply
    row = TransferStatus.objects.get()
    assert (row.kind, row.status, row.received_at) == (kind, payload["status"], house.now)
    assert row.request_id == payload.get("requestId")
    assert getattr(cp.row, column) == payload["status"]


# --------------------------------------------------------------------------- DataTransfer


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"vendorId": "com.acme"}, "UnknownVendorId"),
        ({"vendorId": PNC.upper()}, "UnknownMessageId"),  # N31: in any case
        ({"vendorId": PNC}, "UnknownMessageId"),
        ({"vendorId": PNC, "messageId": "Get15118EVCertificate"}, "UnknownMessageId"),
        ({"vendorId": PNC, "messageId": "Authorize"}, "Rejected"),
        ({"vendorId": PNC, "messageId": "Authorize", "data": "{"}, "Rejected"),
        ({"vendorId": PNC, "messageId": "Authorize", "data": "[" * 5000}, "Rejected"),
        ({"vendorId": PNC, "messageId": "Authorize", "data": '{"idToken": 5}'}, "Rejected"),
        ({"vendorId": PNC, "messageId": "Authorize", "data": '{"idToken": "\\u0000"}'}, "Rejected"),
    ],
)
def test_data_transfer_answers_by_status(house: House, request_: dict, status: str) -> None:
    reply = house.charger().send_plain("DataTransfer", request_)
    assert (reply.status, reply.data) == (status, UNSET)


@pytest.mark.parametrize("shape", ["text", "object", "object for text"])
@pytest.mark.parametrize("status", ["Accepted", "Blocked", "Invalid"])
def test_plug_and_charge_authorize(house: House, shape: str, status: str) -> None:
    """idToken comes as a text and as an object; `data` as a text, seldom as an object."""
    if status != "Invalid":
        known_tag("deaaa000000001", blocked=status == "Blocked")
    token: object = "DEAAA000000001"
    if shape != "text":
        token = {"idToken": token, "type": "eMAID"}
    asked: object = {"idToken": token, "iso15118CertificateHashData": []}
    payload = {
        "vendorId": PNC,
        "messageId": "Authorize",
        "data": asked if shape == "object for text" else json.dumps(asked),
    }
    reply = house.charger().send_plain("DataTransfer", payload)
    assert reply.status == core.DataTransferStatus.ACCEPTED
    assert json.loads(reply.data) == {"idTokenInfo": {"status": status}}


def test_plug_and_charge_contract_with_a_running_transaction(house: House) -> None:
    known_tag("DEAAA000000001", max_transactions=1)
    cp = house.charger()
    factories.transaction(cp.row, state="open", id_tag="DEAAA000000001")
    payload = {"vendorId": PNC, "messageId": "Authorize", "data": '{"idToken":"DEAAA000000001"}'}
    reply = cp.send_plain("DataTransfer", payload)
    assert json.loads(reply.data) == {"idTokenInfo": {"status": "Accepted"}}
