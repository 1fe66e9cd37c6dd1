"""The table of hostile input, and where each of its rows is tested.

A row is what arrives, on one transport. Here (`@row("JSON: Oversize")`) each is tried over real
sockets against a whole central system, beside honest charge points whose sessions go on; the
details of one rule are tested where the rule is (tests/ocpp_json, tests/ocpp_soap, tests/field).
"""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T", bound=Callable[..., object])

ROWS: dict[str, tuple[str, ...]] = {
    "JSON: Oversize": (),
    "SOAP: Oversize": (
        "tests/security/test_soap_proofs.py"
        "::test_a_long_body_is_received_from_who_proves_himself_only",
        "tests/ocpp_soap/test_budget.py::test_compressed_bodies_are_long_as_well",
        "tests/ocpp_soap/test_budget.py::test_beyond_it_nothing_of_strangers_is_parsed",
        "tests/ocpp_soap/test_budget.py::test_beyond_it_charge_points_go_on",
    ),
    "JSON: Fragment flood": (),
    "JSON: Compression bomb": (),
    "SOAP: Compression bomb": (),
    "JSON: Slowloris, idle handshake, slow reader": (
        "tests/ocpp_json/test_handshake.py::test_hostile_idle_handshakes_are_dropped",
        "tests/ocpp_json/test_handshake.py::test_f20_beyond_the_caps_new_sockets_are_503",
        "tests/ocpp_json/test_connections.py::test_hostile_a_slow_reader_is_dropped",
    ),
    "SOAP: Slowloris, slow body, header size, connections": (
        "tests/http/test_limits.py::test_silent",
        "tests/http/test_limits.py::test_head_byte_by_byte",
        "tests/http/test_limits.py::test_half_body",
        "tests/http/test_limits.py::test_body_byte_by_byte",
        "tests/http/test_limits.py::test_slow_reader",
        "tests/http/test_limits.py::test_head_of_200_kb",
        "tests/http/test_limits.py::test_connections_of_one_address",
    ),
    "JSON: Deep nesting": (),
    "SOAP: Deep nesting": (),
    "JSON: Huge integers": (),
    "SOAP: Huge integers": (),
    "JSON: NaN, Infinity, 1e999": (),
    "SOAP: NaN, Infinity, 1e999": (),
    "JSON: true as integer, 2.0 as message type": (),
    "JSON: Invalid UTF-8, BOM, lone surrogate": (),
    "SOAP: Invalid UTF-8, BOM, lone surrogate": (),
    "JSON: NUL and control characters": (),
    "SOAP: NUL and control characters": (),
    "JSON: Timestamps": (),
    "SOAP: Timestamps": (),
    "SOAP: XXE, billion laughs, quadratic blow-up": (),
    "SOAP: Many attributes": (),
    "JSON: Schema-invalid": (),
    "SOAP: Schema-invalid": (),
    "SOAP: Empty body, bad Content-Length, bad charset": (),
    "SOAP: Wrapping, two body children, Action": (),
    "SOAP: Server-side request forgery": (
        "tests/ocpp_soap/test_sending.py::test_the_name_is_resolved_once_and_pinned",
        "tests/ocpp_soap/test_sending.py::test_no_redirect_is_followed",
        "tests/services/test_callbacks.py::test_change_without_proof_waits_for_approval",
    ),
    "JSON: Identity abuse": (),
    "SOAP: Identity abuse": (),
    "JSON: Brute force": (
        "tests/security/test_events.py::test_guessing_does_not_lock_the_real_one_out",
    ),
    "SOAP: Brute force": (
        "tests/security/test_events.py::test_guessing_does_not_lock_the_real_one_out",
    ),
    "JSON: Stored XSS, CSV and log injection": (),
    "SOAP: Stored XSS, CSV and log injection": (),
    "JSON: Message-id reuse": (),
    "SOAP: Message-id reuse": (),
}
"""Each row, and the tests of other folders that hold it, or a part of it. A row without any is held
here, and others may be as well."""


def row(name: str) -> Callable[[T], T]:
    """Marks a test of a row."""
    assert name in ROWS, name

    def marked(test: T) -> T:
        return test

    return marked
