"""A proxy inside the session that logs in at another one: browsers cannot be told how to.

It is HTTP's kind of proxy: each connection begins with a request, which gets the login and goes
on as it is. Answers are not looked at. What follows on the same connection belongs to the same
request, because the other proxy is asked to close the connection after it.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import threading
from typing import Any

from .failure import Failure

# Bytes of the head of a request, and seconds: for the head, for the other proxy to take a
# connection, and for one on which nothing moves.
_LONGEST_HEAD = 256 * 1024
_HEAD_LIMIT, _CONNECT_LIMIT, _IDLE_LIMIT = 60.0, 30.0, 600.0

_MOST = 512
_CHUNK = 64 * 1024
_DROPPED = (b"proxy-authorization", b"proxy-connection", b"connection", b"keep-alive")


def forward(arguments: dict[str, Any], connection: socket.socket) -> None:
    """Listen on a port of the loopback, until the engine hangs up."""
    proxy = _Upstream(arguments)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        port = server.getsockname()[1]
        connection.sendall(json.dumps({"result": {"port": port}}).encode() + b"\n")
        room = threading.BoundedSemaphore(_MOST)
        with selectors.DefaultSelector() as selector:
            selector.register(server, selectors.EVENT_READ)
            selector.register(connection, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if connection in ready:
                    return
                with contextlib.suppress(OSError):
                    _begin(server.accept()[0], proxy, room)


class _Upstream:
    """The other proxy."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        host, port, login = (arguments.get(name) for name in ("host", "port", "login"))
        if not isinstance(host, str) or not isinstance(port, int) or not isinstance(login, str):
            raise Failure("host and login must be texts, and port a number")
        self.login = login.encode("latin-1")
        self._place = (host, port)

    def connect(self) -> socket.socket:
        return socket.create_connection(self._place, _CONNECT_LIMIT)


def _begin(client: socket.socket, proxy: _Upstream, room: threading.BoundedSemaphore) -> None:
    def serve() -> None:
        try:
            with client, contextlib.suppress(OSError, ValueError):
                _serve(client, proxy)
        finally:
            room.release()

    if not room.acquire(blocking=False):
        client.close()
        return
    try:
        threading.Thread(target=serve, daemon=True).start()
    except RuntimeError:
        room.release()
        client.close()


def _serve(client: socket.socket, proxy: _Upstream) -> None:
    client.settimeout(_HEAD_LIMIT)
    head, rest = _head(client)
    try:
        upstream = proxy.connect()
    except OSError:
        client.sendall(
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        return
    with upstream:
        upstream.sendall(_with_login(head, proxy.login) + rest)
        _splice(client, upstream)


def _head(client: socket.socket) -> tuple[bytes, bytes]:
    received = b""
    while (end := received.find(b"\r\n\r\n")) < 0:
        data = client.recv(_CHUNK)
        if not data or len(received) > _LONGEST_HEAD:
            raise ValueError("no request")
        received += data
    return received[:end], received[end + 4 :]


def _with_login(head: bytes, login: bytes) -> bytes:
    request, *headers = head.split(b"\r\n")
    tunnel = request.upper().startswith(b"CONNECT ")
    upgrade = any(line.lower().startswith(b"upgrade:") for line in headers)
    kept = [line for line in headers if line.partition(b":")[0].strip().lower() not in _DROPPED]
    kept.append(b"Proxy-Authorization: Basic " + login)
    if not tunnel:
        kept.append(b"Connection: Upgrade" if upgrade else b"Connection: close")
    return b"\r\n".join([request, *kept]) + b"\r\n\r\n"


def _splice(client: socket.socket, upstream: socket.socket) -> None:
    """Copy both ways until the other proxy has said everything."""
    client.settimeout(_IDLE_LIMIT)
    upstream.settimeout(_IDLE_LIMIT)
    asking = threading.Thread(target=_copy, args=(client, upstream), daemon=True)
    asking.start()
    _copy(upstream, client)
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)
    asking.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


STREAMING = {"forward": forward}
