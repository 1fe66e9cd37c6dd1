"""The table of hostile input, and where each of its rows is tested.

A row is what arrives, on one transport. Here (`@row("JSON: Oversize")`) each is tried over real
sockets against a whole central system, beside honest charge points whose sessions go on; the
details of one rule are tested where the rule is (tests/ocpp_json, tests/ocpp_soap, tests/field).
"""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T", bound=Callable[..., object])

HERE = ""

ROWS: dict[str, str] = {
    "JSON: Oversize": HERE,
    "SOAP: Oversize": HERE,
    "JSON: Fragment flood": HERE,
    "JSON: Compression bomb": HERE,
    "SOAP: Compression bomb": HERE,
    "JSON: Slowloris, idle handshake, slow reader": "tests/ocpp_json/test_connections.py"
    "::test_hostile_a_slow_reader_is_dropped",
    "SOAP: Slowloris, slow body, header size, connections": "tests/http/test_limits.py"
    "::test_half_body",
    "JSON: Deep nesting": HERE,
    "SOAP: Deep nesting": HERE,
    "JSON: Huge integers": HERE,
    "SOAP: Huge integers": HERE,
    "JSON: NaN, Infinity, 1e999": HERE,
    "SOAP: NaN, Infinity, 1e999": HERE,
    "JSON: true as integer, 2.0 as message type": HERE,
    "JSON: Invalid UTF-8, BOM, lone surrogate": HERE,
    "SOAP: Invalid UTF-8, BOM, lone surrogate": HERE,
    "JSON: NUL and control characters": HERE,
    "SOAP: NUL and control characters": HERE,
    "JSON: Timestamps": HERE,
    "SOAP: Timestamps": HERE,
    "SOAP: XXE, billion laughs, quadratic blow-up": HERE,
    "SOAP: Many attributes": HERE,
    "JSON: Schema-invalid": HERE,
    "SOAP: Schema-invalid": HERE,
    "SOAP: Empty body, bad Content-Length, bad charset": HERE,
    "SOAP: Wrapping, two body children, Action": HERE,
    "SOAP: Server-side request forgery": HERE,
    "JSON: Identity abuse": HERE,
    "SOAP: Identity abuse": HERE,
    "JSON: Brute force": "tests/security/test_events.py"
    "::test_guessing_does_not_lock_the_real_one_out",
    "SOAP: Brute force": "tests/security/test_events.py"
    "::test_guessing_does_not_lock_the_real_one_out",
    "JSON: Stored XSS, CSV and log injection": HERE,
    "SOAP: Stored XSS, CSV and log injection": HERE,
    "JSON: Message-id reuse": HERE,
    "SOAP: Message-id reuse": HERE,
}
"""Each row, and the file (and test) that holds it when that is not in this folder."""


def row(name: str) -> Callable[[T], T]:
    """Marks a test of a row."""
    assert ROWS[name] == HERE, f"{name} is tested in {ROWS[name]}"

    def marked(test: T) -> T:
        return test

    return marked
