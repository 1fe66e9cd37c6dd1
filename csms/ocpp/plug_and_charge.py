"""Plug & Charge over OCPP 1.6: messages of ISO 15118 as JSON text in DataTransfer's `data`.

After "Using ISO 15118 Plug & Charge with OCPP 1.6": DataTransfer carries `VENDOR_ID`, the
action as `messageId`, and the message as a JSON string. The base are the messages of OCPP
2.0.1; unlike those of 1.6 they may carry further fields.
"""

import msgspec
from msgspec import UNSET

from csms.ocpp.base import Opt, Payload, encode_json
from csms.ocpp.errors import FormationViolation
from csms.ocpp.explain import explain
from csms.ocpp.hostile import check_text
from csms.ocpp.security import CertificateHashData
from csms.ocpp.types import AuthorizationStatus

VENDOR_ID = "org.openchargealliance.iso15118pnc"
AUTHORIZE = "Authorize"
"""The `messageId` of PncAuthorize."""


class TypedIdToken(Payload, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """An idToken as OCPP 2.0.1 has it: `{"idToken": "DEAAA000000001", "type": "eMAID"}`."""

    id_token: str
    type: Opt[str] = UNSET


class OcspRequestData(CertificateHashData, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """Names a certificate, and where to ask whether it is revoked."""

    responder_url: Opt[str] = msgspec.field(default=UNSET, name="responderURL")


class PncAuthorize(Payload, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """May this contract charge? `certificate` is the contract's chain, PEM."""

    id_token: str | TypedIdToken
    certificate: Opt[str] = UNSET
    iso15118_certificate_hash_data: Opt[tuple[OcspRequestData, ...]] = UNSET

    @property
    def emaid(self) -> str:
        """The contract's id, which chargers send both as a text and as an object."""
        return self.id_token if isinstance(self.id_token, str) else self.id_token.id_token


class IdTokenInfo(Payload, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """What the central system knows of the contract."""

    status: AuthorizationStatus


class PncAuthorizeResponse(Payload, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """`{"idTokenInfo": {"status": "Accepted"}}`."""

    id_token_info: IdTokenInfo


_AUTHORIZE = msgspec.json.Decoder(PncAuthorize)


def read_authorize(data: str) -> PncAuthorize:
    """The request in DataTransfer's `data`; raises a ProtocolError that names the field."""
    try:
        authorize = _AUTHORIZE.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise explain(error) from error
    if not authorize.emaid:
        raise FormationViolation("idToken is empty.", path="idToken")
    check_text(authorize.emaid, "idToken")
    return authorize


def write_authorize_response(status: AuthorizationStatus) -> str:
    """The reply, for DataTransferResponse's `data`."""
    response = PncAuthorizeResponse(id_token_info=IdTokenInfo(status=status))
    return encode_json(response).decode()
