"""Roll-outs in waves: what becomes of each charge point, when they stop, whose turn it is (N40)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections

from csms import conf
from csms.models import ChargePoint, Command, ConfigurationKey, RollOut, RollOutItem
from csms.models.commands import CommandState, Effect
from csms.services.effects import effects_check
from csms.services.roll_out_waves import AT_ONCE, roll_out_advance, roll_outs_advance
from csms.services.roll_outs import (
    RollOutRefused,
    roll_out_cancel,
    roll_out_create,
    roll_out_pause,
    roll_out_repeat,
    roll_out_resume,
)
from tests import factories
from tests.files.images import image, location_of, signed_image

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def reachable(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Charge points reach files under these addresses."""
    urls = ("https://files.test", "http://files.test", "ftp://files.test:2121")
    monkeypatch.setattr(conf, "_changed", {"file_urls": urls})
    conf.settings.cache_clear()
    yield
    monkeypatch.undo()
    conf.settings.cache_clear()


class Rolling:
    """A roll-out with a clock of its own."""

    def __init__(self, chargers: list[ChargePoint], **options: Any) -> None:
        self.now = datetime.now(UTC)
        picture = options.pop("picture", None) or image()
        self.row = roll_out_create(image=picture, charge_points=chargers, now=self.now, **options)

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)
        self.step()

    def step(self) -> "Rolling":
        roll_outs_advance(now=self.now)
        self.row.refresh_from_db()
        return self

    def states(self) -> str:
        """One letter a charge point, in the order of the waves: w(aiting), o(pen), d, f, l."""
        return "".join(state[0] for state in self.row.items.values_list("state", flat=True))

    def end(self, place: int, effect: Effect = Effect.SEEN, **columns: Any) -> None:
        """The update of a charge point ends so."""
        item = self.row.items.all()[place]
        values = {"state": CommandState.ACCEPTED, "effect": effect} | columns
        Command.objects.filter(roll_out_items=item).update(**values)


def fleet(number: int, **columns: Any) -> list[ChargePoint]:
    return [factories.charge_point(connected=True, **columns) for _ in range(number)]


def test_waves_one_after_another() -> None:
    """Each begins when all of the one before have installed the image."""
    rolling = Rolling(fleet(6), first_wave=1, wave_size=3).step()
    rolling.later(minutes=59)
    assert rolling.states() == "owwwww"
    rolling.end(0, Effect.NONE, state=CommandState.SENT)
    rolling.later(hours=5)
    assert rolling.states() == "owwwww"
    rolling.end(0)
    rolling.step().step()
    assert (rolling.states(), rolling.row.wave) == ("dooowww"[:6], 2)
    for place in (1, 2, 3):
        rolling.end(place)
    rolling.step().step()
    assert (rolling.states(), rolling.row.wave) == ("ddddoo", 3)
    for place in (4, 5):
        rolling.end(place)
    rolling.step()
    assert (rolling.row.state, rolling.states()) == ("finished", "dddddd")


def test_who_is_offline_holds_a_wave_up_for_a_while_only() -> None:
    rolling = Rolling(
        [factories.charge_point(connected=False), *fleet(2)], first_wave=1, patience=30
    )
    rolling.step()
    assert rolling.states() == "oww"  # who is online goes first
    rolling.end(0)
    rolling.step().step()
    assert rolling.states() == "doo"
    rolling.end(1)
    rolling.later(minutes=31)
    assert (rolling.row.state, rolling.states()) == ("running", "ddo")


def test_patience_then_the_next_wave_and_the_late_one_still_counts() -> None:
    rolling = Rolling(
        [factories.charge_point(connected=False) for _ in range(2)], first_wave=1, patience=30
    ).step()
    rolling.later(minutes=29)
    assert rolling.states() == "ow"
    rolling.later(minutes=2)
    rolling.step()
    assert (rolling.states(), rolling.row.wave) == ("oo", 2)
    rolling.end(0)
    rolling.end(1, Effect.NONE, state=CommandState.EXPIRED, error="Not reached in time.")
    rolling.step()
    assert rolling.states() == "df"


def test_rest_between_waves() -> None:
    rolling = Rolling(fleet(2), first_wave=1, rest=60).step()
    rolling.end(0)
    rolling.step().step()
    assert rolling.states() == "dw"
    assert rolling.row.next_at == rolling.now + timedelta(hours=1)
    rolling.later(minutes=61)
    rolling.step()
    assert rolling.states() == "do"


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"effect": Effect.MISSING, "effect_text": "InstallationFailed"}, "InstallationFailed"),
        ({"state": "rejected", "effect": "", "answer": {"status": "Rejected"}}, "Rejected"),
        ({"state": "error", "effect": "", "error": "InternalError: oh"}, "InternalError: oh"),
        ({"state": "error", "effect": "", "error": "NotSupported: "}, "SignedUpdateFirmware"),
        ({"state": "expired", "effect": "", "error": "In vain."}, "In vain."),
    ],
)
def test_it_stops_when_too_many_fail(columns: dict[str, Any], reason: str) -> None:
    """WP L01.FR.20: who answers NotSupported takes signed firmware only, and that is said."""
    rolling = Rolling(fleet(5), first_wave=2, wave_size=3, max_failures=1).step()
    rolling.end(0, **columns)
    rolling.step()
    assert (rolling.row.state, rolling.states()) == ("running", "fowww")
    assert reason in rolling.row.items.all()[0].reason
    rolling.end(1, **columns)
    rolling.step()
    assert (rolling.row.state, rolling.states()) == ("stopped", "ffwww")
    assert rolling.row.reason == "2 failed, and at most 1 may."
    rolling.later(hours=9)
    assert rolling.states() == "ffwww"


@pytest.mark.parametrize(("minutes", "states"), [(39, "ow"), (41, "fw")])
def test_a_failed_download_that_nothing_follows_is_the_end(minutes: int, states: str) -> None:
    """Some charge points tell of each attempt, others of the last one only: time tells."""
    rolling = Rolling(fleet(2), first_wave=1, retries=2, retry_interval=600).step()
    failed_at = rolling.now - timedelta(minutes=minutes)
    rolling.end(
        0,
        Effect.WAITING,
        sent_at=failed_at - timedelta(minutes=1),
        effect_until=rolling.now + timedelta(days=1),
    )
    charger = rolling.row.items.all()[0].charge_point
    factories.transfer(charger, status="DownloadFailed", received_at=failed_at)
    effects_check(now=rolling.now)
    rolling.step()
    assert rolling.states() == states
    assert rolling.row.state == ("stopped" if states == "fw" else "running")


def test_stopping_takes_back_what_was_not_delivered() -> None:
    rolling = Rolling(fleet(3), first_wave=3).step()
    rolling.end(0, Effect.MISSING)
    rolling.end(1, Effect.NONE, state=CommandState.SENT)
    rolling.step()
    assert (rolling.row.state, rolling.states()) == ("stopped", "fow")
    assert Command.objects.filter(state="cancelled").count() == 1
    rolling.end(1)
    rolling.step()
    assert rolling.states() == "fdw"


def test_resumed_it_goes_on_and_what_failed_counts_no_more() -> None:
    rolling = Rolling(fleet(3), first_wave=1, wave_size=1).step()
    rolling.end(0, Effect.MISSING)
    rolling.step()
    assert rolling.row.state == "stopped"
    roll_out_resume(roll_out_id=rolling.row.pk, now=rolling.now)
    rolling.step().step()
    assert (rolling.row.state, rolling.states()) == ("running", "fow")
    rolling.end(1, Effect.MISSING)
    rolling.step()
    assert (rolling.row.state, rolling.states()) == ("stopped", "ffw")


def test_pause_and_resume() -> None:
    rolling = Rolling(fleet(3), first_wave=2).step()
    rolling.end(0, Effect.NONE, state=CommandState.SENT)
    roll_out_pause(roll_out_id=rolling.row.pk)
    rolling.later(hours=3)
    assert (rolling.row.state, rolling.states()) == ("paused", "oww")
    with pytest.raises(RollOutRefused):
        roll_out_pause(roll_out_id=rolling.row.pk)
    roll_out_resume(roll_out_id=rolling.row.pk, now=rolling.now)
    rolling.step()
    assert rolling.states() == "oow"


def test_cancel() -> None:
    rolling = Rolling(fleet(3), first_wave=2).step()
    rolling.end(0, Effect.NONE, state=CommandState.SENT)
    roll_out_cancel(roll_out_id=rolling.row.pk, now=rolling.now)
    rolling.end(0)
    rolling.step()
    assert (rolling.row.state, rolling.states()) == ("cancelled", "dll")
    for act in (roll_out_cancel, roll_out_resume, roll_out_pause, roll_out_repeat):
        with pytest.raises(RollOutRefused):
            act(roll_out_id=rolling.row.pk)


def test_who_failed_tries_again_behind_the_others() -> None:
    rolling = Rolling(fleet(3), first_wave=3, max_failures=5).step()
    for place in (0, 1):
        rolling.end(place, Effect.MISSING)
    rolling.end(2)
    rolling.step()
    assert (rolling.row.state, rolling.states()) == ("finished", "ffd")
    roll_out_repeat(roll_out_id=rolling.row.pk, now=rolling.now)
    rolling.step().step()
    assert rolling.row.state == "running"
    assert sorted(rolling.states()) == ["d", "o", "o"]


def test_a_deleted_command_is_a_failure_and_a_cancelled_one_none() -> None:
    rolling = Rolling(fleet(2), first_wave=2, max_failures=2).step()
    first, second = rolling.row.items.all()
    Command.objects.filter(roll_out_items=first).delete()
    Command.objects.filter(roll_out_items=second).update(state="cancelled")
    rolling.step()
    assert rolling.states() == "fl"


def test_many_at_once_in_steps() -> None:
    """A step holds the row for a moment only."""
    rolling = Rolling(fleet(AT_ONCE + 3), first_wave=AT_ONCE + 3).step()
    assert rolling.states().count("o") == AT_ONCE
    rolling.step()
    assert rolling.states().count("o") == AT_ONCE + 3


# ------------------------------------------------------------------------- who takes part


def left_out(charger: ChargePoint, picture: Any = None, **options: Any) -> str:
    rolling = Rolling([charger, *fleet(1)], picture=picture, **options)
    item = RollOutItem.objects.get(roll_out=rolling.row, charge_point=charger)
    return item.reason


def test_only_those_whom_the_image_is_for() -> None:
    for_others = image(vendor="Other", model="X", version="9")
    with pytest.raises(RollOutRefused, match="Other only"):
        Rolling(fleet(1), picture=for_others)
    picture = image(vendor="example", model="Wallbox 22", version="2")
    assert left_out(factories.charge_point(), picture) == ""
    assert "only" in left_out(factories.charge_point(model="Wallbox 7"), picture)
    assert "not known yet" in left_out(factories.charge_point(vendor=""), picture)
    assert left_out(factories.charge_point(firmware_version="2"), picture) == "It runs 2 already."


def test_one_roll_out_at_a_time() -> None:
    charger = factories.charge_point()
    first = Rolling([charger])
    assert f"roll-out {first.row.pk}" in left_out(charger, image(version="3"))


def told(charger: ChargePoint, key: str, value: str) -> None:
    ConfigurationKey.objects.create(
        charge_point=charger, key=key, folded=key.casefold(), value=value
    )


@pytest.mark.parametrize(
    ("protocols", "transport", "scheme"),
    [
        ("FTP,HTTP", "json", "http"),
        ("HTTPS, FTP", "json", "https"),
        ("ftp", "json", "ftp"),
        ("FTP,FTPS", "soap", "ftp"),
        ("", "json", "http"),
        ("", "soap", "ftp"),
    ],
)
def test_the_scheme_is_one_that_it_supports(protocols: str, transport: str, scheme: str) -> None:
    """N40: SupportedFileTransferProtocols; where they are not known, what is usual."""
    charger = factories.charge_point(transport=transport, connected=True)
    if protocols:
        told(charger, "SupportedFileTransferProtocols", protocols)
    rolling = Rolling([charger]).step()
    assert location_of(rolling.row.items.get().command).startswith(f"{scheme}://")


def test_nothing_is_sent_over_what_it_does_not_support() -> None:
    charger = factories.charge_point()
    told(charger, "SupportedFileTransferProtocols", "SFTP")
    assert "SFTP" in left_out(charger)


def test_who_knows_no_address_of_ours_is_told_which_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(conf._changed, "file_urls", ())
    conf.settings.cache_clear()
    with pytest.raises(RollOutRefused, match="CSMS_FILE_URLS"):
        Rolling(fleet(1))


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_signed_where_both_can(kind: str) -> None:
    """WP L01: JSON with the security extension gets SignedUpdateFirmware; SOAP never."""
    picture = signed_image(kind)
    knows, plain = fleet(2)
    told(knows, "SecurityProfile", "1")
    soap = factories.charge_point(transport="soap", connected=True)
    rolling = Rolling([knows, plain, soap], picture=picture, first_wave=3).step()
    sent = {
        item.charge_point_id: item.command.action
        for item in rolling.row.items.all()
        if item.command is not None
    }
    assert sent == {
        knows.pk: "SignedUpdateFirmware",
        plain.pk: "UpdateFirmware",
        soap.pk: "UpdateFirmware",
    }
    assert "SOAP" in left_out(factories.charge_point(transport="soap"), picture, method="signed")


# --------------------------------------------------------------------- locations, secrets


def test_the_location_works_until_the_last_attempt() -> None:
    """N40: retrieveDate, the retries, and some hours rolling."""
    begins = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    rolling = Rolling(fleet(1), not_before=begins, retries=4, retry_interval=3600).step()
    command = rolling.row.items.get().command
    assert command is not None
    expires = int(location_of(command).split("/files/firmware/")[1].split(".")[2])
    assert expires == int((begins + timedelta(hours=4 + 24)).timestamp())
    assert command.payload["retrieveDate"] == f"{begins:%Y-%m-%dT%H:%M:%SZ}"
    assert (command.payload["retries"], command.payload["retryInterval"]) == (4, 3600)


@pytest.mark.parametrize("scheme", ["http", "ftp"])
def test_a_stored_command_tells_no_signature(scheme: str) -> None:
    """WP A01.FR.09: it is sealed until the command has ended, and masked beside that."""
    rolling = Rolling(fleet(1), scheme=scheme).step()
    command = rolling.row.items.get().command
    assert command is not None
    location = location_of(command)
    secret = location.split("/")[6] if scheme == "http" else location.split(":")[2].split("@")[0]
    assert len(secret) == 22
    assert secret not in str(command.payload)
    assert "•••" in command.payload["location"]
    assert secret not in command.sealed


# ------------------------------------------------------------------------ one at a time


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_two_processes_one_advances_it() -> None:
    """The row is locked: who comes second passes on."""
    import threading

    rolling = Rolling(fleet(2), first_wave=1)
    said: list[bool] = []

    def other() -> None:
        said.append(roll_out_advance(roll_out_id=rolling.row.pk, now=rolling.now))
        connections.close_all()

    from django.db import transaction

    with transaction.atomic():
        RollOut.objects.select_for_update().get(pk=rolling.row.pk)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(10)
    assert said == [False]
    assert connection.vendor == "postgresql"
    assert roll_out_advance(roll_out_id=rolling.row.pk, now=rolling.now)
    assert Command.objects.count() == 1
