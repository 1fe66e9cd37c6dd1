"""The Idempotency-Key: what is repeated is done once and answered the same."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from csms.models import ChargePoint, Command, IdempotencyKey
from csms.services.idempotency import idempotency_trim
from tests import factories
from tests.api.caller import Caller, caller

RESET = {"action": "Reset", "payload": {"type": "Soft"}}
PATH = "charge-points/CP1/commands"


@pytest.mark.django_db
def test_a_repeat_gets_the_first_answer_and_sends_nothing(api: Caller) -> None:
    factories.charge_point(identity="CP1")
    first = api.post(PATH, RESET, idempotency_key="k1")
    Command.objects.update(state="accepted")
    assert api.post(PATH, RESET, idempotency_key="k1") == first
    assert api.status == 202
    assert Command.objects.count() == 1
    assert api.post(PATH, RESET, idempotency_key="k2")["id"] != first["id"]
    assert api.post(PATH, RESET)["id"] != first["id"]
    assert Command.objects.count() == 3


@pytest.mark.django_db
def test_a_key_of_another_request_is_refused(api: Caller) -> None:
    factories.charge_point(identity="CP1")
    factories.charge_point(identity="CP2")
    api.post(PATH, RESET, idempotency_key="k")
    for path, body in (
        (PATH, {"action": "Reset", "payload": {"type": "Hard"}}),
        ("charge-points/CP2/commands", RESET),
        ("id-tags", {"id_tag": "x"}),
    ):
        answer = api.post(path, body, idempotency_key="k")
        assert (api.status, answer["error"]["field"]) == (422, "Idempotency-Key")
    assert Command.objects.count() == 1


@pytest.mark.django_db
def test_keys_of_two_users_are_apart(api: Caller) -> None:
    factories.charge_point(identity="CP1")
    api.post(PATH, RESET, idempotency_key="k")
    caller("operate").post(PATH, RESET, idempotency_key="k")
    assert Command.objects.count() == 2


@pytest.mark.django_db
def test_a_refused_request_may_be_corrected(api: Caller) -> None:
    factories.charge_point(identity="CP1", registration="Rejected")
    api.post(PATH, RESET, idempotency_key="k")
    assert api.status == 409
    assert not IdempotencyKey.objects.exists()
    ChargePoint.objects.update(registration="Accepted")
    api.post(PATH, RESET, idempotency_key="k")
    assert api.status == 202


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["x" * 256, "\x01"])
def test_a_key_that_cannot_be_kept_is_refused(key: str, api: Caller) -> None:
    factories.charge_point(identity="CP1")
    answer = api.post(PATH, RESET, idempotency_key=key)
    assert (api.status, answer["error"]["field"]) == (422, "Idempotency-Key")


@pytest.mark.django_db
def test_all_that_is_made_is_made_once(api: Caller) -> None:
    factories.charge_point(identity="CP1")
    waiting = factories.command(factories.charge_point())
    for path, body in (
        ("charge-points", {"identity": "new", "password": "hunter2"}),
        ("id-tags", {"id_tag": "new"}),
        ("commands/bulk", {**RESET, "identities": ["CP1"]}),
        (f"commands/{waiting.pk}/cancel", None),
    ):
        first = api.post(path, body, idempotency_key=path)
        status = api.status
        assert status in (200, 201, 202), first
        assert api.post(path, body, idempotency_key=path) == first
        assert api.status == status
    assert not any("hunter2" in row.response for row in IdempotencyKey.objects.all())


@pytest.mark.django_db
def test_keys_are_forgotten_after_a_day(api: Caller) -> None:
    factories.charge_point(identity="CP1")
    for key in ("old", "new"):
        api.post(PATH, RESET, idempotency_key=key)
    now = timezone.now()
    IdempotencyKey.objects.filter(key="old").update(created_at=now - timedelta(hours=24, seconds=1))
    assert idempotency_trim(now=now) == 1
    assert [row.key for row in IdempotencyKey.objects.all()] == ["new"]
    assert idempotency_trim(now=now) == 0


@pytest.mark.django_db(transaction=True)
def test_of_many_at_the_same_time_one_is_done() -> None:
    factories.charge_point(identity="CP1")
    token = caller("operate").token
    answers: list[Any] = []
    together = threading.Barrier(4)

    def ask() -> None:
        somebody = Caller(token)
        together.wait()
        answers.append((somebody.post(PATH, RESET, idempotency_key="k"), somebody.status))
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Command.objects.count() == 1
    assert len(answers) == 4
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][1] == 202
