"""Only the configured security profile connects: N1, N2, N9, N10, over both transports."""

from typing import TYPE_CHECKING, Any

import pytest

from csms.models import ChargePoint, SecurityEvent
from tests.security.door import INSIDE, OPERATOR, OUTSIDE, Knock, certificate, charge_point

if TYPE_CHECKING:
    from tests.security.door import Door

pytestmark = pytest.mark.django_db(transaction=True)

KEY = b"\xff:\x00" * 6 + b"ok"
SERIAL = certificate("SERIAL-1")
OFFERED = {
    0: Knock(),
    1: Knock(KEY),
    2: Knock(KEY, tls=True),
    3: Knock(tls=True, certificate=SERIAL),
}
BOTH = pytest.mark.parametrize("transport", ["json", "soap"])


def kinds() -> set[str]:
    return set(SecurityEvent.objects.values_list("kind", flat=True))


@BOTH
@pytest.mark.parametrize("configured", [0, 1, 2, 3])
def test_n1_only_the_diagonal_connects(door: "Door", transport: str, configured: int) -> None:
    """N1: 4×4 of configured × offered; the password and the certificate are the right ones."""
    row = charge_point(
        transport=transport, security_profile=configured, key=KEY, certificate_name="SERIAL-1"
    )
    admitted = {offered for offered, knock in OFFERED.items() if door.admits(row, knock)}
    assert admitted == {configured}
    assert kinds() <= {"WrongSecurityProfile", "InvalidCredentials"}
    assert "WrongSecurityProfile" in kinds()
    row.refresh_from_db()
    assert row.security_profile == configured


@BOTH
@pytest.mark.parametrize("profile", [1, 2])
@pytest.mark.parametrize(
    "given", [None, b"", KEY[:-1], KEY + b"\0", b"\xff", KEY.hex().encode()[1:]]
)
def test_n1_another_password(
    door: "Door", transport: str, profile: int, given: bytes | None
) -> None:
    """N1: 401; the SOAP Fault is SecurityError."""
    row = charge_point(transport=transport, security_profile=profile, key=KEY)
    knock = Knock(given, tls=profile == 2)
    if transport == "json":
        assert door.json(row.identity, knock) == 401
    else:
        assert door.soap(row.identity, knock) == (401, "SecurityError")
    assert kinds() == {"InvalidCredentials"}


@BOTH
@pytest.mark.parametrize("profile", [1, 2])
def test_n1_without_a_key_nobody_connects(door: "Door", transport: str, profile: int) -> None:
    """N1: a new charge point has profile 1 and no key yet."""
    row = charge_point(transport=transport, security_profile=profile)
    for password in (None, b"", b"any", KEY):
        assert not door.admits(row, Knock(password, tls=profile == 2))


@BOTH
def test_n2_the_user_name_is_the_identity(door: "Door", transport: str) -> None:
    """N2: CP-A's URL with CP-B's valid credentials: 401; over SOAP IdentityMismatch."""
    for name in ("CP-A", "CP-B"):
        charge_point(identity=name, transport=transport, security_profile=1, key=name.encode() * 4)
    of_b = Knock(b"CP-B" * 4, user="CP-B")
    if transport == "json":
        assert door.json("CP-A", of_b) == 401
    else:
        assert door.soap("CP-A", of_b) == (400, "IdentityMismatch")
    assert kinds() == {"IdentityMismatch"}
    assert door.admits(ChargePoint.objects.get(identity="CP-B"), Knock(b"CP-B" * 4))


@BOTH
@pytest.mark.parametrize("given", [KEY, KEY.hex().encode(), KEY.hex().upper().encode()])
def test_n3_raw_bytes_and_hexadecimal_text(door: "Door", transport: str, given: bytes) -> None:
    """N3: 0xFF, ':' and NUL on the wire; the text in any case."""
    identity = "00:90:0B:00:00:01"
    row = charge_point(identity=identity, transport=transport, security_profile=1, key=KEY)
    assert door.admits(row, Knock(given))


# --------------------------------------------------------------------------- profile 0


@BOTH
@pytest.mark.parametrize("tls", [False, True])
def test_profile_0_comes_from_trusted_networks_only(
    door: "Door", transport: str, tls: bool
) -> None:
    row = charge_point(transport=transport, security_profile=0)
    assert door.admits(row, Knock(address=INSIDE, tls=tls))
    assert not door.admits(row, Knock(address=OUTSIDE, tls=tls))
    assert kinds() == {"UntrustedNetwork"}


@BOTH
def test_profile_0_never_comes_from_behind_an_unlisted_proxy(
    transport: str, transactional_db: None
) -> None:
    """The address is the proxy's then: anybody could be behind it."""
    from tests.running import running
    from tests.security.door import Door

    with running(CSMS_TRUSTED_PROXIES="", CSMS_TRUSTED_NETWORKS="127.0.0.0/8") as system:
        door = Door(system)
        row = charge_point(transport=transport, security_profile=0)
        assert not door.admits(row, Knock(address="127.0.0.1"))
        system.settle()


# -------------------------------------------------------------------------- profile 3


@BOTH
@pytest.mark.parametrize(
    ("how", "refusal"),
    [
        ({"common_name": "SERIAL-2"}, (400, "IdentityMismatch")),
        ({"common_name": ""}, (400, "IdentityMismatch")),
        ({"common_name": "serial-1"}, (400, "IdentityMismatch")),
        ({"organization": "Somebody"}, (403, "SecurityError")),
        ({"days": -1}, (403, "SecurityError")),
    ],
    ids=["another's", "none", "case", "organization", "expired"],
)
def test_n9_n10_a_certificate_that_proves_nothing(
    door: "Door", transport: str, how: dict[str, Any], refusal: tuple[int, str]
) -> None:
    """N9: O is the operator, CN is stored beforehand; N10: it is valid at this moment."""
    row = charge_point(transport=transport, security_profile=3, certificate_name="SERIAL-1")
    named = {"common_name": "SERIAL-1", "organization": OPERATOR, **how}
    if not named["common_name"]:
        named["common_name"] = "."
    knock = Knock(tls=True, certificate=certificate(**named))
    if transport == "json":
        assert door.json(row.identity, knock) == 403
    else:
        assert door.soap(row.identity, knock) == refusal
    assert kinds() == {"InvalidClientCertificate"}
    assert door.admits(row, Knock(tls=True, certificate=SERIAL))


def test_n9_without_a_stored_name_it_is_the_identity(door: "Door") -> None:
    """N9"""
    row = charge_point(identity="SERIAL-9", security_profile=3)
    assert door.admits(row, Knock(tls=True, certificate=certificate("SERIAL-9")))
    assert not door.admits(row, Knock(tls=True, certificate=SERIAL))


def test_n9_a_password_does_not_stand_in_for_the_certificate(door: "Door") -> None:
    """N9: with profile 3 a password counts for nothing, in neither direction."""
    row = charge_point(security_profile=3, certificate_name="SERIAL-1", key=KEY)
    assert door.json(row.identity, Knock(KEY, tls=True)) == 403
    assert door.admits(row, Knock(b"wrong", tls=True, certificate=SERIAL))
    other = certificate("SERIAL-2")
    assert door.json(row.identity, Knock(KEY, tls=True, certificate=other)) == 403


def test_a_certificate_does_not_disturb_profile_2(door: "Door") -> None:
    """Some charge points show the certificate of their manufacturer to everybody."""
    row = charge_point(security_profile=2, key=KEY)
    shown = certificate("FACTORY", "Manufacturer")
    assert door.admits(row, Knock(KEY, tls=True, certificate=shown))
    assert not door.admits(row, Knock(b"wrong", tls=True, certificate=shown))
