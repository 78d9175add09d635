"""Links: addresses on this machine for the servers that listen inside sessions.

A session has a network of its own, so a browser cannot reach a port in it. A link is an
address like `http://127.0.0.1:PORT/request_ai/<token>/path/` whose requests are passed to
one port of one session; WebSockets and other upgrades work on the same address.

Links have a listener of their own, so that a page which a session serves never shares an
origin with the engine's API. Servers read the `Host` that the client sent: it agrees with
`Origin`, which frameworks compare, and it is a loopback address, which development servers
accept.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Literal

import anyio
import anyio.abc
import h11

from ..protocol.direct import ACTION
from ._life import not_found
from ._link_exchange import BROKEN, NO_LINK, Client, Connect, Link, RefusedError, pass_on
from ._link_headers import Place, upgrade

Service = Callable[[Client, h11.Request, bytes], Awaitable[None]]
"""Answers requests that the engine itself serves; is told the path, with the query."""

Serve = Callable[[Client, h11.Request], Awaitable[None]]
"""Answers a request itself, or raises `RefusedError`."""

_log = logging.getLogger(__name__)

_MAX_OPEN = 1000
_ACCEPT_PAUSE = 0.1

_CALL_PATH = f"/{ACTION}".encode()

_TARGET = re.compile(
    rb"(?P<base>/(?:request_ai|websocket_ai)/(?P<token>[A-Za-z0-9_-]+))"
    rb"(?:/path(?P<path>/[^?]*)?|/?)(?P<query>\?.*)?"
)


class LinkServer:
    """Serves links on one loopback port.

    It belongs to the event loop that runs `serve`: call its methods there.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._host = host
        self._port = port
        self._listening = False
        self._links: dict[str, Link] = {}
        self._mounts: dict[bytes, Serve] = {}
        self._services: dict[str, Service] = {}
        self._open = 0

    async def serve(
        self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until cancelled; the task counts as started once the port is open."""
        sockets = await anyio.create_tcp_listener(local_host=self._host, local_port=self._port)
        async with sockets, anyio.create_task_group() as group:
            self._port = sockets.extra(anyio.abc.SocketAttribute.local_port)
            self._listening = True
            for listener in sockets.listeners:
                group.start_soon(self._accept, listener, group)
            task_status.started()

    @property
    def host(self) -> str:
        """The address that links are served on."""
        return self._host

    @property
    def port(self) -> int:
        """The port that links are served on."""
        if not self._listening:
            raise RuntimeError("the link server has no port yet: start serve() first")
        return self._port

    def add(self, connect: Connect, *, label: str, port: int | None = None) -> str:
        """Make a link to a server inside a session.

        Args:
            connect: Opens a stream to the server.
            label: What the server is called in error texts, such as "port 30150".
            port: The port inside the session, when redirects may name it.

        Returns:
            The token of the link: whoever knows it can use the link.
        """
        token = secrets.token_urlsafe(24)
        self._links[token] = Link(connect, label, port)
        return token

    def mount(self, prefix: str, serve: Serve) -> None:
        """Let a function answer all requests whose path begins with this directory."""
        self._mounts[prefix.encode()] = serve

    def add_service(self, service: Service) -> str:
        """Make a link to something that the engine itself serves for a session."""
        token = secrets.token_urlsafe(24)
        self._services[token] = service
        return token

    def remove(self, token: str) -> None:
        """Forget a link and end the connections that are open on it, but those of a service."""
        self._services.pop(token, None)
        if link := self._links.pop(token, None):
            for scope in link.exchanges:
                scope.cancel()

    def busy(self, token: str) -> bool:
        """Whether somebody is connected to the server behind a link."""
        link = self._links.get(token)
        return link is not None and bool(link.exchanges)

    def url(self, token: str, scheme: Literal["http", "ws"] = "http") -> str:
        """Return the address of a link."""
        kind = "request_ai" if scheme == "http" else "websocket_ai"
        origin = self.origin.replace("http", scheme, 1)
        return f"{origin}/{kind}/{token}/path/"

    @property
    def origin(self) -> str:
        """Where this server is, as the beginning of an address."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    async def _accept(
        self, listener: anyio.abc.Listener[anyio.abc.SocketStream], group: anyio.abc.TaskGroup
    ) -> None:
        while True:
            try:
                await listener.serve(self._serve_client, group)
            except (OSError, anyio.BrokenResourceError) as exc:
                # A client that left too early, or no file descriptor to spare: both pass.
                _log.debug("a link connection could not be accepted: %r", exc)
                await anyio.sleep(_ACCEPT_PAUSE)

    async def _serve_client(self, stream: anyio.abc.SocketStream) -> None:
        client = Client(stream)
        self._open += 1
        try:
            if self._open > _MAX_OPEN:
                await client.reply(503, "too many connections are open: try again later\n")
            else:
                while await self._serve_request(client) and client.start_next_request():
                    pass
            await client.hang_up()
        except (*BROKEN, h11.LocalProtocolError) as exc:
            _log.debug("a link connection broke: %s", type(exc).__name__)
        finally:
            self._open -= 1
            await anyio.aclose_forcefully(stream)

    async def _serve_request(self, client: Client) -> bool:
        """Answer one request; False when the connection is of no further use."""
        try:
            request = await client.next_request()
            if request is None:
                return False
            await self._answer(client, request)
        except RefusedError as refusal:
            return await client.reply(refusal.status, refusal.text)
        except h11.RemoteProtocolError as exc:
            return await client.reply(exc.error_status_hint, "the request is malformed\n")
        return True

    async def _answer(self, client: Client, request: h11.Request) -> None:
        if not request.target.startswith(b"/") or request.method == b"CONNECT":
            raise RefusedError(400, "a link is no forward proxy: ask it for a path\n")
        mount = self._mounts.get(request.target.partition(b"?")[0].split(b"/", 2)[1])
        if mount is not None:
            await mount(client, request)
            return
        address = _TARGET.fullmatch(request.target)
        token = address["token"].decode() if address else ""
        path = address["path"] if address else None
        if address is None or not (token in self._links or token in self._services):
            await _refuse(client, path)
            return
        if service := self._services.get(token):
            await service(client, request, (path or b"/") + (address["query"] or b""))
            return
        if path is None and upgrade(request) is None:
            # Relative links in a page need the slash. WebSocket clients follow no redirects.
            place = address["base"] + b"/path/" + (address["query"] or b"")
            await client.reply(308, "", (b"Location", place))
        else:
            target = (path or b"/") + (address["query"] or b"")
            link = self._links[token]
            place = Place(address["base"] + b"/path", self._authority(request), link.port)
            await pass_on(client, request, link, place=place, target=target)

    def _authority(self, request: h11.Request) -> bytes:
        default = f"{self._host}:{self.port}".encode()
        return next((value for name, value in request.headers if name == b"host"), default)


async def _refuse(client: Client, path: bytes | None) -> None:
    """Say that there is no such link; to who calls a tool, that the session is gone."""
    if path != _CALL_PATH:
        raise RefusedError(404, NO_LINK)
    gone = not_found()
    text = json.dumps({"success": False, "code": gone.code, "message": str(gone)})
    await client.reply(404, text, (b"Content-Type", b"application/json"))
