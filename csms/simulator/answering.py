"""The registry of what a simulated charge point answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from csms.ocpp.base import Request
from csms.simulator.transport import Answer

if TYPE_CHECKING:
    from csms.simulator.charge_point import SimulatedChargePoint

Q = TypeVar("Q", bound=Request[Any])
Operation = Callable[["SimulatedChargePoint", Any], Answer]

OPERATIONS: dict[type[Request[Any]], Operation] = {}


def answers(
    request: type[Q],
) -> Callable[
    [Callable[[SimulatedChargePoint, Q], Answer]], Callable[[SimulatedChargePoint, Q], Answer]
]:
    """Register the function that answers a request."""

    def register(
        operation: Callable[[SimulatedChargePoint, Q], Answer],
    ) -> Callable[[SimulatedChargePoint, Q], Answer]:
        OPERATIONS[request] = operation
        return operation

    return register
