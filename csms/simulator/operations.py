"""What a simulated charge point answers: all 26 calls that a central system may make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import csms.simulator.operations_charging
import csms.simulator.operations_core
import csms.simulator.operations_firmware
import csms.simulator.operations_lists
import csms.simulator.operations_security
import csms.simulator.operations_trigger  # noqa: F401  importing these fills the registry
from csms.ocpp.base import Request, action
from csms.simulator.answering import OPERATIONS
from csms.simulator.transport import Answer, Refused

if TYPE_CHECKING:
    from csms.simulator.charge_point import SimulatedChargePoint


def answer_to(cp: SimulatedChargePoint, request: Request[Any]) -> Answer:
    """Decide; raises Refused where there is no such operation."""
    operation = OPERATIONS.get(type(request))
    if operation is None:
        raise Refused("NotImplemented", f"{action(type(request))} is not implemented.")
    return operation(cp, request)
