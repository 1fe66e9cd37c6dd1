"""`make check` and known vulnerabilities: found ones fail it, a missing service does not."""

import importlib.util
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parent.parent.parent / ".ci" / "audit.py"


@pytest.fixture
def audit() -> Any:
    spec = importlib.util.spec_from_file_location("audit_of_dependencies", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CLEAN = {"name": "django", "version": "5.2.8", "vulns": []}
WEAK = {
    "name": "spyne",
    "version": "2.14.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.14.1"]}],
}
UNKNOWN = {"name": "csms", "skip_reason": "Dependency not found on PyPI"}


@pytest.mark.parametrize(
    ("packages", "code", "says"),
    [
        ([CLEAN, UNKNOWN], 0, "1 packages audited, 0 with known vulnerabilities"),
        ([CLEAN, WEAK], 1, "spyne 2.14.0: PYSEC-1, mended in 2.14.1"),
        ([UNKNOWN], 0, "DEPENDENCIES NOT AUDITED"),
    ],
)
def test_what_was_found_decides(
    packages: list[Any], code: int, says: str, audit: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.judged({"dependencies": packages}) == code
    assert says in capsys.readouterr().out


def _ended(audit: Any, patch: pytest.MonkeyPatch, stdout: str, stderr: str) -> None:
    ended = subprocess.CompletedProcess([], 1, stdout, stderr)
    patch.setattr(audit.subprocess, "run", lambda *_, **__: ended)


def test_a_service_that_cannot_be_reached_is_said_and_fails_nothing(
    audit: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _ended(audit, monkeypatch, "", "requests.exceptions.ConnectionError: no route")
    assert audit.asked() is None
    assert "DEPENDENCIES NOT AUDITED: the service cannot be reached" in capsys.readouterr().out


def test_a_tool_that_fails_otherwise_fails_the_check(
    audit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ended(audit, monkeypatch, "", "No module named pip_audit")
    with pytest.raises(SystemExit, match="pip-audit failed: No module named"):
        audit.asked()


def test_its_answer_is_read(audit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _ended(audit, monkeypatch, json.dumps({"dependencies": [WEAK]}), "Found 1")
    assert audit.asked() == {"dependencies": [WEAK]}
