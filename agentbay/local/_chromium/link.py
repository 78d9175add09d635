"""The address at which clients give DevTools commands to the browser of a session.

It is a link of the engine with a token of its own, and leads to nothing else of the session.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, cast
from urllib.parse import urlsplit

import anyio
import anyio.abc
import h11

from .._link_exchange import BROKEN, Client, Link, Peer, RefusedError, pass_on
from .._link_headers import Place, upgrade
from .cdp import Address

_Connect = Callable[[int], Awaitable[anyio.abc.ByteStream]]

_DISCOVERY = re.compile(rb"/json(?:/(?:list|version|protocol))?")
_JSON = (b"Content-Type", b"application/json; charset=UTF-8")

# Seconds for the browser to tell of itself, and bytes: its whole protocol is two million.
_LIMIT, _LONGEST = 15.0, 16 << 20


class CdpLink:
    """Serves the DevTools address of one session.

    Attributes:
        url: Where clients reach it, with ``ws``; ends with a slash.
    """

    def __init__(self, find: Callable[[], Awaitable[Address]], connect: _Connect) -> None:
        """Make one.

        Args:
            find: Tells where the browser is, or raises `RefusedError`.
            connect: Opens a stream to a port of the session.
        """
        self.url: str = ""
        self._find, self._connect_to = find, connect
        self._link = Link(self._connect, "the browser", None)

    @property
    def busy(self) -> bool:
        """Whether a client is connected."""
        return bool(self._link.exchanges)

    def hang_up(self) -> None:
        """End the connections that are open."""
        for scope in self._link.exchanges:
            scope.cancel()

    async def serve(self, client: Client, request: h11.Request, path: bytes) -> None:
        """Answer a request; `LinkServer.add_service` takes this."""
        address = await self._find()
        path = path.partition(b"?")[0].rstrip(b"/")
        if upgrade(request) is not None:
            await self._pass_on(client, request, path or address.path.encode(), address)
        elif request.method in (b"GET", b"HEAD") and _DISCOVERY.fullmatch(path):
            await client.body(0)
            await client.reply(200, await self._discovered(path.decode(), address), _JSON)
        else:
            raise RefusedError(404, "there is a WebSocket here, and /json/version\n")

    async def _pass_on(
        self, client: Client, request: h11.Request, path: bytes, address: Address
    ) -> None:
        # It refuses hosts that are no loopback address and pages of other origins. Who comes
        # here has shown the token instead.
        kept = [pair for pair in request.headers if pair[0] != b"origin"]
        stripped = h11.Request(
            method=request.method,
            target=request.target,
            headers=kept,
            http_version=request.http_version,
        )
        place = Place(b"", b"127.0.0.1:%d" % address.port, None)
        await pass_on(client, stripped, self._link, place=place, target=path)

    async def _connect(self) -> anyio.abc.ByteStream:
        return await self._connect_to((await self._find()).port)

    async def _discovered(self, path: str, address: Address) -> str:
        """What the browser tells, with addresses that lead here."""
        try:
            with anyio.fail_after(_LIMIT):
                found: Any = json.loads(await self._fetch(path, address))
        except (TimeoutError, h11.ProtocolError, ValueError, *BROKEN) as exc:
            raise RefusedError(502, "the browser does not answer\n") from exc
        several = isinstance(found, list)
        for entry in cast("list[Any]", found) if several else [found]:
            self._place(entry)
        return json.dumps(found, indent=2)

    def _place(self, entry: Any) -> None:
        if not isinstance(entry, dict):
            return
        values = cast("dict[str, Any]", entry)
        # A page of Google's that would be told the address with its token.
        values.pop("devtoolsFrontendUrl", None)
        values.pop("devtoolsFrontendUrlCompat", None)
        if "webSocketDebuggerUrl" in values:
            path = urlsplit(str(values["webSocketDebuggerUrl"])).path
            values["webSocketDebuggerUrl"] = self.url.rstrip("/") + path

    async def _fetch(self, path: str, address: Address) -> bytes:
        stream = await self._connect_to(address.port)
        try:
            peer = Peer(stream, h11.CLIENT)
            headers = [("Host", f"127.0.0.1:{address.port}"), ("Connection", "close")]
            request = h11.Request(method="GET", target=path, headers=headers)
            await peer.send(request, h11.EndOfMessage())
            body = bytearray()
            while not isinstance(event := await peer.event(), h11.EndOfMessage):
                if isinstance(event, h11.Data):
                    body += event.data
                if len(body) > _LONGEST:
                    raise ValueError("the browser says too much")
            return bytes(body)
        finally:
            with contextlib.suppress(*BROKEN):
                await anyio.aclose_forcefully(stream)
