"""The checker finds what it is there for: each kind of damage, done by hand."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.checker import Verdict, check
from tests.faults.fleet import Fleet
from tests.faults.ledger import Ledger
from tests.faults.site import Site, short_folder

pytestmark = pytest.mark.sqlite

DAMAGE = {
    "lost": [
        "DELETE FROM csms_transaction WHERE id = 3",
        "DELETE FROM csms_metervalue WHERE id = 5",
        "UPDATE csms_transaction SET state = 'open' WHERE id = 2",
        "UPDATE csms_transaction SET meter_stop = meter_stop + 1 WHERE id = 2",
    ],
    "duplicated": [
        "INSERT INTO csms_metervalue SELECT id + 100000, bucket_at, connector_id, timestamp, "
        "received_at, digest + 1, samples, energy, power, soc, flags, charge_point_id, "
        "transaction_id FROM csms_metervalue WHERE id = 4",
    ],
    "misapplied": [
        "UPDATE csms_transaction SET charge_point_id = 1 + charge_point_id % 4, occurrence = 7 "
        "WHERE id = 2",
        "UPDATE csms_transaction SET id_tag = 'OTHER' WHERE id = 2",
        "UPDATE csms_transaction SET start_timestamp = '2026-01-01T00:00:00Z' WHERE id = 2",
        "UPDATE csms_transaction SET started_at = '2026-01-01 00:00:00' WHERE id = 2",
        "UPDATE csms_metervalue SET charge_point_id = 1 + charge_point_id % 4 WHERE id = 4",
        "UPDATE csms_metervalue SET transaction_id = transaction_id % 3 + 1 WHERE id > 8",
        "INSERT INTO csms_quarantinedmessage (identity, transport, action, message_id, raw, reason,"
        " received_at, digest, count, resolved) VALUES ('json-0', 'json', 'StopTransaction', '', "
        "'', '', '2026-01-01', 1, 1, false)",
    ],
    "disputed": [
        "INSERT INTO faults_epoch SELECT * FROM faults_epoch LIMIT 1",
        "UPDATE faults_epoch SET owner = '' WHERE epoch = 1",
    ],
}


async def _charge(site: Site, ledger: Ledger) -> int:
    async with site.open(), Fleet(site, ledger, json=2, soap=2) as fleet:
        assert await fleet.acknowledged(150, within=30)
        return await fleet.deliver(within=30)


@pytest.fixture(scope="module")
def charged(prepared: Path) -> Iterator[tuple[Site, Ledger]]:
    """A site whose fleet has charged without any fault."""
    import asyncio

    site = Site(short_folder())
    shutil.copy(prepared, site.folder)
    ledger = Ledger(site.folder / "journal")
    assert asyncio.run(_charge(site, ledger)) == 0
    yield site, ledger
    shutil.rmtree(site.folder)


def test_nothing_is_wrong_where_nothing_went_wrong(charged: tuple[Site, Ledger]) -> None:
    verdict = check(*charged)
    assert verdict.problems == []
    assert verdict.messages == verdict.acknowledged >= 150
    assert verdict.energy_stored > 0


@pytest.mark.parametrize(
    ("kind", "damage"), [(kind, sql) for kind, all_of in DAMAGE.items() for sql in all_of]
)
def test_damage_is_found(charged: tuple[Site, Ledger], kind: str, damage: str) -> None:
    site, ledger = charged
    copy = Site(short_folder())
    for file in site.folder.glob("csms.sqlite3*"):
        shutil.copy(file, copy.folder)
    _execute(copy, damage)
    verdict = check(copy, ledger)
    shutil.rmtree(copy.folder)
    assert getattr(verdict, kind), verdict.problems
    assert verdict.problems


def _execute(site: Site, statement: str) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(site.sqlite)) as opened, opened:
        assert opened.execute(statement).rowcount > 0


def test_errors_and_undelivered_messages_are_problems() -> None:
    assert Verdict(refused=["StartTransaction: json-0: InternalError"]).problems
    assert Verdict(undelivered=1).problems
    assert Verdict(energy_told=5, energy_stored=6).problems
    assert Verdict().problems == []
