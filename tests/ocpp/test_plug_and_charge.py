"""The messages of ISO 15118 in DataTransfer's `data`."""

import json
from typing import Any

import pytest

from csms.ocpp.errors import ProtocolError
from csms.ocpp.plug_and_charge import (
    AUTHORIZE,
    VENDOR_ID,
    read_authorize,
    write_authorize_response,
)
from csms.ocpp.types import AuthorizationStatus


def test_an_id_token_is_a_text_or_an_object() -> None:
    plain = read_authorize('{"idToken": "DEAAAC000000001", "certificate": "-----BEGIN"}')
    assert plain.emaid == "DEAAAC000000001"
    assert plain.certificate == "-----BEGIN"
    typed = read_authorize(
        '{"idToken": {"idToken": "DEAAAC000000001", "type": "eMAID", "customData": {}}, "x": 1}'
    )
    assert typed.emaid == "DEAAAC000000001"


def test_the_request_of_a_kempower_is_read(field_frames: list[dict[str, Any]]) -> None:
    raw = next(frame["raw"] for frame in field_frames if frame["id"] == 7)
    transfer = json.loads(raw)[3]
    assert (transfer["vendorId"], transfer["messageId"]) == (VENDOR_ID, AUTHORIZE)
    authorize = read_authorize(transfer["data"])
    assert authorize.emaid == "AAAAAAAAAAAAA0"
    assert authorize.iso15118_certificate_hash_data
    assert authorize.iso15118_certificate_hash_data[0].responder_url


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ("", ""),
        ("[]", ""),
        ("{}", "idToken"),
        ('{"idToken": ""}', "idToken"),
        ('{"idToken": 5}', "idToken"),
        ('{"idToken": {}}', "idToken.idToken"),
        (r'{"idToken": "A\u0000"}', "idToken"),
    ],
)
def test_what_names_no_contract_is_refused(data: str, path: str) -> None:
    with pytest.raises(ProtocolError) as raised:
        read_authorize(data)
    assert raised.value.path == path


def test_the_reply() -> None:
    reply = write_authorize_response(AuthorizationStatus.ACCEPTED)
    assert reply == '{"idTokenInfo":{"status":"Accepted"}}'
