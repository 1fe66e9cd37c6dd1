"""Local authorization lists brought up to date (§5.15), step by step (N34).

An update asks for the limits of a charge point where they are not known, then for the version of
its list (§5.10), and sends what is missing: a Differential where it still has what it was last
sent, else a Full list; in chunks of SendLocalListMaxLength, first Full, then Differentials with
rising versions. Each step is a command like any other, and its answer leads to the next: an update
survives restarts and waits for who is offline. A failure starts Full again.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone
from msgspec import UNSET

from csms.models import ChargePoint, Command, CommandBatch, Connector, LocalList
from csms.models.commands import BY_CLOCK, CommandState
from csms.ocpp.base import Request
from csms.ocpp.core import GetConfiguration
from csms.ocpp.local_auth_list_management import GetLocalListVersion, SendLocalList, UpdateType
from csms.services.commands import EXPIRES_IN, CommandRefused, batch_send, command_send
from csms.services.configuration_rules import MAX_KEYS, number_of, values_known
from csms.services.local_list_contents import (
    Entry,
    Wanted,
    authorization_data,
    changes_between,
    contents_trim,
)
from csms.services.local_list_states import (
    ENABLED,
    LIMIT_KEYS,
    SEND_MAX,
    State,
    enabled,
    list_states,
    room,
    under_way,
)

CHUNK = 100
"""Entries of one SendLocalList to a charge point that does not tell SendLocalListMaxLength."""
PORTION = 500
"""Lists whose updates are begun in one transaction: on SQLite everybody else waits meanwhile."""
RESTARTS = 2
"""How often an update that failed starts again by itself."""
LAST_VERSION = 2**31 - 1_000_000
"""From here on a Full list begins with version 1 again."""
CONFLICT_PAUSE = timedelta(minutes=10)
"""Between two updates that a charge point asks for by LocalListConflict."""
STEPS = frozenset({"GetConfiguration", "GetLocalListVersion", "SendLocalList"})
ANSWERED = frozenset({CommandState.ACCEPTED, CommandState.REJECTED, CommandState.ERROR})


class Update(NamedTuple):
    """What became of the wish to bring lists up to date."""

    batches: list[CommandBatch]
    """The first steps; what follows is sent when these were answered."""
    current: int
    """Lists that need nothing, or are being updated already."""
    left: list[tuple[str, str]]
    """Identity, and why nothing is sent."""


def lists_update(
    *,
    charge_points: Iterable[ChargePoint],
    by: str = "",
    expires_in: int = EXPIRES_IN,
    full: bool = False,
) -> Update:
    """Begin to bring lists up to date; `full`: send the whole of them, even of what is current.

    Many are begun portion by portion: between two of them others may write.
    """
    rows = list(charge_points)
    done = Update([], 0, [])
    wanted = Wanted([])
    for start in range(0, len(rows), PORTION):
        portion = {row.pk: row for row in rows[start : start + PORTION]}
        with transaction.atomic():
            _one_at_a_time()
            some = _portion_update(portion, wanted.of(portion), by, expires_in, full)
        done = Update(
            done.batches + some.batches, done.current + some.current, done.left + some.left
        )
    with transaction.atomic():
        _one_at_a_time()
        contents_trim()
    return done


def _one_at_a_time() -> None:
    """Let nobody else begin updates until this transaction ends: they would begin the same ones,
    and trim contents that it is about to refer to. On SQLite one transaction writes anyway."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE csms_locallistcontent IN SHARE ROW EXCLUSIVE MODE")


def _portion_update(
    rows: dict[int, ChargePoint], wanted: Wanted, by: str, expires_in: int, full: bool
) -> Update:
    states = list_states(rows.values(), wanted)
    left: list[tuple[str, str]] = []
    due: list[ChargePoint] = []
    current = 0
    for pk, one in states.items():
        told_unsupported = one.state is State.UNSUPPORTED and (one.row is None or one.row.supported)
        if told_unsupported or one.state is State.OFF:
            left.append((rows[pk].identity, one.why))
        elif one.state is State.UPDATING or (one.state is State.CURRENT and not full):
            current += 1
        else:
            due.append(rows[pk])
    known = values_known(due, (*LIMIT_KEYS, MAX_KEYS))
    steps: dict[Request[Any], list[ChargePoint]] = {}
    for row in due:
        steps.setdefault(_first_step(known.get(row.pk, {})), []).append(row)
    targets = wanted.contents(row.pk for row in due)
    batches = []
    for request, some in steps.items():
        batch = batch_send(charge_points=some, request=request, by=by, expires_in=expires_in)
        left += [(identity, reason) for identity, reason in batch.refused]
        batches.append(batch)
        sent = dict(batch.commands.values_list("charge_point_id", "pk"))
        _begin(sent, {pk: one.row for pk, one in states.items()}, targets, full)
    return Update(batches, current, left)


def _begin(
    sent: dict[int, int], rows: dict[int, LocalList | None], targets: dict[int, Any], full: bool
) -> None:
    """Note the first step of each update."""
    now = timezone.now()
    begun = []
    for pk, command in sent.items():
        old = rows[pk]
        cut = old is not None and old.progress > 0  # an update ended halfway: nobody knows where
        begun.append(
            LocalList(
                charge_point_id=pk,
                target=targets[pk],
                full=full or cut or (old is not None and old.full),
                command_id=command,
                started_at=now,
                supported=True,
            )
        )
    LocalList.objects.bulk_create(
        begun,
        update_conflicts=True,
        unique_fields=["charge_point"],
        update_fields=[
            "target", "full", "progress", "restarts", "command", "started_at", "problem",
            "supported",
        ],
    )  # fmt: skip


def _first_step(known: dict[str, str]) -> Request[Any]:
    """The question that comes next: limits that are not known, else the version."""
    missing = [key for key in LIMIT_KEYS if key.casefold() not in known]
    if missing:
        most = number_of(known.get(MAX_KEYS.casefold())) or len(missing)
        return GetConfiguration(key=tuple(missing[:most]))
    return GetLocalListVersion()


# ------------------------------------------------------------------------------- the steps


def list_answered(command: Command, *, now: datetime) -> None:
    """Go on with an update when one of its steps has ended, and keep what else is told of a list.
    To be called when the command's answer is kept; the caller saves the command."""
    if command.action not in STEPS or command.state not in ANSWERED:
        return
    row = (
        LocalList.objects.select_for_update(of=("self",))
        .select_related("charge_point", "command")
        .filter(charge_point=command.charge_point_id)
        .first()
    )
    if row is not None and row.target_id is not None and row.command_id == command.pk:
        _step_ended(row, command, now)
    elif command.state == CommandState.ACCEPTED:
        _told(row, command, now)


def _step_ended(row: LocalList, command: Command, now: datetime) -> None:
    status = str((command.answer or {}).get("status", ""))
    if command.state == CommandState.ERROR:
        if command.error.startswith(("NotImplemented", "NotSupported")):
            _stop(row, f"{command.action}: {command.error}", supported=False)
        return  # the command says why the update stands still
    if command.action == "GetConfiguration":
        known = values_known([row.charge_point_id], (*LIMIT_KEYS, MAX_KEYS))
        values = known.get(row.charge_point_id, {})
        if enabled(values):
            _send(row, _first_step(values), command.requested_by)
        else:
            _stop(row, f"{ENABLED} is false.")
    elif command.action == "GetLocalListVersion":
        _version_told(row, command, now)
    elif command.state == CommandState.ACCEPTED:
        _accepted(row, command, now)
    elif status == "NotSupported":
        _stop(row, "SendLocalList: NotSupported.", supported=False)
    elif command.state == CommandState.REJECTED:
        _restart(row, f"SendLocalList: {status}.", command.requested_by)


def _version_told(row: LocalList, command: Command, now: datetime) -> None:
    """§5.10: -1: there is no list at all; 0: it is empty."""
    told = int((command.answer or {}).get("listVersion", 0))
    if told < 0:
        _stop(row, "It says that it has no local list (version -1).", supported=False)
        return
    if told != row.version or row.content_id is None:
        row.full = True  # it does not have what it was sent last
    row.version = told
    _send_next(row, command.requested_by, now)


def _accepted(row: LocalList, command: Command, now: datetime) -> None:
    row.version = command.payload["listVersion"]
    row.progress += len(command.payload.get("localAuthorizationList") or ())
    row.full = row.full or command.payload["updateType"] == UpdateType.FULL
    _send_next(row, command.requested_by, now, begun=True)


def _send_next(row: LocalList, by: str, now: datetime, *, begun: bool = False) -> None:
    """Send the next chunk; without one the list is up to date."""
    values = values_known([row.charge_point_id], LIMIT_KEYS).get(row.charge_point_id, {})
    changes, length = _changes(row, values)
    rest = changes[row.progress :]
    first = row.full and not begun
    if not rest and not first:
        row.content, row.length, row.target = row.target, length, None
        row.full, row.progress, row.restarts = False, 0, 0
        row.problem, row.supported, row.updated_at = "", True, now
        row.save()
        return
    most = number_of(values.get(SEND_MAX.casefold())) or CHUNK
    version = (row.version or 0) + 1
    if first and version > LAST_VERSION:
        version = 1  # 5.15: only a Differential must be higher
    request = SendLocalList(
        list_version=version,
        local_authorization_list=tuple(authorization_data(entry, now=now) for entry in rest[:most])
        or UNSET,
        update_type=UpdateType.FULL if first else UpdateType.DIFFERENTIAL,
    )
    _send(row, request, by)


def _changes(row: LocalList, values: dict[str, str]) -> tuple[list[Entry], int]:
    """All that an update sends, in its order; and how long the list is then."""
    assert row.target is not None
    length = room(values, row.target.size)
    new = row.target.whole()[:length]
    if row.full or row.content is None:
        return new, length
    return changes_between(row.content.whole()[: row.length], new), length


def _restart(row: LocalList, why: str, by: str) -> None:
    """N34: a failure starts Full again; a few times."""
    if row.restarts >= RESTARTS:
        _stop(row, why)
        return
    row.full, row.progress, row.restarts = True, 0, row.restarts + 1
    _send(row, GetLocalListVersion(), by)


def _send(row: LocalList, request: Request[Any], by: str) -> None:
    try:
        row.command = command_send(charge_point=row.charge_point, request=request, by=by)
    except CommandRefused as refusal:
        _stop(row, str(refusal))
        return
    row.save()


def _stop(row: LocalList, why: str, *, supported: bool = True) -> None:
    """An update has failed for good; what the charge point has now is not known."""
    row.problem, row.supported = why[:255], supported
    row.content, row.length, row.target = None, 0, None
    row.full, row.progress, row.restarts = False, 0, 0
    row.save()


# --------------------------------------------------------- what happens outside of updates


def _told(row: LocalList | None, command: Command, now: datetime) -> None:
    """What an answer says of a list that no update is asking about."""
    if command.action == "SendLocalList":  # somebody sent a list by hand
        LocalList.objects.update_or_create(
            charge_point=command.charge_point,
            defaults={
                "version": command.payload["listVersion"],
                "content": None,
                "updated_at": now,
            },
        )
    if row is None or command.action != "GetLocalListVersion":
        return
    told = int((command.answer or {}).get("listVersion", 0))
    asked = row.command
    if asked is not None and asked.pk == command.follows_id and row.target_id is not None:
        if asked.state == CommandState.TIMED_OUT:  # whether it was carried out is known now
            _outcome_told(row, asked, told, now)
    elif not under_way(row) and told != row.version:
        row.version, row.content, row.length = told, None, 0
        row.save(update_fields=["version", "content", "length"])


def _outcome_told(row: LocalList, asked: Command, told: int, now: datetime) -> None:
    if asked.action == "SendLocalList" and told == asked.payload["listVersion"]:
        _accepted(row, asked, now)
    else:
        _restart(row, f"{asked.action}: the list has version {told}.", asked.requested_by)


def conflicts_settle(*, now: datetime) -> int:
    """Begin Full updates of the charge points that told a LocalListConflict since their last one
    (N34); how many."""
    began = "charge_point__local_list__started_at"
    unsettled = Connector.objects.filter(connector_id=0, list_conflict_at__isnull=False).filter(
        Q(**{began: None})
        | Q(**{f"{began}__lt": now - CONFLICT_PAUSE, "list_conflict_at__gt": F(began)})
    )
    rows = list(ChargePoint.objects.filter(pk__in=unsettled.values("charge_point")))
    if not rows:
        return 0
    with transaction.atomic():
        done = lists_update(charge_points=rows, by=f"{BY_CLOCK}: LocalListConflict", full=True)
        LocalList.objects.bulk_create(  # also those to which nothing can be sent: not each time
            [LocalList(charge_point=row, started_at=timezone.now()) for row in rows],
            update_conflicts=True,
            unique_fields=["charge_point"],
            update_fields=["started_at"],
        )
    return sum(batch.commands.count() for batch in done.batches)
