"""The edge over the real services: from a frame to a row, and from a row to a frame."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import pytest
from asgiref.sync import sync_to_async
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from csms import conf
from csms.models import ChargePoint, Command, Message
from csms.models.charge_points import Registration
from csms.ocpp import core
from csms.services import admission
from csms.services.commands import command_send
from csms.services.inbox import Inbox
from csms.services.threads import in_thread
from ocpp_json.delivery import Delivery
from ocpp_json.server import JsonServer

pytestmark = [pytest.mark.anyio, pytest.mark.django_db(transaction=True)]

T = TypeVar("T")


@dataclass
class Central:
    """A central system without its web pages."""

    server: JsonServer
    inbox: Inbox

    def open(self, identity: str = "CP_1") -> connect:
        return connect(
            f"ws://127.0.0.1:{self.server.port}/{identity}",
            subprotocols=[Subprotocol("ocpp1.6")],
            proxy=None,
        )


async def rows(query: Callable[[], T]) -> T:
    """What the ORM says, asked off the event loop."""
    return await in_thread(query)


@pytest.fixture
async def central() -> AsyncIterator[Central]:
    await rows(
        lambda: ChargePoint.objects.create(
            identity="CP_1",
            transport="json",
            registration=Registration.ACCEPTED,
            security_profile=0,
        )
    )
    admission.forget()
    config = conf.read({})
    inbox = Inbox(config)
    inbox.start()
    server = JsonServer(inbox=inbox, gateway="gateway", settings=config)
    await server.start("127.0.0.1", 0)
    delivering = asyncio.create_task(Delivery(server).run())
    yield Central(server, inbox)
    await server.close()
    delivering.cancel()
    await asyncio.wait([delivering])
    await inbox.stop()
    await sync_to_async(_disconnect)()


def _disconnect() -> None:
    from django.db import connections

    connections.close_all()


async def ask(charger: ClientConnection, frame: str) -> list[Any]:
    await charger.send(frame)
    answer: list[Any] = msgspec.json.decode(await charger.recv(decode=True))
    return answer


async def test_a_session_is_stored_and_answered(central: Central) -> None:
    async with central.open() as charger:
        answer = await ask(
            charger,
            '[2,"1","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]',
        )
        assert answer[:2] == [3, "1"]
        assert answer[2]["status"] == "Accepted"
        answer = await ask(
            charger,
            '[2,"2","StatusNotification",{"connectorId":1,"errorCode":"Odd","status":"Available"}]',
        )
        assert answer == [3, "2", {}]
        assert await rows(lambda: ChargePoint.objects.get().connected)
    await asyncio.sleep(0.2)
    assert not await rows(lambda: ChargePoint.objects.get().connected)
    log = await rows(lambda: list(Message.objects.order_by("id")))
    assert [(row.direction, row.action) for row in log] == [
        ("in", "BootNotification"),
        ("in", "StatusNotification"),
    ]
    assert log[1].notes


async def test_an_unreadable_transaction_message_is_answered_and_kept(central: Central) -> None:
    async with central.open() as charger:
        assert await ask(charger, '[2,"1","MeterValues",{"transactionId":,}]') == [3, "1", {}]
        assert (await ask(charger, '[2,"2","Authorize",{"idTag":,}]'))[:2] == [4, "2"]


async def test_an_unknown_charger_is_turned_away(central: Central) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await central.open("CP_2")
    assert refused.value.response.status_code == 404


async def test_a_command_goes_out_and_comes_back(central: Central) -> None:
    def send() -> Command:
        return command_send(charge_point=ChargePoint.objects.get(), request=core.ClearCache())

    async with central.open() as charger:
        await asyncio.sleep(0.1)
        await rows(send)
        frame = msgspec.json.decode(await charger.recv(decode=True))
        assert frame[2:] == ["ClearCache", {}]
        await charger.send(f'[3,"{frame[1]}",{{"status":"Accepted"}}]')
        for _ in range(100):
            await asyncio.sleep(0.02)
            if await rows(lambda: Command.objects.get().state) == "accepted":
                break
        assert await rows(lambda: Command.objects.get().state) == "accepted"
        await asyncio.sleep(0.1)
    log = await rows(lambda: list(Message.objects.filter(direction="out")))
    assert [row.message_id for row in log] == [frame[1]]


async def test_a_command_waits_for_its_charge_point(central: Central) -> None:
    def send() -> Command:
        return command_send(charge_point=ChargePoint.objects.get(), request=core.ClearCache())

    await rows(send)
    async with central.open() as charger:
        frame = msgspec.json.decode(await charger.recv(decode=True))
        assert frame[2] == "ClearCache"
