"""Call the engine in this process, on the engine's own event loop.

`httpx.ASGITransport` runs the app on the caller's loop and buffers whole replies. The engine
owns processes and sockets that belong to one loop, so every exchange hops to that loop.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import anyio
import httpx
from anyio.lowlevel import current_token

from .host import App, EngineHost, Message, embedded_host, running_host

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

# The top-level domain of the engine in this process; there can be no real host in it.
_EMBEDDED = ".invalid"

P = ParamSpec("P")
T = TypeVar("T")


def embedded_transport() -> httpx.AsyncBaseTransport:
    """A transport to the engine inside this process."""
    return LocalTransport()


async def hop(portal: BlockingPortal, func: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Await ``func(*args)`` on another thread's loop, from asyncio or trio.

    The wake-up must not block the portal: `from_thread.run_sync` here would deadlock when
    the caller's loop is itself waiting for the portal.
    """
    native: Any = current_token().native_token
    soon = getattr(native, "call_soon_threadsafe", None) or native.run_sync_soon
    done = anyio.Event()
    future = portal.start_task_soon(func, *args)
    future.add_done_callback(lambda _: soon(done.set))
    try:
        await done.wait()
    except anyio.get_cancelled_exc_class():
        future.cancel()
        raise
    return future.result()


class _Exchange:
    """One request and its reply; every method runs on the engine's loop."""

    def __init__(self, app: App, scope: Message, body: bytes) -> None:
        self._app, self._scope = app, scope
        self._body: bytes | None = body
        self._send, self._receive = anyio.create_memory_object_stream[Message](1)

    async def run(self) -> None:
        """Serve the request; started before any other method, which the loop keeps in order."""
        self._gone = anyio.Event()  # made here, so that it belongs to this loop
        async with self._send:
            # The stream is broken when nobody waits for the reply any more.
            with contextlib.suppress(anyio.BrokenResourceError):
                await self._app(self._scope, self._next_request, self._send.send)

    async def head(self) -> Message:
        """Wait for the status line and headers."""
        return await self._receive.receive()

    async def _next_request(self) -> Message:
        if self._body is None:
            await self._gone.wait()
            return {"type": "http.disconnect"}
        body, self._body = self._body, None
        return {"type": "http.request", "body": body}

    async def chunk(self) -> tuple[bytes, bool]:
        """Wait for the next piece of the body; tells whether there is more to come."""
        message = await self._receive.receive()
        return message.get("body", b""), message.get("more_body", False)

    async def close(self) -> None:
        self._gone.set()
        self._receive.close()


class _Body(httpx.AsyncByteStream):
    """The body of a reply, piece by piece."""

    def __init__(self, portal: BlockingPortal, exchange: _Exchange) -> None:
        self._portal, self._exchange = portal, exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            try:
                chunk, more = await hop(self._portal, self._exchange.chunk)
            except (anyio.EndOfStream, RuntimeError) as exc:
                raise httpx.RemoteProtocolError("the local engine broke off its reply") from exc
            if chunk:
                yield chunk

    async def aclose(self) -> None:
        _soon(self._portal, self._exchange.close)


class LocalTransport(httpx.AsyncBaseTransport):
    """Sends requests to an engine that runs on a thread of this process.

    What is for an address of its link server goes there, over the network of this machine.
    """

    def __init__(self) -> None:
        self._network: httpx.AsyncHTTPTransport | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Exchange one request for its reply; cancelling tells the engine to stop."""
        if not request.url.host.endswith(_EMBEDDED):
            if request.url.scheme != "http":
                raise httpx.UnsupportedProtocol("the local engine has http addresses only")
            if self._network is None:
                # Certificates take a while to load, and there are none to check.
                self._network = httpx.AsyncHTTPTransport(verify=False, trust_env=False)
            return await self._network.handle_async_request(request)
        return await self._exchange(request)

    async def aclose(self) -> None:
        """Close the connections to the link server."""
        if self._network is not None:
            await self._network.aclose()

    async def _exchange(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        host = running_host()
        if host is None:  # starting one takes a moment, which must not stall the caller's loop
            host = await anyio.to_thread.run_sync(_start)
        portal = host.portal
        exchange = _Exchange(host.app, _scope(request), body)
        try:
            portal.start_task_soon(exchange.run)
            head = await hop(portal, exchange.head)
        except anyio.EndOfStream as exc:
            raise httpx.RemoteProtocolError("the local engine sent no reply") from exc
        except RuntimeError as exc:
            raise httpx.ConnectError("the local engine has stopped") from exc
        except BaseException:  # cancelled too: the engine's loop does not notice
            _soon(portal, exchange.close)
            raise
        stream = _Body(portal, exchange)
        return httpx.Response(head["status"], headers=head["headers"], stream=stream)


def _start() -> EngineHost:
    try:
        return embedded_host()
    except (OSError, RuntimeError) as exc:  # RuntimeError: no thread, as the process ends
        raise httpx.ConnectError(
            f"the local engine cannot start ({exc}); AGENTBAY_LOCAL_HOME names its directory"
        ) from exc


def _soon(portal: BlockingPortal, func: Callable[[], Awaitable[None]]) -> None:
    # An engine that has stopped has no exchange any more either.
    with contextlib.suppress(RuntimeError):
        portal.start_task_soon(func)


def _scope(request: httpx.Request) -> Message:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": request.url.raw_path.split(b"?")[0],
        "query_string": request.url.query,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "server": (request.url.host, request.url.port),
        "client": ("local", 0),
        "root_path": "",
    }
