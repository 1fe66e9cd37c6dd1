"""Keys of charge points: how they are kept, checked and rotated (N3–N5)."""

from datetime import UTC, datetime

import pytest

from csms.models import ChargePoint, Command
from csms.ocpp.core import (
    ChangeConfiguration,
    ChangeConfigurationResponse,
    ConfigurationStatus,
)
from csms.services.admission import charge_point_connect
from csms.services.charge_points import charge_point_add, password_set
from csms.services.commands import CommandRefused, command_send
from csms.services.logins import Login, Refused, charge_point_admit
from csms.services.outbox import (
    Answer,
    CallFailed,
    NoAnswer,
    Replied,
    command_complete,
    commands_claim,
)
from csms.services.passwords import (
    is_key,
    is_slow,
    key_encoded,
    key_new,
    password_encoded,
    password_fits,
)
from csms.services.peers import Peer

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "key", [b"\xff:\x00" * 6, bytes(20), key_new()], ids=["colons", "zeros", "new"]
)
def test_n3_a_key_is_taken_raw_and_as_text_of_any_case(key: bytes) -> None:
    encoded = key_encoded(key)
    assert password_fits(encoded, key)
    assert password_fits(encoded, key.hex().encode())
    assert password_fits(encoded, key.hex().upper().encode())
    assert not password_fits(encoded, key[:-1])
    assert not password_fits(encoded, b"")
    assert key.hex() not in encoded


def test_n3_a_key_that_was_entered_as_text_is_one() -> None:
    """Who enters the digits in the admin need not know what the charge point makes of them."""
    key = b"\xff:\x00" * 6
    encoded = password_encoded(key.hex().upper())
    for given in (key, key.hex().encode(), key.hex().upper().encode()):
        assert password_fits(encoded, given)


@pytest.mark.parametrize("password", ["0011", "00" * 21, "0" * 33, "g" * 40])
def test_n3_other_texts_are_passwords(password: str) -> None:
    encoded = password_encoded(password)
    assert password_fits(encoded, password.encode())
    assert not password_fits(encoded, password.upper().encode() + b"\xff")
    assert not encoded.startswith("hmac")


@pytest.mark.parametrize("digits", ["00" * 20, "1234" * 8, "0123456789abcdef" * 2, "31415926" * 5])
def test_n3_digits_that_nobody_drew_are_kept_as_a_password(digits: str) -> None:
    """They can be guessed: a slow hash, and the limits hold. Taken in the same forms."""
    encoded = password_encoded(digits)
    assert (is_slow(encoded), is_key(encoded)) == (True, False)
    for given in (bytes.fromhex(digits), digits.encode(), digits.upper().encode()):
        assert password_fits(encoded, given)
    for wrong in (b"", bytes(19), digits[:-2].encode(), b"\xff" * 16):
        assert not password_fits(encoded, wrong)


def test_n3_keys_that_were_drawn_are_kept_as_keys() -> None:
    for _ in range(1000):
        assert is_key(password_encoded(key_new().hex()))


@pytest.fixture
def charge_point(db: None) -> ChargePoint:
    return charge_point_add(identity="CP1", transport="json", password="the old one")


def admitted(password: str) -> bool:
    try:
        login = Login("CP1", "json", Peer("192.0.2.9"), "CP1", password.encode())
        charge_point_admit(login=login, now=NOW)
    except Refused:
        return False
    return True


def rotate(charge_point: ChargePoint, answer: Answer) -> str:
    """Send a rotation and let the charge point answer; the new key."""
    charge_point_connect(pk=charge_point.pk, gateway="here", remote_address="", now=NOW)
    request = ChangeConfiguration(key="AuthorizationKey", value="rotate")
    command_send(charge_point=charge_point, request=request)
    (claimed,) = commands_claim(transport="json", owner="here", now=datetime.now(UTC))
    assert isinstance(claimed.request, ChangeConfiguration)
    key: str = claimed.request.value
    assert len(bytes.fromhex(key)) == 20
    command_complete(command_id=claimed.command_id, answer=answer, now=NOW)
    return key


def replied(status: str) -> Replied:
    return Replied(ChangeConfigurationResponse(status=ConfigurationStatus(status)))


def test_n4_accepted_the_old_key_is_refused(charge_point: ChargePoint) -> None:
    key = rotate(charge_point, replied("Accepted"))
    assert admitted(key)
    assert admitted(key.upper())
    assert not admitted("the old one")


@pytest.mark.parametrize(
    "answer",
    [replied("Rejected"), replied("NotSupported"), CallFailed("NotImplemented", "")],
    ids=["rejected", "not supported", "not implemented"],
)
def test_n4_refused_the_old_key_stays(charge_point: ChargePoint, answer: Answer) -> None:
    key = rotate(charge_point, answer)
    assert not admitted(key)
    assert admitted("the old one")


@pytest.mark.parametrize(
    "answer",
    [replied("RebootRequired"), NoAnswer("gone"), CallFailed("InternalError", "")],
    ids=["reboot", "unknown", "failed"],
)
def test_n4_unknown_both_until_the_new_one_logs_in(
    charge_point: ChargePoint, answer: Answer
) -> None:
    key = rotate(charge_point, answer)
    assert admitted("the old one")
    assert admitted(key)
    assert not admitted("the old one")
    assert admitted(key)


def test_n5_the_key_is_stored_nowhere(charge_point: ChargePoint) -> None:
    key = rotate(charge_point, replied("Accepted"))
    command = Command.objects.get()
    charge_point.refresh_from_db()
    for row in (command, charge_point, *command.events.all()):
        assert key not in repr(vars(row))


def test_n5_a_key_chosen_by_hand_is_refused(charge_point: ChargePoint) -> None:
    request = ChangeConfiguration(key="authorizationkey", value="00112233445566778899")
    with pytest.raises(CommandRefused, match="rotate"):
        command_send(charge_point=charge_point, request=request)
    assert not Command.objects.exists()


def test_n4_no_third_key_while_it_is_not_known_which_it_holds(charge_point: ChargePoint) -> None:
    """A second rotation would forget the key that it may have taken: not before it connects."""
    key = rotate(charge_point, NoAnswer("gone"))
    request = ChangeConfiguration(key="AuthorizationKey", value="rotate")
    command = command_send(charge_point=charge_point, request=request)
    assert not commands_claim(transport="json", owner="here", now=datetime.now(UTC))
    command.refresh_from_db()
    assert (command.state, "connected again" in command.error) == ("error", True)
    assert admitted(key)
    assert rotate(charge_point, replied("Accepted")) != key


def test_n4_a_password_set_meanwhile_by_hand_stays(charge_point: ChargePoint) -> None:
    """The answer to an older rotation takes nothing back."""
    charge_point_connect(pk=charge_point.pk, gateway="here", remote_address="", now=NOW)
    request = ChangeConfiguration(key="AuthorizationKey", value="rotate")
    command_send(charge_point=charge_point, request=request)
    (claimed,) = commands_claim(transport="json", owner="here", now=datetime.now(UTC))
    password_set(charge_point=charge_point, password="by hand")
    command_complete(command_id=claimed.command_id, answer=replied("Accepted"), now=NOW)
    assert admitted("by hand")
    assert not admitted(claimed.request.value)  # type: ignore[attr-defined]


@pytest.mark.parametrize("status", ["Rejected", "NotSupported"])
def test_n4_a_late_refusal_drops_the_new_key(charge_point: ChargePoint, status: str) -> None:
    key = rotate(charge_point, NoAnswer("gone"))
    command = Command.objects.get()
    command_complete(command_id=command.pk, answer=replied(status), now=NOW)
    assert not admitted(key)
    assert admitted("the old one")
