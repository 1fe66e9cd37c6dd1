"""Who may talk to us: the first question of both edges, asked before any message is read.

`admit` is safe on the event loop: it looks into the database in a thread, and remembers for a
moment whom it admitted, so that a SOAP charge point is not looked up for each of its requests.

How a login is judged stands in logins.py; how often one may fail, in attempts.py.
"""

import asyncio
import time
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any, NamedTuple, NoReturn

from django.db import transaction

from csms.models import ChargePoint
from csms.ocpp.errors import Unavailable
from csms.services import bus
from csms.services.attempts import Attempts
from csms.services.facts import ChargerFacts
from csms.services.logins import Login, Refused, SlowHash, charge_point_admit, proof_of, proven
from csms.services.online import charge_points_disconnect
from csms.services.outages import OUTAGES
from csms.services.peers import Peer
from csms.services.security_events import event_keep, is_kept
from csms.services.threads import in_slow_thread, in_thread
from csms.services.webhook_events import note_presence

__all__ = ["Refused", "admit", "connect", "disconnect", "epochs"]

REMEMBER = 5.0
"""Seconds for which an admission is remembered; `forget` ends it at once in this process."""
MOST_REMEMBERED = 50_000
PATIENCE = 4.0
"""Seconds that an admission may take: a handshake has ten, of which it may have waited five (F11),
and 503 must come in time (F3)."""
MOST_SLOW = 20
"""Slow hashes that may be under way or waiting: as many as are done in that time."""


class _Remembered(NamedTuple):
    facts: ChargerFacts
    until: float
    generation: int


attempts = Attempts()
_remembered: OrderedDict[tuple[str, str, bytes, bool, Peer], _Remembered] = OrderedDict()
_generation = 0
_slow: set[asyncio.Task[ChargerFacts]] = set()


def forget() -> None:
    """Ask the database again for everyone: a charge point was changed."""
    global _generation
    _generation += 1


bus.listen("charge_points", forget)


async def admit(
    *,
    identity: str,
    transport: str,
    peer: Peer,
    user: str | None = None,
    password: bytes | None = None,
    in_path: bool = False,
) -> ChargerFacts:
    """The facts of a charge point that may talk to us. Raises Refused, Unavailable."""
    proof = proof_of(user, password)
    key = (identity, transport, proof, in_path, peer)
    known = None if attempts.besieged(identity, peer.address) else _remembered.get(key)
    if known is not None and known.until > time.monotonic() and known.generation == _generation:
        return known.facts
    generation = _generation
    login = Login(identity, transport, peer, user, password, in_path)
    try:
        async with asyncio.timeout(PATIENCE):
            facts = await _judge(login, proof)
    except (TimeoutError, *OUTAGES) as error:
        raise Unavailable from error
    attempts.admitted(identity, peer.address, proof)
    _remembered[key] = _Remembered(facts, time.monotonic() + REMEMBER, generation)
    _remembered.move_to_end(key)
    while len(_remembered) > MOST_REMEMBERED:
        _remembered.popitem(last=False)
    return facts


async def _judge(login: Login, proof: bytes) -> ChargerFacts:
    """Judge a login. Raises Refused, Unavailable and the database's errors."""
    identity, address = login.identity, login.peer.address
    trusting = not attempts.besieged(identity, address)
    asked = {
        "login": login,
        "crowded": attempts.scanning(address) and not (trusting and proven(proof, address)),
        "now": datetime.now(UTC),
    }
    try:
        try:
            return await in_thread(charge_point_admit, **asked, patient=False, trusting=trusting)
        except SlowHash as slow:
            if not attempts.guess(identity, address, proof, known=slow.known):
                await _too_many_guesses(identity, address)
            return await _judge_slowly(asked, identity, address)
        except Refused as refused:
            if refused.too_many and login.password:
                attempts.tried(identity, address, proof)
            counts = refused.unauthorized and bool(login.password)
            if counts and not attempts.guess(identity, address, proof):
                await _too_many_guesses(identity, address)
            raise
    except Refused as refused:
        if not refused.too_many:
            attempts.failed(identity, address)
        raise


async def _judge_slowly(asked: dict[str, Any], identity: str, address: str) -> ChargerFacts:
    """The same with a slow hash. Who does not wait for it finds it done the next time."""
    if len(_slow) >= MOST_SLOW:
        attempts.unjudged(identity, address)
        raise Unavailable
    task = asyncio.ensure_future(in_slow_thread(charge_point_admit, **asked))
    _slow.add(task)
    task.add_done_callback(_slowly_judged)
    try:
        return await asyncio.shield(task)
    except BaseException as error:  # the database is gone, or the charge point has not waited
        if not (isinstance(error, Refused) and error.unauthorized):
            attempts.unjudged(identity, address)
        raise


def _slowly_judged(task: asyncio.Task[ChargerFacts]) -> None:
    _slow.discard(task)
    if not task.cancelled():
        task.exception()  # of one for whom nobody waits any more


async def _too_many_guesses(identity: str, address: str) -> NoReturn:
    """Refuse one more password; raises Refused and the database's errors."""
    widely = attempts.widely(identity)
    event = {
        "identity": identity,
        "kind": "TooManyAttempts",
        "remote_address": "" if widely else address,
    }
    if not is_kept(**event):
        info = "wrong passwords from many addresses" if widely else "wrong passwords"
        await in_thread(event_keep, **event, info=info, now=datetime.now(UTC))
    raise Refused("Too many wrong passwords: try again later.", too_many=True)


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
    except OUTAGES as error:
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


async def epochs(charge_points: list[int]) -> dict[int, int]:
    """The epochs of charge points by their primary keys; a connection of a lower one is over."""
    return await in_thread(charge_points_epochs, charge_points=charge_points)


async def disconnect(facts: ChargerFacts) -> None:
    """The connection has ended; nothing happens when a newer one has replaced it."""
    await in_thread(charge_point_disconnect, pk=facts.pk, epoch=facts.epoch)


# ------------------------------------------------------------------ over the database


def charge_points_epochs(*, charge_points: list[int]) -> dict[int, int]:
    """The same in the calling thread."""
    rows = ChargePoint.objects.filter(pk__in=charge_points)
    return dict(rows.values_list("pk", "epoch"))


def charge_point_connect(*, pk: int, gateway: str, remote_address: str, now: datetime) -> int:
    """Give a charge point to a gateway; returns the new epoch."""
    with transaction.atomic():
        charge_point = ChargePoint.objects.select_for_update().get(pk=pk)
        if charge_point.connected:
            event_keep(
                charge_point=charge_point,
                identity=charge_point.identity,
                kind="ConnectionReplaced",
                info=f"instead of the one from {charge_point.remote_address}",
                remote_address=remote_address,
                now=now,
            )
        came = not charge_point.connected
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
        if came:
            note_presence([charge_point], online=True, at=now)
        return charge_point.epoch


def charge_point_disconnect(*, pk: int, epoch: int) -> None:
    """Mark a charge point as disconnected unless a newer connection has it."""
    charge_points_disconnect(ChargePoint.objects.filter(pk=pk, epoch=epoch))
