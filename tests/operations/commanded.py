"""A charge point at the door of the services: commanded, answering, speaking, in its own time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from csms.models import Command
from csms.ocpp import core, registry
from csms.ocpp.base import reply_type
from csms.services.commands import command_send, request_of
from csms.services.effects import effects_check
from csms.services.outbox import (
    Answer,
    NoAnswer,
    Replied,
    command_complete,
    commands_claim,
)
from tests import factories
from tests.operations.examples import request
from tests.services.harness import House

OWNER = "gateway"


class Commanded:
    """One charge point, connected; `later` moves its clock and that of the services."""

    def __init__(self) -> None:
        self.house = House()
        # Ahead of the real clock, which says when a command was asked for: also on a slow machine.
        self.house.now = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=1)
        self.later = self.house.later
        self.cp = self.house.charger(connected=True, owner=OWNER)
        self.say = self.cp.send

    # ------------------------------------------------------------------------- commands

    def send(self, name: str, **fields: Any) -> Command:
        """A command on its way."""
        command = command_send(charge_point=self.cp.row, request=request(name, **fields))
        assert self.claimed() == command
        self.later(seconds=1)
        return command

    def claimed(self) -> Command:
        """The next command that waited; it is on its way now."""
        (claimed,) = commands_claim(transport="json", owner=OWNER, now=self.house.now)
        return Command.objects.get(pk=claimed.command_id)

    def complete(self, command: Command, answer: Answer) -> Command:
        command_complete(command_id=command.pk, answer=answer, now=self.house.now)
        command.refresh_from_db()
        return command

    def answer(self, command: Command, **reply: Any) -> Command:
        """The charge point answers."""
        declaration = reply_type(registry.ACTIONS[command.action])
        return self.complete(command, Replied(msgspec.convert(reply, declaration)))

    def accepted(self, name: str, status: str = "Accepted", **fields: Any) -> Command:
        """A command that was answered with a status."""
        return self.answer(self.send(name, **fields), status=status)

    def clear(self, status: str, **criteria: Any) -> Command:
        """ClearChargingProfile with just these criteria."""
        command = command_send(
            charge_point=self.cp.row, request=request_of("ClearChargingProfile", criteria)
        )
        assert self.claimed() == command
        return self.answer(command, status=status)

    def lost(self, name: str, **fields: Any) -> Command:
        """A command that was never answered."""
        return self.complete(self.send(name, **fields), NoAnswer("No answer within 30 s."))

    # -------------------------------------------------------------------------- effects

    def effect(self, command: Command) -> tuple[str, str]:
        """What is known of an effect now: which, and the text."""
        effects_check(now=self.house.now)
        command.refresh_from_db()
        return command.effect, command.effect_text

    def status(self, connector_id: int, status: str) -> None:
        """Report the status of a connector."""
        plain = {"connectorId": connector_id, "status": status, "errorCode": "NoError"}
        self.say(msgspec.convert(plain, core.StatusNotification))

    def boot(self, firmware_version: str = "1.0") -> None:
        self.say(
            core.BootNotification(
                charge_point_vendor="V",
                charge_point_model="M",
                firmware_version=firmware_version,
            )
        )

    def begin(self, tag: str = "TAG", **fields: Any) -> int:
        """Start a transaction at this time; its id."""
        return self.cp.begin(tag, **fields)


def known_tag() -> None:
    """TAG may charge any number of times."""
    factories.id_tag("TAG", max_transactions=0)
