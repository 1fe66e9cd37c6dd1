"""The form of a charging profile; csms/static/csms/profile.js draws its schedule meanwhile."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import (
    INPUT_CLASSES,
    SELECT_CLASSES,
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextInputWidget,
)

from csms.admin.sending_fields import MomentField
from csms.models import ChargingProfileTemplate
from csms.ocpp.types import one_decimal
from csms.services.profile_templates import TemplateInvalid, template_check

COLUMNS = ("start", "limit", "phases")
MORE_ROWS = 2
"""Empty rows below what there is: enough without the script, too."""
MOST_ROWS = 300
"""Periods that a form takes: a browser sends three fields for each, and Django reads a thousand."""
_CLOCK = re.compile(r"(\d{1,6})(?::([0-5]\d)(?::([0-5]\d))?)?")
_PERIOD = re.compile(r"chargingSchedule\.chargingSchedulePeriod\[(\d+)\]")
FIELDS = {
    "chargingProfileId": "charging_profile_id",
    "stackLevel": "stack_level",
    "chargingProfilePurpose": "purpose",
    "chargingProfileKind": "kind",
    "recurrencyKind": "recurrency_kind",
    "validFrom": "valid_from",
    "validTo": "valid_to",
    "chargingSchedule.chargingRateUnit": "charging_rate_unit",
    "chargingSchedule.startSchedule": "start_schedule",
    "chargingSchedule.duration": "duration",
    "chargingSchedule.minChargingRate": "min_charging_rate",
}
"""Path on the wire → field of the form."""
HELP = {
    "name": "For people: no charge point sees it.",
    "purpose": "ChargePointMaxProfile: the whole charge point, its connectors together. "
    "TxDefaultProfile: every transaction. TxProfile: the one transaction that runs when it is "
    "sent; while it says something, TxDefaultProfile does not count.",
    "stack_level": "Of several profiles of one purpose the highest level counts, for as long as it "
    "says something. 0 is the lowest.",
    "kind": "Absolute: once, from startSchedule on. Recurring: again and again, from startSchedule "
    "on. Relative: from the start of each charging.",
    "recurrency_kind": "With Recurring only: every 24 hours, or every 7 days.",
    "charging_rate_unit": "A: of each phase. W: of all phases together.",
    "start_schedule": "UTC. With Recurring needed, with Relative left empty; Absolute without it "
    "begins with the charging.",
    "duration": "Seconds, or hours and minutes as 8:30; afterwards a lower stackLevel counts. "
    "Empty: the last period goes on.",
    "min_charging_rate": "No limit, but a hint for the charge point: with less, the vehicle "
    "charges badly. In the unit of the schedule, with at most one decimal.",
    "periods": "A period holds until the next one starts. startPeriod: seconds, or hours and "
    "minutes as 8:30, after the start of the schedule; the first is 0. limit: at most one decimal; "
    "0 stops the charging. numberPhases: (3) is left out, which means 3. Empty a row to remove it.",
    "valid_from": "UTC. Until then the profile does not count. Empty: at once.",
    "valid_to": "UTC. From then on the profile does not count. Empty: until it is replaced or "
    "cleared.",
    "charging_profile_id": "Empty: each connector gets its own. With one, the profile replaces "
    "whatever has this id on the charge point, on any connector.",
}
PLACEHOLDERS = {"name": "Half power by day", "duration": "8:30", "min_charging_rate": "6.0"}
"""Examples of what is written in a way of its own."""


def clock(seconds: int) -> str:
    """`8:00`, or `8:00:30`."""
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02}" + (f":{rest:02}" if rest else "")


def seconds_of(text: str) -> int:
    """Seconds, from a number of them or from h:mm or h:mm:ss. Raises ValidationError."""
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        raise ValidationError("Write seconds, or hours and minutes as 8:30.")
    if found[2] is None:
        return int(found[1])
    return int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3] or 0)


class SecondsField(forms.CharField):
    """A length of time, entered as seconds or as h:mm."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}), **options
        )

    def prepare_value(self, value: Any) -> Any:
        return clock(value) if isinstance(value, int) else value

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        return seconds_of(text) if text else None


KEPT = (
    '<p class="cs-note cs-info">{} periods: more than this form takes. They stay as they are; '
    "the REST API changes them.</p>"
)


class PeriodsWidget(forms.Widget):
    """Rows of startPeriod, limit and numberPhases, and the place of the drawing."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[tuple[str, ...]]:
        read = getattr(data, "getlist", data.get)
        columns = [read(f"{name}_{column}") or [] for column in COLUMNS]
        rows = [tuple(text.strip() for text in row) for row in zip(*columns, strict=False)]
        return [row for row in rows if row[0] or row[1]]

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return f"{name}_{COLUMNS[0]}" not in data

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        rows = [self._texts(row) for row in value or []]
        if len(rows) > MOST_ROWS:
            return format_html(KEPT, len(rows))
        context = {
            "name": name,
            "rows": [*rows, *[("", "", "")] * MORE_ROWS],
            "input_class": " ".join(INPUT_CLASSES),
            "select_class": " ".join(SELECT_CLASSES),
        }
        return render_to_string("csms/profile_periods.html", context)

    def _texts(self, row: Mapping[str, Any] | Sequence[str]) -> Sequence[str]:
        if isinstance(row, Mapping):
            phases = row.get("numberPhases", "")
            return clock(row["startPeriod"]), row["limit"], str(phases)
        return row


class PeriodsField(forms.Field):
    """The periods of a schedule, as a template keeps them."""

    widget = PeriodsWidget
    default_error_messages = {"required": "A schedule has at least one period."}

    def clean(self, value: Any) -> list[dict[str, Any]]:
        rows = super().clean(value)
        if self.disabled:
            return list(rows)
        if len(rows) > MOST_ROWS:
            raise ValidationError(f"At most {MOST_ROWS} periods; the REST API takes more.")
        problems, periods = [], []
        for number, row in enumerate(rows, 1):
            try:
                periods.append(self._period(row))
            except ValidationError as error:
                problems.append(f"Period {number}: {error.messages[0]}")
        if problems:
            raise ValidationError(problems)
        return periods

    def _period(self, row: Sequence[str]) -> dict[str, Any]:
        start, limit, phases = row
        if not start or not limit:
            raise ValidationError("it needs both a start and a limit.")
        period: dict[str, Any] = {"startPeriod": seconds_of(start)}
        try:
            period["limit"] = str(one_decimal(Decimal(limit)).quantize(Decimal("0.1")))
        except (InvalidOperation, ValueError):
            raise ValidationError("a limit is a number with at most one decimal.") from None
        if phases:
            if phases not in ("1", "2", "3"):
                raise ValidationError("there are 1, 2 or 3 phases.")
            period["numberPhases"] = int(phases)
        return period

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.clean(data) != initial)
        except ValidationError:
            return True


class ChargingProfileForm(forms.ModelForm):  # type: ignore[type-arg]
    """A charging profile, checked by its declaration and by what charge points can make of it."""

    valid_from = MomentField(label="validFrom", required=False)
    valid_to = MomentField(label="validTo", required=False)
    start_schedule = MomentField(label="startSchedule", required=False)
    duration = SecondsField(label="duration", required=False)
    stack_level = forms.IntegerField(
        label="stackLevel", min_value=0, initial=0, widget=UnfoldAdminIntegerFieldWidget
    )
    min_charging_rate = forms.DecimalField(
        label="minChargingRate",
        required=False,
        min_value=0,
        max_digits=13,
        decimal_places=1,
        widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "0.1"}),
    )
    periods = PeriodsField(label="chargingSchedulePeriod")

    class Meta:
        model = ChargingProfileTemplate
        fields = (
            "name",
            "purpose",
            "stack_level",
            "kind",
            "recurrency_kind",
            "charging_rate_unit",
            "start_schedule",
            "duration",
            "min_charging_rate",
            "periods",
            "valid_from",
            "valid_to",
            "charging_profile_id",
        )
        labels = {field: path.rpartition(".")[2] for path, field in FIELDS.items()}

    class Media:
        css = {"all": ("csms/commands.css", "csms/profiles.css")}
        js = ("csms/profile.js",)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, field in self.fields.items():  # none of them for who may only look
            field.help_text = HELP[name]
            if name in PLACEHOLDERS:
                field.widget.attrs["placeholder"] = PLACEHOLDERS[name]
        if "periods" in self.fields:
            self.fields["periods"].disabled = len(self.instance.periods or ()) > MOST_ROWS

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return data
        try:
            template_check(ChargingProfileTemplate(**data))
        except TemplateInvalid as invalid:
            for problem in invalid.problems:
                found = _PERIOD.match(problem.path)
                text = f"Period {int(found[1]) + 1}: {problem.text}" if found else problem.text
                self.add_error(FIELDS.get(problem.path, "periods" if found else None), text)
        return data
