"""What httpx is given to carry its requests: our own pools, or its own transport in shards."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterable, AsyncIterator, Generator
from contextlib import contextmanager
from typing import Any, cast

import httpx

from ._connection import Connection
from ._errors import InvalidURLError, NetworkError, as_httpx
from ._listeners import at_transports
from ._pools import KEPT, Origin, Pool, most_connections
from ._requests import Limits, Order, Place, written
from ._stock import StockTransport
from ._tls import Tls


class PoolTransport(httpx.AsyncBaseTransport):
    """Carries requests over connections that stay open; belongs to one event loop.

    httpx's own transport takes over under trio, for requests with extensions (a trace, another
    target), and while a tool for tests such as respx listens there, which would otherwise miss
    our requests.

    Args:
        tls: How servers are checked.
        pool: The connections; those of a new pool by default.
        most: Connections to one origin; who needs one more waits.
        kept: Seconds for which an idle connection is kept, unless the server keeps its end for
            less.
    """

    def __init__(
        self,
        tls: Tls,
        pool: Pool | None = None,
        *,
        most: int | None = None,
        kept: float = KEPT,
    ) -> None:
        self._tls, self._kept = tls, kept
        self._most = most_connections() if most is None else most
        self._pool = pool or Pool.here(tls, most=most, kept=kept)
        self._stock: StockTransport | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Exchange a request for its reply; what the errors say stands in `_errors`."""
        pool = self._pool
        if pool is None or not _is_plain(request) or at_transports():
            return await self._aside().handle_async_request(request)
        with _errors_of_httpx():
            order = order_of(request)
            origin = pool.origin(_place(request.url))
            return _response(origin, await pool.answering(origin, order), order)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._pool is not None:
            await self._pool.aclose()
        if self._stock is not None:
            await self._stock.aclose()

    def _aside(self) -> StockTransport:
        if self._stock is None:
            self._stock = StockTransport(self._tls, most=self._most, kept=self._kept)
        return self._stock


def carriers(
    verify: bool | ssl.SSLContext,
    proxy: httpx.Proxy | None = None,
    *,
    upgrades: bool = False,
    trust_env: bool = True,
) -> dict[str, Any]:
    """Make ``transport`` and ``mounts`` of an `httpx.AsyncClient`.

    Args:
        verify: As the client takes it.
        proxy: What all requests go through; the proxies of the environment by default.
        upgrades: For connections that become something else, such as WebSockets.
        trust_env: Whether the environment has a say.
    """
    from ._proxies import proxies

    tls, most = Tls(verify), most_connections()
    if proxy is not None:
        return {"transport": StockTransport(tls, most=most, proxy=proxy)}
    mounts: dict[str, httpx.AsyncBaseTransport | None] = {
        pattern: None if url is None else StockTransport(tls, most=most, proxy=httpx.Proxy(url))
        for pattern, url in (proxies() if trust_env else {}).items()
    }
    carrier = StockTransport(tls, most=most) if upgrades else PoolTransport(tls, most=most)
    return {"transport": carrier, "mounts": mounts}


def place_by_httpx(url: str) -> Place:
    """Take a URL apart that has something in it to be quoted or put right.

    Raises:
        InvalidURLError: It is none.
    """
    try:
        return _place(httpx.URL(url))
    except httpx.InvalidURL as exc:
        raise InvalidURLError(str(exc)) from exc


def _place(url: httpx.URL) -> Place:
    return Place(url.scheme, url.raw_host.decode("ascii"), url.port, url.netloc, url.raw_path)


def order_of(request: httpx.Request) -> Order:
    """Make what is written from a request.

    Raises:
        LocalProtocolError: Method, target or a header would not be one on the wire.
    """
    stream = request.stream
    body = request.read() if isinstance(stream, httpx.ByteStream) else stream
    limits: dict[str, float | None] = request.extensions.get("timeout") or {}
    return written(
        request.method,
        request.url.raw_path,
        request.headers.raw,
        cast("bytes | AsyncIterable[bytes]", body),
        Limits(limits.get("connect"), limits.get("read"), limits.get("write"), limits.get("pool")),
    )


@contextmanager
def _errors_of_httpx() -> Generator[None]:
    try:
        yield
    except NetworkError as exc:
        raise as_httpx(exc) from exc.__cause__


def _response(origin: Origin, connection: Connection, order: Order) -> httpx.Response:
    head = connection.head
    assert head is not None
    stream: httpx.AsyncByteStream
    if connection.is_complete:
        stream = httpx.ByteStream(connection.whole())
        origin.release(connection)
    else:
        stream = _Body(origin, connection, order.limits.read)
    extensions = {"http_version": b"HTTP/" + head.version, "reason_phrase": head.reason}
    return httpx.Response(head.status, headers=head.headers, stream=stream, extensions=extensions)


class _Body(httpx.AsyncByteStream):
    """The body of a reply, piece by piece; the connection is given back at its end."""

    def __init__(self, origin: Origin, connection: Connection, limit: float | None) -> None:
        self._origin, self._connection, self._limit = origin, connection, limit
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while not self._closed and (chunk := await self._next()):
                yield chunk
        finally:
            await self.aclose()

    async def _next(self) -> bytes:
        with _errors_of_httpx():
            return await self._connection.next_chunk(self._limit)

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._origin.release(self._connection)


def _is_plain(request: httpx.Request) -> bool:
    extensions = request.extensions
    return not extensions or (len(extensions) == 1 and "timeout" in extensions)
