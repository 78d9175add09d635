"""What the connections of the client make of replies, against a server that sends odd ones."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentbay._pool import _readers

from .pool_clients import READERS, client_of, no_proxy, once, reader, until
from .pool_service import Talk, reply, serving

# The fixtures of these tests.
__all__ = ["no_proxy", "reader"]

# httpx leaves generators behind when a call is cancelled, which trio reports.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")

with_own_pool = pytest.mark.parametrize("anyio_backend", ["asyncio"])


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
