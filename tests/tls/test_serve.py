"""`manage.py serve` with TLS, in a process of its own: how it starts, what it says, renewal."""

import re
import ssl
import time
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.running import wait_for
from tests.serving import Environment, Served, fails_in_one_line, manage
from tests.tls.clients import client_context, get
from tests.tls.clients import connect as connect_tls
from tests.tls.conftest import Pki

TAKEN_UP_WITHIN = 20.0
"""Seconds: the process looks every five."""


@pytest.fixture
def environment(process_environment: Environment, pki: Pki) -> Environment:
    return (
        process_environment
        | pki.environment
        | {
            "CSMS_HTTPS_PORT": "0",
            "CSMS_JSON_TLS_PORT": "0",
            "CSMS_UNKNOWN_CHARGERS": "accept",
        }
    )


def port(served: Served, name: str) -> int:
    line = rf"^{re.escape(name)} +\S+?:(\d+)/"
    found = wait_for(lambda: re.search(line, served.output, re.MULTILINE))
    return int(found[1])


def leaf(port: int, context: ssl.SSLContext) -> bytes:
    with connect_tls(port, context) as connection:
        certificate = connection.getpeercert(binary_form=True)
        assert certificate is not None
        return certificate


@pytest.mark.slow
def test_serves_both(environment: Environment, pki: Pki) -> None:
    """Plain and TLS ports side by side; a renewal keeps the sockets; the drain ends them."""
    manage(environment, "migrate", "--verbosity", "0")
    context = client_context(pki.server_ca)
    with Served(environment) as served:
        https, wss = port(served, "OCPP-S, TLS"), port(served, "OCPP-J, TLS")
        assert port(served, "Admin, TLS") == https
        page = httpx.get(f"https://localhost:{https}/ocpp/soap?wsdl", verify=context, timeout=20)
        assert page.status_code == 200
        assert f"https://localhost:{https}/ocpp/soap" in page.text
        assert httpx.get(f"{served.soap_url}?wsdl", trust_env=False).status_code == 200
        charger = connect(
            f"wss://localhost:{wss}/CP-1",
            ssl=context,
            subprotocols=[Subprotocol("ocpp1.6")],
            proxy=None,
        )
        with charger, connect_tls(https, context) as kept:
            get(kept)
            before = leaf(wss, context)
            pki.renew()
            deadline = time.monotonic() + TAKEN_UP_WITHIN
            while leaf(wss, context) == before:
                assert time.monotonic() < deadline, served.output
                time.sleep(0.2)
            assert leaf(https, context) == leaf(wss, context)
            charger.send('[2,"1","Heartbeat",{}]')
            assert charger.recv(timeout=10)
            get(kept)
            assert served.terminate() == 0, served.output
            with pytest.raises(Exception, match="1012"):
                charger.recv(timeout=10)
    assert "Traceback" not in served.output


def test_bad_certificates(environment: Environment, pki: Pki, tmp_path: Path) -> None:
    """One line, and no server."""
    missing = tmp_path / "missing.pem"
    mismatch = f"{pki.folder}/ec.pem:{pki.folder}/rsa.key"
    for value, said in (
        (f"{missing}", f"{missing} cannot be read"),
        (mismatch, "ec.pem cannot be served"),
        (f":{missing}", "say certificate.pem:key.pem"),
    ):
        line = fails_in_one_line(environment | {"CSMS_TLS_CERTIFICATES": value}, "serve")
        assert "CSMS_TLS_CERTIFICATES" in line
        assert said in line


def test_authorities_without_certificates(environment: Environment) -> None:
    line = fails_in_one_line(environment | {"CSMS_TLS_CERTIFICATES": ""}, "serve")
    assert line.endswith("CSMS_TLS_CLIENT_CA and CSMS_TLS_CLIENT_CRL need CSMS_TLS_CERTIFICATES.")
