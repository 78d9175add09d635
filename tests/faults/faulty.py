"""Many faulty servers on loopback at once, each on a port of its own, in one thread."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import attrs

from ..unit.pool_service import PoolService, Script, Talk, reply

T = TypeVar("T")

# Seconds in which a server gives up a client that has not gone.
_PATIENCE = 30.0


@attrs.frozen
class Scene:
    """What a fault has at hand.

    Attributes:
        good: The body of the reply that says yes.
        elsewhere: The URL of a server that nobody may be led to.
    """

    good: bytes
    elsewhere: str


# What a server does with one connection.
Trouble = Callable[[Talk, Scene], Awaitable[None]]


def in_scene(trouble: Trouble, scene: Scene) -> Script:
    """The script of a server that has this trouble."""

    async def script(talk: Talk) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await trouble(talk, scene)

    return script


def reset(talk: Talk) -> None:
    """Break the connection: the other side is told of an error, not of an end."""
    opened = talk.writer.get_extra_info("socket")
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    talk.writer.transport.abort()


async def silence(talk: Talk) -> None:
    """Say nothing until the client is gone."""
    while await talk.reader.read(1 << 16):
        pass


def always(*replies: bytes) -> Trouble:
    """Answer every request of a connection with the same bytes."""

    async def trouble(talk: Talk, _: Scene) -> None:
        while True:
            await talk.request()
            await talk.say(*replies)

    return trouble


def says(body: bytes, *headers: str, status: str = "200 OK") -> Trouble:
    """Answer every request with a reply that is sound as far as HTTP goes."""
    return always(reply(body, *headers, status=status))


async def given_up(
    attempt: Callable[[float], Awaitable[T]], too_soon: Callable[[T], bool], soon: float = 0.4
) -> T:
    """Give something up soon that takes forever; later, when it did not get far enough by then.

    Args:
        attempt: Does it, within so many seconds.
        too_soon: Whether what came of it did not get far enough.
        soon: Seconds for the first attempt.
    """
    for limit in (soon, 4.0):
        found = await attempt(limit)
        if not too_soon(found):
            return found
    return await attempt(20.0)


@contextmanager
def serving_all(
    scripts: Mapping[str, Script], tls: ssl.SSLContext | None = None
) -> Generator[dict[str, PoolService], None, None]:
    """Run a server for each script, all in one thread, and tell what each has seen."""
    scheme = "https" if tls else "http"
    services = {name: PoolService(script, scheme) for name, script in scripts.items()}
    loop = asyncio.new_event_loop()
    started, over = threading.Event(), asyncio.Event()

    async def main() -> None:
        servers = [
            await asyncio.start_server(service.accept, "127.0.0.1", 0, ssl=tls)
            for service in services.values()
        ]
        for service, server in zip(services.values(), servers, strict=True):
            service.port = server.sockets[0].getsockname()[1]
        started.set()
        await over.wait()
        await _turn()  # a server that is closed while it accepts forgets what it accepted
        for server in servers:
            server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        for service in services.values():
            for writer in service.writers:
                writer.transport.abort()
        await _turn()  # what was aborted ends

    def run() -> None:
        loop.set_exception_handler(_ignore)
        loop.run_until_complete(main())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert started.wait(30)
        yield services
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(30)
        assert not thread.is_alive()


def _ignore(_: asyncio.AbstractEventLoop, __: dict[str, Any]) -> None:
    """Clients leave in the middle of a TLS handshake."""


async def _turn() -> None:
    for _ in range(10):
        await asyncio.sleep(0)
