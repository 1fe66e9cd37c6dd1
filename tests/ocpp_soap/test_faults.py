"""Golden faults: each error of the tree as the envelope that leaves us."""

import re

import pytest
from lxml import etree

from csms.ocpp import errors
from ocpp_soap.errors import NotUnderstood, Refused, VersionMismatch
from ocpp_soap.faults import code_of, fault_text

GOLDEN = (
    '<env:Envelope xmlns:env="http://www.w3.org/2003/05/soap-envelope"'
    ' xmlns:wsa="http://www.w3.org/2005/08/addressing" xmlns:cs="urn://Ocpp/Cs/2015/10/">'
    "<env:Header>"
    '<wsa:Action env:mustUnderstand="true">http://www.w3.org/2005/08/addressing/fault</wsa:Action>'
    "<wsa:MessageID>urn:uuid:…</wsa:MessageID>"
    '<wsa:To env:mustUnderstand="true">http://www.w3.org/2005/08/addressing/anonymous</wsa:To>'
    "<wsa:RelatesTo>urn:uuid:1</wsa:RelatesTo>{header}"
    "</env:Header>"
    "<env:Body><env:Fault>"
    "<env:Code><env:Value>env:{code}</env:Value>{subcode}</env:Code>"
    '<env:Reason><env:Text xml:lang="en">Why it failed.</env:Text></env:Reason>'
    "</env:Fault></env:Body></env:Envelope>"
)
SUBCODE = "<env:Subcode><env:Value>cs:{}</env:Value></env:Subcode>"

EXPECTED = {
    errors.ProtocolError: ("Sender", "ProtocolError", 400),
    errors.UnknownAction: ("Receiver", "NotSupported", 500),
    errors.UnsupportedAction: ("Receiver", "NotSupported", 500),
    errors.FormationViolation: ("Sender", "ProtocolError", 400),
    errors.PropertyConstraintViolation: ("Sender", "ProtocolError", 400),
    errors.OccurrenceConstraintViolation: ("Sender", "ProtocolError", 400),
    errors.TypeConstraintViolation: ("Sender", "ProtocolError", 400),
    errors.RpcViolation: ("Sender", "ProtocolError", 400),
    errors.IdentityMismatch: ("Sender", "IdentityMismatch", 400),
    errors.SecurityViolation: ("Sender", "SecurityError", 400),
    errors.InternalFailure: ("Receiver", "InternalError", 500),
    VersionMismatch: ("VersionMismatch", "", 500),
}


def _normal(text: str) -> str:
    return re.sub(r"urn:uuid:[0-9a-f-]{36}", "urn:uuid:…", text)


@pytest.mark.parametrize("kind", EXPECTED, ids=lambda kind: kind.__name__)
def test_n23_golden_fault(kind: type[errors.ProtocolError]) -> None:
    code, subcode, status = EXPECTED[kind]
    upgrade = '<env:Upgrade><env:SupportedEnvelope qname="env:Envelope"/></env:Upgrade>'
    assert _normal(fault_text(kind("Why it failed."), relates_to="urn:uuid:1")) == GOLDEN.format(
        code=code,
        subcode=SUBCODE.format(subcode) if subcode else "",
        header=upgrade if kind is VersionMismatch else "",
    )
    assert code_of(kind()) == (code, subcode, status)


def test_n23_every_error_has_a_code() -> None:
    assert set(errors.ProtocolError.__subclasses__()) <= EXPECTED.keys()


def test_golden_not_understood() -> None:
    root = etree.fromstring(fault_text(NotUnderstood((("urn:x", "Security"), ("", "Bare")))))
    blocks = root.findall(".//{http://www.w3.org/2003/05/soap-envelope}NotUnderstood")
    assert [(b.get("qname"), b.nsmap.get("block")) for b in blocks] == [
        ("block:Security", "urn:x"),
        ("Bare", None),
    ]
    value = root.findtext(".//{http://www.w3.org/2003/05/soap-envelope}Value")
    assert value == "env:MustUnderstand"


def test_no_relates_to_without_message_id() -> None:
    assert "RelatesTo" not in fault_text(errors.InternalFailure())


@pytest.mark.parametrize("description", ["", "\0\x1b\ud800 <&>", "x" * 10_000])
def test_the_error_path_itself_never_fails(description: str) -> None:
    """An exception inside the generation of an error must not end anything."""
    for kind in EXPECTED:
        text = fault_text(kind(description), relates_to="<&>")
        reason = etree.fromstring(text).findtext(".//{*}Text")
        assert reason
        assert "\0" not in reason
    assert etree.fromstring(fault_text(Refused(description, 413))) is not None
