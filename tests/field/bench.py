"""What the checks of field frames share: the running system, the frames, charge points."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from lxml import etree

from csms.models import ChargePoint, Command, Message, MeterValue, Transaction
from csms.models.commands import FINAL_STATES
from csms.services.commands import command_send, request_of
from tests import factories
from tests.running import JsonCharger, System, last_message, noted, post, wait_for
from tests.simulator.official import check_json, check_xml

NS = {
    "env": "http://www.w3.org/2003/05/soap-envelope",
    "wsa": "http://www.w3.org/2005/08/addressing",
}
_ID = re.compile(r'^(\s*\[\s*[34]\s*,\s*)"[^"]*"')
_IDENTITY = re.compile(r"chargeBoxIdentity[^<>]*>\s*([^<\s]+)\s*<")


@dataclass(frozen=True)
class Field:
    """The bench on which a frame is tried."""

    system: System
    contracts: Path
    frames: dict[int, dict[str, Any]]

    def raw(self, number: int, **changes: Any) -> str:
        """A frame as it came; `changes` replace fields of a JSON call's payload."""
        raw: str = self.frames[number]["raw"]
        if not changes:
            return raw
        kind, message_id, action, payload = json.loads(raw)
        return json.dumps([kind, message_id, action, payload | changes])

    # JSON

    def charger(self, **columns: Any) -> JsonCharger:
        """A connected charge point of a known vendor; every answer to it is judged."""
        charger = self.system.charger(factories.charge_point(**columns))
        charger.judge = lambda name, payload: check_json(self.contracts, name, payload)
        return charger

    def say(self, charger: JsonCharger, number: int, **changes: Any) -> dict[str, Any]:
        """The payload with which a frame is answered: never an error, and the socket stays."""
        raw = self.raw(number, **changes)
        answer = charger.ask(raw)
        assert answer[:2] == [3, json.loads(raw)[1]], answer
        charger.lives()
        payload: dict[str, Any] = answer[2]
        return payload

    def answered(
        self, charger: JsonCharger, number: int, action: str, payload: dict[str, Any]
    ) -> Command:
        """A command that the charge point answers with a frame, its id replaced by the real one."""
        self.system.deliver()
        command = self.send(charger.row, action, payload)
        kind, message_id, name, sent = charger.receive()
        assert (kind, name) == (2, action)
        check_json(self.contracts, action, sent)
        charger.send(_ID.sub(rf'\1"{message_id}"', self.raw(number)))
        return finished(command)

    @staticmethod
    def send(row: ChargePoint, action: str, payload: dict[str, Any]) -> Command:
        return command_send(charge_point=row, request=request_of(action, payload))

    # SOAP

    def soap(self, number: int, **columns: Any) -> tuple[ChargePoint, httpx.Response]:
        """A frame posted by the charge point that it names, and what it is answered."""
        raw = self.raw(number)
        found = _IDENTITY.search(raw)
        assert found is not None
        row = factories.charge_point(identity=found[1], transport="soap", **columns)
        response = post(self.system, raw)
        self.system.written()
        return row, response

    def reply(self, response: httpx.Response, name: str) -> dict[str, str]:
        """The texts of a reply's fields; the reply is judged by the official schema."""
        assert response.status_code == 200, response.text
        (body,) = etree.fromstring(response.content).findall("env:Body/*", NS)
        check_xml(self.contracts, body)
        assert etree.QName(body).localname == name
        return {etree.QName(e).localname: e.text or "" for e in body.iter() if len(e) == 0}

    def called(
        self, number: int, action: str, payload: dict[str, Any], **columns: Any
    ) -> tuple[ChargePoint, Command]:
        """A command that a SOAP charge point answers with a frame."""
        self.system.deliver()
        callback = self.system.callback(lambda _: self.raw(number))
        row = factories.charge_point(transport="soap", callback_url=callback.url, **columns)
        command = finished(self.send(row, action, payload))
        assert len(callback.requests) == 1
        return row, command


def header(response: httpx.Response, name: str) -> str:
    """A WS-Addressing header of an answer."""
    return etree.fromstring(response.content).findtext(f".//wsa:{name}", "", NS)


def fault(response: httpx.Response) -> str:
    """The subcode of a Fault, without its prefix."""
    subcode = etree.fromstring(response.content).findtext(
        ".//env:Fault/env:Code/env:Subcode/env:Value", "", NS
    )
    return subcode.rpartition(":")[2]


def finished(command: Command) -> Command:
    """A command once it has an outcome."""

    def done() -> bool:
        command.refresh_from_db()
        return command.state in FINAL_STATES

    wait_for(done)
    return command


def deviations(row: ChargePoint) -> set[str]:
    """Tolerances that a charge point needed so far."""
    return set(row.deviations.values_list("name", flat=True))


def readings(row: ChargePoint) -> list[MeterValue]:
    return list(MeterValue.objects.filter(charge_point=row).order_by("id"))


def transactions(row: ChargePoint) -> list[Transaction]:
    return list(Transaction.objects.filter(charge_point=row).order_by("id"))


def logged(row: ChargePoint, action: str) -> Message:
    """The newest message of an action."""
    return last_message(row, action=action)


def start(charger: JsonCharger, **changes: Any) -> int:
    """The transactionId of a start: connector 1, idTag TAG, the meter at 0."""
    payload = {
        "connectorId": 1,
        "idTag": "TAG",
        "meterStart": 0,
        "timestamp": "2024-01-01T00:00:00Z",
    }
    transaction_id: int = charger.call("StartTransaction", **payload | changes)["transactionId"]
    return transaction_id


Check = Callable[[Field], None]
CHECKS: dict[int, Check] = {}
"""The table: for each frame what is asserted."""


def frame(*numbers: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Enter a check for frames; one for several frames takes the frame's number as well."""

    def enter(check: Callable[..., None]) -> Callable[..., None]:
        assert check.__doc__, "The docstring says what is asserted."
        for number in numbers:
            assert number not in CHECKS, number
            CHECKS[number] = check if len(numbers) == 1 else partial(check, number=number)
        return check

    return enter


__all__ = [
    "CHECKS",
    "NS",
    "Field",
    "deviations",
    "fault",
    "finished",
    "frame",
    "header",
    "logged",
    "noted",
    "readings",
    "start",
    "transactions",
]
