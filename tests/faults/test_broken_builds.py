"""Builds that are broken on purpose do not get through: what a run finds wrong with each.

A build is broken by a `sitecustomize` of its processes, which changes one function of ours when its
module is imported.
"""

from pathlib import Path

import pytest

from tests.faults import report
from tests.faults.fleet import Charger
from tests.faults.runs import Size, perform
from tests.faults.site import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.sqlite, pytest.mark.timeout(200)]

SIZE = Size(rounds=3, messages=300, seconds=60, json=5, soap=3, between=100)
"""Kills are enough."""

BREAKING = """
import importlib.abc
import importlib.util
import random
import sys


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            broken(module)

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Finder())
"""

KNOWS_NO_RETRY = """
MODULE = "csms.services.transactions"


def broken(module):
    sent = module.sent_text

    def sent_text(*arguments):  # another text for the same moment
        return sent(*arguments).replace("+00:00", random.choice(("Z", "+00:00", "+0000")))

    module.sent_text = sent_text
"""

MEASURES_WRONGLY = """
MODULE = "csms.services.transactions"


def broken(module):
    measured = module.energy_of

    def energy_of(row, meter_stop):
        energy, problem = measured(row, meter_stop)
        return energy and energy - 1, problem

    module.energy_of = energy_of
"""


@pytest.mark.parametrize(
    ("how", "found"),
    [
        pytest.param(KNOWS_NO_RETRY, "is stored 2 times", id="it knows no retry"),
        pytest.param(MEASURES_WRONGLY, "Wh were told", id="it measures wrongly"),
    ],
)
def test_it_is_found(how: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the kills one answer in five gets lost, so that much is sent again."""
    monkeypatch.setattr(Charger, "lost_answers", 0.2)
    (tmp_path / "sitecustomize.py").write_text(BREAKING + how)
    run = perform(SIZE, postgresql=False, environment={"PYTHONPATH": f"{tmp_path}:{ROOT}"})
    assert run.kills > 0, report.as_text(run)
    assert any(found in problem for problem in run.problems), report.as_text(run)
