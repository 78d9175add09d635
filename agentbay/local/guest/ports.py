"""Connections to what listens inside the session."""

from __future__ import annotations

import json
import socket
from typing import Any

from .failure import Failure

_TIME_LIMIT = 10.0


def connect(arguments: dict[str, Any], connection: socket.socket) -> None:
    """Connect to a port of the session's loopback and hand the socket to the engine."""
    port = arguments.get("port")
    if not isinstance(port, int) or not 0 < port < 65536:
        raise Failure("port must be a number from 1 to 65535")
    found = _connected(port)
    if found is None:
        connection.sendall(_line({"refused": True}))
        return
    with found:
        socket.send_fds(connection, [_line({"refused": False})], [found.fileno()])


def _connected(port: int) -> socket.socket | None:
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            found = socket.socket(family, socket.SOCK_STREAM)
        except OSError:
            continue  # A kernel without IPv6.
        found.settimeout(_TIME_LIMIT)
        try:
            found.connect((host, port))
        except TimeoutError:
            found.close()
            raise Failure(f"port {port} did not accept a connection in time", -1) from None
        except OSError:
            found.close()
        else:
            return found
    return None


def _line(result: dict[str, Any]) -> bytes:
    return json.dumps({"result": result, "size": 0}).encode() + b"\n"


STREAMING = {"connect": connect}
