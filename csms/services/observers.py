"""Observers: one for each action whose effect can be seen, in the rows that messages leave."""

import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import NamedTuple

from csms.models import Command, Connector, Message, Transaction, TransferStatus
from csms.models.authorization import fold
from csms.models.charge_points import ChargePointStatus
from csms.models.commands import CommandState, Effect
from csms.models.firmware import TransferKind
from csms.models.transactions import TransactionState
from csms.services.secrets import MASK


class Verdict(NamedTuple):
    """What is known of an effect, in words."""

    effect: Effect
    text: str = ""
    transaction: Transaction | None = None


Observer = Callable[[Command], Verdict | None]
"""Looks for the effect of a sent command; None: nothing yet."""

observers: dict[str, Observer] = {}


def observes(*actions: str) -> Callable[[Observer], Observer]:
    """Register the observer of an action's effect."""

    def register(observer: Observer) -> Observer:
        for action in actions:
            observers[action] = observer
        return observer

    return register


def _seen(text: str, row: Transaction | None = None) -> Verdict:
    return Verdict(Effect.SEEN, text, row)


# ----------------------------------------------------------------- one for each action


CLOCK_TOLERANCE = timedelta(hours=1)
"""By how much a charge point's clock may be slow."""

MOST_MESSAGES = 200
"""Messages that are looked through for one of a connector."""


@observes("RemoteStartTransaction")
def remote_start_transaction(command: Command) -> Verdict | None:
    """§5.11: the StartTransaction that it caused."""
    assert command.sent_at is not None  # effects begin when a command was sent
    rows = Transaction.objects.filter(
        charge_point=command.charge_point_id,
        id_tag_key=fold(command.payload["idTag"]),
        start_received_at__gte=command.sent_at,
        started_at__gte=command.sent_at - CLOCK_TOLERANCE,  # not one of hours ago, delivered late
    ).exclude(commands__action="RemoteStartTransaction")
    if "connectorId" in command.payload:
        rows = rows.filter(connector_id=command.payload["connectorId"])
    row = rows.order_by("id").first()
    return None if row is None else _seen(f"Transaction {row} started.", row)


@observes("RemoteStopTransaction")
def remote_stop_transaction(command: Command) -> Verdict | None:
    """§5.12: that transaction has stopped."""
    row = Transaction.objects.filter(
        charge_point=command.charge_point_id, transaction_id=command.payload["transactionId"]
    ).first()
    if row is None or row.state != TransactionState.STOPPED:
        return None
    return _seen(f"Transaction {row} stopped.", row)


@observes("Reset")
def reset(command: Command) -> Verdict | None:
    """§5.14: a BootNotification came."""
    booted_at = command.charge_point.booted_at
    if booted_at is None or command.sent_at is None or booted_at < command.sent_at:
        return None
    return _seen("The charge point has booted.")


@observes("ChangeAvailability")
def change_availability(command: Command) -> Verdict | None:
    """§5.2: the status. One that was so before brings no StatusNotification, and counts."""
    number = command.payload["connectorId"]
    rows = Connector.objects.filter(charge_point=command.charge_point_id)
    rows = rows.filter(connector_id__gt=0) if number == 0 else rows.filter(connector_id=number)
    states = [row.status for row in rows]
    wanted = command.payload["type"] == "Inoperative"
    if not states or any(
        not state or (state == ChargePointStatus.UNAVAILABLE) != wanted for state in states
    ):
        return None
    return _seen("Unavailable" if wanted else "Available again")


@observes("ReserveNow")
def reserve_now(command: Command) -> Verdict | None:
    """§5.13: status Reserved, later the transaction that used the reservation."""
    row = (
        Transaction.objects.filter(
            charge_point=command.charge_point_id,
            reservation_id=command.payload["reservationId"],
            start_received_at__gte=command.sent_at,
        )
        .order_by("id")
        .first()
    )
    if row is not None:
        return _seen(f"Used by transaction {row}.", row)
    if command.payload["connectorId"] == 0:
        return Verdict(Effect.ASSUMED, "A reservation on connector 0 shows on no connector.")
    reserved = Connector.objects.filter(
        charge_point=command.charge_point_id,
        connector_id=command.payload["connectorId"],
        status=ChargePointStatus.RESERVED,
    )
    return _seen("The connector is Reserved.") if reserved.exists() else None


@observes("UnlockConnector")
def unlock_connector(command: Command) -> Verdict | None:
    """§5.18: "Unlocked" says that it has happened; no message follows."""
    return _seen("The charge point says that it unlocked the connector.")


EXTENDED = {
    "FirmwareStatusNotification": "SignedFirmwareStatusNotification",
    "SignChargePointCertificate": "SignCertificate",
}
"""What ExtendedTriggerMessage brings where that is not the message of this name (WP)."""


@observes("TriggerMessage", "ExtendedTriggerMessage")
def trigger_message(command: Command) -> Verdict | None:
    """§5.17: the message came, perhaps even before the answer."""
    asked = command.payload["requestedMessage"]
    fitting = [asked]
    if command.action == "ExtendedTriggerMessage" and asked in EXTENDED:
        fitting.append(EXTENDED[asked])
    came = Message.objects.filter(
        charge_point=command.charge_point_id,
        direction="in",
        action__in=fitting,
        bucket_at__gte=command.sent_at,
    )
    number = command.payload.get("connectorId")
    for name, text in came.order_by("id").values_list("action", "request")[:MOST_MESSAGES]:
        if number is None or re.search(rf'connectorId"?\s*[:>]\s*{number}\b', text):
            return _seen(f"{name} came.")
    return None


def _transfer(
    command: Command, kind: TransferKind, good: str, failed: Iterable[str]
) -> Verdict | None:
    """The end of a transfer. Its notifications carry no id: they belong to the latest command.

    §4.4, §4.5: Idle is no progress.
    """
    newer = (
        Command.objects.filter(
            charge_point=command.charge_point_id,
            action=command.action,
            id__gt=command.pk,
            state__in=[CommandState.ACCEPTED, CommandState.TIMED_OUT],
        )
        .order_by("id")
        .first()
    )
    rows = TransferStatus.objects.filter(
        charge_point=command.charge_point_id, kind=kind, received_at__gte=command.sent_at
    )
    if newer is not None:
        rows = rows.filter(received_at__lt=newer.sent_at)
    request_id = command.payload.get("requestId")
    if request_id is not None:
        rows = rows.filter(request_id__in=[request_id]) | rows.filter(request_id=None)
    states = [row.status for row in rows.order_by("-id")[:20]]
    if good in states:
        return _seen(good)
    ended = next((state for state in states if state in failed), None)
    if ended is None and newer is not None:
        ended = "A later command has taken its place."
    return None if ended is None else Verdict(Effect.MISSING, ended)


@observes("GetDiagnostics")
def get_diagnostics(command: Command) -> Verdict | None:
    """§5.9: answered without fileName, there is nothing to upload."""
    if command.state == CommandState.ACCEPTED and not (command.answer or {}).get("fileName"):
        return _seen("The charge point has no diagnostics.")
    return _transfer(command, TransferKind.DIAGNOSTICS, "Uploaded", ["UploadFailed"])


@observes("UpdateFirmware")
def update_firmware(command: Command) -> Verdict | None:
    """§5.19: Installed, or a boot with another firmware version."""
    charge_point = command.charge_point
    if (
        command.sent_at is not None
        and charge_point.booted_at is not None
        and charge_point.booted_at > command.sent_at
        and charge_point.firmware_version not in ("", command.before)
    ):
        return _seen(f"Booted with firmware {charge_point.firmware_version}.")
    return _transfer(
        command, TransferKind.FIRMWARE, "Installed", ["DownloadFailed", "InstallationFailed"]
    )


@observes("SignedUpdateFirmware")
def signed_update_firmware(command: Command) -> Verdict | None:
    """WP L01: the signed installation to its end."""
    failed = (
        "DownloadFailed",
        "InstallationFailed",
        "InstallVerificationFailed",
        "InvalidSignature",
    )
    return _transfer(command, TransferKind.SIGNED_FIRMWARE, "Installed", failed)


@observes("GetLog")
def get_log(command: Command) -> Verdict | None:
    """WP N01: the upload to its end."""
    failed = ("BadMessage", "NotSupportedOperation", "PermissionDenied", "UploadFailure")
    return _transfer(command, TransferKind.LOG, "Uploaded", failed)


@observes("SendLocalList", "ChangeConfiguration")
def read_back(command: Command) -> Verdict | None:
    """§5.15, §5.3: the version, or the value, that a following command has read back."""
    follower = command.followers.order_by("-id").first()
    if follower is None:
        return Verdict(Effect.ASSUMED, "It cannot be read back.")
    if follower.state in (CommandState.QUEUED, CommandState.SENT):
        return None
    if follower.state != CommandState.ACCEPTED or follower.answer is None:
        return Verdict(Effect.MISSING, f"It could not be read back: {follower.error}"[:255])
    if command.action == "SendLocalList":
        wanted, found = command.payload["listVersion"], follower.answer.get("listVersion")
        if found == wanted:
            return _seen(f"The list has version {found}.")
        return Verdict(Effect.MISSING, f"The list has version {found} instead of {wanted}.")
    reboot = (command.answer or {}).get("status") == "RebootRequired"
    known = {
        str(item["key"]).casefold(): item.get("value")
        for item in follower.answer.get("configurationKey", ())
    }
    key, wanted = command.payload["key"], command.payload["value"]
    found = known.get(key.casefold())
    if MASK in (wanted, found):
        return Verdict(Effect.ASSUMED, f"{key} is a secret: its value is not kept.")
    if found is None and not wanted.strip() and key.casefold() in known:
        return _seen(f"{key} is empty.")
    if found is not None and found.strip().casefold() == wanted.strip().casefold():
        return _seen(f"{key} is {found}." + (" A reboot is required." if reboot else ""))
    if found is None:  # 7.29: a key without value is set to nothing, or may only be written
        return Verdict(Effect.ASSUMED, f"{key} cannot be read back.")
    if reboot:
        return Verdict(Effect.ASSUMED, f"{key} is {found} until the charge point has rebooted.")
    return Verdict(Effect.MISSING, f"{key} is {found} instead of {wanted}."[:255])


@observes("SetChargingProfile", "ClearChargingProfile")
def charging_profile(command: Command) -> Verdict | None:
    """§3.13: OCPP 1.6 cannot read profiles back."""
    return Verdict(Effect.ASSUMED, "Profiles cannot be read back; what is installed is assumed.")
