"""Messages by chance (hypothesis), made from the declarations: valid ones, of every shape."""

import string
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

from hypothesis import strategies as st
from msgspec import UNSET
from msgspec import inspect as ins

from csms.ocpp.base import Payload, reply_type
from csms.ocpp.registry import ACTIONS
from csms.ocpp.types import SampledValue

P = TypeVar("P", bound=Payload)

MESSAGES: dict[str, type[Payload]] = {
    declared.__name__: declared
    for request in ACTIONS.values()
    for declared in (request, reply_type(request))
}
"""All 78 messages by name: `{"Reset": Reset, "ResetResponse": ResetResponse, …}`."""

CHARACTERS = st.characters(
    exclude_categories=("Cs", "Cc"), include_characters="\t\n", exclude_characters="\ufffe\uffff"
)
"""What a text may hold: what XML 1.0 can carry, without control characters. A carriage return is
a line end in XML, so that it comes back as one."""

_ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_MOMENTS = st.datetimes(
    datetime(2, 1, 2),  # noqa: DTZ001  hypothesis adds the zone
    datetime(9998, 12, 30),  # noqa: DTZ001
    timezones=st.just(UTC) | _ZONES,
)
_TENTHS = st.integers(-(10**12) + 1, 10**12 - 1).map(lambda tenths: Decimal(tenths) / 10)
_WHOLE = st.integers(-(10**6), 10**6).map(Decimal)
_URIS = st.text(string.ascii_letters + string.digits + "/._-", max_size=60).map(
    lambda path: f"https://files.example.com/{path}"
)


@cache
def payloads(declaration: type[P]) -> st.SearchStrategy[P]:
    """Valid instances of a declaration; an optional field may be UNSET."""
    info = ins.type_info(declaration)
    assert isinstance(info, ins.StructType)
    fields = {
        field.name: _values(field.type, blank=declaration is not SampledValue)
        if field.required
        else st.just(UNSET) | _values(field.type)
        for field in info.fields
    }
    return st.builds(declaration, **fields)


def _values(declared: ins.Type, *, blank: bool = True) -> st.SearchStrategy[Any]:
    """Values of a declared type; `blank`: a text may be empty."""
    uri = False
    while isinstance(declared, ins.Metadata):
        uri = uri or (declared.extra or {}).get("xsd") == "anyURI"
        declared = declared.type
    match declared:
        case ins.StructType():
            return payloads(declared.cls)
        case ins.VarTupleType(item_type=item, min_length=least):
            return st.lists(_values(item), min_size=least or 0, max_size=3).map(tuple)
        case ins.EnumType():
            return st.sampled_from(list(declared.cls))
        case ins.IntType(ge=least, le=most):
            return st.sampled_from([least, most]) | st.integers(least, most)
        case ins.BoolType():
            return st.booleans()
        case ins.DecimalType():
            return _TENTHS | _WHOLE
        case ins.DateTimeType():
            return _MOMENTS
        case ins.StrType(max_length=limit):
            return _URIS if uri else _texts(limit, blank)
    raise TypeError(f"No values of {declared!r}.")


def _texts(limit: int | None, blank: bool) -> st.SearchStrategy[str]:
    """Texts, now and then one of the greatest length; with a limit no line ends around them, as
    the WSDL's "printable characters" are read."""
    short = st.text(CHARACTERS, max_size=min(limit or 40, 40))
    longest = st.characters(categories=["L"]).map(lambda letter: letter * (limit or 300))
    texts = short | longest
    if limit is not None:
        texts = texts.map(lambda text: text.strip("\t\n"))
    return texts if blank else texts.filter(lambda text: bool(text.strip()))
