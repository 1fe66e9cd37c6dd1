"""How a simulated charge point behaves when nobody tells it otherwise."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A charging session: `watts` for `charge` seconds, a reading every `interval` seconds,
    then `idle` seconds of rest; `sessions` of them on each connector (0: no end)."""

    id_tags: tuple[str, ...] = ("DEMO-TAG",)
    sessions: int = 1
    charge: float = 60.0
    idle: float = 10.0
    interval: int = 10
    watts: float = 11_000.0
    transaction_data: bool = False
