"""N25: envelopes of calls, and what an answer may look like."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from lxml import etree

from csms.ocpp import core
from csms.ocpp.base import Request
from csms.services.outbox import Answer, CallFailed, Replied, Unreadable
from ocpp_soap.client import Envelopes, Received, read_reply
from ocpp_soap.namespaces import ANONYMOUS, CP, SOAP, WSA, Service
from ocpp_soap.service import operations
from tests.ocpp_soap.examples import example
from tests.ocpp_soap.house import facts

OWN = "http://csms.example.com:8000/ocpp/soap"
CALLBACK = "http://192.0.2.7:8080/cp"
RESET = core.Reset(type=core.ResetType.HARD)
REQUESTS = operations(Service.CHARGE_POINT)


@pytest.fixture(scope="module")
def envelopes() -> Envelopes:
    return Envelopes(own_address=OWN)


def test_n25_golden_envelope(envelopes: Envelopes) -> None:
    text = envelopes.build(RESET, identity="CP<1>", to=CALLBACK, message_id="id-1")
    assert re.sub(r"\bsoap-env\b", "env", re.sub(r"\bns0\b", "cp", text)) == (
        f'<env:Envelope xmlns:env="{SOAP}"><env:Header xmlns:wsa="{WSA}">'
        f'<cp:chargeBoxIdentity xmlns:cp="{CP}" env:mustUnderstand="true">'
        "CP&lt;1&gt;</cp:chargeBoxIdentity>"
        '<wsa:Action env:mustUnderstand="true">/Reset</wsa:Action>'
        "<wsa:MessageID>urn:uuid:id-1</wsa:MessageID>"
        f'<wsa:To env:mustUnderstand="true">{CALLBACK}</wsa:To>'
        f"<wsa:From><wsa:Address>{OWN}</wsa:Address></wsa:From>"
        f'<wsa:ReplyTo env:mustUnderstand="true"><wsa:Address>{ANONYMOUS}</wsa:Address>'
        "</wsa:ReplyTo></env:Header><env:Body>"
        f'<cp:resetRequest xmlns:cp="{CP}"><cp:type>Hard</cp:type></cp:resetRequest>'
        "</env:Body></env:Envelope>"
    )


@pytest.mark.contract
@pytest.mark.parametrize("full", [False, True], ids=["least", "full"])
@pytest.mark.parametrize("request_type", REQUESTS, ids=lambda kind: kind.__name__)
def test_n25_every_call_is_valid_against_the_official_schema(
    envelopes: Envelopes,
    request_type: type[Request[Any]],
    full: bool,
    official_schema: Callable[[str], etree.XMLSchema],
) -> None:
    for turn in range(4):
        request = example(request_type, full=full, turn=turn)
        text = envelopes.build(request, identity="CP1", to=CALLBACK, message_id="id-1")
        root = etree.fromstring(text)
        (body,) = root.iterfind(f"{{{SOAP}}}Body/*")
        official_schema("ChargePoint").assertValid(body)
        names = [etree.QName(block).localname for block in root.iterfind(f"{{{SOAP}}}Header/*")]
        assert sorted(names) == [
            "Action",
            "From",
            "MessageID",
            "ReplyTo",
            "To",
            "chargeBoxIdentity",
        ]
        assert root.findtext(f".//{{{WSA}}}Action") == f"/{request_type.__name__}"


def test_times_go_out_plainly(envelopes: Envelopes) -> None:
    from csms.ocpp.reservation import ReserveNow

    request = ReserveNow(
        connector_id=1,
        expiry_date=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        id_tag="A",
        reservation_id=1,
    )
    text = envelopes.build(request, identity="CP1", to=CALLBACK, message_id="x")
    assert ">2026-01-02T03:04:05Z<" in text


# --- reading answers -----------------------------------------------------------------------------


def _answer(body: str, header: str = "", status: int = 200, **named: Any) -> Answer:
    text = (
        f'<e:Envelope xmlns:e="{SOAP}" xmlns:a="{WSA}"><e:Header>{header}</e:Header>'
        f"<e:Body>{body}</e:Body></e:Envelope>"
    )
    return _read(text.encode(), status, **named)


def _read(body: bytes, status: int = 200, *, strict: bool = False) -> Answer:
    return read_reply(
        Received(status, "application/soap+xml", body),
        core.Reset,
        charger=facts(strict=strict),
        message_id="id-1",
        received_at=datetime.now(UTC),
    )


ACCEPTED = f'<resetResponse xmlns="{CP}"><status>Accepted</status></resetResponse>'


def test_reply() -> None:
    answer = _answer(ACCEPTED, "<a:RelatesTo>urn:uuid:id-1</a:RelatesTo>")
    assert isinstance(answer, Replied)
    assert answer.reply == core.ResetResponse(status=core.ResetStatus.ACCEPTED)
    assert answer.notes == ()
    assert "<status>Accepted</status>" in answer.raw


@pytest.mark.parametrize("relates_to", ["2462", "", "urn:uuid:other"])
def test_reply_with_any_relates_to(relates_to: str) -> None:
    answer = _answer(ACCEPTED, f"<a:RelatesTo>{relates_to}</a:RelatesTo>")
    assert isinstance(answer, Replied)
    assert [note.name for note in answer.notes] == (["relates_to"] if relates_to else [])


def test_tolerant_and_strict_replies() -> None:
    other = ACCEPTED.replace("Cp", "Cs").replace("Accepted", "accepted")
    answer = _answer(other)
    assert isinstance(answer, Replied)
    assert answer.notes
    assert isinstance(_read_strictly(other), Unreadable)


def _read_strictly(body: str) -> Answer:
    return _answer(body, strict=True)


@pytest.mark.parametrize("subcode", ["NotSupported", "VendorSays", "SecurityError"])
def test_n23_any_subcode_is_accepted(subcode: str) -> None:
    fault = (
        "<e:Fault><e:Code><e:Value>e:Receiver</e:Value><e:Subcode>"
        f'<e:Value xmlns:q="urn:q">q:{subcode}</e:Value></e:Subcode></e:Code>'
        '<e:Reason><e:Text xml:lang="en"> Out\n of order </e:Text></e:Reason></e:Fault>'
    )
    for status in (200, 400, 500):
        answer = _answer(fault, status=status)
        assert isinstance(answer, CallFailed)
        assert (answer.code, answer.description) == (subcode, "Out of order")


def test_faults_with_less() -> None:
    bare = _answer("<e:Fault/>", status=500)
    assert isinstance(bare, CallFailed)
    assert (bare.code, bare.description) == ("Fault", "")
    old = (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>'
        "<faultcode>s:Server</faultcode><faultstring>no</faultstring></s:Fault></s:Body></s:Envelope>"
    )
    answer = _read(old.encode(), 500)
    assert isinstance(answer, CallFailed)
    assert (answer.code, answer.description) == ("Server", "no")


@pytest.mark.parametrize(
    "body",
    [b"", b"OK", b"{}", b"<html/>", b"\xff\0", b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"],
)
def test_answers_that_are_none(body: bytes) -> None:
    answer = _read(body)
    assert isinstance(answer, Unreadable)
    assert "\0" not in answer.raw
    failed = _read(body, 404)
    assert isinstance(failed, CallFailed)
    assert failed.code == "HTTP 404"


@pytest.mark.parametrize(
    "body",
    [
        "",
        ACCEPTED * 2,
        f'<clearCacheResponse xmlns="{CP}"><status>Accepted</status></clearCacheResponse>',
        f'<resetResponse xmlns="{CP}"><status>Perhaps</status></resetResponse>',
        f'<resetResponse xmlns="{CP}"/>',
    ],
)
def test_bodies_that_are_no_reply(body: str) -> None:
    assert isinstance(_answer(body), Unreadable)


def test_an_http_error_is_no_reply() -> None:
    answer = _answer(ACCEPTED, status=307)
    assert isinstance(answer, CallFailed)
    assert answer.code == "HTTP 307"
