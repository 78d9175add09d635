"""The clients of httpx, for all that our own pools do not carry by themselves."""

from __future__ import annotations

import functools
import ssl
from typing import TYPE_CHECKING, Any

import anyio
import httpx

from .._exchange import NEVER_SENT, QuietURL
from .._pool._errors import (
    ConnectError,
    ConnectTimeoutError,
    LateError,
    NetworkError,
    PoolTimeoutError,
)
from .._pool.transport import PoolTransport, carriers
from ..errors import ConfigError
from ._connections import HEADERS
from ._replies import Received

if TYPE_CHECKING:
    from ._connections import Outgoing

__all__ = [
    "PoolTransport", "QuietURL", "carriers", "client", "exchanged", "proxy", "websocket_client",
    "with_query",
]  # fmt: skip


def client(**carriers: Any) -> httpx.AsyncClient:
    """Make a client that takes no cookies.

    It serves all sessions: what a gateway remembers of one of them must not travel with the
    requests of another.
    """
    return _Client(**carriers, timeout=None, headers=HEADERS)


def websocket_client(
    verify: bool | ssl.SSLContext, proxy: httpx.Proxy | None = None, *, trust_env: bool = True
) -> httpx.AsyncClient:
    """Make the client of one WebSocket; see `carriers`."""
    made = carriers(verify, proxy, upgrades=True, trust_env=trust_env)
    hooks = {"request": [_hush]}
    return httpx.AsyncClient(**made, timeout=None, headers=HEADERS, event_hooks=hooks)


def proxy(url: str) -> httpx.Proxy:
    """Read the address of a proxy.

    Raises:
        ConfigError: It is none.
    """
    try:
        return httpx.Proxy(url)
    except (ValueError, httpx.InvalidURL):
        # The value itself is not shown, and no cause that shows it: it may hold a password.
        raise ConfigError("the proxy is not an http://, https:// or socks5:// URL") from None


@functools.lru_cache(16)
def parsed(url: str) -> httpx.URL:
    """A URL, taken apart."""
    return httpx.URL(url)


def with_query(base: str, query: str) -> httpx.URL:
    """Add a query that is quoted to a URL; parsing the whole takes a tenth of a call."""
    url = httpx.URL(parsed(base))
    try:
        url._uri_reference = url._uri_reference._replace(query=query)
    except AttributeError:  # a release of httpx that keeps the parts elsewhere
        return httpx.URL(f"{base}?{query}")
    return url


async def exchanged(
    client: httpx.AsyncClient, message: Outgoing, timeout: float, connect_timeout: float | None
) -> Received:
    """Let httpx send a request and read the whole reply; see `Client.exchange`."""
    steps = {"connect": connect_timeout, "read": None, "write": None, "pool": None}
    try:
        with anyio.fail_after(timeout):
            request = message.request(client)
            request.extensions = {**request.extensions, "timeout": steps}
            return Received.of(await client.send(request))
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        kind = next((ours for theirs, ours in _OURS if isinstance(exc, theirs)), NetworkError)
        raise kind(str(exc) or type(exc).__name__) from exc


_OURS = (
    (httpx.ConnectTimeout, ConnectTimeoutError),
    (httpx.PoolTimeout, PoolTimeoutError),
    (httpx.TimeoutException, LateError),
    (NEVER_SENT, ConnectError),
)


class _Client(httpx.AsyncClient):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._none = _NoCookies()

    @property
    def cookies(self) -> httpx.Cookies:
        """None."""
        return self._none

    @cookies.setter
    def cookies(self, cookies: object) -> None:
        """Leave them."""


class _NoCookies(httpx.Cookies):
    """Takes no cookies; `httpx` takes a request and a reply apart to look for some."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Leave them."""


async def _hush(request: httpx.Request) -> None:
    request.url = QuietURL(request.url)
