"""The form of a webhook."""

from django import forms
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldBooleanSwitchWidget

from csms.models import WebhookSubscription
from csms.models.webhooks import WebhookKind
from csms.services.webhooks import WebhookInvalid, url_check


def is_of_none(row: WebhookSubscription) -> bool:
    """Whether the charge points that were chosen are all deleted."""
    return row.chosen_only and not row.charge_points.exists()


class WebhookForm(forms.ModelForm):  # type: ignore[type-arg]
    """A subscription; its secret is made here, and shown once."""

    kinds = forms.MultipleChoiceField(
        label="Events",
        choices=WebhookKind.choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="Choose what is told.",
    )
    new_secret = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Switch it on to get a new secret in place of the old one; it is shown once, "
        "after saving.",
    )
    of_all = forms.BooleanField(
        label="Of all charge points",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="The charge points that were chosen are deleted, so it is told of none: choose "
        "others, or switch this on to be told of all.",
    )

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"].strip()
        try:
            url_check(url)
        except WebhookInvalid as invalid:
            raise forms.ValidationError(str(invalid)) from None
        return url
