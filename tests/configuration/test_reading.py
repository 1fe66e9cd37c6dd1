"""How a reading goes on: answers that were cut, lists whose length nobody knows."""

from typing import TYPE_CHECKING, Any

import pytest

from csms import conf
from csms.models import ChargePoint, Command, ConfigurationKey, ConfigurationState
from csms.ocpp.core import GetConfigurationResponse, KeyValue
from csms.services.commands import command_send, obstacle, request_of
from csms.services.configuration import configuration_read
from csms.simulator.misbehaviour import Misbehaviour
from tests.configuration.rows import told
from tests.configuration.test_wire import BOTH, charge_point, kept, quiet, read
from tests.simulated import simulated

if TYPE_CHECKING:
    from tests.operations.commanded import Commanded
    from tests.running import System


def item(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": value, "readonly": False}


def read_at(row: ChargePoint) -> Any:
    return ConfigurationState.objects.get(charge_point=row).read_at


# ----------------------------------------------------------------- answers that were cut


@BOTH
@pytest.mark.django_db(transaction=True)
def test_n36_an_answer_that_was_cut_is_completed_by_name(system: "System", transport: str) -> None:
    """§5.8: "The number of configuration keys requested in a single PDU MAY be limited by the
    Charge Point": some limit the answer to a question for all keys, and leave out the rest."""
    row = charge_point(transport)
    told(row, Colour="blue", HeartbeatInterval="1", BlinkRepeat="1")
    ConfigurationState.objects.all().delete()
    system.deliver()
    first = ("GetConfigurationMaxKeys", "30"), *((f"Own{n}", "x") for n in range(29))
    cut = GetConfigurationResponse(
        configuration_key=tuple(KeyValue(key=k, value=v, readonly=False) for k, v in first)
    )
    with simulated(system, row) as charger:
        charger.configuration["GetConfigurationMaxKeys"] = "30"
        charger.configuration.add("Colour", "red")
        charger.misbehave("GetConfiguration", Misbehaviour(reply=cut))
        commands = read(row)
    asked = [command.payload.get("key", []) for command in commands]
    assert asked[0] == []
    assert len(asked) > 2
    assert {len(keys) for keys in asked[1:-1]} == {30}
    named = [key for keys in asked for key in keys]
    assert len(named) == len(set(named))
    assert "Own3" not in named
    assert kept(row, "Own3").value == "x"
    assert kept(row, "Colour").value == "red", "what it had told before is asked for as well"
    assert kept(row, "HeartbeatInterval").value == "300"
    assert not kept(row, "BlinkRepeat").known
    assert read_at(row) is not None


@pytest.mark.django_db
def test_n36_a_cut_answer_loses_nothing(commanded: "Commanded") -> None:
    """Until the rest was told, the configuration was not read as a whole."""
    row = commanded.cp.row
    told(row, Colour="blue")
    ConfigurationState.objects.all().delete()
    configuration_read(charge_points=[row])
    two = [item("GetConfigurationMaxKeys", "2"), item("HeartbeatInterval", "60")]
    commanded.answer(commanded.claimed(), configurationKey=two)
    assert read_at(row) is None
    assert kept(row, "Colour").value == "blue"
    rest = commanded.claimed()
    assert len(rest.payload["key"]) == 2


@pytest.mark.django_db
@pytest.mark.parametrize("number", [1, 3])
def test_n36_an_answer_of_another_length_is_whole(commanded: "Commanded", number: int) -> None:
    """Fewer than it tells at once; or more, so that it does not keep to that."""
    row = commanded.cp.row
    told(row, Colour="blue")
    ConfigurationState.objects.all().delete()
    configuration_read(charge_points=[row])
    keys = [item("GetConfigurationMaxKeys", "2"), item("A", "1"), item("B", "2")]
    commanded.answer(commanded.claimed(), configurationKey=keys[:number])
    assert read_at(row) is not None
    assert not Command.objects.filter(state="queued").exists()
    assert not ConfigurationKey.objects.filter(folded="colour").exists(), "it no longer has it"


# ------------------------------------------------------- lists whose length nobody knows


@BOTH
@pytest.mark.django_db(transaction=True)
def test_n36_an_installation_may_know_better(
    system: "System", transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """§5.3: "a safe value of 1 (one) item SHOULD be assumed": a setting says more; what the charge
    point tells goes before it."""
    row = charge_point(transport)
    many = {"key": "StopTxnSampledData", "value": "Voltage,SoC,Temperature"}
    assert "or raise CSMS_LIST_ITEMS" in obstacle(row, request_of("ChangeConfiguration", many))
    monkeypatch.setenv("CSMS_LIST_ITEMS", "3")
    conf.settings.cache_clear()
    try:
        system.deliver()
        with simulated(system, row) as charger:
            command_send(charge_point=row, request=request_of("ChangeConfiguration", many))
            quiet(row)
            assert charger.configuration["StopTxnSampledData"] == many["value"]
        more = request_of("ChangeConfiguration", many | {"value": "Voltage,SoC,Temperature,RPM"})
        assert "takes 3 items" in obstacle(row, more)
        told(row, StopTxnSampledDataMaxLength="2")
        assert "takes 2 items" in obstacle(row, request_of("ChangeConfiguration", many))
    finally:
        monkeypatch.undo()
        conf.settings.cache_clear()
