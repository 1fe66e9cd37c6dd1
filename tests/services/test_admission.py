"""Admission: who may talk to us, by which password, over which transport, from where."""

import asyncio
import hashlib
from typing import Any

import pytest

from csms import conf
from csms.models import ChargePoint, SecurityEvent, UnknownChargePoint
from csms.services import admission, attempts, logins, security_events, security_profiles
from csms.services.admission import (
    charge_point_connect,
    charge_point_disconnect,
)
from csms.services.charge_points import charge_point_add, password_set
from csms.services.inbox import Superseded
from csms.services.logins import Login, Refused, charge_point_admit
from csms.services.peers import Peer
from csms.services.threads import in_thread
from tests.services.harness import START, House

SECRET = "correct horse battery"


def admit(identity: str, **how: Any) -> Any:
    values = {"transport": "json", "peer": Peer("192.0.2.9")}
    return charge_point_admit(login=Login(identity, **values | how), now=START)


@pytest.fixture
def unknown(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets what is done with unknown chargers."""

    def choose(choice: str, networks: str = "192.0.2.0/24") -> None:
        config = conf.read({"CSMS_UNKNOWN_CHARGERS": choice, "CSMS_TRUSTED_NETWORKS": networks})
        for module in (logins, security_profiles):
            monkeypatch.setattr(module, "settings", lambda: config)

    return choose


@pytest.fixture(autouse=True)
def no_memory() -> None:
    security_events.forget()
    admission.attempts.clear()
    admission.forget()


@pytest.mark.django_db
class TestOverTheDatabase:
    def test_facts(self) -> None:
        row = charge_point_add(
            identity="CP", time_zone="Europe/Vienna", strictness="strict", security_profile=0
        )
        facts = admit("CP", peer=Peer("127.0.0.1"))
        assert (facts.pk, facts.identity, facts.transport) == (row.pk, "CP", "json")
        assert (facts.strict, facts.zone.key, facts.authenticated) == (True, "Europe/Vienna", False)

    @pytest.mark.parametrize("identity", ["", "..", "a/b", "a\0b", "x" * 300, "a\nb", " a"])
    def test_impossible_identities_leave_no_trace(self, identity: str) -> None:
        with pytest.raises(Refused) as refused:
            admit(identity)
        assert refused.value.unknown
        assert not UnknownChargePoint.objects.exists()

    def test_case_counts(self) -> None:
        charge_point_add(identity="CP")
        with pytest.raises(Refused) as refused:
            admit("cp")
        assert refused.value.unknown

    @pytest.mark.parametrize(
        ("user", "password", "welcome"),
        [
            ("CP", SECRET, True),
            (None, SECRET, True),
            ("CP", "wrong", False),
            ("CP", "", False),
            ("CP", None, False),
            (None, None, False),
            ("OTHER", SECRET, False),
            ("cp", SECRET, False),
        ],
    )
    def test_n2_passwords(self, user: str | None, password: str | None, welcome: bool) -> None:
        charge_point_add(identity="CP", password=SECRET)
        given = None if password is None else password.encode()
        if welcome:
            assert admit("CP", user=user, password=given).authenticated
            return
        with pytest.raises(Refused) as refused:
            admit("CP", user=user, password=given)
        assert refused.value.unauthorized
        event = SecurityEvent.objects.get()
        assert event.kind == (
            "IdentityMismatch" if user not in ("CP", None) else "InvalidCredentials"
        )
        assert SECRET not in f"{event.tech_info}{refused.value.reason}"

    def test_n2_credentials_of_another(self) -> None:
        charge_point_add(identity="A", password="password of A")
        charge_point_add(identity="B", password="password of B")
        with pytest.raises(Refused) as refused:
            admit("A", user="B", password=b"password of B")
        assert refused.value.unauthorized

    def test_bytes_that_are_no_text(self) -> None:
        charge_point_add(identity="CP", password=SECRET)
        with pytest.raises(Refused):
            admit("CP", user="CP", password=b"\xff\x00:")

    def test_without_a_password_nobody_is_let_in(self) -> None:
        row = charge_point_add(identity="CP", password=SECRET)
        assert SECRET not in row.password
        password_set(charge_point=row, password="")
        for given in (None, b"whatever", SECRET.encode()):
            with pytest.raises(Refused):
                admit("CP", user="CP", password=given)

    @pytest.mark.parametrize(("mine", "used"), [("json", "soap"), ("soap", "json")])
    def test_wrong_transport(self, mine: str, used: str) -> None:
        charge_point_add(identity="CP", transport=mine)
        with pytest.raises(Refused) as refused:
            admit("CP", transport=used)
        assert not refused.value.unknown
        assert not refused.value.unauthorized
        assert SecurityEvent.objects.get().kind == "WrongTransport"

    @pytest.mark.django_db(transaction=True)
    def test_brute_force_does_not_fill_the_table(self) -> None:
        charge_point_add(identity="CP", password=SECRET)
        for _ in range(20):
            with pytest.raises(Refused):
                admit("CP", user="CP", password=b"guess")
        assert SecurityEvent.objects.count() == 1
        assert admit("CP", user="CP", password=SECRET.encode()).authenticated  # not locked out

    def test_n14_unknown_is_refused_and_listed(self) -> None:
        for _ in range(3):
            with pytest.raises(Refused) as refused:
                admit("NEW")
        assert refused.value.unknown
        row = UnknownChargePoint.objects.get()
        assert (row.identity, row.count, row.remote_address) == ("NEW", 3, "192.0.2.9")
        assert not ChargePoint.objects.exists()

    @pytest.mark.parametrize("transport", ["json", "soap"])
    @pytest.mark.parametrize(("choice", "state"), [("pending", "Pending"), ("accept", "Accepted")])
    def test_unknown_from_trusted_networks(
        self, unknown: Any, choice: str, state: str, transport: str
    ) -> None:
        unknown(choice)
        facts = admit("NEW", transport=transport)
        row = ChargePoint.objects.get()
        assert (row.pk, row.registration, row.transport) == (facts.pk, state, transport)
        assert not facts.authenticated
        assert row.security_profile == 0
        assert not UnknownChargePoint.objects.exists()

    def test_unknown_are_held_to_what_they_prove_themselves_by(self, unknown: Any) -> None:
        """A laboratory's charge point that gives a password must give it from then on."""
        unknown("accept")
        assert admit("NEW", user="NEW", password=SECRET.encode()).authenticated
        for given in (None, b"other"):
            with pytest.raises(Refused):
                admit("NEW", user="NEW", password=given)
        assert admit("NEW", user="NEW", password=SECRET.encode())

    @pytest.mark.parametrize("choice", ["pending", "accept"])
    @pytest.mark.parametrize("address", ["198.51.100.1", "2001:db8::1", "", "nonsense"])
    def test_unknown_from_elsewhere(self, unknown: Any, choice: str, address: str) -> None:
        unknown(choice)
        with pytest.raises(Refused) as refused:
            admit("NEW", peer=Peer(address))
        assert refused.value.unknown
        assert not ChargePoint.objects.exists()

    def test_trusted_networks_default_to_this_machine(self) -> None:
        assert [str(net) for net in conf.read({}).trusted_networks] == ["127.0.0.0/8", "::1/128"]

    # ------------------------------------------------------------------------ ownership

    def test_f14_epochs_rise_and_the_newest_has_its_say(self) -> None:
        house = House()
        cp = house.charger()
        first = connect(cp.pk, "a")
        second = connect(cp.pk, "b")
        assert second == first + 1
        charge_point_disconnect(pk=cp.pk, epoch=first)  # F13: the old socket's close
        assert (cp.row.connected, cp.row.owner) == (True, "b")
        cp.epoch = first
        outcome = house.batch(cp.message(cp.start()))[0]
        assert isinstance(outcome, Superseded)
        assert not cp.row.transactions.exists()
        cp.epoch = second
        assert cp.send(cp.start()).transaction_id > 0
        charge_point_disconnect(pk=cp.pk, epoch=second)
        assert (cp.row.connected, cp.row.owner) == (False, "")


def connect(pk: int, gateway: str) -> int:
    return charge_point_connect(pk=pk, gateway=gateway, remote_address="192.0.2.9", now=START)


@pytest.mark.django_db(transaction=True)
def test_admission_on_the_loop_is_remembered_until_something_changes() -> None:
    row = charge_point_add(identity="CP", password="first")

    async def come(password: str = "", *, tls: bool = False) -> Any:
        return await admission.admit(
            identity="CP",
            transport="json",
            peer=Peer("192.0.2.9", tls=tls),
            user="CP",
            password=password.encode() or None,
        )

    async def scenario() -> None:
        facts = await come("first")
        assert await come("first") is facts
        with pytest.raises(Refused):
            await come("first", tls=True)  # another profile is not what was remembered
        await in_thread(password_set, charge_point=row, password=SECRET)
        with pytest.raises(Refused):
            await come("first")
        proven = await come(SECRET)
        assert proven.authenticated
        for other in ("", "other"):
            with pytest.raises(Refused):
                await come(other)
        held = await admission.connect(proven, gateway="g", remote_address="192.0.2.9")
        assert held.epoch == 2  # a changed password ends connections, and that is how
        assert held.authenticated
        await admission.disconnect(held)

    asyncio.run(scenario())
    row.refresh_from_db()
    assert (row.epoch, row.connected) == (2, False)


async def tried(identity: str, password: str, address: str) -> str:
    """Why this login is refused; empty when it is not."""
    try:
        await admission.admit(
            identity=identity,
            transport="json",
            peer=Peer(address),
            user=identity,
            password=password.encode() or None,
        )
    except Refused as refused:
        return refused.reason
    return ""


@pytest.mark.django_db(transaction=True)
@pytest.mark.anyio
async def test_guessing_is_refused_unseen_after_a_few_and_locks_nobody_else_out() -> None:
    await in_thread(charge_point_add, identity="GUESSED", transport="json", password="right")

    assert await tried("GUESSED", "right", "192.0.2.1") == ""
    for number in range(attempts.GUESSES):
        assert "wrong" in await tried("GUESSED", f"guess {number}", "192.0.2.66")
        assert "wrong" in await tried("GUESSED", f"guess {number}", "192.0.2.1")
    assert "Too many" in await tried("GUESSED", "one more", "192.0.2.66")
    assert "Too many" in await tried("GUESSED", "right, had it been tried", "192.0.2.66")
    assert await tried("GUESSED", "right", "192.0.2.1") == ""  # it gave the right one before
    assert await tried("GUESSED", "right", "192.0.2.2") == ""
    kinds = await in_thread(lambda: set(SecurityEvent.objects.values_list("kind", flat=True)))
    assert kinds == {"InvalidCredentials", "TooManyAttempts"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.anyio
async def test_guesses_made_at_the_same_time_do_not_slip_by() -> None:
    await in_thread(charge_point_add, identity="GUESSED", transport="json", password="right")
    said = await asyncio.gather(
        *(tried("GUESSED", f"guess {number}", "192.0.2.66") for number in range(30))
    )
    assert sum("wrong" in reason and "Too many" not in reason for reason in said) == (
        attempts.GUESSES
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.anyio
async def test_an_address_that_tries_names_is_not_answered_but_the_real_ones_are() -> None:
    """Identities that fail from one address, unknown ones too; behind NAT others share it."""

    def prepare() -> None:
        for name in ("PROVEN", "HERE BEFORE", "NEVER SEEN"):
            charge_point_add(identity=name, password=key_of(name))
        charge_point_add(identity="PERSON", password="chosen by a person")
        ChargePoint.objects.filter(identity="HERE BEFORE").update(remote_address="192.0.2.66")

    def key_of(name: str) -> str:
        return hashlib.sha1(name.encode()).hexdigest()  # 40 digits that look drawn

    await in_thread(prepare)
    assert await tried("PROVEN", key_of("PROVEN"), "192.0.2.66") == ""
    for number in range(attempts.IDENTITIES):
        assert "known" in await tried(f"NAME-{number}", "", "192.0.2.66")
    assert "Too many" in await tried("ONE MORE", "", "192.0.2.66")
    assert "Too many" in await tried("PERSON", "chosen by a person", "192.0.2.66")
    assert await tried("PROVEN", key_of("PROVEN"), "192.0.2.66") == ""
    assert await tried("HERE BEFORE", key_of("HERE BEFORE"), "192.0.2.66") == ""
    assert await tried("NEVER SEEN", key_of("NEVER SEEN"), "192.0.2.66") == ""  # nobody guesses it
    assert await tried("PERSON", "chosen by a person", "192.0.2.67") == ""
    events = await in_thread(lambda: list(SecurityEvent.objects.values_list("kind", "identity")))
    assert events == [("TooManyAttempts", "")]


def test_what_failed_is_forgotten_after_a_minute_and_ipv6_counts_by_its_network() -> None:
    now = 0.0
    limits = attempts.Attempts(now=lambda: now)
    for number in range(attempts.GUESSES):
        assert limits.guess("CP", f"2001:db8::{number:x}", b"%d" % number)
    assert not limits.guess("CP", "2001:db8::ffff", b"one more")
    assert limits.guess("CP", "2001:db8:0:1::1", b"one more")
    assert limits.guess("OTHER", "2001:db8::1", b"one more")
    now = attempts.WITHIN
    assert limits.guess("CP", "2001:db8::1", b"another")
    for number in range(attempts.IDENTITIES):
        assert not limits.scanning("192.0.2.1")
        limits.failed(f"CP{number}", "192.0.2.1")
        limits.failed(f"CP{number}", "192.0.2.1")
    assert limits.scanning("192.0.2.1")
    assert not limits.scanning("192.0.2.2")
    limits.admitted("CP0", "192.0.2.1")
    assert not limits.scanning("192.0.2.1")
    limits.failed("CP0", "192.0.2.1")
    now += attempts.WITHIN
    assert not limits.scanning("192.0.2.1")


@pytest.mark.parametrize("kind", ["unjudged", "admitted"])
def test_a_password_that_was_not_judged_is_no_guess(kind: str) -> None:
    limits = attempts.Attempts()
    for number in range(3 * attempts.GUESSES):
        proof = b"%d" % number
        assert limits.guess("CP", "192.0.2.1", proof)
        if kind == "admitted":
            limits.admitted("CP", "192.0.2.1", proof)
        else:
            limits.unjudged("CP", "192.0.2.1")
