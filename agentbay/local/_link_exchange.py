"""One connection to a link: its requests, and the way of each to a session's server.

Messages are parsed and written again on both sides, never copied: what one side understood
is exactly what the other side is told.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable

import anyio
import anyio.abc
import attrs
import h11

from ._link_headers import Headers, Place, answer_from, interim_answer_from, request_for

Connect = Callable[[], Awaitable[anyio.abc.ByteStream]]
"""Opens a stream to a port inside a session; raises OSError when it cannot."""

BROKEN = (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)
NO_LINK = "there is no such link\n"

_log = logging.getLogger(__name__)

_HEAD_SIZE = 64 * 1024
_HEAD_TIME = 30.0
_IDLE_TIME = 75.0
_CONNECT_TIME = 10.0
# A body may take forever, but one piece of it that nobody takes for so long is lost.
_STALL_TIME = 300.0
_HALF_CLOSED_TIME = 60.0
_LINGER_TIME = 2.0


class RefusedError(Exception):
    """What the client is told instead of the answer of a session's server."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@attrs.define(eq=False)
class Link:
    """A server inside a session, and the exchanges with it that are under way."""

    connect: Connect
    label: str
    port: int | None
    exchanges: set[anyio.CancelScope] = attrs.field(factory=set[anyio.CancelScope])


class Peer:
    """One end of an exchange: a stream, and what HTTP knows about it."""

    def __init__(self, stream: anyio.abc.ByteStream, role: type[h11.CLIENT | h11.SERVER]) -> None:
        self.stream = stream
        self.http: h11.Connection = h11.Connection(role, max_incomplete_event_size=_HEAD_SIZE)

    @property
    def unread(self) -> bytes:
        """What has arrived and is not part of any message so far."""
        return self.http.trailing_data[0]

    async def event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """Wait for the next event."""
        while (event := self.http.next_event()) is h11.NEED_DATA:
            await self.fill()
        return event

    async def fill(self) -> bool:
        """Read what there is; False at the end of the stream."""
        data = await _receive(self.stream)
        self.http.receive_data(data)
        return bool(data)

    async def send(self, *events: h11.Event) -> None:
        """Write events."""
        await _send(self.stream, b"".join(self.http.send(event) or b"" for event in events))


class Client(Peer):
    """The end that asks."""

    def __init__(self, stream: anyio.abc.SocketStream) -> None:
        super().__init__(stream, h11.SERVER)
        self._used = False
        self._head_only = False

    async def next_request(self) -> h11.Request | None:
        """Read the head of a request; None when there is none to come."""
        idle = _IDLE_TIME if self._used else _HEAD_TIME
        self._used = True
        if not self.unread:
            with anyio.move_on_after(idle) as waiting:
                await self.fill()
            if waiting.cancelled_caught:
                return None
        try:
            with anyio.fail_after(_HEAD_TIME):
                event = await self.event()
        except TimeoutError:
            raise RefusedError(408, "the request took too long to arrive\n") from None
        if not isinstance(event, h11.Request):
            return None
        self._head_only = event.method == b"HEAD"
        _check(event)
        return event

    async def body(self, limit: int) -> bytes:
        """Read the body of the request.

        Raises:
            RefusedError: It is longer than the limit, or takes too long to arrive.
        """
        content = bytearray()
        if self.http.they_are_waiting_for_100_continue:
            await self.send(h11.InformationalResponse(status_code=100, headers=[]))
        try:
            with anyio.fail_after(_STALL_TIME):
                while isinstance(event := await self.event(), h11.Data):
                    content += event.data
                    if len(content) > limit:
                        raise RefusedError(413, "the request is too long\n")
        except TimeoutError:
            raise RefusedError(408, "the request took too long to arrive\n") from None
        return bytes(content)

    async def left(self) -> None:
        """Wait until the client leaves; it is asked for no more requests than it has sent."""
        while len(self.unread) < _HEAD_SIZE:
            if not await self.fill():
                raise anyio.EndOfStream
        await anyio.sleep_forever()

    async def reply(self, status: int, text: str, *headers: tuple[bytes, bytes]) -> bool:
        """Give an answer of our own, unless one has begun; False: the connection is over."""
        if self.http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return False
        body = text.encode()
        head: Headers = [
            *(headers or [(b"Content-Type", b"text/plain; charset=utf-8")]),
            (b"Content-Length", str(len(body)).encode()),
            (b"Cache-Control", b"no-store"),
            (b"X-Content-Type-Options", b"nosniff"),
            (b"Connection", b"close"),
        ]
        content = [] if self._head_only or not body else [h11.Data(data=body)]
        answer = h11.Response(status_code=status, headers=head)
        await self.send(answer, *content, h11.EndOfMessage())
        return False

    def start_next_request(self) -> bool:
        """Get ready for another request; False when the connection cannot carry one."""
        if self.http.our_state is not h11.DONE or self.http.their_state is not h11.DONE:
            return False
        self.http.start_next_cycle()
        return True

    async def hang_up(self) -> None:
        """Say that nothing follows, and let the client read what was sent.

        Closing a socket that holds unread data resets the connection, and the last answer
        could be lost with it.
        """
        await self.stream.send_eof()
        with anyio.move_on_after(_LINGER_TIME):
            while await _receive(self.stream):
                pass


def _check(request: h11.Request) -> None:
    """Refuse what the parser accepts, but what servers understand differently."""
    names = {name for name, _ in request.headers}
    if b"transfer-encoding" in names and (
        b"content-length" in names or request.http_version == b"1.0"
    ):
        raise RefusedError(400, "the length of the request is ambiguous\n")
    size = len(request.target) + sum(len(name) + len(value) for name, value in request.headers)
    if size > _HEAD_SIZE:
        raise RefusedError(431, "the head of the request is too long\n")


async def pass_on(
    client: Client, request: h11.Request, link: Link, *, place: Place, target: bytes
) -> None:
    """Let the server of a link answer a request."""
    with anyio.CancelScope() as scope:
        link.exchanges.add(scope)
        try:
            stream = await _connect(link)
            try:
                exchange = Exchange(client, Peer(stream, h11.CLIENT), link, place)
                await exchange.run(request_for(place, request, target))
            finally:
                await anyio.aclose_forcefully(stream)
        finally:
            link.exchanges.discard(scope)
    if scope.cancelled_caught:
        raise RefusedError(404, NO_LINK)


async def _connect(link: Link) -> anyio.abc.ByteStream:
    try:
        with anyio.fail_after(_CONNECT_TIME):
            return await link.connect()
    except BROKEN as exc:
        _log.debug("%s cannot be reached: %s", link.label, exc)
        # anyio wraps the error of a single address.
        if isinstance(exc.__cause__ or exc, ConnectionRefusedError):
            problem = f"nothing listens on {link.label} in this session"
            text = f"{problem}: start a server there and try again\n"
        else:
            text = f"{link.label} in this session does not answer: see whether its server runs\n"
    raise RefusedError(502, text)


@attrs.frozen
class Exchange:
    """One request on its way to a session's server, and the answer on its way back."""

    client: Client
    server: Peer
    link: Link
    place: Place

    async def run(self, head: h11.Request) -> None:
        """Carry the exchange to its end."""
        await self._to_server(head)
        await race(self._upload, self._download)
        if self.client.http.our_state is h11.SWITCHED_PROTOCOL:
            await _splice(self.client, self.server)

    async def _upload(self) -> None:
        """Pass the body of the request on, then wait for the client to leave."""
        while isinstance(event := await self.client.event(), h11.Data | h11.EndOfMessage):
            await self._to_server(event)
            if isinstance(event, h11.EndOfMessage):
                break
        await self.client.left()

    async def _download(self) -> None:
        """Pass the answer on until it is complete, or until the protocol changes."""
        while not isinstance(event := await self._from_server(), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                await self.client.send(event)
            elif isinstance(event, h11.Response):
                _log.debug("%s answered %d", self.link.label, event.status_code)
                await self.client.send(answer_from(self.place, event))
            elif isinstance(event, h11.InformationalResponse):
                # Clients of HTTP/1.0 take the first thing they read for the answer.
                if self.client.http.their_http_version != b"1.0":
                    await self.client.send(interim_answer_from(self.place, event))
                if event.status_code == 101:
                    return
        await self.client.send(event)

    async def _to_server(self, event: h11.Event) -> None:
        try:
            await self.server.send(event)
        except (*BROKEN, h11.LocalProtocolError):
            if isinstance(event, h11.Request):
                raise self._server_failed() from None
            # A server may answer and close without reading everything, so the answer decides.
            await anyio.sleep_forever()

    async def _from_server(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            return await self.server.event()
        except (*BROKEN, h11.RemoteProtocolError) as exc:
            raise self._server_failed() from exc

    def _server_failed(self) -> RefusedError:
        text = f"the server on {self.link.label} in this session broke off its answer\n"
        return RefusedError(502, text)


async def race(*contestants: Callable[[], Awaitable[None]]) -> None:
    """Run all until the first one ends, and end as it did."""
    failures: list[BaseException] = []

    async def run(contestant: Callable[[], Awaitable[None]]) -> None:
        try:
            await contestant()
        except (RefusedError, h11.ProtocolError, *BROKEN) as exc:
            failures.append(exc)
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for contestant in contestants:
            group.start_soon(run, contestant)
    if failures:
        raise failures[0]


async def _splice(one: Peer, other: Peer) -> None:
    """Copy bytes both ways until both ends have said that nothing follows."""
    patience = math.inf

    async def copy(source: Peer, sink: Peer) -> None:
        nonlocal patience
        try:
            chunk = source.unread or await _receive(source.stream)
            while chunk:
                group.cancel_scope.deadline = anyio.current_time() + patience
                await _send(sink.stream, chunk)
                chunk = await _receive(source.stream)
            await sink.stream.send_eof()
        except BROKEN:
            group.cancel_scope.cancel()
        patience = _HALF_CLOSED_TIME
        group.cancel_scope.deadline = anyio.current_time() + patience

    async with anyio.create_task_group() as group:
        group.start_soon(copy, one, other)
        group.start_soon(copy, other, one)


async def _receive(stream: anyio.abc.ByteStream) -> bytes:
    """Return what arrives next; nothing at the end of the stream."""
    try:
        return await stream.receive()
    except anyio.EndOfStream:
        return b""


async def _send(stream: anyio.abc.ByteStream, data: bytes) -> None:
    if data:
        with anyio.fail_after(_STALL_TIME):
            await stream.send(data)
