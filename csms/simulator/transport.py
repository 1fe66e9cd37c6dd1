"""What a transport is to a simulated charge point, and the charge point to a transport."""

import random
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

from csms.ocpp.base import Payload, Request
from csms.simulator.clock import Clock


class NoAnswer(Exception):
    """The central system cannot be reached or did not answer: it may or may not have the call."""


class CallFailed(Exception):
    """The central system answered with an error (a CALLERROR or a Fault)."""

    def __init__(self, code: str, description: str = "") -> None:
        super().__init__(f"{code}: {description}" if description else code)
        self.code = code
        self.description = description


class Refused(Exception):
    """This charge point answers a call with an error; the codes are those of OCPP-J 4.2.3."""

    def __init__(self, code: str, description: str = "") -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description


class Silent(Exception):
    """This charge point does not answer a call; with `drop` it cuts the connection instead."""

    def __init__(self, *, drop: bool) -> None:
        super().__init__("not answered")
        self.drop = drop


FollowUp = Callable[[], Awaitable[Any]]


class Answer(NamedTuple):
    """A reply, and what the charge point does once it is sent."""

    reply: Payload
    then: FollowUp | None = None


class Endpoint(Protocol):
    """What a transport needs of its charge point."""

    identity: str
    clock: Clock
    random: random.Random

    async def answer(self, message_id: str, request: Request[Any]) -> Answer:
        """Decide what a call of the central system is answered; raises Refused or Silent."""

    def follow_up(self, then: FollowUp | None) -> None:
        """The answer is sent: what comes next may begin."""

    def event(self, text: str) -> None:
        """Something notable has happened."""

    def violation(self, text: str) -> None:
        """The central system has broken a rule of the protocol."""


class Transport(Protocol):
    """How a charge point reaches its central system and is reached by it."""

    name: str
    """"JSON" or "SOAP"."""

    @property
    def reachable(self) -> bool:
        """Whether a call may be tried now: the socket is open, or the last request got through."""

    async def start(self, endpoint: Endpoint) -> None:
        """Begin to connect, or to listen; returns at once."""

    async def ready(self) -> None:
        """Wait until a call may be tried: the socket is open, or the time of a retry has come."""

    async def call(self, message_id: str, request: Request[Any], *, drop: bool = False) -> Payload:
        """Send a call and wait for its reply; raises NoAnswer or CallFailed.

        With `drop` the connection is cut once the call is sent.
        """

    async def drop(self) -> None:
        """Cut the connection without farewell; it is opened again."""

    def set_password(self, password: bytes) -> None:
        """Use another password from the next connection on."""

    async def stop(self) -> None:
        """Close for good."""
