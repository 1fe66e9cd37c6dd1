"""A short run of what `make fuzz` does at length: led by coverage, each target for a few seconds.

Where atheris cannot be installed (it is there for Linux on x86-64) these tests say so.
"""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.__main__ import MISSING, NAMES, ROOT

SECONDS = 1.0
"""For each target, after what it starts from."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PATIENCE = 280.0


@pytest.fixture(autouse=True)
def _atheris() -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip(MISSING)


def fuzzed(target: str, keep: Path, *, seconds: float = SECONDS) -> "subprocess.CompletedProcess":
    command = ["--minutes", str(seconds / 60), "--keep", str(keep), target]
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def told(name: str, said: str) -> int:
    """A number that libFuzzer tells at its end."""
    found = re.search(rf"^stat::{name}: +(\d+)$", said, re.MULTILINE)
    assert found is not None, said
    return int(found[1])


@pytest.mark.parametrize("target", NAMES)
def test_a_short_run_finds_nothing(target: str, tmp_path: Path) -> None:
    """It ends with 0, has tried much more than the corpus, and has seen code that the corpus did
    not reach: coverage does lead it."""
    done = fuzzed(target, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing was found." in done.stdout
    assert told("number_of_executed_units", done.stderr) > 500
    assert told("new_units_added", done.stderr) > 0


_BROKEN = """
import sys
from tests.fuzz import properties
from tests.fuzz.__main__ import main
properties.MOST_SECONDS = 0.0  # no message can be that quick
sys.argv = ["fuzz", "--one", "json", "--", "-runs=10", f"-artifact_prefix={sys.argv[1]}/"]
sys.exit(main())
"""


def test_what_is_broken_is_found_and_kept(tmp_path: Path) -> None:
    """A property that does not hold ends it with an error; the input is in a file."""
    done = subprocess.run(
        [sys.executable, "-c", _BROKEN, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode not in (0, 2), done.stderr
    assert "s of CPU time" in done.stderr + done.stdout
    assert list(tmp_path.glob("crash-*"))
