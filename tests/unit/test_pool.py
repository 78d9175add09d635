"""The connections of the client: kept, replaced, shared by many calls, and closed."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import sys
from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import httpx
import pytest

from agentbay._exchange import NEVER_SENT
from agentbay._pool import _connection
from agentbay._pool._errors import UntakenError
from agentbay._pool.transport import PoolTransport

from .pool_clients import client_of, no_proxy, once, pool_of, silence, until
from .pool_service import Talk, reply, serving

# The fixtures of these tests.
__all__ = ["no_proxy"]

# httpx leaves generators behind when a call is cancelled, which trio reports.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")

with_own_pool = pytest.mark.parametrize("anyio_backend", ["asyncio"])


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
            with pytest.raises(httpx.ConnectError) as caught:
                await client.post(service.url, content=pieces())
    assert isinstance(caught.value, NEVER_SENT)
    assert isinstance(caught.value.__context__, UntakenError)
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
        async with client_of(kept=1.0) as client:
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
        await talk.say(reply(b"ok", "Keep-Alive: max=9, timeout=501"))
        await talk.request()

    with serving(script) as service:
        async with client_of(kept=1000) as client:
            await client.get(service.url)
            (connection,) = pool_of(client).connections()
            left = connection.idle_until - asyncio.get_running_loop().time()
    assert 400 < left <= 500


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

    with serving(silence) as service:
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
