"""Charge points at the door of the services: request in, reply and rows out, a clock of our own."""

import itertools
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from csms import conf
from csms.models import ChargePoint, IdTag
from csms.ocpp import core, registry, tolerance
from csms.ocpp.base import Payload, Request, action, encode_json
from csms.ocpp.errors import ProtocolError, UnknownAction
from csms.ocpp.explain import explain
from csms.ocpp.tolerance import Note
from csms.services.facts import ChargerFacts
from csms.services.inbox import Inbox, Incoming, Outcome
from tests import factories

START = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)
"""When each test begins."""

_ids = itertools.count(1)


def encode(payload: Payload | ProtocolError) -> str:
    """The answer as text, as an edge would send it."""
    if isinstance(payload, ProtocolError):
        return f"{type(payload).__name__}: {payload.description}"
    return encode_json(payload).decode()


def read(
    name: str, plain: Any, *, at: datetime, zone: ZoneInfo, strict: bool = False
) -> tuple[Request[Any] | None, tuple[Note, ...], ProtocolError | None]:
    """Read plain values as the edges do: by the declaration, then tolerantly."""
    declaration = registry.from_charge_point(name)
    if declaration is None:
        return None, (), UnknownAction(f"{name[:50]} is no action of a charge point.")
    try:
        return msgspec.convert(plain, declaration), (), None
    except msgspec.ValidationError as error:
        if strict:
            return None, (), explain(error)
    try:
        reading = tolerance.read(declaration, plain, received_at=at, zone=zone)
    except ProtocolError as error:
        return None, (), error
    return reading.request, reading.notes, None


class House:
    """An inbox, its clock, and the charge points that use it."""

    def __init__(self, **environment: str) -> None:
        self.config = conf.read(environment)
        self.inbox = Inbox(self.config)
        self.now = START

    def later(self, **amount: float) -> datetime:
        """Let time pass: `later(minutes=5)`."""
        self.now += timedelta(**amount)
        return self.now

    def charger(self, row: ChargePoint | None = None, **columns: Any) -> "Charger":
        columns = {"last_seen": None, **columns}
        return Charger(self, row or factories.charge_point(**columns))

    def batch(self, *messages: Incoming) -> list[Outcome | BaseException]:
        """Decide messages together, in one batch."""
        return self.inbox.handle(messages)

    def replies(self, *messages: Incoming) -> list[Any]:
        """The replies, or errors, of one batch."""
        return [answer_of(outcome) for outcome in self.batch(*messages)]


def answer_of(outcome: Outcome | BaseException) -> Any:
    """The reply, or the protocol error; anything else is raised."""
    if isinstance(outcome, BaseException):
        raise outcome
    assert outcome.text == encode(outcome.reply or outcome.error)  # type: ignore[arg-type]
    return outcome.reply or outcome.error


class Charger:
    """One charge point and how it talks."""

    def __init__(self, house: House, row: ChargePoint) -> None:
        self.house = house
        self.pk = row.pk
        self.authenticated = False
        self.epoch = 0
        self.address = ""

    @property
    def row(self) -> ChargePoint:
        """The row as the database has it now."""
        return ChargePoint.objects.get(pk=self.pk)

    @property
    def facts(self) -> ChargerFacts:
        row = self.row
        return ChargerFacts(
            pk=row.pk,
            identity=row.identity,
            transport=row.transport,
            strict=row.strictness == "strict",
            time_zone=row.time_zone,
            authenticated=self.authenticated,
            epoch=self.epoch,
        )

    def plain(
        self,
        name: str,
        payload: Any,
        *,
        message_id: str = "",
        at: datetime | None = None,
        callback: str = "",
    ) -> Incoming:
        """A message of plain values, read like the edges read it."""
        facts, at = self.facts, at or self.house.now
        message_id = message_id or f"m{next(_ids)}"
        request, notes, error = read(name, payload, at=at, zone=facts.zone, strict=facts.strict)
        return Incoming(
            charger=facts,
            identity=facts.identity,
            transport=facts.transport,
            action=name,
            message_id=message_id,
            raw=json.dumps([2, message_id, name, payload]),
            request=request,
            error=error,
            notes=notes,
            remote_address=self.address,
            callback=callback,
            encode=encode,
            received_at=at,
        )

    def message(self, request: Request[Any], **how: Any) -> Incoming:
        """A message of a request."""
        return self.plain(action(type(request)), json.loads(encode_json(request)), **how)

    def send(self, request: Request[Any], **how: Any) -> Any:
        """Send a request; its reply, or the protocol error."""
        return answer_of(self.house.batch(self.message(request, **how))[0])

    def send_plain(self, name: str, payload: Any, **how: Any) -> Any:
        return answer_of(self.house.batch(self.plain(name, payload, **how))[0])

    # ---------------------------------------------------------------- what they usually say

    def start(self, tag: str = "TAG", **fields: Any) -> core.StartTransaction:
        values: dict[str, Any] = {
            "connector_id": 1,
            "id_tag": tag,
            "timestamp": self.house.now,
            "meter_start": 1000,
        }
        return core.StartTransaction(**values | fields)

    def stop(self, transaction_id: int, **fields: Any) -> core.StopTransaction:
        values: dict[str, Any] = {"timestamp": self.house.now, "meter_stop": 6000}
        return core.StopTransaction(transaction_id=transaction_id, **values | fields)

    def begin(self, tag: str = "TAG", **fields: Any) -> int:
        """Start a transaction; its id."""
        transaction_id: int = self.send(self.start(tag, **fields)).transaction_id
        return transaction_id


def sample(value: object, **fields: str) -> dict[str, Any]:
    return {"value": str(value), **fields}


def meter_value(at: datetime | str, *samples: dict[str, Any]) -> dict[str, Any]:
    stamp = at if isinstance(at, str) else f"{at:%Y-%m-%dT%H:%M:%SZ}"
    return {"timestamp": stamp, "sampledValue": list(samples)}


def known_tag(text: str = "TAG", **columns: Any) -> IdTag:
    """An idTag that may charge any number of times, unless said otherwise."""
    return factories.id_tag(text, **{"max_transactions": 0, **columns})


def stranger(
    identity: str, request: Request[Any], *, at: datetime, address: str = "192.0.2.9"
) -> Incoming:
    """A message of an identity that nobody knows (SOAP)."""
    return Incoming(
        charger=None,
        identity=identity,
        transport="soap",
        action=action(type(request)),
        message_id="1",
        raw="<envelope/>",
        request=request,
        remote_address=address,
        encode=encode,
        received_at=at,
    )


def statuses(answers: Sequence[Any]) -> list[str]:
    """The idTagInfo statuses of replies."""
    return [answer.id_tag_info.status.value for answer in answers]
