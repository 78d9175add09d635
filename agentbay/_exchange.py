"""Files on their way over HTTP, to and from addresses that carry their own credential."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import anyio
import httpx

from ._masking import origin
from ._tracing import Trace
from .errors import APIError, RequestTimeoutError, TransportError

T = TypeVar("T")

# What the store calls a request.
_REQUEST_ID = "x-oss-request-id"

# Redirects that say where the same request is to go instead.
_REDIRECTS, _MOST_REDIRECTS = (301, 302, 307, 308), 5

# Errors that come before the first byte of a request is sent.
NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)


class FileExchange:
    """One file on its way: redirects, and a limit on the time in which nothing moves."""

    def __init__(
        self,
        method: str,
        what: str,
        headers: Mapping[str, str],
        idle: float,
        chunks: Callable[[], AsyncGenerator[bytes, None]] | None = None,
    ) -> None:
        self._method, self._what, self._headers = method, what, headers
        self._idle, self._chunks = idle, chunks
        self._scope = anyio.CancelScope()
        self._end = math.inf
        # An error of the caller's own functions, which may be of a class that httpx raises, too.
        self._own: Exception | None = None

    async def run(
        self,
        client: httpx.AsyncClient,
        url: str,
        read: Callable[[FileExchange, httpx.Response], Awaitable[T]],
        trace: Trace,
        limit: float = math.inf,
    ) -> T:
        """Send the request and read the reply, within some seconds."""
        self._end = anyio.current_time() + limit
        try:
            with self._scope:
                self._moved()
                return await self._exchanged(client, url, read, trace)
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            if exc is self._own:
                raise
            reason = f"{self._what} failed: {type(exc).__name__}"
            raise TransportError(reason, sent=not isinstance(exc, NEVER_SENT)) from exc
        if anyio.current_time() >= self._end:
            raise RequestTimeoutError(f"{self._what} was not done within {limit:.3g} s")
        raise RequestTimeoutError(f"{self._what} made no progress for {self._idle:g} s")

    def refused(self, status: int) -> APIError:
        """The error that a status stands for."""
        return APIError(f"{self._what} was refused: HTTP {status}", status)

    async def undisturbed(self, step: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Take a step of the caller's, which may take its time."""
        self._scope.deadline = self._end
        try:
            return await step(*args)
        except Exception as exc:  # the caller's, of whatever class: told from those of httpx
            self._own = exc
            raise
        finally:
            self._moved()

    def _moved(self) -> None:
        self._scope.deadline = min(anyio.current_time() + self._idle, self._end)

    async def _exchanged(
        self,
        client: httpx.AsyncClient,
        url: str,
        read: Callable[[FileExchange, httpx.Response], Awaitable[T]],
        trace: Trace,
    ) -> T:
        for _ in range(_MOST_REDIRECTS + 1):
            body = None if self._chunks is None else self._body(self._chunks())
            request = client.build_request(self._method, url, content=body, headers=self._headers)
            request.url = QuietURL(request.url)
            try:
                response = await client.send(request, stream=True)
            finally:
                if body is not None:
                    await body.aclose()  # a refusal may come before all of it was sent
            trace.request_id = response.headers.get(_REQUEST_ID, "")
            try:
                if response.status_code not in _REDIRECTS:
                    return await read(self, response)
                url = self._redirected(url, response)
            finally:
                await response.aclose()
        raise APIError(f"{self._what} was redirected more than {_MOST_REDIRECTS} times", 0)

    async def _body(self, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async with aclosing(chunks):
            # Not `async for`: only the time in which a piece is sent counts.
            while chunk := await self.undisturbed(anext, chunks, b""):
                yield chunk

    def _redirected(self, url: str, response: httpx.Response) -> str:
        try:
            target: str = urljoin(url, response.headers.get("location", ""))
            schemes = urlsplit(url).scheme, urlsplit(target).scheme
        except ValueError:
            raise self.refused(response.status_code) from None
        # Not from https to http, where everyone could read the file.
        if schemes[1] not in (schemes[0], "https"):
            raise self.refused(response.status_code)
        return target


class QuietURL(httpx.URL):
    """A URL with a credential in it: httpx writes the URL of every request into its log."""

    def __str__(self) -> str:
        return origin(super().__str__())

    def __repr__(self) -> str:
        return f"URL({str(self)!r})"
