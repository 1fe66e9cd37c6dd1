"""What a simulated connector measures."""

import random
from collections.abc import Callable, Iterable
from datetime import datetime

from csms.ocpp.types import (
    Location,
    Measurand,
    MeterValue,
    ReadingContext,
    SampledValue,
    UnitOfMeasure,
)
from csms.simulator.profiles import PHASES, VOLTAGE
from csms.simulator.state import Connector

BATTERY = 60_000
"""Wh that the simulated car takes from empty to full."""

_MADE: dict[Measurand, Callable[[Connector, float, random.Random], tuple[str, UnitOfMeasure]]] = {
    Measurand.ENERGY_ACTIVE_IMPORT_REGISTER: lambda c, w, r: (str(int(c.meter)), UnitOfMeasure.WH),
    Measurand.POWER_ACTIVE_IMPORT: lambda c, w, r: (f"{w:.0f}", UnitOfMeasure.W),
    Measurand.POWER_OFFERED: lambda c, w, r: (f"{w:.0f}", UnitOfMeasure.W),
    Measurand.CURRENT_IMPORT: lambda c, w, r: (f"{w / VOLTAGE / PHASES:.1f}", UnitOfMeasure.A),
    Measurand.CURRENT_OFFERED: lambda c, w, r: (f"{w / VOLTAGE / PHASES:.1f}", UnitOfMeasure.A),
    Measurand.VOLTAGE: lambda c, w, r: (f"{r.gauss(VOLTAGE, 1):.1f}", UnitOfMeasure.V),
    Measurand.SOC: lambda c, w, r: (f"{c.soc:.0f}", UnitOfMeasure.PERCENT),
    Measurand.TEMPERATURE: lambda c, w, r: (f"{r.gauss(35, 2):.1f}", UnitOfMeasure.CELSIUS),
}


def supported(names: Iterable[str]) -> list[Measurand]:
    """Those of the named measurands that this meter has."""
    return [measurand for measurand in _MADE if measurand.value in names]


def charge(connector: Connector, *, watts: float, seconds: float) -> None:
    """So much power flowed for so long."""
    energy = watts * seconds / 3600
    connector.meter += energy
    connector.soc = min(100.0, connector.soc + 100 * energy / BATTERY)


def reading(
    connector: Connector,
    *,
    watts: float,
    measurands: Iterable[Measurand],
    context: ReadingContext,
    at: datetime,
    noise: random.Random,
) -> MeterValue:
    """The readings of one moment, in the order in which the meter knows them."""
    samples = []
    for measurand in measurands:
        value, unit = _MADE[measurand](connector, watts, noise)
        place = Location.EV if measurand is Measurand.SOC else Location.OUTLET
        samples.append(
            SampledValue(
                value=value, context=context, measurand=measurand, location=place, unit=unit
            )
        )
    return MeterValue(timestamp=at, sampled_value=tuple(samples))
