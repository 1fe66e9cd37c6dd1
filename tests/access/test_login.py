"""Wrong passwords, sessions that end, cookies."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.db.models import F
from django.test import Client
from pytest_django import Settings

from csms import conf
from csms.admin.guard import address_of, remote_address
from csms.models import AuditEntry, SecurityEvent
from csms.services import security_events
from csms.services.sessions import sessions_end
from csms.services.sign_in import USERS_TRIED
from tests.access.people import LOGIN, Patience, configured, log_in, signed_in, somebody

pytestmark = pytest.mark.django_db


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Patience:
    return Patience(monkeypatch)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        configured(patch, CSMS_SESSION_IDLE_MINUTES="30", CSMS_SESSION_HOURS="2")
        yield
    conf.settings.cache_clear()


@pytest.fixture
def quick_hashes(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def lock(client: Client, **headers: str) -> None:
    for _ in range(conf.settings().login_failures):
        log_in(client, password="wrong", **headers)


def inside(client: Client) -> bool:
    return client.get("/admin/").status_code == 200


# -------------------------------------------------------------------- wrong passwords


def test_too_many_wrong_passwords_make_the_pair_wait() -> None:
    """Then even the right password is not looked at; the page says why and how long."""
    somebody()
    client = Client()
    for _ in range(conf.settings().login_failures - 1):
        assert log_in(client, password="wrong").status_code == 200
    answer = log_in(client, password="wrong")
    assert answer.status_code == 429
    assert answer["Retry-After"] == "900"
    assert "Try again in 15 minutes" in answer.content.decode()
    assert log_in(client).status_code == 429
    assert not inside(client)


def test_the_real_user_gets_in_from_elsewhere() -> None:
    """Nobody can lock somebody out by giving wrong passwords."""
    somebody()
    lock(Client(), REMOTE_ADDR="192.0.2.1")
    assert log_in(Client(), REMOTE_ADDR="192.0.2.1").status_code == 429
    client = Client()
    assert log_in(client, REMOTE_ADDR="192.0.2.2").status_code == 302
    assert inside(client)


def test_another_user_gets_in_from_the_same_address() -> None:
    somebody()
    somebody(name="bob")
    lock(Client())
    assert log_in(Client(), "bob").status_code == 302


def test_another_browser_is_no_way_around() -> None:
    somebody()
    lock(Client(), HTTP_USER_AGENT="one")
    assert log_in(Client(), HTTP_USER_AGENT="two").status_code == 429


def test_the_wait_ends_and_does_not_grow_by_trying() -> None:
    somebody()
    client = Client()
    lock(client)
    before = AccessAttempt.objects.get().attempt_time
    for _ in range(3):
        log_in(client, password="wrong")
    assert AccessAttempt.objects.get().attempt_time == before
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(minutes=16))
    assert log_in(client).status_code == 302


def test_a_right_password_forgets_the_wrong_ones() -> None:
    somebody()
    for _ in range(3):
        for _ in range(conf.settings().login_failures - 1):
            log_in(Client(), password="wrong")
        assert log_in(Client()).status_code == 302


def test_somebody_who_manages_users_lets_the_pair_in(admin_client: Client) -> None:
    somebody()
    client = Client()
    lock(client)
    row = AccessAttempt.objects.get()
    page = admin_client.get("/admin/axes/accessattempt/").content.decode()
    assert "must wait" in page
    assert "127.0.0.1" in page
    data = {"action": "let_in", "_selected_action": [row.pk], "index": 0}
    admin_client.post("/admin/axes/accessattempt/", data)
    entry = AuditEntry.objects.get(kind="axes.accessattempt")
    assert (entry.by, entry.changes) == ("admin: admin", {"address": ["127.0.0.1", ""]})
    assert log_in(client).status_code == 302


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a" * 150, "ann\u202e", "\x1b[2J"])
def test_odd_user_names_are_counted_and_shown_as_text(name: str, admin_client: Client) -> None:
    client = Client()
    lock(client, HTTP_USER_AGENT="<script>" * 100)
    for _ in range(2):
        assert log_in(client, name, "wrong").status_code == 200
    html = admin_client.get("/admin/axes/accessattempt/").content.decode()
    assert "<script>alert(1)" not in html
    assert "\x1b" not in html


def test_no_password_is_kept_of_a_failed_login() -> None:
    client = Client()
    client.post(f"{LOGIN}?password=canary-1", {"username": "ann", "password": "canary-2"})
    row = AccessAttempt.objects.get()
    assert "canary" not in f"{row.get_data} {row.post_data} {row.path_info}"


@pytest.mark.parametrize(
    ("remote", "address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("2001:DB8::1:2", "2001:db8::1:2", "2001:db8::"),
        ("", "", None),
        ("unix:", "", None),
    ],
)
def test_addresses(remote: str, address: str, counted: str | None, rf: object) -> None:
    request = rf.get("/", REMOTE_ADDR=remote)  # type: ignore[attr-defined]
    assert (remote_address(request), address_of(request)) == (address, counted)


# ---------------------------------------------------------- many users, many addresses


def test_another_address_of_the_same_network_is_no_way_around() -> None:
    """Who has one IPv6 address has 2^64 of them."""
    somebody()
    for number in range(conf.settings().login_failures):
        log_in(Client(), password="wrong", REMOTE_ADDR=f"2001:db8::{number:x}")
    assert log_in(Client(), REMOTE_ADDR="2001:db8::ffff").status_code == 429
    assert log_in(Client(), REMOTE_ADDR="2001:db8:0:1::1").status_code == 302


def spray(address: str, times: int) -> list[int]:
    """One wrong password for each of many users; the statuses."""
    return [
        log_in(Client(), f"user-{number}", "Spring2026", REMOTE_ADDR=address).status_code
        for number in range(times)
    ]


@pytest.mark.usefixtures("quick_hashes")
def test_one_password_for_many_users_is_guessing_too() -> None:
    """Beyond ten times as many as for one user nothing from that address is looked at."""
    somebody()
    most = USERS_TRIED * conf.settings().login_failures
    assert spray("192.0.2.1", most + 2) == [200] * most + [429] * 2
    assert log_in(Client(), REMOTE_ADDR="192.0.2.1").status_code == 429
    assert log_in(Client(), REMOTE_ADDR="192.0.2.2").status_code == 302
    past = timedelta(minutes=conf.settings().login_wait_minutes)
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - past)
    assert log_in(Client(), REMOTE_ADDR="192.0.2.1").status_code == 302


@pytest.mark.usefixtures("quick_hashes")
@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::7"])
def test_who_has_signed_in_from_there_is_not_concerned(address: str) -> None:
    """Nobody who guesses behind the address of an office locks it out."""
    somebody()
    somebody(name="bob")
    assert log_in(Client(), REMOTE_ADDR=address).status_code == 302
    spray(address, USERS_TRIED * conf.settings().login_failures)
    assert log_in(Client(), "bob", REMOTE_ADDR=address).status_code == 429
    assert log_in(Client(), REMOTE_ADDR=address).status_code == 302


@pytest.mark.django_db(transaction=True)
def test_a_login_that_is_refused_unseen_is_a_security_event(admin_client: Client) -> None:
    """One for a series; without the name, which may be a password."""
    security_events.forget()
    client = Client()
    for _ in range(3):
        lock(client, REMOTE_ADDR="192.0.2.1")
    event = SecurityEvent.objects.get()
    assert (event.kind, event.remote_address, event.ours) == (
        *("AdminLoginRefused", "192.0.2.1"),
        True,
    )
    assert "ann" not in event.tech_info
    found = admin_client.get("/admin/csms/securityevent/", {"refused": "people"})
    assert [row.pk for row in found.context["cl"].result_list] == [event.pk]


# ------------------------------------------------------------------------- sessions


@pytest.mark.usefixtures("short")
def test_a_session_ends_without_use(patience: Patience) -> None:
    client = signed_in(somebody())
    for _ in range(3):
        patience.wait(minutes=25)
        assert inside(client)
    patience.wait(minutes=31)
    answer = client.get("/admin/csms/idtag/", follow=True)
    assert answer.redirect_chain[-1][0] == "/admin/login/?next=/admin/csms/idtag/"
    assert "signed out after 30 minutes without use" in answer.content.decode()


@pytest.mark.usefixtures("short")
def test_a_page_that_refreshes_itself_is_no_use(patience: Patience) -> None:
    client = signed_in(somebody())
    for _ in range(3):
        patience.wait(minutes=9)
        assert client.get("/admin/", headers={"Sec-Fetch-Dest": "empty"}).status_code == 200
    patience.wait(minutes=9)
    assert not inside(client)


@pytest.mark.usefixtures("short")
def test_a_session_ends_in_any_case(patience: Patience) -> None:
    client = signed_in(somebody())
    for _ in range(5):
        patience.wait(minutes=23)
        assert inside(client)
    patience.wait(minutes=6)
    assert not inside(client)


@pytest.mark.usefixtures("short")
def test_use_is_written_once_a_minute(patience: Patience) -> None:
    from csms.services.sessions import SEEN

    client = signed_in(somebody())
    before = client.session[SEEN]
    patience.wait(seconds=30)
    inside(client)
    assert client.session[SEEN] == before
    patience.wait(seconds=31)
    inside(client)
    assert client.session[SEEN] > before


def test_a_session_of_unknown_age_is_over() -> None:
    """As those from before an upgrade."""
    client = signed_in(somebody())
    session = client.session
    for key in [key for key in session.keys() if key.startswith("csms_")]:  # noqa: SIM118
        del session[key]
    session.save()
    assert not inside(client)


def test_a_new_password_ends_the_other_sessions() -> None:
    user = somebody()
    client = signed_in(user)
    user.set_password("another")
    user.save()
    assert not inside(client)


def test_the_sessions_of_one_user_are_ended() -> None:
    user = somebody()
    ann, again, bob = signed_in(user), signed_in(user), signed_in(somebody(name="bob"))
    assert sessions_end(user=user, but=again.session.session_key) == 1
    assert not inside(ann)
    assert inside(again)
    assert inside(bob)


# -------------------------------------------------------------------------- cookies


@pytest.mark.parametrize("secure", [False, True])
def test_the_session_cookie(secure: bool, settings: Settings) -> None:
    settings.SESSION_COOKIE_SECURE = secure
    somebody()
    client = Client()
    log_in(client)
    cookie = client.cookies["sessionid"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert bool(cookie["secure"]) is secure


@pytest.mark.parametrize(
    ("environment", "secure"),
    [
        ({}, False),
        ({"CSMS_TRUSTED_ORIGINS": "https://a.example"}, True),
        ({"CSMS_TRUSTED_ORIGINS": "https://a.example,http://b.example"}, False),
        ({"CSMS_TRUSTED_ORIGINS": "https://a.example", "CSMS_HTTPS_ONLY": "0"}, False),
        ({"CSMS_HTTPS_ONLY": "1"}, True),
        ({"CSMS_TLS_CERTIFICATES": "chain.pem:key.pem"}, True),
        ({"CSMS_TLS_CERTIFICATES": "chain.pem:key.pem", "CSMS_HTTPS_ONLY": "0"}, False),
    ],
)
def test_cookies_are_for_https_only_where_there_is_https(
    environment: dict[str, str], secure: bool
) -> None:
    assert conf.read(environment).secure_cookies is secure


@pytest.mark.parametrize(
    ("environment", "host"),
    [
        ({}, None),
        ({"CSMS_TRUSTED_ORIGINS": "http://a.example,https://b.example:444"}, "b.example:444"),
        (
            {"CSMS_TLS_CERTIFICATES": "c.pem", "CSMS_PUBLIC_HOST": "a.example"},
            "a.example:8443",
        ),
        ({"CSMS_TLS_CERTIFICATES": "c.pem"}, None),
    ],
)
def test_where_plain_http_leads(environment: dict[str, str], host: str | None) -> None:
    assert conf.read(environment).https_host == host


def test_plain_http_leads_to_https(settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_SSL_HOST = "csms.example.com"
    settings.SECURE_HSTS_SECONDS = 3600
    answer = Client().get("/admin/login/?next=/admin/")
    assert answer.status_code == 301
    assert answer["Location"] == "https://csms.example.com/admin/login/?next=/admin/"
    answer = Client().get("/admin/login/", secure=True)
    assert answer.status_code == 200
    assert answer["Strict-Transport-Security"] == "max-age=3600"
