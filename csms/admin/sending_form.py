"""The form of an operation, derived from its declaration: nothing here knows a single operation.

A field is named by its place in the payload, as `chargingProfile.chargingSchedule.duration` or
`…chargingSchedulePeriod[0].limit`: the same text by which the declaration's errors name it. What
has no value is left out of the payload; an optional group is there as soon as one of its fields is.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec
from django import forms
from django.utils.html import escape
from msgspec import UNSET, inspect
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from csms.admin.sending_fields import Leaf, field_of, plain_type
from csms.ocpp.base import Request, action, validated
from csms.ocpp.errors import ProtocolError
from csms.ocpp.explain import explain
from csms.ocpp.hostile import below
from csms.services.commands import EXPIRES_IN

MOST_ROWS = 100
SAID = 6
"""Values to pick that are said below their field."""
LONGEST_WAIT = 30 * 24 * 60
"""Minutes for which a command may wait."""
MAY_BE_EMPTY = frozenset({("ChangeConfiguration", "value")})
"""Texts that mean something when they are empty."""
_LAST_STEP = re.compile(r"(?:^|\.)[^.\[]*$|\[\d+\]$")


@dataclass
class Group:
    """A nested object: its fields below one title."""

    kind: ClassVar[str] = "group"
    path: str
    label: str
    help: str
    required: bool
    parts: "list[Part]"

    def leaves(self) -> Iterator[Leaf]:
        for part in self.parts:
            if isinstance(part, Leaf):
                yield part
            else:
                yield from part.leaves()

    @property
    def is_open(self) -> bool:
        """Whether to show it unfolded: it is required, or something stands in it."""
        return self.required or any(
            leaf.bound.errors or leaf.bound.value() not in (None, "", []) for leaf in self.leaves()
        )

    def read(self, cleaned: Mapping[str, Any]) -> Any:
        """Its payload, without what is empty; UNSET when it is optional and all is."""
        values = {part.label: part.read(cleaned) for part in self.parts}
        present = {name: value for name, value in values.items() if value is not UNSET}
        return present if present or self.required else UNSET


@dataclass
class Rows:
    """A list of flat objects, one for each row; empty rows do not count."""

    kind: ClassVar[str] = "rows"
    path: str
    label: str
    help: str
    required: bool
    rows: list[Group]
    kept: list[int] = field(default_factory=list)
    """For each object of the payload, the row that it came from."""

    def leaves(self) -> Iterator[Leaf]:
        for row in self.rows:
            yield from row.leaves()

    def read(self, cleaned: Mapping[str, Any]) -> Any:
        values = [(i, row.read(cleaned)) for i, row in enumerate(self.rows)]
        self.kept = [i for i, value in values if value is not UNSET]
        present = [value for _, value in values if value is not UNSET]
        return present if present or self.required else UNSET

    def shown(self, path: str) -> str:
        """A path of the payload, with the row's number in the place of the object's."""
        found = re.match(rf"{re.escape(self.path)}\[(\d+)\]", path)
        if found is None:
            return path
        return f"{self.path}[{self.kept[int(found[1])]}]{path[found.end() :]}"


Part = Leaf | Group | Rows


def described(declaration: type) -> str:
    """A declaration's docstring in one line, with the names of the wire."""
    text = " ".join((declaration.__doc__ or "").split())
    fields = msgspec.structs.fields(declaration)
    names = {field.name: field.encode_name for field in fields}
    return re.sub(r"`([^`]*)`", lambda found: names.get(found[1]) or str(found[1]), text)


def _is_flat(info: inspect.StructType) -> bool:
    nested = (inspect.StructType, inspect.VarTupleType)
    return not any(isinstance(plain_type(item.type), nested) for item in info.fields)


@dataclass
class _Builder:
    """Walks over a declaration."""

    operation: str
    filled: Iterable[str]
    """The names that were submitted: they tell how many rows there are."""
    added: str
    """The list that gets one row more."""
    choices: Mapping[str, Sequence[tuple[Any, str]]]

    def parts(self, info: inspect.StructType, path: str, *, required: bool) -> list[Part]:
        return [self._part(item, below(path, item.encode_name), required) for item in info.fields]

    def _part(self, item: inspect.Field, path: str, inside: bool) -> Part:
        label, kind = item.encode_name, item.type
        required = inside and item.required
        if isinstance(kind, inspect.StructType):
            parts = self.parts(kind, path, required=required)
            return Group(path, label, described(kind.cls), required, parts)
        if isinstance(kind, inspect.VarTupleType) and isinstance(
            kind.item_type, inspect.StructType
        ):
            info = kind.item_type
            if _is_flat(info):
                return self._rows(info, path, label, required)
        may_be_empty = (self.operation, path) in MAY_BE_EMPTY
        pick = label if self.choices.get(label) else ""
        made = field_of(kind, label, required=required and not may_be_empty, pick=pick)
        return Leaf(path, label, made, empty="" if may_be_empty else UNSET)

    def _rows(self, info: inspect.StructType, path: str, label: str, required: bool) -> Rows:
        found = [re.match(rf"{re.escape(path)}\[(\d{{1,3}})\]", name) for name in self.filled]
        count = max((int(place[1]) + 1 for place in found if place), default=1)
        count = min(count + (self.added == path), MOST_ROWS)
        rows = []
        for number in range(count):
            place = f"{path}[{number}]"
            parts = self.parts(info, place, required=False)
            rows.append(Group(place, str(number), "", False, parts))
        return Rows(path, label, described(info.cls), required, rows)


class SendingForm(forms.Form):
    """What to send, and how long it may wait. Valid: `request` holds the checked request.

    `choices` and `suggested` hold, by the wire name of a field, what can be picked (value, label)
    and what stands there at first. With `added`, the path of a list, what was entered comes back
    unchecked and that list has one row more; with `unchecked` it only comes back.
    """

    expires_minutes = forms.IntegerField(
        label="Wait at most (minutes)",
        min_value=1,
        max_value=LONGEST_WAIT,
        initial=EXPIRES_IN // 60,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="What a charge point could not be sent by then expires.",
    )

    def __init__(
        self,
        declaration: type[Request[Any]],
        entered: Mapping[str, Any] | None = None,
        *,
        added: str = "",
        unchecked: bool = False,
        choices: Mapping[str, Sequence[tuple[Any, str]]] | None = None,
        suggested: Mapping[str, Any] | None = None,
    ) -> None:
        unchecked = unchecked or bool(added)
        super().__init__(
            None if unchecked else entered,
            initial=dict((entered or {}).items()) if unchecked else None,
        )
        self.declaration = declaration
        self.request: Request[Any] | None = None
        self.choices = choices or {}
        builder = _Builder(action(declaration), list(entered or ()), added, self.choices)
        info = inspect.type_info(declaration)
        assert isinstance(info, inspect.StructType)
        parts = builder.parts(info, "", required=True)
        self.root = Group("", "", described(declaration), True, parts)
        for leaf in self.root.leaves():
            if leaf.field.required:
                leaf.field.initial = (suggested or {}).get(leaf.label)
            self.fields[leaf.path] = leaf.field
            self._say_picks(leaf)
            leaf.bound = self[leaf.path]

    def _say_picks(self, leaf: Leaf) -> None:
        """A few things to pick are also said in words: not every browser shows datalists."""
        options = self.choices.get(leaf.label, ())
        if 0 < len(options) <= SAID:
            known = "; ".join(f"{value} {label}".strip() for value, label in options)
            words = filter(None, (str(leaf.field.help_text), f"Known: {known}"))
            leaf.field.help_text = escape(". ".join(words))  # the theme takes it for HTML

    @property
    def picks(self) -> list[tuple[str, Sequence[tuple[Any, str]]]]:
        """What can be picked, for the datalists."""
        names = {leaf.label for leaf in self.root.leaves()}
        return [(name, options) for name, options in self.choices.items() if name in names]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = self.cleaned_data
        if self.errors:
            return cleaned
        payload = self.root.read(cleaned)
        try:
            self.request = validated(msgspec.convert(payload, self.declaration))
        except (msgspec.ValidationError, ProtocolError, UnicodeError, RecursionError) as error:
            problem = explain(error)
            self.refuse(problem.path, problem.description)
        return cleaned

    def refuse(self, path: str, why: str) -> None:
        """Say what is wrong at a place of the payload: at its field, or the one that holds it."""
        for part in self._lists(self.root):
            path = part.shown(path)
        while path and path not in self.fields:
            path = _LAST_STEP.sub("", path)
        self.add_error(path or None, why)

    def _lists(self, group: Group) -> Iterator[Rows]:
        for part in group.parts:
            if isinstance(part, Rows):
                yield part
            elif isinstance(part, Group):
                yield from self._lists(part)
