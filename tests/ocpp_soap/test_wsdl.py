"""Our WSDLs against the official ones, mechanically."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from ocpp_soap import wsdl
from ocpp_soap.namespaces import Service
from ocpp_soap.service import operations

pytestmark = pytest.mark.contract

XS = "{http://www.w3.org/2001/XMLSchema}"
W = "{http://schemas.xmlsoap.org/wsdl/}"
S12 = "{http://schemas.xmlsoap.org/wsdl/soap12/}"
ACTION = f"{{{wsdl.WSAW}}}Action"

# IdToken and CiString20Type are one type under two names; ours is derived and has one.
SAME = {"IdToken": "CiString20Type"}


@pytest.fixture(params=list(Service), ids=lambda service: service.service_name)
def pair(request: pytest.FixtureRequest, official_wsdl: Callable[[str], Path]) -> tuple[Any, Any]:
    """Our WSDL and the official one."""
    service: Service = request.param
    ours = etree.fromstring(wsdl.wsdl(service, "http://csms/ocpp/soap"))
    name = service.service_name.removesuffix("Service")
    return ours, etree.parse(str(official_wsdl(name))).getroot()


def _local(name: Any) -> str:
    local = str(name or "").rpartition(":")[2]
    return SAME.get(local, local)


def _simple_types(root: Any) -> dict[str, Any]:
    found = {}
    for kind in root.iter(f"{XS}simpleType"):
        restriction = kind.find(f"{XS}restriction")
        assert restriction is not None
        facets = [(etree.QName(facet).localname, facet.get("value")) for facet in restriction]
        found[_local(kind.get("name"))] = (_local(restriction.get("base")), sorted(facets))
    return found


def _complex_types(root: Any) -> dict[str, Any]:
    return {
        kind.get("name"): [
            (
                element.get("name"),
                _local(element.get("type")),
                element.get("minOccurs", "1"),
                element.get("maxOccurs", "1"),
                element.get("nillable", "false"),
            )
            for element in kind.iterfind(f"{XS}sequence/{XS}element")
        ]
        for kind in root.iter(f"{XS}complexType")
    }


def test_namespaces(pair) -> None:
    ours, official = pair
    assert ours.get("targetNamespace") == official.get("targetNamespace")
    for root in pair:
        schema = root.find(f".//{XS}schema")
        assert schema.get("targetNamespace") == root.get("targetNamespace")
        assert schema.get("elementFormDefault") == "qualified"


def test_simple_types(pair) -> None:
    ours, official = map(_simple_types, pair)
    used = {name for kind in _complex_types(pair[1]).values() for _, name, *_ in kind}
    assert ours == {name: kind for name, kind in official.items() if name in used}


def test_complex_types(pair) -> None:
    ours, official = map(_complex_types, pair)
    assert ours == official


def test_elements(pair) -> None:
    def elements(root: Any) -> dict[str, str]:
        schema = root.find(f".//{XS}schema")
        return {e.get("name"): _local(e.get("type")) for e in schema.findall(f"{XS}element")}

    ours, official = map(elements, pair)
    assert ours == official


def test_messages_and_port_type(pair) -> None:
    def described(root: Any) -> dict[str, Any]:
        messages = {
            m.get("name"): [(p.get("name"), _local(p.get("element"))) for p in m]
            for m in root.findall(f"{W}message")
        }
        ways = {
            operation.get("name"): [
                (etree.QName(way).localname, _local(way.get("message")), way.get(ACTION))
                for way in operation
            ]
            for operation in root.iterfind(f"{W}portType/{W}operation")
        }
        return {"messages": messages, "operations": ways}

    ours, official = map(described, pair)
    assert ours == official


def test_bindings(pair) -> None:
    def described(root: Any) -> dict[str, Any]:
        binding = root.find(f"{W}binding")
        operations = {
            operation.get("name"): (
                operation.find(f"{S12}operation").get("soapAction"),
                [
                    (
                        etree.QName(part.getparent()).localname,
                        etree.QName(part).localname,
                        {name: _local(value) for name, value in part.attrib.items()},
                    )
                    for part in operation.iter(f"{S12}header", f"{S12}body")
                ],
            )
            for operation in binding.findall(f"{W}operation")
        }
        return {
            "name": binding.get("name"),
            "type": _local(binding.get("type")),
            "transport": binding.find(f"{S12}binding").get("transport"),
            "operations": operations,
            "service": root.find(f"{W}service").get("name"),
            "port": root.find(f"{W}service/{W}port").get("name"),
        }

    ours, official = map(described, pair)
    assert ours == official


def test_uses_addressing(pair) -> None:
    for root in pair:
        assert root.find(f".//{{{wsdl.WSAW}}}UsingAddressing") is not None


def test_our_schema_is_valid(pair) -> None:
    schema = pair[0].find(f".//{XS}schema")
    etree.XMLSchema(etree.fromstring(etree.tostring(schema)))


def test_n28_the_security_extension_is_not_in_it() -> None:
    for service in Service:
        assert all(request.soap for request in operations(service))
        assert b"ertificate" not in wsdl.wsdl(service, "")
