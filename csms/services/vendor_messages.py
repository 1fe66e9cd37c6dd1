"""Handlers of vendors' messages (DataTransfer) that an installation brings along.

A package names them under the entry point group `csms.data_transfer`; docs/data-transfer.md shows
one. They are code of others: they run in threads of their own, outside of the ingest and of any
transaction, and what they raise, or that they take long, harms nobody.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib.metadata import entry_points
from typing import NamedTuple

from django.db import connections

from csms.ocpp.base import validated
from csms.ocpp.core import DataTransferResponse, DataTransferStatus
from csms.ocpp.errors import ProtocolError

logger = logging.getLogger(__name__)

GROUP = "csms.data_transfer"
AT_ONCE = 16
"""Messages that one handler may have in work; further ones are answered Rejected."""


@dataclass(frozen=True, slots=True)
class VendorMessage:
    """A DataTransfer of a charge point that is known and Accepted."""

    charge_point: str
    """Identity."""
    vendor_id: str
    """As sent; case does not count (§7.28)."""
    message_id: str
    """The same; empty: it has none."""
    data: str
    """As sent; empty: it has none."""
    transport: str
    """`json` or `soap`."""
    received_at: datetime
    """UTC."""


@dataclass(frozen=True, slots=True)
class VendorReply:
    """What the charge point is answered."""

    accepted: bool = True
    data: str = ""
    """Empty: the answer has none."""


@dataclass(frozen=True, slots=True)
class VendorRequest:
    """A DataTransfer that people may send to charge points of a vendor: a help for the form."""

    message_id: str
    help: str
    """What it does, and what its data are, in one line."""


@dataclass(frozen=True, slots=True)
class VendorHandler:
    """Answers messages of a vendor."""

    vendor_id: str
    handle: Callable[[VendorMessage], VendorReply]
    """Called in a thread; a message that the charge point repeats comes again."""
    message_ids: tuple[str, ...] = ()
    """Only these; empty: all."""
    requests: tuple[VendorRequest, ...] = ()
    _work: threading.Semaphore = field(
        default_factory=lambda: threading.Semaphore(AT_ONCE), repr=False, compare=False
    )


class Found(NamedTuple):
    """What is known of a vendorId and messageId."""

    handler: VendorHandler | None
    vendor_known: bool


@cache
def handlers() -> tuple[VendorHandler, ...]:
    """Those of the installed packages, by the names of their entry points. One that cannot be
    loaded is named in the log, and left out."""
    found = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            handler = entry.load()
        except Exception:
            logger.exception("The handler %s of vendors' messages cannot be loaded", entry.value)
            continue
        if isinstance(handler, VendorHandler):
            found.append(handler)
        else:
            logger.error("%s is no VendorHandler: it is left out", entry.value)
    return tuple(found)


def find(vendor_id: str, message_id: str) -> Found:
    """Who handles a message: the first that names it, else the first that takes all.

    Both are CiStrings (§4.3, §7.28): case does not count.
    """
    vendor, message = vendor_id.casefold(), message_id.casefold()
    of_vendor = [one for one in handlers() if one.vendor_id.casefold() == vendor]
    named = [one for one in of_vendor if message in map(str.casefold, one.message_ids)]
    takes_all = [one for one in of_vendor if not one.message_ids]
    return Found(next(iter((*named, *takes_all)), None), bool(of_vendor))


def requests_known() -> list[tuple[str, VendorRequest]]:
    """The requests that handlers declare, with their vendorId."""
    return [(one.vendor_id, request) for one in handlers() for request in one.requests]


REJECTED = DataTransferResponse(status=DataTransferStatus.REJECTED)


async def handle(
    handler: VendorHandler, message: VendorMessage, *, within: float
) -> DataTransferResponse:
    """A handler's answer; Rejected when it fails, or takes longer than `within` seconds."""
    if not handler._work.acquire(blocking=False):
        logger.error("%s has %d messages in work: one more is Rejected", _named(message), AT_ONCE)
        return REJECTED
    loop = asyncio.get_running_loop()
    done: asyncio.Future[DataTransferResponse] = loop.create_future()

    def tell(answer: DataTransferResponse) -> None:
        if not done.done():  # nobody waits any more
            done.set_result(answer)

    def run() -> None:
        try:
            answer = _answer(handler, message)
        finally:
            connections.close_all()
            handler._work.release()
        try:
            loop.call_soon_threadsafe(tell, answer)
        except RuntimeError:  # the loop has ended
            return

    # A daemon: one that never ends does not keep the process from ending.
    threading.Thread(target=run, name=f"vendor {message.vendor_id}"[:60], daemon=True).start()
    try:
        async with asyncio.timeout(within):
            return await done
    except TimeoutError:
        logger.error("%s took longer than %g s: Rejected", _named(message), within)
        return REJECTED


def _answer(handler: VendorHandler, message: VendorMessage) -> DataTransferResponse:
    try:
        reply = handler.handle(message)
        if not isinstance(reply, VendorReply):
            raise TypeError(f"It returned {reply!r:.100}, which is no VendorReply.")
        status = DataTransferStatus.ACCEPTED if reply.accepted else DataTransferStatus.REJECTED
        if not reply.data:
            return DataTransferResponse(status=status)
        return validated(DataTransferResponse(status=status, data=reply.data))
    except ProtocolError as error:
        logger.error("%s answered what cannot be sent: %s", _named(message), error)
    except BaseException:  # also SystemExit: nobody else would say so
        logger.exception("%s failed: Rejected", _named(message))
    return REJECTED


def _named(message: VendorMessage) -> str:
    name = f"{message.vendor_id} {message.message_id}".strip()
    return f"The handler of {name!r:.300} for {message.charge_point!r}"
