"""HTTP: one `httpx.AsyncClient` per running event loop, and what a reply means."""

from __future__ import annotations

import functools
import logging
import math
import os
import ssl
import sys
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast
from urllib.parse import urljoin, urlsplit
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

# Redirects that say where the same request is to go instead.
_REDIRECTS, _MOST_REDIRECTS = (301, 302, 307, 308), 5

_OPTIONS: dict[str, Any] = {
    "timeout": None,
    "headers": {"user-agent": f"agentbay-sdk/{__version__}"},
}

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


@attrs.frozen(eq=False, repr=False)
class Stored(Value):
    """What a store answered when it took a file.

    Attributes:
        status: The HTTP status.
        etag: What it calls this state of the file; empty when it did not say.
    """

    status: int
    etag: str


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
        self._clients = LoopLocal(self._factory(transport, proxy, verify))
        self._websocket_client = self._websocket_factory(proxy, verify)
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

        Raises:
            APIError: The address does not take them.
            TransportError: No reply came back.
        """

        async def whole() -> AsyncGenerator[bytes, None]:
            yield data

        with anyio.move_on_after(timeout):
            await self.put_file(url, whole, len(data), idle=timeout)
            return
        raise RequestTimeoutError(f"the upload was not done within {timeout:g} s")

    async def put_file(
        self,
        url: str,
        chunks: Callable[[], AsyncGenerator[bytes, None]],
        size: int,
        *,
        content_type: str | None = None,
        idle: float = 60.0,
    ) -> Stored:
        """Put a file at an address that carries its own credential, piece by piece.

        Neither the API key nor the address is shown to anyone else: a redirect is followed
        with nothing but the file.

        Args:
            url: Where to.
            chunks: Gives the pieces; asked once more after each redirect.
            size: How many bytes they are together.
            content_type: Media type that goes with the file; none by default.
            idle: Seconds without progress until the exchange is given up.

        Raises:
            APIError: The address does not take the file.
            TransportError: No reply came back.
        """
        headers = {"content-length": str(size)}
        if content_type is not None:
            headers["content-type"] = content_type
        exchange = _Exchange("PUT", "the upload", headers, idle, chunks)

        async def read(response: httpx.Response) -> Stored:
            if response.status_code not in (200, 201, 204):
                raise exchange.refused(response.status_code)
            return Stored(response.status_code, response.headers.get("etag", ""))

        return await exchange.run(await self._clients.get(), url, read)

    async def get_file(
        self, url: str, write: Callable[[bytes], Awaitable[object]], *, idle: float = 60.0
    ) -> int:
        """Get a file from an address that carries its own credential, piece by piece.

        Args:
            url: Where from; redirects are followed, without the API key.
            write: Takes each piece.
            idle: Seconds without progress until the exchange is given up.

        Returns:
            The HTTP status.

        Raises:
            APIError: The address does not give the file.
            TransportError: The file did not arrive, or not all of it.
        """
        # A compressed file would have another length than the one that is told.
        exchange = _Exchange("GET", "the download", {"accept-encoding": "identity"}, idle)

        async def read(response: httpx.Response) -> int:
            if response.status_code != 200:
                raise exchange.refused(response.status_code)
            async for chunk in response.aiter_bytes():
                await exchange.undisturbed(write, chunk)
            return response.status_code

        return await exchange.run(await self._clients.get(), url, read)

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

    def websocket_client(self) -> httpx.AsyncClient:
        """Make the client of one WebSocket; whoever asks for it closes it.

        It takes the real network, also where the engine is embedded or the transport of the
        client is a special one, and no more than one connection at a time.
        """
        return self._websocket_client()

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
        if transport is not None:
            return lambda: httpx.AsyncClient(transport=transport, **_OPTIONS)
        if self._embedded:
            return lambda: httpx.AsyncClient(transport=_embedded_engine(), **_OPTIONS)
        # Built here, in the caller's thread: some 25 ms that would stall an event loop.
        context = _ssl_context() if verify is True else verify
        through = _proxy(proxy)
        return lambda: httpx.AsyncClient(verify=context, proxy=through, **_OPTIONS)

    def _websocket_factory(
        self, proxy: str | None, verify: bool | ssl.SSLContext
    ) -> Callable[[], httpx.AsyncClient]:
        options: dict[str, Any] = {**_OPTIONS, "event_hooks": {"request": [_hush]}}
        if self._embedded:
            # The engine is on this machine and without TLS, so no proxy and no certificates.
            nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            return lambda: httpx.AsyncClient(verify=nobody, trust_env=False, **options)
        through = _proxy(proxy)

        def made() -> httpx.AsyncClient:
            context = _ssl_context() if verify is True else verify
            return httpx.AsyncClient(verify=context, proxy=through, **options)

        return made


class _Exchange:
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
        # An error of the caller's own functions, which may be of a class that httpx raises, too.
        self._own: Exception | None = None

    async def run(
        self, client: httpx.AsyncClient, url: str, read: Callable[[httpx.Response], Awaitable[T]]
    ) -> T:
        """Send the request and read the reply."""
        try:
            with self._scope:
                self._moved()
                return await self._exchanged(client, url, read)
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            if exc is self._own:
                raise
            reason = f"{self._what} failed: {type(exc).__name__}"
            raise TransportError(reason, sent=not isinstance(exc, _NEVER_SENT)) from exc
        raise RequestTimeoutError(f"{self._what} made no progress for {self._idle:g} s")

    def refused(self, status: int) -> APIError:
        """The error that a status stands for."""
        return APIError(f"{self._what} was refused: HTTP {status}", status)

    async def undisturbed(self, step: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Take a step of the caller's, which may take its time."""
        self._scope.deadline = math.inf
        try:
            return await step(*args)
        except Exception as exc:
            self._own = exc
            raise
        finally:
            self._moved()

    def _moved(self) -> None:
        self._scope.deadline = anyio.current_time() + self._idle

    async def _exchanged(
        self, client: httpx.AsyncClient, url: str, read: Callable[[httpx.Response], Awaitable[T]]
    ) -> T:
        for _ in range(_MOST_REDIRECTS + 1):
            body = None if self._chunks is None else self._body(self._chunks())
            request = client.build_request(self._method, url, content=body, headers=self._headers)
            request.url = _QuietURL(request.url)
            try:
                response = await client.send(request, stream=True)
            finally:
                if body is not None:
                    await body.aclose()  # a refusal may come before all of it was sent
            try:
                if response.status_code not in _REDIRECTS:
                    return await read(response)
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
        if schemes[0] == "https" and schemes[1] != "https":
            raise self.refused(response.status_code)  # where everyone could read the file
        return target


async def _hush(request: httpx.Request) -> None:
    request.url = _QuietURL(request.url)


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
    except wire.WireError as exc:
        what = str(exc)
    except (ValueError, RecursionError):
        # Not the cause of anything: it holds the whole reply, in which a credential may be.
        what = "it is not JSON"
    status = response.status_code
    if status >= 400:
        raise api_error(
            f"{action}: HTTP {status}",
            code="",
            status_code=status,
            request_id="",
            action=action,
            retry_after=_retry_after(response.headers),
        )
    if 300 <= status < 400:
        raise APIError(
            f"{action}: the service redirects (HTTP {status}), which is not followed: "
            "set the endpoint to where it really is",
            status,
            action=action,
        )
    raise ProtocolError(f"{action}: unexpected reply: {what}", action=action)


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds to wait, as the gateway (milliseconds) or the HTTP standard says it."""
    for name, unit in (("x-acs-retry-after", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "")
        if value.isascii() and value.isdigit() and len(value) < 10:
            return int(value) * unit
    return None


class Closable(Protocol):
    """Something that its own event loop has to close."""

    async def aclose(self) -> None:
        """Close it."""
        ...


R = TypeVar("R", bound=Closable)

_Leases = WeakKeyDictionary[Any, tuple[R, AsyncGenerator[R, None]]]


class LoopLocal(Generic[R]):
    """Hands out something that belongs to the loop asking for it, such as a client.

    It is closed by its own loop: explicitly through `aclose`, when this object is dropped, or
    when the loop shuts down its asynchronous generators (asyncio.run, anyio.run and trio.run
    all do).
    """

    def __init__(self, factory: Callable[[], R]) -> None:
        self._factory = factory
        self._leases: _Leases[R] = WeakKeyDictionary()
        self._lock = threading.Lock()
        # Keeps what is handed out of any cycle that this object is in: the collector would end
        # its sockets before the generators can close them.
        weakref.finalize(self, self._leases.clear).atexit = False

    async def get(self) -> R:
        """The one of the current loop."""
        loop = _current_loop()
        with self._lock:
            lease = self._leases.get(loop)
        if lease is not None:
            return lease[0]
        lifetime = _lifetime(self._factory, weakref.ref(self._leases), self._lock)
        made = await anext(lifetime)  # never suspends: see _lifetime
        with self._lock:
            for dead in [key for key in self._leases if _is_closed(key)]:
                del self._leases[dead]
            self._leases[loop] = made, lifetime
        return made

    async def aclose(self) -> None:
        """Close the one of the current loop, if there is one."""
        with self._lock:
            lease = self._leases.pop(_current_loop(), None)
        if lease:
            await lease[1].aclose()


LoopLocalClient = LoopLocal[httpx.AsyncClient]


async def _lifetime(
    factory: Callable[[], R], leases: weakref.ref[_Leases[R]], lock: threading.Lock
) -> AsyncGenerator[R, None]:
    loop = _current_loop()
    made = factory()
    try:
        yield made
    finally:
        if (held := leases()) is not None:
            with lock:
                held.pop(loop, None)
        with anyio.CancelScope(shield=True):
            await made.aclose()


def _current_loop() -> object:
    # Imported here because it is needed for calls only, and takes its share of the import time.
    from anyio.lowlevel import current_token

    return current_token().native_token


def _is_closed(loop: object) -> bool:
    """Whether an asyncio loop is closed; trio's runs take their clients with them."""
    is_closed = cast("Callable[[], bool] | None", getattr(loop, "is_closed", None))
    return is_closed is not None and is_closed()
