"""Which function answers which request, and what it needs to know."""

import typing
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import msgspec

from csms.conf import Settings
from csms.models import ChargePoint
from csms.ocpp.base import Payload, Request, reply_type
from csms.ocpp.core import DataTransferResponse
from csms.ocpp.tolerance import Note
from csms.services.security_events import event_of
from csms.services.world import NOTHING, Needs, World

Q = TypeVar("Q", bound=Request[Any])
P = TypeVar("P", bound=Payload)


class Context(msgspec.Struct):
    """What a handler may see and do besides its request: no query, no lock, no clock of its own."""

    world: World
    charge_point: ChargePoint
    now: datetime
    """When the message was received (UTC)."""
    settings: Settings
    transport: str
    remote_address: str
    notes: tuple[Note, ...]
    """Tolerances with which the request was read."""
    remarks: list[Note] = msgspec.field(default_factory=list)
    """Further deviations that the handler saw; logged and counted like the notes."""
    prepared: DataTransferResponse | None = None
    """The answer of an installed handler of vendors' messages (data_transfer.py)."""
    quarantined: str = ""
    """Why the message is kept in quarantine; empty: it is not."""

    def remark(self, name: str, path: str = "", was: object = "") -> None:
        """Note a deviation."""
        self.remarks.append(Note(name, path, str(was)[:255]))

    def text_of(self, path: str, otherwise: str) -> str:
        """A field's text as sent when it had to be read tolerantly, else `otherwise`."""
        return next((note.was for note in self.notes if note.path == path), otherwise)

    def security_event(self, kind: str, info: str) -> None:
        """Record a security event seen by ourselves."""
        self.world.add(
            event_of(
                charge_point=self.charge_point,
                identity=self.charge_point.identity,
                kind=kind,
                info=info,
                remote_address=self.remote_address,
                now=self.now,
            )
        )


class Handler(NamedTuple):
    decide: Callable[[Any, Context], Payload]
    needs: Callable[[Any, tuple[Note, ...]], Needs]


handlers: dict[type[Request[Any]], Handler] = {}


def handles(
    request: type[Q],
    needs: Callable[[Q, tuple[Note, ...]], Needs] = lambda request, notes: NOTHING,
) -> Callable[[Callable[[Q, Context], P]], Callable[[Q, Context], P]]:
    """Register the handler of a request: a plain function of the request and its context.

    `needs` names what is loaded for it, from the request and the notes of its reading. The
    annotated reply must be the declared one; mypy does not see that, so it is checked here.
    """

    def register(decide: Callable[[Q, Context], P]) -> Callable[[Q, Context], P]:
        hints = typing.get_type_hints(decide)
        if hints.get("return") is not reply_type(request) or hints.get("request") is not request:
            raise TypeError(
                f"{decide.__name__} must take a {request.__name__} named request "
                f"and return a {reply_type(request).__name__}."
            )
        if request in handlers:
            raise TypeError(f"{request.__name__} has a handler already.")
        handlers[request] = Handler(decide, needs)
        return decide

    return register
