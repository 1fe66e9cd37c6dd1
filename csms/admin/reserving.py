"""The form that reserves a connector of a charge point."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from csms.admin import sending, show
from csms.admin.base import plain_term
from csms.admin.online import is_online
from csms.admin.sending_fields import MomentField
from csms.models import ChargePoint, Reservation
from csms.ocpp.reservation import ReserveNow
from csms.services.commands import (
    CommandRefused,
    PayloadRefused,
    callback_problem,
    operation_obstacle,
)
from csms.services.reservations import reservable_connectors, reservation_create

OPERATION = "ReserveNow"
NAME = "csms_reservation_reserve"
FIELDS = {"connectorId": "connector_id", "idTag": "id_tag", "expiryDate": "expiry_date"}
"""Path on the wire → field of the form."""


class ChooseForm(forms.Form):
    """Of which charge point; `charge_point` holds it."""

    charger = forms.CharField(
        label="Charge point",
        max_length=255,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="Its identity, exactly. Its own page has the button “Reserve” as well.",
    )
    charge_point: ChargePoint | None = None

    def clean_charger(self) -> str:
        identity = plain_term(self.cleaned_data["charger"])
        self.charge_point = ChargePoint.objects.filter(identity=identity).first()
        if self.charge_point is None:
            raise forms.ValidationError(f"There is no charge point {show.visible(identity)}.")
        return identity


class ReserveForm(forms.Form):
    """Which connector, for whom, until when."""

    connector_id = forms.TypedChoiceField(
        label="connectorId",
        coerce=int,
        widget=UnfoldAdminSelectWidget,
        help_text="As last reported.",
    )
    id_tag = forms.CharField(
        label="idTag",
        max_length=20,
        widget=UnfoldAdminTextInputWidget(attrs={"list": "pick-idTag", "autocomplete": "off"}),
    )
    expiry_date = MomentField(label="Until")
    whole_group = forms.BooleanField(
        label="For the whole group",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Of an idTag with a parentIdTag, all with the same one may use it.",
    )

    def __init__(self, *args: Any, charge_point: ChargePoint, **options: Any) -> None:
        super().__init__(*args, **options)
        connectors = reservable_connectors(charge_point)
        self.fields["connector_id"].choices = [  # type: ignore[attr-defined]
            (number, f"{number} {status}".strip()) for number, status in connectors
        ]
        named = [number for number, _ in connectors if number]
        self.initial.setdefault("connector_id", named[0])

    def clean_id_tag(self) -> str:
        return plain_term(self.cleaned_data["id_tag"])


def may_reserve(request: HttpRequest) -> bool:
    """Whether the account may send what reserves."""
    return sending.may_send(request, OPERATION)


def reserve_url(identity: str = "") -> str:
    """The page that reserves, of this charge point."""
    return reverse(f"admin:{NAME}", query={"charger": identity} if identity else None)


def page(request: HttpRequest) -> HttpResponse:
    """Name the charge point, then say which connector, for whom and until when."""
    user = request.user
    if not (may_reserve(request) and user.has_perm("csms.view_chargepoint")):
        raise PermissionDenied
    entered = request.POST if request.method == "POST" else request.GET
    choice = ChooseForm(entered if "charger" in entered else None)
    charge_point = choice.charge_point if choice.is_valid() else None
    context = {
        **admin.site.each_context(request),
        "title": "Reserve a connector",
        "reserve_url": reverse(f"admin:{NAME}"),
    }
    if charge_point is None:
        context["form"] = choice
        return TemplateResponse(request, "csms/reserve_choose.html", context)
    until = timezone.now().replace(second=0, microsecond=0) + timedelta(hours=1)
    form = ReserveForm(
        request.POST if request.method == "POST" else None,
        charge_point=charge_point,
        initial={"expiry_date": until, "whole_group": True},
    )
    if request.method == "POST" and form.is_valid():
        row = _reserved(request, charge_point, form)
        if row is not None:
            return HttpResponseRedirect(show.change_url("reservation", row.pk))
    context |= {
        "form": form,
        "identity": charge_point.identity,
        "charger": show.whole(charge_point.identity),
        "charger_url": show.change_url("chargepoint", charge_point.pk),
        "obstacle": show.visible(operation_obstacle(charge_point, ReserveNow)),
        "failing": show.visible(callback_problem(charge_point)),
        "offline": not is_online(charge_point),
        "tags": sending.tags("") if user.has_perm("csms.view_idtag") else [],
        "tags_url": reverse("admin:csms_command_id_tags"),
    }
    return TemplateResponse(request, "csms/reserve.html", context)


def _reserved(
    request: HttpRequest, charge_point: ChargePoint, form: ReserveForm
) -> Reservation | None:
    """What was asked for; None when it was refused, which the form then says."""
    data = form.cleaned_data
    try:
        row = reservation_create(
            charge_point=charge_point,
            connector_id=data["connector_id"],
            id_tag=data["id_tag"],
            expiry_date=data["expiry_date"],
            parent_id_tag=None if data["whole_group"] else "",
            by=sending.by(request),
            now=timezone.now(),
        )
    except PayloadRefused as refusal:
        form.add_error(FIELDS.get(refusal.path), str(refusal))
    except CommandRefused as refusal:
        form.add_error(None, str(refusal))
    else:
        messages.success(request, "The reservation is on its way to the charge point.")
        return row
    return None
