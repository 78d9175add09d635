"""HTTP: one `httpx.AsyncClient` per running event loop, and what a reply means."""

from __future__ import annotations

import functools
import math
import os
import ssl
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio
import attrs
import httpx

from ._config import LOCAL, Settings
from ._deadline import within
from ._deferred import Deferred
from ._exchange import NEVER_SENT, FileExchange, QuietURL, masked, origin
from ._loop_local import LoopLocal
from ._retry import RetryPolicy, repeated
from ._tracing import Trace, make_tracer
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
    from . import _download as download
    from ._pool import transport as pool
    from .protocol import _calls as calls
    from .protocol import _repeatable as repeatable
    from .protocol import _wire as wire
    from .protocol._calls import Action, Envelope
else:
    download = Deferred("agentbay._download")
    pool = Deferred("agentbay._pool.transport")
    calls = Deferred("agentbay.protocol._calls")
    repeatable = Deferred("agentbay.protocol._repeatable")
    wire = Deferred("agentbay.protocol._wire")

T = TypeVar("T")

_EMBEDDED = "http://local.invalid"

# Seconds for which a host is not tried again that no connection could be made to.
_LEFT_ALONE = 60.0

_OPTIONS: dict[str, Any] = {
    "timeout": None,
    "headers": {"user-agent": f"agentbay-sdk/{__version__}"},
}


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
        told: The hash of what it has; None when it did not say.
    """

    status: int
    etag: str
    told: download.Told | None = None


class ApiClient:
    """Sends actions to the control plane, from any event loop."""

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
        """Send an action and make its result; try again what may be tried again.

        Args:
            call: The action.
            timeout: Seconds until it is given up, all attempts together; the client's by
                default.
            connect_timeout: Seconds to connect; no limit of its own by default.

        Raises:
            APIError: The service refused; of the class that its error code stands for.
            TransportError: No reply came back.
            ProtocolError: The reply makes no sense.
        """

        async def once(left: float) -> Reply[T]:
            return await self.attempt(call, timeout=left, connect_timeout=connect_timeout)

        with self.traced_action(call) as trace:
            harmless = repeatable.is_repeatable(call)
            reply = await self.repeat(once, trace, timeout, harmless=harmless)
            trace.request_id = reply.request_id
            return reply

    async def repeat(
        self,
        once: Callable[[float], Awaitable[T]],
        trace: Trace,
        timeout: float | None,
        *,
        harmless: bool,
    ) -> T:
        """Make an attempt, and others as the policy of the client says; see `repeated`."""
        action, limit = trace.action, self.limit(timeout, trace.action)
        return await repeated(
            once, self.retry, action=action, timeout=limit, harmless=harmless, trace=trace
        )

    async def send_once(self, call: Action[T], *, timeout: float | None = None) -> Reply[T]:
        """Send an action that is part of another one, one time; see `send`."""
        with self.traced_action(call) as trace:
            trace.attempts = 1
            reply = await self.attempt(call, timeout=timeout)
            trace.request_id = reply.request_id
            return reply

    async def attempt(
        self, call: Action[T], *, timeout: float | None = None, connect_timeout: float | None = None
    ) -> Reply[T]:
        """Make one of the attempts of a call, which tells of all of them; see `send`."""
        limit = self.limit(timeout, call.action)
        response = await self._post(call, limit, connect_timeout)
        envelope = _open(call.action, response, self._settings.api_key)
        return Reply(call.parse(envelope), envelope.request_id)

    def traced_action(self, call: Action[Any]) -> Trace:
        """Watch over an action of the control plane; see `traced`."""
        return self.traced(call.action, session_id=getattr(call, "session_id", None) or "")

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
        with nothing but the file. What fails for a moment is tried again, as the policy says.

        Args:
            url: Where to.
            chunks: Gives the pieces; asked once more after each redirect and each failure.
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

        async def read(exchange: FileExchange, response: httpx.Response) -> Stored:
            if response.status_code not in (200, 201, 204):
                raise exchange.refused(response.status_code)
            told = download.Told.by_tag(response.headers)
            return Stored(response.status_code, response.headers.get("etag", ""), told)

        def exchange() -> FileExchange:
            return FileExchange("PUT", "the upload", headers, idle, chunks)

        return await self._exchanged("PutFile", url, exchange, read)

    async def get_file(
        self,
        url: str,
        write: Callable[[bytes], Awaitable[object]],
        rewind: Callable[[], Awaitable[object]] | None = None,
        *,
        idle: float = 60.0,
    ) -> int:
        """Get a file from an address that carries its own credential, piece by piece.

        What breaks half-way is gone on with, where the server can do that and still has the same
        file; else it begins again. Length and hash are checked as far as the server tells them.

        Args:
            url: Where from; redirects are followed, without the API key.
            write: Takes each piece.
            rewind: Drops what was written, because the file begins again; without it, that is
                an error.
            idle: Seconds without progress until the exchange is given up.

        Returns:
            The HTTP status.

        Raises:
            APIError: The address does not give the file.
            TransportError: The file did not arrive, or not all of it.
            FileTransferError: What arrived has not the hash that the server tells.
        """
        arriving = download.Download(write, rewind)

        def exchange() -> FileExchange:
            return FileExchange("GET", "the download", arriving.headers(), idle)

        return await self._exchanged("GetFile", url, exchange, arriving.read)

    async def _exchanged(
        self,
        name: str,
        url: str,
        exchange: Callable[[], FileExchange],
        read: Callable[[FileExchange, httpx.Response], Awaitable[T]],
    ) -> T:
        client = await self._clients.get()

        async def once(left: float) -> T:
            return await exchange().run(client, url, read, trace, left)

        with self.traced(name) as trace:
            # Both ways: the address stands for one state of one file.
            return await self.repeat(once, trace, math.inf, harmless=True)

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
        where = origin(url)

        def made(client: httpx.AsyncClient) -> httpx.Request:
            request = client.build_request(
                method, url, params=params, content=text, headers=headers
            )
            request.url = QuietURL(request.url)
            return request

        try:
            response = await self._attempt(
                made, action, where, self.limit(timeout, action), connect_timeout
            )
        except TransportError as exc:
            if not exc.sent:
                self._unreachable[where] = time.monotonic() + _LEFT_ALONE
            raise
        return Answer(response.status_code, response.text, _retry_after(response.headers))

    def can_reach(self, url: str) -> bool:
        """Whether it is worth a try: a host that no connection was made to is left alone."""
        return self._unreachable.get(origin(url), 0.0) <= time.monotonic()

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
            form = {**call.form(), "Authorization": f"Bearer {self._settings.api_key}"}
            return self._request(client, call, encoded(form))

        endpoint = self._settings.endpoint
        return await self._attempt(made, call.action, endpoint, timeout, connect_timeout)

    def _request(self, client: httpx.AsyncClient, call: Action[Any], body: bytes) -> httpx.Request:
        """The request of an action, put together from parts that are ready.

        `httpx.AsyncClient.build_request` makes the same, in four times the time.
        """
        url = _with_query(_parsed(self._url), _query(call))
        headers = [
            (b"Host", url.netloc),
            *client.headers.raw,
            (b"x-acs-version", calls.API_VERSION.encode()),
            (b"x-acs-action", call.action.encode()),
            (b"Content-Length", b"%d" % len(body)),
            (b"Content-Type", b"application/x-www-form-urlencoded"),
        ]
        stream = httpx.ByteStream(body)
        request = httpx.Request("POST", url, headers=headers, stream=stream)
        request.read()
        return request

    async def _attempt(
        self,
        made: Callable[[httpx.AsyncClient], httpx.Request],
        action: str,
        where: str,
        timeout: float,
        connect_timeout: float | None,
    ) -> httpx.Response:
        """Make one attempt: send a request and read the whole reply, whatever it says.

        Raises:
            TransportError: No reply came back; its `sent` is False when no byte of the request
                was taken by the other side.
        """
        client = await self._clients.get()
        try:
            with anyio.fail_after(timeout):
                request = made(client)
                limits = {"connect": connect_timeout, "read": None, "write": None, "pool": None}
                request.extensions = {**request.extensions, "timeout": limits}
                return await client.send(request)
        except (httpx.TimeoutException, TimeoutError) as exc:
            # The system gives up a connection, too, when nobody asked for a limit of its own.
            limit = timeout
            if connect_timeout is not None and isinstance(exc, httpx.ConnectTimeout):
                limit = connect_timeout
            raise RequestTimeoutError(
                f"{action}: no answer within {round(limit, 3):g} s",
                action=action,
                sent=not isinstance(exc, NEVER_SENT),
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
                sent=not isinstance(exc, NEVER_SENT),
            ) from exc

    def _factory(
        self,
        transport: httpx.AsyncBaseTransport | None,
        proxy: str | None,
        verify: bool | ssl.SSLContext,
    ) -> Callable[[], httpx.AsyncClient]:
        if transport is not None:
            return lambda: _Client(transport=transport, **_OPTIONS)
        if self._embedded:
            return lambda: _Client(transport=_embedded_engine(), **_OPTIONS)
        through = _proxy(proxy)
        return lambda: _Client(**pool.carriers(verify, through), **_OPTIONS)

    def _websocket_factory(
        self, proxy: str | None, verify: bool | ssl.SSLContext
    ) -> Callable[[], httpx.AsyncClient]:
        options: dict[str, Any] = {**_OPTIONS, "event_hooks": {"request": [_hush]}}
        if self._embedded:
            # The engine is on this machine and without TLS, so no proxy and no certificates.
            nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            return lambda: httpx.AsyncClient(
                **pool.carriers(nobody, upgrades=True, trust_env=False), **options
            )
        through = _proxy(proxy)
        return lambda: httpx.AsyncClient(**pool.carriers(verify, through, upgrades=True), **options)


class _NoCookies(httpx.Cookies):
    """Takes no cookies; `httpx` takes a request and a reply apart to look for some."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Leave them."""


class _Client(httpx.AsyncClient):
    """A client without cookies.

    It serves all sessions: what a gateway remembers of one of them must not travel with the
    requests of another.
    """

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


async def _hush(request: httpx.Request) -> None:
    request.url = QuietURL(request.url)


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


@functools.lru_cache(16)
def _parsed(url: str) -> httpx.URL:
    return httpx.URL(url)


def _with_query(base: httpx.URL, query: str) -> httpx.URL:
    """Add a query that is quoted to a URL; parsing the whole takes a tenth of a call."""
    url = httpx.URL(base)
    try:
        url._uri_reference = url._uri_reference._replace(query=query)
    except AttributeError:  # a release of httpx that keeps the parts elsewhere
        return httpx.URL(f"{base}?{query}")
    return url


def encoded(parameters: Mapping[str, str]) -> bytes:
    """Write parameters as a form does, in a third of the time that `urllib` takes."""
    pairs = (b"%b=%b" % (_quoted(name), _quoted(text)) for name, text in parameters.items())
    return b"&".join(pairs)


def _quoted(text: str) -> bytes:
    data = text.encode()
    if not data.strip(_SAFE):
        return data
    unsafe = set(data.translate(None, _SAFE))
    # Percent signs come first and blanks last: they are written with what others stand for.
    for byte in sorted(unsafe, key=lambda byte: (byte == _BLANK) - (byte == _PERCENT)):
        data = data.replace(bytes((byte,)), b"+" if byte == _BLANK else b"%%%02X" % byte)
    return data


_SAFE = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~"

_BLANK, _PERCENT = b" %"


def _query(call: Action[Any]) -> str:
    own = call.query()
    return (
        f"Action={call.action}&Format=json&Version={calls.API_VERSION}"
        f"&Timestamp={time.strftime('%Y-%m-%dT%H%%3A%M%%3A%SZ', time.gmtime())}"
        f"&SignatureNonce={os.urandom(16).hex()}"
    ) + (f"&{encoded(own).decode()}" if own else "")


def _open(action: str, response: httpx.Response, key: str) -> Envelope:
    """The envelope of a reply that says yes; raises for any other."""
    envelope = _envelope(action, response)
    if response.status_code < 300 and envelope.says_yes:
        return envelope
    reason = envelope.message or f"HTTP {response.status_code} {response.reason_phrase}".strip()
    raise api_error(
        masked(reason, key),
        code=envelope.refusal,
        status_code=response.status_code,
        request_id=envelope.request_id,
        action=action,
        retry_after=_retry_after(response.headers),
    )


def _envelope(action: str, response: httpx.Response) -> Envelope:
    request_id, status = "", response.status_code
    try:
        reply = response.json()
        request_id = calls.request_id_of(reply)
        envelope = wire.decode(calls.Envelope, reply)
        if status >= 300 or envelope.tells_something:
            return envelope
        what = "it tells nothing that replies of the service tell"
    except wire.WireError as exc:
        what = str(exc)
    except (ValueError, RecursionError):
        # Not the cause of anything: it holds the whole reply, in which a credential may be.
        what = "it is not JSON"
    facts: dict[str, Any] = {"request_id": request_id, "action": action}
    if status >= 400:
        raise api_error(
            f"{action}: HTTP {status}",
            code="",
            status_code=status,
            retry_after=_retry_after(response.headers),
            **facts,
        )
    if 300 <= status < 400:
        raise APIError(
            f"{action}: the service redirects (HTTP {status}), which is not followed: "
            "set the endpoint to where it really is",
            status,
            **facts,
        )
    raise ProtocolError(f"{action}: unexpected reply: {what}", **facts)


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds to wait, as the gateway (milliseconds) or the HTTP standard says it."""
    for name, unit in (("x-acs-retry-after", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "")
        if value.isascii() and value.isdigit() and len(value) < 10:
            return int(value) * unit
    return None
