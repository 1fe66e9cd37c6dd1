"""Every call that a central system may make is answered, validly, over each transport."""

import json
from pathlib import Path
from typing import Any

import pytest

from csms.ocpp import registry
from csms.ocpp.base import Role
from csms.simulator.charge_point import SimulatedChargePoint
from csms.simulator.clock import Clock
from csms.simulator.json import JsonTransport
from csms.simulator.soap import SoapTransport
from tests.simulator import calls
from tests.simulator.central import CP, WSA, JsonCentral, SoapCentral, plain, text_of
from tests.simulator.official import check_json, check_xml

pytestmark = [pytest.mark.anyio, pytest.mark.contract]
ALL = calls.CORE | calls.SECURITY


def test_the_table_is_complete() -> None:
    called = {a for a, r in registry.ACTIONS.items() if Role.CENTRAL_SYSTEM in r.senders}
    assert called == set(ALL)
    assert {a for a in called if registry.ACTIONS[a].soap} == set(calls.CORE)


@pytest.mark.parametrize("action", sorted(ALL))
async def test_over_json(action: str, contracts: Path) -> None:
    payload, expected = ALL[action]
    check_json(contracts, action, payload)
    async with JsonCentral() as central:
        transport = JsonTransport(central.url)
        async with SimulatedChargePoint("CP", transport=transport, clock=Clock(speed=200)) as cp:
            await cp.register()
            kind, _, reply = await central.call(action, payload)
            assert kind == 3
            check_json(contracts, f"{action}Response", reply)
            _matches(reply, expected)
            await central.until("BootNotification")
        assert cp.failures == []
        for frame in map(json.loads, central.raw):
            if frame[0] == 2:
                check_json(contracts, frame[2], frame[3])


@pytest.mark.parametrize("action", sorted(calls.CORE))
async def test_over_soap(action: str, contracts: Path) -> None:
    payload, expected = calls.CORE[action]
    async with SoapCentral() as central:
        transport = SoapTransport(central.url)
        async with SimulatedChargePoint("CP", transport=transport, clock=Clock(speed=200)) as cp:
            await cp.register()
            status, header, body = await central.call("CP", transport.callback_url, action, payload)
            assert status == "200 OK"
            assert header["Action"] == f"/{action}Response"
            assert header["RelatesTo"].startswith("urn:uuid:")
            check_xml(contracts, body)
            _matches(plain(body), expected)
        assert cp.failures == []
        for sent in central.bodies:
            check_xml(contracts, sent)


def _matches(reply: dict[str, Any], expected: dict[str, Any]) -> None:
    for name, value in expected.items():
        said = reply[name]
        assert str(said[0] if isinstance(said, list) else said) == value


async def test_soap_headers_are_those_of_ocpp_s() -> None:
    async with SoapCentral() as central:
        transport = SoapTransport(central.url)
        async with SimulatedChargePoint("CP", transport=transport) as cp:
            await cp.boot()
        (headers,) = central.headers
        assert headers["chargeBoxIdentity"] == "CP"
        assert headers["Action"] == "/BootNotification"
        assert headers["To"] == central.url
        assert headers["From"] == transport.callback_url
        assert headers["ReplyTo"] == f"{WSA}/anonymous"
        assert headers["MessageID"].startswith("urn:uuid:")


async def test_soap_faults() -> None:
    async with SoapCentral() as central:
        transport = SoapTransport(central.url)
        async with SimulatedChargePoint("CP", transport=transport) as cp:
            for identity, action, payload, subcode in (
                ("OTHER", "ClearCache", {}, "IdentityMismatch"),
                ("CP", "Teapot", {}, "NotSupported"),
                ("CP", "Reset", {"type": "Gentle"}, "ProtocolError"),
                ("CP", "Reset", {"kind": "Soft"}, "ProtocolError"),
            ):
                status, _, body = await central.call(
                    identity, transport.callback_url, action, payload
                )
                assert status == "400 Bad Request"
                code = body[0]
                assert text_of(code[1]) == f"ocpp:{subcode}"
                assert code.nsmap["ocpp"] == CP
            assert len(cp.failures) == 4


async def test_json_errors() -> None:
    async with JsonCentral() as central:
        transport = JsonTransport(central.url)
        async with SimulatedChargePoint("CP", transport=transport) as cp:
            assert (await central.call("Teapot", {}))[2] == "NotImplemented"
            assert (await central.call("Reset", {}))[2] == "FormationViolation"
            assert central.socket is not None
            await central.socket.send('[5,"x",{}]')  # J4.1.3: ignored
            await central.socket.send("{}")
            assert (await central.call("ClearCache", {}))[0] == 3
            assert len(cp.failures) == 3
