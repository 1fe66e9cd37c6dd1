"""Nobody does through a page or the REST API what no permission allows: every address of both is
tried, with accounts that may do nothing, or only look."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.wsgi import get_wsgi_application
from django.db.models import Model
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from csms import conf
from csms.api.application import api as described
from csms.models import AuditEntry, Command
from csms.services.tokens import token_add
from tests.access.people import signed_in, somebody
from tests.api.existing import Existing

FOR_EVERYBODY = {
    *("", "login/", "logout/", "password_change/", "password_change/done/", "jsi18n/"),
    *("two-factor/", "two-factor/set-up/", "two-factor/account/", "search/"),
}
"""What somebody who may do nothing still has: the own account; an empty search."""

SEEN = frozenset({"auditentry", "securityevent", "session", "accessattempt"})
"""Tables that note what somebody tried."""


def patterns(resolver: URLResolver, before: str = "") -> Iterator[str]:
    """Every address below this one, its parameters as `<name>`."""
    for each in resolver.url_patterns:
        route = before + re.sub(r"<\w+:", "<", str(each.pattern))
        if isinstance(each, URLPattern):
            yield route
        else:
            yield from patterns(each, route)


ADMIN = sorted(
    {route.removeprefix("admin/") for route in patterns(get_resolver()) if "admin/" in route[:6]}
)


def rows() -> dict[str, list[str]]:
    """All that is kept, table by table, but for what notes the attempts themselves."""
    return {
        model._meta.label: sorted(map(repr, model._default_manager.values()))
        for model in apps.get_models()
        if model._meta.model_name not in SEEN
    }


def filled(route: str) -> str:
    """An address with the keys of rows that exist, where there are some."""
    found = re.match(r"(\w+)/(\w+)/", route)
    pk: Any = 1
    if found and found[1] in apps.app_configs:
        try:
            model: type[Model] = apps.get_model(found[1], found[2])
        except LookupError:
            pass
        else:
            first = model._default_manager.first()
            pk = first.pk if first is not None else 1
    return "/admin/" + re.sub(r"<[^>]*>", str(pk), route).replace("(?P", "").replace("$", "")


@pytest.fixture
def existing(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Existing]:
    """Charge points reach files under an address of ours."""
    monkeypatch.setattr(conf, "_changed", {"file_urls": ("http://files.test",)})
    conf.settings.cache_clear()
    yield Existing()
    monkeypatch.undo()
    conf.settings.cache_clear()


@pytest.mark.django_db(transaction=True)
def test_who_may_do_nothing_sees_nothing_of_the_admin(existing: Existing) -> None:
    """403, or led elsewhere, by every address; and nothing is changed by asking."""
    client = signed_in(User.objects.create_user("nobody", password="x", is_staff=True))
    before, answers = rows(), Counter[int]()
    assert len(ADMIN) > 150
    for route in set(ADMIN) - FOR_EVERYBODY:
        for response in (client.get(filled(route)), client.post(filled(route), {"post": "yes"})):
            response.close()
            answers[response.status_code] += 1
            led_on = response.status_code in (301, 302) and "csms" not in response["Location"][12:]
            assert response.status_code in (403, 404, 405) or led_on, (route, response.status_code)
    assert answers[403] > 150, answers
    assert "CP1" not in client.get("/admin/search/?s=CP1").content.decode()
    assert rows() == before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # unread files
@pytest.mark.django_db(transaction=True)
def test_who_may_only_look_changes_nothing_in_the_admin(existing: Existing) -> None:
    """Every address is posted to, and every action of every list is asked for, as a viewer."""
    client = signed_in(somebody("viewer"))
    before = rows()
    for route in set(ADMIN) - FOR_EVERYBODY:
        client.post(filled(route), {"post": "yes", "send_now": "1", "_save": "1"})
    for model, pages in admin.site._registry.items():
        place = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        for action in pages.actions or ():
            name = action if isinstance(action, str) else action.__name__
            keys = list(model._default_manager.values_list("pk", flat=True))
            data = {"action": name, "_selected_action": keys, "index": 0, "post": "yes"}
            client.post(place, data)
    assert rows() == before
    assert not AuditEntry.objects.filter(by="admin: ann").exclude(action="signed in").exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_no_action_of_a_list_sends_what_the_role_may_not(role: str, existing: Existing) -> None:
    """Repeat and cancel included: each is of its operation."""
    from csms.services.commands import command_send, request_of

    managers = request_of("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "60"})
    waiting = command_send(charge_point=existing.charger, request=managers, by="boss")
    before = set(Command.objects.values_list("pk", "state"))
    client = signed_in(somebody(role))
    for name in ("cancel_selected", "repeat_selected", "cancel", "repeat"):
        data = {"action": name, "_selected_action": [waiting.pk], "index": 0}
        client.post("/admin/csms/command/", data)
        client.post(f"/admin/csms/command/{waiting.pk}/{name}/")
        client.get(f"/admin/csms/command/{waiting.pk}/{name}")
    assert set(Command.objects.values_list("pk", "state")) == before


# ------------------------------------------------------------------------------- REST

OPERATIONS = [
    (method.upper(), path)
    for path, methods in described.get_openapi_schema()["paths"].items()
    for method in methods
]


@pytest.mark.django_db(transaction=True)
def test_a_token_that_may_do_nothing_does_nothing(existing: Existing) -> None:
    """403 by every operation, for requests that would succeed otherwise."""
    _, text = token_add(name="n", user=User.objects.create_user("nobody"))
    document = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", get_wsgi_application())
    before = rows()
    for method, path in OPERATIONS:
        cases = document[path][method].as_strategy(generation_mode=GenerationMode.POSITIVE)
        statuses = _tried(cases, {"Authorization": f"Bearer {text}"}, (method, path), existing)
        assert statuses <= {403, 404, 409, 422}, (method, path, statuses)
        assert 403 in statuses, (method, path, statuses)
    kept = rows()
    for noted in ("csms.ApiToken", "csms.IdempotencyKey"):  # when it was used, what was answered
        before.pop(noted)
        kept.pop(noted)
    assert kept == before


def _tried(
    cases: Any, headers: dict[str, str], place: tuple[str, str], existing: Existing
) -> set[int]:
    """What some requests of an operation are answered."""
    statuses: set[int] = set()

    @settings(
        max_examples=3,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def call(case: Any) -> None:
        for name in case.path_parameters:
            found = existing.named(place[1], name)
            if found is not None:
                case.path_parameters[name] = found
        if isinstance(case.body, dict):
            case.body |= existing.body(place)
        case.query.pop("wait", None)
        statuses.add(case.call(headers=headers).status_code)

    call()
    return statuses


@pytest.mark.django_db
def test_without_a_session_every_page_leads_to_the_login() -> None:
    """Without a session every page leads to the login."""
    for route in set(ADMIN) - {"login/", "jsi18n/"}:
        response = Client().get("/admin/" + re.sub(r"<[^>]*>", "1", route))
        assert response.status_code in (301, 302, 404, 405), route
