"""Every message over SOAP: what is written is valid by the official schema and reads as it was."""

from collections.abc import Callable
from datetime import UTC
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from lxml import etree
from msgspec import UNSET

from csms.ocpp.base import Payload, validated
from ocpp_soap import codec, guard
from ocpp_soap.namespaces import PREFIXES, Service
from tests.ocpp_soap.examples import messages
from tests.ocpp_soap.house import NOW
from tests.strategies import payloads


def as_sent(payload: Any) -> Any:
    """Without its optional lists that are empty: over XML they are absent."""
    empty = {
        field.name: UNSET
        for field in msgspec.structs.fields(payload)
        if field.default is UNSET and getattr(payload, field.name) == ()
    }
    return msgspec.structs.replace(payload, **empty)


@pytest.mark.contract
@pytest.mark.parametrize(
    ("service", "tag", "declaration"),
    messages(),
    ids=[f"{service.name}-{tag}" for service, tag, _ in messages()],
)
def test_what_is_written_is_valid_and_reads_as_it_was(
    service: Service,
    tag: str,
    declaration: type[Payload],
    official_schema: Callable[[str], etree.XMLSchema],
) -> None:
    schema = official_schema(service.service_name.removesuffix("Service"))

    @settings(max_examples=25, deadline=None)
    @given(payloads(declaration))
    def round_trip(payload: Payload) -> None:
        sent = as_sent(validated(payload))
        written = codec.write(tag, sent, namespace=service.value)
        root = guard.parse(f'<x xmlns:{PREFIXES[service]}="{service.value}">{written}</x>')
        element = etree.fromstring(etree.tostring(root[0]))
        schema.assertValid(element)
        reading = codec.read(
            declaration, element, namespace=service.value, strict=True, received_at=NOW, zone=UTC
        )
        assert reading == (sent, ())

    round_trip()
