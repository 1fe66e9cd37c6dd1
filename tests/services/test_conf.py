"""Settings: a wrong one is one clear line."""

import subprocess
import sys
from pathlib import Path

import pytest

from csms import conf

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("CSMS_HTTP_PORT", "eighty"),
        ("CSMS_JSON_PORT", "70000"),
        ("CSMS_DEBUG", "maybe"),
        ("CSMS_UNKNOWN_CHARGERS", "welcome"),
        ("CSMS_TRUSTED_NETWORKS", "10.0.0.0/99"),
        ("CSMS_SOAP_CALLBACK_NETWORKS", "everywhere"),
        ("CSMS_HEARTBEAT_INTERVAL", ""),
    ],
)
def test_wrong_settings_are_named(name: str, text: str) -> None:
    with pytest.raises(conf.SettingError) as error:
        conf.read({name: text})
    said = str(error.value)
    assert said.startswith(f"{name}={text!r} cannot be used: ")
    assert "\n" not in said


def test_defaults_can_be_read() -> None:
    config = conf.read({})
    assert (config.heartbeat_interval, config.boot_retry_interval) == (300, 60)
    assert config.unknown_chargers == "reject"


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"CSMS_HTTP_PORT": "x"}, "CSMS_HTTP_PORT='x' cannot be used"),
        ({"DATABASE_URL": "mysql://x/y"}, "DATABASE_URL cannot be used"),
        ({"CSMS_DATA_DIR": "/dev/null/x"}, "CSMS_DATA_DIR"),
    ],
)
def test_the_shell_sees_one_line(environment: dict[str, str], says: str) -> None:
    ended = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode
    assert says in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
