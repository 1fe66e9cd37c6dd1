"""The codes of CALLERRORs."""

import json

import pytest

from csms.ocpp import errors as protocol
from csms.ocpp.errors import ProtocolError
from ocpp_json import errors, frames

GOLDEN = {
    protocol.UnknownAction: "NotImplemented",
    protocol.UnsupportedAction: "NotSupported",
    protocol.FormationViolation: "FormationViolation",
    protocol.PropertyConstraintViolation: "PropertyConstraintViolation",
    protocol.OccurrenceConstraintViolation: "OccurenceConstraintViolation",
    protocol.TypeConstraintViolation: "TypeConstraintViolation",
    protocol.RpcViolation: "ProtocolError",
    protocol.IdentityMismatch: "SecurityError",
    protocol.SecurityViolation: "SecurityError",
    protocol.InternalFailure: "InternalError",
    ProtocolError: "GenericError",
}


@pytest.mark.parametrize(("kind", "code"), GOLDEN.items())
def test_n18_golden_frames(kind: type[ProtocolError], code: str) -> None:
    assert frames.answer("19", kind("It is so.")) == f'[4,"19","{code}","It is so.",{{}}]'


def test_n18_every_error_has_a_code() -> None:
    kinds = {kind for kind in vars(protocol).values() if isinstance(kind, type)}
    declared = {kind for kind in kinds if issubclass(kind, ProtocolError)}
    assert declared == set(GOLDEN)


def test_n18_the_field_is_named() -> None:
    error = protocol.TypeConstraintViolation("must be a text", path="meterValue[0].timestamp")
    assert errors.description(error) == "meterValue[0].timestamp: must be a text"


def test_n18_a_description_has_at_most_255_characters() -> None:
    frame = frames.answer("19", ProtocolError('"é' * 400, path="x" * 300))
    assert len(json.loads(frame)[3]) == 255


def test_an_error_without_words_says_what_it_is() -> None:
    assert errors.description(protocol.InternalFailure()).startswith("An internal error")
