"""Identity and credentials of a handshake."""

import base64

import pytest

from ocpp_json.auth import NOBODY, BadIdentity, Credentials, credentials, identity


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/CP_1", "CP_1"),
        ("/ocpp/1.6/CP_1", "CP_1"),
        ("///charger", "charger"),
        ("/ws://192.168.0.1:9000/CP_1/SERIAL_1234", "SERIAL_1234"),
        ("/steve/websocket/CentralSystemService/4/CBI-1", "CBI-1"),
        ("/RDAM%20123", "RDAM 123"),
        ("/RDAM|123", "RDAM|123"),
        ("/00:13:F6:00:00:01", "00:13:F6:00:00:01"),
        ("/CP%231", "CP#1"),
        ("/G%C3%A5rd", "Gård"),
        ("/CP_1?token=x/y", "CP_1"),
        ("/" + "a" * 255, "a" * 255),
    ],
)
def test_the_identity_is_the_last_segment(path: str, name: str) -> None:
    assert identity(path) == name


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/ocpp/",
        "/?x",
        "/.",
        "/..",
        "/%2e%2e",
        "/a%2Fb",
        "/a%2fb",
        "/a%5cb",
        "/a%00b",
        "/a%0Ab",
        "/a%1bb",
        "/%ff",
        "/a%C2%85",
        "/%E2%80%AEb",
        "/%20a",
        "/" + "a" * 256,
        "/" + "%41" * 256,
        "/" + "a" * 10000,
        "/%7F",
    ],
)
def test_hostile_identities_are_refused(path: str) -> None:
    with pytest.raises(BadIdentity):
        identity(path)


def basic(raw: bytes) -> str:
    return "Basic " + base64.b64encode(raw).decode()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"CP:secret", Credentials("CP", b"secret")),
        (b"CP:\xff:\x00", Credentials("CP", b"\xff:\x00")),
        (b"CP:", Credentials("CP", None)),
        (b":", Credentials("", None)),
        (b"other:secret", Credentials("other", b"secret")),
        (b"\xff:x", Credentials("\\xff", b"x")),
        (b"nothing", NOBODY),
    ],
)
def test_n3_credentials_are_bytes(raw: bytes, expected: Credentials) -> None:
    assert credentials(basic(raw), "CP") == expected


def test_an_identity_with_colons_is_its_user_name() -> None:
    assert credentials(basic(b"00:13:F6:pass:word"), "00:13:F6") == ("00:13:F6", b"pass:word")
    assert credentials(basic(b"00:13:F6:pass:word"), "CP") == ("00", b"13:F6:pass:word")


@pytest.mark.parametrize(
    "header", [None, "", "Basic", "Basic ", "Basic ???", "Basic é", "Bearer eDp5", "Basic eA==="]
)
def test_what_cannot_be_read_holds_no_credentials(header: str | None) -> None:
    assert credentials(header, "CP") == NOBODY


def test_the_scheme_is_read_in_any_case() -> None:
    header = "bASIC  " + base64.b64encode(b"CP:x").decode()
    assert credentials(header, "CP") == ("CP", b"x")
