"""Envelopes that charge points sent over SOAP."""

from csms.models import Connector, Message, QuarantinedMessage
from tests.field.bench import (
    Field,
    deviations,
    fault,
    frame,
    header,
    logged,
    noted,
    readings,
    transactions,
)
from tests.running import post


@frame(103)
def message_id_without_uri(field: Field) -> None:
    """Any MessageID is echoed in RelatesTo; ReplyTo may be missing; prefixes mean nothing."""
    row, response = field.soap(103)
    assert field.reply(response, "bootNotificationResponse")["status"] == "Accepted"
    assert header(response, "RelatesTo") == "7230"
    row.refresh_from_db()
    assert (row.vendor, row.model) == ("Izivia", "LEC-3030A-SPX1")


@frame(104)
def must_understand(field: Field) -> None:
    """mustUnderstand on chargeBoxIdentity and ReplyTo is understood."""
    row, response = field.soap(104)
    field.reply(response, "firmwareStatusNotificationResponse")
    row.refresh_from_db()
    assert row.firmware_status == "Installed"
    assert not deviations(row)


@frame(105)
def no_error_in_words(field: Field) -> None:
    """No alarm: the status is Available, without a vendor's error code."""
    _, response = field.soap(105)
    field.reply(response, "statusNotificationResponse")
    connector = Connector.objects.get()
    assert (connector.status, connector.error_code) == ("Available", "NoError")
    assert (connector.info, connector.vendor_error_code) == ("No error.", "")


@frame(106)
def fault_to(field: Field) -> None:
    """FaultTo is ignored; the answer comes on the same HTTP exchange."""
    _, response = field.soap(106)
    assert field.reply(response, "heartbeatResponse")["currentTime"].endswith("Z")
    assert header(response, "RelatesTo") == "uuid:b70e2eae-bd09-4546-b049-8b2be7ccf578"


@frame(107)
def missing_model(field: Field) -> None:
    """Accepted with an empty model, and noted."""
    row, response = field.soap(107)
    assert field.reply(response, "bootNotificationResponse")["status"] == "Accepted"
    row.refresh_from_db()
    assert (row.vendor, row.model) == ("eNovates", "")
    assert "missing_field" in deviations(row)


@frame(108)
def sample_out_of_order(field: Field) -> None:
    """Children are read by name."""
    row, response = field.soap(108)
    field.reply(response, "meterValuesResponse")
    (reading,) = readings(row)
    assert (reading.energy, reading.timestamp[:19]) == (15_213_716, "2022-05-17T15:41:19")


@frame(109)
def start_out_of_order(field: Field) -> None:
    """Children are read by name: the start is kept and gets its transactionId."""
    row, response = field.soap(109)
    answer = field.reply(response, "startTransactionResponse")
    (transaction,) = transactions(row)
    assert answer["transactionId"] == str(transaction.transaction_id)
    assert transaction.meter_start == 18_804_500


@frame(117)
def element_for_a_text(field: Field) -> None:
    """The inner XML is the data; answered with a reply."""
    row, response = field.soap(117)
    assert field.reply(response, "dataTransferResponse")["status"] == "UnknownVendorId"
    assert "element_for_text" in noted(logged(row, "DataTransfer"))


@frame(112)
def undeclared_prefix(field: Field) -> None:
    """No well-formed XML: a ProtocolError; identity and action stand in the log all the same."""
    response = post(field.system, field.raw(112))
    assert (response.status_code, fault(response)) == (400, "ProtocolError")
    field.system.written()
    message = Message.objects.get()
    assert (message.identity, message.action) == ("XXXXXXXX", "StopTransaction")
    assert message.request == field.raw(112)
    assert message.error


@frame(94, 95, 96, 97, 98, 101, 102, 110, 111, 116)
def requests_of_ocpp_15(field: Field, number: int) -> None:
    """Waits for the dialects: told by the body's namespace, whatever the URL says, and answered
    NotSupported; logged as it came, with nothing of it taken for a message of 1.6."""
    row, response = field.soap(number)
    assert (response.status_code, fault(response)) == (500, "NotSupported")
    message = Message.objects.get(charge_point=row)
    assert message.request.strip() == field.raw(number).strip()
    assert "UnsupportedAction" in message.error
    assert header(response, "RelatesTo") == message.message_id == message.message_id.strip()
    assert not transactions(row)
    assert not readings(row)
    assert not QuarantinedMessage.objects.exists()
    row.refresh_from_db()
    assert row.booted_at is None
