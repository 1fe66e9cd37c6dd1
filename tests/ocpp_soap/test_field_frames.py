"""What real SOAP charge points sent (OCPP 1.6), at the ASGI door."""

from datetime import UTC, datetime
from typing import Any

import pytest
from lxml import etree

from csms.ocpp import core, firmware_management, smart_charging
from csms.services.outbox import Replied
from ocpp_soap.client import Received, read_reply
from ocpp_soap.namespaces import CS
from tests.ocpp_soap.house import House, facts, fault_of, parsed

pytestmark = [pytest.mark.anyio, pytest.mark.contract]


@pytest.fixture
def frame(field_frames: list[dict[str, Any]]):
    by_id = {frame["id"]: frame["raw"] for frame in field_frames}
    return by_id.__getitem__


def _names(house: House) -> set[str]:
    return {note.name for note in house.last.notes}


@pytest.mark.parametrize(
    ("number", "request_type", "identity"),
    [
        (103, core.BootNotification, "00:90:0B:00:00:01"),
        (104, firmware_management.FirmwareStatusNotification, "IES20210000000001"),
        (105, core.StatusNotification, None),
        (106, core.Heartbeat, None),
        (107, core.BootNotification, "ocppId1"),
        (108, core.MeterValues, "FR-X00-E00000-000-1"),
        (109, core.StartTransaction, "CU-00000-001-1"),
        (117, core.DataTransfer, "CS1"),
    ],
)
async def test_requests(house: House, frame, number, request_type, identity) -> None:
    response = await house.post(frame(number))
    assert response.status_code == 200, response.text
    if request_type is not None:
        assert isinstance(house.request, request_type)
    if identity is not None:
        assert house.last.identity == identity
    sent = etree.fromstring(frame(number).encode()).findtext(".//{*}MessageID")
    relates_to = parsed(response).findtext(".//{*}RelatesTo")
    assert relates_to == (sent.strip() if sent else None)


async def test_103_a_number_as_message_id(house: House, frame) -> None:
    response = await house.post(frame(103))
    assert parsed(response).findtext(".//{*}RelatesTo") == "7230"
    assert house.last.notes == ()


async def test_107_a_boot_without_model(house: House, frame) -> None:
    await house.post(frame(107))
    assert house.request.charge_point_vendor == "eNovates"
    assert house.last.notes


async def test_108_children_in_their_own_order(house: House, frame) -> None:
    await house.post(frame(108))
    (value,) = house.request.meter_value
    assert value.sampled_value[0].value == "15213716"
    assert _names(house) == {"child_order"}


async def test_109_start_in_its_own_order(house: House, frame) -> None:
    await house.post(frame(109))
    assert house.request.meter_start == 18_804_500
    assert _names(house) == {"child_order"}


async def test_112_undeclared_prefix(house: House, frame) -> None:
    response = await house.post(frame(112))
    assert (response.status_code, fault_of(response)[1]) == (400, f"{{{CS}}}ProtocolError")
    (entry,) = house.inbox.entries
    assert (entry.identity, entry.action) == ("XXXXXXXX", "StopTransaction")


async def test_112_with_its_prefix_declared(house: House, frame) -> None:
    """Repaired that far, its body is of OCPP 1.5."""
    xsi = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    text = frame(112).replace("<soap:Envelope ", f"<soap:Envelope {xsi} ")
    assert fault_of(await house.post(text))[1] == f"{{{CS}}}NotSupported"
    response = await house.post(text.replace("2012/06", "2015/10"))
    assert parsed(response).find(".//{*}RelatesTo") is not None
    assert house.last.action == "StopTransaction"


async def test_117_an_element_for_a_text(house: House, frame) -> None:
    await house.post(frame(117))
    assert "Detection loop" in house.request.data
    assert "element_for_text" in _names(house)


@pytest.mark.parametrize(
    ("number", "request_type"),
    [
        (118, smart_charging.SetChargingProfile),
        (119, smart_charging.GetCompositeSchedule),
    ],
)
def test_answers(frame, number, request_type) -> None:
    received = Received(200, "application/soap+xml", frame(number).encode())
    answer = read_reply(
        received,
        request_type,
        charger=facts(),
        message_id="x",
        received_at=datetime.now(UTC),
    )
    assert isinstance(answer, Replied)
    reply: Any = answer.reply
    assert reply.status == "Accepted"
    if number == 119:
        assert reply.schedule_start.microsecond == 768_108


@pytest.mark.parametrize("number", [99, 100, 113, 114, 115])
def test_answers_with_few_headers(frame, number) -> None:
    """Frames of 1.5, as 1.6 in namespace: their headers are what matters here."""
    requests: dict[int, type[Any]] = {
        99: firmware_management.UpdateFirmware,
        100: firmware_management.GetDiagnostics,
        113: core.GetConfiguration,
        114: core.RemoteStartTransaction,
        115: core.ClearCache,
    }
    received = Received(200, "text/xml", frame(number).replace("2012/06", "2015/10").encode())
    answer = read_reply(
        received,
        requests[number],
        charger=facts(),
        message_id="x",
        received_at=datetime.now(UTC),
    )
    assert isinstance(answer, Replied), answer
    if number == 113:
        reply: Any = answer.reply
        assert [key.readonly for key in reply.configuration_key] == [True, True, False, True]


async def test_no_frame_of_the_field_makes_an_exception_escape(house: House, field_frames) -> None:
    for frame in field_frames:
        if "S" not in frame["version"]:
            continue
        for strict in (False, True):
            house.strict = strict
            response = await house.post(frame["raw"])
            assert response.status_code in (200, 400, 500)
            assert "InternalError" not in response.text
