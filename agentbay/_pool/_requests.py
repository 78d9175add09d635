"""Requests as they are written: the head, and how the end of the body is told."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import AsyncIterable
from typing import NamedTuple, cast

import httpx

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


def order_of(request: httpx.Request) -> Order:
    """Make what is written from a request.

    Raises:
        httpx.LocalProtocolError: Method, target or a header would not be one on the wire.
    """
    raw = request.headers.raw
    method = request.method.encode("ascii", "replace")
    parts = [method, b" ", request.url.raw_path, b" HTTP/1.1\r\n"]
    length: int | None = None
    chunked = False
    for name, value in raw:
        kind = _kind(name)
        if kind is _LENGTH:
            if length is not None:
                raise httpx.LocalProtocolError("content-length is there twice")
            length = _length(value)
        elif kind is _ENCODING:
            chunked = True
        parts += (name, b": ", value, b"\r\n")
    parts.append(b"\r\n")
    head = b"".join(parts)
    _check(method, parts[2], head, len(raw) + 2)
    stream = request.stream
    body: object = request.read() if isinstance(stream, httpx.ByteStream) else stream
    if chunked and length is not None:
        raise httpx.LocalProtocolError("content-length and transfer-encoding exclude each other")
    if isinstance(body, bytes) and not chunked and len(body) != (length or 0):
        raise httpx.LocalProtocolError("the body is not as long as content-length says")
    limits: dict[str, float | None] = request.extensions.get("timeout") or {}
    return Order(
        request.method,
        head,
        _chunks(body) if chunked else cast("bytes | AsyncIterable[bytes]", body),
        None if chunked else length or 0,
        Limits(limits.get("connect"), limits.get("read"), limits.get("write"), limits.get("pool")),
    )


@functools.lru_cache(256)
def _kind(name: bytes) -> int:
    if not _TOKEN.fullmatch(name):
        raise httpx.LocalProtocolError("a header has a name that HTTP does not have")
    return {b"content-length": _LENGTH, b"transfer-encoding": _ENCODING}.get(name.lower(), _OTHER)


def _length(value: bytes) -> int:
    if not value.isdigit():
        raise httpx.LocalProtocolError("content-length is not a number")
    return int(value)


def _check(method: bytes, target: bytes, head: bytes, lines: int) -> None:
    """Refuse what would end a line, or the head, before its time."""
    whole = head.count(b"\r") == lines and head.count(b"\n") == lines and b"\0" not in head
    if not whole or b" " in target or not target or not _TOKEN.fullmatch(method):
        raise httpx.LocalProtocolError("the request has a character that HTTP does not have")
    if method == b"CONNECT":
        raise httpx.LocalProtocolError("CONNECT is for proxies")


async def _chunks(body: object) -> AsyncIterable[bytes]:
    if isinstance(body, bytes):
        if body:
            yield b"%x\r\n%b\r\n" % (len(body), body)
    else:
        async for piece in cast("AsyncIterable[bytes]", body):
            if piece:
                yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"
