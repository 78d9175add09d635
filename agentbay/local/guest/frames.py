"""Messages of operations that go on: a letter for the kind, a length, and that many bytes."""

from __future__ import annotations

import json
import socket

HEAD = 5
LONGEST = 1 << 20


def pack(kind: bytes, content: bytes = b"") -> bytes:
    """One message as it travels."""
    return kind + len(content).to_bytes(HEAD - 1, "big") + content


def begin(connection: socket.socket) -> None:
    """Say that the operation goes on; messages follow."""
    connection.sendall(json.dumps({"result": {}}).encode() + b"\n")


def take(received: bytearray) -> tuple[bytes, bytes] | None:
    """Take the first message out of what was received; None when it is not whole."""
    end = HEAD + int.from_bytes(received[1:HEAD], "big")
    if len(received) < HEAD or len(received) < end:
        return None
    message = bytes(received[:1]), bytes(received[HEAD:end])
    del received[:end]
    return message
