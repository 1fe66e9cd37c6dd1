"""Parts of a charge point's page: what to enter in it, its proof, compliance card, other pages."""

from typing import Any
from urllib.parse import quote, urlsplit

from django.contrib import admin
from django.contrib.admin import display
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from unfold.decorators import action as detail_action

from csms.admin import show
from csms.admin.base import ReadOnlyInline
from csms.conf import settings
from csms.models import ChargePoint, Deviation
from csms.models.charge_points import SecurityProfile, SoapProof, Transport
from csms.services.security_profiles import certificate_name

MORE_ACTIONS = {
    "title": "More",
    "icon": "more_horiz",
    "items": ["reserve", "limits", "configuration", "local_list", "get_diagnostics"],
}
"""The buttons of a charge point's page that have no room of their own."""

LISTS = (
    ("Messages", "message"),
    ("Transactions", "transaction"),
    ("Meter values", "metervalue"),
    ("Commands", "command"),
    ("Reservations", "reservation"),
    ("Security events", "securityevent"),
    ("Quarantine", "quarantinedmessage"),
    ("Transfers", "transferstatus"),
)
"""What belongs to a charge point and is listed: label and model."""


class PagesOfChargePoints:
    """What leads from a charge point to its pages of other subjects."""

    @display(description="See also")
    def related(self, row: ChargePoint) -> SafeString | str:
        own = (
            (show.change_url("chargepointconfiguration", row.pk), "Configuration"),
            (show.list_url("chargepointlocallist", q=row.identity), "Local list"),
            (show.list_url("upload", charger=row.identity), "Diagnostics"),
        )
        lists = [(show.list_url(model, charger=row.identity), label) for label, model in LISTS]
        return show.links([*lists, *own])

    @detail_action(description="Configuration", icon="tune", permissions=["see_configuration"])
    def configuration(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return HttpResponseRedirect(show.change_url("chargepointconfiguration", object_id))

    def has_see_configuration_permission(self, request: HttpRequest, pk: Any = None) -> bool:
        return request.user.has_perm("csms.view_chargepointconfiguration")

    @detail_action(description="Local list", icon="fact_check", permissions=["see_list"])
    def local_list(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return HttpResponseRedirect(show.change_url("chargepointlocallist", object_id))

    def has_see_list_permission(self, request: HttpRequest, pk: Any = None) -> bool:
        return request.user.has_perm("csms.view_chargepointlocallist")


def to_enter(request: HttpRequest, charge_point: ChargePoint) -> SafeString | str:
    """What somebody enters in the charge point, so that it finds us.

    Where TLS does not end here, it ends at a proxy, on the usual port.
    """
    config = settings()
    host = config.public_host or urlsplit(f"//{request.get_host()}").hostname or ""
    host = f"[{host}]" if ":" in host else host
    identity = quote(charge_point.identity, safe="")
    tls = charge_point.security_profile >= SecurityProfile.TLS
    here = not tls or bool(config.tls_certificates)
    if charge_point.transport == Transport.JSON:
        port = f":{config.json_tls_port if tls else config.json_port}" if here else ""
        url = f"{'wss' if tls else 'ws'}://{host}{port}/{identity}"
        return show.facts((("URL to enter in it", url),))
    port = f":{config.https_port if tls else config.http_port}" if here else ""
    url = f"{'https' if tls else 'http'}://{host}{port}/ocpp/soap"
    if charge_point.soap_proof == SoapProof.PATH:
        url = f"{url}/{identity}/<password>"
    return show.facts((("URL to enter in it", url), ("chargeBoxIdentity", charge_point.identity)))


def proof_badges(charge_point: ChargePoint) -> SafeString | str:
    """By what it proves itself, and what that lacks."""
    badges = []
    match charge_point.security_profile:
        case SecurityProfile.NONE:
            badges.append(show.badge("none is asked for: trusted networks only", "warn"))
            if charge_point.password:
                badges.append(show.badge("its password counts from profile 1 on", "warn"))
        case SecurityProfile.CLIENT_CERTIFICATE:
            name = certificate_name(charge_point)
            badges.append(show.badge(f"certificate with CN {name}", "good"))
        case _ if charge_point.password:
            badges.append(show.badge("password set", "good"))
        case _:
            badges.append(show.badge("no password: it cannot connect", "bad"))
    if charge_point.pending_password:
        badges.append(show.badge("a new key was sent and waits for its first login", "info"))
    if charge_point.pending_security_profile is not None:
        raised = charge_point.pending_security_profile
        badges.append(show.badge(f"profile {raised} waits for its first login", "info"))
    return show.badges(badges)


def key_page(
    site: admin.AdminSite, request: HttpRequest, charge_point: ChargePoint
) -> HttpResponse | None:
    """The page with a key that was just made; None without.

    It is in this answer and nowhere else: a message would go through the browser's cookies or the
    sessions' table.
    """
    key = getattr(charge_point, "new_key", "")
    if not key:
        return None
    context = {
        **site.each_context(request),
        "title": f"Key of {show.visible(charge_point.identity)}",
        "key": key,
        "entered": to_enter(request, charge_point),
        "url": show.change_url("chargepoint", charge_point.pk),
    }
    response = TemplateResponse(request, "csms/charge_point_key.html", context)
    response["Cache-Control"] = "no-store"
    return response


class DeviationInline(ReadOnlyInline):
    """The compliance card: which tolerances this charge point needed, and how often."""

    model = Deviation
    verbose_name_plural = "Compliance card: deviations that were tolerated"
    fields = ("deviation", "times", "first", "last", "seen")
    readonly_fields = fields

    @display(description="Deviation")
    def deviation(self, row: Deviation) -> SafeString | str:
        return show.clip(row.name, 60)

    @display(description="Times")
    def times(self, row: Deviation) -> str:
        return f"{row.count:,}"

    @display(description="First")
    def first(self, row: Deviation) -> SafeString | str:
        return show.when(row.first_at)

    @display(description="Last")
    def last(self, row: Deviation) -> SafeString | str:
        return show.when(row.last_at)

    @display(description="Example")
    def seen(self, row: Deviation) -> SafeString | str:
        return show.clip(row.example, 80)
