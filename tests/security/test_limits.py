"""Limits on wrong passwords: whom they stop, and that they lock nobody out for good."""

from typing import TYPE_CHECKING

import pytest

from csms.models import SecurityEvent
from csms.services import admission, attempts
from csms.services.attempts import AGAIN_AFTER, ALL_GUESSES, EVERY, GUESSES, Attempts
from csms.services.charge_points import charge_point_add
from tests.security.door import OUTSIDE, Knock, charge_point

if TYPE_CHECKING:
    from tests.security.door import Door

HERE, THERE = "192.0.2.1", "203.0.113.1"
RIGHT = b"the right one"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(clock: Clock) -> Attempts:
    return Attempts(clock)


def spend(limits: Attempts, address: str, times: int = GUESSES) -> None:
    for number in range(times):
        assert limits.guess("CP", address, b"%d" % number)


def test_who_comes_again_is_heard(limits: Attempts, clock: Clock) -> None:
    """A charge point sends the same password again, who guesses another one."""
    spend(limits, HERE)
    assert not limits.guess("CP", HERE, RIGHT)
    assert not limits.guess("CP", HERE, RIGHT)
    clock.now += AGAIN_AFTER
    for number in range(1000):
        assert not limits.guess("CP", HERE, b"guess %d" % number)
    assert limits.guess("CP", HERE, RIGHT)
    assert not limits.guess("CP", HERE, RIGHT)


def test_who_comes_again_is_heard_slowly(limits: Attempts, clock: Clock) -> None:
    """Guesses that come twice are one in ten seconds."""
    spend(limits, HERE)
    began, heard = clock.now, 0
    while clock.now < began + 55:
        heard += sum(limits.guess("CP", HERE, b"twice %d" % number) for number in range(50))
        clock.now += 1
    assert 0 < heard <= 55 / EVERY + 1


def test_guesses_from_everywhere(limits: Attempts, clock: Clock) -> None:
    """Beyond fifty, no new address is heard, but those where the password was right before."""
    limits.admitted("CP", HERE)
    for number in range(ALL_GUESSES):
        assert limits.guess("CP", f"198.51.100.{number}", b"a")
    assert limits.widely("CP")
    assert not limits.guess("CP", THERE, RIGHT)
    assert limits.guess("CP", HERE, b"b")
    assert limits.guess("OTHER", THERE, b"c")
    clock.now += AGAIN_AFTER
    assert limits.guess("CP", THERE, RIGHT)
    clock.now += attempts.ALL_WITHIN
    assert limits.guess("CP", THERE, b"d")


def test_ipv6_counts_by_network(limits: Attempts) -> None:
    for number in range(GUESSES):
        assert limits.guess("CP", f"2001:db8::{number}", b"a")
    assert not limits.guess("CP", "2001:db8::ffff", b"b")
    assert limits.guess("CP", "2001:db8:0:1::1", b"c")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("transport", ["json", "soap"])
def test_a_password_of_a_person_is_not_locked_out(
    door: "Door", transport: str, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """It never was right here before, and shares its address with who guesses."""
    monkeypatch.setattr(admission.attempts, "_now", clock)
    row = charge_point_add(identity="PERSON", transport=transport, password=RIGHT.decode())
    knock = door.json if transport == "json" else lambda name, how: door.soap(name, how)[0]
    for number in range(GUESSES + 2):
        knock(row.identity, Knock(b"guess %d" % number, address=OUTSIDE))
    assert knock(row.identity, Knock(RIGHT, address=OUTSIDE)) == 429
    clock.now += AGAIN_AFTER
    assert knock(row.identity, Knock(b"another", address=OUTSIDE)) == 429
    assert door.admits(row, Knock(RIGHT, address=OUTSIDE))
    # It was right there: from now on it is let in at once, whatever else is tried.
    for number in range(GUESSES + 2):
        knock(row.identity, Knock(b"more %d" % number, address=OUTSIDE))
    assert door.admits(row, Knock(RIGHT, address=OUTSIDE))


@pytest.mark.django_db(transaction=True)
def test_guesses_from_everywhere_are_one_event(door: "Door") -> None:
    row = charge_point(security_profile=1, key=b"0123456789abcdef")
    for number in range(ALL_GUESSES):
        admission.attempts.guess(row.identity, f"203.0.113.{number}", b"a")
    for number in range(3):
        assert door.json(row.identity, Knock(b"b", address=f"198.51.100.{number}")) == 429
    events = SecurityEvent.objects.filter(kind="TooManyAttempts")
    assert [(event.remote_address, event.tech_info) for event in events] == [
        ("", "wrong passwords from many addresses")
    ]
    assert door.admits(row, Knock(b"0123456789abcdef", address="198.51.100.9"))


# ---------------------------------------------------------------------- whose credentials


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("identity", ["SP-2", "NOBODY"])
@pytest.mark.parametrize("password", [b"0123456789abcdef", b"wrong"])
def test_credentials_of_another_one(door: "Door", identity: str, password: bytes) -> None:
    """N23: IdentityMismatch, whether the identity is known or not and the password right or not
    (or the answer would tell); over JSON 404 for who is not known (N14), else 401."""
    for name, transport in (("SP-1", "soap"), ("SP-2", "soap"), ("J-1", "json"), ("J-2", "json")):
        charge_point(
            identity=name, transport=transport, security_profile=1, key=b"0123456789abcdef"
        )
    knock = Knock(password, user="SP-1", address=OUTSIDE)
    assert door.soap(identity, knock) == (400, "IdentityMismatch")
    event = SecurityEvent.objects.get()
    assert (event.kind, event.identity, event.tech_info) == (
        "IdentityMismatch",
        identity,
        "user name SP-1",
    )
    named = identity.replace("SP", "J")
    status = door.json(named, Knock(password, user="J-1", address=OUTSIDE))
    assert status == (404 if named == "NOBODY" else 401)
