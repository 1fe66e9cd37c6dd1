"""Plug & Charge over DataTransfer: may this contract charge?"""

from csms.ocpp import plug_and_charge
from csms.ocpp.base import value_or
from csms.ocpp.core import DataTransfer, DataTransferResponse, DataTransferStatus
from csms.ocpp.errors import ProtocolError
from csms.services.authorization import id_tag_info
from csms.services.dispatch import Context
from csms.services.world import NOTHING, Needs


def _contract(request: DataTransfer) -> str | None:
    """The eMAID of an authorization that can be read."""
    try:
        return plug_and_charge.read_authorize(value_or(request.data, "")).emaid
    except ProtocolError:
        return None


def authorize_needs(request: DataTransfer) -> Needs:
    contract = _contract(request)
    return NOTHING if contract is None else Needs(id_tags=(contract,))


def authorize(request: DataTransfer, context: Context) -> DataTransferResponse:
    """The contract is looked up as an idTag."""
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
