"""The second factor: setting it up, logging in with it, losing it."""

import io
import re

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from csms import conf
from csms.models import AuditEntry, SecurityEvent
from csms.services import security_events
from csms.services.secrets import MASK
from tests.access.people import (
    ACCOUNT,
    CHALLENGE,
    ENROL,
    app_code,
    code_of_key,
    configured,
    enrolled,
    log_in,
    signed_in,
    somebody,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def required(monkeypatch: pytest.MonkeyPatch) -> object:
    with monkeypatch.context() as patch:
        configured(patch, CSMS_TWO_FACTOR="required")
        yield
    conf.settings.cache_clear()


def key_on(page: str) -> str:
    found = re.search(r'id="two-factor-key">([A-Z2-7 ]+)<', page)
    assert found is not None
    return found[1]


def codes_on(page: str) -> list[str]:
    return re.findall(r"<li><code>(\w+)</code></li>", page)


def inside(client: Client) -> bool:
    """Whether the pages of the admin open."""
    return client.get("/admin/").status_code == 200


def test_without_one_the_password_is_enough() -> None:
    somebody()
    client = Client()
    assert log_in(client)["Location"] == "/admin/"
    assert inside(client)


def test_it_is_set_up_with_key_and_code() -> None:
    """The page has the key as text and as a picture that is part of the page."""
    client = signed_in(somebody())
    page = client.get(ENROL)
    assert "no-store" in page["Cache-Control"]
    html = page.content.decode()
    assert "<svg" in html
    assert not re.search(r'(src|href)="https?://', html)
    done = client.post(ENROL, {"code": code_of_key(key_on(html))})
    codes = codes_on(done.content.decode())
    assert len(set(codes)) == 10
    assert "no-store" in done["Cache-Control"]
    assert TOTPDevice.objects.get().confirmed
    assert inside(client)


def test_a_wrong_first_code_sets_nothing_up() -> None:
    client = signed_in(somebody())
    client.get(ENROL)
    page = client.post(ENROL, {"code": "000000"}).content.decode()
    assert "This code is wrong." in page
    assert not TOTPDevice.objects.get().confirmed


def test_the_key_stays_while_somebody_types() -> None:
    client = signed_in(somebody())
    first = key_on(client.get(ENROL).content.decode())
    assert key_on(client.get(ENROL).content.decode()) == first
    other = signed_in(somebody(name="bob"))
    assert key_on(other.get(ENROL).content.decode()) != first


def test_the_login_asks_for_the_code() -> None:
    device, _ = enrolled(somebody())
    client = Client()
    log_in(client)
    for path in ("/admin/", "/admin/csms/chargepoint/", "/admin/password_change/", ACCOUNT, "/"):
        answer = client.get(path)
        assert answer.status_code == 302
        assert answer["Location"].startswith(CHALLENGE), path
    assert client.post("/admin/csms/idtag/add/", {"id_tag": "X"})["Location"] == CHALLENGE
    assert "This code is wrong" in client.post(CHALLENGE, {"code": "123456"}).content.decode()
    assert not inside(client)
    TOTPDevice.objects.update(throttling_failure_count=0)
    before = client.session.session_key
    asked = f"{CHALLENGE}?next=/admin/csms/idtag/"
    assert client.post(asked, {"code": app_code(device, 1)})["Location"] == "/admin/csms/idtag/"
    assert client.session.session_key != before
    assert inside(client)


def test_a_code_is_good_once() -> None:
    device, _ = enrolled(somebody())
    code = app_code(device, 1)
    for expected in (True, False):
        client = Client()
        log_in(client)
        client.post(CHALLENGE, {"code": code})
        assert inside(client) is expected


def test_a_backup_code_is_good_once() -> None:
    _, codes = enrolled(somebody())
    written = f" {codes[0][:4].upper()}-{codes[0][4:]} "  # as people type it
    for expected in (True, False):
        client = Client()
        log_in(client)
        client.post(CHALLENGE, {"code": written})
        assert inside(client) is expected
    assert StaticToken.objects.count() == 9


def test_wrong_codes_make_it_wait() -> None:
    """Guessing is hopeless: after n wrong codes the next is looked at after 2^n s."""
    device, _ = enrolled(somebody())
    client = Client()
    log_in(client)
    client.post(CHALLENGE, {"code": "000000"})
    page = client.post(CHALLENGE, {"code": app_code(device, 1)}).content.decode()
    assert "Too many wrong codes: try again in 1 s." in page
    assert not inside(client)
    device.refresh_from_db()
    assert device.throttling_failure_count == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("code", ["000000", "no backup code"])
def test_a_wrong_code_is_a_security_event(code: str) -> None:
    """Whoever gives it knows the password already."""
    security_events.forget()
    enrolled(somebody())
    client = Client()
    log_in(client)
    for _ in range(3):
        client.post(CHALLENGE, {"code": code}, REMOTE_ADDR="192.0.2.7")
    event = SecurityEvent.objects.get()
    assert (event.kind, event.tech_info) == ("WrongSecondFactor", "user ann")
    assert event.remote_address == "192.0.2.7"


def test_the_code_of_another_user_is_wrong() -> None:
    enrolled(somebody())
    device, codes = enrolled(somebody(name="bob"))
    client = Client()
    log_in(client)
    for code in (app_code(device, 1), codes[0]):
        client.post(CHALLENGE, {"code": code})
        assert not inside(client)


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "/\\evil.example"]
)
def test_nobody_is_led_to_another_site(wanted: str) -> None:
    device, _ = enrolled(somebody())
    client = Client()
    log_in(client)
    answer = client.post(f"{CHALLENGE}?next={wanted}", {"code": app_code(device, 1)})
    assert answer["Location"] == "/admin/"


@pytest.mark.usefixtures("required")
def test_when_required_it_is_set_up_at_the_first_login() -> None:
    somebody()
    client = Client()
    log_in(client)
    assert client.get("/admin/", follow=True).redirect_chain[-1][0].startswith(ENROL)
    assert client.get(ACCOUNT)["Location"].startswith(CHALLENGE)
    page = client.get(ENROL).content.decode()
    assert "everybody logs in with a second factor" in page
    client.post(ENROL, {"code": code_of_key(key_on(page))})
    assert inside(client)


@pytest.mark.usefixtures("required")
def test_when_required_nobody_removes_it() -> None:
    device, _ = enrolled(somebody())
    client = Client()
    log_in(client)
    client.post(CHALLENGE, {"code": app_code(device, 1)})
    TOTPDevice.objects.update(last_t=-1)
    assert "Remove" not in client.get(ACCOUNT).content.decode()
    client.post(ACCOUNT, {"code": app_code(device, 1), "remove": "1"})
    assert TOTPDevice.objects.filter(confirmed=True).exists()


def test_who_is_enrolled_cannot_be_replaced_by_a_session_alone() -> None:
    """A session that somebody left open is not enough to put another app in its place."""
    user = somebody()
    device, codes = enrolled(user)
    client = Client()
    log_in(client)
    assert client.get(ENROL)["Location"] == CHALLENGE
    client.post(CHALLENGE, {"code": app_code(device, 1)})
    assert client.get(ENROL)["Location"] == ACCOUNT
    assert client.post(ENROL, {"code": "000000"})["Location"] == ACCOUNT
    assert client.post(ACCOUNT, {"code": codes[0], "replace": "1"})["Location"] == ENROL
    page = client.get(ENROL).content.decode()
    client.post(ENROL, {"code": code_of_key(key_on(page))})
    assert TOTPDevice.objects.get().pk != device.pk


def test_backup_codes_are_made_anew_and_the_factor_removed() -> None:
    user = somebody()
    _, codes = enrolled(user)
    client = Client()
    log_in(client)
    client.post(CHALLENGE, {"code": codes[0]})
    assert "left: 9" in client.get(ACCOUNT).content.decode()
    client.post(ACCOUNT, {"code": "nonsense", "remove": "1"})
    assert TOTPDevice.objects.exists()
    StaticDevice.objects.get(user=user).throttle_reset()
    fresh = codes_on(client.post(ACCOUNT, {"code": codes[1], "renew": "1"}).content.decode())
    assert len(fresh) == 10
    assert not set(fresh) & set(codes)
    last = AuditEntry.objects.filter(kind="auth.user").order_by("-id")[0]
    assert (last.by, last.changes) == ("admin: ann", {"backup codes": ["", MASK]})
    client.post(ACCOUNT, {"code": codes[2], "remove": "1"})  # of the old ones: over
    assert TOTPDevice.objects.exists()
    StaticDevice.objects.get(user=user).throttle_reset()
    client.post(ACCOUNT, {"code": fresh[0], "remove": "1"})
    assert not TOTPDevice.objects.exists()
    assert not StaticToken.objects.exists()


def test_setting_it_up_ends_the_other_sessions() -> None:
    user = somebody()
    stranger, client = signed_in(user), signed_in(user)
    page = client.get(ENROL).content.decode()
    client.post(ENROL, {"code": code_of_key(key_on(page))})
    assert inside(client)
    assert not inside(stranger)


@pytest.mark.parametrize("by", ["shell", "page"])
def test_an_admin_resets_it(by: str, admin_client: Client) -> None:
    """For who has lost app and codes. Whoever has the phone is signed out."""
    user = somebody("operator")
    device, _ = enrolled(user)
    thief = Client()
    log_in(thief)
    thief.post(CHALLENGE, {"code": app_code(device, 1)})
    assert inside(thief)
    if by == "shell":
        call_command("two_factor", "reset", "ann", stdout=io.StringIO())
    else:
        data = {"action": "reset_second_factor", "_selected_action": [user.pk], "index": 0}
        admin_client.post("/admin/auth/user/", data)
    assert not TOTPDevice.objects.exists()
    assert not inside(thief)
    client = Client()
    log_in(client)
    assert inside(client)


def test_only_who_manages_users_resets_it() -> None:
    user = somebody("manager")
    enrolled(User.objects.create_user("bob", password="bob"))
    data = {"action": "reset_second_factor", "_selected_action": [user.pk], "index": 0}
    assert signed_in(user).post("/admin/auth/user/", data).status_code == 403
    assert TOTPDevice.objects.exists()


def test_a_login_under_way_goes_on_when_it_is_reset() -> None:
    user = somebody()
    enrolled(user)
    client = Client()
    log_in(client)
    TOTPDevice.objects.all().delete()
    assert client.get("/admin/", follow=True).redirect_chain[-1][0] == "/admin/"


def test_the_shell_lists_and_says_who_is_unknown() -> None:
    enrolled(somebody())
    somebody(name="bob")
    out = io.StringIO()
    call_command("two_factor", "list", stdout=out)
    assert out.getvalue().splitlines() == ["ann\tset up\tbackup codes left 10", "bob\tnone"]
    with pytest.raises(CommandError, match=r"There is no user nobody\."):
        call_command("two_factor", "reset", "nobody")
    with pytest.raises(CommandError, match=r"bob has no second factor: nothing was reset\."):
        call_command("two_factor", "reset", "bob")


def test_no_page_shows_the_keys_of_others(admin_client: Client) -> None:
    """Not even to a superuser: the library's own pages, which do, are gone."""
    device, codes = enrolled(somebody())
    assert admin_client.get("/admin/otp_totp/totpdevice/").status_code == 404
    assert admin_client.get("/admin/otp_static/staticdevice/").status_code == 404
    for url in ("/admin/auth/user/", f"/admin/auth/user/{device.user_id}/change/", "/admin/"):
        html = admin_client.get(url).content.decode()
        assert device.key not in html
        assert codes[0] not in html


def test_tokens_of_the_api_are_not_concerned() -> None:
    user = somebody("viewer")
    enrolled(user)
    from csms.services.tokens import token_add
    from tests.api.caller import Caller

    _, text = token_add(name="n", user=user)
    api = Caller(text)
    api.get("charge-points")
    assert api.status == 200
