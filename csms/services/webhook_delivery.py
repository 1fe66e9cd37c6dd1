"""Delivers events to webhooks: claim, sign, POST, note what became of it.

An event counts as delivered when its target answered with 2xx. It is sent at least once: when a
process dies between the answer and the note, it is sent again, with the same id.
"""

import asyncio
import hashlib
import hmac
import logging
import ssl
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx

from csms.conf import Settings, settings
from csms.services import bus, callbacks
from csms.services.outages import patiently
from csms.services.threads import in_thread
from csms.services.webhook_queue import (
    LEASE,
    Claimed,
    Due,
    Failed,
    lane_finish,
    lanes_claim,
)
from csms.services.webhook_targets import target_resolve
from csms.services.webhooks import EVENTS

logger = logging.getLogger(__name__)

ANSWER_WITHIN = 10.0
"""Seconds for a whole request."""
CONNECT_WITHIN = 5.0
SWEEP = 2.0
"""Seconds after which events are looked for without a wake-up."""
GATHER = 0.05
"""Seconds between a wake-up and the look, so that a busy fleet makes few of them."""
RESOLVERS = 32
"""Threads that resolve host names, so that dead name servers delay nobody else's."""

UNSIGNED = (
    "Its secret cannot be read any more, since the secret key of this system was changed: give it "
    "a new one."
)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256, in hex, over the timestamp as sent, a full stop, and the body as sent."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class Sender:
    """Sends events: to pinned addresses, without redirects, bounded in time; nothing of an answer
    is read but its status."""

    def __init__(self, config: Settings | None = None, *, within: float = ANSWER_WITHIN) -> None:
        self._config = config or settings()
        self._within = within
        self._resolvers = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="webhook-resolve")
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            trust_env=False,
            verify=ssl.create_default_context(),
            timeout=httpx.Timeout(within, connect=min(CONNECT_WITHIN, within)),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )

    async def close(self) -> None:
        """Give up what is open."""
        await self._client.aclose()
        self._resolvers.shutdown(wait=False, cancel_futures=True)

    async def post(self, url: str, secret: str, event: Due) -> str:
        """Why an event was not taken; empty: it was."""
        if not secret:
            return UNSIGNED
        try:
            async with asyncio.timeout(self._within):
                target = await asyncio.get_running_loop().run_in_executor(
                    self._resolvers, self._check, url
                )
                status = await self._exchange(target, secret, event)
        except callbacks.CallbackRefused as refused:
            return str(refused)
        except TimeoutError:
            return f"No answer within {self._within:g} seconds."
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ssl.SSLError) as error:
            return f"No connection: {type(error).__name__} {error}".strip()
        except Exception as error:  # a failure as any other: without a pause it came again at once
            logger.exception("An event could not be sent to %s", url)
            return f"It could not be sent: {type(error).__name__}."
        if 300 <= status < 400:
            return f"Answered {status}: redirects are not followed."
        return "" if 200 <= status < 300 else f"Answered {status}."

    def _check(self, url: str) -> callbacks.Target:
        return target_resolve(url, self._config)

    async def _exchange(self, target: callbacks.Target, secret: str, event: Due) -> int:
        body, timestamp = event.body.encode(), str(int(time.time()))
        headers = {
            "host": urlsplit(target.url).netloc,
            "content-type": "application/json",
            "user-agent": "csms-webhooks/1",
            "csms-event-id": event.event_id,
            "csms-event-kind": event.kind,
            "csms-timestamp": timestamp,
            "csms-signature": f"v1={signature(secret, timestamp, body)}",
        }
        async with self._client.stream(
            "POST",
            target.pinned,
            content=body,
            headers=headers,
            extensions={"sni_hostname": target.host},
        ) as response:
            return response.status_code


class Delivery:
    """The delivery loop of one process."""

    def __init__(self, *, sender: Sender | None = None) -> None:
        self._sender = sender or Sender()
        self._under_way: dict[asyncio.Task[None], int] = {}

    async def run(self) -> None:
        """Deliver until cancelled; then give up what is under way, to be sent again."""
        wake = self._wake = bus.subscribe(EVENTS)
        try:
            while True:
                try:
                    await self.sweep()
                except Exception:  # the database is away: the events are still there later
                    logger.exception("Webhook events could not be claimed")
                await wake.wait(SWEEP)
                await asyncio.sleep(GATHER)
        finally:
            bus.unsubscribe(EVENTS, wake)
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)
            await self._sender.close()

    async def sweep(self) -> None:
        """Begin to send what may be sent now."""
        under_way, began = Counter(self._under_way.values()), time.monotonic()
        for claimed in await in_thread(lanes_claim, under_way=under_way):
            task = asyncio.create_task(self._deliver(claimed, began))
            self._under_way[task] = claimed.subscription_id
            task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        del self._under_way[task]
        if not task.cancelled() and task.exception() is not None:
            # Its lease runs out, and its events are sent again.
            logger.error("What became of webhook events was not kept", exc_info=task.exception())
        self._wake.wake()  # there may be more of this lane, and there is room for another

    async def _deliver(self, claimed: Claimed, began: float) -> None:
        """Send a lane's events one after another, up to the first failure or the lease's end."""
        last_start = began + LEASE - 2 * ANSWER_WITHIN
        delivered: list[int] = []
        failed: Failed | None = None
        try:
            for event in claimed.events:
                if time.monotonic() > last_start:
                    break
                problem = await self._sender.post(claimed.url, claimed.secret, event)
                if problem:
                    failed = Failed(event.pk, problem)
                    break
                delivered.append(event.pk)
        finally:  # also when the process is being stopped
            await patiently(lane_finish, claimed=claimed, delivered=delivered, failed=failed)
