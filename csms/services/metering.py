"""Sampled values: their defaults, and the figures that plots and billing need (OCPP 1.6 §7.43)."""

import hashlib
import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from csms.models import ChargePoint, Transaction
from csms.ocpp.base import value_or
from csms.ocpp.types import (
    Location,
    Measurand,
    MeterValue,
    ReadingContext,
    SampledValue,
    UnitOfMeasure,
    ValueFormat,
)
from csms.services.clocks import plausible
from csms.services.world import MeterRow

_encoder = msgspec.json.Encoder()
_ENERGY = Measurand.ENERGY_ACTIVE_IMPORT_REGISTER
_POWER = Measurand.POWER_ACTIVE_IMPORT
_SOC = Measurand.SOC
_TEMPERATURE = Measurand.TEMPERATURE
_READ = frozenset({_ENERGY, _POWER, _SOC, _TEMPERATURE})
_KILO = frozenset({UnitOfMeasure.KWH, UnitOfMeasure.KW})
_PHASES = {"L1": "L1", "L2": "L2", "L3": "L3", "L1-N": "L1", "L2-N": "L2", "L3-N": "L3"}
MAX_ENERGY = 2e10
"""Wh; a register beyond it is a fault of the meter (one of 4.3e9 Wh has been published)."""


class Figures(NamedTuple):
    """What a set of samples says: energy (Wh), power (W), state of charge (%), and doubts."""

    energy: float | None
    power: float | None
    soc: float | None
    flags: list[str]


def number(text: str) -> float | None:
    """A finite number, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def figures(samples: Sequence[SampledValue]) -> Figures:
    """The figures of the samples of one moment.

    §7.43: "default" measurand, unit, context, format and location are applied first. Energy comes
    from Energy.Active.Import.Register without phase, never from an Interval; Transaction.Begin is
    no current value; SignedData is no number; Inlet counts where there is no Outlet.
    """
    energy: dict[str, float] = {}
    power: dict[str, float] = {}
    phases: dict[str, float] = {}
    soc: float | None = None
    flags: list[str] = []
    for sample in samples:
        measurand = sample.measurand or _ENERGY
        if measurand not in _READ:
            continue
        if sample.format == ValueFormat.SIGNED_DATA:
            continue
        if sample.context == ReadingContext.TRANSACTION_BEGIN:
            continue
        value = number(sample.value)
        if value is None:
            flags.append(f"{measurand} is no number")
            continue
        if sample.unit in _KILO:
            value *= 1000
        location = value_or(sample.location, Location.OUTLET)
        if measurand == _ENERGY:
            if sample.phase:
                continue
            if not 0 <= value <= MAX_ENERGY:
                flags.append(f"energy {value:g} Wh is absurd")
                continue
            energy[location] = max(energy.get(location, 0.0), value)
        elif measurand == _POWER:
            if not sample.phase:
                power[location] = value
            elif sample.phase in _PHASES:
                phases[_PHASES[sample.phase]] = value
        elif measurand == _SOC:
            if 0 <= value <= 100:
                soc = value
            else:
                flags.append(f"state of charge {value:g} % is absurd")
        elif not -60 <= _celsius(value, sample) <= 150:
            flags.append(f"temperature {value:g} is absurd")
    total = _of(power)
    if total is None and phases:
        total = sum(phases.values())
    return Figures(_of(energy), total, soc, flags)


def _of(values: dict[str, float]) -> float | None:
    if Location.OUTLET in values:
        return values[Location.OUTLET]
    return next(iter(values.values()), None)


def _celsius(value: float, sample: SampledValue) -> float:
    if sample.unit == UnitOfMeasure.FAHRENHEIT:
        return (value - 32) / 1.8
    return value - 273.15 if sample.unit == UnitOfMeasure.K else value


def digest_of(data: bytes) -> int:
    """A signed 64-bit digest, as the databases' bigint holds it."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big", signed=True)


def meter_rows(
    values: Iterable[tuple[MeterValue, str]],
    *,
    charge_point: ChargePoint,
    connector_id: int,
    transaction: Transaction | None,
    now: datetime,
) -> list[MeterRow]:
    """Rows of the meter values of one message, each with its timestamp's text as sent.

    Elements of one moment are merged: some chargers send one element for each measurand.
    """
    merged: dict[str, tuple[datetime, list[SampledValue]]] = {}
    for value, text in values:
        merged.setdefault(text, (value.timestamp, []))[1].extend(value.sampled_value)
    rows = []
    for text, (timestamp, samples) in merged.items():
        if not samples:
            continue
        encoded = _encoder.encode(samples)
        energy, power, soc, flags = figures(samples)
        trusted = plausible(timestamp, now)
        if not trusted:
            flags = [*flags, "the clock is not believable"]
        rows.append(
            MeterRow(
                bucket_at=timestamp if trusted else now,
                charge_point_id=charge_point.pk,
                connector_id=connector_id,
                transaction=transaction,
                timestamp=text[:64],
                received_at=now,
                digest=digest_of(encoded),
                samples=encoded.decode(),
                energy=energy,
                power=power,
                soc=soc,
                flags=flags,
            )
        )
    return rows
