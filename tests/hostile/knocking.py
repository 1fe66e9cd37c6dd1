"""Attackers and their neighbours, at the level of the wire."""

import time
from typing import Any

import httpx
from django.contrib.admin import site
from websockets.exceptions import ConnectionClosed

from csms.models import ChargePoint, Message
from tests import factories
from tests.ocpp_soap.house import envelope, fault_of, header, message
from tests.running import JsonCharger, System, post, wait_for

MOST_SECONDS = 1.0
"""CPU time for one attack, the client's part and the test's included; tests/hostile/test_costs.py
measures what the message alone costs."""


class Honest:
    """A JSON and a SOAP charge point, each in the middle of a transaction."""

    def __init__(self, system: System) -> None:
        self.system = system
        factories.id_tag("HONEST", max_transactions=0)
        self.json = system.charger(factories.charge_point(identity="HONEST-J"))
        self.soap = factories.charge_point(identity="HONEST-S", transport="soap")
        self.transaction = self.json.call(
            "StartTransaction",
            connectorId=1,
            idTag="HONEST",
            meterStart=0,
            timestamp="2026-01-02T03:04:05Z",
        )["transactionId"]

    def go_on(self) -> None:
        """Both are answered as if nobody else were there."""
        self.json.lives()
        answer = post(self.system, message("Heartbeat", identity="HONEST-S"))
        assert answer.status_code == 200
        stopped = self.json.call(
            "StopTransaction",
            transactionId=self.transaction,
            meterStop=1,
            timestamp="2026-01-02T03:14:05Z",
        )
        assert "idTagInfo" not in stopped


class Attacker:
    """A charge point that is connected, and what the log has of it since then."""

    def __init__(self, system: System, identity: str = "EVIL-J") -> None:
        self.system = system
        self.row = factories.charge_point(identity=identity)
        self.charger: JsonCharger = system.charger(self.row)
        wait_for(lambda: self.row.pk in system.server.connections)
        self._began = time.process_time()

    def ask(self, frame: str) -> Any:
        return self.charger.ask(frame)

    def refused(self, frame: str) -> str:
        """The error code with which a frame is answered; the connection stays."""
        answer = self.ask(frame)
        assert answer[0] == 4, answer
        assert answer[4] == {}
        return str(answer[2])

    def closed(self, *messages: Any, **how: Any) -> int:
        """The code with which the server closes when these are sent."""
        try:
            for each in messages:
                self.charger.socket.send(each, **how)
            while True:
                self.charger.socket.recv(timeout=10)
        except ConnectionClosed as ended:
            code = ended.rcvd.code if ended.rcvd is not None else 1006
        self.charger.socket.close_socket()  # without this the server waits for it some seconds
        wait_for(lambda: self.row.pk not in self.system.server.connections)
        return code

    def lines(self) -> list[Message]:
        """The rows of the log, complete; the attack has cost little until here."""
        spent = time.process_time() - self._began
        assert spent < MOST_SECONDS, f"{spent:.2f} s of CPU time"
        self.system.written()
        return list(Message.objects.filter(charge_point=self.row).order_by("id"))

    def line(self) -> Message:
        """The one row of the log."""
        (only,) = self.lines()
        return only


class SoapAttacker:
    """Who posts to the SOAP endpoint."""

    def __init__(self, system: System, identity: str = "EVIL-S") -> None:
        self.system = system
        self.row: ChargePoint = factories.charge_point(identity=identity, transport="soap")
        self._allowed = MOST_SECONDS
        self._began = time.process_time()

    def post(self, body: str | bytes, path: str = "", **headers: str) -> httpx.Response:
        self._allowed += 0.1  # what the client costs
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return post(self.system, body, path, **named)

    def say(self, action: str, inner: str = "", **headers: str) -> httpx.Response:
        """Post a message of this charge point."""
        return self.post(self.text(action, inner), **headers)

    def text(self, action: str, inner: str = "") -> str:
        return message(action, inner, identity=self.row.identity)

    def lines(self) -> list[Message]:
        """The rows of the log that are not of the honest charge points, complete."""
        spent = time.process_time() - self._began
        assert spent < self._allowed, f"{spent:.2f} s of CPU time"
        self.system.written()
        return list(Message.objects.filter(transport="soap").order_by("id"))

    def line(self) -> Message:
        """The one row of the log."""
        (only,) = self.lines()
        return only

    def refused(self, response: httpx.Response, *, status: int = 400) -> str:
        """The subcode of the Fault; there is one line in the log."""
        assert response.status_code == status, response.text
        subcode = fault_of(response)[1]
        assert self.line().answer == response.text
        return subcode.rpartition("}")[2]


def lists() -> list[str]:
    """The paths of all lists of the admin."""
    return [f"/admin/{model._meta.app_label}/{model._meta.model_name}/" for model in site._registry]


def wrapped(identity: str, action: str, body: str, more: str = "") -> str:
    """An envelope whose Action and body need not agree."""
    return envelope(header(identity=identity, action=action) + more, body)
