"""A WebSocket that a client opens on a link: texts in and out. It alone knows wsproto."""

from __future__ import annotations

import logging
from contextlib import suppress

import anyio
import h11
from wsproto import ConnectionType, WSConnection, events
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from ._link_exchange import BROKEN, Client, RefusedError

_log = logging.getLogger(__name__)

# Characters of the longest message from a client, and bytes of the longest one to it: that is
# what clients take.
LONGEST_IN, LONGEST_OUT = 32 * 1024 * 1024, 1024 * 1024

# Seconds for a message that a client does not read, before it counts as gone; and for the last.
_STALL_LIMIT, _CLOSE_LIMIT = 120.0, 1.0

# Messages on their way out, before those who send wait.
_OUTBOX = 16

_CHUNK = 64 * 1024


class Socket:
    """A WebSocket, seen from the engine. It belongs to the task that opened it.

    Attributes:
        left: Whether the client said that it goes for good.
    """

    def __init__(self, client: Client) -> None:
        self.left: bool = False
        self._size = 0  # of the message that arrives
        self._client, self._stream = client, client.stream
        self._protocol = WSConnection(ConnectionType.SERVER)
        self._send, self._outbox = anyio.create_memory_object_stream[tuple[bytes, anyio.Event]](
            _OUTBOX
        )

    async def accept(self, request: h11.Request) -> None:
        """Answer the handshake.

        Raises:
            RefusedError: It is none.
        """
        try:
            # The line of the request is settled already, and may hold what wsproto refuses.
            self._protocol.initiate_upgrade_connection(list(request.headers), "/")
            answer = self._protocol.send(events.AcceptConnection())
        except (RemoteProtocolError, LocalProtocolError, UnicodeError) as exc:
            raise RefusedError(400, "the handshake of the WebSocket is malformed\n") from exc
        await self._stream.send(answer)
        self._protocol.receive_data(self._client.unread)

    async def receive(self) -> str | None:
        """Wait for the next text; None when there is none to come."""
        parts = list[str]()
        try:
            while True:
                for event in self._protocol.events():
                    if not await self._goes_on(event, parts):
                        return None
                    if isinstance(event, events.TextMessage) and event.message_finished:
                        return "".join(parts)
                self._protocol.receive_data(await self._stream.receive(_CHUNK))
        except RemoteProtocolError as exc:
            await self.close(CloseReason.PROTOCOL_ERROR, str(exc)[:100])
        except (LocalProtocolError, *BROKEN):
            _log.debug("a WebSocket was lost")
        return None

    async def _goes_on(self, event: events.Event, parts: list[str]) -> bool:
        """Take in what arrived; False when nothing more is to come."""
        if isinstance(event, events.TextMessage):
            self._size = self._size + len(event.data) if parts else len(event.data)
            parts.append(event.data)
            if self._size > LONGEST_IN:
                await self.close(CloseReason.MESSAGE_TOO_BIG, "the message is too long")
                return False
        elif isinstance(event, events.Ping):
            await self._write(self._protocol.send(event.response()))
        elif isinstance(event, events.CloseConnection):
            self.left = True
            await self._end(self._protocol.send(event.response()))
            return False
        elif isinstance(event, events.BytesMessage):
            await self.close(CloseReason.UNSUPPORTED_DATA, "a message has to be text")
            return False
        return True

    async def send(self, text: str) -> None:
        """Send a text; returns when it is written. Cancelled in between, it is sent all the same.

        Raises:
            BrokenResourceError: The connection was lost.
        """
        try:
            data = self._protocol.send(events.TextMessage(text))
        except LocalProtocolError as exc:  # one side has said that nothing follows
            raise anyio.BrokenResourceError from exc
        await self._write(data)

    async def write_forever(self) -> None:
        """Write what is sent, until cancelled or the connection is lost."""
        async for data, written in self._outbox:
            try:
                with anyio.fail_after(_STALL_LIMIT):
                    await self._stream.send(data)
            except (TimeoutError, *BROKEN):
                return
            written.set()

    async def close(self, code: int, reason: str) -> None:
        """Say that nothing follows, and why."""
        with suppress(LocalProtocolError):
            await self._end(self._protocol.send(events.CloseConnection(code, reason)))

    def release(self) -> None:
        """Take nothing more to send."""
        self._send.close()
        self._outbox.close()

    async def _write(self, data: bytes) -> None:
        written = anyio.Event()
        await self._send.send((data, written))
        await written.wait()

    async def _end(self, data: bytes) -> None:
        """Write the last words, unless nobody listens."""
        with anyio.move_on_after(_CLOSE_LIMIT, shield=True), suppress(*BROKEN):
            await self._write(data)
