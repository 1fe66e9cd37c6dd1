"""Limits on wrong passwords: whom they stop, and that they lock nobody out for good."""

from typing import TYPE_CHECKING

import pytest

from csms.models import ChargePoint, SecurityEvent
from csms.services import admission, attempts, logins
from csms.services.attempts import (
    AGAIN_AFTER,
    ALL_GUESSES,
    CALM,
    EVERY,
    GUESSES,
    LONGEST,
    LONGEST_EVERY,
    OTHERS,
    OTHERS_WITHIN,
    WITHIN,
    Attempts,
)
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


def test_who_comes_again_is_heard_more_and_more_slowly(limits: Attempts, clock: Clock) -> None:
    """Guesses that come twice: one in ten seconds, then in twenty, and so on."""
    spend(limits, HERE)
    began, heard = clock.now, []
    while clock.now < began + 55:
        for number in range(50):
            if limits.guess("CP", HERE, b"%d %d" % ((clock.now - began) // 4, number)):
                heard.append(clock.now - began)
        clock.now += 1
    assert heard == [AGAIN_AFTER, AGAIN_AFTER + EVERY + 2, AGAIN_AFTER + 3 * EVERY + 2]


def test_a_day_of_guessing_is_a_few_hundred_guesses(limits: Attempts, clock: Clock) -> None:
    """From one network, however it goes about it: each password at once, and those that were turned
    away again."""
    began, heard = clock.now, 0
    while clock.now < began + 24 * 3600:
        for number in range(8):
            heard += limits.guess("CP", HERE, b"%d %d" % (clock.now // 60, number))
        clock.now += 5
    waits = 24 * 3600 / LONGEST + 6
    assert heard < GUESSES * waits + 24 * 3600 / LONGEST_EVERY + 7


def test_a_wait_doubles_and_is_one_again_after_a_quiet_day(limits: Attempts, clock: Clock) -> None:
    waited = []
    for _ in range(8):
        spend(limits, HERE)
        began = clock.now
        while limits._count(("CP", HERE)):
            clock.now += 30
        waited.append(clock.now - began)
    assert waited == [min(LONGEST, WITHIN * 2**n) for n in range(8)]
    clock.now += CALM
    spend(limits, HERE)
    clock.now += WITHIN
    assert limits.guess("CP", HERE, b"another")


def test_a_mistake_that_is_repeated_slows_nothing_down(limits: Attempts, clock: Clock) -> None:
    """A charge point with the wrong password sends it for days; mended, it is heard soon."""
    for _ in range(2000):
        limits.guess("CP", HERE, b"old")
        clock.now += 30
    assert not limits.besieged("CP", HERE)
    began = clock.now
    while not limits.guess("CP", HERE, RIGHT):
        clock.now += 1
    assert clock.now - began <= EVERY


# ------------------------------------------------------------ beside who guesses


def test_who_guesses_elsewhere_takes_nobodys_turn(limits: Attempts, clock: Clock) -> None:
    """Some networks that send each guess twice do not keep the others from being heard."""
    networks = [f"198.51.100.{number}" for number in range(1, 11)]
    for network in networks:
        spend(limits, network)
    began, heard = clock.now, []
    while clock.now < began + 3600:
        for network in networks:
            for number in range(3):
                limits.guess("CP", network, b"%d %d" % (clock.now // 60, number))
        if clock.now % 30 == 0 and limits.guess("CP", THERE, RIGHT):
            heard.append(clock.now - began)
        clock.now += 1
    assert len(heard) > 40


def test_where_it_was_before_guesses_from_everywhere_do_not_count(limits: Attempts) -> None:
    """As the database says, when the process has begun anew."""
    for number in range(ALL_GUESSES):
        assert limits.guess("CP", f"198.51.100.{number}", b"a")
    assert not limits.guess("CP", THERE, RIGHT)
    assert limits.guess("CP", HERE, RIGHT, known=True)


def test_a_right_password_does_not_let_others_guess_on(limits: Attempts, clock: Clock) -> None:
    """Behind one address with the charge point: its logins give nobody another series."""
    for number in range(GUESSES):
        limits.admitted("CP", HERE, RIGHT)
        assert limits.guess("CP", HERE, b"%d" % number)
    limits.admitted("CP", HERE, RIGHT)
    assert not limits.guess("CP", HERE, b"one more")


def test_who_is_beside_many_guesses_is_besieged_for_a_while(limits: Attempts, clock: Clock) -> None:
    limits.admitted("CP", HERE, RIGHT)
    for number in range(OTHERS):
        assert not limits.besieged("CP", HERE)
        limits.guess("CP", HERE, b"%d" % number)
        limits.guess("CP", HERE, b"%d" % number)
    assert limits.besieged("CP", HERE)
    assert not limits.besieged("CP", THERE)
    assert not limits.besieged("OTHER", HERE)
    clock.now += OTHERS_WITHIN
    assert not limits.besieged("CP", HERE)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("transport", ["json", "soap"])
def test_nobody_tries_passwords_fast_from_the_address_of_the_charge_point(
    door: "Door", transport: str, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """Brute force: the right one is not told from the others at once once many were tried there,
    but heard when it comes again; from elsewhere it is let in, and a key is everywhere."""
    monkeypatch.setattr(admission.attempts, "_now", clock)
    row = charge_point_add(identity="PERSON", transport=transport, password=RIGHT.decode())
    keyed = charge_point(transport=transport, security_profile=1, key=b"0123456789abcdef")
    assert door.admits(row, Knock(RIGHT, address=OUTSIDE))
    knock = door.json if transport == "json" else lambda name, how: door.soap(name, how)[0]
    for identity in ("PERSON", keyed.identity):
        for number in range(OTHERS - 3):
            admission.attempts.tried(identity, OUTSIDE, b"%d" % number)
    for number in range(3):
        assert door.admits(row, Knock(RIGHT, address=OUTSIDE))
        assert knock("PERSON", Knock(b"guess %d" % number, address=OUTSIDE)) == 401
        assert knock(keyed.identity, Knock(b"guess %d" % number, address=OUTSIDE)) == 401
    for _ in range(GUESSES):
        knock("PERSON", Knock(b"the same", address=OUTSIDE))
    assert knock("PERSON", Knock(RIGHT, address=OUTSIDE)) == 429
    assert door.admits(row, Knock(RIGHT, address=THERE))
    assert door.admits(keyed, Knock(b"0123456789abcdef", address=OUTSIDE))
    clock.now += AGAIN_AFTER
    assert door.admits(row, Knock(RIGHT, address=OUTSIDE))
    clock.now += OTHERS_WITHIN
    for _ in range(2):
        assert door.admits(row, Knock(RIGHT, address=OUTSIDE))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("transport", ["json", "soap"])
def test_after_a_restart_it_is_known_where_it_was(door: "Door", transport: str) -> None:
    """Guesses from everywhere lock nobody out who comes from where he was."""
    row = charge_point_add(identity="PERSON", transport=transport, password=RIGHT.decode())
    assert door.admits(row, Knock(RIGHT, address=HERE))
    door.system.written()
    admission.attempts.clear()
    admission.forget()
    logins._verified.clear()
    for number in range(ALL_GUESSES):
        admission.attempts.guess("PERSON", f"198.51.100.{number}", b"a")
    assert ChargePoint.objects.get().remote_address == HERE
    assert not door.admits(row, Knock(RIGHT, address=THERE))
    assert door.admits(row, Knock(RIGHT, address=HERE))


# --------------------------------------------------------------------- from everywhere


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
