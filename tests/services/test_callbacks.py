"""Callback addresses: the defence against forged requests through wsa:From."""

import socket
from typing import Any

import pytest

from csms import conf
from csms.models import SecurityEvent
from csms.ocpp import core
from csms.services import callbacks
from csms.services.callbacks import CallbackRefused
from csms.services.charge_points import callback_approve, callback_reject
from tests.services.harness import Charger, House

PUBLIC = "http://198.51.100.7:8082/ocpp"
OTHER = "http://198.51.100.8:8082/ocpp"
ANONYMOUS = "http://www.w3.org/2005/08/addressing/anonymous"


def soap(house: House, **columns: Any) -> Charger:
    cp = house.charger(transport="soap", **columns)
    cp.address = "198.51.100.7"
    return cp


def say(cp: Charger, address: str) -> None:
    assert cp.send(core.Heartbeat(), callback=address).current_time


# ------------------------------------------------------------------------------ learning


@pytest.mark.django_db
def test_first_address_is_taken(house: House) -> None:
    cp = soap(house)
    say(cp, PUBLIC)
    assert (cp.row.callback_url, cp.row.callback_proposed) == (PUBLIC, "")
    assert not SecurityEvent.objects.exists()


@pytest.mark.django_db
def test_change_without_proof_waits_for_approval(house: House) -> None:
    cp = soap(house)
    say(cp, PUBLIC)
    for _ in range(3):
        say(cp, OTHER)
    assert (cp.row.callback_url, cp.row.callback_proposed) == (PUBLIC, OTHER)
    assert SecurityEvent.objects.get().kind == "CallbackAddressProposed"
    callback_approve(charge_point=cp.row)
    assert (cp.row.callback_url, cp.row.callback_proposed) == (OTHER, "")


@pytest.mark.django_db
def test_rejected_proposal_is_forgotten(house: House) -> None:
    cp = soap(house)
    say(cp, PUBLIC)
    say(cp, OTHER)
    callback_reject(charge_point=cp.row)
    callback_approve(charge_point=cp.row)
    assert (cp.row.callback_url, cp.row.callback_proposed) == (PUBLIC, "")


@pytest.mark.django_db
def test_change_with_proof_is_taken(house: House) -> None:
    cp = soap(house)
    say(cp, PUBLIC)
    cp.authenticated = True
    say(cp, OTHER)
    assert (cp.row.callback_url, cp.row.callback_proposed) == (OTHER, "")


@pytest.mark.django_db
def test_proof_settles_what_was_proposed_without_it(house: House) -> None:
    cp = soap(house)
    say(cp, PUBLIC)
    say(cp, OTHER)
    cp.authenticated = True
    say(cp, OTHER)
    assert (cp.row.callback_url, cp.row.callback_proposed) == (OTHER, "")


@pytest.mark.django_db
def test_pinned_address_stays(house: House) -> None:
    cp = soap(house, callback_url=PUBLIC, callback_pinned=True)
    cp.authenticated = True
    say(cp, OTHER)
    say(cp, "http://127.0.0.1/")
    assert (cp.row.callback_url, cp.row.callback_proposed) == (PUBLIC, "")
    assert cp.row.callback_error == ""


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("said", "learned"),
    [
        ("http://:8082/", "http://198.51.100.7:8082/"),
        ("http://:8082/a?b=c", "http://198.51.100.7:8082/a?b=c"),
        ("http:///ocpp", ""),
        ("  http://198.51.100.9/  ", "http://198.51.100.9/"),
        (ANONYMOUS, ""),
        ("http://www.w3.org/2005/08/addressing/none", ""),
        ("urn:x", ""),
        ("", ""),
        ("nonsense", ""),
        ("http://[", ""),
        ("http://host:99999999/", ""),
        ("http://a:b@198.51.100.9/", ""),
        ("http://198.51.100.9/" + "x" * 600, ""),
    ],
)
def test_what_is_learned(house: House, said: str, learned: str) -> None:
    cp = soap(house)
    say(cp, said)
    assert cp.row.callback_url == learned


@pytest.mark.django_db
def test_empty_host_behind_ipv6(house: House) -> None:
    cp = soap(house)
    cp.address = "2001:db8::7"
    say(cp, "http://:8082/")
    assert cp.row.callback_url == "http://[2001:db8::7]:8082/"


@pytest.mark.django_db
def test_refusal_is_shown_and_ends_nothing(house: House) -> None:
    cp = soap(house)
    say(cp, "http://127.0.0.1:8082/")
    assert cp.row.callback_url == ""
    assert "127.0.0.1" in cp.row.callback_error
    say(cp, PUBLIC)
    assert (cp.row.callback_url, cp.row.callback_error) == (PUBLIC, "")


@pytest.mark.django_db
def test_address_that_became_forbidden_is_not_approved(house: House) -> None:
    cp = soap(house, callback_url=PUBLIC)
    row = cp.row
    row.callback_proposed = "http://169.254.169.254/"
    row.save()
    with pytest.raises(CallbackRefused):
        callback_approve(charge_point=row)
    assert cp.row.callback_url == PUBLIC


# ------------------------------------------------------------------------------ allow-list


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://127.8.9.1/",
        "http://localhost/",
        "http://x.localhost/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://0.0.0.0/",
        "http://[::]/",
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "ftp://198.51.100.7/",
        "file:///etc/passwd",
        "http://user@198.51.100.7/",
        "http://198.51.100.7:22/",
        "http://198.51.100.7:1023/",
        "//198.51.100.7/",
    ],
)
def test_refused_by_default(url: str) -> None:
    with pytest.raises(CallbackRefused):
        callbacks.check(url, conf.read({}))


@pytest.mark.parametrize("url", ["http://127.1/", "http://2130706433/", "http://0x7f.1/"])
def test_other_spellings_of_loopback_are_refused_once_resolved(url: str) -> None:
    with pytest.raises(CallbackRefused):
        callbacks.check(url, conf.read({}))


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("http://198.51.100.7/", 80),
        ("https://198.51.100.7/", 443),
        ("http://10.0.0.7:1024/", 1024),
        ("http://[2001:db8::7]:65535/", 65535),
    ],
)
def test_allowed_by_default(url: str, port: int) -> None:
    target = callbacks.check(url, conf.read({}))
    assert (target.port, target.address) == (port, target.host)


def test_named_networks_are_the_only_ones() -> None:
    config = conf.read({"CSMS_SOAP_CALLBACK_NETWORKS": "10.1.0.0/16, 127.0.0.0/8, 2001:db8::/32"})
    for url in ("http://10.1.2.3/", "http://127.0.0.1/", "http://[2001:db8::1]/"):
        callbacks.check(url, config)
    for url in ("http://10.2.0.1/", "http://198.51.100.7/", "http://[2001:db9::1]/"):
        with pytest.raises(CallbackRefused):
            callbacks.check(url, config)


def test_ports_of_the_setting() -> None:
    config = conf.read({"CSMS_SOAP_CALLBACK_PORTS": "8080, 9000-9001"})
    for port in (8080, 9000, 9001):
        callbacks.parse(f"http://198.51.100.7:{port}/", config)
    for port in (80, 8081, 9002):
        with pytest.raises(CallbackRefused, match=str(port)):
            callbacks.parse(f"http://198.51.100.7:{port}/", config)


def test_demo_allows_loopback_only() -> None:
    config = conf.read({"CSMS_DEMO": "1"})
    callbacks.check("http://127.0.0.1:8080/", config)
    with pytest.raises(CallbackRefused):
        callbacks.check("http://169.254.169.254/", config)


@pytest.mark.parametrize(
    "address",
    [
        *("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
        *("[fd00:ec2::254]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::ffff:127.0.0.1]"),
    ],
)
def test_metadata_services_and_addresses_in_disguise_are_refused(address: str) -> None:
    with pytest.raises(callbacks.CallbackRefused):
        callbacks.parse(f"http://{address}:8080/", conf.read({}))


def test_this_machine_is_refused_by_whatever_address() -> None:
    """Its own addresses lead to what listens for itself; a network that is named may hold it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))  # sends nothing; tells which address would be ours
        except OSError:
            return  # a machine without any network has no address but loopback
        own = probe.getsockname()[0]
    with pytest.raises(callbacks.CallbackRefused, match="this machine"):
        callbacks.check(f"http://{own}:8080/", conf.read({}))
    named = conf.read({"CSMS_SOAP_CALLBACK_NETWORKS": f"{own}/32"})
    assert callbacks.check(f"http://{own}:8080/", named).address == own
