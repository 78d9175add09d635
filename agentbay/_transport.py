"""HTTP: one `httpx.AsyncClient` per running event loop, and what a reply means."""

from __future__ import annotations

import functools
import logging
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
from ._deferred import Deferred
from ._exchange import NEVER_SENT, FileExchange, QuietURL, origin
from ._loop_local import LoopLocal
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
        exchange = FileExchange("PUT", "the upload", headers, idle, chunks)

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
        exchange = FileExchange("GET", "the download", {"accept-encoding": "identity"}, idle)

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
        where = origin(url)

        def made(client: httpx.AsyncClient) -> httpx.Request:
            request = client.build_request(
                method, url, params=params, content=text, headers=headers
            )
            request.url = QuietURL(request.url)
            return request

        try:
            response = await self._exchange(
                made, action, where, timeout or self.timeout, connect_timeout
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
