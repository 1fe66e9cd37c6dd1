"""What a batch of messages needs to know, loaded with one query a kind, and what it changed.

The identity map of one batch: handlers find rows here, change them, and record the change. They
run no query themselves; `flush.py` writes what was recorded.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any

import msgspec
from django.db import connection, models

from csms.models import ChargePoint, Connector, IdTag, Transaction
from csms.models.authorization import fold
from csms.models.transactions import TransactionState
from csms.services.kept import Kept
from csms.services.rows import among, fetch, part, parts_like, read, read_all

StartKey = tuple[int, int, str, str, int]
"""Natural key of a start: charge point, connectorId, folded idTag, timestamp text, meterStart."""
START_COLUMNS = ("charge_point_id", "connector_id", "id_tag_key", "start_timestamp", "meter_start")


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What one message needs, named before anything is loaded."""

    connectors: tuple[int, ...] = ()
    id_tags: tuple[str, ...] = ()
    running_of_tags: bool = False
    """Also the open transactions of these idTags, everywhere."""
    transaction_ids: tuple[int, ...] = ()
    open_transactions: bool = False
    """The open transactions of this charge point, unless one of `transaction_ids` is known."""
    groups: bool = False
    """Also the idTags of those."""
    starts: tuple[tuple[int, str, str, int], ...] = ()
    """The transactions of this charge point with these keys: the rest of a StartKey."""


NOTHING = Needs()


class MeterRow(msgspec.Struct):
    """A meter value to append; its transaction may be new in this batch."""

    bucket_at: datetime
    charge_point_id: int
    connector_id: int
    transaction: Transaction | None
    timestamp: str
    received_at: datetime
    digest: int
    samples: str
    energy: float | None
    power: float | None
    soc: float | None
    flags: list[str]


@dataclass(slots=True)
class World:
    """Rows of one batch, by the keys under which handlers ask for them."""

    charge_points: dict[int, ChargePoint] = field(default_factory=dict)
    connectors: dict[tuple[int, int], Connector] = field(default_factory=dict)
    id_tags: dict[str, IdTag] = field(default_factory=dict)
    allowed: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    transactions: dict[int, Transaction] = field(default_factory=dict)
    """By transactionId."""
    _lists: "Lists | None" = None
    """The same by other keys; made when one is first asked for."""

    created: dict[type[models.Model], list[Any]] = field(default_factory=lambda: defaultdict(list))
    changed: dict[tuple[type[models.Model], int], tuple[models.Model, set[str]]] = field(
        default_factory=dict
    )
    """Rows that were loaded and their columns that are others now, by model and primary key."""
    meter_rows: list[MeterRow] = field(default_factory=list)
    log: list[tuple[Any, ...]] = field(default_factory=list)
    deviations: dict[tuple[int, str], tuple[int, str, datetime]] = field(default_factory=dict)
    quarantine: list[dict[str, Any]] = field(default_factory=list)
    knocks: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    _steps: list[tuple[Any, ...]] = field(default_factory=list)

    def begin(self) -> None:
        """From here on `undo` takes back; called before each handler."""
        self._steps.clear()

    def undo(self) -> None:
        """Take back all that a failed handler recorded: nothing is written for its message."""
        while self._steps:
            step = self._steps.pop()
            if step[0] == "set":
                _, row, name, old = step
                setattr(row, name, old)
            elif step[0] == "add":
                self.created[type(step[1])].remove(step[1])
            elif step[0] == "connector":
                del self.connectors[step[1]]
            elif step[0] == "know":
                self._forget(step[1])
            elif step[0] == "meter":
                del self.meter_rows[step[1] :]

    def add(self, row: models.Model) -> None:
        """Record a new row."""
        self.created[type(row)].append(row)
        self._steps.append(("add", row))

    def set(self, row: models.Model, **values: Any) -> None:
        """Change columns of a row and record which."""
        known = row.__dict__
        others = [name for name, value in values.items() if known[name] != value]
        for name in others:
            self._steps.append(("set", row, name, known[name]))
            setattr(row, name, values[name])
        if others and (pk := known["id"]) is not None:
            _, names = self.changed.setdefault((type(row), pk), (row, set()))
            names.update(others)

    def meter(self, rows: Iterable[MeterRow]) -> None:
        """Record meter values to append."""
        self._steps.append(("meter", len(self.meter_rows)))
        self.meter_rows += rows

    def deviate(self, charge_point_pk: int, name: str, example: str, at: datetime) -> None:
        """Count a deviation of a charge point."""
        count = self.deviations.get((charge_point_pk, name), (0,))[0]
        self.deviations[charge_point_pk, name] = (count + 1, example[:500], at)

    def written(self) -> Iterator[models.Model]:
        """The rows that this batch writes."""
        for row, _ in self.changed.values():
            yield row
        for rows in self.created.values():
            yield from rows

    def knock(
        self,
        identity: str,
        transport: str,
        *,
        remote_address: str,
        at: datetime,
        vendor: str = "",
        model: str = "",
    ) -> None:
        """Note that an unknown identity knocked."""
        known = self.knocks.get((identity, transport), {"count": 0, "vendor": "", "model": ""})
        self.knocks[identity, transport] = {
            "count": known["count"] + 1,
            "remote_address": remote_address,
            "vendor": vendor[:255] or known["vendor"],
            "model": model[:255] or known["model"],
            "at": at,
        }

    def connector(self, charge_point: ChargePoint, connector_id: int) -> Connector:
        """The connector, made on its first mention."""
        key = (charge_point.pk, connector_id)
        connector = self.connectors.get(key)
        if connector is None:
            connector = Connector(charge_point=charge_point, connector_id=connector_id)
            self.connectors[key] = connector
            self._steps.append(("connector", key))
            self.add(connector)
        return connector

    def know(self, transaction: Transaction) -> None:
        """Enter a transaction under every key by which it is asked for."""
        self.transactions[transaction.transaction_id] = transaction
        if self._lists is not None:
            self._lists.enter(transaction)
        self._steps.append(("know", transaction))

    def _forget(self, transaction: Transaction) -> None:
        del self.transactions[transaction.transaction_id]
        if self._lists is not None:
            self._lists.leave(transaction)

    @property
    def lists(self) -> "Lists":
        """The transactions by their other keys."""
        if self._lists is None:
            self._lists = Lists(self.transactions.values())
        return self._lists

    def open_transactions(self, charge_point: ChargePoint) -> list[Transaction]:
        """Those of a charge point, oldest first."""
        return [row for row in self.lists.by_charge_point[charge_point.pk] if row.is_open]

    def running(self, id_tag_key: str) -> list[Transaction]:
        """The open transactions of an idTag, everywhere."""
        return [row for row in self.lists.by_id_tag[id_tag_key] if row.is_open]


class Lists:
    """Transactions by what they share. MeterValues, of which there are most, need none of it."""

    def __init__(self, rows: Iterable[Transaction]) -> None:
        self.starts: dict[StartKey, list[Transaction]] = defaultdict(list)
        self.by_charge_point: dict[int, list[Transaction]] = defaultdict(list)
        self.by_id_tag: dict[str, list[Transaction]] = defaultdict(list)
        for row in rows:
            self.enter(row)

    def enter(self, row: Transaction) -> None:
        self.starts[start_key(row)].append(row)
        self.by_charge_point[row.charge_point_id].append(row)
        self.by_id_tag[row.id_tag_key].append(row)

    def leave(self, row: Transaction) -> None:
        self.starts[start_key(row)].remove(row)
        self.by_charge_point[row.charge_point_id].remove(row)
        self.by_id_tag[row.id_tag_key].remove(row)


def start_key(row: Transaction) -> StartKey:
    return (
        row.charge_point_id,
        row.connector_id,
        row.id_tag_key,
        row.start_timestamp,
        row.meter_start,
    )


def load(needs: Iterable[tuple[int, Needs]], kept: Kept | None = None) -> World:
    """Load what the messages of a batch need: (charge point pk, its needs) for each message.

    Rows that are `kept` from earlier batches are not read again.
    """
    world = World()
    charge_points: set[int] = set()
    connectors: set[tuple[int, int]] = set()
    tags: set[str] = set()
    running: set[str] = set()
    ids: set[int] = set()
    open_of: list[tuple[int, tuple[int, ...]]] = []
    starts: set[StartKey] = set()
    groups: list[tuple[int, tuple[int, ...]]] = []
    for pk, need in needs:
        charge_points.add(pk)
        connectors.update((pk, number) for number in need.connectors)
        keys = [fold(tag) for tag in need.id_tags]
        tags.update(keys)
        if need.running_of_tags:
            running.update(keys)
        ids.update(need.transaction_ids)
        if need.open_transactions:
            open_of.append((pk, need.transaction_ids))
        if need.groups:
            groups.append((pk, need.transaction_ids))
        starts.update((pk, *key) for key in need.starts)

    if kept is not None:
        kept.confirm(charge_points, connectors, ids)
        _take_kept(world, kept, charge_points, connectors, ids, tags)
        charge_points -= world.charge_points.keys()
        connectors -= world.connectors.keys()
        ids -= world.transactions.keys()
        tags -= world.id_tags.keys()
    if charge_points:
        # Locked where several processes write, so that a connection that has been replaced cannot
        # commit behind the new one's back (F14); in one order, first of all that is locked.
        tail = "ORDER BY id FOR NO KEY UPDATE" if connection.vendor == "postgresql" else ""
        for charge_point in read(ChargePoint, among("id"), charge_points, tail=tail):
            world.charge_points[charge_point.pk] = charge_point
    if connectors:
        for connector in read(
            Connector,
            f"{among('charge_point_id')} AND {among('connector_id')}",
            {pk for pk, _ in connectors},
            {number for _, number in connectors},
        ):
            world.connectors[connector.charge_point_id, connector.connector_id] = connector
    if tags:
        _load_tags(world, tags, lock=bool(running))
    if ids or open_of or running or starts:
        _load_transactions(world, ids, open_of, running, starts)
    lost = {pk for pk, known in groups if world.transactions.keys().isdisjoint(known)}
    others = {
        row.id_tag_key for pk in lost for row in world.lists.by_charge_point[pk] if row.is_open
    } - world.id_tags.keys()
    if others:
        _load_tags(world, others, lock=False)
    return world


def _take_kept(
    world: World,
    kept: Kept,
    charge_points: set[int],
    connectors: set[tuple[int, int]],
    ids: set[int],
    tags: set[str],
) -> None:
    for pk in charge_points & kept.charge_points.keys():
        world.charge_points[pk] = kept.charge_points[pk]
    for key in connectors & kept.connectors.keys():
        world.connectors[key] = kept.connectors[key]
    for row in sorted((kept.transactions[i] for i in ids & kept.transactions.keys()), key=_by_pk):
        world.know(row)
    for tag in tags & kept.id_tags.keys():
        id_tag = world.id_tags[tag] = kept.id_tags[tag]
        world.allowed[id_tag.pk] = kept.allowed[id_tag.pk]


_by_pk = attrgetter("pk")


def _load_tags(world: World, tags: set[str], *, lock: bool) -> None:
    """idTags with the charge points that they are held to.

    Where running transactions count, the rows are locked in a fixed order, so that two starts of
    one tag in two processes see each other.
    """
    locked = lock and connection.features.has_select_for_no_key_update
    tail = "ORDER BY id FOR NO KEY UPDATE" if locked else ""
    found = read(IdTag, among("key", "text"), tags, tail=tail)
    world.id_tags.update((id_tag.key, id_tag) for id_tag in found)
    if found:
        held = IdTag.charge_points.through._meta.db_table
        query = f"SELECT idtag_id, chargepoint_id FROM {held} WHERE {among('idtag_id')}"  # noqa: S608
        for id_tag_pk, charge_point_pk in fetch(query, [id_tag.pk for id_tag in found]):
            world.allowed[id_tag_pk].add(charge_point_pk)


_OPEN = f"state = '{TransactionState.OPEN.value}'"  # no parameter: there is an index of these


def _load_transactions(
    world: World,
    ids: set[int],
    open_of: list[tuple[int, tuple[int, ...]]],
    running: set[str],
    starts: set[StartKey],
) -> None:
    def know(rows: list[Transaction]) -> None:
        # Sorted here: told to, SQLite may read the whole table in that order.
        for row in sorted(rows, key=_by_pk):
            if row.transaction_id not in world.transactions:
                world.know(row)

    if ids:
        know(read(Transaction, among("transaction_id"), ids))
    lost = {pk for pk, known in open_of if world.transactions.keys().isdisjoint(known)}
    parts = []
    if lost:
        parts.append(part(Transaction, f"{among('charge_point_id')} AND {_OPEN}", lost))
    if running:
        parts.append(part(Transaction, f"{among('id_tag_key', 'text')} AND {_OPEN}", running))
    if starts:
        parts += parts_like(Transaction, START_COLUMNS, sorted(starts))
    know(read_all(Transaction, parts))
