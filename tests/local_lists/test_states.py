"""How lists stand: by whatever door idTags changed, without a row written to any list."""

import io
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from msgspec import UNSET

from csms.admin import show
from csms.models import IdTag, LocalList, LocalListContent
from csms.ocpp.types import AuthorizationStatus
from csms.services.local_list_contents import Wanted, authorization_data, changes_between
from csms.services.local_list_states import State, charge_points_in, list_states
from tests import factories
from tests.api.caller import caller
from tests.local_lists.rows import current, limits

if TYPE_CHECKING:
    from csms.models import ChargePoint

pytestmark = pytest.mark.django_db


def shell(*arguments: str) -> None:
    call_command("id_tag", *arguments, stdout=io.StringIO())


def patch(**body: Any) -> None:
    who = caller("all")
    who.patch("id-tags/TAG", body)
    assert who.status == 200


DOORS: dict[str, Callable[[Client], Any]] = {
    "REST: blocked": lambda client: patch(blocked=True),
    "REST: expiry": lambda client: patch(expires_at="2030-01-01T00:00:00Z"),
    "REST: somewhere else": lambda client: patch(charge_points=["OTHER"]),
    "REST: group": lambda client: patch(parent_id_tag="FAMILY"),
    "admin": lambda client: client.post(
        show.list_url("idtag"),
        {"action": "block", "_selected_action": [IdTag.objects.get().pk], "index": 0},
    ),
    "shell: blocked": lambda client: shell("block", "tag"),
    "shell: a new one": lambda client: shell("add", "NEW"),
    "ORM: update": lambda client: IdTag.objects.update(blocked=True),
    "ORM: delete": lambda client: IdTag.objects.all().delete(),
    "ORM: link": lambda client: IdTag.objects.get().charge_points.add(
        factories.charge_point(identity="THIRD")
    ),
}


@pytest.mark.parametrize("door", DOORS)
def test_a_change_makes_lists_stale(
    door: str, admin_client: Client, charger: "ChargePoint"
) -> None:
    factories.charge_point(identity="OTHER")
    factories.id_tag("TAG")
    current(charger)
    assert list_states([charger])[charger.pk].state is State.CURRENT
    before = list(LocalList.objects.values())
    DOORS[door](admin_client)
    assert list_states([charger])[charger.pk].state is State.STALE
    assert list(LocalList.objects.values()) == before


def test_what_concerns_others_does_not(charger: "ChargePoint") -> None:
    other = factories.charge_point()
    tag = factories.id_tag("TAG", name="Anna")
    factories.id_tag("SOON", expires_at=factories.now() + timedelta(milliseconds=1))
    current(charger)
    factories.id_tag("HERS").charge_points.set([other])
    tag.name, tag.max_transactions = "Bert", 3
    tag.save()
    factories.id_tag("x" * 21)  # on no list
    assert list_states([charger])[charger.pk].state is State.CURRENT
    assert charge_points_in([State.CURRENT]) == [charger.pk]


def test_entries_say_what_authorize_would() -> None:
    """§7.28: case does not count. An entry that expires at the charge point changes no list."""
    now = factories.now()
    factories.id_tag("Soon", expires_at=now + timedelta(seconds=1), parent_id_tag="FAMILY")
    factories.id_tag("Bad", blocked=True, expires_at=now)
    soon, bad = Wanted([]).contents([0])[0].whole()
    data = authorization_data(soon, now=now)
    assert data.id_tag_info.status is AuthorizationStatus.ACCEPTED  # type: ignore[union-attr]
    assert data.id_tag_info.parent_id_tag == "FAMILY"  # type: ignore[union-attr]
    data = authorization_data(soon, now=now + timedelta(seconds=2))
    assert data.id_tag_info.status is AuthorizationStatus.EXPIRED  # type: ignore[union-attr]
    data = authorization_data(bad, now=now)
    assert data.id_tag_info.status is AuthorizationStatus.BLOCKED  # type: ignore[union-attr]
    changes = changes_between([soon, bad], [["SOON", *soon[1:]], ["New", False, "", ""]])
    assert [change[0] for change in changes] == ["Bad", "SOON", "New"]
    assert authorization_data(changes[0], now=now).id_tag_info is UNSET  # §7.1: it is removed


def test_lists_with_the_same_id_tags_share_their_content() -> None:
    rows = [factories.charge_point() for _ in range(5)]
    factories.id_tag("TAG")
    factories.id_tag("OWN").charge_points.set(rows[:1])
    for row in rows:
        current(row)
    assert [len(row.entries) for row in LocalListContent.objects.order_by("pk")] == [1, 1, 0]
    assert {row.size for row in LocalListContent.objects.exclude(common=None)} == {1, 2}


def test_the_states_of_a_page_take_the_same_queries() -> None:
    def made() -> "ChargePoint":
        row = factories.charge_point()
        limits(row)
        factories.id_tag().charge_points.set([row])
        current(row)
        return row

    def queries(rows: list["ChargePoint"]) -> int:
        with CaptureQueriesContext(connection) as captured:
            found = list_states(rows)
        assert {one.state for one in found.values()} == {State.CURRENT}
        return len(captured)

    rows = [made()]
    few = queries(rows)
    rows += [made() for _ in range(10)]
    assert queries(rows) == few == 4


@pytest.mark.parametrize(
    ("columns", "state"),
    [
        ({"version": "1.2", "transport": "soap"}, State.UNSUPPORTED),
        ({"feature_profiles": "Core"}, State.UNSUPPORTED),
        ({"feature_profiles": "Core,LocalAuthListManagement"}, State.NONE),
    ],
)
def test_who_has_no_list_at_all(columns: dict[str, str], state: State) -> None:
    row = factories.charge_point(**columns)
    assert list_states([row])[row.pk].state is state


def test_limits_count(charger: "ChargePoint") -> None:
    for _ in range(3):
        factories.id_tag()
    current(charger)
    limits(charger, LocalAuthListMaxLength="2")
    one = list_states([charger])[charger.pk]
    assert (one.state, one.why) == (State.STALE, "Room for 2 of 3 idTags.")
    limits(charger, LocalAuthListEnabled="False")
    assert list_states([charger])[charger.pk].state is State.OFF
