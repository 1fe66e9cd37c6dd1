"""Firmware in a simulated charge point: which version it brings, and whether it is who it says."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.hashes import SHA256

from csms.simulator.charge_point import SimulatedChargePoint
from csms.simulator.clock import Clock
from csms.simulator.firmware import version_of
from csms.simulator.json import JsonTransport
from csms.simulator.signatures import is_signed, is_trusted
from tests.simulator.central import JsonCentral
from tests.tls.certificates import Authority

pytestmark = pytest.mark.anyio

IMAGE = b"\x7fELF\x01\x02 firmwareVersion: 2.0.0-rc1\n" + bytes(range(256)) * 20


@pytest.mark.parametrize(
    ("content", "location", "before", "version"),
    [
        (IMAGE, "http://h/files/fw-9.9.bin", "1.0.0", "2.0.0-rc1"),
        (b"\0" * 5000 + IMAGE, "ftp://1.2.3.ftp:s@127.0.0.1:2121/fw-3.4.bin", "1.0.0", "3.4"),
        (b"x", "http://127.0.0.1/THOR_11AS-V5.2.4-20230307.bin?a=7.7", "1.0.0", "5.2.4"),
        (None, "http://127.0.0.1:8000/firmware.bin", "1.0.9", "1.0.10"),
        (None, "http://10.0.0.1/", "2.0.0-rc1", "2.0.0-rc2"),
        (None, "", "release", "release.1"),
    ],
)
def test_versions(content: bytes | None, location: str, before: str, version: str) -> None:
    """As the image says, else as its name does, else the next one."""
    assert version_of(content, location, before) == version


def signed(key: Any, content: bytes, how: str) -> str:
    if how == "ec":
        raw = key.sign(content, ec.ECDSA(SHA256()))
    elif how == "pss":
        raw = key.sign(content, padding.PSS(padding.MGF1(SHA256()), 32), SHA256())
    else:
        raw = key.sign(content, padding.PKCS1v15(), SHA256())
    return base64.b64encode(raw).decode()


@pytest.mark.parametrize("how", ["ec", "pss", "pkcs1"])
def test_signatures(how: str) -> None:
    issued = Authority("Manufacturer").issue("Signer", kind="ec" if how == "ec" else "rsa")
    pem, signature = issued.pem.decode(), signed(issued.key, IMAGE, how)
    assert is_signed(IMAGE, pem, signature)
    assert not is_signed(IMAGE + b"x", pem, signature)
    assert not is_signed(IMAGE, pem, "c2lnbmF0dXJl")
    assert not is_signed(IMAGE, pem, "no base64")
    assert is_signed(None, pem, signature)
    assert not is_signed(None, pem, "")


def test_certificates() -> None:
    """Any that is valid; where roots are installed, theirs."""
    maker, other = Authority("Manufacturer"), Authority("Somebody else")
    pem, now = maker.issue("Signer").pem.decode(), datetime.now(UTC)
    root = maker.pem.decode()
    assert is_trusted(pem, [], now)
    assert is_trusted(pem, [other.pem.decode(), root], now)
    assert not is_trusted(pem, [other.pem.decode()], now)
    assert not is_trusted(pem, [root], now + timedelta(days=4000))
    assert not is_trusted("none", [], now)


# --------------------------------------------------------------------------- over the wire


@contextmanager
def serving(content: bytes) -> Iterator[str]:
    """A web server with one image; where it is."""
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Nothing is said."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/fw.bin"
        server.shutdown()
        thread.join()


@asynccontextmanager
async def updating() -> AsyncIterator[tuple[JsonCentral, SimulatedChargePoint]]:
    async with (
        JsonCentral() as central,
        SimulatedChargePoint(
            "CP", transport=JsonTransport(central.url, first_wait=0.01), clock=Clock(speed=200)
        ) as cp,
    ):
        await cp.register()
        yield central, cp


def firmware(location: str, pem: bytes, signature: str) -> dict[str, Any]:
    return {
        "requestId": 3,
        "firmware": {
            "location": location,
            "retrieveDateTime": "2020-01-01T00:00:00Z",
            "signingCertificate": pem.decode(),
            "signature": signature,
        },
    }


async def test_it_boots_with_the_version_of_the_image() -> None:
    async with updating() as (central, cp):
        with serving(IMAGE) as location:
            update = {"location": location, "retrieveDate": "2020-01-01T00:00:00Z"}
            await central.call("UpdateFirmware", update)
            seen = await central.until("FirmwareStatusNotification", 4)
        assert seen[-1]["status"] == "Installed"
        versions = [boot["firmwareVersion"] for boot in central.seen("BootNotification")]
        assert versions == ["1.0.0", "2.0.0-rc1"]
        assert cp.firmware_version == "2.0.0-rc1"


@pytest.mark.parametrize("content", [IMAGE, IMAGE + b"changed"])
async def test_the_signature_is_verified(content: bytes) -> None:
    """WP L01: what was changed on its way is not installed, and that is a security event."""
    issued = Authority("Manufacturer").issue("Signer", kind="ec")
    signature = signed(issued.key, IMAGE, "ec")
    async with updating() as (central, cp):
        with serving(content) as location:
            asked = firmware(location, issued.pem, signature)
            assert (await central.call("SignedUpdateFirmware", asked))[2]["status"] == "Accepted"
            steps = 5 if content == IMAGE else 3
            seen = await central.until("SignedFirmwareStatusNotification", steps)
        if content == IMAGE:
            assert seen[2]["status"] == "SignatureVerified"
            assert cp.firmware_version == "2.0.0-rc1"
            return
        assert seen[-1] == {"status": "InvalidSignature", "requestId": 3}
        (event,) = await central.until("SecurityEventNotification")
        assert event["type"] == "InvalidFirmwareSignature"
        await asyncio.sleep(0.1)
        assert cp.firmware_version == "1.0.0"


async def test_a_certificate_of_somebody_else_is_refused() -> None:
    """Once a manufacturer's root is installed; nothing is fetched."""
    maker, other = Authority("Manufacturer"), Authority("Somebody else")
    async with updating() as (central, _):
        root = {"certificateType": "ManufacturerRootCertificate", "certificate": maker.pem.decode()}
        await central.call("InstallCertificate", root)
        bad = other.issue("Signer", kind="ec")
        asked = firmware("http://127.0.0.1:1/", bad.pem, signed(bad.key, IMAGE, "ec"))
        answer = await central.call("SignedUpdateFirmware", asked)
        assert answer[2]["status"] == "InvalidCertificate"
        (event,) = await central.until("SecurityEventNotification")
        assert event["type"] == "InvalidFirmwareSigningCertificate"
        assert central.seen("SignedFirmwareStatusNotification") == []
