"""What an edge may know of a charge point: a frozen copy, never a row."""

from zoneinfo import ZoneInfo

import msgspec


class ChargerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Facts of one admitted charge point."""

    pk: int
    identity: str
    transport: str
    """`json` or `soap`."""
    strict: bool
    """Deviations are refused instead of read."""
    time_zone: str
    """Read into timestamps without a zone."""
    authenticated: bool
    """Proved who it is (a password was set and given)."""
    epoch: int = 0
    """JSON: which of its connections this is; a higher one in the database has replaced it."""

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)
