"""A running central system, and packages with handlers that are installed for one test."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import browser, pytest_configure, visitor
from tests.fixtures import lasting_system, system

if TYPE_CHECKING:
    from csms.models import ChargePoint

__all__ = ["browser", "lasting_system", "pytest_configure", "system", "visitor"]

Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a module of this text, and entry points `name = module:object`, one a line."""
    from csms.services import vendor_messages

    def install(entry_points: str, text: str) -> None:
        name = entry_points.partition("=")[2].partition(":")[0].strip()
        metadata = tmp_path / f"{name}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        group = f"[{vendor_messages.GROUP}]\n{entry_points}\n"
        (metadata / "entry_points.txt").write_text(group)
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
        vendor_messages.handlers.cache_clear()

    monkeypatch.syspath_prepend(tmp_path)
    vendor_messages.handlers.cache_clear()
    yield install
    vendor_messages.handlers.cache_clear()


@pytest.fixture
def charger(transactional_db: None) -> "ChargePoint":
    from csms.services import data_transfer
    from tests import factories  # models: Django is set up by now

    data_transfer.forget()
    return factories.charge_point(identity="CP-1", last_seen=None)
