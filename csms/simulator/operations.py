"""What a simulated charge point answers: all 26 calls that a central system may make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from csms.ocpp.base import Request, action
from csms.simulator import (
    operations_charging,
    operations_core,
    operations_firmware,
    operations_lists,
    operations_security,
    operations_trigger,
)
from csms.simulator.answering import OPERATIONS
from csms.simulator.transport import Answer, Refused

if TYPE_CHECKING:
    from csms.simulator.charge_point import SimulatedChargePoint

MODULES = (
    operations_charging,
    operations_core,
    operations_firmware,
    operations_lists,
    operations_security,
    operations_trigger,
)
"""Importing them has filled the registry."""


def answer_to(cp: SimulatedChargePoint, request: Request[Any]) -> Answer:
    """Decide; raises Refused where there is no such operation."""
    operation = OPERATIONS.get(type(request))
    if operation is None:
        raise Refused("NotImplemented", f"{action(type(request))} is not implemented.")
    return operation(cp, request)
