"""Observers: one for each action whose effect can be seen, in the rows that messages leave."""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.db.models import Q
from django.utils import timezone

from csms.models import Command, Connector, Message, Transaction, TransferStatus, Upload
from csms.models.authorization import fold
from csms.models.charge_points import ChargePointStatus
from csms.models.commands import CommandState, Effect
from csms.models.firmware import TransferKind
from csms.models.transactions import TransactionState
from csms.models.uploads import UploadState


class Verdict(NamedTuple):
    """What is known of an effect, in words. WAITING: why nothing is known so far."""

    effect: Effect
    text: str = ""
    transaction: Transaction | None = None
    at_deadline: Effect = Effect.MISSING
    """What WAITING comes to when nothing else was seen in time."""


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


def seen(text: str, row: Transaction | None = None) -> Verdict:
    return Verdict(Effect.SEEN, text, row)


def assumed(command: Command, text: str) -> Verdict:
    """Nothing will ever show it: what was accepted is believed, what nobody answered is not."""
    accepted = command.state == CommandState.ACCEPTED
    return Verdict(Effect.ASSUMED if accepted else Effect.MISSING, text)


NOTHING = "Nothing was seen in time."

REPLACED = Verdict(Effect.MISSING, "A later command has taken its place.")

DONE = (CommandState.ACCEPTED, CommandState.TIMED_OUT)
"""States of commands that a charge point has carried out, or may have."""


# ----------------------------------------------------------------- one for each action


EVER = datetime.min.replace(tzinfo=UTC)

CLOCK_TOLERANCE = timedelta(hours=1)
"""By how much a charge point's clock may be slow."""

CLOCK_SLACK = timedelta(minutes=5)
"""The same where what it kept while it was away may be taken for new."""

REPLAY = timedelta(minutes=1)
"""In which a charge point that is back has delivered what it kept."""

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
    ).exclude(commands__action="RemoteStartTransaction")
    if not _was_here(command):  # it may deliver what happened while it was away
        rows = rows.filter(started_at__gte=command.sent_at - CLOCK_SLACK)
    if "connectorId" in command.payload:
        rows = rows.filter(connector_id=command.payload["connectorId"])
    row = rows.order_by("id").first()
    if row is None or (command.state != CommandState.ACCEPTED and _better_founded(command)):
        return None
    return seen(f"Transaction {row} started.", row)


def _better_founded(command: Command) -> bool:
    """Whether a command that was accepted waits for the same: it goes before one that nobody
    answered."""
    others = Command.objects.filter(
        charge_point=command.charge_point_id,
        action=command.action,
        state=CommandState.ACCEPTED,
        effect=Effect.WAITING,
    )
    tag = fold(command.payload["idTag"])
    return any(
        fold(payload["idTag"]) == tag for payload in others.values_list("payload", flat=True)
    )


def _was_here(command: Command) -> bool:
    """Whether the charge point was connected well before the command: then it has delivered what it
    kept, and what comes now is new, whatever its clock says."""
    connected_at = command.charge_point.connected_at
    assert command.sent_at is not None
    return connected_at is not None and connected_at < command.sent_at - REPLAY


@observes("RemoteStopTransaction")
def remote_stop_transaction(command: Command) -> Verdict | None:
    """§5.12: that transaction has stopped."""
    row = Transaction.objects.filter(
        charge_point=command.charge_point_id, transaction_id=command.payload["transactionId"]
    ).first()
    if row is None or row.state != TransactionState.STOPPED:
        return None
    return seen(f"Transaction {row} stopped.", row)


@observes("Reset")
def reset(command: Command) -> Verdict | None:
    """§5.14: a BootNotification came."""
    booted_at = command.charge_point.booted_at
    if booted_at is None or command.sent_at is None or booted_at < command.sent_at:
        return None
    return seen("The charge point has booted.")


@observes("ChangeAvailability")
def change_availability(command: Command) -> Verdict | None:
    """§5.2: the status. One that was so before brings no StatusNotification, and counts.

    Accepted says that it is done: when no status came, it is assumed, unless a status that is known
    says otherwise. Scheduled says that it is not done yet: its status has to come.

    §4.9: Unavailable is what the command makes of a connector. Faulted tells nothing of it: either
    may lie under the fault.
    """
    number, inoperative = command.payload["connectorId"], command.payload["type"] == "Inoperative"
    rows = list(Connector.objects.filter(charge_point=command.charge_point_id).exclude(status=""))
    itself = [row for row in rows if row.connector_id == 0]
    asked = [row for row in rows if row.connector_id == number]
    if number == 0:  # all of them; some charge points tell only of themselves
        asked = [row for row in rows if row.connector_id > 0] or asked
    faulted = [row for row in asked if row.status == ChargePointStatus.FAULTED]
    contrary = [row for row in asked if row not in faulted and not _is_so(row, inoperative)]
    if asked and not faulted and not contrary:
        return seen("Unavailable" if inoperative else "Available again")
    assert command.sent_at is not None
    scheduled = (command.answer or {}).get("status") == "Scheduled"
    done = command.state == CommandState.ACCEPTED and not scheduled and not contrary
    text = "No status came: it may have been so before." if done else NOTHING
    if faulted and not contrary:
        text = f"Connector {faulted[0].connector_id} is Faulted: nothing else is known of it."
    elif number == 0 and any(_overrules(row, contrary, inoperative) for row in itself):
        since = command.sent_at if scheduled else EVER
        done = command.state == CommandState.ACCEPTED and _received(itself[0]) >= since
        text = (
            f"The charge point is {itself[0].status}; of connector {contrary[0].connector_id} "
            "no newer status came."
        )
    effect = Effect.ASSUMED if done else Effect.MISSING
    if _taken_back(command):
        return Verdict(effect, REPLACED.text)
    return Verdict(Effect.WAITING, text, at_deadline=effect)


def _is_so(row: Connector, inoperative: bool) -> bool:
    return (row.status == ChargePointStatus.UNAVAILABLE) == inoperative


def _received(row: Connector) -> datetime:
    return row.received_at or EVER


def _overrules(itself: Connector, contrary: list[Connector], inoperative: bool) -> bool:
    """Whether the charge point's own status is newer than those of its connectors."""
    newer = all(_received(itself) >= _received(row) for row in contrary)
    told = itself.status != ChargePointStatus.FAULTED and _is_so(itself, inoperative)
    return bool(contrary) and newer and told


def _taken_back(command: Command) -> bool:
    """Whether a later command was accepted that asks for the contrary."""
    return (
        Command.objects.filter(
            charge_point=command.charge_point_id,
            action=command.action,
            id__gt=command.pk,
            state=CommandState.ACCEPTED,
            payload__connectorId=command.payload["connectorId"],
        )
        .exclude(payload__type=command.payload["type"])
        .exists()
    )


@observes("UnlockConnector")
def unlock_connector(command: Command) -> Verdict | None:
    """§5.18: "Unlocked" says that it has happened; no message follows."""
    return seen("The charge point says that it unlocked the connector.")


EXTENDED = {
    "FirmwareStatusNotification": "SignedFirmwareStatusNotification",
    "SignChargePointCertificate": "SignCertificate",
}
"""What ExtendedTriggerMessage brings where that is not the message of this name (WP)."""


CONNECTOR = r'connectorId(?:"\s*:\s*"?|[^<>]*>\s*){}\b'
"""As JSON and XML write it, numbers as texts included."""


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
        if number is None or re.search(CONNECTOR.format(number), text):
            return seen(f"{name} came.")
    return None


RETRIED = frozenset({"DownloadFailed", "UploadFailed", "UploadFailure"})
"""What may be told of each of several attempts (`retries`)."""

SILENCE = timedelta(minutes=10)
"""Beyond the time of all attempts, after which a failed one was the last: some charge points tell
of each attempt, others of the last one only."""


def _newer(command: Command) -> Command | None:
    """The next command of its kind: what comes after it without an id is about that one."""
    rows = Command.objects.filter(
        charge_point=command.charge_point_id,
        action=command.action,
        id__gt=command.pk,
        state__in=DONE,
    )
    return rows.order_by("id").first()


def _transfer(
    command: Command, kind: TransferKind, good: str, failed: Iterable[str]
) -> Verdict | None:
    """The end of a transfer. Notifications without an id belong to the latest command.

    §4.4, §4.5: Idle is no progress.
    """
    newer = _newer(command)
    mine = Q() if newer is None else Q(received_at__lt=newer.sent_at)
    request_id = command.payload.get("requestId")
    if request_id is not None:
        mine &= Q(request_id=request_id) | Q(request_id=None)
        if newer is not None and newer.payload["requestId"] != request_id:
            mine |= Q(request_id=request_id)
    rows = TransferStatus.objects.filter(
        mine,
        charge_point=command.charge_point_id,
        kind=kind,
        received_at__gte=command.sent_at,
    ).exclude(status="Idle")
    told = list(rows.order_by("-id").values_list("status", "received_at")[:100])
    states = [state for state, _ in told]
    if good in states:
        return seen(good)
    ends = [state for state in states if state in failed]
    if newer is not None:
        return Verdict(Effect.MISSING, ends[0]) if ends else REPLACED
    if not ends:
        return None
    if ends[0] in RETRIED and len(ends) <= command.payload.get("retries", 0):
        last = told[0][1] if states[0] in RETRIED else None
        effect = Effect.MISSING if last and _gave_up(command, last) else Effect.WAITING
        return Verdict(effect, f"{ends[0]}, and no later attempt went better.")
    return Verdict(Effect.MISSING, ends[0])


def _gave_up(command: Command, failed_at: datetime) -> bool:
    """Whether all attempts would have been made since one has failed and nothing was told."""
    if "retryInterval" not in command.payload:
        return False
    attempts = int(command.payload["retries"]) + 1
    span = timedelta(seconds=attempts * int(command.payload["retryInterval"]))
    return failed_at + span + SILENCE <= timezone.now()


def _delivered(command: Command) -> Verdict | None:
    """The file itself, whatever is told of it."""
    here = Upload.objects.filter(command=command, state=UploadState.RECEIVED).exists()
    return seen("The file is here.") if here else None


def _booted_anew(command: Command) -> Verdict | None:
    """A boot with another firmware version than before counts as installed."""
    charge_point, newer = command.charge_point, _newer(command)
    booted_at, version = charge_point.booted_at, charge_point.firmware_version
    assert command.sent_at is not None
    if booted_at is None or booted_at <= command.sent_at:
        return None
    if newer is not None and newer.sent_at is not None and booted_at >= newer.sent_at:
        return None
    if not command.before or version in ("", command.before):
        return None
    return seen(f"Booted with firmware {version}.")


@observes("GetDiagnostics")
def get_diagnostics(command: Command) -> Verdict | None:
    """§5.9: answered without fileName, there is nothing to upload."""
    if command.state == CommandState.ACCEPTED and not (command.answer or {}).get("fileName"):
        return seen("The charge point has no diagnostics.")
    failed = ("UploadFailed",)
    return _delivered(command) or _transfer(command, TransferKind.DIAGNOSTICS, "Uploaded", failed)


@observes("UpdateFirmware")
def update_firmware(command: Command) -> Verdict | None:
    """§5.19: Installed, or a boot with another firmware version."""
    failed = ("DownloadFailed", "InstallationFailed")
    return _booted_anew(command) or _transfer(command, TransferKind.FIRMWARE, "Installed", failed)


@observes("SignedUpdateFirmware")
def signed_update_firmware(command: Command) -> Verdict | None:
    """WP L01: the signed installation to its end, which is told after the boot (with its id)."""
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
    return _delivered(command) or _transfer(command, TransferKind.LOG, "Uploaded", failed)


@observes("SetChargingProfile", "ClearChargingProfile")
def charging_profile(command: Command) -> Verdict | None:
    """§3.13: OCPP 1.6 cannot read profiles back."""
    return Verdict(Effect.ASSUMED, "Profiles cannot be read back; what is installed is assumed.")
