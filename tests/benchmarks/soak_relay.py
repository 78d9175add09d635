"""A bad network in a process of its own: passes bytes on, and now and then does harm to them.

    python -m tests.benchmarks.soak_relay PORT

It prints its own port, and ends when its standard input is closed.
"""

from __future__ import annotations

import random
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import anyio.to_thread
from anyio.abc import SocketAttribute, SocketStream

# How often something happens to a piece that a client sends, and what.
_FAULTS = {
    "reset before it is passed on": 0.004,
    "reset after it is passed on": 0.004,
    "reset within the reply": 0.004,
    "a 503": 0.006,
    "a delay": 0.02,
}
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbusy"
_LONGEST_DELAY = 1.0
_CHUNK = 64 * 1024


class _Pair:
    """A connection of a client, and the one to the engine that belongs to it."""

    def __init__(self, client: SocketStream, engine: SocketStream, scope: anyio.CancelScope):
        self._client, self._engine, self._scope = client, engine, scope
        self._cut_reply = False

    async def out(self) -> None:
        """Pass on what the client sends."""
        while True:
            piece = await self._client.receive(_CHUNK)
            fault = _drawn()
            if fault == "a delay":
                await anyio.sleep(random.uniform(0, _LONGEST_DELAY))
            elif fault == "a 503" and piece.startswith(b"POST "):
                await self._client.send(_BUSY)
                return self._scope.cancel()
            elif fault == "reset within the reply":
                self._cut_reply = True
            elif fault == "reset before it is passed on":
                return self._reset()
            await self._engine.send(piece)
            if fault == "reset after it is passed on":
                return self._reset()

    async def back(self) -> None:
        """Pass on what the engine answers."""
        while True:
            piece = await self._engine.receive(_CHUNK)
            if self._cut_reply:
                await self._client.send(piece[: len(piece) // 2])
                return self._reset()
            await self._client.send(piece)

    def _reset(self) -> None:
        raw = self._client.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._scope.cancel()


def _drawn() -> str:
    names, weights = list(_FAULTS), list(_FAULTS.values())
    return random.choices(["", *names], [1 - sum(weights), *weights])[0]


async def _relay(port: int, client: SocketStream) -> None:
    gone = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)
    async with client:
        try:
            engine = await anyio.connect_tcp("127.0.0.1", port)
        except OSError:
            return

        async def until_gone(way: Callable[[], Awaitable[None]]) -> None:
            try:
                await way()
            except gone:
                tasks.cancel_scope.cancel()

        async with engine, anyio.create_task_group() as tasks:
            pair = _Pair(client, engine, tasks.cancel_scope)
            tasks.start_soon(until_gone, pair.out)
            tasks.start_soon(until_gone, pair.back)


async def _main(port: int) -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    print(listener.extra(SocketAttribute.local_port), flush=True)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, partial(_relay, port))
        await anyio.to_thread.run_sync(sys.stdin.read)
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(_main, int(sys.argv[1]))
