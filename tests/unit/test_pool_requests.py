"""What the connections of the client send, bodies that stream among it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from urllib.parse import urlencode

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentbay._pool._errors import InvalidURLError
from agentbay._pool._requests import place_of
from agentbay._transport._http import parsed, with_query
from agentbay._transport._requests import encoded

from .pool_clients import MEGABYTE, client_of, no_proxy, pool_of, reader, until
from .pool_service import Talk, reply, serving

# The fixtures of these tests.
__all__ = ["no_proxy", "reader"]

# httpx leaves generators behind when a call is cancelled, which trio reports.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")

with_own_pool = pytest.mark.parametrize("anyio_backend", ["asyncio"])


# -- bodies that stream ----------------------------------------------------------------


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
            with anyio.fail_after(40):
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


_PARTS = [
    "",
    "/",
    "//",
    "a",
    "A",
    ".",
    "..",
    "%20",
    "%",
    "?b=c",
    "#d",
    " ",
    "é",
    "~*!$&'()=@:",
    "\n",
]


@given(
    st.sampled_from(["http://", "https://", "HTTP://", "ftp://", "//", ""]),
    st.sampled_from(["h", "a.b-c_d", "H", "1.2.3.4", "[::1]", "u@h", "ü", "", "h h", "-"]),
    st.sampled_from(["", ":80", ":443", ":0123", ":8443", ":", ":x", ":²"]),
    st.lists(st.sampled_from(_PARTS), max_size=4),
)
def test_a_url_is_taken_apart_as_httpx_does(
    scheme: str, host: str, port: str, path: list[str]
) -> None:
    url = f"{scheme}{host}{port}{'/' if path else ''}{''.join(path)}"
    try:
        expected = httpx.URL(url)
        parts = expected.scheme, expected.raw_host.decode("ascii"), expected.port
    except (httpx.InvalidURL, UnicodeError):
        with pytest.raises((InvalidURLError, UnicodeError)):
            place_of(url)
        return
    assert place_of(url) == (*parts, expected.netloc, expected.raw_path)


@pytest.mark.parametrize("base", ["http://h", "https://h:8443/path", "http://[::1]:1/a/b"])
def test_a_url_with_a_query_is_the_same_as_one_that_wasparsed(base: str) -> None:
    query = encoded({"Action": "X", "Timestamp": "2026-01-01T00:00:00Z", "b": "é &="}).decode()
    made, expected = with_query(base, query), httpx.URL(f"{base}?{query}")
    assert (made, str(made), made.raw_path) == (expected, str(expected), expected.raw_path)
    assert dict(made.params) == dict(expected.params)
    assert "?" not in str(parsed(base))
