"""No declaration is left out of the round trips: each is a message, or a part of one."""

from collections.abc import Iterator
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec import inspect as ins

from csms.ocpp import plug_and_charge as pnc
from csms.ocpp.base import Payload, Request, encode_json
from csms.ocpp.registry import ACTIONS
from csms.ocpp.types import AuthorizationStatus
from ocpp_soap.namespaces import Service
from tests.ocpp_soap.examples import messages
from tests.strategies import CHARACTERS, MESSAGES, payloads

PLUG_AND_CHARGE: tuple[type[Payload], ...] = (pnc.PncAuthorize, pnc.PncAuthorizeResponse)


def declared() -> set[type[Any]]:
    """All declarations, but for the bases."""
    found: set[type[Any]] = set()
    todo = [Payload]
    while todo:
        below = todo.pop().__subclasses__()
        todo += below
        found.update(below)
    return {each for each in found if each.__module__.startswith("csms.ocpp.")} - {Request}


def parts(declaration: type[Any]) -> set[type[Any]]:
    """A declaration and all that it holds."""
    found: set[type[Any]] = set()
    todo: list[ins.Type] = [ins.type_info(declaration)]
    while todo:
        info = todo.pop()
        match info:
            case ins.Metadata(type=inner):
                todo.append(inner)
            case ins.StructType(cls=known) if known not in found:
                found.add(known)
                todo += (field.type for field in info.fields)
            case ins.VarTupleType(item_type=inner):
                todo.append(inner)
            case ins.UnionType(types=several):
                todo += several
    return found


def reached(tops: Iterator[type[Any]]) -> set[type[Any]]:
    return {part for top in tops for part in parts(top)}


def test_over_json_every_declaration_goes_there_and_back() -> None:
    """tests/ocpp/test_round_trips.py sends these messages; the texts of ISO 15118 are below."""
    assert declared() == reached(iter((*MESSAGES.values(), *PLUG_AND_CHARGE)))
    assert len(MESSAGES) == 2 * len(ACTIONS) == 78


def test_over_soap_every_declaration_of_ocpp_1_6_goes_there_and_back() -> None:
    """tests/ocpp_soap/test_round_trips.py sends these. The security extension is for JSON only."""
    sent = reached(declaration for _, _, declaration in messages())
    known = {type_ for type_ in declared() if type_.__module__ != pnc.__name__}
    only_json = {name for name, request in ACTIONS.items() if not request.soap}
    assert len(only_json) == 11
    assert {type_.__module__ for type_ in known - sent} == {"csms.ocpp.security"}
    assert {service for service, _, _ in messages()} == set(Service)


_TEXTS = st.text(CHARACTERS, min_size=1, max_size=40)


@given(
    _TEXTS | st.builds(pnc.TypedIdToken, id_token=_TEXTS, type=st.just(UNSET) | _TEXTS),
    st.just(UNSET) | _TEXTS,
    st.just(UNSET) | st.lists(payloads(pnc.OcspRequestData), max_size=4).map(tuple),
)
def test_plug_and_charge_requests(token: Any, certificate: Any, hashes: Any) -> None:
    request = pnc.PncAuthorize(
        id_token=token, certificate=certificate, iso15118_certificate_hash_data=hashes
    )
    assert pnc.read_authorize(encode_json(request).decode()) == request


@given(st.sampled_from(AuthorizationStatus))
def test_plug_and_charge_replies(status: AuthorizationStatus) -> None:
    text = pnc.write_authorize_response(status)
    read = msgspec.json.decode(text, type=pnc.PncAuthorizeResponse)
    assert read.id_token_info.status is status
