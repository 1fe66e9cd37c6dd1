"""Names of the XML vocabularies that OCPP-S is made of."""

from enum import StrEnum


class Service(StrEnum):
    """The two services of OCPP 1.6 by their target namespaces (with the WSDLs' trailing slash)."""

    CENTRAL_SYSTEM = "urn://Ocpp/Cs/2015/10/"
    CHARGE_POINT = "urn://Ocpp/Cp/2015/10/"

    @property
    def service_name(self) -> str:
        """Its name in the WSDL."""
        return "CentralSystemService" if self is Service.CENTRAL_SYSTEM else "ChargePointService"


CS = Service.CENTRAL_SYSTEM.value
CP = Service.CHARGE_POINT.value
PREFIXES = {CS: "cs", CP: "cp"}
"""With which we write them."""

SOAP = "http://www.w3.org/2003/05/soap-envelope"
WSA = "http://www.w3.org/2005/08/addressing"
XSI = "http://www.w3.org/2001/XMLSchema-instance"

ANONYMOUS = f"{WSA}/anonymous"
FAULT_ACTION = f"{WSA}/fault"

ENVELOPE = f"{{{SOAP}}}Envelope"
HEADER = f"{{{SOAP}}}Header"
BODY = f"{{{SOAP}}}Body"
MUST_UNDERSTAND = f"{{{SOAP}}}mustUnderstand"


def request_element(action: str) -> str:
    """The body element of a request: `bootNotificationRequest`."""
    return f"{action[0].lower()}{action[1:]}Request"


def response_element(action: str) -> str:
    """The body element of a reply: `bootNotificationResponse`."""
    return f"{action[0].lower()}{action[1:]}Response"
