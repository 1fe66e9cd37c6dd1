"""Lines of the log that a message causes name its charge point and the message, over both
transports: who reads the log finds the message in the message log, and the other way round."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from csms.logs import JsonFormatter
from csms.ocpp.core import Heartbeat
from csms.services.dispatch import handlers
from tests import factories
from tests.ocpp_soap.house import message
from tests.running import System, post, wait_for

pytestmark = pytest.mark.django_db(transaction=True)

Ask = Callable[[str, dict[str, Any]], str]
"""Send a message of an action; its id."""


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """What is logged, as the JSON that a process would write."""
    found: list[dict[str, Any]] = []
    handler = logging.Handler()
    handler.setFormatter(JsonFormatter())
    handler.emit = lambda record: found.append(  # type: ignore[method-assign]
        json.loads(handler.format(record))
    )
    logging.getLogger().addHandler(handler)
    yield found
    logging.getLogger().removeHandler(handler)


@pytest.fixture(params=["json", "soap"])
def ask(request: pytest.FixtureRequest, system: System) -> Ask:
    row = factories.charge_point(identity="TOLD-1", transport=request.param)
    if request.param == "json":
        charger = system.charger(row)

        def over_websocket(action: str, payload: dict[str, Any]) -> str:
            charger.ask(json.dumps([2, f"id-of-{action}", action, payload]))
            return f"id-of-{action}"

        return over_websocket

    def over_http(action: str, payload: dict[str, Any]) -> str:
        post(system, message(action, identity=row.identity, message_id=f"urn:uuid:{action}"))
        return f"urn:uuid:{action}"

    return over_http


def test_a_handler_that_fails(
    ask: Ask, lines: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(request: object, context: object) -> None:
        raise RuntimeError("It fails.")

    broken = handlers[Heartbeat]._replace(decide=fail)  # type: ignore[arg-type]
    monkeypatch.setitem(handlers, Heartbeat, broken)  # type: ignore[misc]
    message_id = ask("Heartbeat", {})
    wait_for(lambda: any("It fails." in line.get("exception", "") for line in lines))
    (line,) = (line for line in lines if "It fails." in line.get("exception", ""))
    assert (line["charge_point"], line.get("message_id")) == ("TOLD-1", message_id)
