"""`manage.py serve` and other commands as processes: what they say, how they end, what stays."""

import asyncio
import itertools
import json
import os
import shutil
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from tests.serving import Environment, Served, fails_in_one_line, manage, rows

# ------------------------------------------------------------------- what cannot be begun


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """For processes that get as far as their settings, or to an empty SQLite database."""
    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return kept | {"CSMS_DATA_DIR": str(tmp_path / "data"), "CSMS_SECRET_KEY": ""}


def test_wrong_setting(environment: Environment) -> None:
    line = fails_in_one_line(environment | {"CSMS_HTTP_PORT": "http"}, "serve")
    assert "CSMS_HTTP_PORT='http'" in line


def test_folder_that_cannot_be_written(environment: Environment, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    line = fails_in_one_line(environment | {"CSMS_DATA_DIR": str(blocked)}, "serve")
    assert "CSMS_DATA_DIR" in line


def test_database_of_an_unknown_kind(environment: Environment) -> None:
    line = fails_in_one_line(environment | {"DATABASE_URL": "mysql://a@b/c"}, "serve")
    assert "DATABASE_URL" in line


def test_database_that_is_not_there(environment: Environment) -> None:
    url = "postgresql://csms@127.0.0.1:1/csms"
    line = fails_in_one_line(environment | {"DATABASE_URL": url}, "serve")
    assert "database cannot be reached" in line
    assert "127.0.0.1" in line


def test_database_without_tables(process_environment: Environment) -> None:
    for command in (["serve"], ["charge_point", "list"], ["ensure_admin"]):
        assert "manage.py migrate" in fails_in_one_line(process_environment, *command)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite database."""
    folder = tmp_path_factory.mktemp("template")
    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    manage(kept | {"CSMS_DATA_DIR": str(folder)}, "migrate", "--verbosity", "0")
    return folder / "csms.sqlite3"


@pytest.fixture
def migrated(process_environment: Environment, template: Path) -> Environment:
    """An environment whose database is ready."""
    if process_environment.get("DATABASE_URL"):
        manage(process_environment, "migrate", "--verbosity", "0")
    else:
        folder = Path(process_environment["CSMS_DATA_DIR"])
        folder.mkdir()
        shutil.copy(template, folder)
    return process_environment


@pytest.mark.parametrize("name", ["CSMS_HTTP_PORT", "CSMS_JSON_PORT"])
def test_port_that_is_taken(migrated: Environment, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = fails_in_one_line(migrated | {name: port}, "serve")
    assert port in line
    assert name in line


@pytest.mark.slow
def test_refusals_of_the_shell_commands(migrated: Environment) -> None:
    manage(migrated, "charge_point", "add", "CP-1", "--transport", "json")
    manage(migrated, "id_tag", "add", "Tag")
    refused = {
        ("charge_point", "add", "CP-1", "--transport", "soap"): "charge point CP-1 already",
        ("charge_point", "add", "a/b", "--transport", "json"): "no slash",
        ("id_tag", "add", "TAG"): "such an idTag already",
        ("id_tag", "block", "other"): "no idTag other",
        ("send", "CP-2", "Reset", '{"type":"Soft"}'): "no charge point CP-2",
        ("send", "CP-1", "Reset", '{"type":"Warm"}'): "type",
        ("send", "CP-1", "Heartbeat"): "no operation of the central system",
    }
    for arguments, said in refused.items():
        assert said in fails_in_one_line(migrated, *arguments)


# --------------------------------------------------------------------- a fleet of two kinds

ENVELOPE = """
<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
 xmlns:a="http://www.w3.org/2005/08/addressing" xmlns:c="urn://Ocpp/Cs/2015/10/"><s:Header>
<c:chargeBoxIdentity>{identity}</c:chargeBoxIdentity><a:Action>/{action}</a:Action>
<a:MessageID>urn:uuid:{message_id}</a:MessageID><a:To>http://csms/</a:To>
<a:From><a:Address>http://192.0.2.7:8080/</a:Address></a:From>
</s:Header><s:Body><c:{element}Request>{body}</c:{element}Request></s:Body></s:Envelope>
"""


class Gone(Exception):
    """The central system has ended; whether it has the message is unknown."""


class Charger:
    """Sends starts and stops, one after another, and remembers what was acknowledged."""

    def __init__(self, transport: str, identity: str) -> None:
        self.transport = transport
        self.identity = identity
        self.started: dict[int, int] = {}
        """meterStart → transactionId, as acknowledged."""
        self.stopped: set[int] = set()
        """transactionIds whose stop was acknowledged."""
        self.close_code: int | None = None
        self._numbers = itertools.count(1)

    async def charge(self, served: Served) -> None:
        """Sessions until the central system goes away."""
        try:
            async with self._connected(served) as link:
                for meter in itertools.count(len(self.started) * 10, 10):
                    transaction_id = await link.start(meter)
                    self.started[meter] = transaction_id
                    await link.stop(transaction_id, meter + 5)
                    self.stopped.add(transaction_id)
        except Gone:
            return

    async def repeat(self, served: Served) -> None:
        """Send every start that may have been received once more: the same ids come back."""
        async with self._connected(served) as link:
            meters = [*self.started, len(self.started) * 10]
            for meter in meters:
                transaction_id = await link.start(meter)
                assert self.started.setdefault(meter, transaction_id) == transaction_id
            for meter, transaction_id in self.started.items():
                await link.stop(transaction_id, meter + 5)

    def _connected(self, served: Served) -> "JsonLink | SoapLink":
        return (JsonLink if self.transport == "json" else SoapLink)(self, served)

    def next_id(self) -> str:
        return f"{self.identity}-{time.monotonic_ns()}-{next(self._numbers)}"[:36]


def _timestamp(meter: int) -> str:
    return f"2026-01-02T{meter // 3600 % 24:02}:{meter // 60 % 60:02}:{meter % 60:02}Z"


class JsonLink:
    def __init__(self, charger: Charger, served: Served) -> None:
        self.charger = charger
        self._opening = connect(
            f"{served.json_url}/{charger.identity}",
            subprotocols=[Subprotocol("ocpp1.6")],
            proxy=None,
        )

    async def __aenter__(self) -> "JsonLink":
        self.socket = await self._opening.__aenter__()
        return self

    async def __aexit__(self, *details: Any) -> None:
        await self._opening.__aexit__(*details)

    async def _call(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        message_id = self.charger.next_id()
        try:
            await self.socket.send(json.dumps([2, message_id, action, payload]))
            answer = json.loads(await self.socket.recv())
        except (ConnectionClosed, WebSocketException, OSError):
            self.charger.close_code = self.socket.close_code
            raise Gone from None
        assert answer[:2] == [3, message_id], answer
        result: dict[str, Any] = answer[2]
        return result

    async def start(self, meter: int) -> int:
        payload = {"connectorId": 1, "idTag": "TAG", "meterStart": meter}
        answer = await self._call("StartTransaction", payload | {"timestamp": _timestamp(meter)})
        return int(answer["transactionId"])

    async def stop(self, transaction_id: int, meter: int) -> None:
        payload = {"transactionId": transaction_id, "meterStop": meter}
        await self._call("StopTransaction", payload | {"timestamp": _timestamp(meter)})


class SoapLink:
    def __init__(self, charger: Charger, served: Served) -> None:
        self.charger = charger
        self.url = served.soap_url
        self.client = httpx.AsyncClient(trust_env=False, timeout=20)

    async def __aenter__(self) -> "SoapLink":
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.client.aclose()

    async def _call(self, action: str, body: str) -> str:
        envelope = ENVELOPE.format(
            identity=self.charger.identity,
            action=action,
            message_id=self.charger.next_id(),
            element=action[0].lower() + action[1:],
            body=body,
        )
        try:
            response = await self.client.post(self.url, content=envelope)
        except httpx.HTTPError:
            raise Gone from None
        if response.status_code == 503:
            raise Gone
        assert response.status_code == 200, response.text
        return response.text

    async def start(self, meter: int) -> int:
        text = await self._call(
            "StartTransaction",
            "<c:connectorId>1</c:connectorId><c:idTag>TAG</c:idTag>"
            f"<c:timestamp>{_timestamp(meter)}</c:timestamp><c:meterStart>{meter}</c:meterStart>",
        )
        return int(text.partition("transactionId>")[2].partition("<")[0])

    async def stop(self, transaction_id: int, meter: int) -> None:
        await self._call(
            "StopTransaction",
            f"<c:transactionId>{transaction_id}</c:transactionId>"
            f"<c:timestamp>{_timestamp(meter)}</c:timestamp><c:meterStop>{meter}</c:meterStop>",
        )


@pytest.fixture
def chargers() -> list[Charger]:
    """Three of each transport."""
    return [Charger(transport, f"{transport}-{n}") for transport in ("json", "soap") for n in "123"]


@pytest.fixture
def open_house(migrated: Environment) -> Environment:
    """An environment in which charge points of this machine are known by asking."""
    return migrated | {"CSMS_UNKNOWN_CHARGERS": "accept"}


async def _until_busy(chargers: list[Charger]) -> None:
    """Each has had several sessions."""
    async with asyncio.timeout(30):
        while not all(len(charger.stopped) >= 4 for charger in chargers):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def _check_what_is_stored(environment: Environment, chargers: list[Charger]) -> None:
    """All that was acknowledged is stored, and nothing twice."""
    found = rows(
        environment,
        "SELECT c.identity, t.meter_start, t.transaction_id, t.state FROM csms_transaction t "
        "JOIN csms_chargepoint c ON c.id = t.charge_point_id",
    )
    stored = {(identity, meter): (number, state) for identity, meter, number, state in found}
    assert len(stored) == len(found)
    for charger in chargers:
        for meter, transaction_id in charger.started.items():
            number, state = stored[charger.identity, meter]
            assert number == transaction_id
            assert state == "stopped" or transaction_id not in charger.stopped
    # At most the one start of each that was under way is stored without having been acknowledged.
    assert len(found) <= sum(len(charger.started) + 1 for charger in chargers)


def test_sigterm_drains(open_house: Environment, chargers: list[Charger]) -> None:
    """F19: answered, or closed with 1012; status 0; what was acknowledged is there."""

    async def scene(served: Served) -> int:
        busy = [asyncio.create_task(charger.charge(served)) for charger in chargers]
        await _until_busy(chargers)
        status = await asyncio.to_thread(served.terminate)
        await asyncio.gather(*busy)
        return status

    with Served(open_house) as served:
        status = asyncio.run(scene(served))
    assert status == 0, served.output
    assert "Traceback" not in served.output
    assert {c.close_code for c in chargers if c.transport == "json"} == {1012}
    _check_what_is_stored(open_house, chargers)
    assert rows(open_house, "SELECT count(*) FROM csms_chargepoint WHERE connected") == [(0,)]


def test_killed_in_a_burst(open_house: Environment, chargers: list[Charger]) -> None:
    """F1: killed without warning; retries get the same transactionIds, nothing is there twice."""

    async def burst(served: Served) -> None:
        busy = [asyncio.create_task(charger.charge(served)) for charger in chargers]
        await _until_busy(chargers)
        served.kill()
        await asyncio.gather(*busy)

    async def retries(served: Served) -> None:
        await asyncio.gather(*(charger.repeat(served) for charger in chargers))

    with Served(open_house) as served:
        asyncio.run(burst(served))
    _check_what_is_stored(open_house, chargers)
    with Served(open_house) as served:
        asyncio.run(retries(served))
        assert served.terminate() == 0, served.output
    _check_what_is_stored(open_house, chargers)
    (everything,) = rows(open_house, "SELECT count(*), count(distinct state) FROM csms_transaction")
    assert everything == (sum(len(charger.started) for charger in chargers), 1)


# ----------------------------------------------------------------------- from the first day


@pytest.mark.slow
def test_second_start_keeps_the_data(migrated: Environment) -> None:
    """Both transports charge, with the simulated fleet; the next start finds it all."""
    for transport in ("json", "soap"):
        name = f"SIM-{transport.upper()}-1"
        manage(migrated, "charge_point", "add", name, "--transport", transport, "--profile", "0")
    manage(migrated, "id_tag", "add", "TAG", "--max-transactions", "0")
    assert "password" in manage(migrated, "ensure_admin").stdout
    with Served(migrated) as served:
        simulation = manage(
            migrated,
            *("simulate", "--json", "1", "--soap", "1", "--connectors", "1", "--prefix", "SIM"),
            *("--ws", served.json_url, "--soap-url", served.soap_url, "--id-tag", "TAG"),
            *("--sessions", "1", "--speed", "60", "--quiet"),
        )
        assert "2 charge points, 2 sessions" in simulation.stdout
        assert served.terminate() == 0, served.output
    query = (
        "SELECT c.transport, t.state, t.billable, t.energy > 0 FROM csms_transaction t "
        "JOIN csms_chargepoint c ON c.id = t.charge_point_id ORDER BY c.transport"
    )
    expected = [("json", "stopped", True, True), ("soap", "stopped", True, True)]
    assert rows(migrated, query) == expected
    assert manage(migrated, "ensure_admin").stdout == ""
    with Served(migrated) as served:
        page = httpx.get(f"{served.admin_url}login/", trust_env=False, timeout=20)
        assert page.status_code == 200
        assert httpx.get(f"{served.soap_url}?wsdl", trust_env=False).status_code == 200
        assert served.terminate() == 0, served.output
    assert rows(migrated, query) == expected


def test_demo_on_a_new_database(migrated: Environment) -> None:
    """CSMS_DEMO makes its fleet on a new database, and all of it registers."""
    with Served(migrated | {"CSMS_DEMO": "1"}) as served:
        online = "SELECT transport, count(*) FROM csms_chargepoint WHERE booted_at IS NOT NULL"
        deadline = time.monotonic() + 40
        while sorted(rows(migrated, f"{online} GROUP BY transport")) != [("json", 2), ("soap", 2)]:
            assert time.monotonic() < deadline, served.output
            time.sleep(0.2)
        assert served.terminate() == 0, served.output
    assert rows(migrated, "SELECT id_tag FROM csms_idtag") == [("DEMO-TAG",)]
