"""The form of a charge point."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldBooleanSwitchWidget

from csms.services import callbacks, charge_points


class ChargePointForm(forms.ModelForm):  # type: ignore[type-arg]
    """Names and settings of a charge point; its password goes in and never comes out."""

    new_password = forms.CharField(
        required=False,
        strip=False,
        max_length=255,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="HTTP Basic password of the charge point; empty: as it is. Its hash is kept.",
    )
    remove_password = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Ask this charge point for no password any more.",
    )

    def clean_identity(self) -> str:
        identity: str = self.cleaned_data["identity"]
        problem = charge_points.identity_problem(identity)
        if problem:
            raise ValidationError(problem)
        return identity

    def clean_time_zone(self) -> str:
        name: str = self.cleaned_data["time_zone"]
        try:
            charge_points.time_zone_check(name)
        except charge_points.ChargePointInvalid as error:
            raise ValidationError(str(error)) from error
        return name

    def clean_callback_url(self) -> str:
        url: str = self.cleaned_data["callback_url"]
        if url and url != self.instance.callback_url:
            try:
                callbacks.parse(url)
            except callbacks.CallbackRefused as error:
                raise ValidationError(str(error)) from error
        return url

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("new_password") and data.get("remove_password"):
            raise ValidationError("Either set a new password or remove it.")
        return data
