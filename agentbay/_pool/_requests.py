"""Requests as they are written: the head, and how the end of the body is told."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import AsyncIterable, Sequence
from typing import NamedTuple

from ._errors import LocalProtocolError

_TOKEN = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+")

_LENGTH, _ENCODING, _OTHER = range(3)


class Limits(NamedTuple):
    """Seconds for each step, None for no limit; and when all of them are to be over.

    `end` is in the time of the event loop.
    """

    connect: float | None = None
    read: float | None = None
    write: float | None = None
    pool: float | None = None
    end: float = math.inf

    def left(self, limit: float | None, now: float) -> float | None:
        """Seconds for a step that begins at a time; None for no limit."""
        if self.end == math.inf:
            return limit
        left = max(self.end - now, 0.0)
        return left if limit is None else min(limit, left)


class Order(NamedTuple):
    """A request, ready to be written.

    Attributes:
        method: Its method.
        head: Request line and headers.
        body: The whole body, or its pieces.
        length: Bytes of the body; None for a body that travels in chunks.
        limits: Seconds for each step.
    """

    method: str
    head: bytes
    body: bytes | AsyncIterable[bytes]
    length: int | None
    limits: Limits


class Place(NamedTuple):
    """Where requests go.

    Attributes:
        scheme: ``http`` or ``https``.
        host: The host, without the brackets of an address.
        port: The port; None for that of the scheme.
        netloc: Host and port as the request tells them.
        target: Path and query.
    """

    scheme: str
    host: str
    port: int | None
    netloc: bytes
    target: bytes


@functools.lru_cache(16)
def place_of(url: str) -> Place:
    """Take a URL apart; httpx does it where something has to be quoted or put right.

    Raises:
        InvalidURLError: It is none.
    """
    scheme, _, rest = url.partition("://")
    netloc, _, path = rest.partition("/")
    host, colon, digits = netloc.partition(":")
    is_plain = set(host) <= _HOST and set(path) <= _PATH and "/." not in f"/{path}"
    has_port = digits.isdigit() and digits.isascii()
    if scheme not in _PORTS or not host or not is_plain or bool(colon) != has_port:
        from .transport import place_by_httpx

        return place_by_httpx(url)
    port = int(digits) if digits else None
    if port == _PORTS[scheme]:
        port = None
    netloc = host if port is None else f"{host}:{port}"
    return Place(scheme, host, port, netloc.encode(), f"/{path}".encode())


_PORTS = {"http": 80, "https": 443}

_HOST = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_.-")
_PATH = _HOST | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ~!$&'()*+,;=:@/")


def written(
    method: str,
    target: bytes,
    headers: Sequence[tuple[bytes, bytes]],
    body: bytes | AsyncIterable[bytes],
    limits: Limits,
) -> Order:
    """Make what is written of a request.

    Args:
        method: Its method.
        target: Path and query.
        headers: All of its headers.
        body: The body, or its pieces.
        limits: Seconds for each step.

    Raises:
        LocalProtocolError: Method, target or a header would not be one on the wire.
    """
    first = method.encode("ascii", "replace")
    parts = [first, b" ", target, b" HTTP/1.1\r\n"]
    length: int | None = None
    chunked = False
    for name, value in headers:
        kind = _kind(name)
        if kind is _LENGTH:
            if length is not None:
                raise LocalProtocolError("content-length is there twice")
            length = _length(value)
        elif kind is _ENCODING:
            chunked = True
        parts += (name, b": ", value, b"\r\n")
    parts.append(b"\r\n")
    head = b"".join(parts)
    _check(first, target, head, len(headers) + 2)
    if chunked and length is not None:
        raise LocalProtocolError("content-length and transfer-encoding exclude each other")
    if isinstance(body, bytes) and not chunked and len(body) != (length or 0):
        raise LocalProtocolError("the body is not as long as content-length says")
    if chunked:
        return Order(method, head, _chunks(body), None, limits)
    return Order(method, head, body, length or 0, limits)


@functools.lru_cache(256)
def _kind(name: bytes) -> int:
    if not _TOKEN.fullmatch(name):
        raise LocalProtocolError("a header has a name that HTTP does not have")
    return {b"content-length": _LENGTH, b"transfer-encoding": _ENCODING}.get(name.lower(), _OTHER)


def _length(value: bytes) -> int:
    if not value.isdigit():
        raise LocalProtocolError("content-length is not a number")
    return int(value)


def _check(method: bytes, target: bytes, head: bytes, lines: int) -> None:
    """Refuse what would end a line, or the head, before its time."""
    whole = head.count(b"\r") == lines and head.count(b"\n") == lines and b"\0" not in head
    if not whole or b" " in target or not target or not _TOKEN.fullmatch(method):
        raise LocalProtocolError("the request has a character that HTTP does not have")
    if method == b"CONNECT":
        raise LocalProtocolError("CONNECT is for proxies")


async def _chunks(body: bytes | AsyncIterable[bytes]) -> AsyncIterable[bytes]:
    if isinstance(body, bytes):
        if body:
            yield b"%x\r\n%b\r\n" % (len(body), body)
    else:
        async for piece in body:
            if piece:
                yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"
