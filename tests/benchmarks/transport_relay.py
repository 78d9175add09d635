"""A relay that makes loopback a long line: every byte arrives half a round trip late, each way.

Connections to loopback are there at once, so the first bytes of each wait one round trip more:
that is what the handshake of TCP takes. Those of TLS take their round trips by themselves.
Bandwidth, loss and slow start are not part of it.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import cast


class _End(asyncio.Protocol):
    """One of the two connections of a relayed one; gives to the other what it gets, late."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self._other: _End | None = None
        self._transport: asyncio.Transport | None = None
        self._waiting: list[bytes] = []
        self._open_from = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        for data in self._waiting:
            self._transport.write(data)
        self._waiting.clear()

    def join(self, other: _End, open_from: float) -> None:
        """Become one end of a connection that is open from a time on."""
        self._other, self._open_from = other, open_from

    def data_received(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        other = cast("_End", self._other)
        loop.call_at(max(loop.time(), self._open_from) + self.delay, other.write, data)

    def connection_lost(self, exc: Exception | None) -> None:
        other = cast("_End", self._other)
        asyncio.get_running_loop().call_later(self.delay + 0.001, other.close)

    def write(self, data: bytes) -> None:
        """Pass on what arrived at the other end."""
        if self._transport is None:
            self._waiting.append(data)
        elif not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """The other end is closed."""
        if self._transport is not None:
            self._transport.close()


class _Entry(_End):
    """The end that a client connects to."""

    def __init__(self, delay: float, upstream: int) -> None:
        super().__init__(delay)
        self._upstream = upstream

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        loop = asyncio.get_running_loop()
        exit_ = _End(self.delay)
        self.join(exit_, loop.time() + 2 * self.delay)
        exit_.join(self, 0.0)
        dialed = loop.create_connection(lambda: exit_, "127.0.0.1", self._upstream)
        self._dialing = loop.create_task(dialed)


async def _relay(upstream: int, trip: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Entry(trip / 2, upstream), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("upstream", type=int, help="port of the server")
    parser.add_argument("--trip", type=float, default=0.03, help="seconds there and back")
    options = parser.parse_args()
    asyncio.run(_relay(options.upstream, options.trip))
