"""Who may talk to us: the first question of both edges, asked before any message is read.

`admit` is safe on the event loop: it looks into the database in a thread, and remembers for a
moment whom it admitted, so that a SOAP charge point is not looked up for each of its requests.
"""

import hmac
import ipaddress
import secrets
import time
from collections import OrderedDict
from datetime import UTC, datetime
from typing import NamedTuple

from django.db import IntegrityError, InterfaceError, OperationalError, transaction

from csms.conf import settings
from csms.models import ChargePoint, SecurityEvent
from csms.models.charge_points import Registration, Strictness
from csms.ocpp.errors import Unavailable
from csms.services import bus, flush
from csms.services.charge_points import identity_problem
from csms.services.facts import ChargerFacts
from csms.services.passwords import password_fits, rotation_seen
from csms.services.threads import in_slow_thread, in_thread
from csms.services.world import World

REMEMBER = 5.0
"""Seconds for which an admission is remembered; `forget` ends it at once in this process."""
MOST_REMEMBERED = 50_000


class Refused(Exception):
    """This identity may not talk to us; `reason` is one plain sentence."""

    def __init__(self, reason: str, *, unknown: bool = False, unauthorized: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.unknown = unknown
        """Nobody knows the identity (HTTP 404)."""
        self.unauthorized = unauthorized
        """The password is missing or wrong (HTTP 401)."""


class _Remembered(NamedTuple):
    facts: ChargerFacts
    until: float
    generation: int


QUIET = 10.0
"""Seconds for which the same refusal of the same address makes no second security event."""

GUESSES = 5
"""Wrong passwords of an identity from an address, within GUESSING seconds, before the next are
refused unseen. Other addresses, and who gave the right one before, are not concerned."""
GUESSING = 60.0


class _Attempts(NamedTuple):
    failed: int
    until: float

    @property
    def exhausted(self) -> bool:
        return self.failed >= GUESSES and time.monotonic() < self.until


_attempts: dict[tuple[str, str], _Attempts] = {}
_verified: dict[bytes, str] = {}
_events: dict[tuple[int, str, str], float] = {}
_key = secrets.token_bytes(32)
_remembered: OrderedDict[tuple[str, str, bytes], _Remembered] = OrderedDict()
_generation = 0


def forget() -> None:
    """Ask the database again for everyone: a charge point was changed."""
    global _generation
    _generation += 1


bus.listen("charge_points", forget)


def _proof(user: str | None, password: bytes | None) -> bytes:
    """Stands for credentials in memory, from which they cannot be had back."""
    text = repr((user, password)).encode()
    return hmac.digest(_key, text, "sha256")


async def admit(
    *,
    identity: str,
    transport: str,
    user: str | None,
    password: bytes | None,
    remote_address: str,
) -> ChargerFacts:
    """The facts of a charge point that may talk to us. Raises Refused, Unavailable."""
    key = (identity, transport, _proof(user, password))
    known = _remembered.get(key)
    if known is not None and known.until > time.monotonic() and known.generation == _generation:
        return known.facts
    generation = _generation
    proven = key[2] in _verified
    attempts = _attempts.get((identity, remote_address))
    if password and not proven and attempts is not None and attempts.exhausted:
        raise Refused("Too many wrong passwords from this address.", unauthorized=True)
    run = in_slow_thread if password and not proven else in_thread
    try:
        facts = await run(
            charge_point_admit,
            identity=identity,
            transport=transport,
            user=user,
            password=password,
            remote_address=remote_address,
            now=datetime.now(UTC),
        )
    except (OperationalError, InterfaceError) as error:
        raise Unavailable from error
    except Refused as refused:
        if refused.unauthorized and password:
            _count_attempt(identity, remote_address)
        raise
    _attempts.pop((identity, remote_address), None)
    _remembered[key] = _Remembered(facts, time.monotonic() + REMEMBER, generation)
    _remembered.move_to_end(key)
    while len(_remembered) > MOST_REMEMBERED:
        _remembered.popitem(last=False)
    return facts


def _count_attempt(identity: str, remote_address: str) -> None:
    now = time.monotonic()
    before = _attempts.get((identity, remote_address))
    count = before.failed if before is not None and now < before.until else 0
    if len(_attempts) > MOST_REMEMBERED:
        _attempts.clear()
    _attempts[identity, remote_address] = _Attempts(count + 1, now + GUESSING)


async def connect(facts: ChargerFacts, *, gateway: str, remote_address: str) -> ChargerFacts:
    """Take over a JSON charge point: a new epoch, with which older connections lose their say."""
    try:
        epoch = await in_thread(
            charge_point_connect,
            pk=facts.pk,
            gateway=gateway,
            remote_address=remote_address,
            now=datetime.now(UTC),
        )
    except (OperationalError, InterfaceError) as error:
        raise Unavailable from error
    bus.publish("commands")
    return ChargerFacts(
        pk=facts.pk,
        identity=facts.identity,
        transport=facts.transport,
        strict=facts.strict,
        time_zone=facts.time_zone,
        authenticated=facts.authenticated,
        epoch=epoch,
    )


async def disconnect(facts: ChargerFacts) -> None:
    """The connection has ended; nothing happens when a newer one has replaced it."""
    await in_thread(charge_point_disconnect, pk=facts.pk, epoch=facts.epoch)


# ------------------------------------------------------------------ over the database


def charge_point_admit(
    *,
    identity: str,
    transport: str,
    user: str | None,
    password: bytes | None,
    remote_address: str,
    now: datetime,
) -> ChargerFacts:
    """Look an identity up and check its password. Raises Refused."""
    problem = identity_problem(identity)
    if problem:
        raise Refused(problem, unknown=True)
    charge_point = ChargePoint.objects.filter(identity=identity).first()
    if charge_point is None:
        charge_point = _stranger(identity, transport, remote_address, now)
    if charge_point.transport != transport:
        _event(charge_point, "WrongTransport", f"came over {transport}", remote_address, now)
        raise Refused(f"This charge point is set up for {charge_point.get_transport_display()}.")
    if user is not None and user != identity:
        _event(charge_point, "IdentityMismatch", f"user name {user[:100]}", remote_address, now)
        raise Refused("The user name is not the identity.", unauthorized=True)
    encoded = charge_point.password
    if charge_point.pending_password and password_fits(
        charge_point.pending_password, password or b""
    ):
        rotation_seen(charge_point)
    elif encoded and not _password_fits(encoded, user, password):
        _event(charge_point, "InvalidCredentials", "", remote_address, now)
        raise Refused("The password is missing or wrong.", unauthorized=True)
    return ChargerFacts(
        pk=charge_point.pk,
        identity=charge_point.identity,
        transport=charge_point.transport,
        strict=charge_point.strictness == Strictness.STRICT,
        time_zone=charge_point.time_zone,
        authenticated=bool(charge_point.password),
    )


def _password_fits(encoded: str, user: str | None, password: bytes | None) -> bool:
    """Check a password against its slow hash; what was right stays right until the hash changes."""
    if not password:
        return False
    proof = _proof(user, password)
    if _verified.get(proof) == encoded:
        return True
    if not password_fits(encoded, password):
        return False
    if len(_verified) > MOST_REMEMBERED:
        _verified.clear()
    _verified[proof] = encoded
    return True


def _stranger(identity: str, transport: str, remote_address: str, now: datetime) -> ChargePoint:
    """What the setting says about unknown identities: listed, or taken from trusted networks."""
    config = settings()
    if config.unknown_chargers != "reject" and _trusted(remote_address):
        accepted = config.unknown_chargers == "accept"
        try:
            with transaction.atomic():
                return ChargePoint.objects.create(
                    identity=identity,
                    transport=transport,
                    registration=Registration.ACCEPTED if accepted else Registration.PENDING,
                )
        except IntegrityError:
            return ChargePoint.objects.get(identity=identity)
    if transport == "json":  # over SOAP the boot itself is answered, and knocks
        world = World()
        world.knock(identity, transport, remote_address=remote_address, at=now)
        with transaction.atomic():
            flush.flush(world)
    raise Refused("No charge point of this identity is known here.", unknown=True)


def _trusted(remote_address: str) -> bool:
    try:
        address = ipaddress.ip_address(remote_address)
    except ValueError:
        return False
    return any(
        address in network
        for network in settings().trusted_networks
        if network.version == address.version
    )


def _event(
    charge_point: ChargePoint, kind: str, info: str, remote_address: str, now: datetime
) -> None:
    """Keep a security event; the same from the same address once in a while only."""
    key = (charge_point.pk, kind, remote_address)
    if time.monotonic() - _events.get(key, -QUIET) < QUIET:
        return
    if len(_events) > MOST_REMEMBERED:
        _events.clear()
    _events[key] = time.monotonic()
    SecurityEvent.objects.create(
        charge_point=charge_point,
        identity=charge_point.identity,
        kind=kind,
        tech_info=info[:255],
        ours=True,
        remote_address=remote_address,
        happened_at=now,
        received_at=now,
    )


def charge_point_connect(*, pk: int, gateway: str, remote_address: str, now: datetime) -> int:
    """Give a charge point to a gateway; returns the new epoch."""
    with transaction.atomic():
        charge_point = ChargePoint.objects.select_for_update().get(pk=pk)
        if charge_point.connected:
            before = f"instead of the one from {charge_point.remote_address}"
            _event(charge_point, "ConnectionReplaced", before, remote_address, now)
        charge_point.epoch += 1
        charge_point.owner = gateway
        charge_point.connected = True
        charge_point.connected_at = now
        charge_point.last_seen = now
        charge_point.remote_address = remote_address
        charge_point.save(
            update_fields=[
                "epoch",
                "owner",
                "connected",
                "connected_at",
                "last_seen",
                "remote_address",
            ]
        )
        return charge_point.epoch


def charge_point_disconnect(*, pk: int, epoch: int) -> None:
    """Mark a charge point as disconnected unless a newer connection has it.

    No connector status is rewritten and no transaction closed: being offline says nothing of them.
    """
    ChargePoint.objects.filter(pk=pk, epoch=epoch).update(connected=False, owner="")


def charge_points_release(*, gateway: str = "") -> None:
    """Mark all charge points (of one gateway) as disconnected: a process starts or ends."""
    rows = ChargePoint.objects.filter(connected=True)
    if gateway:
        rows = rows.filter(owner=gateway)
    rows.update(connected=False, owner="")
