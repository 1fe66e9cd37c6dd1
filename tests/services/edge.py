"""What an edge does with commands, for tests: it claims, and says what became of them."""

from datetime import UTC, datetime
from typing import Any

from csms.models import ChargePoint, Command
from csms.ocpp import core
from csms.services.commands import command_send
from csms.services.outbox import (
    Claimed,
    Replied,
    command_complete,
    commands_claim,
)
from tests import factories

GATEWAY = "gateway-1"
RESET = core.Reset(type=core.ResetType.SOFT)
ACCEPTED = Replied(core.ResetResponse(status=core.ResetStatus.ACCEPTED), "raw")


def now() -> datetime:
    return datetime.now(UTC)


def json_charger(**columns: Any) -> ChargePoint:
    return factories.charge_point(**{"connected": True, "owner": GATEWAY, "epoch": 3, **columns})


def soap_charger(**columns: Any) -> ChargePoint:
    url = "http://198.51.100.7/"
    return factories.charge_point(
        **{"transport": "soap", "callback_url": url, "last_seen": now(), **columns}
    )


def claim(transport: str = "json", **how: Any) -> list[Claimed]:
    how = {"owner": GATEWAY, "now": now(), **how}
    return commands_claim(transport=transport, **how)


def state(command: Command) -> str:
    command.refresh_from_db()
    return command.state


def events(command: Command) -> list[str]:
    return list(command.events.values_list("state", flat=True))


def sent(row: ChargePoint | None = None) -> Command:
    command = command_send(charge_point=row or json_charger(), request=RESET, by="ann")
    transport = command.charge_point.transport
    assert claim(transport)[0].command_id == command.pk
    return command


def complete(command: Command, answer: Any, at: datetime | None = None) -> str:
    command_complete(command_id=command.pk, answer=answer, now=at or now())
    return state(command)
