"""What all connections of an HTTP server share: its limits, its gate, its clock."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import uvicorn

from csms.conf import Settings, settings
from csms.gate import Gate


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a connection may take, in seconds and bytes."""

    head_seconds: float = 10.0
    """For a complete request head, and until the first byte of a connection."""
    head_bytes: int = 16 * 1024
    body_seconds: float = 10.0
    """For a complete body after its head."""
    body_bytes: int = 10 * 1024 * 1024
    """Of any ordinary body; the applications have lower limits of their own."""
    pace_bytes: int = 64 * 1024
    pace_seconds: float = 60.0
    """Of a long body (`HttpConfig.long_body`) so much must come in each so long a time."""
    idle_seconds: float = 75.0
    """Between two requests."""
    write_seconds: float = 10.0
    """In which a client must read all that waits for it, or 48 KiB of it."""
    sweep_seconds: float = 1.0
    """Between two looks at all connections: what the other times are exact to."""


LongBody = Callable[[str, str], int]
"""How large the body of a request with this method and path may be (bytes), where it may be longer
than others and take longer; else 0."""


def _none(method: str, path: str) -> int:
    return 0


class HttpConfig(uvicorn.Config):
    """uvicorn's configuration, and ours."""

    def __init__(
        self,
        application: Any,
        protocol: type[asyncio.Protocol],
        *,
        limits: Limits | None = None,
        config: Settings | None = None,
        long_body: LongBody | None = None,
        drain_seconds: int = 15,
    ) -> None:
        super().__init__(
            application,
            http=protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # it would believe anybody on this machine: csms.services.peers
            timeout_graceful_shutdown=drain_seconds,
        )
        self.limits = limits or Limits()
        self.settings = config or settings()
        self.long_body = long_body or _none
        self.gate = Gate(self.settings)
        self.now = 0.0
        """The loop's time at the last sweep: exact enough for the limits, and free to read."""
