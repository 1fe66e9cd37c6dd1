"""One of everything that the API's paths and bodies can name, for requests that shall succeed."""

from datetime import timedelta
from typing import Any

from csms.models.uploads import UploadKind
from csms.services.commands import batch_send, request_of
from csms.services.configuration_templates import template_add
from csms.services.roll_outs import roll_out_create, roll_out_pause
from csms.services.uploads import upload_request
from tests import factories
from tests.configuration.rows import told
from tests.files.images import image
from tests.files.test_admin import received
from tests.reservations.rows import reservation
from tests.smart_charging.rows import template

Place = tuple[str, str]
"""Method and path of an operation."""


class Existing:
    """A small fleet. What a path names is found by the parameter's name."""

    def __init__(self) -> None:
        self.charger = charger = factories.charge_point(identity="CP1", connected=True)
        self.proposing = factories.charge_point(
            transport="soap", callback_proposed="http://192.0.2.9:8080/"
        )
        factories.connector(charger)
        run = factories.transaction(charger, id_tag="TAG")
        factories.meter_value(charger, transaction=run)
        factories.id_tag("TAG")
        told(charger, HeartbeatInterval="300")
        self.image = image(vendor="Example")
        subscription = factories.webhook()
        self.event = factories.webhook_event(subscription, state="dead")
        batch = batch_send(
            charge_points=[charger], request=request_of("Reset", {"type": "Soft"}), by="ann"
        )
        updated = factories.charge_point(connected=True)
        rolling = roll_out_create(image=self.image, charge_points=[updated], by="ann")
        failing = factories.charge_point(connected=True)
        failed = roll_out_create(image=self.image, charge_points=[failing], by="ann")
        roll_out_pause(roll_out_id=failed.pk)
        failed.items.update(state="failed")
        self.failed = failed.pk
        upload_request(charge_point=charger, kind=UploadKind.DIAGNOSTICS)
        self.names = {
            "identity": charger.identity,
            "connector_id": 1,
            "transaction_id": run.transaction_id,
            "id_tag": "TAG",
            "command_id": factories.command(charger).pk,
            "batch_id": batch.pk,
            "webhook_id": subscription.pk,
            "image_id": image(vendor="Example", version="2").pk,
            "roll_out_id": rolling.pk,
            "upload_id": received().pk,
            "reservation": reservation(charger).pk,
        }
        values = [["HeartbeatInterval", "60"]]
        self.templates = {
            "/api/v1/configuration-templates": template_add(name="Beats", values=values).pk,
            "/api/v1/charging-profile-templates": template("Nights").pk,
        }

    def named(self, path: str, parameter: str) -> Any:
        """What exists under this name; None: there is no such name."""
        if path.endswith("/callback"):
            return self.proposing.identity
        if "/roll-outs/" in path and path.endswith(("/repeat", "/resume")):
            return self.failed
        if parameter == "template_id":
            return next(pk for start, pk in self.templates.items() if path.startswith(start))
        return self.names.get(parameter)

    def query(self, place: Place) -> dict[str, Any] | None:
        """A query about what exists, where none is none; None: any will do."""
        found = {"/meter-values": {"charge_point": self.charger.identity}}
        return found.get(place[1].removeprefix("/api/v1"))

    def body(self, place: Place) -> dict[str, Any]:
        """Fields of a body that can be obeyed only with what exists, or with sense."""
        reset = {"action": "Reset", "payload": {"type": "Hard"}}
        own = {"identities": [self.charger.identity], "filter": None, "all": None}
        one = own | {"all": False}
        later = f"{factories.now() + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
        bodies: dict[Place, dict[str, Any]] = {
            ("POST", "/charge-points/{identity}/commands"): reset,
            ("POST", "/commands/bulk"): reset | own,
            ("POST", "/roll-outs"): {
                "image": self.image.pk,
                "charge_points": [self.charger.identity],
            },
            ("POST", "/charge-points/{identity}/reservations"): {
                "connector_id": 1,
                "id_tag": "TAG",
                "expiry_date": later,
            },
            ("POST", "/charging-profile-templates/{template_id}/apply"): {
                "charge_point": self.charger.identity,
                "connector_id": 1,
            },
            ("POST", "/configuration-templates"): {
                "name": "Meters",
                "values": [{"key": "MeterValueSampleInterval", "value": "60"}],
            },
            ("POST", "/webhooks"): {"name": "Billing", "url": "https://198.51.100.7/events"},
            ("POST", "/configuration/read"): one,
            ("POST", "/configuration/repair"): one,
            ("POST", "/local-lists/update"): one,
            ("POST", "/webhooks/{webhook_id}/replay"): {"events": [self.event.pk]},
        }
        return bodies.get((place[0], place[1].removeprefix("/api/v1")), {})
