"""The little X.509 of the simulator, against what openssl says."""

import random
import shutil
import subprocess

import pytest

from csms.simulator import certificates
from tests.simulator.certificate import ROOT


def test_names_are_those_of_openssl() -> None:
    name = certificates.name_of(ROOT)
    assert name.serial_number == "1234"
    assert name.issuer_name_hash == (
        "a368042b6d02f3eeae474d128bd7300e7ca76d9805741c6c8b6b599f04cb638e"
    )
    assert name.issuer_key_hash == (
        "73f81181ff8dd63df9dded436fcecc78453ff7338542d8cc92bf2c80c7f1001b"
    )


@pytest.mark.parametrize("text", ["", "none", ROOT[:200], ROOT.replace("MIIB", "AAAA")])
def test_what_is_no_certificate(text: str) -> None:
    assert not certificates.readable(text)


def test_the_signing_request_is_signed() -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed.")
    request = certificates.signing_request("CP-1", "Example", random.Random(1))
    checked = subprocess.run(
        ["openssl", "req", "-verify", "-noout", "-subject"],
        input=request,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "CP-1" in checked.stdout
    assert "OK" in checked.stdout + checked.stderr
