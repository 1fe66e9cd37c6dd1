"""The standard keys: all there, and which values they take."""

import pytest

from csms.ocpp.configuration_keys import STANDARD, Access, comparable, standard_key, value_problem
from csms.simulator.configuration import Configuration

SAMPLED = "MeterValuesSampledData"


def test_the_simulated_charge_point_has_no_key_that_is_not_standard() -> None:
    keys, _ = Configuration(connectors=2, security=True).read()
    assert {key.key for key in keys} <= {key.name for key in STANDARD.values()}
    for key in keys:  # its values are valid, and what it says can only be read is R
        if key.key not in ("AuthorizationKey", "SecurityProfile"):
            assert value_problem(key.key, str(key.value)) == "", key
            standard = standard_key(key.key)
            assert standard is not None
            assert (standard.access is Access.READ) == key.readonly, key


def test_they_are_all_there() -> None:
    """§9.1: 34 of Core, §9.2: 3, §9.3: 1, §9.4: 5; the whitepaper's 6 and its file transfers'."""
    profiles = [key.profile.value for key in STANDARD.values()]
    assert {name: profiles.count(name) for name in profiles} == {
        "Core": 34,
        "LocalAuthListManagement": 3,
        "Reservation": 1,
        "SmartCharging": 5,
        "Security": 7,
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("heartbeatinterval", "0"),
        ("LocalPreAuthorize", "TRUE"),
        ("LightIntensity", "100"),
        (SAMPLED, ""),
        (SAMPLED, "Voltage.L1-N, Energy.Active.Import.Register"),
        ("ConnectorPhaseRotation", "0.RST,1.Unknown"),
        ("ConnectorPhaseRotation", "NotApplicable"),
        ("ChargingScheduleAllowedChargingRateUnit", "Current"),
        ("CpoName", "anything"),
        ("Vendor.Own", "-?-"),
    ],
)
def test_what_fits(key: str, value: str) -> None:
    assert value_problem(key, value) == ""


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("HEARTBEATINTERVAL", "-1", "HeartbeatInterval is a whole number of seconds, 0 or more."),
        ("ResetRetries", "1.5", "ResetRetries is a whole number, 0 or more."),
        ("ResetRetries", "²", "ResetRetries is a whole number, 0 or more."),
        ("ResetRetries", "9999999999", "ResetRetries is a whole number, 0 or more."),
        ("MaxEnergyOnInvalidId", "x", "MaxEnergyOnInvalidId is a whole number of Wh, 0 or more."),
        ("LightIntensity", "101", "LightIntensity is a whole number of percent, 0 to 100."),
        ("LocalPreAuthorize", "yes", "LocalPreAuthorize is true or false."),
        (SAMPLED, "Voltage,,SoC", f"{SAMPLED} is a list by comma: one item is empty."),
        (SAMPLED, "SoC,soc", f"{SAMPLED} has SoC more than once."),
        (SAMPLED, "Volts", f"{SAMPLED} has measurands such as"),
        (SAMPLED, "Voltage.L9", "Voltage.L9 is none."),
        ("ConnectorPhaseRotation", "1.ABC", "1.ABC is none."),
        ("ChargingScheduleAllowedChargingRateUnit", "Amps", "has items of Current, Power"),
    ],
)
def test_what_does_not_fit(key: str, value: str, text: str) -> None:
    assert text in value_problem(key, value)


def test_values_that_mean_the_same() -> None:
    assert comparable("ResetRetries", " 07 ") == comparable("ResetRetries", "7")
    assert comparable(SAMPLED, "SoC, Voltage") == comparable(SAMPLED, "soc,voltage")
    assert comparable("Own", "07") != comparable("Own", "7")
