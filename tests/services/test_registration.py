"""Registration, signs of life and connector status: N26, N29, F8, and who is a stranger."""

from datetime import UTC, datetime, timedelta

import pytest

from csms.models import ChargePoint, Message, Transaction, UnknownChargePoint
from csms.ocpp import core
from csms.ocpp.errors import (
    PropertyConstraintViolation,
    SecurityViolation,
    UnknownAction,
    UnsupportedAction,
)
from csms.services import flush
from csms.services.charge_points import (
    ChargePointInvalid,
    ChargePointTaken,
    charge_point_add,
    registration_set,
)
from tests import factories
from tests.services.harness import Charger, House, known_tag, meter_value, sample, stranger

pytestmark = pytest.mark.django_db

BOOT = core.BootNotification(charge_point_vendor="V", charge_point_model="M")
STATUS = {"connectorId": 1, "status": "Available", "errorCode": "NoError"}
METER = {"connectorId": 1, "meterValue": [meter_value("2026-03-04T12:00:00Z", sample(1))]}

SENT = {
    "Authorize": {"idTag": "TAG"},
    "BootNotification": {"chargePointVendor": "V", "chargePointModel": "M"},
    "DataTransfer": {"vendorId": "v"},
    "DiagnosticsStatusNotification": {"status": "Idle"},
    "FirmwareStatusNotification": {"status": "Idle"},
    "Heartbeat": {},
    "LogStatusNotification": {"status": "Idle"},
    "MeterValues": METER,
    "SecurityEventNotification": {"type": "x", "timestamp": "2026-03-04T12:00:00Z"},
    "SignCertificate": {"csr": "x"},
    "SignedFirmwareStatusNotification": {"status": "Idle"},
    "StartTransaction": {
        "connectorId": 1,
        "idTag": "TAG",
        "timestamp": "2026-03-04T12:00:00Z",
        "meterStart": 0,
    },
    "StatusNotification": STATUS,
    "StopTransaction": {
        "transactionId": 5,
        "timestamp": "2026-03-04T12:00:00Z",
        "meterStop": 0,
    },
}
TRANSACTIONS = {"StartTransaction", "StopTransaction", "MeterValues"}
TRIGGERED = set(SENT) - {"Authorize", "DataTransfer", "StartTransaction", "StopTransaction"}


@pytest.mark.parametrize("transport", ["json", "soap"])
@pytest.mark.parametrize(
    ("registration", "ever_accepted", "answered"),
    [
        ("Accepted", False, set(SENT)),
        ("Pending", False, TRIGGERED),
        ("Pending", True, set(SENT)),
        ("Rejected", False, {"BootNotification"}),
        ("Rejected", True, {"BootNotification"} | TRANSACTIONS),
    ],
)
def test_n26_who_may_send_what(
    house: House, transport: str, registration: str, ever_accepted: bool, answered: set[str]
) -> None:
    cp = house.charger(registration=registration, ever_accepted=ever_accepted, transport=transport)
    messages = [cp.plain(name, payload) for name, payload in SENT.items()]
    replies = dict(zip(SENT, house.replies(*messages), strict=True))
    refused = {name for name, reply in replies.items() if isinstance(reply, SecurityViolation)}
    assert refused == set(SENT) - answered
    assert not [r for n, r in replies.items() if n not in refused and isinstance(r, Exception)]
    assert Transaction.objects.exists() == ("StartTransaction" in answered)


@pytest.mark.parametrize("registration", ["Accepted", "Pending", "Rejected"])
def test_n26_boot_is_told_the_state(house: House, registration: str) -> None:
    cp = house.charger(registration=registration)
    assert cp.send(BOOT).status == registration


def test_n26_state_survives_sockets_and_restarts(house: House) -> None:
    """A charger should not have to boot again on reconnect."""
    cp = house.charger()
    fresh = House()
    assert fresh.replies(cp.message(core.Heartbeat()))[0].current_time == house.now


def test_n26_accepted_once_is_remembered(house: House) -> None:
    cp = house.charger()
    cp.send(core.Heartbeat())
    registration_set(charge_point=cp.row, registration="Rejected")
    assert isinstance(cp.send(core.Heartbeat()), SecurityViolation)
    assert cp.send(cp.start()).transaction_id > 0


def test_n26_what_cannot_be_read_is_no_way_around(house: House) -> None:
    cp = house.charger(registration="Pending")
    assert isinstance(cp.send_plain("StartTransaction", {}), SecurityViolation)
    assert isinstance(cp.send_plain("Nonsense", {}), SecurityViolation)


def test_unknown_and_misdirected_actions(house: House) -> None:
    cp = house.charger()
    assert isinstance(cp.send_plain("Nonsense", {}), UnknownAction)
    reset = cp.plain("Heartbeat", {})
    reset.action, reset.request = "Reset", core.Reset(type=core.ResetType.SOFT)
    assert isinstance(house.replies(reset)[0], UnsupportedAction)
    assert [bool(m.error) for m in Message.objects.order_by("id")] == [True, True]


# ---------------------------------------------------------------------------------- N29


@pytest.mark.parametrize(
    ("registration", "columns", "expected"),
    [
        ("Accepted", {}, 300),
        ("Accepted", {"heartbeat_interval": 17}, 17),
        ("Accepted", {"boot_retry_interval": 17}, 300),
        ("Pending", {}, 60),
        ("Pending", {"boot_retry_interval": 7, "heartbeat_interval": 17}, 7),
        ("Rejected", {}, 60),
    ],
)
def test_n29_intervals(house: House, registration: str, columns: dict, expected: int) -> None:
    cp = house.charger(registration=registration, **columns)
    reply = cp.send(BOOT)
    assert (reply.interval, reply.current_time) == (expected, house.now)


def test_n29_intervals_of_the_settings() -> None:
    house = House(CSMS_HEARTBEAT_INTERVAL="11", CSMS_BOOT_RETRY_INTERVAL="12")
    assert house.charger().send(BOOT).interval == 11
    assert house.charger(registration="Pending").send(BOOT).interval == 12


@pytest.mark.parametrize("name", [*SENT, "Nonsense"])
def test_n29_every_message_is_a_sign_of_life(house: House, name: str) -> None:
    cp = house.charger()
    cp.send_plain(name, SENT.get(name, {}))
    assert cp.row.last_seen == house.now


def test_n29_signs_of_life_are_written_rarely(house: House) -> None:
    cp = house.charger()
    first = house.now
    cp.send(core.Heartbeat())
    house.later(seconds=9)
    cp.send(core.Heartbeat())
    assert cp.row.last_seen == first
    house.later(seconds=1)
    cp.send(core.Heartbeat())
    assert cp.row.last_seen == house.now


@pytest.mark.parametrize(
    ("columns", "silent", "online"),
    [
        ({"transport": "soap"}, 750, True),
        ({"transport": "soap"}, 751, False),
        ({"transport": "soap", "heartbeat_interval": 20}, 50, True),
        ({"transport": "soap", "heartbeat_interval": 20}, 51, False),
        ({"transport": "json", "connected": True}, 86_400, True),
        ({"transport": "json", "connected": False}, 0, False),
    ],
)
def test_n29_online(house: House, columns: dict, silent: int, online: bool) -> None:
    row = factories.charge_point(last_seen=house.now, **columns)
    then = house.now + timedelta(seconds=silent)
    assert row.is_online(now=then, heartbeat_interval=300) is online


def test_online_before_the_first_message(house: House) -> None:
    row = factories.charge_point(transport="soap", last_seen=None)
    assert not row.is_online(now=house.now, heartbeat_interval=300)


def test_boot_says_what_the_charger_is(house: House) -> None:
    cp = house.charger(iccid="old")
    cp.send_plain(
        "BootNotification",
        {
            "chargePointVendor": "Acme",
            "chargePointModel": "Z",
            "chargePointSerialNumber": "S" * 33,
            "firmwareVersion": "9",
            "meterType": "m",
        },
    )
    row = cp.row
    assert (row.vendor, row.model, row.serial_number) == ("Acme", "Z", "S" * 33)
    assert (row.firmware_version, row.meter_type, row.iccid) == ("9", "m", "")
    assert row.booted_at == house.now


# ------------------------------------------------------------------------- F8: statuses


def report(cp: Charger, status: str, stamp: datetime | None = None) -> None:
    payload = {**STATUS, "status": status}
    if stamp is not None:
        payload["timestamp"] = f"{stamp:%Y-%m-%dT%H:%M:%SZ}"
    reply = cp.send_plain("StatusNotification", payload)
    assert reply == core.StatusNotificationResponse()


def shown(cp: Charger) -> str:
    status: str = cp.row.connectors.get().status
    return status


@pytest.mark.parametrize("year", [1970, 2099])
def test_f8_order_of_arrival_decides(house: House, year: int) -> None:
    cp = house.charger()
    cp.send(BOOT)
    report(cp, "Preparing", house.later(seconds=5))
    report(cp, "Charging", datetime(year, 1, 1, tzinfo=UTC))
    assert shown(cp) == "Charging"
    report(cp, "Finishing", house.later(seconds=5))
    assert shown(cp) == "Finishing"


@pytest.mark.parametrize("stamped", ["ours", "1970", "none"])
def test_f8_queued_status_from_before_the_boot(house: House, stamped: str) -> None:
    """What the charger said since its boot counts, whatever clock it had when it said so."""
    cp = house.charger()
    queued = house.now - timedelta(hours=3)
    cp.send(BOOT)
    at = house.later(seconds=2)
    report(
        cp,
        "Available",
        {"ours": at, "1970": datetime(1970, 1, 1, tzinfo=UTC), "none": None}[stamped],
    )
    report(cp, "Faulted", queued)
    assert shown(cp) == "Available"
    assert cp.row.deviations.get().name == "status from before the last boot"


def test_f8_first_status_is_taken_however_old(house: House) -> None:
    cp = house.charger()
    cp.send(BOOT)
    report(cp, "Faulted", house.now - timedelta(hours=3))
    assert shown(cp) == "Faulted"


def test_status_keeps_what_was_sent(house: House) -> None:
    cp = house.charger()
    cp.send_plain(
        "StatusNotification",
        {
            "connectorId": 0,
            "status": "Faulted",
            "errorCode": "Error",
            "info": "null",
            "vendorErrorCode": "0x0000",
            "vendorId": "acme",
        },
    )
    row = cp.row.connectors.get()
    assert (row.connector_id, row.status, row.error_code) == (0, "Faulted", "Error")
    assert (row.info, row.vendor_error_code, row.vendor_id) == ("", "", "acme")


@pytest.mark.parametrize("connector_id", [-1, 65, 1850027108])
def test_status_of_an_impossible_connector(house: House, connector_id: int) -> None:
    cp = house.charger()
    reply = cp.send_plain("StatusNotification", {**STATUS, "connectorId": connector_id})
    assert isinstance(reply, PropertyConstraintViolation)
    assert reply.path == "connectorId"
    assert not cp.row.connectors.exists()


# ------------------------------------------------------------------------------- strangers


def test_unknown_soap_boot_is_rejected_and_listed(house: House) -> None:
    boot = core.BootNotification(charge_point_vendor="Acme", charge_point_model="Z")
    for _ in range(2):
        reply = house.replies(
            stranger("NOBODY", boot, at=house.now), stranger("NOBODY", boot, at=house.now)
        )[0]
        house.later(minutes=1)
    assert (reply.status, reply.interval) == ("Rejected", 60)
    row = UnknownChargePoint.objects.get()
    assert (row.identity, row.transport, row.vendor, row.model) == ("NOBODY", "soap", "Acme", "Z")
    assert (row.count, row.remote_address) == (4, "192.0.2.9")
    assert row.last_at - row.first_at == timedelta(minutes=1)
    assert not ChargePoint.objects.exists()


def test_unknown_soap_charger_may_do_nothing_else(house: House) -> None:
    reply = house.replies(stranger("NOBODY", core.Heartbeat(), at=house.now))[0]
    assert isinstance(reply, SecurityViolation)
    boot = core.BootNotification(charge_point_vendor="Acme", charge_point_model="Z")
    house.replies(stranger("NOBODY", boot, at=house.now))
    house.replies(stranger("NOBODY", core.Heartbeat(), at=house.now))
    row = UnknownChargePoint.objects.get()
    assert (row.count, row.vendor) == (3, "Acme")  # a Heartbeat does not forget the vendor
    message = Message.objects.first()
    assert message is not None
    assert (message.charge_point_id, message.error) == (None, "unknown identity")


def test_unknown_soap_charger_leaves_little_in_the_log(house: House) -> None:
    """Anybody can send 900 KB."""
    message = stranger("XX", core.Heartbeat(), at=house.now)
    message.raw = "<envelope>" + "x" * 900_000
    house.batch(message)
    assert Message.objects.get().request == message.raw[:4096]
    cp = house.charger()
    known = cp.message(core.Heartbeat())
    known.raw = message.raw
    house.batch(known)
    assert Message.objects.filter(charge_point=cp.pk, request=message.raw).exists()


def test_knocks_are_capped(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flush, "MOST_KNOCKS", 3)
    for number in range(6):
        house.replies(stranger(f"N{number}", BOOT, at=house.now))
    assert UnknownChargePoint.objects.count() == 3
    house.replies(stranger("N0", BOOT, at=house.now))
    assert UnknownChargePoint.objects.get(identity="N0").count == 2


def test_adding_a_charger_clears_its_knocks(house: House) -> None:
    house.replies(stranger("NEW", BOOT, at=house.now))
    row = charge_point_add(identity="NEW", transport="soap")
    assert row.registration == "Accepted"
    assert not UnknownChargePoint.objects.exists()
    with pytest.raises(ChargePointTaken, match="NEW"):
        charge_point_add(identity="NEW")


@pytest.mark.parametrize(
    "wrong",
    [
        {"identity": ""},
        {"identity": "a/b"},
        {"identity": ".."},
        {"identity": "a\0"},
        {"identity": " a"},
        {"identity": "x" * 256},
        {"identity": "a", "transport": "fax"},
        {"identity": "a", "time_zone": "Europe/Atlantis"},
        {"identity": "a", "time_zone": "../../etc/passwd"},
    ],
)
def test_impossible_chargers(wrong: dict) -> None:
    with pytest.raises(ChargePointInvalid):
        charge_point_add(**wrong)
    assert not ChargePoint.objects.exists()


def test_identities_are_told_apart_by_case(house: House) -> None:
    charge_point_add(identity="cp-1")
    charge_point_add(identity="CP-1")
    known_tag()
    assert ChargePoint.objects.count() == 2
