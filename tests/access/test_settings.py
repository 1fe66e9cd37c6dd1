"""Settings of production: `check --deploy`, secrets from files."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from csms import conf

ROOT = Path(__file__).resolve().parent.parent.parent
SECRET = "c4n4ry" * 10


def documented() -> dict[str, str]:
    """The settings of docs/access.md for production."""
    section = (ROOT / "docs" / "access.md").read_text("utf-8").partition("## In production")[2]
    lines = [line.strip() for line in section.splitlines() if line.startswith("    CSMS_")]
    lines += [line.strip() for line in section.splitlines() if line.startswith("    DATABASE_")]
    return dict(line.split("=", 1) for line in lines)


def manage(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_documented_settings_of_production_leave_no_warning(tmp_path: Path) -> None:
    chosen = documented()
    assert {"CSMS_HTTPS_ONLY", "CSMS_HSTS_SECONDS", "CSMS_SECRET_KEY_FILE"} <= set(chosen)
    for name, text in (("CSMS_SECRET_KEY", SECRET), ("DATABASE_URL", "")):
        path = tmp_path / name
        path.write_text(f"{text}\n")
        chosen[f"{name}_FILE"] = str(path)
    chosen["CSMS_DATA_DIR"] = str(tmp_path / "data")
    ended = manage("check", "--deploy", "--fail-level", "WARNING", **chosen)
    assert ended.returncode == 0, ended.stderr
    assert "WARNINGS" not in ended.stderr


def test_without_them_it_warns(tmp_path: Path) -> None:
    ended = manage("check", "--deploy", CSMS_DATA_DIR=str(tmp_path))
    for warning in ("security.W004", "security.W008", "security.W012", "security.W016"):
        assert warning in ended.stderr


def test_https_that_nobody_speaks_is_noticed(tmp_path: Path) -> None:
    """Everybody would be led in circles."""
    ended = manage("check", CSMS_DATA_DIR=str(tmp_path), CSMS_HTTPS_ONLY="1")
    assert "csms.W001" in ended.stderr


def warned(environment: dict[str, str], *, deploy: bool = False) -> set[str]:
    """The numbers of our own warnings."""
    from csms import checks

    functions = [checks.https_is_spoken, checks.nobody_is_believed_by_mistake]
    functions += [checks.keys_are_private, *([checks.production_is_meant] if deploy else [])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "settings", lambda: conf.read(environment))
        return {str(found.id) for function in functions for found in function(None)}


PRODUCTION = {
    "CSMS_ALLOWED_HOSTS": "csms.example.com",
    "CSMS_TWO_FACTOR": "required",
    "CSMS_TLS_CLIENT_CA": "ca.pem",
    "CSMS_TLS_CLIENT_CRL": "crl.pem",
    "CSMS_OPERATOR_NAME": "Example",
}


@pytest.mark.parametrize(
    ("number", "change"),
    [
        ("csms.W101", {"CSMS_ALLOWED_HOSTS": "csms.example.com,*"}),
        ("csms.W102", {"CSMS_TWO_FACTOR": "optional"}),
        ("csms.W103", {"CSMS_DEMO": "1"}),
        ("csms.W104", {"CSMS_UNKNOWN_CHARGERS": "accept"}),
        ("csms.W105", {"CSMS_OPERATOR_NAME": ""}),
        ("csms.W106", {"CSMS_TLS_CLIENT_CRL": ""}),
    ],
)
def test_what_is_convenient_is_no_production(number: str, change: dict[str, str]) -> None:
    """`check --deploy` says it, the plain check does not."""
    assert warned(PRODUCTION, deploy=True) == set()
    assert warned(PRODUCTION | change, deploy=True) == {number}
    assert warned(PRODUCTION | change) == set()


@pytest.mark.parametrize(
    "name", ["CSMS_TRUSTED_PROXIES", "CSMS_TRUSTED_NETWORKS", "CSMS_METRICS_NETWORKS"]
)
def test_networks_where_anybody_may_be_are_noticed(name: str) -> None:
    for networks in ("0.0.0.0/0", "10.0.0.0/8,::/0", "0.0.0.0/1", "2000::/3"):
        assert warned({name: networks}) == {"csms.W002"}
    assert warned({name: "10.0.0.0/8,192.168.0.0/16,fc00::/7,2001:db8::/32"}) == set()


def test_a_key_that_everybody_reads_is_noticed(tmp_path: Path) -> None:
    key = tmp_path / "server.key"
    key.touch(mode=0o640)
    given = {"CSMS_TLS_CERTIFICATES": f"{tmp_path}/server.pem:{key}"}
    assert warned(given) == set()
    key.chmod(0o644)
    assert warned(given) == {"csms.W003"}


def test_our_own_warnings_are_registered(tmp_path: Path) -> None:
    given = {"CSMS_DATA_DIR": str(tmp_path), "CSMS_TRUSTED_NETWORKS": "0.0.0.0/0"}
    plain, deploy = manage("check", **given), manage("check", "--deploy", **given)
    assert "csms.W002" in plain.stderr
    assert "csms.W101" not in plain.stderr
    assert "csms.W101" in deploy.stderr


# ---------------------------------------------------------------------------- files


def test_any_setting_may_come_from_a_file(tmp_path: Path) -> None:
    for number, name in enumerate(sorted(conf.setting_names())):
        path = tmp_path / f"{number}"
        defaults = {s.metadata["name"]: s.metadata["default"] for s in fields(conf.Settings)}
        path.write_text(f"{defaults[name]}\n")
        assert conf.read({f"{name}_FILE": str(path)}) == conf.read({})


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_end_of_the_line_does_not_count(end: str, tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text(f"postgresql://a:b c @h/n {end}", newline="")
    assert conf.read({"DATABASE_URL_FILE": str(path)}).database_url == "postgresql://a:b c @h/n "


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read: No such file or directory."),
        (b"\xff\xfe", "is no text."),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    content: bytes | None, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(conf.SettingError) as error:
        conf.read({"CSMS_SECRET_KEY_FILE": str(path)})
    assert str(error.value) == f"CSMS_SECRET_KEY_FILE={path} {says}"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(conf.SettingError, match="cannot be read: Is a directory"):
        conf.read({"CSMS_SECRET_KEY_FILE": str(tmp_path)})


def test_both_at_once_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("x")
    with pytest.raises(conf.SettingError, match="both given"):
        conf.read({"CSMS_SECRET_KEY_FILE": str(path), "CSMS_SECRET_KEY": "y"})
    assert conf.read({"CSMS_SECRET_KEY_FILE": str(path), "CSMS_SECRET_KEY": ""}).secret_key == "x"


def test_what_a_file_holds_is_repeated_in_no_error(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(SECRET)
    with pytest.raises(conf.SettingError) as error:
        conf.read({"CSMS_HTTP_PORT_FILE": str(path)})
    assert SECRET not in str(error.value)
    assert error.value.__cause__ is None
    ended = manage("check", DATABASE_URL_FILE=str(path), CSMS_DATA_DIR=str(tmp_path))
    assert ended.returncode == 1
    assert len(ended.stderr.strip().splitlines()) == 1
    assert SECRET not in ended.stderr


def test_names_of_files_are_no_misspellings() -> None:
    names = {"CSMS_SECRET_KEY_FILE": "x", "CSMS_SECRET_KEYS_FILE": "x"}
    assert conf.unknown_names(names) == ["CSMS_SECRET_KEYS_FILE"]
