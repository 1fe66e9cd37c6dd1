"""Parts of a charge point's page: what to enter in it, its compliance card, its profiles."""

import json
from urllib.parse import quote, urlsplit

from django.contrib.admin import display
from django.http import HttpRequest
from django.utils.safestring import SafeString

from csms.admin import show
from csms.admin.base import ReadOnlyInline
from csms.conf import settings
from csms.models import ChargePoint, Deviation, InstalledProfile
from csms.models.charge_points import Transport


def to_enter(request: HttpRequest, charge_point: ChargePoint) -> SafeString | str:
    """What somebody enters in the charge point, so that it finds us."""
    host = settings().public_host or urlsplit(f"//{request.get_host()}").hostname or ""
    host = f"[{host}]" if ":" in host else host
    identity = charge_point.identity
    if charge_point.transport == Transport.JSON:
        url = f"ws://{host}:{settings().json_port}/{quote(identity, safe='')}"
        return show.facts((("URL to enter in it", url),))
    url = f"http://{host}:{settings().http_port}/ocpp/soap"
    return show.facts((("URL to enter in it", url), ("chargeBoxIdentity", identity)))


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


class InstalledProfileInline(ReadOnlyInline):
    """OCPP 1.6 cannot read profiles back: what was accepted is assumed to be installed."""

    model = InstalledProfile
    verbose_name_plural = "Charging profiles, assumed: OCPP 1.6 cannot read them back"
    fields = ("number", "purpose", "stack_level", "connector", "content", "since")
    readonly_fields = fields

    @display(description="chargingProfileId")
    def number(self, row: InstalledProfile) -> str:
        return str(row.charging_profile_id)

    @display(description="connectorId")
    def connector(self, row: InstalledProfile) -> str:
        return str(row.connector_id)

    @display(description="Profile")
    def content(self, row: InstalledProfile) -> SafeString | str:
        return show.clip(json.dumps(row.profile), 80)

    @display(description="Accepted")
    def since(self, row: InstalledProfile) -> SafeString | str:
        return show.when(row.installed_at)
