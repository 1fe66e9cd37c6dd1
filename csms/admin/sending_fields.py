"""The form field of each type that a declaration may have, and its value in the payload."""

import dataclasses
import json
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from msgspec import UNSET, inspect
from unfold.widgets import (
    INPUT_CLASSES,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from csms.ocpp.types import check_moment

LONG_TEXT = 255
"""Characters from which a text gets several lines to write in."""
BROWSER_TIME = "%Y-%m-%dT%H:%M:%S"


class MomentField(forms.DateTimeField):
    """A moment, entered in UTC in the browser's own field."""

    def __init__(self, **options: Any) -> None:
        attrs = {"type": "datetime-local", "step": "1", "class": " ".join(INPUT_CLASSES)}
        super().__init__(
            widget=forms.DateTimeInput(attrs=attrs, format=BROWSER_TIME), help_text="UTC", **options
        )

    def clean(self, value: Any) -> Any:
        moment = super().clean(value)
        if moment is not None:
            try:
                check_moment(moment)
            except ValueError as error:
                raise ValidationError(f"Not a time that can be sent: {error}.") from error
        return moment


class LinesField(forms.CharField):
    """A list of texts, one a line."""

    def __init__(self, **options: Any) -> None:
        widget = UnfoldAdminTextareaWidget(attrs={"rows": 3})
        super().__init__(widget=widget, help_text="One a line", **options)

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in str(value or "").splitlines() if line.strip()]


class JsonField(forms.CharField):
    """A list of objects as JSON; what they hold is judged by the declaration."""

    def __init__(self, **options: Any) -> None:
        widget = UnfoldAdminTextareaWidget(attrs={"rows": 8, "spellcheck": "false"})
        super().__init__(widget=widget, **options)

    def to_python(self, value: Any) -> Any:
        text = str(value or "").strip()
        if not text:
            return []
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValidationError(f"This is no JSON: {error}") from error


class TextField(forms.CharField):
    """A text as it is; browsers end its lines with CR LF."""

    def to_python(self, value: Any) -> Any:
        return (super().to_python(value) or "").replace("\r\n", "\n")


@dataclasses.dataclass
class Leaf:
    """A value with a field of its own."""

    kind: ClassVar[str] = "leaf"
    path: str
    label: str
    field: forms.Field
    empty: Any = UNSET
    """What stands in the payload when nothing was entered."""
    bound: Any = dataclasses.field(default=None, init=False)

    def read(self, cleaned: Any) -> Any:
        """The value as JSON would have it."""
        value = cleaned.get(self.path)
        if value in (None, "", []):
            return self.empty
        if isinstance(value, datetime):
            return value.isoformat()
        return str(value) if isinstance(value, Decimal) else value


def plain_type(kind: inspect.Type) -> inspect.Type:
    """The type without what is said about it."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return kind


def example(info: inspect.StructType) -> dict[str, Any]:
    """An object of this type as somebody might write it, for the help below a field."""
    return {
        item.encode_name: example(item.type) if isinstance(item.type, inspect.StructType) else "…"
        for item in info.fields
        if item.required or isinstance(item.type, inspect.StructType)
    }


def field_of(kind: inspect.Type, label: str, *, required: bool, pick: str) -> forms.Field:
    """The field of a type that is no group of fields; `pick` names the list it may pick from."""
    options: dict[str, Any] = {"label": label, "required": required}
    attrs: dict[str, Any] = {"list": f"pick-{pick}", "autocomplete": "off"} if pick else {}
    is_uri = isinstance(kind, inspect.Metadata) and (kind.extra or {}).get("xsd") == "anyURI"
    match plain_type(kind):
        case inspect.EnumType(cls=values):
            choices = [("", "—"), *((value.value, value.value) for value in values)]
            return forms.ChoiceField(choices=choices, widget=UnfoldAdminSelectWidget, **options)
        case inspect.BoolType():
            return forms.TypedChoiceField(
                choices=[("", "—"), ("true", "true"), ("false", "false")],
                coerce=lambda text: text == "true",
                empty_value=None,
                widget=UnfoldAdminSelectWidget,
                **options,
            )
        case inspect.IntType(ge=least, le=most):
            widget = UnfoldAdminIntegerFieldWidget(attrs=attrs)
            return forms.IntegerField(min_value=least, max_value=most, widget=widget, **options)
        case inspect.DecimalType():
            options["widget"] = UnfoldAdminIntegerFieldWidget
            return forms.DecimalField(max_digits=13, decimal_places=1, **options)
        case inspect.DateTimeType():
            return MomentField(**options)
        case inspect.VarTupleType(item_type=inspect.StructType() as info):
            shown = json.dumps([example(info)], ensure_ascii=False)
            return JsonField(help_text=f"JSON: {shown}", **options)
        case inspect.VarTupleType():
            return LinesField(**options)
        case inspect.StrType(max_length=most):
            return _text(most, attrs, options, lines=not is_uri)
    raise TypeError(f"{label}: there is no form field for {kind}.")


def _text(
    most: int | None, attrs: dict[str, Any], options: dict[str, Any], *, lines: bool
) -> forms.Field:
    help_text = f"At most {most:,} characters" if most else ""
    widget = (
        UnfoldAdminTextareaWidget(attrs=attrs | {"rows": 3})
        if lines and (most is None or most > LONG_TEXT)
        else UnfoldAdminTextInputWidget(attrs=attrs)
    )
    return TextField(max_length=most, widget=widget, help_text=help_text, **options)
