"""The transport that puts requests on the pools, or on httpx's own transport."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import httpx
from anyio.lowlevel import current_token

from ._connection import Connection, UntakenError
from ._pools import KEPT, Origin, Pool
from ._readers import Head
from ._requests import Limits, Order, order_of
from ._stock import StockTransport
from ._tls import Tls

# Seconds by which timers of an event loop may come early.
_INSTANT = 0.001

T = TypeVar("T")


class PoolTransport(httpx.AsyncBaseTransport):
    """Carries requests over connections that stay open; belongs to one event loop.

    httpx's own transport takes over under trio, for requests with extensions (a trace, another
    target), and while a tool for tests such as respx listens there, which would otherwise miss
    our requests.

    Args:
        tls: How servers are checked.
        most: Connections to one origin; who needs one more waits.
        kept: Seconds for which an idle connection is kept, unless the server keeps its end for
            less.
    """

    def __init__(self, tls: Tls, *, most: int | None = None, kept: float = KEPT) -> None:
        self._tls, self._kept = tls, kept
        self._most = most_connections() if most is None else most
        self._pool: Pool | None = None
        self._stock: StockTransport | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Exchange a request for its reply; what the errors say stands in the package's text."""
        pool = self._pool or self._new_pool()
        if pool is None or not _is_plain(request) or _is_listened_to():
            return await self._aside().handle_async_request(request)
        url = request.url
        if url.scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol("the URL is not one of http:// or https://")
        order = order_of(request)
        origin = pool.origin(url.scheme, url.raw_host.decode("ascii"), url.port)
        connection = await _answering(origin, order, pool.loop)
        return _response(origin, connection, order)

    def is_at_home(self) -> bool:
        """Whether `exchange` can be called: under asyncio, with nobody who listens to httpx."""
        return (self._pool or self._new_pool()) is not None and not _is_listened_to()

    def limits(self, total: float, connect: float | None) -> Limits:
        """Seconds for a whole exchange that begins now, and to connect."""
        pool = self._pool
        assert pool is not None
        return Limits(connect, end=pool.loop.time() + total)

    async def exchange(self, url: httpx.URL, order: Order, made: Callable[[Head, bytes], T]) -> T:
        """Exchange a request for the whole of its reply, without the objects of httpx.

        Args:
            url: Where it goes: scheme, host and port count.
            order: The request.
            made: Makes what is given back.

        Raises:
            TimeoutError: There was not even a connection when the time for all of it was over.
        """
        pool = self._pool
        assert pool is not None
        if url.scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol("the URL is not one of http:// or https://")
        origin = pool.origin(url.scheme, url.raw_host.decode("ascii"), url.port)
        try:
            connection = await _answering(origin, order, pool.loop)
        except (httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
            if pool.loop.time() < order.limits.end - _INSTANT:
                raise
            raise TimeoutError("the time for the whole exchange is over") from exc
        try:
            return made(*await connection.whole_reply())
        finally:
            origin.release(connection)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._pool is not None:
            await self._pool.aclose()
        if self._stock is not None:
            await self._stock.aclose()

    def _new_pool(self) -> Pool | None:
        loop = current_token().native_token
        if not isinstance(loop, asyncio.AbstractEventLoop):
            return None
        self._pool = Pool(loop, self._tls, most=self._most, kept=self._kept)
        return self._pool

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


def most_connections() -> int:
    """How many connections there may be: 1,000, or three quarters of what the system allows."""
    if sys.platform == "win32":
        return 1000
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1000 if files == resource.RLIM_INFINITY else max(min(1000, files * 3 // 4), 1)


async def _answering(origin: Origin, order: Order, loop: asyncio.AbstractEventLoop) -> Connection:
    """The connection over which a request was answered; the one attempt that is made of it."""
    limits = order.limits
    while True:
        now = loop.time()
        connect, patience = limits.left(limits.connect, now), limits.left(limits.pool, now)
        connection = await origin.acquire(connect, patience)
        try:
            await connection.exchange(order)
        except UntakenError:
            origin.release(connection)
            if not isinstance(order.body, bytes):
                raise  # a part of it may be gone
        except BaseException:  # cancelled too: half an exchange is on that connection
            connection.drop()
            origin.release(connection)
            raise
        else:
            return connection


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
            while not self._closed and (chunk := await self._connection.next_chunk(self._limit)):
                yield chunk
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._origin.release(self._connection)


def _is_plain(request: httpx.Request) -> bool:
    extensions = request.extensions
    return not extensions or (len(extensions) == 1 and "timeout" in extensions)


def _is_listened_to() -> bool:
    """Whether somebody put a function of theirs in the place of one of httpx or httpcore.

    respx does, and others: they catch the requests that go through there. httpcore is not loaded
    for this: it takes a while, and nobody can have changed it.
    """
    if httpx.AsyncHTTPTransport.handle_async_request.__module__ != "httpx._transports.default":
        return True
    httpcore = sys.modules.get("httpcore")
    if httpcore is None:
        return False
    theirs = httpcore.AsyncConnectionPool.handle_async_request.__module__
    return bool(theirs != "httpcore._async.connection_pool")
