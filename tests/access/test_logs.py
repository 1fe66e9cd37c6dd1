"""Log injection: what a charge point says never looks like a line of ours."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from django.conf import settings

from csms.logs import JsonFormatter, LineFormatter, in_one_line

FORGED = "CP-1\n2026-01-01 00:00:00 INFO csms: all is well"
CONTROLS = "\x1b[2J\x07\r\t\x00\x85\u2028\u202e"


@pytest.fixture
def written() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger with the format of the settings, and what it writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter(settings.LOGGING["formatters"]["line"]["format"]))
    logger = logging.getLogger("test of lines")
    logger.propagate = False
    logger.addHandler(handler)
    yield logger, stream
    logger.removeHandler(handler)


def test_the_settings_use_it() -> None:
    assert settings.LOGGING["formatters"]["line"]["()"] == "csms.logs.LineFormatter"
    assert settings.LOGGING["handlers"]["console"]["formatter"] in ("line", "json")


@pytest.mark.parametrize("hostile", [FORGED, CONTROLS], ids=["forged", "controls"])
def test_a_record_as_json_is_printable_when_it_was_read(hostile: str) -> None:
    record = logging.LogRecord("x", logging.WARNING, "", 0, "of %s", (hostile,), None)
    record.charge_point = hostile
    line = JsonFormatter().format(record)
    assert line.isprintable()
    assert all(str(value).isprintable() for value in json.loads(line).values())


@pytest.mark.parametrize(
    "hostile", [FORGED, CONTROLS, "x" + FORGED * 3], ids=["forged", "controls", "long"]
)
def test_a_record_is_one_line(hostile: str, written: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = written
    logger.warning("The handler of %s failed for %s", hostile, hostile)
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert text.rstrip("\n").isprintable()
    text.encode()


def test_what_was_hidden_is_written_out(written: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = written
    logger.warning("%s", "a\nb\x1b[0mc Zürich 東京 שלום")
    assert stream.getvalue().endswith("a\\u{a}b\\u{1b}[0mc Zürich 東京 שלום\n")


def test_a_lone_surrogate_is_written_out() -> None:
    assert in_one_line("a\ud800b") == "a\\u{d800}b"


def test_a_traceback_cannot_forge_a_line(written: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = written
    try:
        raise ValueError(FORGED + CONTROLS)
    except ValueError:
        logger.exception("It failed", stack_info=True)
    first, *others = stream.getvalue().rstrip("\n").split("\n")
    assert first.endswith("It failed")
    assert len(others) > 4
    assert all(line.startswith("| ") and line.isprintable() for line in others)
    assert "| ValueError: CP-1" in others
