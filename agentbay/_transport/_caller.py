"""What all requests have in common: the client of the loop, limits, attempts, the log."""

from __future__ import annotations

import ssl
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from .._config import LOCAL, Settings
from .._deadline import within
from .._deferred import Deferred
from .._loop_local import LoopLocal
from .._pool._errors import ConnectTimeoutError, LateError, NetworkError, as_httpx
from .._retry import RetryPolicy, repeated
from .._tracing import Trace, make_tracer
from ..errors import InvalidInputError, RequestTimeoutError, TransportError
from ._connections import Outgoing, client_factory, websocket_factory
from ._replies import Received

if TYPE_CHECKING:
    import httpx
else:
    httpx = Deferred("httpx")

T = TypeVar("T")


class Caller:
    """Sends requests from any event loop, as often as its policy says."""

    def __init__(
        self,
        settings: Settings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        proxy: str | None = None,
        verify: bool | ssl.SSLContext = True,
        retry: RetryPolicy | None = None,
        tracing: bool = False,
    ) -> None:
        self.retry: RetryPolicy = retry or RetryPolicy()
        self._tracer = make_tracer() if tracing else None
        self._settings = settings
        embedded = settings.endpoint == LOCAL and transport is None
        self._clients = LoopLocal(client_factory(settings.endpoint, transport, proxy, verify))
        self._clients.prepare()
        # What else is to be closed with them.
        self._others: weakref.WeakSet[LoopLocal[Any]] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._websocket_client = websocket_factory(proxy, verify, embedded=embedded)

    def repeat(
        self,
        once: Callable[[float], Awaitable[T]],
        trace: Trace,
        timeout: float | None,
        *,
        harmless: bool,
    ) -> Coroutine[Any, Any, T]:
        """Make an attempt, and others as the policy of the client says; see `repeated`."""
        action, limit = trace.action, self.limit(timeout, trace.action)
        return repeated(
            once, self.retry, action=action, timeout=limit, harmless=harmless, trace=trace
        )

    def traced(
        self, action: str, tool: str = "", session_id: str = "", *, is_current: bool = True
    ) -> Trace:
        """Watch over a call, for the log and for spans; see `Trace`."""
        return Trace(self._tracer, action, tool, session_id, is_current=is_current)

    def limit(self, timeout: float | None, what: str) -> float:
        """Seconds that an exchange may take: its own limit, the client's, or the deadline's.

        Raises:
            RequestTimeoutError: The deadline is over.
        """
        return within(timeout or self._settings.timeout, what)

    @property
    def timeout(self) -> float:
        """Seconds until an exchange is given up that has no limit of its own."""
        return self._settings.timeout

    def websocket_client(self) -> httpx.AsyncClient:
        """Make the client of one WebSocket; whoever asks for it closes it.

        It takes the real network, also where the engine is embedded or the transport of the
        client is a special one, and no more than one connection at a time.
        """
        return self._websocket_client()

    def closes(self, other: LoopLocal[Any]) -> None:
        """Close these, too, when the connections of an event loop are closed."""
        with self._lock:
            self._others.add(other)

    async def aclose(self) -> None:
        """Close the connections of the current event loop."""
        with self._lock:
            others = list(self._others)
        try:
            async with anyio.create_task_group() as tasks:
                for one in others:
                    tasks.start_soon(one.aclose)
        finally:
            await self._clients.aclose()

    async def _attempt(
        self,
        made: Callable[[], Outgoing],
        action: str,
        where: str,
        timeout: float,
        connect_timeout: float | None,
    ) -> Received:
        """Make one attempt: send a request and read the whole reply, whatever it says.

        Raises:
            TransportError: No reply came back; its `sent` is False when no byte of the request
                was taken by the other side.
        """
        client = await self._clients.get()
        try:
            return await client.exchange(made(), timeout, connect_timeout)
        except LateError as exc:
            # The system gives up a connection, too, when nobody asked for a limit of its own.
            limit = timeout
            if connect_timeout is not None and isinstance(exc, ConnectTimeoutError):
                limit = min(connect_timeout, timeout)
            raise _late(action, limit, sent=exc.sent) from as_httpx(exc)
        except TimeoutError as exc:
            raise _late(action, timeout, sent=True) from exc
        except UnicodeEncodeError as exc:
            raise InvalidInputError(
                f"{action}: a text cannot be sent as UTF-8 ({exc.reason})", action=action
            ) from exc
        except NetworkError as exc:
            raise TransportError(
                f"{action}: cannot reach {where}: {exc}", action=action, sent=exc.sent
            ) from as_httpx(exc)


def _late(action: str, limit: float, *, sent: bool) -> RequestTimeoutError:
    reason = f"{action}: no answer within {round(limit, 3):g} s"
    return RequestTimeoutError(reason, action=action, sent=sent)
