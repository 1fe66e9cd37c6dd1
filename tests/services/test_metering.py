"""N33: what sampled values mean (OCPP 1.6 §7.43), as a table."""

import msgspec
import pytest

from csms.ocpp.types import SampledValue
from csms.services.metering import figures
from tests.services.harness import sample

POWER = {"measurand": "Power.Active.Import"}
ENERGY = {"measurand": "Energy.Active.Import.Register"}


@pytest.mark.parametrize(
    ("samples", "energy", "power", "soc"),
    [
        pytest.param([sample(5)], 5, None, None, id="all defaults"),
        pytest.param([sample(5, unit="kWh")], 5000, None, None, id="kWh"),
        pytest.param([sample("4.3e9")], 4.3e9, None, None, id="a published register"),
        pytest.param([sample("0.123456", unit="kWh")], 123.456, None, None, id="decimals"),
        pytest.param([sample(7.4, unit="kW", **POWER)], None, 7400, None, id="kW"),
        pytest.param([sample(5, phase="L1")], None, None, None, id="energy of a phase"),
        pytest.param(
            [sample(5, measurand="Energy.Active.Import.Interval")], None, None, None, id="interval"
        ),
        pytest.param(
            [sample(5, measurand="Energy.Active.Export.Register")], None, None, None, id="export"
        ),
        pytest.param([sample(5, context="Transaction.Begin")], None, None, None, id="begin"),
        pytest.param(
            [sample(9), sample(5, context="Transaction.Begin")], 9, None, None, id="begin repeated"
        ),
        pytest.param(
            [sample(9, **POWER), sample(0, context="Transaction.Begin", **POWER)],
            None,
            9,
            None,
            id="power of the begin",
        ),
        pytest.param([sample(5, context="Transaction.End")], 5, None, None, id="end"),
        pytest.param([sample("AbC=", format="SignedData")], None, None, None, id="signed"),
        pytest.param([sample(5, location="Inlet")], 5, None, None, id="inlet alone"),
        pytest.param(
            [sample(6, location="Inlet"), sample(5)], 5, None, None, id="outlet before inlet"
        ),
        pytest.param(
            [sample(5, location="Outlet"), sample(6, location="Inlet")], 5, None, None, id="order"
        ),
        pytest.param(
            [sample(n, phase=f"L{n}", **POWER) for n in (1, 2, 3)], None, 6, None, id="phases"
        ),
        pytest.param(
            [sample(10, **POWER), sample(3, phase="L1", **POWER)], None, 10, None, id="sum sent"
        ),
        pytest.param([sample(3, phase="L1", **POWER)], None, 3, None, id="one phase"),
        pytest.param([sample(55, measurand="SoC", unit="Percent")], None, None, 55, id="SoC"),
        pytest.param([sample(230, measurand="Voltage", unit="V")], None, None, None, id="others"),
        pytest.param([sample("-5", **POWER)], None, -5, None, id="feeding back"),
    ],
)
def test_n33_figures(
    samples: list[dict], energy: float | None, power: float | None, soc: float | None
) -> None:
    found = figures(msgspec.convert(samples, list[SampledValue]))
    assert found.energy == pytest.approx(energy)
    assert found.power == pytest.approx(power)
    assert found.soc == pytest.approx(soc)
    assert found.flags == []


@pytest.mark.parametrize(
    "absurd",
    [
        sample(-1),
        sample("1e14"),
        sample("20000001", unit="kWh"),
        sample("nan"),
        sample("1e999"),
        sample("12,5"),
        sample("abc"),
        sample(101, measurand="SoC"),
        sample(-1, measurand="SoC"),
        sample(1000, measurand="Temperature", unit="Celsius"),
        sample(0, measurand="Temperature", unit="K"),
    ],
)
def test_n33_absurd_values_are_flagged_and_no_figures(absurd: dict) -> None:
    found = figures(msgspec.convert([absurd], list[SampledValue]))
    assert (found.energy, found.power, found.soc) == (None, None, None)
    assert len(found.flags) == 1


@pytest.mark.parametrize(("value", "unit"), [(20, "Celsius"), (68, "Fahrenheit"), (293, "K")])
def test_temperatures_in_their_units(value: int, unit: str) -> None:
    warm = sample(value, measurand="Temperature", unit=unit)
    assert figures(msgspec.convert([warm], list[SampledValue])).flags == []
