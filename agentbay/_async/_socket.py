"""One WebSocket: texts in and out. The only module that knows httpx-ws."""

from __future__ import annotations

import base64
import hashlib
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.to_thread
import attrs

from .._masking import masked
from ..errors import (
    AgentBayError,
    ConfigError,
    WsConnectionClosedError,
    WsHandshakeRejectedError,
)

if TYPE_CHECKING:
    import httpx
    from httpx_ws import AsyncWebSocketSession

    from .._transport import ApiClient

# Seconds for the handshake, for a piece of a message, for a pong, and between two pings.
_OPEN_LIMIT = 30.0
_WRITE_LIMIT = 30.0
_PONG_LIMIT = 20.0
_PING_INTERVAL = 20.0

# Seconds for the last piece, when the WebSocket is closed.
_CLOSE_LIMIT = 1.0

# What RFC 6455 adds to the key of a handshake, for the answer to show that it was read.
_ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

# Bytes of the longest message, and of what is read and written at once.
LONGEST = 64 * 1024 * 1024
_CHUNK = 64 * 1024


@attrs.frozen
class Address:
    """Where a session takes a WebSocket.

    Attributes:
        url: The address, as that of its HTTP handshake; may hold a credential.
        token: What opens it.
    """

    url: str = attrs.field(repr=False)
    token: str = attrs.field(repr=False)

    def mask(self, text: str) -> str:
        """Leave the credentials out of a text of the other side."""
        return masked(text, self.url, self.token)


async def load_extra() -> None:
    """Import what WebSockets need; in a thread, because that takes 0.3 s.

    Raises:
        ConfigError: The extra ``ws`` is not installed.
    """
    # A module that another thread is just loading is there, and has not all of its names.
    if not hasattr(sys.modules.get("httpx_ws"), "aconnect_ws"):
        await anyio.to_thread.run_sync(_load)


def _load() -> None:
    try:
        import httpx_ws  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ModuleNotFoundError as exc:
        raise ConfigError(f"this needs {exc.name!r}: pip install 'agentbay-sdk[ws]'") from exc


async def converse(
    client: ApiClient, address: Address, talk: Callable[[Socket], Awaitable[None]]
) -> None:
    """Open a WebSocket, talk over it until `talk` returns, and close it.

    Raises:
        WsHandshakeRejectedError: The other side did not open it.
        WsConnectionClosedError: There was no connection, or it was lost.
    """
    from httpx_ws import WebSocketUpgradeError, aconnect_ws

    opened = False
    try:
        async with client.websocket_client() as http:
            with anyio.fail_after(_OPEN_LIMIT) as opening:
                async with aconnect_ws(
                    address.url,
                    http,
                    headers={"X-Access-Token": address.token},
                    # Not the longest message: what one call of the system reads.
                    max_message_size_bytes=_CHUNK,
                    keepalive_ping_interval_seconds=None,  # see Socket.keep_alive
                    session_class=cast("Any", _session),
                ) as session:
                    opened, opening.deadline = True, float("inf")
                    socket = Socket(session, address)
                    try:
                        await talk(socket)
                    finally:
                        socket.hurry()
    except WebSocketUpgradeError as exc:
        raise _rejected(exc.response.status_code) from None
    except AgentBayError:
        raise
    except Exception as exc:  # groups of httpx-ws, with errors of whatever it is built upon
        raise _lost(exc, opened=opened, mask=address.mask) from exc


def _rejected(status: int) -> WsHandshakeRejectedError:
    reason = ", which stands for a session that has ended" if status == 404 else ""
    return WsHandshakeRejectedError(
        f"the session refused the WebSocket: HTTP {status}{reason}", status
    )


def _lost(error: Exception, *, opened: bool, mask: Callable[[str], str]) -> WsConnectionClosedError:
    exc: object = error
    while isinstance(exc, ExceptionGroup):
        exc = cast("ExceptionGroup[Exception]", exc).exceptions[0]
    if isinstance(exc, _GivenUpError):
        return WsConnectionClosedError(str(exc))
    what = "the WebSocket of the session broke" if opened else "no WebSocket to the session"
    reason = f"{type(exc).__name__} {mask(str(exc))[:200]}".strip()
    return WsConnectionClosedError(f"{what}: {reason}", sent=opened)


def _session(stream: Any, **options: Any) -> AsyncWebSocketSession:
    from httpx_ws import AsyncWebSocketSession
    from httpx_ws._ping import AsyncPingManager

    class Pings(AsyncPingManager):
        def ack(self, ping_id: bytes | bytearray) -> None:
            if bytes(ping_id) in self._pings:
                super().ack(ping_id)

    _check_accepted(options["response"])
    session = AsyncWebSocketSession(cast("Any", _Stream(stream)), **options)
    # A pong that nobody asked for is allowed, and would be a KeyError.
    session._ping_manager = Pings()
    return session


def _check_accepted(response: httpx.Response) -> None:
    """Refuse what is no answer to our handshake; httpx-ws takes any that has status 101.

    Raises:
        WsHandshakeRejectedError: It is none.
    """
    key = response.request.headers["sec-websocket-key"].encode()
    expected = base64.b64encode(hashlib.sha1(key + _ACCEPT).digest())
    if response.headers.get("sec-websocket-accept", "").strip().encode() != expected:
        raise WsHandshakeRejectedError(
            "the session refused the WebSocket: its answer is none to this handshake",
            response.status_code,
        )


class _GivenUpError(Exception):
    """This side ends the connection."""


class _Stream:
    """The network under a WebSocket, with limits that httpx-ws has not.

    Attributes:
        received: How many bytes arrived.
        unread: How many of them since the last whole message.
        write_limit: Seconds for a piece of what is written.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.received = self.unread = 0
        self.write_limit = _WRITE_LIMIT

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data: bytes = await self._stream.read(max_bytes, timeout)
        self.received += len(data)
        self.unread += len(data)
        if self.unread > LONGEST + _CHUNK:
            raise _GivenUpError(f"the session sent a message of more than {LONGEST} bytes")
        return data

    async def write(self, data: bytes, timeout: float | None = None) -> None:
        view = memoryview(data)
        for start in range(0, len(view), _CHUNK):
            with anyio.move_on_after(self.write_limit) as scope:
                await self._stream.write(bytes(view[start : start + _CHUNK]))
            if scope.cancelled_caught:
                raise _GivenUpError(f"the session took nothing for {self.write_limit:g} s")

    async def aclose(self) -> None:
        await self._stream.aclose()


class Socket:
    """An open WebSocket. It belongs to the task that opened it."""

    def __init__(self, session: AsyncWebSocketSession, address: Address) -> None:
        self._session, self._address = session, address
        self._stream = cast("_Stream", session.stream)

    async def receive(self) -> str:
        """Wait for the next text.

        Raises:
            WsConnectionClosedError: There is none, because the connection was lost or closed.
        """
        from httpx_ws import HTTPXWSException, WebSocketDisconnect
        from wsproto.events import TextMessage

        try:
            while True:
                event = await self._session.receive()
                self._stream.unread = 0
                if isinstance(event, TextMessage):
                    return event.data
        except WebSocketDisconnect as exc:
            reason = f": {self._address.mask(exc.reason)[:200]}" if exc.reason else ""
            raise WsConnectionClosedError(
                f"the session closed the WebSocket ({exc.code}){reason}", close_code=exc.code
            ) from None
        except HTTPXWSException as exc:
            raise WsConnectionClosedError("the WebSocket of the session broke") from exc

    async def send(self, text: str) -> None:
        """Send a text. Cancelled in between, the connection is of no further use.

        Raises:
            WsConnectionClosedError: The connection was lost.
        """
        try:
            await self._session.send_text(text)
        except Exception as exc:  # of httpx-ws, or of what it is built upon
            raise _lost(exc, opened=True, mask=self._address.mask) from exc

    async def keep_alive(self) -> None:
        """Ping, until there is no sign of life.

        Any byte is a sign of life: a pong has to wait behind a long message.

        Raises:
            WsConnectionClosedError: There is none.
        """
        while True:
            await anyio.sleep(_PING_INTERVAL)
            try:
                pong = await self._session.ping()
            except Exception as exc:  # of httpx-ws, or of what it is built upon
                raise _lost(exc, opened=True, mask=self._address.mask) from exc
            received = self._stream.received
            with anyio.move_on_after(_PONG_LIMIT):
                await pong.wait()
            if not pong.is_set() and self._stream.received == received:
                raise WsConnectionClosedError(
                    f"the session gave no sign of life for {_PONG_LIMIT:g} s"
                )

    def hurry(self) -> None:
        """Do not wait long for the other side any more."""
        self._stream.write_limit = _CLOSE_LIMIT
