"""Lines of the log, as text or as JSON: what a charge point says can neither begin a line nor steer
a terminal.

A line names what it is about where that is known: `charge_point` (identity), `message_id` (of the
OCPP message), `command_id`, `request_id` (of an HTTP request). It is known from the call's own
`extra={"charge_point": …}`, or from `about`, said once for a whole connection or HTTP request.
"""

import json
import logging
import re
import unicodedata
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

KNOWN = ("charge_point", "message_id", "command_id", "request_id")

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of controls, direction marks, surrogates and separators of lines."""

_SOURCES = {"uvicorn.error": "uvicorn"}
"""Loggers whose name misleads: all that uvicorn says comes from its logger `error`."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_PLAIN = re.compile(r"[\w.:/@+-]+")

_known: ContextVar[Mapping[str, Any]] = ContextVar("known", default=MappingProxyType({}))


def in_one_line(text: str) -> str:
    r"""The text with whatever prints nothing written out: `\u{a}` for the end of a line."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"\\u{{{ord(char):x}}}" if unicodedata.category(char) in _HIDDEN else char for char in text
    )


def about(**known: Any) -> None:
    """What all further lines of this task, and of tasks that it starts, are about."""
    _known.set({**_known.get(), **known})


def known_of(record: logging.LogRecord) -> dict[str, Any]:
    """What a record is about; to be asked in the context that wrote it."""
    known = {**_known.get(), **record.__dict__}
    return {name: known[name] for name in KNOWN if known.get(name) not in (None, "")}


def _quoted(value: Any) -> str:
    return str(value) if _PLAIN.fullmatch(str(value)) else json.dumps(value, ensure_ascii=False)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


class LineFormatter(logging.Formatter):
    """A record is one line; the lines of a traceback follow it, each behind a bar.

    ::

        2026-01-02T03:04:05.678Z WARNING csms.services.inbox: … [charge_point=CP-1 message_id=17]
    """

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return _time(record)

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.source = _SOURCES.get(record.name, record.name)
        line = super().formatMessage(record)
        if known := known_of(record):
            line += f" [{' '.join(f'{name}={_quoted(value)}' for name, value in known.items())}]"
        return in_one_line(line)

    def formatException(self, ei: object) -> str:
        return _behind_a_bar(super().formatException(ei))  # type: ignore[arg-type]

    def formatStack(self, stack_info: str) -> str:
        return _behind_a_bar(super().formatStack(stack_info))


class JsonFormatter(logging.Formatter):
    r"""A record is one line of JSON, its texts printable also after they were decoded.

    ::

        {"time": "…", "level": "WARNING", "logger": "csms.services.inbox", "message": "…",
         "charge_point": "CP-1", "message_id": "17", "exception": "| Traceback …\n| …"}
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": _SOURCES.get(record.name, record.name),
            "message": in_one_line(record.getMessage()),
        }
        for name, value in known_of(record).items():
            line[name] = value if isinstance(value, int) else in_one_line(str(value))
        if record.exc_info:
            line["exception"] = _behind_a_bar(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = _behind_a_bar(record.stack_info)
        return json.dumps(line)


def _behind_a_bar(text: str) -> str:
    return "\n".join(f"| {in_one_line(line)}" for line in text.split("\n"))


def logging_config(*, kind: str, level: str) -> dict[str, Any]:
    """Python's configuration of the log: `kind` is `text` or `json`. All goes to stderr."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": "csms.logs.LineFormatter",
                "format": "%(asctime)s %(levelname)s %(source)s: %(message)s",
            },
            "json": {"()": "csms.logs.JsonFormatter"},
        },
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "formatter": "json" if kind == "json" else "line",
                "level": level,
            }
        },
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            "websockets": {"level": "WARNING"},
            "psycopg.pool": {"level": "ERROR"},  # each attempt; who asked for one says it once
            "axes": {"level": "WARNING"},
            "spyne": {"level": "ERROR"},
            "httpx": {"level": "WARNING"},
            "zeep": {"level": "WARNING"},
        },
    }


Send = Callable[[Any], Awaitable[None]]


def with_request_id(scope: Any, send: Send) -> Send:
    """Give an HTTP request (ASGI) an id, for its lines and for its answer's `X-Request-ID`.

    The caller's own is kept, when it looks like one.
    """
    asked = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    text = asked.decode("latin-1")
    request_id = text if _REQUEST_ID.fullmatch(text) else uuid.uuid4().hex
    about(request_id=request_id)

    async def answer(message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            message = {**message, "headers": headers}
        await send(message)

    return answer
