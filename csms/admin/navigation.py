"""The admin's navigation: what an operator looks for, grouped; only what the account may see."""

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

GROUPS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "Fleet": (
        ("Charge points", "ev_station", "csms_chargepoint"),
        ("Connectors", "power", "csms_connector"),
        ("Unknown charge points", "person_search", "csms_unknownchargepoint"),
        ("Configuration", "tune", "csms_chargepointconfiguration"),
        ("Configuration templates", "rule_settings", "csms_configurationtemplate"),
    ),
    "Charging": (
        ("Transactions", "bolt", "csms_transaction"),
        ("Reservations", "event_seat", "csms_reservation"),
        ("Meter values", "speed", "csms_metervalue"),
        ("Charging profiles", "show_chart", "csms_chargingprofiletemplate"),
        ("idTags", "badge", "csms_idtag"),
        ("Local lists", "fact_check", "csms_chargepointlocallist"),
    ),
    "Messages": (
        ("Message log", "forum", "csms_message"),
        ("Quarantine", "report", "csms_quarantinedmessage"),
        ("Unknown vendor messages", "unknown_document", "csms_unknowntransfer"),
        ("Commands", "send", "csms_command"),
        ("Command batches", "dynamic_feed", "csms_commandbatch"),
        ("Webhook events", "outgoing_mail", "csms_webhookevent"),
    ),
    "Maintenance": (
        ("Firmware", "memory", "csms_firmwareimage"),
        ("Roll-outs", "rocket_launch", "csms_rollout"),
        ("Diagnostics", "troubleshoot", "csms_upload"),
        ("Transfers", "system_update", "csms_transferstatus"),
        ("Security events", "shield", "csms_securityevent"),
        ("Signing requests", "verified", "csms_certificatesigningrequest"),
    ),
    "Administration": (
        ("Users", "person", "auth_user"),
        ("Groups", "group", "auth_group"),
        ("API tokens", "key", "csms_apitoken"),
        ("Webhooks", "webhook", "csms_webhooksubscription"),
        ("Changes", "history", "csms_auditentry"),
        ("Failed logins", "lock_person", "axes_accessattempt"),
    ),
}
"""Group title → (label, symbol, app and model) of its pages."""


def favicon(request: HttpRequest) -> str:
    """URL of the icon in the browser's tab."""
    return static("csms/favicon.svg")


def stylesheet(request: HttpRequest) -> str:
    """URL of our additions to the theme."""
    return static("csms/admin.css")


def pages(request: HttpRequest) -> list[dict[str, Any]]:
    """The navigation as Unfold takes it; a group without a permitted page is left out."""
    overview = {"title": "Overview", "icon": "monitoring", "link": reverse("admin:index")}
    groups: list[dict[str, Any]] = [{"items": [overview]}]
    for title, entries in GROUPS.items():
        items = [
            {"title": label, "icon": icon, "link": reverse(f"admin:{model}_changelist")}
            for label, icon, model in entries
            if _may_view(request, model)
        ]
        if items:
            groups.append({"title": title, "separator": True, "items": items})
    return groups


def _may_view(request: HttpRequest, model: str) -> bool:
    app, name = model.split("_")
    user = request.user
    return user.has_perm(f"{app}.view_{name}") or user.has_perm(f"{app}.change_{name}")
