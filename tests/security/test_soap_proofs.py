"""How SOAP charge points prove themselves: Basic, a path, a certificate, their network."""

import json
import logging
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from csms.models import ChargePoint, Message, SecurityEvent
from tests.security.door import OUTSIDE, Knock, certificate, charge_point
from tests.security.test_upgrades import everything

if TYPE_CHECKING:
    from tests.security.door import Door

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "a1" * 20
FROM_OUTSIDE = Knock(address=OUTSIDE)


def soap(**columns: object) -> ChargePoint:
    values = {"identity": "OLD7", "transport": "soap", "security_profile": 1, "soap_proof": "path"}
    return charge_point(**values | {"key": bytes.fromhex(SECRET)} | columns)


@pytest.mark.parametrize("path", [f"/OLD7/{SECRET}", f"/OLD7/{SECRET}/", f"/OLD7/{SECRET.upper()}"])
def test_the_last_segment_of_the_path(door: "Door", path: str) -> None:
    soap()
    assert door.soap("OLD7", FROM_OUTSIDE, path=path) == (200, "")
    row = ChargePoint.objects.get()
    assert row.last_seen is not None


def test_a_password_of_a_person_in_the_path(door: "Door") -> None:
    from csms.services.charge_points import password_set

    password_set(charge_point=soap(), password="grüß & Gott/")
    path = f"/OLD7/{quote('grüß & Gott', safe='')}"
    assert door.soap("OLD7", path=path)[0] == 401
    password_set(charge_point=ChargePoint.objects.get(), password="grüß & Gott")
    assert door.soap("OLD7", path=path) == (200, "")


@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        ("", (401, "SecurityError")),
        ("/OLD7", (401, "SecurityError")),
        ("/OLD7/wrong-secret", (401, "SecurityError")),
        (f"/OLD7/{SECRET[:-1]}", (401, "SecurityError")),
        (f"/OLD8/{SECRET}", (400, "IdentityMismatch")),
        (f"/OLD7/x/{SECRET}", (404, "ProtocolError")),
        ("/OLD7/a", (404, "ProtocolError")),
        ("/OLD7/%00%00%00%00%00", (404, "ProtocolError")),
    ],
)
def test_paths_that_prove_nothing(door: "Door", path: str, refusal: tuple[int, str]) -> None:
    soap()
    assert door.soap("OLD7", path=path) == refusal
    assert ChargePoint.objects.get().callback_url == ""


def test_each_charge_point_has_one_way(door: "Door") -> None:
    """The right password in the other place is not the right proof."""
    row = soap()
    assert door.soap("OLD7", Knock(bytes.fromhex(SECRET)))[0] == 401
    ChargePoint.objects.update(soap_proof="basic")
    door.system.run(forget())
    assert door.soap("OLD7", path=f"/OLD7/{SECRET}")[0] == 401
    assert door.soap("OLD7", Knock(bytes.fromhex(SECRET))) == (200, "")
    assert row.pk


async def forget() -> None:
    from csms.services import admission

    admission.forget()


def test_the_secret_reaches_no_log_and_no_error(
    door: "Door", caplog: pytest.LogCaptureFixture
) -> None:
    """Charge points repeat the URL that they call in the header To."""
    caplog.set_level(logging.DEBUG)
    soap()
    to = f"{door.system.soap_url}/OLD7/{SECRET}"
    for path, identity in (
        (f"/OLD7/{SECRET}", "OLD7"),
        (f"/OLD7/{SECRET}", "OTHER"),
        (f"/OLD8/{SECRET}", "OLD7"),
        (f"/OLD7/x/{SECRET}", "OLD7"),
    ):
        door.soap(identity, path=path, to=to if path.startswith("/OLD7/a1") else "")
    door.system.written()
    logged = Message.objects.values_list("request", flat=True)
    assert [text for text in logged if "/OLD7/•••" in text]
    assert SECRET not in everything()
    # httpx is this test's own; uvicorn.access has no handler but those that pytest gives it.
    others = ("httpx", "httpcore", "uvicorn.access")
    ours = [record for record in caplog.records if not record.name.startswith(others)]
    assert SECRET not in "\n".join(record.getMessage() for record in ours)


def test_a_client_certificate(door: "Door") -> None:
    soap(security_profile=3, certificate_name="SERIAL-1")
    assert door.soap("OLD7", Knock(tls=True, certificate=certificate("SERIAL-1"))) == (200, "")
    other = Knock(tls=True, certificate=certificate("SERIAL-2"))
    assert door.soap("OLD7", other) == (400, "IdentityMismatch")


def test_the_network(door: "Door") -> None:
    soap(security_profile=0)
    assert door.soap("OLD7") == (200, "")
    assert door.soap("OLD7", FROM_OUTSIDE) == (403, "SecurityError")
    event = SecurityEvent.objects.get()
    assert (event.kind, event.remote_address) == ("UntrustedNetwork", OUTSIDE)


@pytest.mark.parametrize("known", [True, False])
def test_a_long_body_is_received_from_who_proves_himself_only(door: "Door", known: bool) -> None:
    """64 KiB before authentication: more is read of charge points that are known."""
    from csms.ocpp.core import DataTransfer

    soap(soap_proof="basic")
    long = DataTransfer(vendor_id="v", data="x" * 200_000)
    knock = Knock(bytes.fromhex(SECRET) if known else b"wrong")
    status, _ = door.soap("OLD7", knock, request=long)
    assert status == (200 if known else 401)
    assert door.soap("NOBODY", request=long)[0] == 413
    door.system.written()
    assert json.dumps([len(m.request) for m in Message.objects.all()])
