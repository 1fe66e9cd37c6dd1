"""The WSDLs of both services, as complete as the official ones.

spyne derives the types from its models (which derive from the declarations). What it says beside
them is not enough for a client: its transport is a placeholder, and WS-Addressing, the slash of
soapAction and the header part are missing. So messages, port type, binding and service are written
here, with the names of the official WSDLs.

Served at `/ocpp/soap?wsdl` (CentralSystemService) and `/ocpp/soap/charge-point?wsdl`.
"""

from functools import cache

from lxml import etree

from csms.compat import prepare_spyne

prepare_spyne()

from spyne.interface.xml_schema import XmlSchema  # noqa: E402  after prepare_spyne

from csms.ocpp.base import action  # noqa: E402
from ocpp_soap.namespaces import Service, request_element, response_element  # noqa: E402
from ocpp_soap.service import application, operations  # noqa: E402

XSD = "http://www.w3.org/2001/XMLSchema"
WSDL = "http://schemas.xmlsoap.org/wsdl/"
SOAP12 = "http://schemas.xmlsoap.org/wsdl/soap12/"
WSAW = "http://www.w3.org/2006/05/addressing/wsdl"
WSP = "http://schemas.xmlsoap.org/ws/2004/09/policy"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
SOAP_OVER_HTTP = "http://schemas.xmlsoap.org/soap/http"

_NAMES = {"wsdl": WSDL, "soap12": SOAP12, "wsaw": WSAW, "wsp": WSP, "wsu": WSU, "xs": XSD}

_IDENTITY = "chargeBoxIdentity"


def wsdl(service: Service, location: str) -> bytes:
    """The WSDL of a service that is found at `location`."""
    root = etree.fromstring(_template(service))
    address = root.find(f".//{{{SOAP12}}}address")
    assert address is not None
    address.set("location", location)
    return etree.tostring(root, encoding="utf-8", xml_declaration=True, pretty_print=True)


def schema(service: Service) -> etree._Element:
    """The XML schema of a service's messages."""
    document = XmlSchema(application(service).interface)
    document.build_interface_document()
    found: etree._Element = document.get_interface_document()["tns"]
    elements = {_IDENTITY}
    for request in operations(service):
        elements |= {request_element(action(request)), response_element(action(request))}
    for element in found.findall(f"{{{XSD}}}element"):
        if element.get("name") not in elements:  # spyne declares an element for each type
            found.remove(element)
    etree.SubElement(found, f"{{{XSD}}}element", name=_IDENTITY, type="xs:string")
    return found


@cache
def _template(service: Service) -> bytes:
    name = service.service_name
    root = etree.Element(
        f"{{{WSDL}}}definitions",
        nsmap={**_NAMES, "tns": service.value},
        name=name,
        targetNamespace=service.value,
    )
    policy = _below(root, WSP, "Policy")
    policy.set(f"{{{WSU}}}Id", "ServicePolicy")
    alternatives = _below(_below(policy, WSP, "ExactlyOne"), WSP, "All")
    _below(alternatives, WSAW, "UsingAddressing")
    _below(root, WSDL, "types").append(schema(service))
    _message(root, "Header", "ChargeBoxIdentity", _IDENTITY)
    actions = [action(request) for request in operations(service)]
    for each in actions:
        _message(root, f"{each}Input", "parameters", request_element(each))
        _message(root, f"{each}Output", "parameters", response_element(each))
    port_type = _below(root, WSDL, "portType", name=name)
    for each in actions:
        operation = _below(port_type, WSDL, "operation", name=each)
        for way, part, sent in (("input", "Input", each), ("output", "Output", f"{each}Response")):
            message = _below(operation, WSDL, way, message=f"tns:{each}{part}")
            message.set(f"{{{WSAW}}}Action", f"/{sent}")
    binding = _below(root, WSDL, "binding", name=f"{name}Soap", type=f"tns:{name}")
    _below(binding, SOAP12, "binding", transport=SOAP_OVER_HTTP, style="document")
    _below(binding, WSP, "PolicyReference", URI="#ServicePolicy")
    for each in actions:
        _bound(binding, each)
    port = _below(
        _below(root, WSDL, "service", name=name),
        WSDL,
        "port",
        name=f"{name}Soap12",
        binding=f"tns:{name}Soap",
    )
    _below(port, SOAP12, "address", location="")
    etree.cleanup_namespaces(root, keep_ns_prefixes=["tns", "xs"])
    return etree.tostring(root)


def _below(
    parent: etree._Element, namespace: str, tag: str, /, **attributes: str
) -> etree._Element:
    return etree.SubElement(parent, f"{{{namespace}}}{tag}", attributes)


def _message(root: etree._Element, name: str, part: str, element: str) -> None:
    message = _below(root, WSDL, "message", name=name)
    _below(message, WSDL, "part", name=part, element=f"tns:{element}")


def _bound(binding: etree._Element, action: str) -> None:
    operation = _below(binding, WSDL, "operation", name=action)
    _below(operation, SOAP12, "operation", soapAction=f"/{action}", style="document")
    given = _below(operation, WSDL, "input")
    _below(given, SOAP12, "header", message="tns:Header", part="ChargeBoxIdentity", use="literal")
    _below(given, SOAP12, "body", use="literal")
    _below(_below(operation, WSDL, "output"), SOAP12, "body", use="literal")
