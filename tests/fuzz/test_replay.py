"""The corpus again, and mutations of it: what fuzzing once found stays found.

Properties (tests/fuzz/targets.py): nothing escapes, each message is answered in its protocol or
logged once, what is kept can be stored, and a message of at most 64 KiB costs at most 50 ms of CPU
time and 10 MiB. A failing input that `make fuzz` reports belongs into tests/fuzz/corpus.
"""

import pytest

from tests.fuzz import properties
from tests.fuzz.mutations import mutations
from tests.fuzz.targets import TARGETS

MUTATIONS = 3000


@pytest.fixture(autouse=True)
def alarm() -> None:
    properties.install_alarm()
    properties.ALARM.said.clear()


def seeds_of(target: str) -> list[bytes]:
    from tests.fuzz import corpus

    return corpus.seeds(target)


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus(target: str) -> None:
    run = TARGETS[target]
    for data in seeds_of(target):
        run(data)
        if len(data) > properties.SMALL:
            continue
        properties.check_cost(lambda data=data: run(data))  # type: ignore[misc]
        grown = properties.memory(lambda data=data: run(data))  # type: ignore[misc]
        assert grown <= properties.MOST_MEMORY, data[:200]


@pytest.mark.parametrize("target", TARGETS)
def test_mutations_of_the_corpus(target: str) -> None:
    from tests.fuzz import corpus

    run = TARGETS[target]
    for data in mutations(seeds_of(target), corpus.tokens(target), number=MUTATIONS):
        try:
            run(data)
        except Exception as error:
            raise AssertionError(f"{target}: {data!r}") from error
