"""The derived body codec: both directions against the official schema, and each tolerance."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from lxml import etree

from csms.ocpp import core
from csms.ocpp.base import Payload
from csms.ocpp.errors import (
    FormationViolation,
    OccurrenceConstraintViolation,
    PropertyConstraintViolation,
    ProtocolError,
    TypeConstraintViolation,
)
from csms.ocpp.types import ChargingSchedulePeriod
from ocpp_soap import codec, guard
from ocpp_soap.namespaces import CP, CS, PREFIXES, XSI, Service
from tests.ocpp_soap.examples import example, messages

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
T = "<timestamp>2026-01-02T03:04:05Z</timestamp>"


def _read(
    declaration: type[Payload], inner: str, *, strict: bool = False, namespace: str = CS
) -> Any:
    element = guard.parse(f'<x xmlns="{CS}" xmlns:xsi="{XSI}">{inner}</x>')
    return codec.read(
        declaration, element, namespace=namespace, strict=strict, received_at=NOW, zone=UTC
    )


def written(tag: str, payload: Payload, namespace: str) -> etree._Element:
    """A payload as written, parsed again below a root that declares its prefix."""
    text = codec.write(tag, payload, namespace=namespace)
    root = f'<root xmlns:{PREFIXES[namespace]}="{namespace}">{text}</root>'
    return etree.fromstring(etree.tostring(etree.fromstring(root)[0]))


def _start(**changes: str) -> str:
    texts = {
        "connectorId": "1",
        "idTag": "A",
        "timestamp": "2026-01-02T03:04:05Z",
        "meterStart": "0",
    }
    return "".join(f"<{name}>{text}</{name}>" for name, text in (texts | changes).items())


@pytest.mark.contract
@pytest.mark.parametrize("full", [False, True], ids=["least", "full"])
@pytest.mark.parametrize(
    ("service", "tag", "declaration"),
    messages(),
    ids=[f"{service.name}-{tag}" for service, tag, _ in messages()],
)
def test_round_trip_is_valid_against_the_official_schema(
    service: Service,
    tag: str,
    declaration: type[Payload],
    full: bool,
    official_schema: Callable[[str], etree.XMLSchema],
) -> None:
    schema = official_schema(service.service_name.removesuffix("Service"))
    for turn in range(6):
        payload = example(declaration, full=full, turn=turn)
        element = written(tag, payload, service.value)
        schema.assertValid(element)
        reading = codec.read(
            declaration,
            element,
            namespace=service.value,
            strict=True,
            received_at=NOW,
            zone=UTC,
        )
        assert reading == (payload, ())


@pytest.mark.parametrize(
    ("text", "expected"), [("1", 1), ("+1", 1), ("-0", 0), (" \n1\t", 1), ("007", 7)]
)
def test_int(text: str, expected: int) -> None:
    for strict in (False, True):
        reading = _read(core.StartTransaction, _start(meterStart=text), strict=strict)
        assert reading.request.meter_start == expected
        assert reading.notes == ()


@pytest.mark.parametrize("text", ["", "x", "1_0", "１", "0x1", "1e3", "9" * 5000, "1 2", "true"])
def test_texts_that_are_no_int(text: str) -> None:
    with pytest.raises(ProtocolError):
        _read(core.StatusNotification, f"<connectorId>{text}</connectorId>", strict=True)
    with pytest.raises(ProtocolError):
        _read(core.StartTransaction, _start(connectorId=text), strict=True)


@pytest.mark.parametrize("text", ["2147483648", "-2147483649", "9223372036854775807"])
def test_int_has_32_bits(text: str) -> None:
    with pytest.raises(PropertyConstraintViolation):
        _read(core.StartTransaction, _start(meterStart=text), strict=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("true", True), ("1", True), (" false\n", False), ("0", False)],
)
def test_boolean(text: str, expected: bool) -> None:
    inner = f"<configurationKey><key>k</key><readonly>{text}</readonly></configurationKey>"
    reading = _read(core.GetConfigurationResponse, inner, strict=True)
    assert reading.request.configuration_key[0].readonly is expected


@pytest.mark.parametrize("text", ["True", "yes", "2", ""])
def test_texts_that_are_no_boolean(text: str) -> None:
    inner = f"<configurationKey><key>k</key><readonly>{text}</readonly></configurationKey>"
    with pytest.raises(TypeConstraintViolation):
        _read(core.GetConfigurationResponse, inner, strict=True)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05.000000Z",
        "2026-01-02T03:04:05.0Z",
        "2026-01-02T05:04:05+02:00",
        " 2026-01-02T03:04:05.000000000Z\n",
        "2026-01-01T17:04:05-10:00",
    ],
)
def test_n21_times(text: str) -> None:
    reading = _read(core.StartTransaction, _start(timestamp=text), strict=True)
    assert reading.request.timestamp == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "222222017-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:60Z",
        "2026-02-30T00:00:00Z",
        "2026-01-01T00:00:00",
        "2026-01-01",
        "",
        "0",
    ],
)
def test_impossible_times_never_escape(text: str) -> None:
    with pytest.raises(ProtocolError):
        _read(core.StartTransaction, _start(timestamp=text), strict=True)
    reading = _read(core.StartTransaction, _start(timestamp=text))
    assert reading.request.timestamp.astimezone(UTC)
    assert reading.notes


@pytest.mark.parametrize("text", ["16", "16.0", " +16.00 ", "016", "16."])
def test_decimal(text: str) -> None:
    inner = f"<startPeriod>0</startPeriod><limit>{text}</limit>"
    reading = _read(ChargingSchedulePeriod, inner, strict=True)
    assert reading.request.limit == Decimal(16)


@pytest.mark.parametrize("text", ["NaN", "INF", "1e3", "1E+1", "", "1,5", "1.25", "9" * 500])
def test_texts_that_are_no_decimal(text: str) -> None:
    with pytest.raises(ProtocolError):
        _read(
            ChargingSchedulePeriod,
            f"<startPeriod>0</startPeriod><limit>{text}</limit>",
            strict=True,
        )


ORDER = "<connectorId>1</connectorId><idTag>A</idTag><meterStart>5</meterStart>" + T


def test_order_of_children() -> None:
    with pytest.raises(FormationViolation, match="timestamp is not at its place"):
        _read(core.StartTransaction, ORDER, strict=True)
    reading = _read(core.StartTransaction, ORDER)
    assert reading.request.meter_start == 5
    assert [note.name for note in reading.notes] == ["child_order"]


def test_children_given_twice() -> None:
    twice = _start() + "<meterStart>0</meterStart>"
    with pytest.raises(OccurrenceConstraintViolation):
        _read(core.StartTransaction, twice, strict=True)
    assert _read(core.StartTransaction, twice).request.meter_start == 0
    with pytest.raises(OccurrenceConstraintViolation):
        _read(core.StartTransaction, _start() + "<meterStart>1</meterStart>")


def test_lists_interrupted() -> None:
    value = f"<meterValue>{T}<sampledValue><value>1</value></sampledValue></meterValue>"
    inner = f"<connectorId>1</connectorId>{value}<transactionId>5</transactionId>{value}"
    assert len(_read(core.MeterValues, inner).request.meter_value) == 2
    with pytest.raises(FormationViolation):
        _read(core.MeterValues, inner, strict=True)


def test_meter_value_is_optional_in_the_wsdl() -> None:
    """Where the 1.6 WSDL and the JSON schemas differ, 1."""
    reading = _read(core.MeterValues, "<connectorId>1</connectorId>", strict=True)
    assert reading.request.meter_value == ()
    assert reading.notes == ()


def test_unknown_children() -> None:
    inner = "<idTag>A</idTag><connectorId>1</connectorId>"
    with pytest.raises(FormationViolation, match="connectorId is not a field"):
        _read(core.Authorize, inner, strict=True)
    reading = _read(core.Authorize, inner)
    assert reading.request == core.Authorize(id_tag="A")
    assert [note.name for note in reading.notes] == ["additional_field"]


def test_nil_is_absent() -> None:
    inner = '<idTag>A</idTag><reservationId xsi:nil="true"/>'
    start = _start().replace("<idTag>A</idTag>", "") + inner
    reading = _read(core.StartTransaction, start)
    assert not reading.request.reservation_id
    assert "null_field" in [note.name for note in reading.notes]
    with pytest.raises(ProtocolError):
        _read(core.StartTransaction, _start() + '<reservationId xsi:nil="1"/>', strict=True)


def test_line_ends_around_a_text() -> None:
    with pytest.raises(PropertyConstraintViolation):
        _read(core.Authorize, "<idTag>\n  A\n</idTag>", strict=True)
    reading = _read(core.Authorize, "<idTag>\n  A\n</idTag>")
    assert reading.request.id_tag == "A"
    assert [note.name for note in reading.notes] == ["surrounding_space"]


def test_free_texts_are_kept_as_they_are() -> None:
    inner = "<vendorId>v</vendorId><data>\n <![CDATA[<a/>]]>&lt;<!-- c -->\n</data>"
    reading = _read(core.DataTransfer, inner, strict=True)
    assert reading.request.data == "\n <a/><\n"


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("<b>x</b>", "<b>x</b>"),
        ("t<b c='1'><d/>u</b>v<e/>", 't<b c="1"><d/>u</b>v<e/>'),
        ("<p:b xmlns:p='urn:p'/>", '<p:b xmlns:p="urn:p"/>'),
    ],
)
def test_element_for_text(inner: str, expected: str) -> None:
    text = f"<vendorId>v</vendorId><data>{inner}</data>"
    with pytest.raises(TypeConstraintViolation):
        _read(core.DataTransfer, text, strict=True)
    reading = _read(core.DataTransfer, text)
    assert reading.request.data.replace(f' xmlns="{CS}"', "") == expected
    assert [note.name for note in reading.notes] == ["element_for_text"]


def test_empty_transaction_data() -> None:
    inner = f"<transactionId>1</transactionId>{T}<meterStop>0</meterStop><transactionData/>"
    reading = _read(core.StopTransaction, inner)
    assert not reading.request.transaction_data
    assert reading.notes


def test_over_long_and_unknown_values_are_read_tolerantly() -> None:
    inner = (
        f"<chargePointVendor>V</chargePointVendor><chargePointModel>{'m' * 30}</chargePointModel>"
    )
    assert _read(core.BootNotification, inner).request.charge_point_model.startswith("m" * 20)
    with pytest.raises(PropertyConstraintViolation):
        _read(core.BootNotification, inner, strict=True)


def test_celsius() -> None:
    sample = "<value>1</value><unit>{}</unit>"
    for unit in ("Celsius", "Celcius"):
        value = f"<meterValue>{T}<sampledValue>{sample.format(unit)}</sampledValue></meterValue>"
        reading = _read(core.MeterValues, f"<connectorId>1</connectorId>{value}")
        assert written("x", reading.request, CS).findtext(".//{*}unit") == "Celsius"


def test_plain_notation_going_out() -> None:
    for limit, text in (("1E+1", "10"), ("16.0", "16.0"), ("0.1", "0.1")):
        period = ChargingSchedulePeriod(start_period=0, limit=Decimal(limit))
        assert written("x", period, CP).findtext("{*}limit") == text


def test_what_xml_cannot_carry() -> None:
    """Marks are escaped, a carriage return survives, a NUL is an error and no broken document."""
    for text in ("<&>\"' \u20ac", "a\r\nb\tc"):
        data = core.DataTransferResponse(status=core.DataTransferStatus.ACCEPTED, data=text)
        assert written("x", data, CS).findtext("{*}data") == text
    for text in ("\0", "\x1b", "\ud800", "\ufffe"):
        data = core.DataTransferResponse(status=core.DataTransferStatus.ACCEPTED, data=text)
        with pytest.raises(ValueError, match="cannot carry"):
            codec.write("x", data, namespace=CS)
