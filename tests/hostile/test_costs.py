"""What one hostile message costs: at most 50 ms of CPU time and 10 MiB, also where it is as long
as a message may be (512 KiB in JSON, 1 MiB in XML).

CPU time of this process, the best of several runs; memory as Python counts it, and for XML, whose
trees libxml2 allocates, the resident set of a process of its own.
"""

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ocpp_soap import guard
from ocpp_soap.asgi import XML_TIMES
from ocpp_soap.errors import Refused
from tests.fuzz import doors, properties
from tests.fuzz.properties import MOST_MEMORY, MOST_SECONDS, memory, seconds
from tests.ocpp_soap.house import message

ROOT = Path(__file__).resolve().parent.parent.parent
KIB = 1024
SMALL = 64 * KIB
GREAT_JSON = doors.SETTINGS.max_message_bytes
GREAT = XML_TIMES * GREAT_JSON

T = "2026-01-02T03:04:05Z"


def padded(before: str, unit: str, after: str, size: int) -> str:
    """`unit` as often as fits into so many characters."""
    return before + unit * ((size - len(before) - len(after)) // len(unit)) + after


def _data_transfer(data: str, after: str = "") -> tuple[str, str]:
    return f'[2,"m","DataTransfer",{{"vendorId":"V","data":{data}', f"{after}}}]"


JSON: dict[str, Callable[[int], str]] = {
    "brackets": lambda size: "[" * size,
    "nested lists": lambda size: (
        '[2,"m","DataTransfer",{"vendorId":"V","data":'
        + "[" * (size // 2 - 40)
        + "]" * (size // 2 - 40)
        + "}]"
    ),
    "nested objects": lambda size: padded(*_with('{"a":', _data_transfer("")), size),
    "digits": lambda size: padded('[2,"m","Heartbeat",{"a":', "9", "}]", size),
    "digits of a transaction": lambda size: padded(
        '[2,"m","StopTransaction",{"meterStop":1,"timestamp":"' + T + '","transactionId":',
        "9",
        "}]",
        size,
    ),
    "many long integers": lambda size: padded(
        '[2,"m","Heartbeat",{"a":[1', "," + "9" * 4000, "]}]", size
    ),
    "many exponents": lambda size: padded('[2,"m","Heartbeat",{"a":[1', ",1e99", "]}]", size),
    "unknown fields": lambda size: (
        '[2,"m","Heartbeat",{' + ",".join(f'"{number:x}":1' for number in range(size // 10)) + "}]"
    ),
    "long key": lambda size: padded('[2,"m","Heartbeat",{"', "k", '":1}]', size),
    "long text": lambda size: padded('[2,"m","Authorize",{"idTag":"', "é", '"}]', size // 2),
    "long id": lambda size: padded('[2,"', "m", '","Heartbeat",{}]', size),
    "long action": lambda size: padded('[2,"m","', "A", '",{}]', size),
    "escapes": lambda size: padded('[2,"m","DataTransfer",{"vendorId":"', r"\u00e9", '"}]', size),
    "backslashes": lambda size: padded('[2,"m","DataTransfer",{"vendorId":"', "\\\\", '"}]', size),
    "blanks": lambda size: padded('[2,"m"', " ", ',"Heartbeat",{}', size),
    "odd samples": lambda size: padded(
        '[2,"m","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"x","sampledValue":[1',
        ',{"value":1,"unit":"?"}',
        "]}]}]",
        size,
    ),
    "empty readings": lambda size: padded(
        '[2,"m","MeterValues",{"connectorId":1,"meterValue":[{}', ",{}", "]}]", size
    ),
    "empty samples": lambda size: padded(
        '[2,"m","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"x","sampledValue":[1',
        ",{}",
        "]}]}]",
        size,
    ),
    "empty samples of many readings": lambda size: padded(
        '[2,"m","MeterValues",{"connectorId":1,"meterValue":[1',
        ',{"timestamp":1,"sampledValue":[{},{}]}',
        "]}]",
        size,
    ),
    "as many odd samples as there may be": lambda size: padded(
        '[2,"m","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"x","sampledValue":[1',
        ',{"value":1,"unit":"?______________________"}',
        "]}]}]",
        size,
    ),
    "as many readings as there may be": lambda size: padded(
        '[2,"m","StopTransaction",{"transactionId":1,"meterStop":1,"timestamp":"'
        + T
        + '","transactionData":[{"timestamp":"'
        + T
        + '","sampledValue":[{"value":"1"}]}',
        ',{"timestamp":"' + T + '","sampledValue":[{"value":"1234567.123456"}]}',
        "]}]",
        size,
    ),
    "fraction of a second": lambda size: padded(
        '[2,"m","StartTransaction",{"connectorId":1,"idTag":"A","meterStart":0,"timestamp":'
        '"2026-01-02T03:04:05.',
        "1",
        'Z"}]',
        size,
    ),
}


def _with(unit: str, around: tuple[str, str]) -> tuple[str, str, str]:
    return around[0], unit, around[1]


def _heartbeat(inside: str) -> str:
    return message("Heartbeat", inside)


XML: dict[str, Callable[[int], str]] = {
    "attributes": lambda size: (
        "<a " + " ".join(f'{_name(number)}=""' for number in range(size // 9)) + "/>"
    ),
    "namespaces": lambda size: (
        "<a " + " ".join(f'xmlns:{_name(number)}="u"' for number in range(size // 16)) + "/>"
    ),
    "elements": lambda size: padded("<a>", "<b/>", "</a>", size),
    "elements of many names": lambda size: (
        "<a>" + "".join(f"<{_name(number)}/>" for number in range(size // 8)) + "</a>"
    ),
    "nesting": lambda size: "<a>" * (size // 7) + "</a>" * (size // 7),
    "open elements": lambda size: "<a>" * (size // 3),
    "comments": lambda size: "<!--" * (size // 4),
    "instructions": lambda size: "<?a " * (size // 4),
    "references": lambda size: padded("<a>", "&lt;", "</a>", size),
    "prolog": lambda size: padded("", "<!-- -->", "<!", size),
    "blanks": lambda size: padded("", " ", "<", size),
    "header blocks": lambda size: _heartbeat("").replace(
        "<env:Header>", padded("<env:Header>", "<wsa:x/>", "", size - 1000)
    ),
    "notes": lambda size: _heartbeat(padded("", "<x>1</x>", "", size - 1000)),
    "text": lambda size: _heartbeat(padded("", "x", "", size - 1000)),
    "digits": lambda size: message(
        "StopTransaction", padded("<transactionId>", "9", "</transactionId>", size - 1000)
    ),
    "as many samples as there may be": lambda size: message(
        "MeterValues",
        padded(
            f"<connectorId>1</connectorId><meterValue><timestamp>{T}</timestamp>",
            f"<sampledValue><value>{'1' * 170}</value></sampledValue>",
            "</meterValue>",
            size - 1000,
        ),
    ),
    "data": lambda size: message(
        "DataTransfer",
        padded("<vendorId>V</vendorId><data>", "<x>1</x>", "</data>", size - 1000),
    ),
    "samples": lambda size: message(
        "MeterValues",
        padded(
            f"<connectorId>1</connectorId><meterValue><timestamp>{T}</timestamp>",
            "<sampledValue><value/></sampledValue>",
            "</meterValue>",
            size - 1000,
        ),
    ),
}


def _name(number: int) -> str:
    """Another short name for each number."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    name = ""
    while True:
        number, rest = divmod(number, 26)
        name += letters[rest]
        if not number:
            return f"q{name}"


@pytest.fixture(autouse=True)
def alarm() -> None:
    properties.install_alarm()
    properties.ALARM.said.clear()


def _json(kind: str, size: int) -> Callable[[], object]:
    text = JSON[kind](size)
    assert size * 0.4 < len(text) <= size
    return lambda: doors.receive(text, checked=False)


def _soap(kind: str, size: int) -> Callable[[], object]:
    body = XML[kind](size).encode()
    assert size * 0.4 < len(body) <= size
    return lambda: doors.post("/ocpp/soap/CP1", {}, body)


def _hold(work: Callable[[], object], most_seconds: float, most_memory: int) -> None:
    work()
    spent = seconds(work, below=most_seconds)
    assert spent <= most_seconds
    assert memory(work) <= most_memory
    properties.ALARM.check()


@pytest.mark.parametrize("kind", JSON)
def test_json_of_64_kib(kind: str) -> None:
    _hold(_json(kind, SMALL), MOST_SECONDS, MOST_MEMORY)


REPAIRED = {"as many odd samples as there may be": 2.0}
"""Times MOST_SECONDS: nearly 12,000 samples, each of which is repaired (75 ms measured)."""


@pytest.mark.parametrize("kind", JSON)
def test_the_longest_json(kind: str) -> None:
    _hold(_json(kind, GREAT_JSON), MOST_SECONDS * REPAIRED.get(kind, 1.0), MOST_MEMORY)


@pytest.mark.parametrize("kind", XML)
def test_soap_of_64_kib(kind: str) -> None:
    _hold(_soap(kind, SMALL), MOST_SECONDS, MOST_MEMORY)


@pytest.mark.parametrize("kind", XML)
def test_the_longest_xml(kind: str) -> None:
    """80,000 attributes cost spyne 15 s."""
    _hold(_soap(kind, GREAT), MOST_SECONDS, MOST_MEMORY)


def test_the_greatest_are_taken() -> None:
    """What is measured as the most that is read is read: one more of the same would be refused."""
    for kind in ("as many odd samples as there may be", "as many readings as there may be"):
        socket, inbox = doors.receive(JSON[kind](GREAT_JSON), checked=False)
        assert socket.sent[0].startswith('[3,"m"'), kind
        assert inbox.taken[0].request is not None
    status, _, house = doors.post(
        "/ocpp/soap/CP1", {}, XML["as many samples as there may be"](GREAT).encode()
    )
    assert status == 200
    assert house.taken[0].request is not None


def test_gzip_bomb() -> None:
    """100 MB in 97 KB."""
    bomb = gzip.compress(b"<a>" + b" " * 100_000_000, mtime=0)

    def unfold() -> None:
        with pytest.raises(Refused):
            guard.unfold(bomb, "gzip", GREAT)

    _hold(unfold, MOST_SECONDS, MOST_MEMORY)


_RESIDENT = """
import resource, sys
from tests.hostile.test_costs import XML, GREAT, SMALL, doors
body = XML[sys.argv[1]](int(sys.argv[2])).encode()
doors.post("/ocpp/soap/CP1", {}, b"<a/>")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
doors.post("/ocpp/soap/CP1", {}, body)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize(
    ("kind", "size", "most"),
    [("elements", SMALL, MOST_MEMORY), ("elements", GREAT, MOST_MEMORY)],
)
def test_resident_memory_of_xml(kind: str, size: int, most: int) -> None:
    """libxml2's tree counts too."""
    script = "import django; django.setup()\n" + _RESIDENT
    done = subprocess.run(
        [sys.executable, "-c", script, kind, str(size)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) * KIB <= most
