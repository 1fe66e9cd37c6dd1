"""Who a handshake says it is: the identity in the URL and the Basic credentials. Pure."""

import base64
import binascii
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

LONGEST_IDENTITY = 255


class BadIdentity(ValueError):
    """The URL does not end with a usable charge point identity."""


class Credentials(NamedTuple):
    """User name and password of an Authorization header; None where there are none."""

    user: str | None
    password: bytes | None


NOBODY = Credentials(None, None)


def identity(path: str) -> str:
    """The charge point identity in a request path: its last segment, percent-decoded (3.1.1).

    Any prefix is taken, also the oddities of the field: `///charger`, or the whole URL again
    (`/ws://host:9000/CP_1/SERIAL`). Raises BadIdentity with a sentence for the charger's log.
    """
    segment = path.partition("?")[0].rpartition("/")[2]
    if not segment:
        raise BadIdentity("The URL must end with the identity of the charge point.")
    if len(segment) > 3 * LONGEST_IDENTITY:
        raise BadIdentity("The identity is too long.")
    try:
        name = unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise BadIdentity("The identity is not valid UTF-8.") from None
    if len(name) > LONGEST_IDENTITY:
        raise BadIdentity("The identity is too long.")
    if name in (".", "..") or "/" in name or "\\" in name or not name.isprintable():
        raise BadIdentity("The identity holds what no identity may hold.")
    if name != name.strip():
        raise BadIdentity("The identity begins or ends with a blank.")
    return name


def credentials(header: str | None, identity: str) -> Credentials:
    """What an Authorization header holds, its password in raw bytes (N3: any byte is legal).

    An empty password, as some chargers send it (Grizzl-E), is none. A header that cannot be read
    holds no credentials. The user name of RFC 7617 ends at the first colon, but identities with
    colons exist (MAC addresses): it is taken whole where it is the connection's identity.
    """
    scheme, _, encoded = (header or "").strip().partition(" ")
    if scheme.lower() != "basic":
        return NOBODY
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return NOBODY
    whole = identity.encode() + b":"
    if decoded.startswith(whole):
        return Credentials(identity, decoded.removeprefix(whole) or None)
    user, colon, password = decoded.partition(b":")
    if not colon:
        return NOBODY
    return Credentials(user.decode(errors="backslashreplace"), password or None)
