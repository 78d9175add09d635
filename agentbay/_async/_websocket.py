"""The WebSocket of a session: calls, streams and pushes over one connection."""

from __future__ import annotations

import uuid
import weakref
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import anyio

from .. import _background as background
from .._results.sessions import McpTool
from .._transport import Reply
from ..errors import (
    AgentBayError,
    InvalidInputError,
    RequestTimeoutError,
    SessionError,
    WsConnectionClosedError,
    WsProtocolError,
)
from ..protocol._frames import CLIENT, Frame, Method
from ..protocol._wire import WireError
from ._line import Line
from ._listeners import Closed, Deliver, Listener, Matches, Restore, everything
from ._routes import is_safe
from ._socket import Address, load_extra
from ._streams import Answer, Letter, Outcome, Stream, Subscription

if TYPE_CHECKING:
    from .._tracing import Trace
    from .._transport import ApiClient
    from ._session_core import SessionCore

T = TypeVar("T")

# Seconds for a message that nobody answers.
_SEND_LIMIT = 30.0


async def connection_of(session: SessionCore) -> Connection:
    """The connection of a session on this event loop. It is opened when it is needed.

    Raises:
        SessionError: The session did not tell where, or no credential may go there.
        ConfigError: The extra ``ws`` is not installed.
    """
    address = _address(session._data.ws_url, session._data.token)
    await load_extra()
    session._bay.client.closes(session._connections)
    connection = await session._connections.get()
    connection.session_id = session._data.session_id
    connection.aim(address, session._mcp_tools, session._connections)
    return connection


async def disconnect(session: SessionCore) -> None:
    """Close the connections of a session: of this event loop at once, of others soon."""
    for loop, connection in session._connections.elsewhere():
        # Not waited for: a loop that is busy, or waits for this one, gets to it in its own time.
        with suppress(RuntimeError):  # the loop has ended, and its connection with it
            _soon(loop)(connection.end)
    await session._connections.aclose()


def _soon(loop: Any) -> Callable[[Callable[[], object]], object]:
    """What calls a function on an event loop, from any thread."""
    soon: Callable[[Callable[[], object]], object] = (
        getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon
    )
    return soon


def _address(ws_url: str, token: str) -> Address:
    if not ws_url:
        raise SessionError("ws_url is not available for this session")
    if not token:
        raise SessionError("token is not available for WS connection")
    scheme, colon, rest = ws_url.partition(":")
    url = {"ws": "http", "wss": "https"}.get(scheme.lower(), "") + colon + rest
    # The address itself is not shown: there may be a credential in it.
    if not (ws_url.isascii() and ws_url.isprintable() and is_safe(url) and _has_host(url)):
        raise SessionError("the ws_url of the session is no wss:// address")
    if not (token.isascii() and token.isprintable()):
        raise SessionError("the token of the session cannot be sent")
    return Address(url, token)


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


class Connection:
    """One WebSocket to a session, shared by all that the session does over it.

    It belongs to one event loop. It is opened by the first call, and opened again when it was
    lost: for as long as somebody listens, else by the next call. What was called when it was
    lost fails with `WsConnectionClosedError`, and is not called again.

    A session may tell something right behind its answer to a call, so whoever wants to hear
    that listens before the call.

    Attributes:
        session_id: The session, for the log and for spans.
    """

    def __init__(self, client: ApiClient) -> None:
        self.session_id = ""
        self._client, self._line = client, Line(client)
        self._tools: list[McpTool] = []
        self._lease: weakref.ref[object] | None = None

    def __repr__(self) -> str:
        state = "closed" if self._line.closed else "open" if self._line.is_open else "idle"
        return f"Connection({state})"

    def aim(self, address: Address, tools: list[McpTool], lease: object) -> None:
        """Say where to connect the next time.

        Args:
            address: Where.
            tools: The tools of the session, with the servers behind them.
            lease: What closes the connection when it is dropped; kept while somebody listens.
        """
        self._line.address, self._tools, self._lease = address, tools, weakref.ref(lease)

    async def call(self, method: Method[T], *, timeout: float = 30.0) -> Reply[T]:
        """Ask for something and wait for the answer.

        Args:
            method: What to ask for.
            timeout: Seconds until it is given up, with the connection that it may need.

        Raises:
            WsRemoteError: The other side refused.
            WsProtocolError: The answer makes no sense.
            RequestTimeoutError: There was no answer in time.
            WsConnectionClosedError: The connection was lost.
            WsHandshakeRejectedError: There was no connection.
        """
        invocation_id, text = self._asking(method)
        answer = Answer()
        with self._traced(method, invocation_id):
            with anyio.move_on_after(timeout) as scope:
                await self._line.post(invocation_id, text, answer)
                raw = await self._finish(invocation_id, answer)
                return Reply(self._parsed(method, raw, invocation_id), invocation_id)
            assert scope.cancelled_caught
            raise self._late(method.method, timeout, invocation_id)

    @asynccontextmanager
    async def stream(
        self, method: Method[Any], *, timeout: float | None
    ) -> AsyncGenerator[Stream, None]:
        """Ask for something, and be told of it while it goes on.

        Args:
            method: What to ask for.
            timeout: Seconds until the end of the stream; None for no limit.

        Raises:
            RequestTimeoutError: There was no connection in time.
            WsConnectionClosedError: The connection was lost.
            WsHandshakeRejectedError: There was no connection.
        """
        invocation_id, text = self._asking(method)
        target = self._target(method)

        async def send(data: Mapping[str, Any]) -> None:
            await self._send(target, data, invocation_id)

        stream = Stream(invocation_id, method=method.method, timeout=timeout, send=send)
        # Not current: the block may be left elsewhere than it was entered.
        with self._traced(method, invocation_id, is_current=False):
            try:
                with anyio.move_on_after(stream.remaining()) as scope:
                    await self._line.post(invocation_id, text, stream)
                if scope.cancelled_caught:
                    raise stream.late()
                yield stream
            finally:
                stream.cancel()
                self._line.pending.pop(invocation_id, None)

    async def send(self, method: Method[Any]) -> None:
        """Ask for something that has no answer; returns when it is on its way.

        Raises:
            RequestTimeoutError: It could not be sent in time.
            WsConnectionClosedError: The connection was lost.
            WsHandshakeRejectedError: There was no connection.
        """
        invocation_id = uuid.uuid4().hex
        with self._traced(method, invocation_id):
            await self._send(self._target(method), method.data(), invocation_id)

    async def send_data(self, target: str, data: Mapping[str, Any]) -> None:
        """Send data that calls no method.

        Args:
            target: The server that it is for.
            data: What to send.

        Raises:
            AgentBayError: As for `send`.
        """
        await self._send(target, data, uuid.uuid4().hex)

    @asynccontextmanager
    async def subscribe(
        self, server: str, *, matches: Matches = everything, restore: Restore | None = None
    ) -> AsyncGenerator[Subscription, None]:
        """Hear what a server tells without being asked, from entering on.

        Args:
            server: The server.
            matches: Whether something that it tells is to be heard.
            restore: Awaited after each loss of the connection, when there is one again.

        Raises:
            WsConnectionClosedError: There was no connection, or this one is closed.
            WsHandshakeRejectedError: The session did not open it.
        """
        listener = self._add(Listener(server, matches, restore))
        try:
            await self._line.open()
            yield Subscription(listener.buffer)
        finally:
            self._remove(listener)

    def listen(
        self,
        server: str,
        callback: Deliver,
        *,
        matches: Matches = everything,
        restore: Restore | None = None,
        closed: Closed | None = None,
    ) -> Callable[[], None]:
        """Pass on what a server tells without being asked, in order, until told to stop.

        Opens the connection in the background. An exception of the callback is logged, and the
        next message passed on. At most 64 MiB wait for a slow callback; what comes then is
        dropped, with a warning in the log.

        Args:
            server: The server.
            callback: Awaited with each message; the next one waits for its end.
            matches: Whether something that it tells is to be passed on.
            restore: Awaited after each loss of the connection, when there is one again.
            closed: Called when nothing more will come, because this side closed the connection
                or the session keeps refusing it.

        Returns:
            Ends it; to be called on this event loop. A callback that runs is not disturbed.
        """
        listener = self._add(Listener(server, matches, restore, callback, closed))
        background.start(listener.deliver)
        self._line.wake()
        return lambda: self._remove(listener)

    def end(self) -> None:
        """Begin to close the connection for good, on its own event loop."""
        self._line.end(_closed_here())

    async def aclose(self) -> None:
        """Close the connection for good; whoever waits for something gets an error."""
        await self._line.aclose(_closed_here())

    # -- what goes out ---------------------------------------------------------------------

    def _traced(self, method: Method[Any], invocation_id: str, *, is_current: bool = True) -> Trace:
        trace = self._client.traced(
            method.method, method.tool, self.session_id, is_current=is_current
        )
        trace.request_id, trace.attempts = invocation_id, 1
        return trace

    def _asking(self, method: Method[Any]) -> tuple[str, str]:
        invocation_id = uuid.uuid4().hex
        return invocation_id, _text(invocation_id, self._target(method), method.data())

    def _target(self, method: Method[Any]) -> str:
        known = (tool.server for tool in self._tools if tool.name == method.tool and tool.server)
        return next(known, method.server) if method.tool else method.server

    async def _send(self, target: str, data: Mapping[str, Any], invocation_id: str) -> None:
        text = _text(invocation_id, target, data)
        letter = uuid.uuid4().hex  # of its own: a stream may wait under the same invocation
        written = Letter()
        with anyio.move_on_after(_SEND_LIMIT) as scope:
            await self._line.post(letter, text, written)
            await self._finish(letter, written)
        if scope.cancelled_caught:
            raise self._late("a message", _SEND_LIMIT, invocation_id)

    async def _finish(self, key: str, waiting: Outcome[T]) -> T:
        try:
            return await waiting.get()
        except AgentBayError as exc:
            exc.request_id = exc.request_id or key
            raise
        finally:
            self._line.pending.pop(key, None)

    def _parsed(self, method: Method[T], raw: Any, invocation_id: str) -> T:
        try:
            return method.parse(raw)
        except WireError as exc:
            raise WsProtocolError(
                f"{method.method}: unexpected answer: {exc}", request_id=invocation_id
            ) from exc

    def _late(self, what: str, limit: float, invocation_id: str) -> RequestTimeoutError:
        return RequestTimeoutError(
            f"{what}: no answer within {limit:g} s",
            request_id=invocation_id,
            sent=self._line.is_open,
        )

    # -- who listens -----------------------------------------------------------------------

    def _add(self, listener: Listener) -> Listener:
        if self._line.closed:
            listener.end(WsConnectionClosedError("the WebSocket of the session was closed"))
        else:
            listener.lease = None if self._lease is None else self._lease()
            self._line.listeners.append(listener)
        return listener

    def _remove(self, listener: Listener) -> None:
        if listener in self._line.listeners:
            self._line.listeners.remove(listener)
        listener.end(None)


def _closed_here() -> WsConnectionClosedError:
    return WsConnectionClosedError("the WebSocket of the session was closed on this side")


def _text(invocation_id: str, target: str, data: Mapping[str, Any]) -> str:
    try:
        text = Frame(invocation_id, CLIENT, target, dict(data)).encode()
        text.encode()
    except (TypeError, ValueError, RecursionError) as exc:
        # Not the cause, which may show the data.
        raise InvalidInputError(f"the data cannot be sent as JSON: {type(exc).__name__}") from None
    return text
