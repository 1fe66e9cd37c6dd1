"""Counting that stays cheap: exact up to 10,000 rows, "more" beyond."""

from functools import cached_property
from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet

LIMIT = 10_000
"""Rows that are counted, and that can be paged through; beyond, filters and search lead on."""


def bounded_count(queryset: "QuerySet[Any]", limit: int = LIMIT) -> int:
    """Number of rows, at most `limit` + 1; the database stops counting there."""
    return queryset.order_by().values("pk")[: limit + 1].count()


def bounded_text(count: int, limit: int = LIMIT) -> str:
    """A bounded count for people: `10,000+` when there are more."""
    return f"{limit:,}+" if count > limit else f"{count:,}"


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Django's paginator, which never counts a million rows."""

    template_name = "csms/pagination.html"

    object_list: "QuerySet[Any]"

    @cached_property
    def _counted(self) -> int:
        return bounded_count(self.object_list)

    @cached_property
    def count(self) -> int:
        """Rows that can be paged through, at most 10,000."""
        return min(self._counted, LIMIT)

    @property
    def has_more(self) -> bool:
        """There are rows beyond those that can be paged through."""
        return self._counted > LIMIT

    @property
    def count_text(self) -> str:
        return bounded_text(self._counted)
