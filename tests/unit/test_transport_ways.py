"""Requests that go to our own pool without httpx's objects, and those that must not.

The short way and the long one are the same to the service and to the caller.
"""

from __future__ import annotations

import functools
import gzip
import json
import re
import zlib
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest

from agentbay import (
    AgentBayError,
    AsyncAgentBay,
    AsyncSession,
    RequestTimeoutError,
    TransportError,
)
from agentbay._transport import Answer, ApiClient
from agentbay.protocol.session_details import GetLabels

from .pool_clients import no_proxy, until
from .pool_service import PoolService, Script, Talk, reply, serving
from .service import KEY

# The fixtures of these tests.
__all__ = ["no_proxy"]

# httpx leaves generators behind when a call is cancelled, which trio reports.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")

with_own_pool = pytest.mark.parametrize("anyio_backend", ["asyncio"])
both_ways = pytest.mark.parametrize("is_short", [True, False], ids=["short", "long"])

LABELS = json.dumps({"RequestId": "r-1", "Success": True, "Data": {"Labels": "{}"}}).encode()


def saying(*replies: bytes) -> Script:
    """Answer the requests of each connection with one reply after the other."""

    async def script(talk: Talk) -> None:
        for piece in replies:
            await talk.request()
            await talk.say(piece)
        await talk.reader.read()

    return script


async def _listen(_: object) -> None:
    """Listen to httpx, which makes a request take the long way."""


async def _client(service: PoolService, *, is_short: bool) -> ApiClient:
    bay = AsyncAgentBay(KEY, endpoint=service.url)
    if not is_short:
        (await bay.client._clients.get()).http.event_hooks = {"request": [_listen]}
    return bay.client


def _steady(request: bytes) -> bytes:
    """A request without what is different in each."""
    return re.sub(rb"(Timestamp|SignatureNonce)=[^& ]*", b"", request)


@with_own_pool
async def test_the_service_cannot_tell_the_ways_apart() -> None:
    asked: list[list[bytes]] = []
    for is_short in (True, False):
        with serving(saying(*[reply(LABELS)] * 3)) as service:
            api = await _client(service, is_short=is_short)
            await api.send(GetLabels("s-1"))
            for url in (f"{service.url}callTool", service.url):
                await api.fetch(
                    "POST",
                    url,
                    action="x",
                    params={"a": "ä &="},
                    text="höh",
                    headers={"X-Access-Token": "t"},
                )
            await api.aclose()
            place = service.url.removeprefix("http://").strip("/").encode()
            asked.append([_steady(one).replace(place, b"here") for one in service.requests])
    assert asked[0] == asked[1]
    assert len(asked[0]) == 3


@with_own_pool
async def test_a_plain_call_takes_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    class Request(httpx.Request):
        def __init__(self, *args: Any, **options: Any) -> None:
            made.append(self)
            super().__init__(*args, **options)

    monkeypatch.setattr(httpx, "Request", Request)
    for is_short in (True, False):
        with serving(saying(reply(LABELS))) as service:
            api = await _client(service, is_short=is_short)
            await api.send(GetLabels("s-1"))
            await api.aclose()
        assert bool(made) is not is_short


async def test_hooks_see_each_request_and_each_reply() -> None:
    seen: list[object] = []

    async def hook(event: httpx.Request | httpx.Response) -> None:
        seen.append(type(event))

    with serving(saying(reply(LABELS), reply(LABELS))) as service:
        async with AsyncAgentBay(KEY, endpoint=service.url) as bay:
            session = AsyncSession(bay, "s-1")
            await session.get_labels()
            (await bay.client._clients.get()).http.event_hooks = {
                "request": [hook],
                "response": [hook],
            }
            await session.get_labels()
    assert seen == [httpx.Request, httpx.Response]


@pytest.mark.parametrize("keeps_names", [True, False])
@pytest.mark.parametrize(
    "step",
    [
        *("send", "_send_handling_auth", "_send_handling_redirects"),
        *("_send_single_request", "_transport_for_url"),
    ],
)
async def test_a_tool_in_the_place_of_a_part_of_httpx_sees_each_request(
    step: str, keeps_names: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    original: Callable[..., Any] = getattr(httpx.AsyncClient, step)
    seen: list[str] = []

    def stand_in(*args: Any, **options: Any) -> Any:
        seen.append(step)
        return original(*args, **options)

    tool = functools.wraps(original)(stand_in) if keeps_names else stand_in
    with serving(saying(reply(LABELS), reply(LABELS))) as service:
        async with AsyncAgentBay(KEY, endpoint=service.url) as bay:
            session = AsyncSession(bay, "s-1")
            await session.get_labels()
            monkeypatch.setattr(httpx.AsyncClient, step, tool)
            await session.get_labels()
    assert seen == [step]


# -- replies ---------------------------------------------------------------------------


async def _answer(script: Script, *, is_short: bool) -> Answer:
    with serving(script) as service:
        api = await _client(service, is_short=is_short)
        try:
            return await api.fetch("GET", service.url, action="x", timeout=30)
        finally:
            await api.aclose()


_TEXT = "größer".encode()
_UNFRAMED = zlib.compressobj(wbits=-zlib.MAX_WBITS)


@both_ways
@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(_TEXT), "gzip"),
        (zlib.compress(_TEXT), "Deflate"),
        (_UNFRAMED.compress(_TEXT) + _UNFRAMED.flush(), "deflate"),
        (gzip.compress(zlib.compress(_TEXT)), "deflate, gzip"),
        (gzip.compress(_TEXT)[:-4], "gzip"),
        (_TEXT, "identity"),
    ],
    ids=["gzip", "deflate", "deflate without a frame", "both", "a part of gzip", "neither"],
)
async def test_a_compressed_reply_is_unpacked(body: bytes, encoding: str, is_short: bool) -> None:
    packed = reply(body, f"Content-Encoding: {encoding}")
    assert (await _answer(saying(packed), is_short=is_short)).text == "größer"


@both_ways
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_compressed_reply_without_a_body_is_empty(encoding: str, is_short: bool) -> None:
    empty = reply(b"", f"Content-Encoding: {encoding}")
    assert (await _answer(saying(empty), is_short=is_short)).text == ""


@both_ways
async def test_a_reply_that_is_not_compressed_as_it_says_is_an_error(is_short: bool) -> None:
    with pytest.raises(TransportError) as caught:
        await _answer(saying(reply(b"no", "Content-Encoding: gzip")), is_short=is_short)
    assert caught.value.sent


@both_ways
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/plain", "ü€".encode()),
        ("text/plain; charset=utf-8", "ü€".encode()),
        ("text/plain; charset=latin-1", "ü".encode("latin-1")),
        ("text/plain; charset=nonsense", "ü".encode()),
        ("text/plain", b"\xff\xfe"),
    ],
)
async def test_text_is_in_the_encoding_that_the_headers_tell(
    kind: str, body: bytes, is_short: bool
) -> None:
    answer = await _answer(saying(reply(body, f"Content-Type: {kind}")), is_short=is_short)
    expected = httpx.Response(200, headers={"content-type": kind}, content=body).text
    assert answer.text == expected


@both_ways
@pytest.mark.parametrize("chunked", [True, False])
async def test_a_long_reply_arrives_whole(chunked: bool, is_short: bool) -> None:
    body = bytes(ord("a") + i % 26 for i in range(200_000)) * 10
    pieces = [body[at : at + 9_999] for at in range(0, len(body), 9_999)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    whole = head + chunks + b"0\r\n\r\n" if chunked else reply(body)
    assert (await _answer(saying(whole), is_short=is_short)).text == body.decode()


@both_ways
async def test_what_a_busy_service_asks_for_is_told(is_short: bool) -> None:
    busy = reply(b"{}", "X-Acs-Retry-After: 1500", "Retry-After: 9", status="429 Too Many")
    answer = await _answer(saying(busy), is_short=is_short)
    assert (answer.status, answer.retry_after) == (429, 1.5)


@both_ways
async def test_a_refusal_without_a_text_is_told_by_its_status(is_short: bool) -> None:
    refusal = json.dumps({"RequestId": "r-7", "Code": "NoGo", "Success": False}).encode()
    with serving(saying(reply(refusal, status="403 Not Today"))) as service:
        api = await _client(service, is_short=is_short)
        with pytest.raises(AgentBayError, match="HTTP 403 Not Today") as caught:
            await api.send(GetLabels("s-1"))
        await api.aclose()
    assert (caught.value.request_id, caught.value.code) == ("r-7", "NoGo")


# -- limits ----------------------------------------------------------------------------


async def _head_only(talk: Talk) -> None:
    await talk.request()
    await talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
    await talk.reader.read()


async def _nothing(talk: Talk) -> None:
    await talk.request()
    await talk.reader.read()


async def _trickle(talk: Talk) -> None:
    await talk.request()
    await talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n")
    while True:
        await talk.say(b"x", pause=0.01)


@both_ways
@pytest.mark.parametrize("script", [_head_only, _nothing, _trickle])
async def test_a_limit_holds_for_the_whole_exchange(script: Script, is_short: bool) -> None:
    async def second(talk: Talk) -> None:
        await talk.request()
        await talk.say(reply(LABELS))
        await script(talk)

    with serving(second) as service:
        api = await _client(service, is_short=is_short)
        await api.send_once(GetLabels("s-1"), timeout=30)  # connects
        with anyio.fail_after(30), pytest.raises(RequestTimeoutError) as caught:
            await api.send_once(GetLabels("s-1"), timeout=0.2)
        assert caught.value.sent
        assert "no answer within 0.2 s" in str(caught.value)
        await until(lambda: service.open == 0)
        await api.aclose()


@with_own_pool
async def test_a_limit_holds_for_who_waits_for_a_connection() -> None:
    with serving(_nothing) as service:
        api = await _client(service, is_short=True)
        client = await api._clients.get()
        assert client.pool is not None
        client.pool.most = 1

        async def first() -> None:
            await api.send_once(GetLabels("s-1"), timeout=30)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first)
            await until(lambda: service.requests)
            with anyio.fail_after(30), pytest.raises(RequestTimeoutError):
                await api.send_once(GetLabels("s-1"), timeout=0.1)
            tasks.cancel_scope.cancel()
        assert len(service.requests) == 1
        await api.aclose()
