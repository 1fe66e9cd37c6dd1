"""Tables: partitions on PostgreSQL, the log's retention, migrations that fit the models."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import connection

from csms import conf
from csms.models import Message, MeterValue
from csms.partitions import make_all_months, month_start
from csms.services.messages import messages_trim
from tests import factories
from tests.services.harness import House, meter_value, sample

pytestmark = pytest.mark.django_db


def test_migrations_fit_the_models() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


# ------------------------------------------------------------------------------- partitions


def partitions(table: str) -> list[str]:
    """Where the rows of a table lie, in order of their time."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT tableoid::regclass::text FROM {table} ORDER BY bucket_at")
        return [name for (name,) in cursor.fetchall()]


def exists(name: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name])
        found: bool = cursor.fetchone()[0]
        return found


@pytest.mark.postgres
@pytest.mark.parametrize("table", ["csms_metervalue", "csms_message"])
def test_months_behind_and_ahead_exist(table: str) -> None:
    today = datetime.now(UTC)
    for offset in range(-2, 4):
        assert exists(f"{table}_{month_start(today.year, today.month + offset):%Y_%m}")
    assert exists(f"{table}_default")


@pytest.mark.postgres
def test_rows_of_a_month_made_late_move_out_of_the_default_partition() -> None:
    house = House()
    house.now = datetime.now(UTC).replace(microsecond=0)
    cp = house.charger()
    past = datetime(2015, 6, 7, tzinfo=UTC)
    cp.send_plain("MeterValues", {"connectorId": 1, "meterValue": [meter_value(past, sample(5))]})
    assert partitions("csms_metervalue") == ["csms_metervalue_default"]
    make_all_months(connection, now=past)
    assert partitions("csms_metervalue") == ["csms_metervalue_2015_06"]
    assert MeterValue.objects.get().energy == 5


@pytest.mark.postgres
def test_rows_lie_in_their_month() -> None:
    house = House()
    house.now = datetime.now(UTC).replace(microsecond=0)
    cp = house.charger()
    last_month = month_start(house.now.year, house.now.month - 1)
    for moment in (datetime(2015, 6, 7, tzinfo=UTC), last_month, house.now):
        meter = [meter_value(moment, sample(5))]
        cp.send_plain("MeterValues", {"connectorId": 1, "meterValue": meter})
    assert partitions("csms_metervalue") == [
        "csms_metervalue_default",
        f"csms_metervalue_{last_month:%Y_%m}",
        f"csms_metervalue_{house.now:%Y_%m}",
    ]
    assert set(partitions("csms_message")) == {f"csms_message_{house.now:%Y_%m}"}
    assert len({row.pk for row in MeterValue.objects.all()}) == 3


@pytest.mark.postgres
def test_months_are_made_as_time_goes_by() -> None:
    then = datetime(2031, 11, 30, 23, 59, tzinfo=UTC)
    for _ in range(2):
        make_all_months(connection, now=then)
    names = ("2031_09", "2031_12", "2032_01", "2032_02")
    assert all(exists(f"csms_message_{name}") for name in names)
    factories.message(bucket_at=datetime(2032, 1, 31, 23, 59, 59, tzinfo=UTC))
    assert partitions("csms_message") == ["csms_message_2032_01"]


@pytest.mark.parametrize(
    ("year", "month", "expected"),
    [(2026, 13, "2027-01"), (2026, 0, "2025-12"), (2026, -1, "2025-11"), (2026, 12, "2026-12")],
)
def test_months_count_on(year: int, month: int, expected: str) -> None:
    assert f"{month_start(year, month):%Y-%m}" == expected


# -------------------------------------------------------------------------------- retention


def trim(now: datetime, **environment: str) -> list[int]:
    """How many rows went with each batch."""
    config = conf.read(environment)
    gone = []
    while count := messages_trim(now=now, config=config):
        gone.append(count)
    return gone


def messages(count: int, at: datetime) -> None:
    Message.objects.bulk_create(
        Message(bucket_at=at, identity="X", transport="json", direction="in", request="")
        for _ in range(count)
    )


def test_log_is_kept_for_its_days() -> None:
    now = datetime.now(UTC)
    messages(700, now - timedelta(days=14, seconds=1))
    messages(3, now - timedelta(days=13, seconds=1))
    assert trim(now, CSMS_LOG_MAX_MB="0") == [500, 200]
    assert Message.objects.count() == 3
    assert trim(now, CSMS_LOG_MAX_MB="0", CSMS_LOG_RETENTION_DAYS="13") == [3]


def test_log_is_kept_for_ever_if_asked() -> None:
    messages(3, datetime(2020, 1, 1, tzinfo=UTC))
    keep = {"CSMS_LOG_RETENTION_DAYS": "0", "CSMS_LOG_MAX_MB": "0"}
    assert trim(datetime.now(UTC), **keep) == []
    assert Message.objects.count() == 3


@pytest.mark.sqlite
def test_log_has_a_cap_on_sqlite() -> None:
    now = datetime.now(UTC)
    messages(2500, now)
    gone = trim(now, CSMS_LOG_MAX_MB="1")
    assert gone
    assert all(count <= 500 for count in gone)
    assert 1_000_000 // 1_100 - 500 <= Message.objects.count() <= 1_000_000 // 1_100 + 1


def test_trimming_nothing() -> None:
    assert trim(datetime.now(UTC)) == []
