"""Messages to and from an operation of the guest that goes on.

The guest's word is not trusted: a message of more than a limit, or a reply that makes no sense,
ends the operation.
"""

from __future__ import annotations

import socket

import anyio

from .._errors import ToolFailure
from ..guest.frames import HEAD, LONGEST, pack, take
from .guest_wire import ConnectionLost, parse_reply

_CHUNK = 64 * 1024


class Talk:
    """What the engine and one operation say to each other. It belongs to one event loop."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = bytearray()

    async def begin(self) -> None:
        """Wait until the operation goes on.

        Raises:
            ToolFailure: The guest refuses, or what it says makes no sense.
            ConnectionLost: It hung up.
        """
        while (end := self._received.find(b"\n")) < 0:
            await self._fill()
        parse_reply(bytes(self._received[:end]))
        del self._received[: end + 1]

    async def receive(self) -> tuple[bytes, bytes]:
        """Wait for a message: its kind, and its content.

        Raises:
            ToolFailure: It is too long.
            ConnectionLost: The guest hung up.
        """
        while (message := take(self._received)) is None:
            await self._fill()
        return message

    async def send(self, kind: bytes, content: bytes = b"") -> None:
        """Send a message; cancelled in between, the operation is of no further use.

        Raises:
            ConnectionLost: The guest hung up.
        """
        rest = memoryview(pack(kind, content))
        while rest:
            await anyio.wait_writable(self._connection)
            try:
                rest = rest[self._connection.send(rest[:_CHUNK]) :]
            except BlockingIOError:
                continue
            except OSError as exc:
                raise ConnectionLost from exc

    async def _fill(self) -> None:
        if len(self._received) > LONGEST + HEAD:
            raise ToolFailure("the session sent a message that is too large")
        await anyio.wait_readable(self._connection)
        try:
            data = self._connection.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError as exc:
            raise ConnectionLost from exc
        if not data:
            raise ConnectionLost
        self._received += data
