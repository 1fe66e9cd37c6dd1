"""Lists: filters over indexed columns, and pages by key.

A page begins behind the last row of the one before (its key is the cursor), so that the thousandth
page costs as much as the first, and rows that come in between are neither skipped nor repeated.
Nothing is counted.
"""

import base64
import binascii
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Generic, TypeVar

from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from ninja import Schema
from ninja.types import DictStrAny
from pydantic import Field

from csms.api.errors import Refusal

M = TypeVar("M", bound=Model)
T = TypeVar("T")

LARGEST = 500


class Page(Schema, Generic[T]):
    items: list[T]
    next: str | None = Field(description="Cursor of the next page; null: this is the last one.")


class Listing(Schema):
    """What every list takes."""

    limit: int = Field(100, ge=1, le=LARGEST, description="Rows of a page.")
    cursor: str | None = Field(None, description="`next` of the page before.")

    def given(self) -> DictStrAny:
        """The filters that were given, without `limit` and `cursor`."""
        return self.model_dump(exclude_none=True, exclude={"limit", "cursor"})


def page_of(
    request: HttpRequest,
    rows: "QuerySet[M]",
    listing: Listing,
    *,
    time: str = "",
    newest_first: bool = False,
) -> DictStrAny:
    """One page of `rows`, as Page takes it: by primary key, or by a `time` column and then it."""
    _only_known(request, listing)
    sign = "-" if newest_first else ""
    rows = rows.order_by(*(f"{sign}{name}" for name in (time, "pk") if name))
    if listing.cursor is not None:
        rows = rows.filter(_behind(listing.cursor, time, "lt" if newest_first else "gt"))
    found = list(rows[: listing.limit + 1])
    more = len(found) > listing.limit
    del found[listing.limit :]
    return {"items": found, "next": _cursor(found[-1], time) if more else None}


def _only_known(request: HttpRequest, listing: Listing) -> None:
    """A misspelt filter would give the whole list."""
    known = {field.alias or name for name, field in type(listing).model_fields.items()}
    for name in request.GET:
        if name not in known:
            raise Refusal(422, f"There is no filter {name}: there are {', '.join(known)}.", name)


def _cursor(row: Model, time: str) -> str:
    at = getattr(row, time).astimezone(UTC).isoformat() if time else ""
    return base64.urlsafe_b64encode(f"{at}/{row.pk}".encode()).decode().rstrip("=")


def _behind(cursor: str, time: str, way: str) -> Q:
    """The condition of being behind a cursor; `way` is lt or gt."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        at, _, pk = text.partition("/")
        number = int(pk)
        moment = datetime.fromisoformat(at) if time else None
        if bool(at) != bool(time) or not 0 < number < 2**63:
            raise ValueError
    except (ValueError, binascii.Error):
        raise Refusal(422, "This is no cursor of this list.", "cursor") from None
    if moment is None:
        return Q(**{f"pk__{way}": number})
    same = Q(**{time: moment, f"pk__{way}": number})
    return Q(**{f"{time}__{way}e": moment}) & (Q(**{f"{time}__{way}": moment}) | same)


def found_or_404(find: Callable[[], M], message: str, kind: type[M]) -> M:
    """What `find` gets, or 404 with the sentence."""
    try:
        return find()
    except kind.DoesNotExist:  # type: ignore[attr-defined]
        raise Refusal(404, message) from None
