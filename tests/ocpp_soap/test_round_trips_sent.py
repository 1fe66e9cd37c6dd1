"""Every call of ours over SOAP, as zeep writes it: a charge point reads what was meant."""

from datetime import UTC
from typing import Any

import pytest
from hypothesis import given, settings

from csms.ocpp.base import Request, action, validated
from ocpp_soap import addressing, codec, guard
from ocpp_soap.client import Envelopes
from ocpp_soap.namespaces import CP, Service
from ocpp_soap.service import operations
from tests.ocpp_soap.house import NOW
from tests.ocpp_soap.test_round_trips import as_sent
from tests.strategies import payloads


@pytest.fixture(scope="module")
def envelopes() -> Envelopes:
    return Envelopes(own_address="http://csms.example/ocpp/soap")


@pytest.mark.parametrize("declaration", operations(Service.CHARGE_POINT), ids=action)
def test_what_is_sent_reads_as_it_was(
    envelopes: Envelopes, declaration: type[Request[Any]]
) -> None:
    @settings(max_examples=15, deadline=None)
    @given(payloads(declaration))
    def round_trip(payload: Any) -> None:
        meant = as_sent(validated(payload))
        text = envelopes.build(meant, identity="CP1", to="http://cp/", message_id="1")
        envelope = addressing.read_envelope(guard.parse(text), CP)
        assert envelope.error is None
        assert envelope.body is not None
        assert envelope.body_action == action(declaration)
        reading = codec.read(
            declaration, envelope.body, namespace=CP, strict=True, received_at=NOW, zone=UTC
        )
        assert reading == (meant, ())

    round_trip()
