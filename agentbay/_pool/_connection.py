"""One connection to a server: one request and its reply at a time."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import AsyncIterable, Callable
from typing import cast

from ._dialing import acknowledged, is_quiet
from ._errors import (
    LateError,
    LocalProtocolError,
    NetworkError,
    ReadError,
    ReadTimeoutError,
    RemoteProtocolError,
    UntakenError,
    WriteTimeoutError,
)
from ._readers import Head, Reader
from ._requests import Order

# Bytes of a reply that are kept for a slow taker until the server has to wait, and how few of
# them let it go on.
_HIGH, _LOW = 256 * 1024, 64 * 1024

# Bytes of a body that go with the head, and that are handed to the system at once.
_SMALL, _SLICE = 64 * 1024, 256 * 1024


class Connection(asyncio.Protocol):
    """A connection that stays open between requests.

    A protocol of asyncio and not a stream of anyio: a third of the CPU time of a call went
    into the layers between the two.

    Attributes:
        head: Status line and headers of the reply, when they are there.
        closed: Whether no further request can take the connection.
        lost: Whether nothing is left of it.
        deadline: When what is waited for is overdue, in the time of the loop.
        idle_until: When an idle connection is given up.
        patience: Seconds for which the server keeps an idle connection; None before the first
            reply.
    """

    __slots__ = (
        "_choked",
        "_chunks",
        "_complete",
        "_end_at",
        "_error",
        "_heard",
        "_held",
        "_keep",
        "_late",
        "_loop",
        "_lost_callback",
        "_paused",
        "_reader",
        "_sent",
        "_socket",
        "_taken",
        "_transport",
        "_waiter",
        "_watch",
        "_working",
        "closed",
        "deadline",
        "head",
        "idle_until",
        "lost",
        "patience",
    )  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        opened: socket.socket,
        reader: Reader,
        watch: Callable[[float], None],
        lost: Callable[[Connection], None],
    ) -> None:
        self._loop, self._socket, self._reader = loop, opened, reader
        self._watch, self._lost_callback = watch, lost
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        # Not a deque: an empty one takes 0.7 KB.
        self._chunks: list[bytes] = []
        self._error: NetworkError | None = None
        self._late: type[LateError] = ReadTimeoutError
        self._held = self._taken = 0
        self._working = self._heard = self._complete = self._keep = self._sent = False
        self._choked = self._paused = False
        self.head: Head | None = None
        self.closed = self.lost = False
        self.deadline = self.idle_until = self._end_at = math.inf
        self.patience: float | None = None

    # What the pool and the transport ask for.

    @property
    def is_fresh(self) -> bool:
        """Whether no reply has come over it."""
        return self.patience is None

    @property
    def is_complete(self) -> bool:
        """Whether the whole reply is there."""
        return self._complete

    @property
    def is_reusable(self) -> bool:
        """Whether the next request can take it: nothing is left of the last one."""
        return self._complete and self._keep and self._sent and not self.closed

    async def is_alive(self) -> bool:
        """Whether nothing arrived since the last reply, such as the end of the connection."""
        if not self.closed and not is_quiet(self._socket):
            # The loop reads it, in the round after next.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return not self.closed

    async def exchange(self, order: Order) -> Head:
        """Send a request and wait for the head of its reply.

        Raises:
            UntakenError: The server took no byte of it.
            NetworkError: There is no reply, or none that makes sense.
        """
        self._begin(order)
        await self._send(order)
        while (head := self.head) is None:
            await self._wait(order.limits.read, ReadTimeoutError)
        return head

    async def next_chunk(self, limit: float | None) -> bytes:
        """The next piece of the body; empty at its end."""
        while not self._chunks:
            if self._complete:
                return b""
            await self._wait(limit, ReadTimeoutError)
        chunk = self._chunks.pop(0)
        self._held -= len(chunk)
        if self._paused and self._held < _LOW and self._transport is not None and not self.closed:
            self._paused = False
            self._transport.resume_reading()
        return chunk

    async def whole_reply(self) -> tuple[Head, bytes]:
        """The reply to the last request, when all of it is there."""
        head = self.head
        assert head is not None
        if self._complete:
            return head, self.whole()
        chunks: list[bytes] = []
        while chunk := await self.next_chunk(None):
            chunks.append(chunk)
        return head, b"".join(chunks)

    def whole(self) -> bytes:
        """The rest of a body of which everything is there."""
        chunks = self._chunks
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def rest(self) -> None:
        """Let go of the last exchange; the next one begins afresh."""
        self._working = False
        self._chunks.clear()
        self._held = 0

    def drop(self) -> None:
        """Close it at once, whatever is under way."""
        self.closed, self.deadline = True, math.inf
        if self._transport is not None:
            # Not `close`, which waits for the other side to say goodbye where there is TLS.
            self._transport.abort()

    def fail(self, error: NetworkError) -> None:
        """Close it, and end the exchange with an error."""
        if self._error is None and not self._complete:
            self._error = error
        self._keep = False
        self.drop()
        self._wake()

    def expire(self) -> None:
        """End an exchange that is overdue."""
        self.fail(self._late("the server takes too long"))

    # How a request is sent.

    def _begin(self, order: Order) -> None:
        self.head, self._error = None, None
        self._heard = self._complete = self._keep = self._sent = False
        self._working, self._end_at = True, order.limits.end
        # On a fresh connection the number means nothing: a system may tell 0 whatever happens.
        self._taken = 0 if self.is_fresh else acknowledged(self._socket)
        self._reader.start(order.method, self)

    async def _send(self, order: Order) -> None:
        transport = cast("asyncio.Transport", self._transport)
        body = order.body
        if not isinstance(body, bytes):
            transport.write(order.head)
            await self._send_pieces(body, order)
        elif len(body) <= _SMALL:
            transport.write(order.head + body if body else order.head)
            self._sent = True
        else:
            transport.write(order.head)
            self._sent = await self._write(body, order.limits.write)

    async def _send_pieces(self, pieces: AsyncIterable[bytes], order: Order) -> None:
        size = 0
        async for piece in pieces:
            size += len(piece)
            if order.length is not None and size > order.length:
                raise LocalProtocolError("the body is longer than content-length says")
            if not await self._write(piece, order.limits.write):
                return
        if order.length is not None and size < order.length:
            raise LocalProtocolError("the body is shorter than content-length says")
        self._sent = True

    async def _write(self, data: bytes, limit: float | None) -> bool:
        """Write a part of a body; False when the reply came first, and the rest is not wanted."""
        view = memoryview(data)
        for start in range(0, len(view), _SLICE):
            if self.head is not None:
                return False
            if self._error is not None:
                raise self._error
            cast("asyncio.Transport", self._transport).write(view[start : start + _SLICE])
            while self._choked and self.head is None:
                await self._wait(limit, WriteTimeoutError)
        return True

    async def _wait(self, limit: float | None, late: type[LateError]) -> None:
        """Wait until something happens, unless something has that ends the exchange."""
        if self._error is not None:
            raise self._error
        end = self._end_at
        if limit is not None:
            end = min(end, self._loop.time() + limit)
        if end < math.inf:
            self._late, self.deadline = late, end
            self._watch(end)
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter, self.deadline = None, math.inf

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # What the reader tells of the reply.

    def on_head(self, head: Head) -> None:
        """The head is there."""
        self.head = head
        if self.patience is None:
            self.patience = _patience(head)

    def on_data(self, data: bytes) -> None:
        """A piece of the body is there."""
        self._chunks.append(data)
        self._held += len(data)

    def on_end(self, keep: bool) -> None:
        """The reply is whole; told once more, it was followed by what nobody asked for."""
        self._keep = keep and not self._complete
        self._complete = True

    # What the loop tells of the connection.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Something arrived."""
        self._heard = True
        if not self._working or self._complete:
            self._keep = False
            self.drop()  # nobody asked for it
            return
        self._read(data)
        transport = self._transport
        if self._held > _HIGH and not self._paused and not self.closed and transport is not None:
            self._paused = True
            transport.pause_reading()
        if self.head is not None:
            self._wake()

    def eof_received(self) -> None:
        """The server will send no more."""
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left of it."""
        self._end(exc)
        self.lost = True
        self._lost_callback(self)

    def pause_writing(self) -> None:
        """The system takes no more for the moment."""
        self._choked = True

    def resume_writing(self) -> None:
        """The system takes more."""
        self._choked = False
        self._wake()

    def _read(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
        except RemoteProtocolError as exc:
            self.fail(exc)

    def _end(self, exc: Exception | None) -> None:
        self.closed, self._keep = True, False
        if not self._working or self._complete or self._error is not None:
            return
        # A reset acknowledges nothing, not even a request that was read and carried out; the
        # orderly end of a connection does.
        was_reset = isinstance(exc, ConnectionResetError)
        if not (self._heard or was_reset) and 0 < self._taken == acknowledged(self._socket):
            self.fail(UntakenError("the server had closed the connection"))
        elif exc is not None:
            self.fail(ReadError(f"the connection broke: {type(exc).__name__}"))
        else:
            self._read(b"")  # which ends the body, or is an error
            self._wake()


def _patience(head: Head) -> float:
    """Seconds for which the server says that it keeps an idle connection."""
    for name, value in head.headers:
        if name.lower() == b"keep-alive":
            for parameter in value.split(b","):
                key, _, number = parameter.strip().partition(b"=")
                if key.lower() == b"timeout" and number.isdigit():
                    return float(number[:9])
    return math.inf
