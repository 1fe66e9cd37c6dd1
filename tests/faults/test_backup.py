"""Backups of a running central system, and what starts from them: docs/backup.md, step by step."""

import asyncio
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests import servers
from tests.faults import ledger
from tests.faults.conftest import NewSite
from tests.faults.fleet import Fleet
from tests.faults.ledger import Ledger
from tests.faults.site import Site
from tests.faults.wire import SoapCharger, json_charger, start, stop, transaction_id
from tests.serving import fails_in_one_line, manage

pytestmark = pytest.mark.slow

TABLES = (
    *("csms_chargepoint", "csms_connector", "csms_idtag", "csms_transaction"),
    *("csms_metervalue", "csms_message", "csms_command", "auth_user", "django_migrations"),
)
STARTED = """
SELECT c.identity, t.transaction_id FROM csms_transaction t
JOIN csms_chargepoint c ON c.id = t.charge_point_id
"""


def content(site: Site) -> dict[str, list[tuple[object, ...]]]:
    """All rows that matter."""
    return {name: sorted(site.rows(f"SELECT * FROM {name}"), key=repr) for name in TABLES}


def copy(site: Site, file: Path) -> None:
    """What the documentation says of a backup."""
    if site.postgres is None:
        said = manage(site.environment, "backup", str(file)).stdout
        assert "the copy was checked" in said
        return
    program = servers._postgresql_program("pg_dump")
    url = site.environment["DATABASE_URL"]
    subprocess.run([program, "--format=custom", f"--file={file}", url], check=True)


def restore(site: Site, file: Path, into: Site) -> None:
    """What the documentation says of restoring, with nobody at work."""
    if into.postgres is None:
        for rest in into.folder.glob("csms.sqlite3*"):
            rest.unlink()
        shutil.copy(file, into.sqlite)
        return
    into.postgres.drop(into.database)
    into.postgres.make(into.database)
    program = servers._postgresql_program("pg_restore")
    url = into.environment["DATABASE_URL"]
    subprocess.run([program, "--no-owner", f"--dbname={url}", file], check=True)


@pytest.mark.anyio
async def test_backup_under_load(new_site: NewSite, tmp_path: Path) -> None:
    """While a fleet charges: nobody is held up, and what was acknowledged before is in it."""
    site, other = new_site(), new_site()
    journal, file = Ledger(tmp_path / "journal"), tmp_path / "backup"
    async with site.open(), Fleet(site, journal, json=3, soap=3) as fleet:
        assert await fleet.acknowledged(200, within=30)
        before = journal.path.read_text()
        during = journal.acknowledged
        await asyncio.to_thread(copy, site, file)
        assert journal.acknowledged > during  # ingest went on
        assert await fleet.deliver(within=30) == 0
    (tmp_path / "before").write_text(before)
    sent, _ = ledger.read(tmp_path / "before")
    told = {
        (message.identity, message.reply["transactionId"])
        for message in sent
        if message.action == "StartTransaction" and message.reply
    }
    await asyncio.to_thread(restore, site, file, other)
    assert len(told) > 20
    assert told <= set(other.rows(STARTED))
    if site.postgres is None:
        with closing(sqlite3.connect(other.sqlite)) as opened:
            assert opened.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.anyio
async def test_server_goes_on_from_a_backup(new_site: NewSite, tmp_path: Path) -> None:
    """Every row is back, and chargers go on where they were, on both transports."""
    site, other = new_site(), new_site()
    file, soap = tmp_path / "backup", SoapCharger(site)
    async with site.open():
        charger = await json_charger(site)
        told = await charger.call("StartTransaction", start(1))
        assert told.reply is not None
        known = transaction_id(await soap.start(1))
        await charger.socket.close()
        assert await asyncio.to_thread(site.first.terminate) == 0
        await asyncio.to_thread(copy, site, file)
    await asyncio.to_thread(restore, site, file, other)
    assert content(other) == content(site)
    async with other.open():
        charger = await json_charger(other)
        assert (await charger.call("StartTransaction", start(1))).reply == told.reply
        ending = stop(told.reply["transactionId"], 9)
        assert (await charger.call("StopTransaction", ending)).reply == {}
        assert transaction_id(await SoapCharger(other).start(1)) == known
        new = await charger.call("StartTransaction", start(9))
        assert new.reply is not None
        await charger.socket.close()


@pytest.mark.sqlite
def test_refusals(new_site: NewSite, tmp_path: Path) -> None:
    """Nothing is overwritten unasked, least of all the database; nothing half-made stays."""
    site, file = new_site(), tmp_path / "backup"
    said = manage(site.environment | {"CSMS_SECRET_KEY": ""}, "backup", str(file)).stdout
    assert "secret_key" in said
    assert file.stat().st_mode & 0o777 == 0o600
    first = file.read_bytes()
    assert "--force" in fails_in_one_line(site.environment, "backup", str(file))
    assert file.read_bytes() == first
    manage(site.environment, "backup", str(file), "--force")
    for wrong in (site.sqlite, tmp_path, tmp_path / "missing" / "backup"):
        line = fails_in_one_line(site.environment, "backup", str(wrong), "--force")
        assert str(wrong) in line or f"There is no folder {wrong.parent}: make it first." in line
    assert site.rows("SELECT count(*) FROM csms_idtag") == [(1,)]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["backup"]


@pytest.mark.sqlite
def test_damage_is_noticed(new_site: NewSite, tmp_path: Path) -> None:
    """A damaged database makes no backup that looks like one."""
    site, file = new_site(), tmp_path / "backup"
    with closing(sqlite3.connect(site.sqlite)) as opened:
        opened.execute("PRAGMA journal_mode=DELETE")
        (page,) = opened.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'csms_idtag'"
        ).fetchone()
    data = bytearray(site.sqlite.read_bytes())
    data[(page - 1) * 4096 : page * 4096] = bytes([255]) * 4096
    site.sqlite.write_bytes(data)
    line = fails_in_one_line(site.environment, "backup", str(file))
    assert "damaged" in line or "malformed" in line
    assert not file.exists()


@pytest.mark.postgres
def test_postgresql_is_told_its_own_way(new_site: NewSite, tmp_path: Path) -> None:
    line = fails_in_one_line(new_site().environment, "backup", str(tmp_path / "backup"))
    assert "pg_dump" in line
