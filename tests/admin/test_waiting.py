"""Why a command waits, in words: from the service, and on the pages that show commands."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from csms.admin import sending, show
from csms.models import ChargePoint, Command
from csms.services.commands import batch_send, request_of, waiting_reason, with_outstanding
from tests import factories
from tests.admin.operations import SEND

pytestmark = pytest.mark.django_db


def _reason(charger: ChargePoint, **columns: Any) -> str:
    command = factories.command(charger, **columns)
    row = with_outstanding(Command.objects.select_related("charge_point")).get(pk=command.pk)
    return waiting_reason(row, now=factories.now())


def _unreachable(**columns: Any) -> ChargePoint:
    """A SOAP charge point that spoke a minute ago, and could not be called since."""
    seen = factories.now() - timedelta(minutes=1)
    values: dict[str, Any] = {
        "callback_url": "http://192.0.2.1:8080/",
        "last_seen": seen,
        "callback_failed_at": seen + timedelta(seconds=5),
        "callback_error": "It refused the connection.",
    }
    return factories.charge_point(transport="soap", **values | columns)


def test_an_offline_charge_point_is_waited_for() -> None:
    expires = factories.now().replace(2026, 3, 1, 12, 30)
    charger = factories.charge_point(connected=False)
    expected = "waits until it connects (or expires at 2026-03-01 12:30 UTC)"
    assert _reason(charger, expires_at=expires) == expected


def test_an_outstanding_command_is_waited_for() -> None:
    charger = factories.charge_point(connected=True)
    assert _reason(charger) == "is sent in a moment"
    factories.command(charger, action="GetConfiguration", state="sent")
    assert _reason(charger) == "waits for GetConfiguration"
    assert _reason(charger, state="accepted") == ""


def test_a_callback_that_failed_is_named_until_the_next_contact() -> None:
    charger = _unreachable()
    assert _reason(charger) == "It refused the connection; tried again at its next contact"
    charger.last_seen = factories.now()
    charger.save()
    assert _reason(charger) == "is sent in a moment"


def test_a_callback_address_and_an_acceptance_are_waited_for() -> None:
    charger = _unreachable(callback_url="", callback_failed_at=None)
    assert _reason(charger).startswith("waits until its callback address is known (or expires at")
    rejected = factories.charge_point(connected=True, registration="Rejected")
    assert _reason(rejected).startswith("waits until the charge point is accepted (or expires at")


def test_the_pages_say_it(admin_client: Client) -> None:
    charger = factories.charge_point(connected=True)
    factories.command(charger, action="GetConfiguration", state="sent")
    request = request_of("Reset", {"type": "Soft"})
    batch = batch_send(charge_points=[charger], request=request, by="admin: admin")
    for url in (
        show.list_url("command"),
        show.change_url("command", batch.commands.get().pk),
        show.change_url("commandbatch", batch.pk),
    ):
        assert "waits for GetConfiguration" in admin_client.get(url).content.decode(), url


def test_the_form_names_those_that_could_not_be_called(admin_client: Client) -> None:
    charger = _unreachable(identity="box-1")
    chosen = {"send_to": sending.choice_text([charger.pk]), "operation_name": "Reset"}
    response = admin_client.get(SEND, chosen)
    assert "1 of them could not be called" in response.content.decode()
    assert "It refused the connection; tried again" in response.content.decode()
    assert response.context["offline"] == []
