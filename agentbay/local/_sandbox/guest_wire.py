"""Requests to the guest and its replies, on the socket of one operation.

What comes from the guest is not trusted: whoever uses the session may have taken it over.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Mapping
from typing import Any, cast

import anyio
import attrs

from .._errors import ToolFailure

LINE_LIMIT = 4 * 1024 * 1024
BODY_LIMIT = 64 * 1024 * 1024

_CHUNK = 256 * 1024


class ConnectionLost(Exception):  # noqa: N818 - says what happened, and is never shown
    """The guest hung up before its reply was complete."""


@attrs.frozen
class Reply:
    """What an operation gave: plain data, and bytes."""

    data: dict[str, Any]
    body: bytes = b""


class Request:
    """A request on its way to the guest, on a socket that does not block."""

    def __init__(self, operation: str, arguments: Mapping[str, Any], body: bytes = b"") -> None:
        self.operation = operation
        request = {"operation": operation, "arguments": dict(arguments), "size": len(body)}
        self._parts = [memoryview(json.dumps(request).encode() + b"\n"), memoryview(body)]

    def begin(self, connection: socket.socket) -> None:
        """Write what the socket takes at once.

        Done before the guest has the other end, the guest wakes up once instead of twice.
        """
        with contextlib.suppress(BlockingIOError):
            while self._write(connection):
                pass

    async def finish(self, connection: socket.socket) -> None:
        """Write what is left."""
        while any(self._parts):
            await anyio.wait_writable(connection)
            try:
                self._write(connection)
            except BlockingIOError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                # The guest may have refused early: its reply, if any, says why.
                return

    def _write(self, connection: socket.socket) -> bool:
        """Write once; whether there was something to write."""
        for place, part in enumerate(self._parts):
            if part:
                self._parts[place] = part[connection.send(part[:_CHUNK]) :]
                return True
        return False


async def read_reply(connection: socket.socket) -> Reply:
    """Read a reply from a socket that does not block.

    Raises:
        ToolFailure: The guest says no, or what it says makes no sense.
        ConnectionLost: It hung up.
    """
    received = bytearray()
    while (end := received.find(b"\n", max(0, len(received) - _CHUNK))) < 0:
        _check_line(len(received))
        received += await _receive(connection)
    _check_line(end)
    data, size = parse_reply(bytes(received[:end]))
    del received[: end + 1]
    while len(received) < (size or 0):
        received += await _receive(connection)
    return Reply(data, bytes(received[: size or 0]))


async def receive_socket(connection: socket.socket) -> tuple[Reply, socket.socket | None]:
    """Read a reply that comes with a connected TCP socket, or with none.

    Raises:
        ToolFailure: The guest says no, or sent something else than a TCP socket.
        ConnectionLost: It hung up.
    """
    await anyio.wait_readable(connection)
    try:
        flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
        line, descriptors, _, _ = socket.recv_fds(connection, 4096, 1, flags)
    except ConnectionResetError as exc:
        raise ConnectionLost from exc
    received = [_tcp_socket(descriptor) for descriptor in descriptors]
    try:
        if not line:
            raise ConnectionLost
        reply = Reply(parse_reply(line)[0])
        if received and received[0] is None:
            raise ToolFailure("the session sent something that is not a TCP connection")
    except BaseException:  # cancelled too: nobody else closes them
        for sock in received:
            if sock is not None:
                sock.close()
        raise
    return reply, received[0] if received else None


def parse_reply(line: bytes) -> tuple[dict[str, Any], int | None]:
    """Take a reply line apart: the data, and the size of what follows if it is known.

    Raises:
        ToolFailure: The guest says no, or the line makes no sense.
    """
    reply: dict[str, Any] = {}
    with contextlib.suppress(ValueError, RecursionError):
        reply = _object(json.loads(line))
    error, size = _object(reply.get("error")), reply.get("size")
    match error.get("number"), error.get("message"):
        case int(number), str(message):
            raise ToolFailure(message, number=number)
        case _:
            pass
    known = isinstance(size, int) and 0 <= size <= BODY_LIMIT
    if not isinstance(reply.get("result"), dict) or not (known or size is None):
        raise ToolFailure("the session sent a reply that is not valid")
    return _object(reply["result"]), size


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _check_line(size: int) -> None:
    if size > LINE_LIMIT:
        raise ToolFailure("the session sent a reply that is too large")


async def _receive(connection: socket.socket) -> bytes:
    while True:
        await anyio.wait_readable(connection)
        try:
            data = connection.recv(_CHUNK)
        except BlockingIOError:
            continue
        except ConnectionResetError as exc:
            raise ConnectionLost from exc
        if not data:
            raise ConnectionLost
        return data


def _tcp_socket(descriptor: int) -> socket.socket | None:
    """The socket behind a descriptor from the session, if that is a connected TCP socket."""
    os.set_inheritable(descriptor, False)
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError:
        os.close(descriptor)
        return None
    try:
        sock.getpeername()
        usable = sock.family in (socket.AF_INET, socket.AF_INET6)
    except OSError:
        usable = False
    if usable and sock.type == socket.SOCK_STREAM:
        return sock
    sock.close()
    return None
