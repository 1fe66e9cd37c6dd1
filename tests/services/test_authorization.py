"""idTags: N31 (case does not count) and N32 (who may charge, and when ConcurrentTx is said)."""

from datetime import timedelta

import pytest
from msgspec import UNSET

from csms.models import IdTag, Transaction
from csms.ocpp import core
from csms.services.authorization import IdTagTaken, id_tag_add, id_tag_block
from tests import factories
from tests.services.harness import Charger, House, known_tag, statuses

pytestmark = pytest.mark.django_db


def asked(cp: Charger, tag: str) -> str:
    status: str = cp.send(core.Authorize(id_tag=tag)).id_tag_info.status.value
    return status


@pytest.mark.parametrize(
    ("stored", "presented"),
    [
        ("04AbCd", "04aBcD"),
        ("ÄÖÜ-é", "äöü-É"),
        ("Straße", "STRASSE"),
        ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
        ("  TAG ", "tag"),
        ("TAG", " TAG\t".rstrip("\t")),
    ],
)
def test_n31_case_and_blanks_do_not_count(house: House, stored: str, presented: str) -> None:
    row = id_tag_add(id_tag=stored)
    cp = house.charger()
    assert asked(cp, presented) == "Accepted"
    transaction_id = cp.begin(presented)
    assert Transaction.objects.get().id_tag == presented  # kept as sent
    assert cp.begin(stored.strip()) == transaction_id  # the natural key is folded, too
    with pytest.raises(IdTagTaken, match="upper and lower case"):
        id_tag_add(id_tag=presented)
    id_tag_block(id_tag=presented)
    row.refresh_from_db()
    assert row.blocked
    assert asked(cp, stored.strip()) == "Blocked"
    id_tag_block(id_tag=presented, blocked=False)
    assert asked(cp, stored.strip()) == "Accepted"


def test_id_tags_are_not_empty() -> None:
    with pytest.raises(IdTagTaken, match="at least one character"):
        id_tag_add(id_tag="   ")
    assert not IdTag.objects.exists()


@pytest.mark.parametrize(
    ("columns", "status"),
    [
        ({}, "Accepted"),
        ({"blocked": True}, "Blocked"),
        ({"expires_at": 0}, "Expired"),
        ({"expires_at": -1}, "Expired"),
        ({"expires_at": 1}, "Accepted"),
        ({"blocked": True, "expires_at": -1}, "Blocked"),
    ],
)
def test_n32_states_of_a_tag(house: House, columns: dict, status: str) -> None:
    seconds = columns.get("expires_at")
    if seconds is not None:
        columns = {**columns, "expires_at": house.now + timedelta(seconds=seconds)}
    known_tag("TAG", parent_id_tag="Family", **columns)
    cp = house.charger()
    info = cp.send(core.Authorize(id_tag="TAG")).id_tag_info
    assert info.status == status
    assert info.parent_id_tag == "Family"
    assert info.expiry_date == columns.get("expires_at", UNSET)
    assert cp.send(cp.start()).id_tag_info == info
    assert cp.send(cp.stop(Transaction.objects.get().transaction_id, id_tag="TAG")) == (
        core.StopTransactionResponse(id_tag_info=info)
    )


def test_unknown_tag_says_nothing_more(house: House) -> None:
    known_tag("OTHER", parent_id_tag="P")
    info = house.charger().send(core.Authorize(id_tag="TAG")).id_tag_info
    assert (info.status, info.parent_id_tag, info.expiry_date) == ("Invalid", UNSET, UNSET)


def test_tags_held_to_some_chargers(house: House) -> None:
    here, there = house.charger(), house.charger()
    tag = known_tag()
    tag.charge_points.add(here.row)
    assert asked(here, "TAG") == "Accepted"
    assert asked(there, "TAG") == "Invalid"
    assert there.send(there.start()).id_tag_info.status == "Invalid"


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        (0, ["Accepted"] * 3),
        (1, ["Accepted", "ConcurrentTx", "ConcurrentTx"]),
        (2, ["Accepted", "Accepted", "ConcurrentTx"]),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_n32_concurrent_transactions(
    house: House, allowed: int, expected: list[str], together: bool
) -> None:
    known_tag(max_transactions=allowed)
    messages = [cp.message(cp.start("tag")) for cp in (house.charger() for _ in range(3))]
    if together:
        replies = house.replies(*messages)
    else:
        replies = [house.replies(message)[0] for message in messages]
    assert statuses(replies) == expected
    assert len({reply.transaction_id for reply in replies}) == 3
    assert all(reply.transaction_id > 0 for reply in replies)


def test_n32_concurrent_tx_only_in_start(house: House) -> None:
    """In Authorize or StopTransaction it would keep a card from stopping."""
    known_tag(max_transactions=1)
    cp = house.charger()
    transaction_id = cp.begin()
    assert asked(cp, "TAG") == "Accepted"
    stop = cp.send(cp.stop(transaction_id, id_tag="TAG"))
    assert stop.id_tag_info.status == "Accepted"
    assert cp.send(cp.start(meter_start=6000)).id_tag_info.status == "Accepted"


def test_n32_concurrent_start_is_never_billed(house: House) -> None:
    known_tag(max_transactions=1)
    house.charger().begin()
    cp = house.charger()
    cp.send(cp.stop(cp.begin()))
    row = Transaction.objects.get(charge_point=cp.pk)
    assert (row.authorization, row.billable) == ("ConcurrentTx", False)


def test_n32_a_start_over_ones_own_zombie_is_not_concurrent(house: House) -> None:
    known_tag(max_transactions=1)
    cp = house.charger()
    cp.begin()
    house.later(days=1)
    assert cp.send(cp.start()).id_tag_info.status == "Accepted"


def test_n32_transactions_of_the_parent_are_others(house: House) -> None:
    known_tag("A", parent_id_tag="FAMILY", max_transactions=1)
    known_tag("B", parent_id_tag="FAMILY", max_transactions=1)
    cp = house.charger()
    cp.begin("A", connector_id=1)
    assert cp.send(cp.start("B", connector_id=2)).id_tag_info.status == "Accepted"


def test_over_long_tag_is_compared_in_full(house: House) -> None:
    """Sigenergy: 21 characters; a cut one would be another card."""
    factories.id_tag("A" * 21)
    cp = house.charger()
    reply = cp.send_plain("Authorize", {"idTag": "a" * 21})
    assert reply.id_tag_info.status == "Accepted"
    assert cp.send_plain("Authorize", {"idTag": "a" * 20}).id_tag_info.status == "Invalid"
    assert cp.row.deviations.get().name == "over_long_text"
