"""The form of a charge point."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldBooleanSwitchWidget

from csms.models.charge_points import SecurityProfile
from csms.services import callbacks, charge_points

WAYS = ("generate_key", "new_password", "remove_password")
"""The fields that say what becomes of the password; one of them."""


class ChargePointForm(forms.ModelForm):  # type: ignore[type-arg]
    """Names and settings of a charge point; its password goes in and never comes out."""

    new_key = ""
    """The key that was asked for, once the form is valid."""

    generate_key = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Make a key of 20 random bytes in place of the password; it is shown once, after "
        "saving, to be entered in the charge point.",
    )
    new_password = forms.CharField(
        required=False,
        strip=False,
        max_length=255,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="For security profiles 1 and 2. Empty: as it is; of a new charge point: a key is "
        "made and shown once. Only a hash is kept.",
    )
    remove_password = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="It cannot connect with a password until it has a new one.",
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
        chosen = [name for name in WAYS if data.get(name)]
        if len(chosen) > 1:
            raise ValidationError("Either make a key, set a new password or remove it.")
        profile = data.get("security_profile")
        if data.get("generate_key"):
            self.new_key = charge_points.key_generated(SecurityProfile.BASIC)
        elif self.instance.pk is None and not chosen and profile is not None:
            self.new_key = charge_points.key_generated(profile)
        return data
