"""Rows of a model by their keys, for the batches of the inbox.

They ask for rows of the same few kinds over and over. Composing such a query with the ORM and
converting each column took about half of the time of loading; here each model's SELECT
is composed once, and times are converted by one `replace`.
"""

import json
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple, TypeVar

from django.db import connection, models

M = TypeVar("M", bound=models.Model)


class _Plan(NamedTuple):
    select: str
    names: tuple[str, ...]
    converters: tuple[tuple[int, Callable[[Any], Any]], ...]


def among(column: str) -> str:
    """The condition that a column has one of the keys that `read` is given in its place."""
    if connection.vendor == "postgresql":
        return f"{column} = ANY(%s)"
    return f"{column} IN (SELECT value FROM json_each(%s))"  # noqa: S608  names of ours


def read(
    model: type[M], where: str, *keys: Collection[int] | Collection[str], tail: str = ""
) -> list[M]:
    """The rows that meet a condition of SQL, with one collection of keys for each `among`."""
    plan = _plan(model, connection.vendor)
    lists = [list(each) for each in keys]
    values = lists if connection.vendor == "postgresql" else [json.dumps(each) for each in lists]
    with connection.cursor() as cursor:
        cursor.execute(f"{plan.select} WHERE {where} {tail}", values)
        found = cursor.fetchall()
    rows = []
    for row in found:
        columns = list(row)
        for index, convert in plan.converters:
            columns[index] = convert(columns[index])
        rows.append(model.from_db(connection.alias, plan.names, columns))
    return rows


@cache
def _plan(model: type[models.Model], vendor: str) -> _Plan:
    table = connection.ops.quote_name(model._meta.db_table)
    fields = model._meta.concrete_fields
    columns = ", ".join(connection.ops.quote_name(str(field.column)) for field in fields)
    converters = ((index, _converter(field, vendor)) for index, field in enumerate(fields))
    return _Plan(
        f"SELECT {columns} FROM {table}",  # noqa: S608  names of ours
        tuple(field.attname for field in fields),
        tuple((index, convert) for index, convert in converters if convert is not None),
    )


def _converter(field: "models.Field[Any, Any]", vendor: str) -> Callable[[Any], Any] | None:
    """What makes of a column's value what Django's own loading makes of it; None: nothing."""
    if vendor == "sqlite" and isinstance(field, models.DateTimeField):
        return _aware
    column = field.get_col(field.model._meta.db_table)
    steps = connection.ops.get_db_converters(column) + column.get_db_converters(connection)
    if not steps or (vendor == "sqlite" and isinstance(field, models.BooleanField)):
        return None  # the driver has made a bool of it

    def convert(value: Any) -> Any:
        for step in steps:
            value = step(value, column, connection)
        return value

    return convert


def _aware(moment: datetime | None) -> datetime | None:
    """SQLite keeps times in UTC and without their zone."""
    return None if moment is None else moment.replace(tzinfo=UTC)
