"""How to make a simulated charge point misbehave."""

from dataclasses import dataclass

from csms.ocpp.base import Payload


@dataclass(kw_only=True)
class Misbehaviour:
    """What goes wrong with the next `times` messages of an action.

    For calls of the central system: `delay` the answer (seconds), answer with `error` (a code of
    OCPP-J 4.2.3 as `InternalError`; over SOAP the sub-code), stay `silent`, `drop` the connection
    instead of answering, or give the `reply` instead of its own and do nothing more. For calls of
    the charge point: `drop` the connection after sending, so that the answer is lost.
    """

    delay: float = 0.0
    error: str = ""
    silent: bool = False
    drop: bool = False
    reply: Payload | None = None
    times: int = 1


NONE = Misbehaviour(times=0)


class Misbehaviours:
    """What is to go wrong, by action."""

    def __init__(self) -> None:
        self._planned: dict[str, list[Misbehaviour]] = {}

    def plan(self, action: str, misbehaviour: Misbehaviour) -> None:
        """From the next message of this action on."""
        self._planned.setdefault(action, []).append(misbehaviour)

    def take(self, action: str) -> Misbehaviour:
        """What goes wrong with this message; NONE when all is well."""
        planned = self._planned.get(action)
        if not planned:
            return NONE
        planned[0].times -= 1
        return planned.pop(0) if planned[0].times <= 0 else planned[0]
