"""Logins and changes through the running server: asynchronous, as in production."""

import re

import httpx
import pytest

from csms.models import AuditEntry
from csms.services.tokens import token_add
from tests import factories
from tests.access.people import app_code, enrolled, somebody
from tests.fixtures import lasting_system, system
from tests.running import System

__all__ = ["lasting_system", "system"]

pytestmark = pytest.mark.django_db(transaction=True)


class Visitor(httpx.Client):
    """A browser without pictures."""

    def __init__(self, system: System) -> None:
        super().__init__(base_url=system.http_url, trust_env=False, follow_redirects=True)

    def submit(self, path: str, **fields: str) -> httpx.Response:
        """Open a page and send its form."""
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.get(path).text)
        assert token is not None
        return self.post(path, data={"csrfmiddlewaretoken": token[1], **fields})


def test_password_and_code(system: System) -> None:
    device, _ = enrolled(somebody())
    with Visitor(system) as visitor:
        page = visitor.submit(
            "/admin/login/?next=/admin/csms/idtag/", username="ann", password="ann"
        )
        assert page.url.path == "/admin/two-factor/"
        assert visitor.get("/admin/csms/chargepoint/").url.path == "/admin/two-factor/"
        page = visitor.submit(str(page.url), code=app_code(device, 1))
        assert page.url.path == "/admin/csms/idtag/"
        visitor.submit("/admin/csms/idtag/add/", id_tag="T", max_transactions="1")
    entry = AuditEntry.objects.get(kind="csms.idtag")
    assert (entry.by, entry.remote_address) == ("admin: ann", "127.0.0.1")


def test_too_many_wrong_passwords(system: System) -> None:
    somebody()
    somebody(name="bob")
    with Visitor(system) as visitor:
        for _ in range(5):
            answer = visitor.submit("/admin/login/", username="ann", password="wrong")
        assert answer.status_code == 429
        assert "Try again in 15 minutes" in answer.text
        answer = visitor.submit("/admin/login/", username="bob", password="bob")
        assert answer.url.path == "/admin/"


def test_changes_of_a_token_are_its_own(system: System) -> None:
    factories.charge_point(identity="CP1")
    _, text = token_add(name="billing", role="manager")
    answer = httpx.patch(
        f"{system.http_url}/api/v1/charge-points/CP1",
        json={"site": "South"},
        headers={"Authorization": f"Bearer {text}"},
        trust_env=False,
    )
    assert answer.status_code == 200
    entry = AuditEntry.objects.get(kind="csms.chargepoint", action="changed")
    assert (entry.by, entry.remote_address) == ("API: billing", "127.0.0.1")
    factories.id_tag("T")
    assert AuditEntry.objects.get(kind="csms.idtag").by == ""
