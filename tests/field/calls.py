"""Frames that charge points sent over JSON: boots, statuses, idTags, vendor data, broken frames."""

import json

from django.contrib.auth.models import User
from django.test import Client

from csms.models import ChargePoint, Connector, QuarantinedMessage, SecurityEvent
from tests import factories
from tests.field.bench import Field, deviations, finished, frame, logged, noted, readings


def _status(field: Field, number: int, **columns: object) -> Connector:
    """The connector after the StatusNotification of a frame."""
    charger = field.charger(**columns)
    assert field.say(charger, number) == {}
    return Connector.objects.get(charge_point=charger.row)


# ---------------------------------------------------------------------------- statuses


@frame(1)
def unknown_error_code(field: Field) -> None:
    """Answered; Faulted and the raw errorCode are kept, the deviation is noted."""
    connector = _status(field, 1)
    assert (connector.connector_id, connector.status) == (0, "Faulted")
    assert connector.error_code == "Error"
    assert "unknown_value" in deviations(connector.charge_point)


@frame(33)
def over_long_info(field: Field) -> None:
    """Answered; the 80 characters are all kept."""
    connector = _status(field, 33)
    assert connector.status == "Finishing"
    assert len(connector.info) == 80
    assert "over_long_text" in deviations(connector.charge_point)


@frame(37)
def older_timestamp_later(field: Field) -> None:
    """The order of receipt decides, not the timestamps."""
    charger = field.charger()
    charger.call(
        "StatusNotification",
        connectorId=0,
        status="Unavailable",
        errorCode="NoError",
        timestamp="2019-05-10T16:05:43Z",
    )
    field.say(charger, 37)
    assert Connector.objects.get().status == "Available"


@frame(39)
def status_from_before_the_boot(field: Field) -> None:
    """A status older than the boot overwrites no newer one; the log shows it and says so."""
    charger = field.charger()
    charger.call("BootNotification", chargePointVendor="Alfen", chargePointModel="Eve")
    charger.call("StatusNotification", connectorId=0, status="Available", errorCode="NoError")
    field.say(charger, 39)
    assert Connector.objects.get().status == "Available"
    message = logged(charger.row, "StatusNotification")
    assert "Modbus TCP/IP lost" in message.request
    assert noted(message) == {"status from before the last boot"}


@frame(43)
def nothing_in_words(field: Field) -> None:
    """ "null" and 0x00 are kept as nothing; the time is that of receipt."""
    connector = _status(field, 43)
    assert (connector.status, connector.info, connector.vendor_error_code) == ("Preparing", "", "")
    assert connector.reported_at is None
    assert connector.received_at is not None


@frame(45)
def no_boot_after_reconnecting(field: Field) -> None:
    """A charge point that was accepted before goes on without a boot."""
    connector = _status(field, 45, ever_accepted=True)
    assert connector.status == "Charging"
    assert connector.charge_point.booted_at is None


@frame(57)
def connector_on_demand(field: Field) -> None:
    """Connector 2 is made; without timestamp the time is that of receipt."""
    connector = _status(field, 57)
    assert (connector.connector_id, connector.reported_at) == (2, None)


@frame(59)
def info_as_a_state_log(field: Field) -> None:
    """Accepted as it is, nothing noted."""
    connector = _status(field, 59)
    assert (connector.status, connector.info) == ("Charging", "Prep->Charging")
    assert not deviations(connector.charge_point)


@frame(69)
def firmware_version_as_vendor(field: Field) -> None:
    """vendorId is kept and nothing follows from it; the charge point's vendor stays."""
    connector = _status(field, 69, vendor="KEBA")
    assert (connector.connector_id, connector.vendor_id) == (5, "1.18.100")
    assert connector.charge_point.vendor == "KEBA"


@frame(71)
def json_in_info(field: Field) -> None:
    """Kept as text, and escaped where the admin shows it."""
    connector = _status(field, 71)
    assert connector.info == '{"reason":"faults","cpv":0,"rv":0}'
    assert connector.vendor_error_code == "00001000000000000000000000000000"
    browser = Client()
    browser.force_login(User.objects.create_superuser("operator"))
    page = browser.get(f"/admin/csms/chargepoint/{connector.charge_point_id}/change/")
    text = page.content.decode()
    assert '{"reason"' not in text
    assert "&quot;reason&quot;" in text


# ------------------------------------------------------------------------------- boots


def _booted(field: Field, number: int) -> ChargePoint:
    charger = field.charger(vendor="", model="", firmware_version="")
    answer = field.say(charger, number)
    assert answer["status"] == "Accepted"
    charger.row.refresh_from_db()
    assert charger.row.booted_at is not None
    return charger.row


@frame(8)
def empty_vendor(field: Field) -> None:
    """Accepted: an empty vendor (which the schema allows) is an unknown one."""
    row = _booted(field, 8)
    assert (row.vendor, row.model) == ("", "ACChargePoint")


@frame(31)
def over_long_serial_numbers(field: Field) -> None:
    """Accepted, the whole serial numbers are kept."""
    row = _booted(field, 31)
    assert (len(row.box_serial_number), len(row.serial_number)) == (33, 26)
    assert "over_long_text" in deviations(row)


@frame(47)
def hard_coded_message_id(field: Field) -> None:
    """The same id with another payload is another message: it runs afresh."""
    charger = field.charger()
    for version in ("V0.35.70.x007.PH", "V0.36"):
        assert field.say(charger, 47, firmwareVersion=version)["status"] == "Accepted"
        charger.row.refresh_from_db()
        assert charger.row.firmware_version == version
    assert charger.row.meter_serial_number == "N/A"


@frame(81)
def empty_optional_texts(field: Field) -> None:
    """Accepted; empty optional texts count as absent."""
    row = _booted(field, 81)
    assert (row.iccid, row.imsi, row.meter_serial_number) == ("", "", "")
    assert (row.model, row.meter_type) == ("PLP1-0-2-3", "Internal NON compliant")


@frame(87)
def calls_that_cross(field: Field) -> None:
    """The boot is answered while a call of ours is open, and that call is still waited for."""
    charger = field.charger()
    field.system.deliver()
    command = field.send(charger.row, "ChangeConfiguration", {"key": "K", "value": "1"})
    _, message_id, action, _ = charger.receive()
    assert action == "ChangeConfiguration"
    assert field.say(charger, 87)["status"] == "Accepted"
    command.refresh_from_db()
    assert command.state == "sent"
    charger.send(f'[3,"{message_id}",{{"status":"NotSupported"}}]')
    assert finished(command).state == "rejected"


@frame(89, 91)
def plain_boots(field: Field, number: int) -> None:
    """Accepted without a note."""
    row = _booted(field, number)
    assert row.vendor in ("Growatt", "SimpleCharge")
    assert not deviations(row)


# ------------------------------------------------------------- idTags and vendor data


@frame(67)
def additional_field(field: Field) -> None:
    """idTagInfo is answered, the additional connectorId dropped and noted."""
    factories.id_tag("0000000000CXXX")
    charger = field.charger()
    assert field.say(charger, 67) == {"idTagInfo": {"status": "Accepted"}}
    assert noted(logged(charger.row, "Authorize")) == {"additional_field"}


@frame(7)
def id_token_as_an_object(field: Field) -> None:
    """An idToken is read as an object and as a text; the answer's data is JSON in a text."""
    factories.id_tag("AAAAAAAAAAAAA0")
    charger = field.charger()
    data = json.loads(json.loads(field.raw(7))[3]["data"])
    for token in (data["idToken"], "AAAAAAAAAAAAA0"):
        answer = field.say(charger, 7, data=json.dumps(data | {"idToken": token}))
        assert answer["status"] == "Accepted"
        assert json.loads(answer["data"])["idTokenInfo"]["status"] == "Accepted"


@frame(77)
def vendor_status_line(field: Field) -> None:
    """UnknownVendorId, a reply and no error, also in the log."""
    charger = field.charger()
    assert field.say(charger, 77) == {"status": "UnknownVendorId"}
    assert logged(charger.row, "DataTransfer").error == ""


# ------------------------------------------------------------------ what is not JSON


@frame(15)
def no_value_at_all(field: Field) -> None:
    """Answered by the id in the frame's beginning, kept once however often it comes; the socket
    stays. MeterValues is answered [3,id,{}] rather than with an error, which would block the
    StopTransaction behind it."""
    charger = field.charger()
    for _ in range(3):
        assert charger.ask(field.raw(15)) == [3, "<message-id>", {}]
    kept = QuarantinedMessage.objects.get(charge_point=charger.row)
    assert (kept.action, kept.raw) == ("MeterValues", field.raw(15))
    assert not readings(charger.row)
    charger.lives()


@frame(11)
def empty_sample(field: Field) -> None:
    """Answered; no reading, nobody is told."""
    charger = field.charger()
    assert field.say(charger, 11) == {}
    assert not readings(charger.row)
    assert not QuarantinedMessage.objects.exists()
    assert not SecurityEvent.objects.exists()
