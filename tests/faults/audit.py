"""Triggers in the database that note who owned a charger and who wrote for it.

A second opinion, from below the product: each change of a charge point's epoch, and (on PostgreSQL,
where processes have names) by which process each row of a transaction or a reading was written and
which epoch the charger had at that moment.
"""

from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.site import Site

_SQLITE = """
CREATE TABLE faults_epoch (charge_point_id integer, epoch integer, owner text, writer text);
CREATE TRIGGER faults_epoch AFTER UPDATE OF epoch ON csms_chargepoint
WHEN new.epoch <> old.epoch BEGIN
    INSERT INTO faults_epoch VALUES (new.id, new.epoch, new.owner, '');
END;
"""

_POSTGRESQL = """
CREATE TABLE faults_epoch (charge_point_id bigint, epoch integer, owner text, writer text);
CREATE TABLE faults_write (charge_point_id bigint, epoch integer, writer text);
CREATE FUNCTION faults_epoch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO faults_epoch
    VALUES (new.id, new.epoch, new.owner, current_setting('application_name'));
    RETURN NULL;
END $$;
CREATE FUNCTION faults_write() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO faults_write
    SELECT id, epoch, current_setting('application_name') FROM csms_chargepoint
    WHERE id = new.charge_point_id AND transport = 'json';
    RETURN NULL;
END $$;
CREATE TRIGGER faults_epoch AFTER UPDATE OF epoch ON csms_chargepoint FOR EACH ROW
WHEN (new.epoch <> old.epoch) EXECUTE FUNCTION faults_epoch();
CREATE TRIGGER faults_write AFTER INSERT OR UPDATE ON csms_transaction FOR EACH ROW
EXECUTE FUNCTION faults_write();
CREATE TRIGGER faults_write AFTER INSERT ON csms_metervalue FOR EACH ROW
EXECUTE FUNCTION faults_write();
"""


def install(site: "Site") -> None:
    """Begin to note; the tables must exist."""
    if site.postgres is not None:
        with site.postgres.connected(site.database) as connection:
            connection.execute(_POSTGRESQL)
        return
    import sqlite3

    with closing(sqlite3.connect(site.sqlite)) as opened:
        opened.executescript(_SQLITE)


def disputes(site: "Site") -> list[str]:
    """Where a charger had two owners at one time, or was written for by who did not own it."""
    found = []
    last: dict[int, int] = {}
    makers: dict[tuple[int, int], str] = {}
    noted = site.rows("SELECT charge_point_id, epoch, owner, writer FROM faults_epoch")
    for pk, epoch, owner, writer in sorted(noted, key=lambda row: (row[0], row[1])):
        if epoch <= last.get(pk, 0):
            found.append(f"epoch {epoch} of charge point {pk} was given twice")
        if not owner:
            found.append(f"epoch {epoch} of charge point {pk} has no owner")
        last[pk] = epoch
        makers[pk, epoch] = writer
    if site.postgres is not None:
        query = "SELECT DISTINCT charge_point_id, epoch, writer FROM faults_write"
        for pk, epoch, writer in site.rows(query):
            if makers.get((pk, epoch)) != writer:
                found.append(f"{writer} wrote for charge point {pk} in epoch {epoch}")
    return found
