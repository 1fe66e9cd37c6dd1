"""What webhooks are told: events, written in the transaction of what they tell.

So nothing is told that was rolled back, and nothing that was acknowledged is forgotten. Nothing is
done while no subscription wants it; a batch of the inbox costs one statement more when one does.
"""

import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from django.db import transaction

from csms.conf import settings
from csms.models import (
    ChargePoint,
    Command,
    Connector,
    SecurityEvent,
    Transaction,
    WebhookEvent,
)
from csms.models.commands import FINAL_STATES
from csms.models.webhooks import WebhookKind
from csms.services import bus
from csms.services.rows import insert
from csms.services.webhooks import EVENTS, takers, wanted_kinds
from csms.services.world import MeterRow, World

STATUS_COLUMNS = frozenset({"status", "error_code", "vendor_error_code"})
"""A change of these of a connector is told; that its status was only repeated is not."""


class Told(NamedTuple):
    """One event, for whoever wants it."""

    kind: WebhookKind | str
    """A text for what nobody subscribes to (webhook_trial.py)."""
    at: datetime
    """When it was received, or happened here."""
    identity: str
    site: str
    data: dict[str, Any]


def note(events: Iterable[Told]) -> None:
    """Keep events for those who want them; the caller holds the transaction."""
    now = datetime.now(UTC)
    expires_at = now + timedelta(hours=settings().webhook_max_age_hours)
    rows = []
    for event in events:
        subscriptions = takers(str(event.kind), event.identity, event.site)
        if not subscriptions:
            continue
        event_id = uuid.uuid4()
        body = body_of(event, event_id)
        rows += [
            WebhookEvent(
                subscription_id=pk,
                event_id=event_id,
                kind=str(event.kind),
                identity=event.identity,
                body=body,
                created_at=now,
                expires_at=expires_at,
            )
            for pk in subscriptions
        ]
    if rows:
        insert(WebhookEvent, rows)
        transaction.on_commit(_wake)


def _wake() -> None:
    bus.publish(EVENTS)


def body_of(event: Told, event_id: uuid.UUID) -> str:
    """The JSON that is sent of an event."""
    told = {
        "id": str(event_id),
        "kind": str(event.kind),
        "at": event.at,
        "charge_point": {"identity": event.identity, "site": event.site},
        "data": event.data,
    }
    return msgspec.json.encode(_in_utc(told)).decode()


def _in_utc(plain: dict[str, Any]) -> dict[str, Any]:
    """The same with all its times in UTC, as they leave with a Z."""
    return {
        name: _in_utc(value)
        if isinstance(value, dict)
        else value.astimezone(UTC)
        if isinstance(value, datetime)
        else value
        for name, value in plain.items()
    }


# ------------------------------------------------------------------------------ a batch


def note_batch(world: World) -> None:
    """Keep what a batch of messages changed; new rows have their keys already."""
    kinds = wanted_kinds()
    if not kinds:
        return
    found: list[tuple[datetime, int, Told]] = []
    if WebhookKind.TRANSACTION_STARTED in kinds:
        found += [(row.start_received_at, 1, _started(row, world)) for row in _new(world)]
    if WebhookKind.TRANSACTION_UPDATED in kinds:
        found += [(event.at, 2, event) for event in _updates(world)]
    if WebhookKind.TRANSACTION_STOPPED in kinds:
        found += [_stopped(row, world) for row in _ended(world)]
    if WebhookKind.STATUS_CHANGED in kinds:
        found += [(event.at, 2, event) for event in _statuses(world)]
    if WebhookKind.SECURITY_EVENT in kinds:
        found += [(event.at, 2, event) for event in _security_events(world)]
    found.sort(key=lambda each: each[:2])  # in the order of arrival
    note(event for _, _, event in found)


def _new(world: World) -> Sequence[Transaction]:
    return world.created[Transaction]


def _ended(world: World) -> Iterator[Transaction]:
    for row in _new(world):
        if not row.is_open:
            yield row
    for changed, names in world.changed.values():
        if isinstance(changed, Transaction) and "state" in names and not changed.is_open:
            yield changed


def _of(world: World, charge_point_pk: int) -> tuple[str, str]:
    """Identity and site."""
    charge_point = world.charge_points[charge_point_pk]
    return charge_point.identity, charge_point.site


def _begun(row: Transaction) -> dict[str, Any]:
    """What is known of a transaction from its start; the names are those of the REST API."""
    return {
        "transaction_id": row.transaction_id,
        "connector_id": row.connector_id,
        "id_tag": row.id_tag,
        "authorization": row.authorization,
        "reservation_id": row.reservation_id,
        "started_at": row.started_at,
        "meter_start": row.meter_start,
    }


def _started(row: Transaction, world: World) -> Told:
    identity, site = _of(world, row.charge_point_id)
    kind = WebhookKind.TRANSACTION_STARTED
    return Told(kind, row.start_received_at, identity, site, _begun(row))


def _stopped(row: Transaction, world: World) -> tuple[datetime, int, Told]:
    """A transaction that another start overtook comes before that."""
    at, rank = row.stop_received_at, 3
    if at is None:
        rank = 0
        overtaking = [
            other.start_received_at
            for other in _new(world)
            if (other.charge_point_id, other.connector_id)
            == (row.charge_point_id, row.connector_id)
            and other is not row
        ]
        later = [at for at in overtaking if at >= row.start_received_at]
        at = min(later or overtaking)  # our own clock may have been set back (F16)
    identity, site = _of(world, row.charge_point_id)
    data = _begun(row) | {
        "state": row.state,
        "stopped_at": row.stopped_at,
        "meter_stop": row.meter_stop,
        "stop_reason": row.stop_reason,
        "stop_id_tag": row.stop_id_tag,
        "energy": row.energy,
        "billable": row.billable,
        "flags": list(row.flags),
    }
    return at, rank, Told(WebhookKind.TRANSACTION_STOPPED, at, identity, site, data)


def _updates(world: World) -> Iterator[Told]:
    """One for each MeterValues of a transaction; those of a StopTransaction belong to its stop."""
    messages: dict[tuple[int, datetime], list[MeterRow]] = {}
    for reading in world.meter_rows:
        row = reading.transaction
        if row is not None and reading.received_at != row.stop_received_at:
            key = (row.transaction_id, reading.received_at)
            messages.setdefault(key, []).append(reading)
    for (_, at), readings in messages.items():
        yield _updated(at, readings, world)


def _updated(at: datetime, readings: list[MeterRow], world: World) -> Told:
    row = readings[0].transaction
    assert row is not None
    last = max(readings, key=lambda reading: reading.bucket_at)
    registers = [reading.energy for reading in readings if reading.energy is not None]
    register = registers[-1] if registers else None
    data = {
        "transaction_id": row.transaction_id,
        "connector_id": row.connector_id,
        "id_tag": row.id_tag,
        "measured_at": last.bucket_at,
        "meter": register,
        "energy_so_far": None
        if register is None or register < row.meter_start
        else register - row.meter_start,
        "power": last.power,
        "soc": last.soc,
    }
    identity, site = _of(world, row.charge_point_id)
    return Told(WebhookKind.TRANSACTION_UPDATED, at, identity, site, data)


def _statuses(world: World) -> Iterator[Told]:
    new = [row for row in world.created[Connector] if row.status]
    changed = [
        row
        for row, names in world.changed.values()
        if isinstance(row, Connector) and not STATUS_COLUMNS.isdisjoint(names)
    ]
    for row in (*new, *changed):
        identity, site = _of(world, row.charge_point_id)
        data = {
            "connector_id": row.connector_id,
            "status": row.status,
            "error_code": row.error_code,
            "vendor_error_code": row.vendor_error_code,
            "info": row.info,
            "reported_at": row.reported_at,
        }
        assert row.received_at is not None
        yield Told(WebhookKind.STATUS_CHANGED, row.received_at, identity, site, data)


def _security_events(world: World) -> Iterator[Told]:
    for row in world.created[SecurityEvent]:
        known = row.charge_point_id is not None
        yield _security_event(row, _of(world, row.charge_point_id)[1] if known else "")


def _security_event(row: SecurityEvent, site: str) -> Told:
    data = {
        "type": row.kind,
        "tech_info": row.tech_info,
        "ours": row.ours,
        "remote_address": row.remote_address,
        "happened_at": row.happened_at,
    }
    return Told(WebhookKind.SECURITY_EVENT, row.received_at, row.identity, site, data)


# --------------------------------------------------------------------- outside of batches


def note_security_events(rows: Collection[SecurityEvent]) -> None:
    """Security events were kept; the caller holds the transaction."""
    if WebhookKind.SECURITY_EVENT in wanted_kinds():
        known = ChargePoint.objects.filter(pk__in={row.charge_point_id for row in rows})
        # One may have been deleted meanwhile.
        sites: dict[int | None, str] = dict(known.values_list("pk", "site"))
        note(_security_event(row, sites.get(row.charge_point_id, "")) for row in rows)


def note_command(command: Command) -> None:
    """A command's state changed; it is told when it is final. The caller holds the transaction."""
    if command.state in FINAL_STATES and WebhookKind.COMMAND_FINISHED in wanted_kinds():
        note([_finished(command, command.finished_at or datetime.now(UTC))])


def note_effect(*, command_id: int, at: datetime) -> None:
    """What became of a command's effect is kept: the command is told again, with it. The caller
    holds the transaction."""
    if WebhookKind.COMMAND_FINISHED in wanted_kinds():
        rows = Command.objects.select_related("charge_point", "transaction")
        note([_finished(rows.get(pk=command_id), at)])


def _finished(command: Command, at: datetime) -> Told:
    run = command.transaction
    data = {
        "command_id": command.pk,
        "batch": command.batch_id,
        "action": command.action,
        "state": command.state,
        "answer": command.answer,
        "error": command.error,
        "effect": command.effect,
        "effect_text": command.effect_text,
        "effect_at": command.effect_at,
        "transaction_id": None if run is None else run.transaction_id,
        "requested_by": command.requested_by,
        "created_at": command.created_at,
        "finished_at": command.finished_at or at,
    }
    charge_point = command.charge_point
    kind = WebhookKind.COMMAND_FINISHED
    return Told(kind, at, charge_point.identity, charge_point.site, data)


def presence_wanted() -> bool:
    """Whether anybody wants to know of charge points that come and go."""
    return not wanted_kinds().isdisjoint({WebhookKind.ONLINE, WebhookKind.OFFLINE})


def note_presence(charge_points: Iterable[ChargePoint], *, online: bool, at: datetime) -> None:
    """Charge points came or went; the caller holds the transaction."""
    kind = WebhookKind.ONLINE if online else WebhookKind.OFFLINE
    if kind in wanted_kinds():
        note(
            Told(
                kind,
                at,
                row.identity,
                row.site,
                {
                    "transport": row.transport,
                    "remote_address": row.remote_address,
                    "last_seen": row.last_seen,
                },
            )
            for row in charge_points
        )
