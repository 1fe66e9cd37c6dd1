"""Remote trigger."""

from typing import TYPE_CHECKING

from csms.models import MeterValue

if TYPE_CHECKING:
    from tests.certification.case import Case

TRIGGERS = {
    "MeterValues": "MeterValues",
    "Heartbeat": "Heartbeat",
    "StatusNotification": "Available",
    "DiagnosticsStatusNotification": "Idle",
    "FirmwareStatusNotification": "Idle",
}
"""What is asked for, and how the message that comes is told in short."""


def test_tc_054_trigger_message(case: "Case") -> None:
    for wanted, came in TRIGGERS.items():
        case.mark()
        about = {"connectorId": 1} if wanted in ("MeterValues", "StatusNotification") else {}
        assert case.asked("TriggerMessage", requestedMessage=wanted, **about) == "Accepted"
        case.wait_sent(came)
        case.system.written()
        command = case.effect("TriggerMessage")
        assert (command.effect, command.effect_text) == ("seen", f"{wanted} came.")
    value = MeterValue.objects.get(charge_point=case.row)
    assert {sample["context"] for sample in value.samples} == {"Trigger"}
    assert value.connector_id == 1


def test_tc_055_trigger_message_rejected(case: "Case") -> None:
    case.mark()
    command = case.send("TriggerMessage", requestedMessage="MeterValues", connectorId=9)
    assert (command.state, command.answer) == ("rejected", {"status": "Rejected"})
    assert case.sent() == []
