"""Live connections over real sockets."""

import asyncio

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from csms.ocpp import core
from csms.ocpp.errors import FormationViolation, Unavailable
from csms.services.inbox import Superseded
from ocpp_json import connection as live
from ocpp_json.frames import CallError, CallResult
from tests.ocpp_json.house import House, closed, until

pytestmark = pytest.mark.anyio

HEARTBEAT = '[2,"1","Heartbeat",{}]'
ANSWER = '[3,"1",{"currentTime":"2026-01-02T03:04:05Z"}]'


# What the charge point asks


async def test_a_call_is_decided_and_answered(house: House) -> None:
    async with house.open() as charger:
        await charger.send(HEARTBEAT)
        assert await charger.recv() == ANSWER
    incoming = house.inbox.incoming[0]
    assert incoming.charger is not None
    assert (incoming.charger.pk, incoming.charger.epoch) == (1, 1)
    assert (incoming.action, incoming.message_id, incoming.raw) == ("Heartbeat", "1", HEARTBEAT)
    assert incoming.remote_address == "127.0.0.1"
    assert incoming.request == core.Heartbeat()


async def test_a_binary_or_fragmented_message_is_read(house: House) -> None:
    async with house.open() as charger:
        await charger.send(HEARTBEAT.encode())
        assert await charger.recv() == ANSWER
        await charger.send([HEARTBEAT[:5], HEARTBEAT[5:]])
        assert await charger.recv() == ANSWER


async def test_what_cannot_be_read_goes_to_the_services(house: House) -> None:
    """They decide: an error, or (transaction messages) quarantine and an answer."""
    async with house.open() as charger:
        await charger.send('[2,"1","MeterValues",{"transactionId":,}]')
        assert (await charger.recv(decode=True)).startswith('[4,"1","FormationViolation",')
        await charger.send('[2,"2","Nonsense",{}]')
        assert (await charger.recv(decode=True)).startswith('[4,"2","NotImplemented",')
        await charger.send('[2,"3","Reset",{"type":"Soft"}]')
        assert (await charger.recv(decode=True)).startswith('[4,"3","NotSupported",')
        await charger.send('[2,"4","Authorize",{}]')
        assert (await charger.recv()) == (
            '[4,"4","OccurenceConstraintViolation","idTag is required.",{}]'
        )
    broken = house.inbox.incoming[0]
    assert broken.action == "MeterValues"
    assert broken.request is None
    assert isinstance(broken.error, FormationViolation)


async def test_tolerances_are_noted_and_strict_chargers_refused(house: House) -> None:
    text = '[2,"1","StopTransaction",{"meterStop":1,"timestamp":"x","transactionId":1}]'
    async with house.open() as charger:
        await charger.send(text)
        assert await charger.recv() == '[3,"1",{}]'
    assert house.inbox.incoming[0].notes
    house.admission.strict = True
    async with house.open() as charger:
        await charger.send(text)
        assert (await charger.recv(decode=True)).startswith('[4,"1",')


@pytest.mark.parametrize(
    "text", ['[5,"x",{}]', "", "hello", "[" * 100_000, '[2.0,"1","Heartbeat",{}]', '[3,"x",{}]']
)
async def test_n16_what_is_ignored_is_logged_and_the_socket_survives(
    house: House, text: str
) -> None:
    async with house.open() as charger:
        await charger.send(text)
        await charger.send(HEARTBEAT)
        assert await charger.recv() == ANSWER
    (entry,) = house.inbox.entries
    assert entry.error
    assert len(entry.request) <= 4096


async def test_f10_an_error_for_an_id_of_its_own_is_logged(house: House) -> None:
    async with house.open() as charger:
        await charger.send('[4,"5-boot","GenericError","",{}]')  # Phihong, frame 46
        await charger.send(HEARTBEAT)
        assert await charger.recv() == ANSWER
    assert house.inbox.entries[0].message_id == "5-boot"


async def test_a_stop_of_400_kb_is_taken(house: House) -> None:
    sample = '{"timestamp":"2026-01-02T03:04:05Z","sampledValue":[{"value":"1234567"}]}'
    data = ",".join([sample] * 5500)
    text = (
        '[2,"1","StopTransaction",{"meterStop":1,"timestamp":"2026-01-02T03:04:05Z",'
        f'"transactionId":1,"transactionData":[{data}]}}]'
    )
    assert len(text) > 400_000
    async with house.open() as charger:
        await charger.send(text)
        assert await charger.recv() == '[3,"1",{}]'


async def test_n17_a_number_for_a_message_id_comes_back_as_one(house: House) -> None:
    text = '[2,15,"StopTransaction",{"meterStop":1,"timestamp":"x","transactionId":1}]'
    async with house.open() as charger:
        await charger.send(text)
        assert await charger.recv() == "[3,15,{}]"
    incoming = house.inbox.incoming.pop()
    assert incoming.message_id == "15"
    assert incoming.notes[0].name == "number_for_message_id"
    house.admission.strict = True
    async with house.open() as charger:
        await charger.send(text)
        await charger.send(HEARTBEAT)
        assert await charger.recv() == ANSWER
    assert [entry.request for entry in house.inbox.entries] == [text]


def logged_end(house: House, code: int) -> bool:
    """Whether the message log has one line about a connection that we had to close."""
    (entry,) = house.inbox.entries
    return (entry.charger_pk, entry.direction, entry.request, entry.remote_address) == (
        1,
        "in",
        "",
        "127.0.0.1",
    ) and entry.error.startswith(f"Closed with {code}: ")


async def test_hostile_oversize_is_1009(house: House) -> None:
    async with house.open("/CP_2") as other:
        charger = await house.open()
        await charger.send("x" * (1 << 20) + "x")
        assert (await closed(charger))[0] == 1009
        await until(lambda: house.inbox.entries)
        assert logged_end(house, 1009)
        await other.send(HEARTBEAT)
        assert await other.recv() == ANSWER


async def test_hostile_fragments_are_1009(house: House) -> None:
    charger = await house.open()
    charger.protocol.send_text(b"x" * 600_000, fin=False)
    charger.protocol.send_continuation(b"x" * 600_000, fin=True)
    charger.send_data()
    assert (await closed(charger))[0] == 1009
    await until(lambda: house.inbox.entries)
    assert logged_end(house, 1009)


async def test_hostile_utf8_is_1007(house: House) -> None:
    charger = await house.open()
    await charger.send(b"\xff\xfe", text=True)
    assert (await closed(charger))[0] == 1007
    await until(lambda: house.inbox.entries)
    assert logged_end(house, 1007)


@pytest.mark.parametrize("code", [1000, 1009])
async def test_a_connection_that_the_charger_closes_leaves_no_line(house: House, code: int) -> None:
    charger = await house.open()
    await charger.close(code)
    await until(lambda: not house.server.connections)
    assert house.inbox.entries == []


async def test_n15_answers_are_taken_while_a_call_waits(house: House) -> None:
    async with house.open() as charger:
        house.inbox.may_decide.clear()
        await charger.send(HEARTBEAT)
        await until(lambda: house.inbox.incoming)
        calling = asyncio.create_task(
            house.server.connections[1].call("a", '[2,"a","ClearCache",{}]', 3)
        )
        assert await charger.recv() == '[2,"a","ClearCache",{}]'
        await charger.send('[3,"a",{"status":"Accepted"}]')
        assert isinstance(await calling, CallResult)
        house.inbox.may_decide.set()
        assert await charger.recv() == ANSWER


async def test_n17_a_repeat_in_flight_joins_its_answer(house: House) -> None:
    async with house.open() as charger:
        house.inbox.may_decide.clear()
        await charger.send(HEARTBEAT)
        await charger.send(HEARTBEAT)
        await until(lambda: house.inbox.entries)
        house.inbox.may_decide.set()
        assert [await charger.recv(), await charger.recv()] == [ANSWER, ANSWER]
    assert len(house.inbox.incoming) == 1


async def test_calls_sent_at_once_are_answered_in_order(house: House) -> None:
    async with house.open() as charger:
        for number in range(50):
            await charger.send(f'[2,"{number}","Heartbeat",{{}}]')
        for number in range(50):
            assert (await charger.recv(decode=True)).startswith(f'[3,"{number}",')
    assert [incoming.message_id for incoming in house.inbox.incoming] == [
        str(number) for number in range(50)
    ]


async def test_f4_who_asks_too_much_is_read_no_more(house: House) -> None:
    house.inbox.may_decide.clear()
    async with house.open() as charger, house.open("/CP_2") as other:
        filler = "x" * 40_000

        async def flood() -> None:
            for number in range(1000):
                await charger.send(f'[2,"{number}","{filler}",{{}}]')

        flooding = asyncio.create_task(flood())
        await asyncio.sleep(0.3)
        assert not flooding.done()
        assert house.server.connections[1]._session.waiting <= live.MOST_WAITING
        await other.send(HEARTBEAT)
        house.inbox.may_decide.set()
        assert await other.recv() == ANSWER
        for number in range(1000):
            assert (await charger.recv(decode=True)).startswith(f'[4,"{number}",')
        await flooding


async def test_f3_unavailable_closes_1013_without_an_error(house: House) -> None:
    house.inbox.failure = Unavailable()
    charger = await house.open()
    await charger.send(HEARTBEAT)
    with pytest.raises(ConnectionClosed):
        await charger.recv()
    assert (await closed(charger))[0] == 1013
    await until(lambda: not house.server.connections)
    with pytest.raises(InvalidStatus) as refused:  # for some seconds, whoever is known
        await house.open("/CP_2")
    assert refused.value.response.status_code == 503


async def test_f14_superseded_closes_quietly(house: House) -> None:
    house.inbox.failure = Superseded()
    charger = await house.open()
    await charger.send(HEARTBEAT)
    assert (await closed(charger))[0] == 1000


async def test_an_error_of_ours_ends_only_that_connection(house: House) -> None:
    async with house.open("/CP_2") as other:
        house.inbox.failure = RuntimeError("secret")
        charger = await house.open()
        await charger.send(HEARTBEAT)
        code, reason = await closed(charger)
        assert (code, reason) == (1011, "Internal error.")
        house.inbox.failure = None
        await other.send(HEARTBEAT)
        assert await other.recv() == ANSWER


# What we ask


async def test_a_call_of_ours_is_answered_with_an_error(house: House) -> None:
    async with house.open() as charger:
        calling = asyncio.create_task(house.server.connections[1].call("a", "[2]", 3))
        await charger.recv()
        await charger.send('[4,"a","NotSupported","",{}]')
        answer = await calling
        assert isinstance(answer, CallError)
        assert answer.code == "NotSupported"


async def test_n15_a_second_call_is_not_sent(house: House) -> None:
    async with house.open() as charger:
        connection = house.server.connections[1]
        first = asyncio.create_task(connection.call("a", '[2,"a"]', 3))
        await charger.recv()
        with pytest.raises(live.NotSent):
            await connection.call("b", '[2,"b"]', 3)
        await charger.send('[3,"a",{}]')
        await first


async def test_f10_no_answer_then_a_late_one(house: House) -> None:
    late = []
    house.server.late = lambda connection, message_id, answer: late.append((message_id, answer))
    async with house.open() as charger:
        connection = house.server.connections[1]
        with pytest.raises(live.NoAnswer):
            await connection.call("a", '[2,"a"]', 0.05)
        second = asyncio.create_task(connection.call("b", '[2,"b"]', 3))
        await charger.recv()
        await charger.recv()
        await charger.send('[3,"a",{"status":"Accepted"}]')
        await until(lambda: late)
        assert not second.done()
        await charger.send('[3,"b",{"status":"Rejected"}]')
        assert (await second).message_id == "b"
    assert late[0][0] == "a"


async def test_f15_a_connection_that_ends_leaves_the_outcome_unknown(house: House) -> None:
    charger = await house.open()
    connection = house.server.connections[1]
    calling = asyncio.create_task(connection.call("a", '[2,"a"]', 5))
    await charger.recv()
    await charger.close()
    with pytest.raises(live.NoAnswer):
        await calling
    with pytest.raises(live.NotSent):
        await connection.call("b", '[2,"b"]', 5)
