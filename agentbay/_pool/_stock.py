"""httpx's own transport, in shards.

Its pool looks through all of its connections for every request; a shard has few of them, so
that a thousand requests at once cost each as much as ten do.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import anyio
import httpx

from ._tls import Tls

# Connections of a shard.
_WIDTH = 8


class _Shard:
    """One of httpx's transports, and how many requests it has.

    Never more than it has connections: of one that is cancelled while it waits for another to
    end, httpcore keeps a connection that nobody opens and nobody closes.
    """

    def __init__(self, transport: httpx.AsyncHTTPTransport) -> None:
        self.transport = transport
        self.load = 0


class StockTransport(httpx.AsyncBaseTransport):
    """Spreads requests over some of httpx's transports.

    Args:
        tls: How servers are checked.
        most: Connections at most, to all hosts together; a request more waits.
        kept: Seconds for which an idle connection is kept.
        proxy: Where they go through.
    """

    def __init__(
        self, tls: Tls, *, most: int, kept: float = 20.0, proxy: httpx.Proxy | None = None
    ) -> None:
        self._tls, self._proxy, self._kept = tls, proxy, kept
        self._most = most
        self._places: anyio.Semaphore | None = None
        self._shards: list[_Shard] = []
        # Those that have room; the last is the one that was used last.
        self._roomy: list[_Shard] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Exchange a request for its reply."""
        try:
            context = await self._tls.context()
        except OSError as exc:
            raise httpx.ConnectError(f"no certificates to check servers with: {exc}") from exc
        places = await self._place(request.extensions.get("timeout", {}).get("pool"))
        try:
            shard = self._shard(context)
        except httpx.ProxyError:
            places.release()
            raise
        self._load(shard)

        def done() -> None:
            places.release()
            self._unload(shard)

        try:
            response = await shard.transport.handle_async_request(request)
        except BaseException as exc:  # cancelled too: the shard would count it for ever
            done()
            if isinstance(exc, UnicodeError):
                raise httpx.ConnectError("the host has a name that cannot be looked up") from exc
            raise
        if isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _Body(response.stream, done)
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        shards, self._shards, self._roomy = self._shards, [], []
        for shard in shards:
            await shard.transport.aclose()

    async def _place(self, patience: float | None) -> anyio.Semaphore:
        if self._places is None:
            self._places = anyio.Semaphore(self._most)
        try:
            with anyio.fail_after(patience):
                await self._places.acquire()
        except TimeoutError as exc:
            raise httpx.PoolTimeout("all connections are in use") from exc
        return self._places

    def _shard(self, context: ssl.SSLContext) -> _Shard:
        if self._roomy:
            return self._roomy[-1]
        limits = httpx.Limits(
            max_connections=_WIDTH, max_keepalive_connections=_WIDTH, keepalive_expiry=self._kept
        )
        try:
            made = httpx.AsyncHTTPTransport(verify=context, limits=limits, proxy=self._proxy)
        except ImportError as exc:
            raise httpx.ProxyError("a SOCKS proxy needs: pip install 'httpx[socks]'") from exc
        shard = _Shard(made)
        self._shards.append(shard)
        self._roomy.append(shard)
        return shard

    def _load(self, shard: _Shard) -> None:
        shard.load += 1
        if shard.load == _WIDTH:
            self._roomy.remove(shard)

    def _unload(self, shard: _Shard) -> None:
        if shard.load == _WIDTH and shard in self._shards:
            self._roomy.append(shard)
        shard.load -= 1


class _Body(httpx.AsyncByteStream):
    """The body of a reply, which frees its place when it is closed."""

    def __init__(self, body: httpx.AsyncByteStream, done: Callable[[], None]) -> None:
        self._body, self._done = body, done
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._body:
            yield chunk

    async def aclose(self) -> None:
        _distrust(self._body)
        try:
            await self._body.aclose()
        finally:
            if not self._closed:
                self._closed = True
                self._done()


def _distrust(body: Any) -> None:
    """Let a connection be closed on which something came behind the reply.

    httpcore keeps it, and takes it for the reply to the next request.
    """
    with suppress(AttributeError):  # another release of httpx or httpcore, or HTTP/2
        state: Any = body._httpcore_stream._stream._connection._h11_state
        if state.trailing_data[0]:
            state.send_failed()
