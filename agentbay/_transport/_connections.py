"""The `httpx.AsyncClient` of an event loop: what it is made of, and the short way past it."""

from __future__ import annotations

import operator
import os
import ssl
import sys
from collections.abc import Callable, Coroutine
from types import FunctionType
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import httpx

from .._deferred import Deferred
from .._exchange import QuietURL
from .._version import __version__
from ..errors import ConfigError
from ._replies import Received

if TYPE_CHECKING:
    from .._pool import _requests as orders
    from .._pool import transport as pool
else:
    orders = Deferred("agentbay._pool._requests")
    pool = Deferred("agentbay._pool.transport")

_OPTIONS: dict[str, Any] = {
    "timeout": None,
    "headers": {"user-agent": f"agentbay-sdk/{__version__}"},
}


class Outgoing(Protocol):
    """A request, for whoever sends it."""

    @property
    def place(self) -> httpx.URL:
        """Where it goes: scheme, host and port count."""
        ...

    def request(self, client: Client) -> httpx.Request:
        """As httpx sends it."""
        ...

    def order(self, client: Client) -> orders.Order:
        """As the pool sends it."""
        ...


class Client(httpx.AsyncClient):
    """A client without cookies, which knows a short way to its own pool.

    It serves all sessions: what a gateway remembers of one of them must not travel with the
    requests of another.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._none = _NoCookies()
        # Set where nothing but our own pool can carry a request.
        self.pool: pool.PoolTransport | None = None
        # The headers of all requests, as they are written.
        self.lines: bytes = b"".join(b"%b: %b\r\n" % header for header in self.headers.raw)

    @property
    def cookies(self) -> httpx.Cookies:
        """None."""
        return self._none

    @cookies.setter
    def cookies(self, cookies: object) -> None:
        """Leave them."""

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
        """
        if self.pool is not None and not self._is_watched() and self.pool.is_at_home():
            limits = self.pool.limits(timeout, connect_timeout)
            order = message.order(self)._replace(limits=limits)
            return self.pool.exchange(message.place, order, Received.from_pool)
        return self._exchanged(message, timeout, connect_timeout)

    async def _exchanged(
        self, message: Outgoing, timeout: float, connect_timeout: float | None
    ) -> Received:
        steps = {"connect": connect_timeout, "read": None, "write": None, "pool": None}
        with anyio.fail_after(timeout):
            request = message.request(self)
            request.extensions = {**request.extensions, "timeout": steps}
            return Received.of(await self.send(request))

    def _is_watched(self) -> bool:
        hooks = self.event_hooks
        return bool(hooks["request"] or hooks["response"]) or not all(
            map(operator.is_, _steps(httpx.AsyncClient), _OWN_STEPS)
        )


# What httpx does with a request, in its own words; tools put theirs in the place of one.
_STEPS = (
    "send",
    "_send_handling_auth",
    "_send_handling_redirects",
    "_send_single_request",
    "_transport_for_url",
)
_steps = operator.attrgetter(*[step for step in _STEPS if hasattr(httpx.AsyncClient, step)])


def _own(method: object) -> object:
    """A method of httpx; None for one that is not its own, but of a tool."""
    here = os.path.dirname(httpx.__file__)
    is_own = type(method) is FunctionType and method.__code__.co_filename.startswith(here)
    return method if is_own else None


_OWN_STEPS = tuple(map(_own, _steps(httpx.AsyncClient)))


class _NoCookies(httpx.Cookies):
    """Takes no cookies; `httpx` takes a request and a reply apart to look for some."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Leave them."""


def client_factory(
    transport: httpx.AsyncBaseTransport | None,
    proxy: str | None,
    verify: bool | ssl.SSLContext,
    *,
    embedded: bool,
) -> Callable[[], Client]:
    """What makes the client of an event loop.

    Args:
        transport: Carries all requests; our own pools by default.
        proxy: What all requests go through; the proxies of the environment by default.
        verify: As httpx takes it.
        embedded: Whether the requests go to the engine in this process.
    """
    if transport is not None:
        return lambda: Client(transport=transport, **_OPTIONS)
    if embedded:
        return lambda: Client(transport=_embedded_engine(), **_OPTIONS)
    through = _proxy(proxy)
    make_carriers = pool.carriers  # loads the pool, which the first call would wait for

    def made() -> Client:
        carriers = make_carriers(verify, through)
        client = Client(**carriers, **_OPTIONS)
        carrier = carriers["transport"]
        if isinstance(carrier, pool.PoolTransport) and not carriers["mounts"]:
            client.pool = carrier
        return client

    return made


def websocket_factory(
    proxy: str | None, verify: bool | ssl.SSLContext, *, embedded: bool
) -> Callable[[], httpx.AsyncClient]:
    """What makes the client of a WebSocket; see `client_factory`."""
    options: dict[str, Any] = {**_OPTIONS, "event_hooks": {"request": [_hush]}}
    if embedded:
        # The engine is on this machine and without TLS, so no proxy and no certificates.
        nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return lambda: httpx.AsyncClient(
            **pool.carriers(nobody, upgrades=True, trust_env=False), **options
        )
    through = _proxy(proxy)
    return lambda: httpx.AsyncClient(**pool.carriers(verify, through, upgrades=True), **options)


async def _hush(request: httpx.Request) -> None:
    request.url = QuietURL(request.url)


def _embedded_engine() -> httpx.AsyncBaseTransport:
    """The one place where the client opens the engine."""
    if sys.platform == "win32":
        raise ConfigError("the local engine does not run on Windows: use WSL, or the cloud")
    from ..local.transport import embedded_transport

    return embedded_transport()


def _proxy(url: str | None) -> httpx.Proxy | None:
    try:
        return None if url is None else httpx.Proxy(url)
    except (ValueError, httpx.InvalidURL):
        # The value itself is not shown, and no cause that shows it: it may hold a password.
        raise ConfigError("the proxy is not an http://, https:// or socks5:// URL") from None
