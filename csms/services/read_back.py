"""What a command has set is read back: by which request, and what its answer says of the effect.

When nobody knows what became of a command, it is not sent again: its effect is asked for (F15).
"""

import contextlib
from typing import Any

from msgspec import UNSET

from csms.models import Command
from csms.models.commands import CommandState, Effect
from csms.ocpp.base import Request
from csms.ocpp.configuration_keys import comparable
from csms.ocpp.core import GetConfiguration
from csms.ocpp.local_auth_list_management import GetLocalListVersion
from csms.ocpp.remote_trigger import MessageTrigger, TriggerMessage
from csms.ocpp.security import ExtendedMessageTrigger, ExtendedTriggerMessage
from csms.services.commands import KEY_NAME, CommandRefused, command_send
from csms.services.observers import DONE, Verdict, assumed, observes, seen
from csms.services.secrets import holds_mask

TRIGGERED = {
    "ChangeAvailability": MessageTrigger.STATUS_NOTIFICATION,
    "GetDiagnostics": MessageTrigger.DIAGNOSTICS_STATUS_NOTIFICATION,
    "ReserveNow": MessageTrigger.STATUS_NOTIFICATION,
    "UpdateFirmware": MessageTrigger.FIRMWARE_STATUS_NOTIFICATION,
}
EXTENDED = {
    "GetLog": ExtendedMessageTrigger.LOG_STATUS_NOTIFICATION,
    "SignedUpdateFirmware": ExtendedMessageTrigger.FIRMWARE_STATUS_NOTIFICATION,
}
"""The message that tells whether a command without an answer was carried out."""


def read_back(command: Command) -> None:
    """Ask for what a command was to set; when its outcome is unknown, also for what it began."""
    if not command.followers.exists():  # else it is a late answer
        _ask(command)


def _ask(command: Command) -> None:
    request = _reader(command)
    if request is None:
        return
    with contextlib.suppress(CommandRefused):
        command_send(
            charge_point=command.charge_point,
            request=request,
            by=f"effect of command {command.pk}",
            follows=command,
        )


def _reader(command: Command) -> Request[Any] | None:
    """The request that reads what a command has done."""
    name, payload = command.action, command.payload
    if name == "SendLocalList":
        return GetLocalListVersion()
    if name == "ChangeConfiguration":
        if payload["key"].casefold() == KEY_NAME or holds_mask(payload["value"]):
            return None
        return GetConfiguration(key=(payload["key"],))
    if command.state != CommandState.TIMED_OUT:
        return None
    if name in TRIGGERED:
        number = payload.get("connectorId") or UNSET
        return TriggerMessage(requested_message=TRIGGERED[name], connector_id=number)
    if name in EXTENDED:
        return ExtendedTriggerMessage(requested_message=EXTENDED[name])
    return None


# ---------------------------------------------------------------------------- what it says


@observes("SendLocalList")
def send_local_list(command: Command) -> Verdict | None:
    """§5.15: the version that a following GetLocalListVersion has read back."""
    follower = _follower(command)
    if isinstance(follower, Verdict | None):
        return follower
    wanted, found = command.payload["listVersion"], (follower.answer or {}).get("listVersion")
    if found == wanted:
        return seen(f"The list has version {found}.")
    if _set_again(command, follower):
        return assumed(command, "A later command has sent another list.")
    return Verdict(Effect.MISSING, f"The list has version {found} instead of {wanted}.")


@observes("ChangeConfiguration")
def change_configuration(command: Command) -> Verdict | None:
    """§5.3: the value that a following GetConfiguration has read back."""
    key, wanted = command.payload["key"], command.payload["value"]
    if holds_mask(wanted):
        return assumed(command, f"{key} is a secret: it is not read back.")
    follower = _follower(command)
    if isinstance(follower, Verdict | None):
        return follower
    known = {
        str(item["key"]).casefold(): item.get("value")
        for item in (follower.answer or {}).get("configurationKey", ())
    }
    found = known.get(key.casefold())
    reboot = (command.answer or {}).get("status") == "RebootRequired"
    also = " A reboot is required." if reboot else ""
    if found is None and not wanted.strip() and key.casefold() in known:
        return seen(f"{key} is empty.{also}")
    if found is None or holds_mask(found):
        # 7.29: a key without value is set to nothing, or may only be written
        return assumed(command, f"{key} cannot be read back.{also}")
    if comparable(key, found) == comparable(key, wanted):
        return seen(f"{key} is {found}.{also}")
    if _set_again(command, follower):
        return assumed(command, f"A later command has set {key} again.")
    if reboot and follower.sent_at is not None:
        booted_at = command.charge_point.booted_at
        if booted_at is not None and booted_at > follower.sent_at:
            _ask(command)  # it has the new value from now on
        text = f"{key} is {found} until the charge point has rebooted."
        return Verdict(Effect.WAITING, text, at_deadline=Effect.ASSUMED)
    return Verdict(Effect.MISSING, f"{key} is {found} instead of {wanted}."[:255])


def _follower(command: Command) -> Command | Verdict | None:
    """The command that has read back what this one set; a verdict when that cannot be had."""
    follower = command.followers.order_by("-id").first()
    if follower is None:
        return assumed(command, "It cannot be read back.")
    if follower.state in (CommandState.QUEUED, CommandState.SENT):
        return Verdict(Effect.WAITING, "It was not read back in time.")
    if follower.state != CommandState.ACCEPTED:
        return assumed(command, f"It could not be read back: {follower.error}"[:255])
    return follower


def _set_again(command: Command, follower: Command) -> bool:
    """Whether another command of the same kind came before this one was read back."""
    rows = Command.objects.filter(
        charge_point=command.charge_point_id,
        action=command.action,
        id__gt=command.pk,
        state__in=DONE,
        sent_at__lte=follower.sent_at,
    )
    key = str(command.payload.get("key", "")).casefold()
    return any(str(row.payload.get("key", "")).casefold() == key for row in rows)
