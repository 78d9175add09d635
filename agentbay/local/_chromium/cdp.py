"""What the engine says to the browser of a session: DevTools commands over a WebSocket.

The browser runs inside the session, so what it answers is not trusted.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import math
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Self, cast

import anyio
import anyio.abc
import attrs
from wsproto import ConnectionType, WSConnection
from wsproto import events as frames
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from .._errors import ToolFailure

if TYPE_CHECKING:
    from ..sandbox import Sandbox

_log = logging.getLogger(__name__)

# Seconds: for the handshake, for one answer, and for a message that the browser does not take.
_OPEN_LIMIT, ANSWER_LIMIT, _STALL_LIMIT = 15.0, 30.0, 60.0
_CLOSE_LIMIT = 1.0

# Characters of a message (a picture of a very long page has some ten million), and events that
# wait for whoever asked for them.
_LONGEST, _MOST_EVENTS = 128 << 20, 20_000

_CHUNK = 256 * 1024

_BROKEN = (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)


class BrowserLost(ToolFailure):
    """The connection to the browser has ended: it crashed, was closed, or is stopped."""


class CdpRefused(ToolFailure):
    """The browser answered a command with an error.

    `reason` is what it said; the text also names the command.
    """

    def __init__(self, method: str, reason: str) -> None:
        super().__init__(f"the browser refused {method}: {reason}", number=-1)
        self.reason = reason


@attrs.frozen
class Address:
    """Where a browser takes commands: a port of the session, and the path of its WebSocket."""

    port: int
    path: str = attrs.field(repr=False)


@attrs.frozen
class Event:
    """Something that the browser tells unasked."""

    method: str
    params: dict[str, Any] = attrs.field(factory=dict[str, Any])
    session_id: str | None = None


class Events:
    """The events that somebody asked for, in their order; an iterator without an end."""

    def __init__(self, cdp: Cdp, methods: tuple[str, ...], session_id: str | None) -> None:
        self._cdp, self._methods, self._session_id = cdp, methods, session_id
        self._found: deque[Event] = deque()
        self._overflown = False

    async def next(self, limit: float = ANSWER_LIMIT) -> Event:
        """Wait for the next event, for so many seconds at most.

        Raises:
            ToolFailure: None came in time, or there were too many (number -1).
            BrowserLost: The connection has ended.
        """
        names = ", ".join(self._methods) or "event"
        with _limited(f"the browser told of no {names}", limit):
            await self._cdp.wait(lambda: bool(self._found) or self._overflown)
        if self._overflown:
            raise ToolFailure("the browser tells more than anybody reads", number=-1)
        return self._found.popleft()

    def take(self, event: Event) -> None:
        """Keep an event if it was asked for."""
        if self._methods and event.method not in self._methods:
            return
        if self._session_id not in (None, event.session_id):
            return
        if len(self._found) < _MOST_EVENTS:
            self._found.append(event)
        else:
            self._overflown = True

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        return await self.next(math.inf)


class Cdp:
    """A connection to the browser of a session. It belongs to the engine's event loop.

    Several tasks may use it at once: whoever waits first reads for all of them, so that no
    task has to run beside them.

    Example:
        async with Cdp.connect(sandbox) as cdp:
            target = await cdp.send("Target.createTarget", {"url": "about:blank"})
            page = await cdp.attach(target["targetId"])
            with cdp.events("Page.loadEventFired", session_id=page) as loaded:
                await cdp.send("Page.enable", session_id=page)
                await cdp.send("Page.navigate", {"url": url}, session_id=page)
                await loaded.next(limit=20)
    """

    def __init__(self, stream: anyio.abc.ByteStream) -> None:
        self._stream = stream
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._sending = anyio.Lock()
        self._numbers = itertools.count(1)
        self._answers: dict[int, dict[str, Any] | None] = {}
        self._subscriptions: list[Events] = []
        self._parts: list[str] = []
        self._size = 0
        self._reading, self._turn = False, anyio.Event()
        self._accepted = self._lost = False

    @classmethod
    @asynccontextmanager
    async def connect(cls, sandbox: Sandbox) -> AsyncGenerator[Cdp, None]:
        """A connection to the browser of a session, for the length of a block.

        Raises:
            ToolFailure: There is no browser; says what to do.
            BrowserLost: It does not answer.
            EngineError: The session is gone (`SessionLost`).
        """
        browser = sandbox.browser
        if browser is None:
            raise ToolFailure("there is no browser: initialize() starts one", number=-1)
        async with cls.open(sandbox, await browser.address()) as cdp:
            yield cdp

    @classmethod
    @asynccontextmanager
    async def open(cls, sandbox: Sandbox, address: Address) -> AsyncGenerator[Cdp, None]:
        """The same, to a browser whose address is known.

        Raises:
            BrowserLost: It does not answer.
            EngineError: The session is gone (`SessionLost`).
        """
        try:
            stream = await sandbox.connect(address.port)
        except ConnectionRefusedError as exc:
            raise BrowserLost("the browser has ended", number=-1) from exc
        cdp = cls(stream)
        try:
            await cdp._shake_hands(address)
            yield cdp
        finally:
            await cdp._close()

    async def send(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        session_id: str | None = None,
        limit: float = ANSWER_LIMIT,
    ) -> dict[str, Any]:
        """Give a command and wait for its result.

        Args:
            method: Such as ``Page.navigate``.
            params: Its parameters.
            session_id: Of the target that it is for, as `attach` returned it; the browser
                itself when None.
            limit: Seconds to wait.

        Raises:
            CdpRefused: The browser answered with an error.
            ToolFailure: It did not answer in time (number -1).
            BrowserLost: The connection has ended.
        """
        number = next(self._numbers)
        self._answers[number] = None
        try:
            with _limited(f"the browser did not answer {method}", limit):
                await self._write(_command(number, method, params, session_id))
                await self.wait(lambda: self._answers[number] is not None)
            answer = self._answers[number] or {}
        finally:
            del self._answers[number]
        error = _object(answer.get("error"))
        if error:
            raise CdpRefused(method, str(error.get("message", "it says no"))[:500])
        return _object(answer.get("result"))

    async def tell(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        session_id: str | None = None,
    ) -> None:
        """Give a command whose answer nobody needs.

        Raises:
            ToolFailure: The browser does not take it in time (number -1).
            BrowserLost: The connection has ended.
        """
        with _limited(f"the browser did not take {method}", _STALL_LIMIT):
            await self._write(_command(next(self._numbers), method, params, session_id))

    async def attach(self, target_id: str) -> str:
        """Begin to talk to a page or a worker; returns the session id to give commands with.

        Raises:
            CdpRefused: There is no such target.
            ToolFailure: See `send`.
        """
        params = {"targetId": target_id, "flatten": True}
        return str((await self.send("Target.attachToTarget", params)).get("sessionId", ""))

    @contextmanager
    def events(self, *methods: str, session_id: str | None = None) -> Generator[Events, None, None]:
        """Keep events that come during a block, for whoever reads them.

        Args:
            methods: Such as ``Page.loadEventFired``; all of them when none is named.
            session_id: Only those of this target.
        """
        found = Events(self, methods, session_id)
        self._subscriptions.append(found)
        try:
            yield found
        finally:
            self._subscriptions.remove(found)

    async def wait(self, ready: Callable[[], bool]) -> None:
        """Read until something has come true; the first who waits reads for the others.

        Raises:
            BrowserLost: The connection has ended.
        """
        while not ready():
            if self._lost:
                raise BrowserLost("the browser has ended, or broke off the connection", number=-1)
            if self._reading:
                await self._turn.wait()
                continue
            self._reading = True
            try:
                await self._read()
            finally:
                self._reading = False
                self._turn.set()
                self._turn = anyio.Event()

    async def _shake_hands(self, address: Address) -> None:
        request = frames.Request(host=f"127.0.0.1:{address.port}", target=address.path)
        with _limited("the browser did not answer", _OPEN_LIMIT):
            try:
                await self._stream.send(self._protocol.send(request))
            except _BROKEN as exc:
                raise BrowserLost("the browser has ended", number=-1) from exc
            await self.wait(lambda: self._accepted)

    async def _write(self, text: str) -> None:
        async with self._sending:
            whole = False
            try:
                await self._stream.send(self._protocol.send(frames.TextMessage(text)))
                whole = True
            except (LocalProtocolError, *_BROKEN) as exc:
                raise BrowserLost("the browser has ended", number=-1) from exc
            finally:
                # Half a message, also of somebody who was cancelled, leaves nothing to say.
                self._lost = self._lost or not whole

    async def _read(self) -> None:
        """Take in what arrives next."""
        try:
            self._protocol.receive_data(await self._stream.receive(_CHUNK))
            for event in self._protocol.events():
                await self._take(event)
        except (RemoteProtocolError, LocalProtocolError, *_BROKEN) as exc:
            _log.debug("the connection to a browser has ended: %s", type(exc).__name__)
            self._lost = True

    async def _take(self, event: frames.Event) -> None:
        if isinstance(event, frames.TextMessage):
            self._size += len(event.data)
            self._parts.append(event.data)
            if self._size > _LONGEST:
                self._lost = True
            elif event.message_finished:
                text = "".join(self._parts)
                self._parts, self._size = [], 0
                self._understand(text)
        elif isinstance(event, frames.AcceptConnection):
            self._accepted = True
        elif isinstance(event, frames.Ping):
            await self._stream.send(self._protocol.send(event.response()))
        elif isinstance(event, frames.CloseConnection | frames.RejectConnection):
            self._lost = True

    def _understand(self, text: str) -> None:
        try:
            message = _object(json.loads(text))
        except (ValueError, RecursionError):
            self._lost = True
            return
        number, method, session_id = (message.get(key) for key in ("id", "method", "sessionId"))
        if number in self._answers:
            self._answers[cast("int", number)] = message
        if isinstance(method, str) and isinstance(session_id, str | None):
            found = Event(method, _object(message.get("params")), session_id)
            for subscription in self._subscriptions:
                subscription.take(found)

    async def _close(self) -> None:
        with anyio.move_on_after(_CLOSE_LIMIT, shield=True):
            if not self._lost and self._accepted:
                with contextlib.suppress(LocalProtocolError, anyio.BusyResourceError, *_BROKEN):
                    await self._stream.send(self._protocol.send(frames.CloseConnection(1000)))
        self._lost = True
        await anyio.aclose_forcefully(self._stream)


@contextmanager
def _limited(complaint: str, limit: float) -> Generator[None, None, None]:
    try:
        with anyio.fail_after(None if limit == math.inf else limit):
            yield
    except TimeoutError as exc:
        raise ToolFailure(f"{complaint} within {limit:g} seconds", number=-1) from exc


def _command(
    number: int, method: str, params: Mapping[str, Any] | None, session_id: str | None
) -> str:
    command: dict[str, Any] = {"id": number, "method": method, "params": dict(params or {})}
    return json.dumps(command if session_id is None else {**command, "sessionId": session_id})


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
