"""What fuzzing starts from: the files beside this one (each one kind of hostile or odd input, of
our own making, named after it), an example of each message, and the frames of real chargers where
they lie beside the checkout.

`json` and `reply` hold WebSocket messages, `body` single elements, `request` whole HTTP requests:
`POST /path`, headers, a blank line, the body.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from csms.ocpp.base import encode_json
from ocpp_json import frames
from ocpp_soap import codec
from ocpp_soap.namespaces import PREFIXES, Service
from tests.ocpp_soap.examples import example, messages
from tests.ocpp_soap.house import envelope, header
from tests.strategies import MESSAGES

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
CONTRACTS = Path(os.environ.get("CSMS_CONTRACTS", ROOT.parent / "shared" / "contracts"))
_BLANK = b"\n\n"


def kept(target: str) -> dict[str, bytes]:
    """The checked-in inputs of a target by name."""
    folder = HERE / ("request" if target == "envelope" else target)
    found = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    if target == "envelope":
        return {name: data.partition(_BLANK)[2] for name, data in found.items()}
    return found


def examples(target: str) -> Iterator[bytes]:
    """An example of each message that a target reads."""
    if target in ("json", "reply"):
        for name, declared in MESSAGES.items():
            payload = encode_json(example(declared, full=True)).decode()
            action = name.removesuffix("Response")
            if name == action and target == "json":
                yield frames.call("m", example(declared, full=True)).encode()
            elif name != action and target == "reply":
                yield f'[3,"{action}",{payload}]'.encode()
        return
    for service, tag, declared in messages():
        element = codec.write(tag, example(declared, full=True), namespace=service.value)
        if target == "body":
            name = f" xmlns:{PREFIXES[service]}={service.value!r}"
            yield (element[: len(tag) + 4] + name + element[len(tag) + 4 :]).encode()
        elif tag.endswith("Request") and service is Service.CENTRAL_SYSTEM:
            action = tag[0].upper() + tag.removesuffix("Request")[1:]
            yield envelope(header(action=f"/{action}"), element).encode()


def field(target: str) -> Iterator[bytes]:
    """What real chargers sent; nothing when the file is not there."""
    path = CONTRACTS.parent / "field" / "frames.jsonl"
    if not path.is_file() or target == "body":
        return
    for line in path.read_text("utf-8").splitlines():
        raw = json.loads(line)["raw"] if line.strip() else None
        if isinstance(raw, str) and raw.lstrip().startswith("<") == (target in _XML):
            yield raw.encode(errors="replace")


_XML = ("envelope", "request")


def seeds(target: str) -> list[bytes]:
    """All that fuzzing a target starts from."""
    return [*kept(target).values(), *examples(target), *field(target)]


TOKENS: dict[str, tuple[bytes, ...]] = {
    "json": (
        b"[2,", b"[3,", b"[4,", b'"', b"\\u0000", b"\\ud800", b"\\uffff", b"null", b"true", b"NaN",
        b"1e999", b"-1", b"9223372036854775807", b"{", b"}", b"[", b"]", b",", b":", b"{}",
        b"9" * 400, b"[" * 200, b"\x00", b"\xef\xbb\xbf", b"\xef\xbf\xbf", b"\xed\xa0\x80",
        b"0001-01-01T00:00:00+14:00", b"9999-12-31T23:59:59-14:00", b"222222017-01-01T00:00:00Z",
        b"2026-01-01T24:00:00Z", b"2026-12-31T23:59:60Z", b"2026-01-01T00:00:00", b"1.05", b"",
    ),
    "soap": (
        b"<", b">", b"</", b"/>", b"<!DOCTYPE a>", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?x ?>",
        b"&#0;", b"&x;", b"&lt;", b' xsi:nil="true"', b' xmlns=""', b' env:mustUnderstand="1"',
        b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xef\xbf\xbf", b"&#xFFFF;", b"-1", b"NaN", b"INF",
        b"9223372036854775807", b"9" * 400, b"<a>" * 40, b"0001-01-01T00:00:00+14:00",
        b"2026-01-01T24:00:00Z", b"222222017-01-01T00:00:00Z", b"Content-Encoding: gzip\n",
        b'<?xml version="1.0" encoding="utf-7"?>', b"<env:Body/>", b"<env:Header/>", b"",
    ),
}  # fmt: skip
"""What mutations put in: the words of the table of hostile inputs."""


def tokens(target: str) -> tuple[bytes, ...]:
    return TOKENS["json" if target in ("json", "reply") else "soap"]
