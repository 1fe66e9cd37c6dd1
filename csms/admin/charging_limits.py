"""Which limits hold at a charge point: what is assumed to be installed, and our composite schedule
beside the one it reports."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import display
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.decorators import action as detail_action

from csms.admin import sending, show
from csms.admin.base import ReadOnlyInline
from csms.admin.profile_words import schedule_words, validity_words
from csms.admin.step_plot import step_plot
from csms.conf import settings
from csms.models import ChargePoint, Command, InstalledProfile
from csms.models.commands import FINAL_STATES
from csms.ocpp.smart_charging import GetCompositeSchedule
from csms.ocpp.types import ChargingRateUnitType
from csms.services.commands import CommandRefused, command_send, waiting_reason, with_outstanding
from csms.services.composite import PHASES, Composite, Difference, Limit, differences
from csms.services.smart_charging import (
    Report,
    change_unanswered,
    composite_asked,
    composite_of,
    composite_reported,
    connectors_of,
    profiles_assumed,
)

OPERATION = "GetCompositeSchedule"
DURATIONS = {3_600: "1 hour", 6 * 3_600: "6 hours", 86_400: "1 day", 7 * 86_400: "1 week"}
NAME = "csms_chargepoint_limits"
SAID = 50
"""Differences that a page names."""
CLOCKS = timedelta(minutes=5)
"""By how much the beginning of a charge point's schedule may lie beside its answer."""


class InstalledProfileInline(ReadOnlyInline):
    """OCPP 1.6 cannot read profiles back: what was accepted is assumed to be installed."""

    model = InstalledProfile
    verbose_name_plural = "Charging profiles, assumed: OCPP 1.6 cannot read them back"
    fields = ("place", "what", "content", "until", "since")
    readonly_fields = fields

    @display(description="connectorId")
    def place(self, row: InstalledProfile) -> str:
        return str(row.connector_id)

    @display(description="Purpose, stackLevel, chargingProfileId")
    def what(self, row: InstalledProfile) -> SafeString | str:
        return show.two_lines(
            show.clip(row.purpose, 24),
            f"stackLevel {row.stack_level}, id {row.charging_profile_id}",
        )

    @display(description="Schedule")
    def content(self, row: InstalledProfile) -> SafeString | str:
        kind, validity = row.profile["chargingProfileKind"], validity_words(row.profile)
        start = row.profile["chargingSchedule"].get("startSchedule", "")
        said = [f"{kind} {start}".strip(), f"valid {validity}" if validity else ""]
        return show.two_lines(
            show.wrapped(schedule_words(row.profile), 160), ", ".join(filter(None, said))
        )

    @display(description="Ends with")
    def until(self, row: InstalledProfile) -> SafeString | str:
        if row.transaction is None:
            return show.EMPTY
        url = show.change_url("transaction", row.transaction.pk)
        return show.link(url, f"Transaction {row.transaction}")

    @display(description="Accepted")
    def since(self, row: InstalledProfile) -> SafeString | str:
        return show.when(row.installed_at)

    def get_queryset(self, request: HttpRequest) -> Any:
        assumed = profiles_assumed().values("pk")
        return super().get_queryset(request).filter(pk__in=assumed).select_related("transaction")


class ChargingOfChargePoints:
    """What the pages of charge points offer of smart charging."""

    @admin.action(description="Send a charging profile", permissions=["send_profile"])
    def send_profile_selected(self, request: HttpRequest, queryset: Any) -> HttpResponse:
        """Leads to the form with the chosen charge points."""
        keys = list(queryset.order_by().values_list("pk", flat=True)[: sending.MOST + 1])
        if len(keys) > sending.MOST:
            text = f"A profile goes to at most {sending.MOST:,} charge points: filter the list."
            messages.error(request, text)
            return HttpResponseRedirect(request.get_full_path())
        url = reverse("admin:csms_chargingprofiletemplate_send")
        text = sending.choice_text(keys)
        if len(text) <= sending.LONGEST_QUERY:
            return HttpResponseRedirect(f"{url}?send_to={text}")
        context = {"title": "Send a charging profile", "send_to": text, "send_url": url}
        context |= admin.site.each_context(request)
        return TemplateResponse(request, "csms/profile_chosen.html", context)

    def has_send_profile_permission(self, request: HttpRequest, pk: Any = None) -> bool:
        return sending.may_send(request, "SetChargingProfile") and request.user.has_perm(
            "csms.view_chargingprofiletemplate"
        )

    @detail_action(description="Charging limits", icon="show_chart", permissions=["see_limits"])
    def limits(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return HttpResponseRedirect(reverse(f"admin:{NAME}", args=(object_id, 0)))

    def has_see_limits_permission(self, request: HttpRequest, pk: Any = None) -> bool:
        return request.user.has_perm("csms.view_installedprofile")


def urls(site: admin.AdminSite) -> list[Any]:
    """The pages of this file, below those of the charging profiles."""
    view = site.admin_view
    place = "limits/<int:pk>/<int:connector_id>/"
    return [
        path(place, view(_page), name=NAME),
        path(f"{place}part/", view(_part), name=f"{NAME}_part"),
        path(f"{place}ask/", view(require_POST(_ask)), name=f"{NAME}_ask"),
    ]


def _charge_point(request: HttpRequest, pk: int) -> ChargePoint:
    for permission in ("csms.view_chargepoint", "csms.view_installedprofile"):
        if not request.user.has_perm(permission):
            raise PermissionDenied
    return get_object_or_404(ChargePoint, pk=pk)


def _asked_for(entered: Any) -> tuple[int, ChargingRateUnitType]:
    """Duration and unit of the page; what it does not know is the default."""
    text = entered.get("duration", "")
    duration = int(text) if text.isdecimal() and len(text) < 9 else 0
    known = entered.get("unit") in ("A", "W")
    unit = ChargingRateUnitType(entered.get("unit")) if known else ChargingRateUnitType.A
    return duration if duration in DURATIONS else 86_400, unit


def _page(request: HttpRequest, pk: int, connector_id: int) -> HttpResponse:
    """Our composite schedule of a connector, beside the one that the charge point reports."""
    charge_point = _charge_point(request, pk)
    duration, unit = _asked_for(request.GET)
    query = {"duration": duration, "unit": unit.value}
    numbers = sorted({0, connector_id, *connectors_of(charge_point)})
    context = {
        **admin.site.each_context(request),
        "title": "Charging limits",
        "charger": show.charge_point_link(charge_point.pk, charge_point.identity, 60),
        "connector_id": connector_id,
        "tabs": [(n, reverse(f"admin:{NAME}", args=(pk, n), query=query)) for n in numbers],
        "durations": DURATIONS.items(),
        "duration": duration,
        "unit": unit.value,
        "units": [unit.value for unit in ChargingRateUnitType],
        "ask_url": reverse(f"admin:{NAME}_ask", args=(pk, connector_id)),
        "may_ask": sending.may_send(request, OPERATION),
        "part_url": reverse(f"admin:{NAME}_part", args=(pk, connector_id)),
        "voltage": settings().nominal_voltage,
        **_compared(charge_point, connector_id, duration, unit),
    }
    return TemplateResponse(request, "csms/charging_limits.html", context)


def _part(request: HttpRequest, pk: int, connector_id: int) -> HttpResponse:
    """The part of the page that changes while an answer is waited for."""
    charge_point = _charge_point(request, pk)
    context = _compared(charge_point, connector_id, *_asked_for(request.GET))
    return TemplateResponse(request, "csms/charging_limits_part.html", context)


def _ask(request: HttpRequest, pk: int, connector_id: int) -> HttpResponse:
    """Ask the charge point for its composite schedule."""
    charge_point = _charge_point(request, pk)
    if not sending.may_send(request, OPERATION):
        raise PermissionDenied
    duration, unit = _asked_for(request.POST)
    asked = GetCompositeSchedule(
        connector_id=connector_id, duration=duration, charging_rate_unit=unit
    )
    try:
        command_send(charge_point=charge_point, request=asked, by=sending.by(request))
    except CommandRefused as refusal:
        messages.error(request, str(refusal))
    query = {"duration": duration, "unit": unit.value}
    return HttpResponseRedirect(reverse(f"admin:{NAME}", args=(pk, connector_id), query=query))


def _compared(
    charge_point: ChargePoint, connector_id: int, duration: int, unit: ChargingRateUnitType
) -> dict[str, Any]:
    """Ours from now on; beside a schedule of the charge point that still goes on, from its start:
    only so a Relative schedule begins at the same time in both."""
    now = timezone.now()
    report = composite_reported(charge_point=charge_point, connector_id=connector_id, unit=unit)
    told = report.schedule if report else None
    theirs = told if told and _goes_on(told, duration, now) else None
    ours = composite_of(
        charge_point=charge_point,
        connector_id=connector_id,
        start=theirs.start if theirs else now,
        duration=duration,
        unit=unit,
    )
    found = differences(ours, theirs) if theirs else []
    state, is_open = _asked_state(charge_point, connector_id)
    return {
        "plot": step_plot(ours, theirs, found),
        "ours": _lines(ours),
        "theirs": _lines(theirs) if theirs else [],
        "differences": [difference_words(one, unit.value) for one in found[:SAID]],
        "more": max(len(found) - SAID, 0),
        "compared": theirs is not None,
        "reported_at": _told_at(report),
        "unreadable": report is not None and told is None,
        "over": _span(told) if told and not theirs else "",
        "clock": _clock_words(report),
        "outdated": theirs is not None and report is not None and report.outdated,
        "unanswered": _unanswered(charge_point),
        "asked": state,
        "open": 1 if is_open else 0,
    }


def _goes_on(told: Composite, duration: int, now: datetime) -> bool:
    """Whether something of it lies ahead, within the time that the page shows."""
    return now < min(told.end, told.start + timedelta(seconds=duration))


def _span(told: Composite) -> str:
    return f"{_moment(told.start)} to {_moment(told.end, told.start)} UTC"


def _clock_words(report: Report | None) -> str:
    """What is said when its schedule does not begin about when the charge point told it (§5.7)."""
    if report is None or report.schedule is None or report.command.finished_at is None:
        return ""
    begun, at = report.schedule.start, report.command.finished_at
    return f"{_moment(begun)} UTC" if abs(begun - at) > CLOCKS else ""


def _unanswered(charge_point: ChargePoint) -> SafeString | str:
    command = change_unanswered(charge_point)
    return show.link(show.change_url("command", command.pk), command.action) if command else ""


def _told_at(report: Report | None) -> SafeString | str:
    return show.moment(report.command.finished_at) if report else ""


def _asked_state(charge_point: ChargePoint, connector_id: int) -> tuple[SafeString | str, bool]:
    """What became of the latest question, when it was not answered well; whether it is open."""
    asked = composite_asked(charge_point=charge_point, connector_id=connector_id)
    if asked is None or asked.state == "accepted":
        return "", False
    row = with_outstanding(Command.objects.select_related("charge_point")).get(pk=asked.pk)
    status = str((row.answer or {}).get("status", ""))
    why = waiting_reason(row, now=timezone.now()) or row.error or status
    link = show.link(show.change_url("command", row.pk), f"{OPERATION} is {row.state}")
    return show.two_lines(link, show.visible(why)), row.state not in FINAL_STATES


def difference_words(one: Difference, unit: str) -> str:
    """`2026-01-02 08:00 to 10:00 UTC: ours 16.0 A, the charge point's 10.0 A`."""
    phases = one.ours.number_phases != one.theirs.number_phases
    return (
        f"{_moment(one.begin)} to {_moment(one.end, one.begin)} UTC: "
        f"ours {_limit_words(one.ours, unit, phases)}, "
        f"the charge point’s {_limit_words(one.theirs, unit, phases)}"
    )


def _limit_words(limit: Limit, unit: str, with_phases: bool) -> str:
    if limit.limit is None:
        return "no limit"
    return f"{limit.limit} {unit}" + (f" ({limit.number_phases}-phase)" if with_phases else "")


def _moment(at: datetime, since: datetime | None = None) -> str:
    time = f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}"
    same_day = since is not None and since.date() == at.date()
    return time if same_day else f"{at:%Y-%m-%d} {time}"


def _lines(schedule: Composite) -> list[tuple[str, str]]:
    """From when, and which limit."""
    lines = []
    for begin, _, limit in schedule.spans():
        at = schedule.start + timedelta(seconds=begin)
        words = _limit_words(limit, schedule.unit.value, limit.number_phases != PHASES)
        lines.append((_moment(at), words))
    return lines
