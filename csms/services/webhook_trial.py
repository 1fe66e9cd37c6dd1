"""A test event: sent to a webhook now, outside the queue, and never again."""

import asyncio
import time
import uuid
from datetime import UTC, datetime
from typing import NamedTuple

from csms.models import WebhookSubscription
from csms.services.sealing import CannotOpen
from csms.services.webhook_delivery import Sender
from csms.services.webhook_events import Told, body_of
from csms.services.webhook_queue import Due
from csms.services.webhooks import secret_of, subscription_proved

KIND = "webhook.test"
"""The kind of a test event; it concerns no charge point, and nobody subscribes to it."""


class Tried(NamedTuple):
    """What became of a test event."""

    event_id: str
    problem: str
    """Why it was not taken; empty: it was."""
    seconds: float


def subscription_try(*, subscription: WebhookSubscription) -> Tried:
    """Send a test event, also to a webhook that is off or paused. Blocks for as long as a target
    may take to answer.

    One that is taken shows that the target works again: after failures the rest follows at once.
    """
    event_id, now = uuid.uuid4(), datetime.now(UTC)
    data = {"webhook": subscription.name, "message": "This is a test."}
    body = body_of(Told(KIND, now, "", "", data), event_id)
    began = time.monotonic()
    problem = asyncio.run(_send(subscription, Due(0, str(event_id), KIND, body)))
    seconds = time.monotonic() - began
    subscription_proved(subscription=subscription, problem=problem, now=datetime.now(UTC))
    return Tried(str(event_id), problem, seconds)


async def _send(subscription: WebhookSubscription, event: Due) -> str:
    try:
        secret = secret_of(subscription)
    except CannotOpen:
        secret = ""
    sender = Sender()
    try:
        return await sender.post(subscription.url, secret, event)
    finally:
        await sender.close()
