"""The form that begins a roll-out."""

from typing import Any

from django import forms
from django.db import models
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
)

from csms.admin import sending
from csms.admin.sending_fields import MomentField
from csms.models import ChargePoint, FirmwareImage, RollOut
from csms.models.roll_outs import Method, Scheme

NUMBERS = (
    "first_wave",
    "wave_size",
    "max_failures",
    "patience",
    "rest",
    "expires_hours",
    "retries",
    "retry_interval",
)
LARGEST = {
    "patience": 60 * 24 * 30,
    "rest": 60 * 24 * 30,
    "expires_hours": 24 * 90,
    "retries": 100,
    "retry_interval": 86_400,
}
"""The most that makes sense; of the others the number of charge points is."""
LEAST = {"first_wave": 1, "wave_size": 1, "expires_hours": 1}
LABELS = {
    "first_wave": "First wave (charge points)",
    "wave_size": "Further waves (charge points)",
    "max_failures": "Failures allowed",
    "patience": "Wait for who is offline (minutes)",
    "rest": "Rest between waves (minutes)",
    "expires_hours": "Give up after (hours)",
}


class RollOutForm(forms.Form):
    """Which image, to whom, how fast; its numbers are columns of RollOut, with their defaults."""

    image = forms.ModelChoiceField(
        FirmwareImage.objects.all(), label="Firmware image", widget=UnfoldAdminSelectWidget
    )
    identities = forms.CharField(
        label="Charge points",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 6, "spellcheck": "false"}),
        help_text="Identities, one a line. Many are chosen in the list of charge points, with its "
        "action “Roll out firmware”.",
    )
    scheme = forms.ChoiceField(
        label="Protocol",
        required=False,
        choices=Scheme.choices,
        widget=UnfoldAdminSelectWidget,
        help_text="Automatic: by SupportedFileTransferProtocols, where a charge point told it.",
    )
    method = forms.ChoiceField(
        label="Operation", required=False, choices=Method.choices, widget=UnfoldAdminSelectWidget
    )
    not_before = MomentField(
        label="Not before (retrieveDate, UTC)",
        required=False,
    )

    def __init__(self, *args: Any, chosen: list[ChargePoint], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.chosen = chosen
        if chosen:
            del self.fields["identities"]
        for name in NUMBERS:
            column = RollOut._meta.get_field(name)
            assert isinstance(column, models.Field)
            self.fields[name] = forms.IntegerField(
                label=LABELS.get(name, str(column.verbose_name)),
                min_value=LEAST.get(name, 0),
                max_value=LARGEST.get(name, sending.MOST),
                initial=column.get_default(),
                widget=UnfoldAdminIntegerFieldWidget,
                help_text=column.help_text,
            )

    def clean_identities(self) -> str:
        """Sets `chosen`."""
        text: str = self.cleaned_data["identities"]
        names = list(dict.fromkeys(filter(None, (line.strip() for line in text.splitlines()))))
        if not names:
            raise forms.ValidationError("Write at least one identity.")
        if len(names) > sending.MOST:
            raise forms.ValidationError(f"At most {sending.MOST:,} at once.")
        found = {row.identity: row for row in ChargePoint.objects.filter(identity__in=names)}
        unknown = [name for name in names if name not in found]
        if unknown:
            raise forms.ValidationError(f"There is no charge point {', '.join(unknown[:5])}.")
        self.chosen = [found[name] for name in names]
        return text

    @property
    def options(self) -> dict[str, Any]:
        """Columns of RollOut, once the form is valid."""
        names = (*NUMBERS, "scheme", "method", "not_before")
        return {name: self.cleaned_data[name] for name in names}
