"""The connections of the client, against a server on loopback that misbehaves on purpose."""

from __future__ import annotations

import asyncio
import itertools
import random
import shutil
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import anyio
import anyio.lowlevel
import httpx
import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st

from agentbay import AsyncAgentBay, AsyncSession
from agentbay._exchange import NEVER_SENT
from agentbay._pool import _connection, _dialing, _readers, _tls
from agentbay._pool._connection import UntakenError
from agentbay._pool._pools import Pool
from agentbay._pool._proxies import proxies
from agentbay._pool._requests import order_of
from agentbay._pool._stock import StockTransport
from agentbay._pool._tls import Tls
from agentbay._pool.transport import PoolTransport, carriers, most_connections
from agentbay._transport import _parsed, _with_query, encoded

from .pool_service import PoolService, Talk, answer, reply, serving
from .service import KEY

READERS: list[Callable[[], Any]] = [_readers.H11Reader]
if _readers._httptools() is not None:
    READERS.append(lambda: _readers.HttptoolsReader(_readers._httptools()))

# httpx leaves generators behind when a call is cancelled, which trio reports.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")

with_own_pool = pytest.mark.parametrize("anyio_backend", ["asyncio"])


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(params=READERS, ids=lambda reader: getattr(reader, "__name__", "HttptoolsReader"))
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Every reader in turn."""
    monkeypatch.setattr("agentbay._pool._pools.new_reader", request.param)
    return request.param


@asynccontextmanager
async def client_of(**options: Any) -> AsyncGenerator[httpx.AsyncClient, None]:
    """A client on our transport; at its end nothing may be left of a connection."""
    transport = PoolTransport(Tls(options.pop("verify", True)), **options)
    async with httpx.AsyncClient(transport=transport, timeout=20) as client:
        yield client
        if transport._pool is not None:
            assert not [c for o in transport._pool._origins.values() for c in o._busy]


def pool_of(client: httpx.AsyncClient) -> Pool:
    """Its connections."""
    transport = client._transport
    assert isinstance(transport, PoolTransport)
    assert transport._pool is not None
    return transport._pool


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(10):
        while not condition():  # noqa: ASYNC110 - it comes true in another thread
            await anyio.sleep(0.005)


def once(*pieces: bytes, pause: float = 0.0) -> Callable[[Talk], Any]:
    """Answer the first request of each connection with these bytes, and close it."""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(*pieces, pause=pause)

    return script


# -- connections that are kept ---------------------------------------------------------


async def test_calls_one_after_the_other_share_a_connection() -> None:
    with serving() as service:
        async with client_of() as client:
            for number in range(5):
                response = await client.post(service.url, content=b"x" * number)
                assert (response.status_code, response.content) == (200, b"ok")
        assert service.connections == 1
        assert [request.partition(b"\r\n\r\n")[2] for request in service.requests] == [
            b"x" * number for number in range(5)
        ]


async def test_a_connection_that_was_closed_while_idle_is_replaced() -> None:
    with serving(once(reply())) as service:
        async with client_of() as client:
            for _ in range(3):
                await client.get(service.url)
                await until(lambda: service.open == 0)
    assert service.connections == 3


@with_own_pool
async def test_the_end_of_a_connection_is_seen_before_the_loop_tells_it() -> None:
    with serving(once(reply())) as service:
        async with client_of() as client:
            await client.get(service.url)
            service.wait_until(lambda: service.open == 0)  # the loop stands still meanwhile
            await client.post(service.url)
    assert (service.connections, len(service.requests)) == (2, 2)


@with_own_pool
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what was acknowledged")
async def test_a_request_that_no_byte_was_taken_of_goes_over_another_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def quiet(_: socket.socket) -> bool:
        return True

    monkeypatch.setattr(_connection, "is_quiet", quiet)  # as if the end came later
    with serving(once(reply())) as service:
        async with client_of() as client:
            await client.get(service.url)
            service.wait_until(lambda: service.open == 0)
            response = await client.post(service.url, content=b"one")
            assert response.content == b"ok"
            service.wait_until(lambda: service.open == 0)

            async def pieces() -> AsyncIterator[bytes]:
                yield b"two"

            # What was drawn from an iterator is gone: the caller has to send it again.
            with pytest.raises(UntakenError) as caught:
                await client.post(service.url, content=pieces())
    assert isinstance(caught.value, NEVER_SENT)
    assert (service.connections, len(service.requests)) == (2, 2)


async def test_a_request_that_was_taken_is_not_sent_again() -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(reply())
        await talk.request()  # and no answer

    with serving(script) as service:
        async with client_of() as client:
            await client.get(service.url)
            with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)) as caught:
                await client.post(service.url)
    assert not isinstance(caught.value, NEVER_SENT)
    assert len(service.requests) == 2


async def test_a_request_that_was_read_before_a_reset_is_not_sent_again() -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(reply())
        await talk.request()
        opened = talk.writer.get_extra_info("socket")
        # At once, so that no acknowledgement is on its way before the reset.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        talk.writer.transport.abort()

    for _ in range(5):
        with serving(script) as service:
            async with client_of() as client:
                await client.get(service.url)
                with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)) as caught:
                    await client.post(service.url)
        assert not isinstance(caught.value, NEVER_SENT)
        assert len(service.requests) == 2


@with_own_pool
async def test_idle_connections_are_dropped() -> None:
    with serving() as service:
        async with client_of(kept=0.2) as client:
            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(client.get, service.url)
            assert service.open > 0
            await until(lambda: service.open == 0)
            assert not pool_of(client).connections()
            await client.get(service.url)


@with_own_pool
async def test_a_server_that_keeps_its_end_for_less_is_left_before() -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(reply(b"ok", "Keep-Alive: max=9, timeout=5"))
        await talk.request()

    with serving(script) as service:
        async with client_of() as client:
            await client.get(service.url)
            (connection,) = pool_of(client).connections()
            left = connection.idle_until - asyncio.get_running_loop().time()
    assert 3 < left <= 4


async def test_a_connection_that_the_server_wants_closed_is_closed() -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(reply(b"ok", "Connection: close"))
        await talk.request()

    with serving(script) as service:
        async with client_of() as client:
            for _ in range(2):
                assert (await client.get(service.url)).content == b"ok"
    assert service.connections == 2


# -- replies ---------------------------------------------------------------------------


async def _reply_to(script: Callable[[Talk], Any], method: str = "GET") -> httpx.Response:
    with serving(script) as service:
        async with client_of() as client:
            return await client.request(method, service.url)


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf!", id="half a body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Le", id="half a head"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x16\x03\x01\x02\x00secret-1234", id="not HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", id="no length"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", id="two lengths"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", id="half a chunk"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc", id="no chunk"
        ),
        pytest.param(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            id="an upgrade",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000, id="an endless head"),
    ],
)
async def test_a_reply_that_is_none_is_an_error_without_its_text(broken: bytes) -> None:
    with pytest.raises(httpx.RemoteProtocolError) as caught:
        await _reply_to(once(broken))
    assert "secret-1234" not in repr(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.usefixtures("reader")
async def test_a_chunked_reply_is_put_together() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    tail = (b"4;x=y\r\nab", b"cd\r", b"\n0a\r\n0123456789\r\n0\r\nTrailer: x\r\n", b"\r\n")

    async def script(talk: Talk) -> None:
        while True:
            await talk.request()
            await talk.say(head, *tail, pause=0.01)

    with serving(script) as service:
        async with client_of() as client:
            for _ in range(2):
                response = await client.get(service.url)
                assert response.content == b"abcd0123456789"
                assert "trailer" not in response.headers
    assert service.connections == 1


@pytest.mark.usefixtures("reader")
async def test_a_reply_without_a_length_ends_with_the_connection() -> None:
    response = await _reply_to(once(b"HTTP/1.0 200 Fine\r\n\r\nall", b" of it", pause=0.01))
    assert response.content == b"all of it"
    assert (response.http_version, response.reason_phrase) == ("HTTP/1.0", "Fine")


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n"),
        ("POST", b"HTTP/1.1 100 Continue\r\n\r\n" + reply(b"")),
        ("POST", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 102 P\r\n\r\n" + reply(b"")),
    ],
)
async def test_a_reply_without_a_body_leaves_the_connection_usable(
    method: str, said: bytes
) -> None:
    async def script(talk: Talk) -> None:
        while True:
            await talk.request()
            await talk.say(said)

    with serving(script) as service:
        async with client_of() as client:
            for _ in range(3):
                response = await client.request(method, service.url)
                assert response.content == b""
                assert b"link" not in dict(response.headers.raw)
    assert (service.connections, len(service.requests)) == (1, 3)


@with_own_pool
@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize(
    "garbage", [reply(b"of somebody else"), b"\r\n\r\ngarbage", b"HTTP/1.1 408 Timeout\r\n\r\n"]
)
async def test_what_follows_a_reply_is_not_the_next_one(garbage: bytes, later: bool) -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        if talk.number > 1:
            await talk.say(reply(b"second"))
        elif later:
            await talk.say(reply(b"first"), garbage, pause=0.02)
        else:
            await talk.say(reply(b"first") + garbage)
        await talk.request()

    with serving(script) as service:
        async with client_of() as client:
            assert (await client.get(service.url)).content == b"first"
            if later:
                await until(lambda: service.open == 0)
            assert (await client.get(service.url)).content == b"second"
    assert service.connections == 2


@with_own_pool
async def test_what_arrives_between_two_calls_is_seen_before_the_loop_tells_it() -> None:
    said = False

    async def script(talk: Talk) -> None:
        nonlocal said
        await talk.request()
        await talk.say(reply(b"%d" % talk.number))
        if talk.number == 1:
            await asyncio.sleep(0.05)
            await talk.say(reply(b"of somebody else"))
            said = True
        await talk.request()

    with serving(script) as service:
        async with client_of() as client:
            assert (await client.get(service.url)).content == b"1"
            service.wait_until(lambda: said)
            assert (await client.get(service.url)).content == b"2"


@pytest.mark.usefixtures("reader")
async def test_a_long_head_is_read() -> None:
    response = await _reply_to(once(reply(b"ok", f"X-Long: {'y' * 60_000}")))
    assert (len(response.headers["x-long"]), response.content) == (60_000, b"ok")


async def test_headers_come_as_they_were_sent() -> None:
    response = await _reply_to(once(reply(b"ok", "X-Case: One", "x-case: two", "Empty:")))
    assert response.headers.get_list("x-case") == ["One", "two"]
    assert response.headers["empty"] == ""
    assert (b"X-Case", b"One") in response.headers.raw


class Parts:
    """What a reader tells, put together."""

    def __init__(self) -> None:
        self.head: _readers.Head | None = None
        self.body = b""
        self.ends: list[bool] = []

    def on_head(self, head: _readers.Head) -> None:
        self.head = head

    def on_data(self, data: bytes) -> None:
        assert not self.ends
        self.body += data

    def on_end(self, keep: bool) -> None:
        self.ends.append(keep)


BODY = b"0123456789" * 3
CHUNKED = b"HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n"
REPLIES = [
    reply(BODY, "A: b"),
    b"HTTP/1.1 100 Continue\r\n\r\n" + reply(BODY, "A: b"),
    b"HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n1e\r\n"
    + BODY
    + b"\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"".join(b"1\r\n%c\r\n" % byte for byte in BODY)
    + b"0\r\nT: t\r\n\r\n",
]


@pytest.mark.parametrize("make", READERS)
@given(st.sampled_from(REPLIES), st.lists(st.integers(1, 400), max_size=12))
def test_a_reply_is_the_same_wherever_it_is_split(
    make: Callable[[], Any], whole: bytes, cuts: list[int]
) -> None:
    reading = make()
    for _ in range(2):  # the same reader takes the next reply, too
        parts = Parts()
        reading.start("POST", parts)
        edges = [0, *sorted(cut for cut in cuts if cut < len(whole)), len(whole)]
        for start, end in itertools.pairwise(edges):
            if start < end:
                reading.feed(whole[start:end])
        assert parts.head is not None
        assert (parts.head.status, parts.head.reason, parts.head.version) == (200, b"OK", b"1.1")
        assert (b"A", b"b") in parts.head.headers
        assert (parts.body, parts.ends) == (BODY, [True])


# -- bodies that stream ----------------------------------------------------------------

MEGABYTE = bytes(1 << 20)


@with_own_pool
async def test_a_long_reply_does_not_pile_up() -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 << 20))
        await talk.say(*[MEGABYTE] * 64)

    with serving(script) as service:
        async with client_of() as client, client.stream("GET", service.url) as response:
            (connection,) = pool_of(client).connections()
            await until(lambda: connection._paused)  # nobody takes anything yet
            await anyio.sleep(0.2)  # in which the server could send it all
            assert connection._held < 1 << 20
            taken = 0
            async for chunk in response.aiter_raw():
                taken += len(chunk)
                assert connection._held < 1 << 20
    assert taken == 64 << 20


@with_own_pool
async def test_a_reply_that_is_not_read_to_its_end_costs_its_connection() -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        await talk.request()

    with serving(script) as service:
        async with client_of() as client:
            for _ in range(2):
                async with client.stream("GET", service.url) as response:
                    async for chunk in response.aiter_raw():
                        assert chunk == b"12345"
                        break
            await until(lambda: service.open == 0)
    assert service.connections == 2


async def _pieces(count: int) -> AsyncGenerator[bytes, None]:
    for _ in range(count):
        yield MEGABYTE[:100_000]
        yield b""


@pytest.mark.parametrize("length", [None, 3_000_000])
async def test_a_long_request_arrives_whole(length: int | None) -> None:
    with serving() as service:
        async with client_of() as client:
            headers = {} if length is None else {"content-length": str(length)}
            await client.put(service.url, content=_pieces(30), headers=headers)
            await client.put(service.url, content=MEGABYTE * 8)
    bodies = [request.partition(b"\r\n\r\n")[2] for request in service.requests]
    assert [len(body) for body in bodies] == [3_000_000, 8 << 20]
    assert service.connections == 1


@with_own_pool
@pytest.mark.parametrize("length", [2_999_999, 3_000_001])
async def test_a_request_with_a_wrong_length_is_refused(length: int) -> None:
    with serving() as service:
        async with client_of() as client:
            headers = {"content-length": str(length)}
            with pytest.raises(httpx.LocalProtocolError):
                await client.put(service.url, content=_pieces(30), headers=headers)
            await until(lambda: service.open == 0)
            await client.get(service.url)
    assert len(service.requests) == 1


@with_own_pool
@pytest.mark.parametrize("whole", [False, True])
async def test_a_refusal_before_the_end_of_a_request_is_an_answer(whole: bool) -> None:
    async def script(talk: Talk) -> None:
        await talk.reader.readuntil(b"\r\n\r\n")
        await talk.say(reply(b"no", status="413 Too Large"))
        while await talk.reader.read(1 << 16):
            pass

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield MEGABYTE

    with serving(script) as service:
        async with client_of() as client:
            body = MEGABYTE * 64 if whole else endless()
            with anyio.fail_after(20):
                response = await client.post(service.url, content=body)
            assert (response.status_code, response.content) == (413, b"no")
            await until(lambda: service.open == 0)  # the rest of the body is still to come


@with_own_pool
async def test_an_error_of_the_body_is_the_callers_and_costs_the_connection() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"abc"
        raise KeyError("mine")

    with serving() as service:
        async with client_of() as client:
            with pytest.raises(KeyError):
                await client.post(service.url, content=broken())
            await until(lambda: service.open == 0)


# -- limits ----------------------------------------------------------------------------


async def _silence(talk: Talk) -> None:
    await talk.request()
    await talk.reader.read()


def limits(**seconds: float) -> httpx.Timeout:
    return httpx.Timeout(None, **seconds)


async def test_a_server_that_says_nothing_is_given_up() -> None:
    with serving(_silence) as service:
        async with client_of() as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.get(service.url, timeout=limits(read=0.1))
            await until(lambda: service.open == 0)


async def test_a_body_that_stops_is_given_up() -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        await talk.reader.read()

    with serving(script) as service:
        async with client_of() as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.get(service.url, timeout=limits(read=0.1))
            await until(lambda: service.open == 0)


@with_own_pool
async def test_a_server_that_takes_nothing_is_given_up() -> None:
    async def script(talk: Talk) -> None:
        talk.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(60)

    with serving(script) as service:
        async with client_of() as client:
            with pytest.raises(httpx.WriteTimeout):
                await client.post(service.url, content=MEGABYTE * 64, timeout=limits(write=0.2))


async def test_a_server_that_shakes_no_hands_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        async with client_of() as client:
            with pytest.raises(httpx.ConnectTimeout):
                await client.get(url, timeout=limits(connect=0.5))


async def test_a_server_that_is_not_there_is_a_connect_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with client_of() as client:
            for host in ("127.0.0.1", "localhost"):
                with pytest.raises(httpx.ConnectError) as caught:
                    await client.get(f"http://{host}:{unused.getsockname()[1]}/")
                assert str(caught.value)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 64 + ".invalid"])
async def test_a_name_that_leads_nowhere_is_a_connect_error(host: str) -> None:
    async with client_of() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://{host}/", timeout=20)


async def test_who_finds_all_connections_in_use_waits_and_gives_up() -> None:
    go = False

    async def script(talk: Talk) -> None:
        while True:
            await talk.request()
            while not go:  # noqa: ASYNC110 - set on another loop
                await asyncio.sleep(0.005)
            await talk.say(reply())

    with serving(script) as service:
        async with client_of(most=8) as client, anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(client.get, service.url)
            await until(lambda: len(service.requests) == 8)
            with pytest.raises(httpx.PoolTimeout) as caught:
                await client.get(service.url, timeout=limits(pool=0.05))
            assert isinstance(caught.value, NEVER_SENT)
            go = True
        assert len(service.requests) == 20
    assert service.most == 8


@with_own_pool
async def test_a_turn_that_comes_to_somebody_who_is_gone_goes_to_the_next() -> None:
    with serving() as service:
        pool = Pool(asyncio.get_running_loop(), Tls(), most=1)
        origin = pool.origin("http", "127.0.0.1", service.port)
        for keep in (False, True):
            async with httpx.AsyncClient() as unused:
                order = order_of(unused.build_request("GET", service.url))
            first = await origin.acquire(None, None)
            await first.exchange(order)
            late = asyncio.ensure_future(origin.acquire(None, None))
            await asyncio.sleep(0)
            if not keep:
                first.drop()
            origin.release(first)  # gives the turn away, which nobody takes
            late.cancel()
            with pytest.raises(asyncio.CancelledError):
                await late
            with anyio.fail_after(10):
                origin.release(await origin.acquire(None, None))
        await pool.aclose()


# -- many calls, cancelled calls -------------------------------------------------------


async def test_hundreds_of_calls_at_once(anyio_backend: str) -> None:
    count = 300 if anyio_backend == "asyncio" else 60  # trio takes 15 ms for each

    async def script(talk: Talk) -> None:
        while True:
            request = await talk.request()
            await asyncio.sleep(0.02)
            await talk.say(reply(request.partition(b"\r\n\r\n")[2]))

    answers: dict[int, bytes] = {}

    async def call(client: httpx.AsyncClient, url: str, number: int) -> None:
        answers[number] = (await client.post(url, content=b"%d" % number)).content

    with serving(script) as service:
        async with client_of() as client:
            for _ in range(2):
                answers.clear()
                async with anyio.create_task_group() as tasks:
                    for number in range(count):
                        tasks.start_soon(call, client, service.url, number)
                assert answers == {number: b"%d" % number for number in range(count)}
        await until(lambda: service.open == 0)
    assert service.connections <= count  # the second round finds those of the first


@pytest.mark.parametrize("most", [300, 5])
async def test_calls_that_are_cancelled_leave_nothing_and_disturb_nobody(most: int) -> None:
    async def script(talk: Talk) -> None:
        while True:
            request = await talk.request()
            await asyncio.sleep(random.random() * 0.02)
            await talk.say(reply(request.partition(b"\r\n\r\n")[2]))

    wrong: list[tuple[int, bytes]] = []

    async def call(client: httpx.AsyncClient, url: str, number: int) -> None:
        with anyio.move_on_after(random.random() * 0.06):
            content = (await client.post(url, content=b"%d" % number)).content
            if content != b"%d" % number:
                wrong.append((number, content))

    others = set(anyio.get_running_tasks())
    with serving(script) as service:
        async with client_of(most=most) as client:
            async with anyio.create_task_group() as tasks:
                for number in range(200):
                    tasks.start_soon(call, client, service.url, number)
                    await anyio.lowlevel.checkpoint()
            assert wrong == []
            for number in range(20):
                response = await client.post(service.url, content=b"%d" % number)
                assert response.content == b"%d" % number
            if isinstance(client._transport, PoolTransport) and client._transport._pool:
                (origin,) = client._transport._pool._origins.values()
                assert origin._open == len(origin._idle) <= most
                assert not origin._waiters
            assert set(anyio.get_running_tasks()) <= others
        await until(lambda: service.open == 0)


@with_own_pool
async def test_a_closed_client_ends_what_is_under_way_and_what_waits() -> None:
    errors: list[httpx.TransportError] = []

    async def call(client: httpx.AsyncClient, url: str) -> None:
        try:
            await client.get(url)
        except httpx.TransportError as exc:
            errors.append(exc)

    with serving(_silence) as service:
        async with client_of(most=2) as client, anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(call, client, service.url)
            await until(lambda: len(service.requests) == 2)
            await client._transport.aclose()
        assert sorted(type(error).__name__ for error in errors) == [
            *["ConnectError"] * 2, *["ReadError"] * 2,
        ]  # fmt: skip
        await until(lambda: service.open == 0)


@with_own_pool
async def test_a_transport_that_is_closed_keeps_no_timer_and_no_task() -> None:
    others = asyncio.all_tasks()
    with serving() as service:
        async with client_of() as client:
            await client.get(service.url)
            timer = pool_of(client)._timer
            assert timer is not None
        assert timer.cancelled()
        assert asyncio.all_tasks() <= others


# -- what is sent ----------------------------------------------------------------------


@with_own_pool
@pytest.mark.parametrize(
    "headers",
    [
        {"x": "a\r\nEvil: 1"},
        {"x": "a\nEvil: 1"},
        {"x": "a\0"},
        {"x y": "a"},
        {"x:": "a"},
        {"": "a"},
        {"content-length": "5", "transfer-encoding": "chunked"},
        {"content-length": "+3"},
        {"content-length": "4"},
    ],
)
async def test_a_request_that_would_not_be_one_is_not_sent(headers: dict[str, str]) -> None:
    with serving() as service:
        async with client_of() as client:
            with pytest.raises(httpx.LocalProtocolError):
                await client.post(service.url, content=b"abc", headers=headers)
            await client.get(service.url)
    assert len(service.heads) == 1


@with_own_pool
@pytest.mark.parametrize("method", ["GET /evil HTTP/1.1\r\nX:", "CONNECT", "", "é"])
async def test_a_method_that_is_none_is_not_sent(method: str) -> None:
    with serving() as service:
        async with client_of() as client:
            with pytest.raises(httpx.LocalProtocolError):
                await client.request(method, service.url)
    assert service.heads == []


async def test_other_schemes_are_refused() -> None:
    async with client_of() as client:
        for url in ("gopher://127.0.0.1/", "//127.0.0.1/"):
            with pytest.raises(httpx.UnsupportedProtocol):
                await client.get(url)


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_parameters_are_written_as_urllib_writes_them(parameters: dict[str, str]) -> None:
    try:
        expected = urlencode(parameters).encode()
    except UnicodeEncodeError:
        with pytest.raises(UnicodeEncodeError):
            encoded(parameters)
    else:
        assert encoded(parameters) == expected


@pytest.mark.parametrize("base", ["http://h", "https://h:8443/path", "http://[::1]:1/a/b"])
def test_a_url_with_a_query_is_the_same_as_one_that_was_parsed(base: str) -> None:
    query = encoded({"Action": "X", "Timestamp": "2026-01-01T00:00:00Z", "b": "é &="}).decode()
    made, expected = _with_query(_parsed(base), query), httpx.URL(f"{base}?{query}")
    assert (made, str(made), made.raw_path) == (expected, str(expected), expected.raw_path)
    assert dict(made.params) == dict(expected.params)
    assert "?" not in str(_parsed(base))


# -- other ways ------------------------------------------------------------------------

ENVIRONMENTS = [
    {},
    {"http": "http://p:1"},
    {"https": "p:2", "all": "socks5://p:3"},
    {"all": "http://p:4", "no": "localhost, .example.com,10.0.0.1,::1,https://x.test,10.0.0.0/8"},
    {"all": "http://p:5", "no": "a.test,*"},
    {"http": "", "all": "http://p:6", "no": ""},
]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_proxies_are_those_that_httpx_takes(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from httpx import _utils

    monkeypatch.setattr(_utils, "getproxies", lambda: environment)
    assert proxies(environment) == _utils.get_environment_proxies()


async def test_the_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as service, serving() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        async with httpx.AsyncClient(**carriers(True), timeout=20) as client:
            await client.get("http://service.invalid/far")
            await client.get(service.url)
    assert proxy.requests[0].startswith(b"GET http://service.invalid/far HTTP/1.1")
    assert (len(proxy.requests), len(service.requests)) == (1, 1)


@pytest.mark.parametrize("using", ["httpx", "httpcore"])
async def test_respx_intercepts_in_both_of_its_modes(using: str) -> None:
    with serving(answer) as service:
        async with client_of() as client:
            await client.get(service.url)
            async with respx.mock(using=using) as router:
                route = router.get(service.url).respond(text="mocked")
                assert (await client.get(service.url)).text == "mocked"
                assert route.call_count == 1
            assert (await client.get(service.url)).text == "ok"
    assert len(service.requests) == 2


@pytest.mark.parametrize("using", ["httpx", "httpcore"])
async def test_respx_intercepts_the_calls_of_a_session_in_both_modes(using: str) -> None:
    async with respx.mock(using=using) as router:
        route = router.post("https://service.test/", data__contains={"SessionId": "s-1"})
        route.respond(json={"RequestId": "mocked", "Data": {"Labels": "{}"}})
        async with AsyncAgentBay(KEY, endpoint="service.test") as bay:
            assert (await AsyncSession(bay, "s-1").get_labels()).request_id == "mocked"


async def test_shards_carry_many_calls_and_stay_small() -> None:
    with serving() as service:
        transport = StockTransport(Tls(), most=64)
        async with httpx.AsyncClient(transport=transport, timeout=20) as client:
            for _ in range(2):
                async with anyio.create_task_group() as tasks:
                    for _ in range(100):
                        tasks.start_soon(client.get, service.url)
            assert len(transport._shards) == 8
            assert {shard.load for shard in transport._shards} == {0}
            assert len(transport._roomy) == 8
            with anyio.move_on_after(0):
                await client.get(service.url)
            assert {shard.load for shard in transport._shards} == {0}
    assert service.connections <= 64


async def test_a_host_with_two_addresses_is_reached_at_the_one_that_answers() -> None:
    with serving() as service:
        async with client_of() as client:
            response = await client.get(f"http://localhost:{service.port}/")
    assert response.content == b"ok"


@with_own_pool
async def test_the_first_address_that_answers_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket() as refused, serving() as service:
        refused.bind(("127.0.0.1", 0))
        addresses = [refused.getsockname(), ("127.0.0.1", service.port)]

        async def resolve(*_: object) -> Any:
            return [(socket.AF_INET, address) for address in addresses]

        monkeypatch.setattr(_dialing, "_resolve", resolve)
        opened = await _dialing.dial(loop, "any", 1)
        with opened:
            assert opened.getpeername() == ("127.0.0.1", service.port)
        addresses[1] = addresses[0]
        with pytest.raises(ConnectionRefusedError):
            await _dialing.dial(loop, "any", 1)


def test_connections_leave_some_of_the_files_that_the_system_allows() -> None:
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert 0 < most_connections() <= min(1000, files)


def test_a_call_loads_no_more_than_it_needs() -> None:
    code = """
import asyncio, sys
from agentbay import AgentBay, AsyncAgentBay
assert not {"agentbay._pool", "h11", "httpcore"} & set(sys.modules)
async def main():
    async with AsyncAgentBay("akm-x", endpoint=sys.argv[1]) as bay:
        await bay.list()
asyncio.run(main())
assert "agentbay._pool.transport" in sys.modules
assert not {"httpcore", "trio"} & set(sys.modules)
"""
    with serving() as service:
        subprocess.run([sys.executable, "-c", code, service.url], check=True, timeout=60)
    assert service.heads


# -- TLS -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and a certificate of it for 127.0.0.1."""
    directory = tmp_path_factory.mktemp("certificates")
    if shutil.which("openssl") is None:
        pytest.skip("certificates are made with openssl: apt-get install openssl")
    # What Python 3.13 asks of certificates.
    (directory / "extensions").write_text(
        "subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n"
        "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n"
    )
    signs = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for command in (
        ["req", "-x509", *new, *signs, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test"],
        ["req", *new, "-keyout", "key.pem", "-out", "request", "-subj", "/CN=127.0.0.1"],
        ["x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key",
         "-CAcreateserial", "-extfile", "extensions", "-out", "cert.pem"],
    ):  # fmt: skip
        subprocess.run(
            ["openssl", *command], cwd=directory, check=True, capture_output=True, timeout=30
        )
    return directory


@pytest.fixture
def tls_service(certificates: Path) -> Iterator[PoolService]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    with serving(answer, context) as service:
        yield service


@pytest.fixture
def trusting(certificates: Path) -> ssl.SSLContext:
    """A context that knows the authority."""
    return ssl.create_default_context(cafile=certificates / "ca.pem")


async def test_calls_over_tls_share_a_connection(
    tls_service: PoolService, trusting: ssl.SSLContext
) -> None:
    async with client_of(verify=trusting) as client:
        for _ in range(3):
            response = await client.post(tls_service.url, content=MEGABYTE)
            assert response.content == b"ok"
        with anyio.move_on_after(0.02):
            await client.post(tls_service.url, content=MEGABYTE * 16)
        assert (await client.get(tls_service.url)).content == b"ok"
    await until(lambda: tls_service.open == 0)
    assert tls_service.connections <= 3


async def test_many_calls_over_tls_at_once(
    tls_service: PoolService, trusting: ssl.SSLContext
) -> None:
    async with client_of(verify=trusting, most=10) as client, anyio.create_task_group() as tasks:
        for _ in range(40):
            tasks.start_soon(client.get, tls_service.url)
    assert len(tls_service.requests) == 40
    assert tls_service.connections <= 16  # of the shards under trio


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_server_that_is_not_who_it_says_is_not_talked_to(
    tls_service: PoolService, trusting: ssl.SSLContext, host: str, anyio_backend: str
) -> None:
    """The wrong name with the right authority, and the right name with the wrong one."""
    verify = trusting if host == "localhost" else True
    async with client_of(verify=verify) as client:
        with pytest.raises(httpx.ConnectError) as caught:
            await client.get(f"https://{host}:{tls_service.port}/")
    if anyio_backend == "asyncio":  # trio tells nothing
        assert "certificate verify failed" in str(caught.value)
    assert tls_service.heads == []


async def test_certificates_can_be_left_unchecked(tls_service: PoolService) -> None:
    async with client_of(verify=False) as client:
        assert (await client.get(tls_service.url)).content == b"ok"


async def test_certificates_that_cannot_be_read_are_an_error_before_anything_is_sent(
    tls_service: PoolService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    _tls._shared.cache_clear()
    try:
        async with client_of() as client:
            with pytest.raises(httpx.ConnectError):
                await client.get(tls_service.url)
    finally:
        _tls._shared.cache_clear()
    assert tls_service.connections == 0


async def test_the_same_context_serves_all_clients() -> None:
    assert await Tls().context() is await Tls().context()
    assert await Tls(False).context() is not await Tls().context()
