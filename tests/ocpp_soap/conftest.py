"""Fixtures of the OCPP-S edge."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lxml import etree

if TYPE_CHECKING:
    from tests.ocpp_soap.house import House

_XSD = "{http://www.w3.org/2001/XMLSchema}"


@pytest.fixture
async def house() -> "AsyncIterator[House]":
    """A SoapApplication whose inbox and admission the test holds."""
    from tests.ocpp_soap.house import House  # once Django is set up

    house = House()
    yield house
    await house.close()


@pytest.fixture(scope="session")
def official_wsdl(contracts: Path) -> Callable[[str], Path]:
    """The official WSDL of `CentralSystem` or `ChargePoint`."""
    return lambda name: contracts / "ocpp16-wsdl" / f"OCPP_{name}Service_1.6.wsdl"


@pytest.fixture(scope="session")
def official_schema(official_wsdl: Callable[[str], Path]) -> Callable[[str], etree.XMLSchema]:
    """The official XML schema of a service's messages, from the types of its WSDL."""
    made: dict[str, etree.XMLSchema] = {}

    def schema(name: str) -> etree.XMLSchema:
        if name not in made:
            found = etree.parse(str(official_wsdl(name))).find(f".//{_XSD}schema")
            assert found is not None
            made[name] = etree.XMLSchema(etree.fromstring(etree.tostring(found)))
        return made[name]

    return schema
