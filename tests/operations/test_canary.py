"""N5: a secret of a command lies nowhere in clear, whatever becomes of the command.

Looked through are the database as it lies on the disk, the log, every page of the admin, REST and
the shell.
"""

import io
import logging
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import NoReverseMatch, reverse

from csms.models import ChargePoint, Command, Message
from csms.services.commands import CommandRefused, batch_send, command_cancel
from csms.services.commands import command_send as send
from csms.services.secrets import MASK
from csms.services.sending_again import command_repeat
from csms.services.tokens import token_add
from tests import factories
from tests.operations.examples import payload_of, replies_of, request
from tests.operations.scripted import Scripted, ended, scripted

if TYPE_CHECKING:
    from tests.running import System

URL = "ftp://user:{}@files.example/in"
FIRMWARE = payload_of("SignedUpdateFirmware")["firmware"] | {"location": URL}
CARRIERS: dict[str, tuple[str, dict[str, Any]]] = {
    "password": ("ChangeConfiguration", {"key": "StationPassword", "value": "{}"}),
    "address": ("ChangeConfiguration", {"key": "Backend", "value": URL}),
    "diagnostics": ("GetDiagnostics", {"location": URL}),
    "firmware": ("UpdateFirmware", {"location": URL}),
    "log": ("GetLog", {"log": {"remoteLocation": URL}}),
    "signed firmware": ("SignedUpdateFirmware", {"firmware": FIRMWARE}),
}
"""What carries a secret; `{}` stands where it is."""

JSON_ONLY = ("GetLog", "SignedUpdateFirmware")


def filled(plain: Any, secret: str) -> Any:
    if isinstance(plain, dict):
        return {name: filled(value, secret) for name, value in plain.items()}
    return plain.replace("{}", secret)


def carrier(name: str, secret: str) -> Any:
    action, fields = CARRIERS[name]
    return request(action, **filled(fields, secret))


# ---------------------------------------------------------------------- where it might lie


def on_disk() -> bytes:
    """All that the database keeps: its files, or every row of every table."""
    if connection.vendor == "sqlite":
        name = str(connection.settings_dict["NAME"])
        files = [Path(name + end) for end in ("", "-wal")]
        return b"".join(path.read_bytes() for path in files if path.exists())
    dumped = b""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            with cursor.copy(f'COPY (SELECT * FROM "{table}") TO STDOUT') as rows:
                dumped += b"".join(bytes(part) for part in rows)
    return dumped


def pages(client: Client) -> str:
    """Every list of the admin, and the pages of all that a command leaves."""
    from django.contrib import admin

    shown = []
    for model in admin.site._registry:
        place = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        shown.append(reverse(f"{place}_changelist"))
        if model._meta.app_label == "csms":
            for pk in model._default_manager.values_list("pk", flat=True)[:50]:
                try:
                    shown.append(reverse(f"{place}_change", args=[pk]))
                except NoReverseMatch:
                    continue
    return "".join(client.get(url, follow=True).content.decode() for url in shown)


@pytest.fixture
def nowhere(system: "System", caplog: pytest.LogCaptureFixture, admin_client: Client) -> "Nowhere":
    caplog.set_level(logging.INFO)
    return Nowhere(system, caplog, admin_client)


class Nowhere:
    """Looks for a secret in all that is kept and shown."""

    def __init__(self, system: "System", log: pytest.LogCaptureFixture, client: Client) -> None:
        self._system, self._log, self._client = system, log, client
        _, token = token_add(name=f"reader-{uuid.uuid4()}", can="operate")
        self._headers = {"Authorization": f"Bearer {token}"}

    def __call__(self, secret: str) -> None:
        self._system.written()
        kept = on_disk()
        assert ChargePoint.objects.all()[0].identity.encode() in kept
        assert secret.encode() not in kept
        assert secret not in self._log.text
        page = pages(self._client)
        assert secret not in page
        assert "csms" in page
        with httpx.Client(headers=self._headers, trust_env=False) as program:
            for place in ("commands", *(f"commands/{pk}" for pk in _keys())):
                response = program.get(f"{self._system.http_url}/api/v1/{place}")
                assert response.status_code == 200, response.text
                assert secret not in response.text


def _keys() -> list[int]:
    return list(Command.objects.values_list("pk", flat=True))


@pytest.fixture
def secret() -> str:
    return f"canary{uuid.uuid4().hex}"


# ------------------------------------------------------------------------------- the ways


def ways(charger: Scripted, command: Command, secret: str) -> None:
    """Answer as charge points do that repeat what they were told."""
    reply, _ = replies_of(command.action)[0]
    how = command.pk % 3
    if how == 0:
        charger.answer(reply)
    elif how == 1:
        charger.fail("InternalError", f"Cannot open {URL.format(secret)}: {secret} is wrong.")
    else:
        payload = f'{{"status":"{secret}"}}'
        body = f"<p:{secret}/>"
        charger.mumble(payload if charger.row.transport == "json" else body)


@pytest.mark.parametrize("transport", ["json", "soap"])
def test_a_secret_lies_nowhere(
    system: "System", nowhere: Nowhere, secret: str, transport: str
) -> None:
    """Queued, and answered in each way; and the charge point is told the secret itself."""
    charger = scripted(system, transport)
    for name, (action, _) in CARRIERS.items():
        if transport == "json" or action not in JSON_ONLY:
            asked = carrier(name, secret)
            batch_send(charge_points=[charger.row], request=asked, by="ann")
            for _ in range(2):
                send(charge_point=charger.row, request=asked, by="ann")
    nowhere(secret)
    asked_for = list(Command.objects.order_by("pk"))
    assert all(command.sealed and MASK in str(command.payload) for command in asked_for)
    system.deliver()
    for command in asked_for:
        ways(charger, command, secret)
        assert secret in charger.received[-1]
        ended(command)
        assert (command.sealed, MASK in str(command.payload)) == ("", True)
    nowhere(secret)
    masked = Message.objects.filter(direction="out", request__contains=MASK)
    assert masked.count() == len(asked_for)


def test_a_secret_on_its_way_lies_nowhere(system: "System", nowhere: Nowhere, secret: str) -> None:
    """Sent, and not answered."""
    chargers = [system.charger(factories.charge_point()) for _ in CARRIERS]
    system.deliver()
    for charger, name in zip(chargers, CARRIERS, strict=True):
        send(charge_point=charger.row, request=carrier(name, secret))
        assert secret in str(charger.receive())
    assert Command.objects.filter(state="sent").count() == len(CARRIERS)
    nowhere(secret)


@pytest.mark.parametrize("end", ["expired", "cancelled"])
def test_a_secret_that_was_never_sent_is_forgotten(
    system: "System", nowhere: Nowhere, secret: str, end: str
) -> None:
    from csms.services.outbox import commands_expire

    command = send(charge_point=factories.charge_point(), request=carrier("password", secret))
    if end == "expired":
        commands_expire(now=command.expires_at)
    else:
        command_cancel(command=command, by="ann")
    command.refresh_from_db()
    assert (command.state, command.sealed) == (end, "")
    nowhere(secret)


def test_what_the_charge_point_says_by_itself(
    system: "System", nowhere: Nowhere, secret: str
) -> None:
    """Both directions: the answer to GetConfiguration, and a message that repeats an address."""
    charger = scripted(system, "json")
    system.deliver()
    keys = [
        {"key": "WifiPassword", "readonly": False, "value": secret + "x" * 600},
        {"key": "Backend", "readonly": 1, "value": URL.format(secret)},
    ]
    command = send(charge_point=charger.row, request=request("GetConfiguration"))
    charger.answer({"configurationKey": keys, "unknownKey": [f"x://y:{secret}@z"]})
    assert ended(command).state == "accepted"
    charger.charger.call("DataTransfer", vendorId="v", data=URL.format(secret))  # type: ignore[attr-defined]
    nowhere(secret)
    notes = Message.objects.get(action="GetConfiguration").notes
    assert any(MASK in note for note in notes), notes


def test_the_shell_prints_no_secret(system: "System", secret: str) -> None:
    charger = factories.charge_point()
    output = io.StringIO()
    payload = f'{{"key": "StationPassword", "value": "{secret}"}}'
    call_command(
        "send", charger.identity, "ChangeConfiguration", payload, no_wait=True, stdout=output
    )
    assert Command.objects.get().sealed
    assert secret not in output.getvalue()


# ------------------------------------------------------------------------- what follows


@pytest.mark.django_db
@pytest.mark.parametrize("name", CARRIERS)
def test_a_secret_is_asked_for_anew(name: str, secret: str) -> None:
    row = factories.charge_point()
    command = send(charge_point=row, request=carrier(name, secret))
    with pytest.raises(CommandRefused, match="no longer kept: send it anew"):
        command_repeat(command=command)
    with pytest.raises(CommandRefused, match="write the secret itself"):
        send(charge_point=row, request=carrier(name, MASK))
    assert Command.objects.count() == 1


@pytest.mark.parametrize("transport", ["json", "soap"])
def test_another_secret_key_ends_the_command(
    system: "System", settings: Any, secret: str, transport: str
) -> None:
    """It is said in words; what follows is sent."""
    charger = scripted(system, transport)
    command = send(charge_point=charger.row, request=carrier("password", secret))
    following = send(charge_point=charger.row, request=request("ClearCache"))
    settings.SECRET_KEY = "changed meanwhile"
    system.deliver()
    charger.answer({"status": "Accepted"})
    assert ended(following).state == "accepted"
    ended(command)
    assert (command.state, command.sealed, command.sent_at) == ("error", "", None)
    assert "secret key of this system was changed" in command.error
