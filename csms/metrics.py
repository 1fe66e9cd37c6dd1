"""`GET /metrics`: what the process counts and what waits in the database, for Prometheus.

Who asks comes from CSMS_METRICS_NETWORKS, or with an API token. docs/monitoring.md explains each
number. The counting is done in csms/services/metrics.py; here it is only written down.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import accumulate
from typing import Any, NamedTuple, Protocol

from django.db import Error
from django.db.models import Count
from prometheus_client import Metric, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from csms.conf import Settings
from csms.models import ChargePoint, Command
from csms.models.charge_points import Transport
from csms.models.commands import CommandState
from csms.pages import Page
from csms.sampling import Sample
from csms.services.metrics import Histogram, Meters, meters
from csms.services.online import online_condition
from csms.services.peers import last_headers, listed, peer_of
from csms.services.threads import in_thread
from csms.services.tokens import token_find

KEEP = 5.0
"""Seconds for which what the database said holds."""
ANSWERS_WITHIN = 2.0

WAITING = (CommandState.QUEUED, CommandState.SENT)
ENDED = tuple(state for state in CommandState if state not in (*WAITING, CommandState.CANCELLED))


class Inbox(Protocol):
    """What is asked of `csms.services.inbox.Inbox`."""

    @property
    def waiting(self) -> int: ...


class Fleet(NamedTuple):
    """What the database says, of all processes together."""

    commands: Mapping[str, int]
    """state → how many; of the states in which a command has not ended."""
    oldest: float
    """Seconds since the oldest queued command was made; 0: there is none."""
    oldest_online: float
    """The same among the charge points that are online."""
    online: Mapping[str, int]
    """transport → charge points."""


def fleet() -> Fleet:
    """Four short queries, whose cost is in what waits and in charge points, not in history."""
    now = datetime.now(UTC)
    waiting = Command.objects.filter(state__in=WAITING).order_by().values_list("state")
    queued = Command.objects.filter(state=CommandState.QUEUED).order_by("id")
    online = ChargePoint.objects.filter(online_condition(now))
    transports = online.order_by().values_list("transport").annotate(Count("pk"))
    return Fleet(
        commands=dict(waiting.annotate(Count("pk"))),
        oldest=_age(queued, now),
        oldest_online=_age(queued.filter(charge_point__in=online), now),
        online=dict(transports),
    )


def _age(queued: Any, now: datetime) -> float:
    made = queued.values_list("created_at", flat=True).first()
    return 0.0 if made is None else max(0.0, (now - made).total_seconds())


class Metrics:
    """The page of one process."""

    def __init__(self, inbox: Inbox, config: Settings) -> None:
        self._inbox = inbox
        self._config = config
        self._fleet = Sample(fleet, keep=KEEP, within=ANSWERS_WITHIN)

    async def page(self, scope: Any) -> Page:
        headers = last_headers(
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        )
        try:
            allowed = self._is_near(scope, headers) or await _has_token(headers)
        except Error:
            return Page(HTTPStatus.SERVICE_UNAVAILABLE, b"The token cannot be looked up now.\n")
        if not allowed:
            return Page(
                HTTPStatus.FORBIDDEN,
                b"This address is not in CSMS_METRICS_NETWORKS: send a token.\n",
            )
        exposition = Exposition(meters, self._inbox.waiting, await self._fleet.read())
        encode, kind = choose_encoder(headers.get("accept", ""))
        return Page(HTTPStatus.OK, await asyncio.to_thread(encode, exposition), kind)

    def _is_near(self, scope: Any, headers: Mapping[str, str]) -> bool:
        """Whether who asks is in one of the networks, and no proxy that may be anybody's."""
        if not scope.get("client"):
            return False
        peer = peer_of(headers, address=scope["client"][0], proxies=self._config.trusted_proxies)
        return peer.trustworthy and listed(peer.address, self._config.metrics_networks)


async def _has_token(headers: Mapping[str, str]) -> bool:
    scheme, _, text = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return False
    return await in_thread(token_find, text=text.strip(), now=datetime.now(UTC)) is not None


class Exposition(Collector):
    """All numbers, as prometheus_client wants them."""

    def __init__(self, counted: Meters, waiting: int, known: Fleet | None) -> None:
        self._counted = counted
        self._waiting = waiting
        self._known = known

    def collect(self) -> Iterable[Metric]:
        with self._counted.lock:
            found = [*self._messages(), *self._inbox(), *self._charge_points()]
        return [*found, *self._fleet(), *ProcessCollector(registry=None).collect()]

    def _messages(self) -> Iterator[Metric]:
        counted = self._counted
        yield _counter(
            "csms_messages",
            "Messages of charge points by action, transport and result.",
            ("action", "transport", "result"),
            counted.messages,
        )
        seconds = HistogramMetricFamily(
            "csms_message_seconds",
            "From the receipt of a charge point's message until it is answered.",
            labels=("transport",),
        )
        for transport, histogram in counted.latency.items():
            seconds.add_metric((transport,), *_buckets(histogram))
        yield seconds
        yield _counter(
            "csms_calls",
            "Calls of ours to charge points by action, transport and result.",
            ("action", "transport", "result"),
            counted.calls,
        )

    def _inbox(self) -> Iterator[Metric]:
        counted = self._counted
        yield GaugeMetricFamily(
            "csms_inbox_waiting", "Messages whose commit is outstanding.", self._waiting
        )
        for name, text, histogram in (
            ("messages", "Messages committed together.", counted.batch_messages),
            ("seconds", "Duration of a batch with its commit.", counted.batch_seconds),
        ):
            family = HistogramMetricFamily(f"csms_inbox_batch_{name}", text)
            family.add_metric((), *_buckets(histogram))
            yield family
        yield CounterMetricFamily(
            "csms_log_dropped",
            "Rows of the message log that were lost for want of room.",
            counted.log_dropped,
        )

    def _charge_points(self) -> Iterator[Metric]:
        counted = self._counted
        yield _gauge(
            "csms_connections",
            "Connections of charge points to this process.",
            ("transport",),
            counted.connections,
        )
        yield _counter(
            "csms_handshakes_refused",
            "OCPP-J handshakes that were refused, by reason.",
            ("reason",),
            counted.refused,
        )
        yield _counter(
            "csms_commands_ended",
            "Commands that came to an end, by the state in which they did.",
            ("state",),
            {**dict.fromkeys(ENDED, 0), **counted.ended},
        )

    def _fleet(self) -> Iterator[Metric]:
        known = self._known
        yield GaugeMetricFamily(
            "csms_database_up",
            f"1: the database answered within {ANSWERS_WITHIN:g} s.",
            int(known is not None),
        )
        if known is None:
            return
        yield _gauge(
            "csms_commands",
            "Commands that have not ended, by state.",
            ("state",),
            {**dict.fromkeys(WAITING, 0), **known.commands},
        )
        yield _gauge(
            "csms_outbox_age_seconds",
            "Age of the oldest queued command: for any charge point, for one that is online.",
            ("charge_points",),
            {"any": known.oldest, "online": known.oldest_online},
        )
        yield _gauge(
            "csms_charge_points_online",
            "Charge points that are online, by transport.",
            ("transport",),
            {**dict.fromkeys(Transport, 0), **known.online},
        )


Numbers = Mapping[Any, float]
"""Label, or labels → value."""


def _counter(name: str, text: str, labels: tuple[str, ...], values: Numbers) -> Metric:
    return _filled(CounterMetricFamily(name, text, labels=labels), values)


def _gauge(name: str, text: str, labels: tuple[str, ...], values: Numbers) -> Metric:
    return _filled(GaugeMetricFamily(name, text, labels=labels), values)


def _filled(family: Any, values: Numbers) -> Metric:
    for key, value in sorted(values.items()):
        family.add_metric(key if type(key) is tuple else (str(key),), value)
    filled: Metric = family
    return filled


def _buckets(histogram: Histogram) -> tuple[list[tuple[str, float]], float]:
    """Cumulative counts by upper bound, and the sum of the values."""
    bounds = [*(f"{bound:g}" for bound in histogram.bounds), "+Inf"]
    return list(zip(bounds, accumulate(histogram.counts), strict=True)), histogram.total
