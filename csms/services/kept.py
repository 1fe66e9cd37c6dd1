"""Rows that stay in memory from batch to batch, exactly as long as they are true (SQLite).

Charge points speak again and again of the same charger, connector, transaction and idTag; reading
these rows for each batch took half of its time. They may be kept because
`PRAGMA data_version` says whether another connection has committed since: it is read inside the
batch's transaction, when nobody else can write any more. Any such commit (the admin's, a new
connection's epoch, the shell's) forgets everything, and so does a batch that failed. PostgreSQL has
nothing of the kind: there each batch reads its rows.
"""

from typing import Any

from django.db import connection

from csms.models import ChargePoint, Connector, IdTag, Transaction

MOST = 8_000
"""Rows; when there are more, all are forgotten (3 KiB each)."""


class Kept:
    """The rows of one worker's connection. All its writes must be told, by `keep` or `forget`."""

    def __init__(self) -> None:
        self.charge_points: dict[int, ChargePoint] = {}
        self.connectors: dict[tuple[int, int], Connector] = {}
        self.transactions: dict[int, Transaction] = {}
        """By transactionId."""
        self.id_tags: dict[str, IdTag] = {}
        """By their key."""
        self.allowed: dict[int, set[int]] = {}
        """Charge points that an idTag is held to, by its primary key, for each of `id_tags`."""
        self._version: int | None = None
        """None: what is kept may be wrong."""
        self._seen = 0

    def begin(self) -> None:
        """A batch's transaction has begun: rows that are still here afterwards are true.

        Until `keep` they count as spoilt, since handlers change them in place.
        """
        with connection.cursor() as cursor:
            version = cursor.execute("PRAGMA data_version").fetchone()[0]
        kinds: tuple[dict[Any, Any], ...] = (
            self.charge_points,
            self.connectors,
            self.transactions,
            self.id_tags,
            self.allowed,
        )
        if version != self._version or sum(map(len, kinds)) > MOST:
            for rows in kinds:
                rows.clear()
        self._seen, self._version = version, None

    def keep(
        self,
        charge_points: dict[int, ChargePoint],
        connectors: dict[tuple[int, int], Connector],
        transactions: dict[int, Transaction],
        id_tags: dict[str, IdTag],
        allowed: dict[int, set[int]],
    ) -> None:
        """The batch was committed: these are its rows as they are in the database now."""
        self.charge_points.update(charge_points)
        self.connectors.update(connectors)
        self.transactions.update(transactions)
        self.id_tags.update(id_tags)
        for id_tag in id_tags.values():
            self.allowed[id_tag.pk] = allowed[id_tag.pk]
        self._version = self._seen

    def forget(self) -> None:
        """This connection writes something else."""
        self._version = None
