"""Frames with which charge points answered calls of ours, over both transports."""

import json
import time

import pytest

from csms.models import Command, Message
from csms.services.secrets import MASK
from tests.field.bench import Field, finished, frame, logged, noted

GET_CONFIGURATION = ("GetConfiguration", {"key": ["MeterValuesSampledData"]})
REMOTE_START = {
    "idTag": "TAG",
    "chargingProfile": {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16}],
        },
    },
}


def _ended(command: Command) -> tuple[str, str]:
    return command.state, command.error


@frame(13)
def rejected_with_a_broken_schedule(field: Field) -> None:
    """Rejected, whatever else stands there; the answer is not answered."""
    charger = field.charger()
    command = field.answered(
        charger, 13, "GetCompositeSchedule", {"connectorId": 0, "duration": 60}
    )
    assert command.state == "rejected"
    assert command.answer is not None
    assert command.answer["status"] == "Rejected"
    with pytest.raises(TimeoutError):
        charger.receive(0.2)
    charger.lives()


@frame(17)
def cut_off(field: Field) -> None:
    """The id in its beginning ends the call at once, as unreadable; the connection stays. (That
    the key is unknown is for whoever reads configurations to conclude.)"""
    charger = field.charger()
    began = time.monotonic()
    command = field.answered(charger, 17, *GET_CONFIGURATION)
    assert time.monotonic() - began < 3
    assert command.state == "error"
    assert command.error.startswith("The answer could not be read")
    assert '"configurationKey":[]' in command.raw_answer
    charger.lives()


@frame(23)
def scalars_for_texts_and_flags(field: Field) -> None:
    """The configuration is read: readonly as true or false, values as texts."""
    command = field.answered(field.charger(), 23, "GetConfiguration", {})
    assert _ended(command) == ("accepted", "")
    assert command.answer is not None
    keys = {
        key["key"]: (key["readonly"], key["value"]) for key in command.answer["configurationKey"]
    }
    assert len(keys) == 10
    assert keys["ChargeProfileMaxStackLevel"] == (True, "5")
    assert keys["ClockAlignedDataInterval"] == (False, "900")
    assert keys["ConnectorPhaseRotation"] == (False, "unknown")


@frame(25)
def feature_profiles_true(field: Field) -> None:
    """Read as it is; it is taken for no list of profiles, and asked once."""
    charger = field.charger()
    command = field.answered(charger, 25, "GetConfiguration", {"key": ["SupportedFeatureProfiles"]})
    assert _ended(command) == ("accepted", "")
    assert command.answer is not None
    assert command.answer["configurationKey"][0]["value"] == "true"
    _asked_once(field, charger.row.pk)


@frame(27)
def required_key_unknown(field: Field) -> None:
    """Accepted with the key as unknown, and not asked again."""
    charger = field.charger()
    command = field.answered(charger, 27, *GET_CONFIGURATION)
    assert _ended(command) == ("accepted", "")
    assert command.answer is not None
    assert command.answer["unknownKey"] == ["MeterValuesSampledData"]
    _asked_once(field, charger.row.pk)


def _asked_once(field: Field, charge_point: int) -> None:
    field.system.written()
    assert Command.objects.filter(charge_point=charge_point).count() == 1
    assert Message.objects.filter(charge_point=charge_point, direction="out").count() == 1


@frame(29)
def password_in_clear_text(field: Field) -> None:
    """Read; the station's password is masked in the command's answer and in the message log."""
    charger = field.charger()
    command = field.answered(charger, 29, "GetConfiguration", {})
    assert _ended(command) == ("accepted", "")
    assert command.answer is not None
    keys = {key["key"]: key["value"] for key in command.answer["configurationKey"]}
    assert len(keys) == 17
    assert (keys["StationPassword"], keys["MaxCurrent"]) == (MASK, "40000")
    field.system.written()
    message = logged(charger.row, "GetConfiguration")
    assert "XXXXXXXX" not in message.answer
    assert MASK in message.answer


@frame(61)
def callerror_of_four_elements(field: Field) -> None:
    """The call ends as failed, with its code; five elements and unknown codes do as well."""
    charger = field.charger()
    command = field.answered(charger, 61, "GetConfiguration", {})
    assert _ended(command) == ("error", "FormationViolation: ")
    for rest in ('"FormatViolation","",{}', '"Whatever"'):
        command = field.send(charger.row, "ClearCache", {})
        message_id = charger.receive()[1]
        charger.send(f'[4,"{message_id}",{rest}]')
        assert finished(command).error.partition(":")[0] == json.loads(f"[{rest}]")[0]


@frame(63)
def profile_refused_as_an_error(field: Field) -> None:
    """The operator sees the error. (Trying again without the profile is no part of this yet.)"""
    command = field.answered(field.charger(), 63, "RemoteStartTransaction", REMOTE_START)
    assert _ended(command) == (
        "error",
        "ProtocolError: validation of RemoteStartTransaction failed",
    )


@frame(65)
def triggered_message_much_later(field: Field) -> None:
    """Accepted at once; the status that was triggered is taken whenever it comes."""
    charger = field.charger()
    payload = {"requestedMessage": "StatusNotification", "connectorId": 1}
    command = field.answered(charger, 65, "TriggerMessage", payload)
    assert command.state == "accepted"
    charger.call("StatusNotification", connectorId=1, status="Charging", errorCode="NoError")
    assert charger.row.connectors.get().status == "Charging"


@frame(75)
def trigger_rejected_while_idle(field: Field) -> None:
    """Rejected: no error, and asked once only."""
    charger = field.charger()
    payload = {"requestedMessage": "MeterValues", "connectorId": 1}
    command = field.answered(charger, 75, "TriggerMessage", payload)
    assert _ended(command) == ("rejected", "")
    _asked_once(field, charger.row.pk)


# ------------------------------------------------------------------------------ SOAP


@frame(118)
def headers_that_are_no_uris(field: Field) -> None:
    """Accepted, the odd RelatesTo noted; addresses in its headers are never called."""
    payload = {"connectorId": 0, "csChargingProfiles": _max_profile()}
    row, command = field.called(118, "SetChargingProfile", payload)
    assert _ended(command) == ("accepted", "")
    callback = row.callback_url
    row.refresh_from_db()
    assert (row.callback_url, row.callback_proposed) == (callback, "")
    field.system.written()
    assert "relates_to" in noted(logged(row, "SetChargingProfile"))


def _max_profile() -> dict[str, object]:
    profile = REMOTE_START["chargingProfile"]
    assert isinstance(profile, dict)
    return profile | {
        "chargingProfilePurpose": "ChargePointMaxProfile",
        "chargingProfileKind": "Absolute",
    }


@frame(119)
def six_fractional_digits(field: Field) -> None:
    """The time is read with all its digits, and the duration of 6,480,000 s."""
    payload = {"connectorId": 1, "duration": 6_480_000}
    _, command = field.called(119, "GetCompositeSchedule", payload)
    assert _ended(command) == ("accepted", "")
    assert command.answer is not None
    assert command.answer["scheduleStart"] == "2023-01-18T13:22:55.768108Z"
    assert command.answer["chargingSchedule"]["duration"] == 6_480_000


@frame(99, 100, 113, 114, 115)
def answers_of_ocpp_15(field: Field, number: int) -> None:
    """The HTTP exchange tells which call they answer, whatever headers are missing; a fileName and
    readonly as 0, 1, true or false are read. (They are of 1.5, to which these calls will be put
    in its own dialect; their namespace is accepted and noted already.)"""
    calls: dict[int, tuple[str, dict[str, object], dict[str, object]]] = {
        99: (
            "UpdateFirmware",
            {"location": "ftp://f/x", "retrieveDate": "2026-01-01T00:00:00Z"},
            {},
        ),
        100: (
            "GetDiagnostics",
            {"location": "ftp://f/"},
            {"fileName": "MaintenanceReport_2018_09_14_09_27_56.html.gz"},
        ),
        113: (
            "GetConfiguration",
            {},
            {
                "configurationKey": [
                    {"key": "And_Or", "readonly": True, "value": "2"},
                    {"key": "Three-phase", "readonly": True, "value": "0"},
                    {"key": "NetworkFailure", "readonly": False, "value": "0"},
                    {"key": "refcp", "readonly": True, "value": '""'},
                ]
            },
        ),
        114: ("RemoteStartTransaction", {"idTag": "TAG"}, {"status": "Accepted"}),
        115: ("ClearCache", {}, {"status": "Accepted"}),
    }
    action, payload, answer = calls[number]
    row, command = field.called(number, action, payload)
    assert (*_ended(command), command.answer) == ("accepted", "", answer)
    field.system.written()
    message = logged(row, action)
    assert message.answer.strip() == field.raw(number).strip()
    assert noted(message)
