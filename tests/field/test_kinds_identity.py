"""Kinds of deviation of WebSocket, HTTP and identity, with connections of our own making."""

import base64
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from csms.models import UnknownChargePoint
from csms.services.admission import forget
from csms.services.charge_points import charge_point_change, password_set
from tests import factories
from tests.running import JsonCharger

if TYPE_CHECKING:
    from tests.running import System


@pytest.mark.parametrize(
    ("path", "identity"),
    [
        ("///CP-A", "CP-A"),
        ("/ocpp/4/CP-A", "CP-A"),
        ("/ws://192.168.0.2:9000/CP-A", "CP-A"),
        ("/CP%20A%23", "CP A#"),
        ("/RD_1:2-3", "RD_1:2-3"),
        ("/S%C3%A4ule", "Säule"),
    ],
)
def test_paths(system: "System", path: str, identity: str) -> None:
    row = factories.charge_point(identity=identity)
    with JsonCharger(system, row, path=path) as charger:
        charger.lives()


@pytest.mark.parametrize(
    ("path", "code"), [("/", 404), ("/CP-A/", 404), ("/CP-B", 404), ("/a%2Fb", 400), ("/%00", 400)]
)
def test_paths_that_lead_nowhere(system: "System", path: str, code: int) -> None:
    row = factories.charge_point(identity="CP-A")
    with pytest.raises(InvalidStatus) as refusal, JsonCharger(system, row, path=path):
        pass
    assert refusal.value.response.status_code == code
    known = set(UnknownChargePoint.objects.values_list("identity", flat=True))
    assert known == ({"CP-B"} if path == "/CP-B" else set())


def test_no_subprotocol(system: "System") -> None:
    with JsonCharger(system, factories.charge_point(), subprotocols=()) as charger:
        charger.lives()


def _basic(identity: str, password: str) -> dict[str, str]:
    text = base64.b64encode(f"{identity}:{password}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


def test_basic_authentication(system: "System") -> None:
    """An empty password, where none is asked for; a wrong one, an empty one, where one is."""
    row = factories.charge_point(identity="CP-A")
    with JsonCharger(system, row, headers=_basic("CP-A", "")) as charger:
        charger.lives()
    charge_point_change(charge_point=row, security_profile=1)
    password_set(charge_point=row, password="right")
    forget()
    for headers in ({}, _basic("CP-A", ""), _basic("CP-A", "wrong"), _basic("CP-B", "right")):
        with pytest.raises(InvalidStatus) as refusal, JsonCharger(system, row, headers=headers):
            pass
        assert refusal.value.response.status_code == 401
    with JsonCharger(system, row, headers=_basic("CP-A", "right")) as charger:
        charger.lives()


def test_fragmented_text(system: "System") -> None:
    charger = system.charger(factories.charge_point())
    charger.socket.send(['[2,"1","Heart', 'beat",', "{}]"])
    assert charger.receive()[:2] == [3, "1"]


def test_second_socket(system: "System") -> None:
    """Newest wins where the charge point proves itself; the old one's end ends nothing."""
    row = factories.charge_point(security_profile=1)
    password_set(charge_point=row, password="right")
    forget()
    row.refresh_from_db()
    headers = _basic(row.identity, "right")
    first = system.charger(row, headers=headers)
    second = system.charger(row, headers=headers)
    second.lives()
    with pytest.raises(ConnectionClosed, match="1000"):
        first.receive()
    second.lives()
    before = row.epoch
    row.refresh_from_db()
    assert (row.connected, row.epoch) == (True, before + 2)
