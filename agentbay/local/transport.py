"""Call the engine in this process, on the engine's own event loop.

`httpx.ASGITransport` runs the app on the caller's loop and buffers whole replies. The engine
owns processes and sockets that belong to one loop, so every exchange hops to that loop.
"""

from __future__ import annotations

import contextlib
import sys
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, cast

import anyio
import httpx
from anyio.lowlevel import current_token

from ..errors import ConfigError

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

    from .host import App, EngineHost, Message

# The top-level domain of the engine in this process; there can be no real host in it.
_EMBEDDED = ".invalid"


def embedded_transport() -> httpx.AsyncBaseTransport:
    """A transport to the engine inside this process."""
    return LocalTransport()


class _Exchange:
    """One request and its reply; every method runs on the engine's loop."""

    def __init__(self, app: App, scope: Message, body: bytes) -> None:
        self._app, self._scope = app, scope
        self._body: bytes | None = body
        self.head: Message = {}
        self.content = bytearray()
        self.complete = False

    async def run(self) -> None:
        """Serve the request; started before `leave`, which the loop keeps in order."""
        self._gone = anyio.Event()  # made here, so that it belongs to this loop
        await self._app(self._scope, self._next_request, self._take)

    async def leave(self) -> None:
        """Tell the application that nobody waits for its reply any more."""
        self._gone.set()

    async def _next_request(self) -> Message:
        if self._body is None:
            await self._gone.wait()
            return {"type": "http.disconnect"}
        body, self._body = self._body, None
        return {"type": "http.request", "body": body}

    async def _take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.head = message
            return
        self.content += message.get("body", b"")
        self.complete = not message.get("more_body", False)


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
        exchange = _Exchange(host.app, _scope(request), body)
        try:
            await _served(host.portal, exchange)
        except RuntimeError as exc:
            raise httpx.ConnectError("the local engine has stopped") from exc
        except BaseException:  # cancelled too: the engine's loop does not notice
            with contextlib.suppress(RuntimeError):  # it has stopped, and the exchange with it
                host.portal.start_task_soon(exchange.leave)
            raise
        if not exchange.complete:
            raise httpx.RemoteProtocolError("the local engine broke off its reply")
        head, stream = exchange.head, httpx.ByteStream(bytes(exchange.content))
        return httpx.Response(head["status"], headers=head["headers"], stream=stream)


async def _served(portal: BlockingPortal, exchange: _Exchange) -> None:
    """Wait for an exchange on the engine's loop, from asyncio or trio.

    There is one way there and one way back: each of them may wait for a thread to give up the
    interpreter. The way back must not block the portal, as `from_thread.run_sync` would: the
    caller's loop may itself be waiting for the portal.
    """
    native: Any = current_token().native_token
    soon = getattr(native, "call_soon_threadsafe", None) or native.run_sync_soon
    done = anyio.Event()

    def tell(_: Future[None]) -> None:
        with contextlib.suppress(RuntimeError):  # the caller left, and its loop has ended
            soon(done.set)

    portal.start_task_soon(exchange.run).add_done_callback(tell)
    await done.wait()


def running_host() -> EngineHost | None:
    """The engine inside this process, if it runs; loads nothing when it does not."""
    # Another thread may be in the middle of loading the module.
    find = getattr(sys.modules.get(f"{__package__}.host"), "running_host", None)
    return None if find is None else cast("EngineHost | None", find())


def _start() -> EngineHost:
    try:
        # Here and not above: it loads the whole engine, which takes about a second.
        from .host import embedded_host
    except ModuleNotFoundError as exc:
        raise ConfigError(
            f"the local engine needs {exc.name!r}: pip install 'agentbay-sdk[local]'"
        ) from exc
    try:
        return embedded_host()
    except (OSError, RuntimeError) as exc:  # RuntimeError: no thread, as the process ends
        raise httpx.ConnectError(
            f"the local engine cannot start ({exc}); AGENTBAY_LOCAL_HOME names its directory"
        ) from exc


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
