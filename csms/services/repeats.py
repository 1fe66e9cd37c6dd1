"""Repeated messages: the same id with the same text gets the answer that it had (N17).

Only for requests whose repetition must not be executed again. Others run afresh, as charge points
exist that restart their ids with each boot, or have one id for every boot. This memory spares work
within a process; across restarts the natural keys of the database do the same.
"""

from collections import OrderedDict

from csms.ocpp.tolerance import Note
from csms.services.decide import Incoming, Outcome

REPLAYED = frozenset({"StartTransaction", "StopTransaction", "MeterValues", "DataTransfer"})

REMEMBERED = 20_000
"""Answers kept at most."""


class Answers:
    """The latest answers, by charge point and message id."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, str], tuple[int, Outcome]] = OrderedDict()

    def known(self, incoming: Incoming) -> Outcome | None:
        """The answer to the same message, if it had one; another with its id is noted."""
        if incoming.charger is None or incoming.action not in REPLAYED:
            return None
        digest, outcome = self._kept.get((incoming.charger.pk, incoming.message_id), (0, None))
        if outcome is None or digest == hash(incoming.raw):
            return outcome
        again = Note("message id used again", "", incoming.message_id[:255])
        incoming.notes = (*incoming.notes, again)
        return None

    def remember(self, incoming: Incoming, result: Outcome | BaseException | None) -> None:
        """Keep the answer to a message that was committed."""
        if (
            incoming.charger is None
            or incoming.action not in REPLAYED
            or not isinstance(result, Outcome)
            or result.error is not None  # its cause may be gone when it is sent again
        ):
            return
        key = (incoming.charger.pk, incoming.message_id)
        self._kept[key] = (hash(incoming.raw), result)
        self._kept.move_to_end(key)
        if len(self._kept) > REMEMBERED:
            self._kept.popitem(last=False)
