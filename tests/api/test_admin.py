"""The admin's page of tokens: what it shows, and who may revoke."""

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from csms.models import ApiToken
from csms.services.tokens import token_add

pytestmark = pytest.mark.django_db

PAGE = "/admin/csms/apitoken/"


def revoke(client: Client) -> int:
    body = {"action": "revoke_selected", "_selected_action": [ApiToken.objects.get().pk]}
    return client.post(PAGE, body).status_code


def test_a_token_is_seen_and_revoked_there(admin_client: Client) -> None:
    _, text = token_add(name="billing")
    page = admin_client.get(PAGE).content.decode()
    assert "api-billing" in page
    assert text not in page
    assert ApiToken.objects.get().digest not in page
    assert admin_client.get(f"{PAGE}add/").status_code == 403
    assert revoke(admin_client) == 302
    assert ApiToken.objects.get().revoked
    assert "revoked" in admin_client.get(PAGE).content.decode()


def test_who_may_only_look_revokes_nothing(client: Client) -> None:
    token_add(name="billing")
    user = User.objects.create_user("looker", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_apitoken"))
    client.force_login(user)
    assert client.get(PAGE).status_code == 200
    revoke(client)
    assert not ApiToken.objects.get().revoked


def test_the_list_takes_the_same_queries_for_any_number_of_tokens(admin_client: Client) -> None:
    counts = []
    for number in range(2):
        for step in range(6 * number + 1):
            token_add(name=f"n{number}{step}")
        with CaptureQueriesContext(connection) as captured:
            assert admin_client.get(PAGE).status_code == 200
        counts.append(len(captured))
    assert counts[0] == counts[1]
