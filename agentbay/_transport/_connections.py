"""How the requests of an event loop travel: over our own pool, or as httpx sends them."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from .._config import LOCAL
from .._deferred import Deferred
from .._pool import _listeners as listeners
from .._pool import _pools as pools
from .._pool._proxies import proxies
from .._pool._requests import Limits, Order, Place
from .._pool._tls import Tls
from .._version import __version__
from ..errors import ConfigError
from ._replies import Received

if TYPE_CHECKING:
    import httpx

    from . import _http as http
else:
    http = Deferred("agentbay._transport._http")

# Of all requests.
HEADERS = {
    "Accept": "*/*",
    "Accept-Encoding": "gzip, deflate",
    "Connection": "keep-alive",
    "User-Agent": f"agentbay-sdk/{__version__}",
}


class Outgoing(Protocol):
    """A request, for whoever sends it."""

    @property
    def place(self) -> Place:
        """Where it goes: scheme, host and port count."""
        ...

    def request(self, client: httpx.AsyncClient) -> httpx.Request:
        """As httpx sends it."""
        ...

    def order(self, limits: Limits) -> Order:
        """As the pool sends it."""
        ...


class Client:
    """Sends requests from one event loop.

    Args:
        pool: Our own connections, where nothing else has to carry the requests.
        made: Makes the client of httpx.
    """

    def __init__(self, pool: pools.Pool | None, made: Callable[[], httpx.AsyncClient]) -> None:
        self.pool, self._made = pool, made
        self._http: httpx.AsyncClient | None = None

    @property
    def http(self) -> httpx.AsyncClient:
        """The client of httpx, which takes the same pool; loaded when somebody needs it."""
        if self._http is None:
            self._http = self._made()
        return self._http

    def exchange(
        self, message: Outgoing, timeout: float, connect_timeout: float | None
    ) -> Coroutine[Any, Any, Received]:
        """Send a request and read the whole reply, whatever it says.

        The pool takes the request as it is when nobody would notice: httpx makes its own
        objects of it, and of the reply, in the time of a third of a call. Whoever listens to
        httpx, or stands in for a part of it, gets all of that.

        Args:
            message: The request.
            timeout: Seconds for all of it.
            connect_timeout: Seconds to connect; no limit of its own by default.

        Raises:
            NetworkError: No reply came; `TimeoutError` for none in time.
        """
        if self.pool is None or self._is_watched():
            return http.exchanged(self.http, message, timeout, connect_timeout)
        order = message.order(self.pool.limits(timeout, connect_timeout))
        return self.pool.exchange(message.place, order, Received.from_pool)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._http is not None:
            await self._http.aclose()
        if self.pool is not None:
            await self.pool.aclose()

    def _is_watched(self) -> bool:
        if self._http is not None and any(self._http.event_hooks.values()):
            return True
        return listeners.at_clients() or listeners.at_transports()


def client_factory(
    endpoint: str,
    transport: httpx.AsyncBaseTransport | None,
    proxy: str | None,
    verify: bool | ssl.SSLContext,
) -> Callable[[], Client]:
    """What makes the client of an event loop.

    Args:
        endpoint: Where most requests go.
        transport: Carries all requests; our own pools by default.
        proxy: What all requests go through; the proxies of the environment by default.
        verify: As httpx takes it.
    """
    if transport is not None:
        return lambda: Client(None, lambda: http.client(transport=transport))
    if endpoint == LOCAL:
        return lambda: Client(None, lambda: http.client(transport=_embedded_engine()))
    through = None if proxy is None else http.proxy(proxy)
    # What the first call would wait for.
    pools.prepare()
    tls = Tls(verify)
    if endpoint.startswith("https:"):
        tls.prepare()

    def made() -> Client:
        if through is not None or proxies():
            return Client(None, lambda: http.client(**http.carriers(verify, through)))
        pool = pools.Pool.here(tls)
        return Client(pool, lambda: http.client(transport=http.PoolTransport(tls, pool)))

    return made


def websocket_factory(
    proxy: str | None, verify: bool | ssl.SSLContext, *, embedded: bool
) -> Callable[[], httpx.AsyncClient]:
    """What makes the client of a WebSocket; see `client_factory`."""
    if embedded:
        # The engine is on this machine and without TLS, so no proxy and no certificates.
        nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return lambda: http.websocket_client(nobody, trust_env=False)
    through = None if proxy is None else http.proxy(proxy)
    return lambda: http.websocket_client(verify, through)


def _embedded_engine() -> httpx.AsyncBaseTransport:
    """The one place where the client opens the engine."""
    if sys.platform == "win32":
        raise ConfigError("the local engine does not run on Windows: use WSL, or the cloud")
    from ..local.transport import embedded_transport

    return embedded_transport()
