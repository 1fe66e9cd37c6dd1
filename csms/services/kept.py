"""Rows that stay in memory from batch to batch, exactly as long as they are true.

Charge points speak again and again of the same charger, connector, transaction and idTag; reading
these rows for each batch took half of its time. A batch that failed forgets them all.

On SQLite `PRAGMA data_version` says whether another connection has committed since: it is read
inside the batch's transaction, when nobody else can write any more. Any such commit (the admin's, a
new connection's epoch, the shell's) forgets everything.

On PostgreSQL each row has the transaction that wrote it (`xmin`): when the charge points of the
batch are locked, what is kept of them is asked for that alone, and read again where it is another.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from django.db import connection

from csms.models import ChargePoint, Connector, IdTag, Transaction
from csms.services.rows import among, fetch, version_of, versioned

if TYPE_CHECKING:
    from csms.services.world import World

MOST = 8_000
"""Rows; when there are more, all are forgotten (3 KiB each)."""

_LOCK = (
    "SELECT id, xmin::text, pg_current_xact_id()::xid::text FROM csms_chargepoint WHERE {} "
    "ORDER BY id FOR NO KEY UPDATE"
)
_VERSIONS = (
    "SELECT 'connector', id, xmin::text FROM csms_connector WHERE {0} "
    "UNION ALL SELECT 'transaction', id, xmin::text FROM csms_transaction WHERE {0}"
)


class Kept:
    """The rows of one worker's connection. All its writes must be told, by `keep` or `forget`."""

    def __init__(self) -> None:
        self.charge_points: dict[int, ChargePoint] = {}
        self.connectors: dict[tuple[int, int], Connector] = {}
        self.transactions: dict[int, Transaction] = {}
        """By transactionId."""
        self.id_tags: dict[str, IdTag] = {}
        """By their key. None on PostgreSQL: what they are held to has no version."""
        self.allowed: dict[int, set[int]] = {}
        """Charge points that an idTag is held to, by its primary key, for each of `id_tags`."""
        self._on_sqlite = connection.vendor == "sqlite"
        self._spoilt = True
        """What is kept may be wrong: a batch changes its rows in place."""
        self._seen = 0
        """SQLite: the version of the database."""
        self._writing = ""
        """PostgreSQL: the batch's transaction."""

    def begin(self) -> None:
        """A batch's transaction has begun. Until `keep` what is kept counts as spoilt."""
        kinds: tuple[dict[Any, Any], ...] = (
            self.charge_points,
            self.connectors,
            self.transactions,
            self.id_tags,
            self.allowed,
        )
        if not self._true() or sum(map(len, kinds)) > MOST:
            for rows in kinds:
                rows.clear()
        self._spoilt = True

    def _true(self) -> bool:
        if self._on_sqlite:
            with connection.cursor() as cursor:
                version = cursor.execute("PRAGMA data_version").fetchone()[0]
            seen, self._seen = self._seen, version
            if version != seen:
                return False
        return not self._spoilt

    def confirm(
        self,
        charge_points: Collection[int],
        connectors: Collection[tuple[int, int]],
        transaction_ids: Collection[int],
    ) -> None:
        """Forget what of these is another row now; on PostgreSQL the charge points are locked.

        In one order, first of all that is locked: a connection that has been replaced cannot commit
        behind the new one's back (F14), and no two processes wait for each other.
        """
        if self._on_sqlite or not charge_points:
            return
        found = {}
        for pk, version, self._writing in fetch(_LOCK.format(among("id")), charge_points):
            found[pk] = version
        for pk in charge_points:
            if pk in self.charge_points and version_of(self.charge_points[pk]) != found.get(pk):
                del self.charge_points[pk]
        ours = {key: self.connectors[key] for key in connectors if key in self.connectors}
        running = {
            key: self.transactions[key] for key in transaction_ids if key in self.transactions
        }
        if not ours and not running:
            return
        keys = [row.pk for row in ours.values()], [row.pk for row in running.values()]
        versions = {
            (kind, pk): version for kind, pk, version in fetch(_VERSIONS.format(among("id")), *keys)
        }
        for key, connector in ours.items():
            if version_of(connector) != versions.get(("connector", connector.pk)):
                del self.connectors[key]
        for transaction_id, row in running.items():
            if version_of(row) != versions.get(("transaction", row.pk)):
                del self.transactions[transaction_id]

    def keep(self, world: "World") -> None:
        """The batch was committed: these are its rows as they are in the database now."""
        self.charge_points.update(world.charge_points)
        self.connectors.update(world.connectors)
        self.transactions.update(world.transactions)
        if self._on_sqlite:
            self.id_tags.update(world.id_tags)
            for id_tag in world.id_tags.values():
                self.allowed[id_tag.pk] = world.allowed[id_tag.pk]
        else:
            for row in world.written():
                versioned(row, self._writing)
        self._spoilt = False

    def forget(self) -> None:
        """This connection writes something else."""
        self._spoilt = True
