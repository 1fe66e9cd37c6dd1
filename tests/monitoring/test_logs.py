"""Lines of the log: text and JSON, what they are about, and who cannot forge them."""

import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from django.conf import settings

from csms import conf
from csms.logs import JsonFormatter, LineFormatter, about, logging_config
from tests import factories
from tests.monitoring.reading import ask
from tests.running import System, wait_for
from tests.serving import Environment, Served, manage

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
FORGED = 'CP-1"}\n{"time": "2026-01-01T00:00:00.000Z", "message": "all is well"}'
CONTROLS = "\x1b[2J\x07\r\t\x00\x85\u2028\u202e"


class Log:
    """What a logger of ours writes, in both formats."""

    def __init__(self) -> None:
        self.logger = logging.getLogger("test of both formats")
        self.logger.propagate = False
        self._handlers = []
        line = logging_config(kind="text", level="INFO")["formatters"]["line"]["format"]
        for formatter in (LineFormatter(line), JsonFormatter()):
            handler = logging.StreamHandler(io.StringIO())
            handler.setFormatter(formatter)
            self.logger.addHandler(handler)
            self._handlers.append(handler)

    @property
    def text(self) -> str:
        return str(self._handlers[0].stream.getvalue())

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._handlers[1].stream.getvalue().splitlines()]

    def end(self) -> None:
        for handler in self._handlers:
            self.logger.removeHandler(handler)


@pytest.fixture
def log() -> Iterator[Log]:
    log = Log()
    yield log
    log.end()


def test_a_line_has_its_time_in_utc(log: Log) -> None:
    log.logger.warning("The %s", "text")
    (line,) = log.lines
    assert list(line) == ["time", "level", "logger", "message"]
    assert line["level"] == "WARNING"
    assert line["message"] == "The text"
    assert MOMENT.fullmatch(line["time"])
    written = datetime.fromisoformat(line["time"])
    assert abs((datetime.now(UTC) - written).total_seconds()) < 20
    moment, _, rest = log.text.partition(" ")
    assert MOMENT.fullmatch(moment)
    assert rest == "WARNING test of both formats: The text\n"


def test_what_a_line_is_about(log: Log) -> None:
    known = {"charge_point": "CP-1", "message_id": "17", "command_id": 4, "request_id": ""}
    log.logger.info("It failed", extra=known)
    (line,) = log.lines
    assert line["charge_point"] == "CP-1"
    assert (line["message_id"], line["command_id"]) == ("17", 4)
    assert "request_id" not in line
    assert log.text.endswith("It failed [charge_point=CP-1 message_id=17 command_id=4]\n")


@pytest.mark.parametrize("hostile", [FORGED, CONTROLS], ids=["forged", "controls"])
def test_log_injection(hostile: str, log: Log) -> None:
    """Nothing that a charge point says begins a line, steers a terminal, or adds a field."""
    log.logger.warning("Said: %s", hostile, extra={"charge_point": hostile, "message_id": hostile})
    assert log.text.count("\n") == 1
    assert log.text.rstrip("\n").isprintable()
    (line,) = log.lines
    assert set(line) == {"time", "level", "logger", "message", "charge_point", "message_id"}
    assert all(value.isprintable() for value in line.values())
    try:
        raise ValueError(hostile)
    except ValueError:
        log.logger.exception("It failed")
    _, failed = log.lines
    assert failed["exception"].replace("\n", "").isprintable()
    assert all(text.startswith("| ") for text in failed["exception"].split("\n"))


def test_brackets_in_an_identity_end_nothing(log: Log) -> None:
    log.logger.info("It failed", extra={"charge_point": "CP 1] [message_id=2"})
    assert log.text.endswith('It failed [charge_point="CP 1] [message_id=2"]\n')


def test_about_is_of_one_task(log: Log) -> None:
    import asyncio

    async def connection(identity: str) -> None:
        about(charge_point=identity)
        await asyncio.sleep(0)
        log.logger.info("in %s", identity)
        await asyncio.create_task(call(identity))

    async def call(identity: str) -> None:
        about(message_id="7")
        log.logger.info("call of %s", identity)

    async def scene() -> None:
        await asyncio.gather(*(asyncio.create_task(connection(name)) for name in ("A", "B")))
        log.logger.info("outside")

    asyncio.run(scene())
    said = {line["message"]: line for line in log.lines}
    for name in ("A", "B"):
        assert said[f"in {name}"]["charge_point"] == name
        assert said[f"call of {name}"]["message_id"] == "7"
    assert set(said["outside"]) == {"time", "level", "logger", "message"}


def test_the_settings() -> None:
    assert logging_config(kind="text", level="INFO") == settings.LOGGING
    read = conf.read({"CSMS_LOG_FORMAT": "json", "CSMS_LOG_LEVEL": "warning"})
    assert (read.log_format, read.log_level) == ("json", "WARNING")
    chosen = logging_config(kind=read.log_format, level=read.log_level)
    assert chosen["handlers"]["console"]["formatter"] == "json"
    for wrong in ({"CSMS_LOG_FORMAT": "xml"}, {"CSMS_LOG_LEVEL": "LOUD"}):
        with pytest.raises(conf.SettingError):
            conf.read(wrong)


@pytest.mark.django_db(transaction=True)
def test_lines_of_a_connection_name_it(system: System, caplog: pytest.LogCaptureFixture) -> None:
    lines: list[str] = []
    handler = logging.Handler()
    handler.setFormatter(JsonFormatter())
    handler.emit = lambda record: lines.append(handler.format(record))  # type: ignore[method-assign]
    logging.getLogger("ocpp_json").addHandler(handler)
    try:
        with system.charger(factories.charge_point(identity="NAMED-1")):
            pass
        wait_for(lambda: any("is gone" in line for line in lines))
    finally:
        logging.getLogger("ocpp_json").removeHandler(handler)
    assert {json.loads(line).get("charge_point") for line in lines} == {"NAMED-1"}


@pytest.mark.django_db(transaction=True)
def test_an_http_request_has_an_id(system: System) -> None:
    asked = ask(system, "/admin/login/", **{"x-request-id": "abc-1"})
    assert asked.headers["x-request-id"] == "abc-1"
    for given in ("", "a b", "x" * 65, '"forged"'):
        answer = ask(system, "/admin/login/", **{"x-request-id": given})
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


def test_serve_says_all_in_json(process_environment: Environment) -> None:
    """Every line of a process is one of JSON, uvicorn's and Django's among them."""
    environment = process_environment | {"CSMS_LOG_FORMAT": "json", "CSMS_LOG_LEVEL": "INFO"}
    manage(environment, "migrate", "--verbosity", "0")
    served = Served(environment)
    try:
        wait_for(lambda: any("OCPP-J (WebSocket)" in line for line in served.lines), 40)
        found = [json.loads(line)["message"] for line in served.lines]
        http = next(text.split()[-1] for text in found if text.startswith("Admin"))
        port = re.search(r":(\d+)/", http)
        assert port is not None
        url = f"http://127.0.0.1:{port[1]}/nothing%0Ahere"
        assert httpx.get(url, headers={"x-request-id": "r-1"}, trust_env=False).status_code == 404
        assert served.terminate() == 0, served.output
    finally:
        served.__exit__()
    lines = [json.loads(line) for line in served.lines]
    assert {"csms.serve", "uvicorn"} <= {line["logger"] for line in lines}
    assert "uvicorn.error" not in served.output
    (missed,) = (line for line in lines if line["logger"] == "django.request")
    assert missed["request_id"] == "r-1"
    assert "\n" not in missed["message"]
