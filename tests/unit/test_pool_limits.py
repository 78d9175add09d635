"""How long the connections of the client wait for a server that is slow or gone."""

from __future__ import annotations

import asyncio
import socket

import anyio
import httpx
import pytest

from agentbay._exchange import NEVER_SENT
from agentbay._pool._pools import Pool
from agentbay._pool._requests import place_of
from agentbay._pool._tls import Tls
from agentbay._pool.transport import order_of

from .pool_clients import MEGABYTE, client_of, no_proxy, reader, silence, until
from .pool_service import Talk, reply, serving

# The fixtures of these tests.
__all__ = ["no_proxy", "reader"]

# httpx leaves generators behind when a call is cancelled, which trio reports.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")

with_own_pool = pytest.mark.parametrize("anyio_backend", ["asyncio"])


def limits(**seconds: float) -> httpx.Timeout:
    return httpx.Timeout(None, **seconds)


async def test_a_server_that_says_nothing_is_given_up() -> None:
    with serving(silence) as service:
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
            await client.get(f"http://{host}/", timeout=50)


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
        origin = pool.origin(place_of(service.url))
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
            with anyio.fail_after(30):
                origin.release(await origin.acquire(None, None))
        await pool.aclose()
