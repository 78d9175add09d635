"""HTTP: one `httpx.AsyncClient` per running event loop, and what a reply means."""

from __future__ import annotations

import functools
import logging
import os
import ssl
import sys
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import anyio
import attrs
import httpx

from ._config import LOCAL, Settings
from ._deferred import Deferred
from ._value import Value
from ._version import __version__
from .errors import (
    APIError,
    ConfigError,
    InvalidInputError,
    ProtocolError,
    RequestTimeoutError,
    TransportError,
    api_error,
)

if TYPE_CHECKING:
    from .protocol import _calls as calls
    from .protocol import _wire as wire
    from .protocol._calls import Action, Envelope
else:
    calls = Deferred("agentbay.protocol._calls")
    wire = Deferred("agentbay.protocol._wire")

T = TypeVar("T")

_log = logging.getLogger(__name__)

_EMBEDDED = "http://local.invalid"

# Seconds for which a host is not tried again that no connection could be made to.
_LEFT_ALONE = 60.0

# Errors that come before the first byte of a request is sent.
_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)


@attrs.frozen(eq=False, repr=False)
class Reply(Value, Generic[T]):
    """The result of an action, and the identifier of the request."""

    value: T
    request_id: str


@attrs.frozen(eq=False, repr=False)
class Answer(Value):
    """What somebody other than the control plane answered.

    Attributes:
        status: The HTTP status.
        text: The body; it may repeat the credential of the request.
        retry_after: Seconds that it asks to wait; None when it did not say.
    """

    status: int
    text: str = attrs.field(repr=False)
    retry_after: float | None = None


class ApiClient:
    """Sends actions to the control plane, from any event loop."""

    def __init__(
        self,
        settings: Settings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        proxy: str | None = None,
        verify: bool | ssl.SSLContext = True,
    ) -> None:
        self._settings = settings
        self._embedded = settings.endpoint == LOCAL and transport is None
        self._url = _EMBEDDED if settings.endpoint == LOCAL else settings.endpoint
        self._clients = LoopLocalClient(self._factory(transport, proxy, verify))
        # Origins that no connection could be made to, and until when they are left alone.
        self._unreachable: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"ApiClient({self._settings.endpoint!r})"

    async def send(
        self, call: Action[T], *, timeout: float | None = None, connect_timeout: float | None = None
    ) -> Reply[T]:
        """Send an action and make its result.

        Args:
            call: The action.
            timeout: Seconds until the whole exchange is given up; the client's by default.
            connect_timeout: Seconds to connect; no limit of its own by default.

        Raises:
            APIError: The service refused; of the class that its error code stands for.
            TransportError: No reply came back.
            ProtocolError: The reply makes no sense.
        """
        started = time.monotonic()
        response = await self._post(call, timeout or self._settings.timeout, connect_timeout)
        envelope = _open(call.action, response)
        milliseconds = (time.monotonic() - started) * 1000
        _log.debug("%s %s in %.0f ms", call.action, envelope.request_id, milliseconds)
        return Reply(call.parse(envelope), envelope.request_id)

    async def upload(self, url: str, data: bytes, *, timeout: float = 300.0) -> None:
        """Put bytes at an address that carries its own credential.

        Neither the API key nor the address is shown to anyone else.

        Raises:
            APIError: The address does not take them.
            TransportError: No reply came back.
        """
        client = await self._clients.get()
        try:
            with anyio.fail_after(timeout):
                response = await client.put(url, content=data)
        except (httpx.TimeoutException, TimeoutError) as exc:
            raise RequestTimeoutError(f"the upload was not done within {timeout:g} s") from exc
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise TransportError(f"the upload failed: {type(exc).__name__}") from exc
        if not response.is_success:
            status = response.status_code
            raise APIError(f"the upload was refused: HTTP {status}", status)

    @property
    def timeout(self) -> float:
        """Seconds until an exchange is given up that has no limit of its own."""
        return self._settings.timeout

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        action: str,
        params: Mapping[str, str] | None = None,
        text: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
    ) -> Answer:
        """Ask somebody other than the control plane; the API key is not sent.

        URL, parameters, headers and body may hold credentials: they are in no log and in no
        error. Redirects are not followed.

        Args:
            method: GET, POST or another method of HTTP.
            url: Whom to ask.
            action: What the errors call it.
            params: Parameters of the URL.
            text: The body.
            headers: Headers of the request; plain ASCII.
            timeout: Seconds until the whole exchange is given up; the client's by default.
            connect_timeout: Seconds to connect; no limit of its own by default.

        Raises:
            TransportError: No answer came back; its `sent` tells if the request went out.
        """
        origin = _origin(url)

        def made(client: httpx.AsyncClient) -> httpx.Request:
            request = client.build_request(
                method, url, params=params, content=text, headers=headers
            )
            request.url = _QuietURL(request.url)
            return request

        try:
            response = await self._exchange(
                made, action, origin, timeout or self.timeout, connect_timeout
            )
        except TransportError as exc:
            if not exc.sent:
                self._unreachable[origin] = time.monotonic() + _LEFT_ALONE
            raise
        return Answer(response.status_code, response.text, _retry_after(response.headers))

    def can_reach(self, url: str) -> bool:
        """Whether it is worth a try: a host that no connection was made to is left alone."""
        return self._unreachable.get(_origin(url), 0.0) <= time.monotonic()

    async def aclose(self) -> None:
        """Close the connections of the current event loop."""
        await self._clients.aclose()

    async def _post(
        self, call: Action[Any], timeout: float, connect_timeout: float | None
    ) -> httpx.Response:
        def made(client: httpx.AsyncClient) -> httpx.Request:
            return client.build_request(
                "POST",
                self._url,
                params=_query(call),
                data={**call.form(), "Authorization": f"Bearer {self._settings.api_key}"},
                headers={"x-acs-version": calls.API_VERSION, "x-acs-action": call.action},
            )

        endpoint = self._settings.endpoint
        return await self._exchange(made, call.action, endpoint, timeout, connect_timeout)

    async def _exchange(
        self,
        made: Callable[[httpx.AsyncClient], httpx.Request],
        action: str,
        where: str,
        timeout: float,
        connect_timeout: float | None,
    ) -> httpx.Response:
        client = await self._clients.get()
        try:
            with anyio.fail_after(timeout):
                request = made(client)
                limits = httpx.Timeout(None, connect=connect_timeout)
                request.extensions = {**request.extensions, "timeout": limits.as_dict()}
                return await client.send(request)
        except (httpx.TimeoutException, TimeoutError) as exc:
            # The system gives up a connection, too, when nobody asked for a limit of its own.
            connecting = isinstance(exc, httpx.ConnectTimeout) and connect_timeout is not None
            limit = connect_timeout if connecting else timeout
            raise RequestTimeoutError(
                f"{action}: no answer within {limit:g} s",
                action=action,
                sent=not isinstance(exc, _NEVER_SENT),
            ) from exc
        except UnicodeEncodeError as exc:
            raise InvalidInputError(
                f"{action}: a text cannot be sent as UTF-8 ({exc.reason})", action=action
            ) from exc
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            reason = str(exc) or type(exc).__name__
            raise TransportError(
                f"{action}: cannot reach {where}: {reason}",
                action=action,
                sent=not isinstance(exc, _NEVER_SENT),
            ) from exc

    def _factory(
        self,
        transport: httpx.AsyncBaseTransport | None,
        proxy: str | None,
        verify: bool | ssl.SSLContext,
    ) -> Callable[[], httpx.AsyncClient]:
        options: dict[str, Any] = {
            "timeout": None,
            "headers": {"user-agent": f"agentbay-sdk/{__version__}"},
        }
        if transport is not None:
            return lambda: httpx.AsyncClient(transport=transport, **options)
        if self._embedded:
            return lambda: httpx.AsyncClient(transport=_embedded_engine(), **options)
        # Built here, in the caller's thread: some 25 ms that would stall an event loop.
        context = _ssl_context() if verify is True else verify
        through = _proxy(proxy)
        return lambda: httpx.AsyncClient(verify=context, proxy=through, **options)


class _QuietURL(httpx.URL):
    """A URL with a credential in it: httpx writes the URL of every request into its log."""

    def __str__(self) -> str:
        return _origin(super().__str__())

    def __repr__(self) -> str:
        return f"URL({str(self)!r})"


def _origin(url: str) -> str:
    """Scheme, host and port of a URL: the part that holds no credential."""
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return "an address that makes no sense"
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"


def _embedded_engine() -> httpx.AsyncBaseTransport:
    """The one place where the client opens the engine."""
    if sys.platform == "win32":
        raise ConfigError("the local engine does not run on Windows: use WSL, or the cloud")
    try:
        from .local.transport import embedded_transport
    except ModuleNotFoundError as exc:
        raise ConfigError(
            f"the local engine needs {exc.name!r}: pip install 'agentbay-sdk[local]'"
        ) from exc
    return embedded_transport()


def _proxy(url: str | None) -> httpx.Proxy | None:
    try:
        return None if url is None else httpx.Proxy(url)
    except (ValueError, httpx.InvalidURL):
        # The value itself is not shown, and no cause that shows it: it may hold a password.
        raise ConfigError("the proxy is not an http://, https:// or socks5:// URL") from None


@functools.cache
def _ssl_context() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def _query(call: Action[Any]) -> dict[str, str]:
    return {
        "Action": call.action,
        "Format": "json",
        "Version": calls.API_VERSION,
        "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "SignatureNonce": os.urandom(16).hex(),
        **call.query(),
    }


def _open(action: str, response: httpx.Response) -> Envelope:
    """The envelope of a reply that says yes; raises for any other."""
    envelope = _envelope(action, response)
    if response.status_code < 300 and envelope.success:
        return envelope
    raise api_error(
        envelope.message or f"HTTP {response.status_code} {response.reason_phrase}".strip(),
        code="" if envelope.code.lower() in ("ok", "success") else envelope.code,
        status_code=response.status_code,
        request_id=envelope.request_id,
        action=action,
        retry_after=_retry_after(response.headers),
    )


def _envelope(action: str, response: httpx.Response) -> Envelope:
    try:
        return wire.decode(calls.Envelope, response.json())
    except (ValueError, RecursionError) as exc:  # WireError and bad JSON are ValueErrors
        status = response.status_code
        if status >= 400:
            raise api_error(
                f"{action}: HTTP {status}",
                code="",
                status_code=status,
                request_id="",
                action=action,
                retry_after=_retry_after(response.headers),
            ) from exc
        if 300 <= status < 400:
            raise APIError(
                f"{action}: the service redirects (HTTP {status}), which is not followed: "
                "set the endpoint to where it really is",
                status,
                action=action,
            ) from exc
        what = exc if isinstance(exc, wire.WireError) else f"not JSON: {response.text[:80]!r}"
        raise ProtocolError(f"{action}: unexpected reply: {what}", action=action) from exc


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds to wait, as the gateway (milliseconds) or the HTTP standard says it."""
    for name, unit in (("x-acs-retry-after", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "")
        if value.isascii() and value.isdigit() and len(value) < 10:
            return int(value) * unit
    return None


_Lifetime = AsyncGenerator[httpx.AsyncClient, None]
_Leases = WeakKeyDictionary[Any, tuple[httpx.AsyncClient, _Lifetime]]


class LoopLocalClient:
    """Hands out an `httpx.AsyncClient` that belongs to the loop asking for it.

    A client is closed by its own loop: explicitly through `aclose`, when this object is
    dropped, or when the loop shuts down its asynchronous generators (asyncio.run, anyio.run
    and trio.run all do).
    """

    def __init__(self, factory: Callable[[], httpx.AsyncClient]) -> None:
        self._factory = factory
        self._leases: _Leases = WeakKeyDictionary()
        self._lock = threading.Lock()
        # Keeps the clients out of any cycle that this object is in: the collector would end
        # their sockets before the generators can close them.
        weakref.finalize(self, self._leases.clear).atexit = False

    async def get(self) -> httpx.AsyncClient:
        """The client of the current loop."""
        loop = _current_loop()
        with self._lock:
            lease = self._leases.get(loop)
        if lease is not None:
            return lease[0]
        lifetime = _lifetime(self._factory, weakref.ref(self._leases), self._lock)
        client = await anext(lifetime)  # never suspends: see _lifetime
        with self._lock:
            for dead in [key for key in self._leases if _is_closed(key)]:
                del self._leases[dead]
            self._leases[loop] = client, lifetime
        return client

    async def aclose(self) -> None:
        """Close the client of the current loop, if it has one."""
        with self._lock:
            lease = self._leases.pop(_current_loop(), None)
        if lease:
            await lease[1].aclose()


async def _lifetime(
    factory: Callable[[], httpx.AsyncClient],
    leases: weakref.ref[_Leases],
    lock: threading.Lock,
) -> _Lifetime:
    loop = _current_loop()
    client = factory()
    try:
        yield client
    finally:
        if (held := leases()) is not None:
            with lock:
                held.pop(loop, None)
        with anyio.CancelScope(shield=True):
            await client.aclose()


def _current_loop() -> object:
    # Imported here because it is needed for calls only, and takes its share of the import time.
    from anyio.lowlevel import current_token

    return current_token().native_token


def _is_closed(loop: object) -> bool:
    """Whether an asyncio loop is closed; trio's runs take their clients with them."""
    is_closed = cast("Callable[[], bool] | None", getattr(loop, "is_closed", None))
    return is_closed is not None and is_closed()
