"""Slow, silent and greedy HTTP clients (the table's row "Slowloris"; F20): raw sockets."""

import socket
import time
from collections.abc import Iterator

import pytest

from csms.http.config import Limits
from tests.http.serving import HUGE, LOOPS, SHORT, Served, serving

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
BRIEF = 3.0
"""Seconds within which a limit of 0.3 s has had its effect, on a busy machine."""


@pytest.fixture(scope="module", params=list(LOOPS))
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    with serving(loop=request.param) as served:
        yield served


def post(path: bytes, length: int) -> bytes:
    return b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (path, length)


def status(answer: bytes) -> bytes:
    return answer.partition(b"\r\n")[0]


def everybody_left(served: Served) -> None:
    deadline = time.monotonic() + BRIEF
    while served.connections:
        assert time.monotonic() < deadline, served.connections
        time.sleep(0.02)


# ------------------------------------------------------------------------------- too slow


def test_silent(served: Served) -> None:
    """A connection that never sends anything is closed."""
    with served.client() as client:
        assert client.rest() == b""
        assert 0.3 <= client.lasted < BRIEF


@pytest.mark.parametrize("begin", [b"G", b"GET / HTTP/1.1\r\nhost: x\r\nx-half: "])
def test_half_head(served: Served, begin: bytes) -> None:
    """Half a head is answered 408 and the connection closed."""
    with served.client() as client:
        client.send(begin)
        assert status(client.rest()) == b"HTTP/1.1 408 Request Timeout"
        assert 0.3 <= client.lasted < BRIEF


def test_head_byte_by_byte(served: Served) -> None:
    """Slowloris: bytes that keep coming do not prolong the time for a head."""
    with served.client() as client:
        answer = client.drip(b"GET / HTTP/1.1\r\nhost: x\r\n" + b"x-more: 1\r\n" * 1000)
        assert status(answer) == b"HTTP/1.1 408 Request Timeout"
        assert client.lasted < BRIEF


def test_empty_lines_for_ever(served: Served) -> None:
    """What the parser skips in front of a request is no sign of one."""
    with served.client() as client:
        client.drip(b"\r\n" * 1000)
        assert client.lasted < BRIEF


def test_half_body(served: Served) -> None:
    """The body must be there in time, whatever the application would wait."""
    with served.client() as client:
        client.send(post(b"/echo", 100) + b"half")
        assert status(client.rest()) == b"HTTP/1.1 408 Request Timeout"
        assert 0.3 <= client.lasted < BRIEF


def test_body_byte_by_byte(served: Served) -> None:
    with served.client() as client:
        client.send(post(b"/echo", 10_000))
        assert status(client.drip(b"x" * 10_000)) == b"HTTP/1.1 408 Request Timeout"
        assert client.lasted < BRIEF


def test_body_that_was_answered_already(served: Served) -> None:
    """A second answer would be taken for that of the next request: it is cut."""
    with served.client() as client:
        assert client.answer(post(b"/", 100)) == b"HTTP/1.1 200 OK / ok"
        assert client.rest() == b""
        assert client.lasted < BRIEF


def test_idle_between_requests(served: Served) -> None:
    with served.client() as client:
        assert client.answer(GET) == b"HTTP/1.1 200 OK / ok"
        assert client.rest() == b""
        assert 0.3 <= client.lasted < BRIEF


def test_slow_reader(served: Served) -> None:
    """Who does not read is cut, and the application told."""
    with served.client(receive_buffer=4096) as client:
        client.send(b"GET /huge HTTP/1.1\r\nhost: x\r\n\r\n")
        assert client.socket.recv(1) == b"H"
        everybody_left(served)
        assert len(client.rest()) < HUGE


def test_reader_of_a_little(served: Served) -> None:
    """A few bytes now and then are not reading."""
    with served.client(receive_buffer=4096) as client:
        client.send(b"GET /huge HTTP/1.1\r\nhost: x\r\n\r\n")
        assert client.socket.recv(1) == b"H"
        while served.connections:
            assert client.lasted < BRIEF
            client.socket.recv(100)
            time.sleep(0.02)


# -------------------------------------------------------------------------- slow, but right


def test_working_applications_have_their_time(served: Served) -> None:
    """Limits are for clients: an answer may take a second where a request may take 0.3."""
    with served.client() as client:
        assert client.answer(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n") == b"HTTP/1.1 200 OK / ok"
        assert client.answer(GET) == b"HTTP/1.1 200 OK / ok"


def test_reading_at_a_modest_pace(served: Served) -> None:
    """A large answer may take longer than the limit, as long as it is read."""
    with served.client(receive_buffer=65536) as client:
        client.send(b"GET /huge HTTP/1.1\r\nhost: x\r\n\r\n")
        received = 0
        while received < HUGE:
            part = client.socket.recv(1024 * 1024)
            assert part, received
            received += len(part)
            time.sleep(0.005)
        assert client.lasted > 0.3


def test_pipelined_requests(served: Served) -> None:
    """They are answered in their order; the one that waits is not too slow."""
    with served.client() as client:
        client.send(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n" + post(b"/echo", 3) + b"abc" + GET)
        received = b""
        while received.count(b"200 OK") < 3:
            received += client.socket.recv(65536)
        assert received.index(b"\r\n\r\n3") < received.rindex(b"\r\n\r\nok")


def test_head_and_body_come_together(served: Served) -> None:
    """A short answer is one packet: on its way it costs half."""
    for path in (b"/", b"/late"):
        with served.client() as client:
            for _ in range(3):
                client.send(b"GET %s HTTP/1.1\r\nhost: x\r\n\r\n" % path)
                assert client.socket.recv(65536).endswith(b"\r\n\r\nok")


def test_an_answer_without_its_body(served: Served) -> None:
    """HEAD has none; a broken application's head still arrives before the connection ends."""
    with served.client() as client:
        client.send(b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert client.socket.recv(65536).endswith(b"content-length: 2\r\n\r\n")
        assert client.answer(GET).endswith(b"ok")
    with served.client() as client:
        client.send(b"GET /broken HTTP/1.1\r\nhost: x\r\n\r\n")
        assert status(client.rest()) == b"HTTP/1.1 200 OK"


def test_requests_one_after_the_other(served: Served) -> None:
    with served.client() as client:
        for size in (0, 1, 70_000, 1_000_000):
            answer = client.answer(post(b"/echo", size), b"x" * size)
            assert answer == b"HTTP/1.1 200 OK / %d" % size


def test_body_in_chunks(served: Served) -> None:
    with served.client() as client:
        chunks = b"".join(b"%x\r\n%s\r\n" % (size, b"x" * size) for size in (1, 5, 70_000, 16))
        head = b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        assert client.answer(head, chunks + b"0\r\n\r\n") == b"HTTP/1.1 200 OK / 70022"
        assert client.answer(GET) == b"HTTP/1.1 200 OK / ok"


def test_expectation_is_met(served: Served) -> None:
    """`Expect: 100-continue`: the client sends its body when told to."""
    with served.client() as client:
        client.send(b"POST /echo HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
        assert client.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert client.answer(b"", b"ab") == b"HTTP/1.1 200 OK / 2"


def test_upgrades_are_ignored(served: Served) -> None:
    """A WebSocket handshake at the wrong port is answered as any request, and that is all."""
    with served.client() as client:
        client.send(
            b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n" + GET
        )
        assert client.rest().count(b"200 OK") == 1


# ------------------------------------------------------------------------------- too much


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
def test_head_of_200_kb(served: Served, end: bytes) -> None:
    """431, whether the head ever ends or not."""
    with served.client() as client:
        client.send(b"GET / HTTP/1.1\r\nhost: x\r\nx-long: " + b"x" * 200_000 + end)
        answer = client.rest()
        assert status(answer) == b"HTTP/1.1 431 Request Header Fields Too Large"
        assert client.lasted < BRIEF


@pytest.mark.parametrize(("size", "expected"), [(15_000, b"200 OK"), (17_000, b"431 ")])
def test_size_of_a_head(served: Served, size: int, expected: bytes) -> None:
    """16 KiB, for the head alone and beside a body in the same packet."""
    for body in (b"", b"x" * 20_000):
        with served.client() as client:
            head = post(b"/echo", len(body)).removesuffix(b"\r\n")
            client.send(head + b"x-long: " + b"x" * size + b"\r\n\r\n" + body)
            assert expected in status(client.rest())


def test_many_small_headers(served: Served) -> None:
    with served.client() as client:
        client.send(b"GET / HTTP/1.1\r\nhost: x\r\n" + b"a: b\r\n" * 20_000 + b"\r\n")
        assert b"431" in status(client.rest())


def test_long_url(served: Served) -> None:
    with served.client() as client:
        client.send(b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"431" in status(client.rest())


def test_large_trailers(served: Served) -> None:
    """What follows the last chunk is counted as well."""
    limits = Limits(body_bytes=1000, sweep_seconds=0.05)
    with serving(limits=limits) as served, served.client() as client:
        client.send(b"POST /echo HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n")
        client.send(b"1\r\nx\r\n0\r\n" + b"t: x\r\n" * 20_000)
        assert b"413" in status(client.rest())


def test_announced_body_too_large(served: Served) -> None:
    """413 before a byte of the body is read."""
    with served.client() as client:
        client.send(post(b"/echo", 11 * 1024 * 1024))
        assert status(client.rest()) == b"HTTP/1.1 413 Request Entity Too Large"


def test_refusal_can_be_read_while_sending(served: Served) -> None:
    """A client that sends first and reads then sees why, instead of a reset connection."""
    with served.client() as client:
        client.send(post(b"/echo", 11 * 1024 * 1024) + b"x" * 5_000_000)
        assert status(client.rest()) == b"HTTP/1.1 413 Request Entity Too Large"


def test_body_in_chunks_too_large() -> None:
    limits = Limits(body_bytes=100_000, sweep_seconds=0.05)
    with serving(limits=limits) as served, served.client() as client:
        client.send(b"POST /echo HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n")
        client.send(b"10000\r\n%s\r\n" % (b"x" * 65536) * 8)
        assert b"413" in status(client.rest())


def test_flood_of_pipelined_requests(served: Served) -> None:
    """Few requests wait for the answer to the first; the connection of who sends more is cut."""
    with served.client() as client:
        client.send(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n" + GET * 5000)
        assert client.rest() == b""
        assert client.lasted < 1
    everybody_left(served)


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00", b"\0" * 100, b"HELO x\r\n\r\n"])
def test_garbage(served: Served, garbage: bytes) -> None:
    """400 for a TLS handshake at the plain port, and for anything else that is no HTTP."""
    with served.client() as client:
        client.send(garbage)
        assert status(client.rest()) == b"HTTP/1.1 400 Bad Request"


# ------------------------------------------------------------------------------- too many


def test_connections_of_one_address() -> None:
    """Beyond its cap an address is answered 503; others get in, and so does it afterwards."""
    with serving(limits=Limits(), CSMS_MAX_CONNECTIONS_PER_ADDRESS="2") as served:
        first, second, third = (served.client() for _ in range(3))
        with first, second:
            with third:
                answer = third.rest()
                assert status(answer) == b"HTTP/1.1 503 Service Unavailable"
                assert b"\r\nretry-after: 30\r\n" in answer
            with served.client(source="127.0.0.2") as other:
                assert other.answer(GET) == b"HTTP/1.1 200 OK / ok"
            assert second.answer(GET) == b"HTTP/1.1 200 OK / ok"
        everybody_left(served)
        with served.client() as again:
            assert again.answer(GET) == b"HTTP/1.1 200 OK / ok"


def test_connections_of_a_listed_proxy() -> None:
    """It brings the connections of many."""
    proxy = "127.0.0.1"
    with (
        serving(CSMS_MAX_CONNECTIONS_PER_ADDRESS="1", CSMS_TRUSTED_PROXIES=proxy) as served,
        served.client() as first,
        served.client() as second,
    ):
        assert first.answer(GET) == second.answer(GET) == b"HTTP/1.1 200 OK / ok"


def test_connections_in_all() -> None:
    with (
        serving(CSMS_MAX_CONNECTIONS="1") as served,
        served.client(),
        served.client(source="127.0.0.2") as second,
    ):
        assert status(second.rest()) == b"HTTP/1.1 503 Service Unavailable"


def test_far_too_many() -> None:
    """F20: far above its cap an address is not even answered."""
    with serving(CSMS_MAX_CONNECTIONS="1") as served:
        opened: list[socket.socket] = []
        try:
            for _ in range(300):
                opened.append(served.client().socket)
            assert opened[-1].recv(100) == b""
        finally:
            for each in opened:
                each.close()


def test_shutdown_does_not_wait_for_the_slow() -> None:
    """The sweep goes on while the server ends."""
    began = time.monotonic()
    limits = Limits(body_seconds=0.3, sweep_seconds=0.05)
    with serving(limits=limits) as served, served.client() as client:
        client.send(post(b"/echo", 100) + b"half")
        time.sleep(0.1)
    assert time.monotonic() - began < BRIEF


def test_limits_by_default() -> None:
    """What the table asks for."""
    limits = Limits()
    assert (limits.head_seconds, limits.body_seconds, limits.head_bytes) == (10, 10, 16_384)
    assert SHORT.head_bytes == limits.head_bytes
