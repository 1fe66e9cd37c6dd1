"""Guards of the structure: what the house rules promise stays true while the house grows."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from csms.conf import Settings
from csms.ocpp import registry
from csms.ocpp.base import Role

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("csms", "ocpp_json", "ocpp_soap", "bench")
LAYOUT = {
    *("manage.py", "requirements.txt", "README.md", "csms", "ocpp_soap", "ocpp_json"),
    *("templates", "tests", "Makefile", "pyproject.toml", "CHANGELOG.md", "LICENSE"),
    *(".ci", "bench", "docs", ".gitignore", "requirements-dev.txt"),
}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")
FOREIGN = re.compile(r"(?i)/work[/]|\bissue #?\d+\b|/root[/]")
LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)")
PATH_IN_TEXT = re.compile(r"`((?:csms|ocpp_json|ocpp_soap|templates|tests|docs|bench)/[\w./-]*)`")


def project_files() -> list[Path]:
    """Every file that belongs to the project: tracked, or new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("These guards need a git checkout.")
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


def sources() -> list[Path]:
    """Our Python files, without tests and migrations."""
    return [
        path
        for path in project_files()
        if path.suffix == ".py"
        and path.relative_to(ROOT).parts[0] in SOURCES
        and "migrations" not in path.parts
    ]


def texts(*suffixes: str) -> Iterator[tuple[str, str]]:
    """Name and text of the project's files with these endings."""
    for path in project_files():
        if path.suffix in suffixes and path != Path(__file__):
            yield str(path.relative_to(ROOT)), path.read_text("utf-8", errors="replace")


def imported(path: Path) -> Iterator[str]:
    """The modules that a file names in its imports."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_top_level_is_fixed() -> None:
    found = {path.relative_to(ROOT).parts[0] for path in project_files()}
    assert found - LAYOUT == set()


def test_every_action_of_a_charge_point_has_a_handler() -> None:
    importlib.import_module("csms.services.inbox")
    handlers = importlib.import_module("csms.services.dispatch").handlers
    expected = {request for request in registry.actions() if Role.CHARGE_POINT in request.senders}
    assert set(handlers) == expected


def test_declarations_import_nothing_but_the_standard_library_and_msgspec() -> None:
    allowed = sys.stdlib_module_names | {"msgspec"}
    strangers = {
        f"{path.name}: {module}"
        for path in sources()
        if path.is_relative_to(ROOT / "csms" / "ocpp")
        for module in imported(path)
        if module.split(".")[0] not in allowed and not module.startswith("csms.ocpp")
    }
    assert strangers == set()


def test_every_package_has_its_row_in_the_import_table() -> None:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = configuration["tool"]["importlinter"]["contracts"]
    governed = {module for contract in contracts for module in contract.get("source_modules", [])}
    packages = {
        f"csms.{path.parent.name}"
        for path in sources()
        if path.name == "__init__.py" and path.parent.parent == ROOT / "csms"
    }
    # The composition root may import everything; the SQLite backend is Django's business only.
    assert packages - governed == {"csms.management", "csms.sqlite"}


def test_no_file_is_two_rooms() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in sources()
        if (lines := len(path.read_text("utf-8").splitlines())) > 400
    }
    assert long == {}


def test_nothing_is_unfinished_or_of_one_machine() -> None:
    found = [
        f"{name}: {match.group()}"
        for name, text in texts(".py", ".md", ".toml", ".html", ".txt", ".js", ".css", "")
        for pattern in (UNFINISHED, FOREIGN)
        if (match := pattern.search(text))
    ]
    assert found == []


def test_the_settings_page_is_up_to_date() -> None:
    command = importlib.import_module("csms.management.commands.document_settings")
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    assert page == command.settings_page(), "Run: manage.py document_settings"


def test_every_setting_has_a_reason() -> None:
    assert [setting.name for setting in fields(Settings) if not setting.metadata["reason"]] == []


def test_only_the_settings_read_the_environment() -> None:
    readers = {
        str(path.relative_to(ROOT))
        for path in sources()
        if path.relative_to(ROOT).parts[0] != "bench"
        and re.search(r"os\.(environ\b(?!\.setdefault)|getenv)", path.read_text("utf-8"))
    }
    assert readers == {"csms/conf/__init__.py"}


def test_every_requirement_has_its_reason() -> None:
    bare = [
        line
        for name in ("requirements.txt", "requirements-dev.txt")
        for line in (ROOT / name).read_text("utf-8").splitlines()
        if line and not line.startswith(("#", "-r")) and "  # " not in line
    ]
    assert bare == []


def test_the_documentation_mentions_only_what_exists() -> None:
    broken = []
    for name, text in texts(".md"):
        folder = (ROOT / name).parent
        mentioned = [folder / link for link in LINK.findall(text)]
        mentioned += [ROOT / path for path in PATH_IN_TEXT.findall(text)]
        broken += [f"{name}: {path}" for path in mentioned if not path.exists()]
    assert broken == []


def test_every_page_of_the_documentation_is_reachable_from_its_index() -> None:
    docs = ROOT / "docs"
    linked = {
        ((ROOT / name).parent / link).resolve()
        for name, text in texts(".md")
        for link in LINK.findall(text)
    }
    pages = {path for path in project_files() if path.is_relative_to(docs) and path.suffix == ".md"}
    assert pages - linked - {docs / "index.md"} == set()
