"""What the official files say of a message."""

import json
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
from lxml import etree

_XSD = "{http://www.w3.org/2001/XMLSchema}schema"
_WSDLS = {
    "urn://Ocpp/Cs/2015/10/": "OCPP_CentralSystemService_1.6.wsdl",
    "urn://Ocpp/Cp/2015/10/": "OCPP_ChargePointService_1.6.wsdl",
}


def check_json(contracts: Path, message: str, payload: Any) -> None:
    """Judge a payload by the official JSON schema of `message` (`Reset`, `ResetResponse`)."""
    folders = (contracts / "ocpp16-json", contracts / "ocpp16-security-json")
    (path,) = (
        folder / f"{message}.json" for folder in folders if (folder / f"{message}.json").is_file()
    )
    schema = json.loads(path.read_text("utf-8-sig"), parse_float=Decimal)
    instance = json.loads(json.dumps(payload), parse_float=Decimal)
    jsonschema.validators.validator_for(schema)(schema).validate(instance)


@cache
def _schema(contracts: Path, namespace: str) -> etree.XMLSchema:
    wsdl = etree.parse(contracts / "ocpp16-wsdl" / _WSDLS[namespace])
    (found,) = wsdl.iter(_XSD)
    return etree.XMLSchema(etree.fromstring(etree.tostring(found)))


def check_xml(contracts: Path, body: etree._Element) -> None:
    """Judge the element of a body by the official XML schema."""
    namespace = etree.QName(body).namespace
    assert namespace is not None
    _schema(contracts, namespace).assertValid(etree.fromstring(etree.tostring(body)))
