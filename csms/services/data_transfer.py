"""DataTransfer: what OCPP has no message for (OCPP 1.6 §4.3).

Two kinds of handlers answer it. Our own (BUILT_IN) decide over what was loaded, like those of every
message. Those that an installation brings along (vendor_messages.py) run before the inbox takes the
message: `prepare` has their answer, which the inbox then commits to the log and sends.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from django.db import connection

from csms.conf import settings
from csms.models import ChargePoint
from csms.models.charge_points import Registration
from csms.ocpp import plug_and_charge as pnc
from csms.ocpp.base import value_or
from csms.ocpp.core import DataTransfer, DataTransferResponse, DataTransferStatus
from csms.ocpp.tolerance import Note
from csms.services import plug_and_charge
from csms.services.dispatch import Context, handles
from csms.services.facts import ChargerFacts
from csms.services.outages import OUTAGES
from csms.services.rows import stored
from csms.services.secrets import masked_text
from csms.services.threads import in_thread
from csms.services.vendor_messages import VendorMessage, find, handle
from csms.services.world import NOTHING, Needs

if TYPE_CHECKING:
    from csms.services.decide import Incoming

logger = logging.getLogger(__name__)

MOST_UNKNOWN = 1_000
"""Unknown vendors' messages that are kept: a charge point can name any."""
NOTED_EVERY = 60.0
"""Seconds: so often the count of the same unknown message is written at most."""
MOST_REMEMBERED = 10_000


class BuiltIn(NamedTuple):
    """A handler of ours: like that of any message, it runs no query."""

    needs: Callable[[DataTransfer], Needs]
    decide: Callable[[DataTransfer, Context], DataTransferResponse]


BUILT_IN: dict[tuple[str, str], BuiltIn] = {
    (pnc.VENDOR_ID.casefold(), pnc.AUTHORIZE.casefold()): BuiltIn(
        plug_and_charge.authorize_needs, plug_and_charge.authorize
    ),
}
"""vendorId, messageId (case-folded: both are CiStrings, §7.28) → handler."""
_BUILT_IN_VENDORS = frozenset(vendor_id for vendor_id, _ in BUILT_IN)


def _key(request: DataTransfer) -> tuple[str, str]:
    return request.vendor_id, value_or(request.message_id, "")


def _built_in(request: DataTransfer) -> BuiltIn | None:
    vendor_id, message_id = _key(request)
    return BUILT_IN.get((vendor_id.casefold(), message_id.casefold()))


def _needs(request: DataTransfer, notes: tuple[Note, ...]) -> Needs:
    built_in = _built_in(request)
    return NOTHING if built_in is None else built_in.needs(request)


@handles(DataTransfer, needs=_needs)
def data_transfer(request: DataTransfer, context: Context) -> DataTransferResponse:
    """§4.3: unknown vendors and messages are answered by status, never by an error.

    The data is opaque: it stands in the message log.
    """
    built_in = _built_in(request)
    if built_in is not None:
        return built_in.decide(request, context)
    if context.prepared is not None:
        return context.prepared
    found = find(*_key(request))
    if found.handler is not None:  # the charge point was not allowed to ask when it asked
        return DataTransferResponse(status=DataTransferStatus.REJECTED)
    known = found.vendor_known or request.vendor_id.casefold() in _BUILT_IN_VENDORS
    status = "UNKNOWN_MESSAGE_ID" if known else "UNKNOWN_VENDOR_ID"
    return DataTransferResponse(status=DataTransferStatus[status])


# --------------------------------------------------------------------- before the inbox


async def prepare(incoming: "Incoming") -> None:
    """Ask the installed handler of a DataTransfer, where there is one, for its answer.

    It runs outside of any transaction, and only for a charge point that is Accepted.
    """
    request, charger = incoming.request, incoming.charger
    if not isinstance(request, DataTransfer) or charger is None:
        return
    if _built_in(request) is not None:
        return
    key, data = _key(request), value_or(request.data, "")
    found = find(*key)
    if found.handler is None:
        await _note_unknown(key, charger.identity, data)
        return
    try:
        if not await in_thread(_may_ask, charger=charger):
            return
    except OUTAGES:
        return  # the inbox waits for the database, or answers that there is none
    message = VendorMessage(
        charge_point=charger.identity,
        vendor_id=key[0],
        message_id=key[1],
        data=data,
        transport=incoming.transport,
        received_at=incoming.received_at,
    )
    incoming.prepared = await handle(
        found.handler, message, within=settings().data_transfer_timeout
    )


def _may_ask(*, charger: ChargerFacts) -> bool:
    """Whether it is Accepted, and this is its newest connection."""
    row = ChargePoint.objects.filter(pk=charger.pk, registration=Registration.ACCEPTED)
    return (row.filter(epoch=charger.epoch) if charger.epoch else row).exists()


# ------------------------------------------------------------------------ unknown ones

_noted: dict[tuple[str, str], tuple[float, int]] = {}
"""vendorId, messageId → when it was written last (monotonic), how many came since."""


async def _note_unknown(key: tuple[str, str], identity: str, data: str) -> None:
    """Count an unknown message for the list in the admin; now and then what was counted is
    written."""
    written, count = _noted.get(key, (-NOTED_EVERY, 0))
    if time.monotonic() - written < NOTED_EVERY:
        _noted[key] = (written, count + 1)
        return
    if len(_noted) >= MOST_REMEMBERED:
        _noted.clear()
    _noted[key] = (time.monotonic(), 0)
    vendor_id, message_id = key
    logger.info("No handler knows the DataTransfer of %r: %r %r", identity, vendor_id, message_id)
    try:
        await in_thread(
            unknown_note,
            vendor_id=vendor_id,
            message_id=message_id,
            identity=identity,
            example=masked_text(data),
            count=count + 1,
            now=datetime.now(UTC),
        )
    except OUTAGES as error:
        logger.warning("An unknown DataTransfer is not listed: %s", error)


def unknown_note(
    *, vendor_id: str, message_id: str, identity: str, example: str, count: int, now: datetime
) -> None:
    """List a vendor's message that nobody knows, or count it again."""
    key = (vendor_id[:255], message_id[:50])
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO csms_unknowntransfer (vendor_id, message_id, identity, example, count, "
            "first_at, last_at) SELECT %s, %s, %s, %s, %s, %s, %s "
            "WHERE (SELECT count(*) FROM csms_unknowntransfer) < %s OR EXISTS (SELECT 1 "
            "FROM csms_unknowntransfer WHERE vendor_id = %s AND message_id = %s) "
            "ON CONFLICT (vendor_id, message_id) DO UPDATE SET identity = excluded.identity, "
            "example = excluded.example, count = csms_unknowntransfer.count + excluded.count, "
            "last_at = excluded.last_at",
            [
                *key,
                identity[:255],
                example[:500],
                count,
                stored(now),
                stored(now),
                MOST_UNKNOWN,
                *key,
            ],
        )


def forget() -> None:
    """Write each unknown message again."""
    _noted.clear()
