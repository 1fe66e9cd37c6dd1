"""Charge points that answer as a test says: frames and envelopes, nothing behind them."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from lxml import etree

from csms.models import ChargePoint, Command
from tests import factories
from tests.interop.clients import CP, SOAP, WSA
from tests.running import wait_for

if TYPE_CHECKING:
    from tests.running import System

FINAL = ("accepted", "rejected", "error", "timed out", "expired", "cancelled")


def ended(command: Command, *states: str) -> Command:
    """The command once it has ended (in one of these states)."""

    def reached() -> bool:
        command.refresh_from_db()
        return command.state in (states or FINAL)

    wait_for(reached)
    return command


def history(command: Command) -> list[str]:
    """The states through which it went."""
    return list(command.events.values_list("state", flat=True))


def called(text: str) -> tuple[str, str]:
    """Action and MessageID of an envelope that a SOAP charge point received."""
    envelope = etree.fromstring(text.encode())
    action = envelope.findtext(f".//{{{WSA}}}Action") or ""
    return action.removeprefix("/"), envelope.findtext(f".//{{{WSA}}}MessageID") or ""


def enveloped(text: str, content: str) -> str:
    """The answer to an envelope, `content` in its body; the prefixes are `s` and `p`."""
    return (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{WSA}" xmlns:p="{CP}"><s:Header>'
        f"<a:RelatesTo>{called(text)[1]}</a:RelatesTo></s:Header>"
        f"<s:Body>{content}</s:Body></s:Envelope>"
    )


def replied(text: str, reply: dict[str, Any]) -> str:
    """The answer to an envelope with this payload."""
    action = called(text)[0]
    element = f"{action[0].lower()}{action[1:]}Response"
    return enveloped(text, f"<p:{element}>{_xml(reply)}</p:{element}>")


def fault(text: str, code: str, why: str = "No.") -> str:
    """The answer to an envelope with a Fault."""
    return enveloped(
        text,
        "<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode>"
        f"<s:Value>p:{code}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="en">{why}</s:Text></s:Reason></s:Fault>',
    )


def _xml(plain: dict[str, Any]) -> str:
    parts = []
    for name, value in plain.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                inner = _xml(item)
            else:
                inner = str(item).lower() if isinstance(item, bool) else str(item)
            parts.append(f"<p:{name}>{inner}</p:{name}>")
    return "".join(parts)


class Scripted(Protocol):
    """A charge point of either transport."""

    row: ChargePoint

    @property
    def received(self) -> list[str]:
        """Payloads or envelopes of the calls that were answered."""

    def answer(self, reply: dict[str, Any]) -> str:
        """Answer the next call with this payload; the call's action."""

    def fail(self, code: str, why: str = "No.") -> str:
        """Answer the next call with an error."""

    def mumble(self, text: str) -> str:
        """Answer the next call with something else: a payload in JSON or a body in XML."""


class ScriptedJson:
    """Answers on its WebSocket."""

    def __init__(self, system: "System", **columns: Any) -> None:
        self.row = factories.charge_point(transport="json", **columns)
        self.charger = system.charger(self.row)
        self.received: list[str] = []

    def _next(self, frame: Callable[[str], str]) -> str:
        kind, message_id, action, payload = self.charger.receive()
        assert kind == 2
        self.received.append(json.dumps(payload))
        self.charger.send(frame(message_id))
        return str(action)

    def answer(self, reply: dict[str, Any]) -> str:
        return self._next(lambda message_id: json.dumps([3, message_id, reply]))

    def fail(self, code: str, why: str = "No.") -> str:
        return self._next(lambda message_id: json.dumps([4, message_id, code, why, {}]))

    def mumble(self, text: str) -> str:
        return self._next(lambda message_id: f'[3,"{message_id}",{text}]')


class ScriptedSoap:
    """Answers at its callback address; what was not scripted yet waits for the script."""

    def __init__(self, system: "System", **columns: Any) -> None:
        self._script: list[Callable[[str], str]] = []
        self._callback = system.callback(self._respond)
        self._answered = 0
        self.row = factories.charge_point(
            transport="soap", callback_url=self._callback.url, **columns
        )

    def _respond(self, text: str) -> str:
        made = wait_for(lambda: self._script and self._script.pop(0))
        return str(made(text))

    def _next(self, made: Callable[[str], str]) -> str:
        self._script.append(made)
        self._answered += 1
        wait_for(lambda: len(self._callback.requests) >= self._answered)
        return called(self.received[-1])[0]

    @property
    def received(self) -> list[str]:
        return [text for _, text in self._callback.requests[: self._answered]]

    def answer(self, reply: dict[str, Any]) -> str:
        return self._next(lambda text: replied(text, reply))

    def fail(self, code: str, why: str = "No.") -> str:
        return self._next(lambda text: fault(text, code, why))

    def mumble(self, text: str) -> str:
        return self._next(lambda call: enveloped(call, text))


def scripted(system: "System", transport: str, **columns: Any) -> Scripted:
    """A charge point of this transport that a running system reaches."""
    made = ScriptedJson if transport == "json" else ScriptedSoap
    return made(system, **columns)
