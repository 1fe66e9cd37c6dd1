"""Keys that we make: 20 random bytes, shown once, kept as a hash (N3, N5)."""

import re
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from csms.admin import show
from csms.models import ChargePoint
from csms.services.passwords import password_fits
from tests.security.test_upgrades import everything

if TYPE_CHECKING:
    from tests.api.caller import Caller

pytestmark = pytest.mark.django_db

KEY = re.compile(r"\b[0-9a-f]{40}\b")


@pytest.fixture
def api() -> "Caller":
    from tests.api.caller import caller

    return caller("all")


@pytest.fixture
def admin() -> Client:
    client = Client()
    backend = "django.contrib.auth.backends.ModelBackend"
    client.force_login(User.objects.create_superuser("admin"), backend)
    return client


def is_kept(text: str) -> str:
    """The key that a text shows: it is that of the only charge point, and only its hash is kept."""
    key: str
    (key,) = set(KEY.findall(text))
    row = ChargePoint.objects.get()
    assert password_fits(row.password, bytes.fromhex(key))
    assert password_fits(row.password, key.upper().encode())
    assert key not in everything()
    return key


def shell(*arguments: str) -> str:
    out = StringIO()
    call_command("charge_point", *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize("transport", ["json", "soap"])
@pytest.mark.parametrize("profile", ["", "1", "2"])
def test_the_shell_makes_a_key(transport: str, profile: str) -> None:
    more = ("--profile", profile) if profile else ()
    first = is_kept(shell("add", "CP1", "--transport", transport, *more))
    row = ChargePoint.objects.get()
    assert (row.security_profile, row.transport) == (int(profile or 1), transport)
    assert is_kept(shell("new-key", "CP1")) != first


@pytest.mark.parametrize("profile", ["0", "3"])
def test_the_shell_makes_none_where_none_is_asked_for(profile: str) -> None:
    said = shell(
        *("add", "CP1", "--transport", "soap", "--profile", profile),
        *("--certificate-name", "SERIAL-1", "--soap-proof", "path"),
    )
    assert not KEY.search(said)
    row = ChargePoint.objects.get()
    assert (row.security_profile, row.password) == (int(profile), "")
    assert (row.certificate_name, row.soap_proof) == ("SERIAL-1", "path")


def test_the_shell_takes_a_password() -> None:
    assert not KEY.search(shell("add", "CP1", "--transport", "json", "--password", "by hand"))
    assert password_fits(ChargePoint.objects.get().password, b"by hand")


def test_the_api_tells_a_key_once(api: "Caller") -> None:
    """N5: not even the answer that is kept for repeats holds it."""
    made = api.post("charge-points", {"identity": "CP1"}, Idempotency_Key="a")
    assert is_kept(made["key"]) == made["key"]
    assert (made["security_profile"], made["has_password"]) == (1, True)
    again = api.post("charge-points", {"identity": "CP1"}, Idempotency_Key="a")
    assert again == {**made, "key": None}
    assert "key" not in api.get("charge-points/CP1")


@pytest.mark.parametrize(
    "body",
    [
        {"security_profile": 0},
        {"security_profile": 3, "certificate_name": "SERIAL-1"},
        {"security_profile": 2, "password": "by hand"},
        {"transport": "soap", "soap_proof": "path", "password": "by hand"},
    ],
)
def test_the_api_makes_none_where_none_is_asked_for(api: "Caller", body: dict[str, object]) -> None:
    made = api.post("charge-points", {"identity": "CP1", **body})
    assert made["key"] is None
    assert {name: made[name] for name in body if name != "password"} == {
        name: value for name, value in body.items() if name != "password"
    }
    assert made["has_password"] is ("password" in body)


@pytest.mark.parametrize("wrong", [4, -1, "2", None])
def test_the_api_refuses_other_profiles(api: "Caller", wrong: object) -> None:
    body = {"identity": "CP1", "security_profile": wrong}
    assert api.refused("POST", "charge-points", body) == (422, "security_profile")


def test_the_api_changes_a_profile_by_hand(api: "Caller") -> None:
    api.post("charge-points", {"identity": "CP1"})
    ChargePoint.objects.update(pending_security_profile=3)
    changed = api.patch("charge-points/CP1", {"security_profile": 2})
    assert (changed["security_profile"], changed["pending_security_profile"]) == (2, None)


FORM = {
    "identity": "CP1",
    "transport": "json",
    "strictness": "tolerant",
    "time_zone": "UTC",
    "security_profile": 1,
    "soap_proof": "basic",
}
INLINES = {
    f"{inline}-{count}_FORMS": 0
    for inline in ("connectors", "reservations", "installed_profiles", "uploads", "deviations")
    for count in ("TOTAL", "INITIAL")
}


def test_the_admin_shows_a_key_in_one_answer(admin: Client) -> None:
    """N5: not in a message, which goes through cookies or the sessions' table."""
    response = admin.post("/admin/csms/chargepoint/add/", FORM)
    assert "no-store" in response.headers["Cache-Control"]
    first = is_kept(response.content.decode())
    assert first not in str(response.cookies)
    page = show.change_url("chargepoint", ChargePoint.objects.get().pk)
    for _ in range(2):
        assert not KEY.search(admin.get(page).content.decode())
    response = admin.post(page, FORM | INLINES | {"generate_key": "on"})
    assert is_kept(response.content.decode()) != first
    assert admin.post(page, FORM | INLINES).status_code == 302


@pytest.mark.parametrize(
    "given", [{"security_profile": 0}, {"security_profile": 3}, {"new_password": "by hand"}]
)
def test_the_admin_makes_none_where_none_is_asked_for(
    admin: Client, given: dict[str, object]
) -> None:
    assert admin.post("/admin/csms/chargepoint/add/", FORM | given).status_code == 302
    row = ChargePoint.objects.get()
    assert bool(row.password) is ("new_password" in given)


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        ({"security_profile": 0}, "trusted networks only"),
        ({"security_profile": 1}, "it cannot connect"),
        ({"security_profile": 1, "password": "x"}, "password set"),
        ({"security_profile": 3, "certificate_name": "SERIAL-1"}, "SERIAL-1"),
        ({"pending_security_profile": 2}, "profile 2 waits for its first login"),
        ({"pending_password": "x"}, "a new key was sent"),
    ],
)
def test_the_admin_says_what_a_charge_point_lacks(
    admin: Client, columns: dict[str, object], shown: str
) -> None:
    from tests import factories

    row = factories.charge_point(**columns)
    assert shown in admin.get(show.change_url("chargepoint", row.pk)).content.decode()
