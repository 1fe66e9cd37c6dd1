"""Who may talk to us: the first question of both edges, asked before any message is read.

`admit` is safe on the event loop: it looks into the database in a thread, and remembers for a
moment whom it admitted, so that a SOAP charge point is not looked up for each of its requests.

How a login is judged stands in logins.py; how often one may fail, in attempts.py.
"""

import time
from collections import OrderedDict
from datetime import UTC, datetime
from typing import NamedTuple, NoReturn

from django.db import transaction

from csms.models import ChargePoint
from csms.ocpp.errors import Unavailable
from csms.services import bus
from csms.services.attempts import Attempts
from csms.services.facts import ChargerFacts
from csms.services.logins import Login, Refused, SlowHash, charge_point_admit, proof_of, proven
from csms.services.outages import OUTAGES
from csms.services.peers import Peer
from csms.services.security_events import event_keep, is_kept
from csms.services.threads import in_slow_thread, in_thread

__all__ = ["Refused", "admit", "connect", "disconnect"]

REMEMBER = 5.0
"""Seconds for which an admission is remembered; `forget` ends it at once in this process."""
MOST_REMEMBERED = 50_000


class _Remembered(NamedTuple):
    facts: ChargerFacts
    until: float
    generation: int


attempts = Attempts()
_remembered: OrderedDict[tuple[str, str, bytes, bool, Peer], _Remembered] = OrderedDict()
_generation = 0


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
    known = _remembered.get(key)
    if known is not None and known.until > time.monotonic() and known.generation == _generation:
        return known.facts
    generation = _generation
    before, address = proven(proof), peer.address
    tried = bool(password) and not before
    spent = tried and not attempts.guess(identity, address)
    asked = {
        "login": Login(identity, transport, peer, user, password, in_path),
        "crowded": not before and attempts.scanning(address),
        "now": datetime.now(UTC),
    }
    try:
        try:
            facts = await in_thread(charge_point_admit, **asked, patient=False)
        except SlowHash:
            if spent:
                await _too_many_guesses(identity, address)
            facts = await in_slow_thread(charge_point_admit, **asked)
    except Refused as refused:
        if not refused.too_many:
            attempts.failed(identity, address)
        if spent and refused.unauthorized:
            await _too_many_guesses(identity, address)
        if tried and not spent and not refused.unauthorized:
            attempts.unjudged(identity, address)
        raise
    except BaseException as error:  # the database is gone, or the charge point has not waited
        if tried and not spent:
            attempts.unjudged(identity, address)
        if isinstance(error, OUTAGES):
            raise Unavailable from error
        raise
    attempts.admitted(identity, address)
    _remembered[key] = _Remembered(facts, time.monotonic() + REMEMBER, generation)
    _remembered.move_to_end(key)
    while len(_remembered) > MOST_REMEMBERED:
        _remembered.popitem(last=False)
    return facts


async def _too_many_guesses(identity: str, address: str) -> NoReturn:
    """Refuse one more password; raises Refused, Unavailable."""
    event = {"identity": identity, "kind": "TooManyAttempts", "remote_address": address}
    if not is_kept(**event):
        try:
            info = "wrong passwords"
            await in_thread(event_keep, **event, info=info, now=datetime.now(UTC))
        except OUTAGES as error:
            raise Unavailable from error
    raise Refused("Too many wrong passwords from this address.", too_many=True)


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


async def disconnect(facts: ChargerFacts) -> None:
    """The connection has ended; nothing happens when a newer one has replaced it."""
    await in_thread(charge_point_disconnect, pk=facts.pk, epoch=facts.epoch)


# ------------------------------------------------------------------ over the database


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
