"""What happens by itself: expiries, retention, partitions, and noticing other processes' writes."""

import asyncio
import logging
import threading
import time
from datetime import UTC, datetime

from django.db import Error, connection

from csms.conf import settings
from csms.services import bus, effects
from csms.services.idempotency import idempotency_trim
from csms.services.local_lists import conflicts_settle
from csms.services.messages import messages_trim
from csms.services.online import soap_presence_check
from csms.services.outbox import commands_expire
from csms.services.reservations import reservations_expire
from csms.services.retention import meter_values_trim, months_keep, records_trim
from csms.services.roll_out_waves import roll_outs_advance
from csms.services.security_events import events_mail, refusals_keep
from csms.services.storage import incoming_trim
from csms.services.threads import in_file_thread, in_thread
from csms.services.uploads import uploads_settle, uploads_trim
from csms.services.webhook_queue import events_expire, events_trim

logger = logging.getLogger(__name__)

EXPIRY_EVERY = 5.0
UPKEEP_EVERY = 600.0
PAUSE = 0.05
"""Seconds between two batches of what is deleted, for those who write meanwhile."""
MAIL_EVERY = 900.0
REFUSALS_EVERY = 5.0
LOOK_EVERY = 0.2
EFFECTS_EVERY = 10.0
EFFECTS_PAUSE = 0.1


async def run() -> None:
    """Run until cancelled. Upkeep has a task of its own: what there is to delete may take long."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_expire())
        group.create_task(_keep_up())
        group.create_task(_roll_out())
        group.create_task(_keep_files())


async def _expire() -> None:
    while True:
        try:
            await in_thread(commands_expire, now=datetime.now(UTC))
            await in_thread(reservations_expire, now=datetime.now(UTC))
            await in_thread(conflicts_settle, now=datetime.now(UTC))
            await in_thread(soap_presence_check, now=datetime.now(UTC))
        except Error as error:
            logger.warning("Expiries wait: the database does not answer (%s)", error)
        await asyncio.sleep(EXPIRY_EVERY)


async def _keep_up() -> None:
    """Delete what is old, batch by batch with pauses; keep the months of PostgreSQL."""
    while True:
        now, config = datetime.now(UTC), settings()
        try:
            await in_thread(months_keep, now=now, config=config)
            while await in_thread(messages_trim, now=now, config=config):  # noqa: ASYNC110
                await asyncio.sleep(PAUSE)
            while await in_thread(meter_values_trim, now=now, config=config):  # noqa: ASYNC110
                await asyncio.sleep(PAUSE)
            while await in_thread(records_trim, now=now, config=config):  # noqa: ASYNC110
                await asyncio.sleep(PAUSE)
            while await in_thread(idempotency_trim, now=now):  # noqa: ASYNC110
                await asyncio.sleep(PAUSE)
            while await in_thread(events_expire, now=now):  # noqa: ASYNC110
                await asyncio.sleep(PAUSE)
            while await in_thread(events_trim, now=now, config=config):  # noqa: ASYNC110
                await asyncio.sleep(PAUSE)
        except Error as error:
            logger.warning("Upkeep waits: the database does not answer (%s)", error)
            await asyncio.sleep(EXPIRY_EVERY)
            continue
        await asyncio.sleep(UPKEEP_EVERY)


async def _roll_out() -> None:
    """Advance roll-outs of firmware, end uploads that nothing comes of."""
    while True:
        try:
            await in_thread(roll_outs_advance, now=datetime.now(UTC))
            await in_thread(uploads_settle, now=datetime.now(UTC))
        except Error as error:
            logger.warning("Roll-outs wait: the database does not answer (%s)", error)
        await asyncio.sleep(EXPIRY_EVERY)


async def _keep_files() -> None:
    """Delete uploads that are old, and what killed processes left of files on their way."""
    while True:
        try:
            while await in_file_thread(  # noqa: ASYNC110
                uploads_trim, now=datetime.now(UTC), config=settings()
            ):
                await asyncio.sleep(PAUSE)
            await in_file_thread(incoming_trim)
        except Error as error:
            logger.warning("Old uploads wait: the database does not answer (%s)", error)
        except OSError as error:
            logger.error("Old uploads cannot be deleted: %s", error)
        await asyncio.sleep(UPKEEP_EVERY)


async def mail_events() -> None:
    """Tell people of security events, now and then; run until cancelled."""
    while True:
        try:
            await in_thread(events_mail)
        except Error as error:
            logger.warning("Mails wait: the database does not answer (%s)", error)
        except OSError as error:
            logger.error("The security events could not be mailed: %s", error)
        await asyncio.sleep(MAIL_EVERY)


async def keep_refusals() -> None:
    """Keep as security events what the edges have refused; run until cancelled."""
    try:
        while True:
            await asyncio.sleep(REFUSALS_EVERY)
            await _keep_refusals()
    finally:
        await _keep_refusals()


async def _keep_refusals() -> None:
    try:
        await refusals_keep()
    except Error as error:
        logger.warning("Security events wait: the database does not answer (%s)", error)


async def watch_effects() -> None:
    """Look for effects soon after the messages that may show them; run until cancelled."""
    subscription = bus.subscribe("effects")
    all_at = 0.0
    try:
        while True:
            await subscription.wait(EFFECTS_EVERY)
            await asyncio.sleep(EFFECTS_PAUSE)
            charge_points: set[int] | None = effects.touched()
            if time.monotonic() >= all_at:  # also on a busy fleet: who is silent wakes nobody
                all_at = time.monotonic() + EFFECTS_EVERY
                charge_points = None
            try:
                await in_thread(
                    effects.effects_check, now=datetime.now(UTC), charge_points=charge_points
                )
            except Error as error:
                logger.warning("Effects wait: the database does not answer (%s)", error)
    finally:
        bus.unsubscribe("effects", subscription)


class Watcher:
    """Wakes the delivery when another process (the shell) has queued a command on SQLite.

    `PRAGMA data_version` changes when another connection has committed: the inbox of this process
    too, many times a second, so then it looks whether there is a new command. On PostgreSQL the
    sweeps of the edges do the same, a little later.
    """

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def start(self) -> None:
        if connection.vendor == "sqlite":
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        seen = latest = None
        while not self._stop.wait(LOOK_EVERY):
            try:
                with connection.cursor() as cursor:
                    (version,) = cursor.execute("PRAGMA data_version").fetchone()
                    if version == seen:
                        continue
                    (newest,) = cursor.execute("SELECT max(id) FROM csms_command").fetchone()
            except Error:
                continue
            if seen is not None and newest != latest:
                bus.publish("commands")
            seen, latest = version, newest
        connection.close()
