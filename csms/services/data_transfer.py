"""DataTransfer: what OCPP has no message for (OCPP 1.6 §4.3)."""

from csms.ocpp import plug_and_charge
from csms.ocpp.base import value_or
from csms.ocpp.core import DataTransfer, DataTransferResponse, DataTransferStatus
from csms.ocpp.errors import ProtocolError
from csms.ocpp.tolerance import Note
from csms.services.authorization import id_tag_info
from csms.services.dispatch import Context, handles
from csms.services.world import NOTHING, Needs


def _contract(request: DataTransfer) -> str | None:
    """The eMAID of a Plug & Charge authorization that can be read."""
    if request.vendor_id != plug_and_charge.VENDOR_ID:
        return None
    if request.message_id != plug_and_charge.AUTHORIZE:
        return None
    try:
        return plug_and_charge.read_authorize(value_or(request.data, "")).emaid
    except ProtocolError:
        return None


def _needs(request: DataTransfer, notes: tuple[Note, ...]) -> Needs:
    contract = _contract(request)
    return NOTHING if contract is None else Needs(id_tags=(contract,))


@handles(DataTransfer, needs=_needs)
def data_transfer(request: DataTransfer, context: Context) -> DataTransferResponse:
    """§4.3: unknown vendors and messages are answered by status, never by an error.

    The data is opaque: it stands in the message log.
    """
    if request.vendor_id != plug_and_charge.VENDOR_ID:
        return DataTransferResponse(status=DataTransferStatus.UNKNOWN_VENDOR_ID)
    if request.message_id != plug_and_charge.AUTHORIZE:
        return DataTransferResponse(status=DataTransferStatus.UNKNOWN_MESSAGE_ID)
    contract = _contract(request)
    if contract is None:
        return DataTransferResponse(status=DataTransferStatus.REJECTED)
    info = id_tag_info(
        context.world, id_tag=contract, charge_point=context.charge_point, now=context.now
    )
    return DataTransferResponse(
        status=DataTransferStatus.ACCEPTED,
        data=plug_and_charge.write_authorize_response(info.status),
    )
