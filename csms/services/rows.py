"""Rows of a model read and written for the batches of the inbox.

They concern rows of the same few kinds over and over. Composing such a statement with the ORM and
converting each column took about half of the time of loading and a quarter of the inbox's time
with transactions; here each model's statements are composed once, and a value that is as the
driver wants it is left as it is.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from enum import Enum
from functools import cache, lru_cache, partial
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

import msgspec
from django.db import connection, models
from django.db.models.base import ModelState

M = TypeVar("M", bound=models.Model)

_json = msgspec.json.Encoder()


class _Plan(NamedTuple):
    columns: str
    """Of a table named `old`."""
    names: tuple[str, ...]
    converters: tuple[tuple[int, Callable[[Any], Any]], ...]


def among(column: str, kind: str = "bigint") -> str:
    """The condition that a column has one of the keys that `read` is given in its place.

    An array, not a join, on PostgreSQL: that is always read by the column's index.
    """
    if connection.vendor == "postgresql":
        return f"{column} = ANY(ARRAY(SELECT jsonb_array_elements_text(%s::jsonb)::{kind}))"
    return f"{column} IN (SELECT value FROM json_each(%s))"  # noqa: S608  names of ours


def fetch(query: str, *keys: Collection[int] | Collection[str]) -> list[tuple[Any, ...]]:
    """What a query finds, with one collection of keys for each `among`."""
    with connection.cursor() as cursor:
        cursor.execute(query, _texts(keys))
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def _texts(keys: Iterable[Collection[int] | Collection[str]]) -> list[str]:
    return [_json.encode(list(each)).decode() for each in keys]


class Part(NamedTuple):
    """A SELECT of all columns of a model, and its parameters."""

    query: str
    values: list[Any]


def read(
    model: type[M], where: str, *keys: Collection[int] | Collection[str], tail: str = ""
) -> list[M]:
    """The rows that meet a condition of SQL, with one collection of keys for each `among`."""
    return read_all(model, [part(model, where, *keys, tail=tail)])


def read_all(model: type[M], parts: Sequence[Part]) -> list[M]:
    """The rows of all these, in one round trip; one that meets several comes as often."""
    if not parts:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            " UNION ALL ".join(part.query for part in parts),
            [value for part in parts for value in part.values],
        )
        return _rows(model, cursor.fetchall())


def part(
    model: type[models.Model],
    where: str,
    *keys: Collection[int] | Collection[str],
    tail: str = "",
) -> Part:
    """What `read` asks."""
    columns = _plan(model, connection.vendor).columns
    query = f"SELECT {columns} FROM {_table(model)} AS old WHERE {where} {tail}"  # noqa: S608
    return Part(query, _texts(keys))


def parts_like(
    model: type[models.Model], columns: tuple[str, ...], keys: Sequence[tuple[int | str, ...]]
) -> list[Part]:
    """The rows whose columns have the values of one of the keys, as an index of them finds them."""
    same = " AND ".join(f"old.{name} = new.column{i}" for i, name in enumerate(columns, 1))
    wanted = _plan(model, connection.vendor).columns
    # Joined in this order: for IN of each column, SQLite would look for all their combinations.
    query = f"SELECT {wanted} FROM (%s) AS new CROSS JOIN {_table(model)} AS old WHERE {same}"  # noqa: S608
    with connection.cursor() as cursor:
        return [
            Part(query % source, values)
            for source, values in sources(cursor, kinds(model, columns), keys)
        ]


def _rows(model: type[M], found: Sequence[tuple[Any, ...]]) -> list[M]:
    plan = _plan(model, connection.vendor)
    rows = []
    for row in found:
        columns = list(row)
        for index, convert in plan.converters:
            columns[index] = convert(columns[index])
        rows.append(_made(model, dict(zip(plan.names, columns, strict=True))))
    return rows


def _made(model: type[M], columns: dict[str, Any]) -> M:
    """A row as it was read. What Django's constructor does more (signals, defaults, a descriptor
    for each column) takes 15 µs; there is nothing of that in our models."""
    row = model.__new__(model)
    row._state = ModelState()
    row._state.adding, row._state.db = False, connection.alias
    row.__dict__.update(columns)
    return row


_VERSION = "_version"


def version_of(row: models.Model) -> str | None:
    """PostgreSQL: the transaction that wrote a row which was `read` here."""
    version: str | None = row.__dict__.get(_VERSION)
    return version


def versioned(row: models.Model, version: str) -> None:
    """Note which transaction wrote a row."""
    row.__dict__[_VERSION] = version


@cache
def _plan(model: type[models.Model], vendor: str) -> _Plan:
    fields = model._meta.concrete_fields
    columns = ", ".join(f"old.{connection.ops.quote_name(str(f.column))}" for f in fields)
    if vendor == "postgresql":
        columns += ", old.xmin::text"
    converters = ((index, _converter(field, vendor)) for index, field in enumerate(fields))
    return _Plan(
        columns,
        (*(field.attname for field in fields), *((_VERSION,) if vendor == "postgresql" else ())),
        tuple((index, convert) for index, convert in converters if convert is not None),
    )


def _table(model: type[models.Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)


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


def new(model: type[M], **columns: Any) -> M:
    """A row to be inserted, by the names of its columns; the others have their default. As
    Django's constructor makes it, which takes 15 µs for a transaction."""
    row = model.__new__(model)
    row._state = ModelState()
    plain, made = _defaults(model)
    row.__dict__.update(plain)
    for name, default in made:
        if name not in columns:
            row.__dict__[name] = default()
    row.__dict__.update(columns)
    return row


@cache
def _defaults(
    model: type[models.Model],
) -> tuple[dict[str, Any], tuple[tuple[str, Callable[[], Any]], ...]]:
    """The defaults of columns: values that may be shared, and what makes the others."""
    plain, made = {}, []
    for field in model._meta.concrete_fields:
        assert not field.has_db_default()
        value = field.get_default()
        if isinstance(value, Enum):  # as it is when it is read
            value = value.value
        if type(value) in _PLAIN:
            plain[field.attname] = value
        else:
            made.append((field.attname, field.get_default))
    return plain, tuple(made)


class _Insertion(NamedTuple):
    insert: str
    types: tuple[str, ...]
    prepare: "_Columns"


def insert(model: type[M], rows: Sequence[M]) -> None:
    """Insert new rows, in as few statements as may be, and give them their keys."""
    plan = _insertion(model, connection.vendor)
    values = [plan.prepare(row) for row in rows]
    keys: list[int] = []
    with connection.cursor() as cursor:
        for source, some in sources(cursor, plan.types, values):
            cursor.execute(f"{plan.insert} {source} RETURNING id", some)
            keys += [key for (key,) in cursor.fetchall()]
    for row, key in zip(rows, keys, strict=True):
        row.pk = key
        row._state.adding, row._state.db = False, connection.alias


@cache
def _insertion(model: type[models.Model], vendor: str) -> _Insertion:
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    columns = ", ".join(connection.ops.quote_name(str(field.column)) for field in fields)
    return _Insertion(
        f"INSERT INTO {_table(model)} ({columns})",
        tuple(kind_of(field) for field in fields),
        _Columns(fields),
    )


class _Columns:
    """Makes of a new row the values of these columns as the database's driver takes them.

    Nearly all are plain and left alone: asking each one took half of the time of an insertion.
    """

    def __init__(self, fields: "Sequence[models.Field[Any, Any]]") -> None:
        assert not any(field.has_db_default() for field in fields)
        self._all = itemgetter(*[field.attname for field in fields])
        self._fields = [(field, preparation(field)) for field in fields]
        simple = [_kept_plainly(field) for field in fields]
        self._special = [
            (index, *self._fields[index]) for index, plain in enumerate(simple) if not plain
        ]
        self._simple = itemgetter(
            *[field.attname for field, plain in zip(fields, simple, strict=True) if plain]
        )

    def __call__(self, row: models.Model) -> list[Any]:
        known = row.__dict__
        if not _PLAIN.issuperset(map(type, self._simple(known))):
            return [prepare(field.pre_save(row, add=True)) for field, prepare in self._fields]
        values = list(self._all(known))
        for index, field, prepare in self._special:
            values[index] = prepare(field.pre_save(row, add=True))
        return values


def sources(
    cursor: Any, types: Sequence[str], rows: Sequence[Sequence[Any]]
) -> Iterator[tuple[str, list[Any]]]:
    """Rows as what can be inserted or joined: SQL, whose columns are named column1, column2 …, and
    its parameters. `types` are PostgreSQL's.

    There all rows are one parameter of JSON: 6 µs a row of twelve columns, and of the server's
    time 33; by COPY into a table aside 13 and 45, in four round trips; as VALUES 28 and 42.

    On SQLite they are the VALUES of one statement, of more if it must be: each step of a statement
    gives up the GIL, which a busy event loop is slow to give back. `executemany` does so for each
    row (a flush took 381 µs a message over SOAP, then 165).
    """
    if _on_postgresql():
        yield _from_json(tuple(types)), [_json.encode(rows).decode()]
        return
    marks = f"({', '.join(['%s'] * len(types))})"
    step = cursor.connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) // len(types)
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        values = [value for row in some for value in row]
        yield f"VALUES {', '.join([marks] * len(some))}", values


@cache
def _from_json(types: tuple[str, ...]) -> str:
    columns = (
        f"(value->>{index})::{kind} AS column{index + 1}"
        if kind != "jsonb"
        else f"nullif(value->{index}, 'null') AS column{index + 1}"
        for index, kind in enumerate(types)
    )
    return f"SELECT {', '.join(columns)} FROM jsonb_array_elements(%s::jsonb)"  # noqa: S608


@cache
def kinds(model: type[models.Model], columns: tuple[str, ...]) -> tuple[str, ...]:
    """The types of these columns in PostgreSQL."""
    fields = {str(field.column): field for field in model._meta.concrete_fields}
    return tuple(kind_of(fields[column]) for column in columns)


def kind_of(field: "models.Field[Any, Any]") -> str:
    """The type of a field's column, without its length: what is too long is refused, not cut."""
    return (field.db_type(connection) or "").partition("(")[0]


_PLAIN = frozenset({str, int, float, bool, type(None)})
_PLAINLY_KEPT = (
    models.BooleanField,
    models.CharField,
    models.FloatField,
    models.IntegerField,
    models.TextField,
)


def preparation(field: "models.Field[Any, Any]") -> Callable[[Any], Any]:
    """What makes a value of a field one of the database's driver."""
    if isinstance(field, models.DateTimeField):  # Django's own takes 5 µs
        return lambda moment: None if moment is None else stored(moment)
    if isinstance(field, models.JSONField) and _on_postgresql():
        return lambda value: value
    prepare = partial(field.get_db_prep_save, connection=connection)
    if _kept_plainly(field):
        return lambda value: value if type(value) in _PLAIN else prepare(value)
    return prepare


def _kept_plainly(field: "models.Field[Any, Any]") -> bool:
    kind = field.target_field if isinstance(field, models.ForeignKey) else field
    return isinstance(kind, _PLAINLY_KEPT)


def stored(moment: datetime) -> Any:
    """A moment as the database's driver takes it (SQLite keeps UTC text, as Django writes it)."""
    return moment if _on_postgresql() else _text_of(moment)


@lru_cache(4096)  # the time of receipt stands in several rows of a message
def _text_of(moment: datetime) -> str:
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(" ")[:-6]  # without +00:00


def encoded(value: str) -> Any:
    """JSON that is text already, as the database's driver takes it."""
    return msgspec.Raw(value.encode()) if _on_postgresql() else value


@cache
def _on_postgresql() -> bool:
    """Asked for each row; Django's connection is looked up anew each time."""
    return connection.vendor == "postgresql"


def _aware(moment: datetime | None) -> datetime | None:
    """SQLite keeps times in UTC and without their zone."""
    return None if moment is None else moment.replace(tzinfo=UTC)
