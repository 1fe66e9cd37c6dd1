"""One certification case: the central system under test, and a simulated charge point.

The test plays the charge point's part and the operator's; what it asserts are our answers and our
rows. Nothing here depends on the transport but `offline`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from csms.models import ChargePoint, Command, InstalledProfile, Message, Transaction
from csms.models.commands import CommandState, Effect
from csms.ocpp.base import Payload
from csms.ocpp.core import StopTransactionResponse
from csms.ocpp.types import ChargePointErrorCode, ChargePointStatus, Reason
from csms.services.commands import command_send, request_of
from csms.services.effects import effects_check
from csms.simulator.charge_point import SimulatedChargePoint
from csms.simulator.json import JsonTransport
from csms.simulator.misbehaviour import Misbehaviour
from csms.simulator.plan import Plan
from csms.simulator.soap import SoapTransport
from csms.simulator.state import Transaction as Charging
from tests import factories
from tests.running import System, wait_for
from tests.simulated import simulated

SPEED = 100
"""A hundred seconds of the charge point take one."""
PLAN = Plan(charge=86_400, interval=3_600)
"""A session that is started from afar lasts until somebody stops it."""
NOWHERE = {"json": "ws://127.0.0.1:1", "soap": "http://127.0.0.1:1/"}
OPERATOR = "certification"


class Case:
    """What a test of a case says and asks; `charge_point` is the simulated one, `row` is ours."""

    def __init__(self, system: System, row: ChargePoint, charge_point: SimulatedChargePoint):
        self.system = system
        self.row = row
        self.charge_point = charge_point
        self._mark = 0
        self.mark()

    # --- what the charge point does

    def status(
        self,
        status: str,
        connector_id: int = 1,
        *,
        error_code: str = "NoError",
    ) -> None:
        """Report a status; the connector's row shows it afterwards."""
        said, code = ChargePointStatus(status), ChargePointErrorCode(error_code)
        self.system.run(self.charge_point.status(connector_id, said, code))
        assert self.connector(connector_id) == status

    def authorize(self, id_tag: str = "TAG") -> str:
        """The status with which an idTag is answered."""
        info = self.system.run(self.charge_point.authorize(id_tag))
        return info.status.value

    def begin(
        self, id_tag: str = "TAG", connector_id: int = 1, *, parent_id_tag: str = ""
    ) -> Charging:
        """Start a transaction without waiting for the answer."""

        async def begin() -> Charging:
            return self.charge_point.begin(connector_id, id_tag, parent_id_tag)

        return self.system.run(begin())

    def confirmed(self, charging: Charging) -> str:
        """Wait for a start's answer; the idTag's status."""
        self.system.run(charging.confirmed.wait())
        assert charging.id > 0
        assert charging.id_tag_info is not None
        return charging.id_tag_info.status.value

    def start(self, id_tag: str = "TAG", connector_id: int = 1, *, parent_id_tag: str = "") -> str:
        """Start a transaction; the idTag's status in the answer."""
        return self.confirmed(self.begin(id_tag, connector_id, parent_id_tag=parent_id_tag))

    def stop(
        self, reason: str = "Local", *, id_tag: str = "", wh: int = 1_000, connector_id: int = 1
    ) -> str:
        """Stop the connector's transaction after `wh`; the idTag's status in the answer, or ""."""
        self.charge_point.connectors[connector_id].meter += wh
        stopped = self.charge_point.stop(connector_id, Reason(reason), id_tag=id_tag)
        reply = self.system.run(stopped)
        assert isinstance(reply, StopTransactionResponse)
        return reply.id_tag_info.status.value if reply.id_tag_info else ""

    def end(self, reason: str = "Local", *, id_tag: str = "", connector_id: int = 1) -> None:
        """Stop the connector's transaction without waiting for the answer."""

        async def end() -> None:
            self.charge_point.end(connector_id, Reason(reason), id_tag=id_tag)

        self.system.run(end())

    def charge(self, id_tag: str = "TAG", connector_id: int = 1) -> Transaction:
        """Everything from the plug to Charging; the transaction."""
        self.status("Preparing", connector_id)
        assert self.authorize(id_tag) == "Accepted"
        assert self.start(id_tag, connector_id) == "Accepted"
        self.status("Charging", connector_id)
        row = self.transaction()
        assert (row.state, row.connector_id) == ("open", connector_id)
        return row

    def leave(self, connector_id: int = 1) -> None:
        """The car is unplugged after a transaction."""
        self.status("Finishing", connector_id)
        self.status("Available", connector_id)

    def call(self, request: Any) -> Any:
        """Send any request; the answer."""
        return self.system.run(self.charge_point.call(request))

    def answers(self, action: str, reply: Payload) -> None:
        """Let the next call of an action be answered so, and nothing follow."""
        self.charge_point.misbehave(action, Misbehaviour(reply=reply))

    @contextmanager
    def offline(self) -> Iterator[None]:
        """Without connection during the block; commands that are under way are done before."""
        self.quiet()
        transport = self.charge_point.transport
        assert isinstance(transport, JsonTransport | SoapTransport)
        url, transport.url = transport.url, NOWHERE[self.row.transport]
        self.system.run(transport.drop())
        yield
        transport.url = url

    def reconnect(self) -> None:
        """Cut the WebSocket, and wait for the next."""
        transport = self.charge_point.transport
        assert isinstance(transport, JsonTransport)
        connections = transport.connections
        self.system.run(transport.drop())
        wait_for(lambda: transport.connections > connections)

    def power_up(self) -> None:
        """Boot after a loss of power, and report the connectors."""

        async def power_up() -> None:
            await self.charge_point.register()
            await self.charge_point.announce()

        self.system.run(power_up())

    def power_down(self) -> None:
        """The power is lost: what runs has ended, and is told after the next boot."""

        async def power_down() -> None:
            self.charge_point.registered.clear()
            for connector in self.charge_point.connectors.values():
                if connector.transaction is not None:
                    self.charge_point.end(connector.id, Reason.POWER_LOSS)

        self.system.run(power_down())

    # --- what the operator does

    def send(self, action: str, **payload: Any) -> Command:
        """Send a command; as it is once the charge point has answered."""
        request = request_of(action, payload)
        sent = command_send(charge_point=self.row, request=request, by=OPERATOR)

        def answered() -> Command | None:
            rows = Command.objects.exclude(state__in=[CommandState.QUEUED, CommandState.SENT])
            return rows.filter(pk=sent.pk).first()

        command: Command = wait_for(answered)
        return command

    def answer(self, action: str, **payload: Any) -> dict[str, Any]:
        """Send a command that is accepted; the payload of the answer."""
        command = self.send(action, **payload)
        assert command.state == CommandState.ACCEPTED, (command.state, command.error)
        answer: dict[str, Any] = command.answer or {}
        return answer

    def asked(self, action: str, **payload: Any) -> str:
        """Send a command; the status with which it was answered. Its state agrees with that."""
        command = self.send(action, **payload)
        assert command.state in (CommandState.ACCEPTED, CommandState.REJECTED), command.error
        assert command.answer is not None
        return str(command.answer["status"])

    def configure(self, key: str, value: str) -> None:
        """Set a configuration key."""
        assert self.asked("ChangeConfiguration", key=key, value=value) == "Accepted"

    def effect(self, action: str) -> Command:
        """The newest command of an action once its effect is known."""
        commands = Command.objects.filter(charge_point=self.row, requested_by=OPERATOR)
        newest = commands.filter(action=action).latest("id")

        def ended() -> bool:
            effects_check(now=datetime.now(UTC))
            newest.refresh_from_db()
            return newest.effect not in (Effect.NONE, Effect.WAITING)

        wait_for(ended)
        return newest

    def unseen(self, action: str) -> str:
        """Look for an effect once its deadline is over; what is said of its absence."""
        effects_check(now=datetime.now(UTC) + timedelta(days=1))
        command = Command.objects.filter(charge_point=self.row, action=action).latest("id")
        assert command.effect == Effect.MISSING
        return command.effect_text

    # --- what is known

    def mark(self) -> None:
        """`sent` tells what follows."""
        self._mark = len(self.charge_point.journal.entries)

    def sent(self) -> list[str]:
        """What the charge point has sent since the mark and we have answered, in short: a status
        or reason where the message has one, else the action."""
        entries = self.charge_point.journal.entries[self._mark :]
        return [
            str(entry.payload.get("status") or entry.payload.get("reason") or entry.action)
            for entry in entries
            if entry.direction == "sent" and entry.acknowledged
        ]

    def wait_sent(self, *expected: str) -> None:
        """Wait until the charge point has sent just this since the mark, in whatever order: it may
        report its connector while StopTransaction waits to be sent."""
        wait_for(lambda: len(self.sent()) >= len(expected))
        assert sorted(self.sent()) == sorted(expected), self.sent()

    def connector(self, connector_id: int = 1) -> str:
        """A connector's status as we know it."""
        return self.row.connectors.get(connector_id=connector_id).status

    def wait_connector(self, status: str, connector_id: int = 1) -> None:
        """Wait until we know a connector in this status."""
        rows = self.row.connectors.filter(connector_id=connector_id, status=status)
        wait_for(rows.exists)

    def transaction(self) -> Transaction:
        """The newest transaction as we know it."""
        return Transaction.objects.filter(charge_point=self.row).latest("id")

    def stopped(self) -> Transaction:
        """The newest transaction once it has stopped."""
        rows = Transaction.objects.filter(charge_point=self.row, state="stopped")
        wait_for(rows.exists)
        row = self.transaction()
        assert row.state == "stopped"
        return row

    def started(self) -> Transaction:
        """The newest transaction once it runs."""
        wait_for(Transaction.objects.filter(charge_point=self.row, state="open").exists)
        return self.transaction()

    def profiles(self) -> dict[int, str]:
        """The charging profiles that we take to be installed: purposes by chargingProfileId."""
        rows = InstalledProfile.objects.filter(charge_point=self.row)
        return dict(rows.values_list("charging_profile_id", "purpose"))

    def wait(self, condition: Callable[[], Any]) -> None:
        """Wait until something is so."""
        wait_for(condition)

    def quiet(self) -> None:
        """Wait until no command is under way, such as one that reads back what another has set."""
        waiting = Command.objects.filter(state__in=[CommandState.QUEUED, CommandState.SENT])
        wait_for(lambda: not waiting.exists())

    def settled(self) -> None:
        """Wait until no command is under way; then nothing of the case may have gone wrong."""
        self.quiet()
        self.system.written()
        odd = Message.objects.exclude(error="", notes=[])
        told = [(row.direction, row.action, row.error, row.notes) for row in odd]
        assert told == [], told


@contextmanager
def begun(system: System, transport: str) -> Iterator[Case]:
    """A charge point that we read strictly has booted; the idTag TAG is known."""
    factories.id_tag("TAG")
    row = factories.charge_point(transport=transport, strictness="strict", last_seen=None)
    system.deliver()
    with simulated(system, row, speed=SPEED, plan=PLAN) as charge_point:
        case = Case(system, row, charge_point)
        yield case
        case.settled()


def in_future(seconds: int = 3_600) -> str:
    """A time from now, as it is on the wire."""
    return f"{datetime.now(UTC) + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"
