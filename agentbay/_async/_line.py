"""One WebSocket that is held for as long as somebody needs it, and what arrives over it."""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from .. import _background as background
from ..errors import (
    AgentBayError,
    WsConnectionClosedError,
    WsHandshakeRejectedError,
    WsProtocolError,
)
from ..protocol._frames import Frame, FrameError
from ._listeners import Listener
from ._socket import Address, Socket, converse
from ._streams import Answer, Letter, Outcome, Stream

if TYPE_CHECKING:
    from .._transport import ApiClient

_log = logging.getLogger(__name__)

# Seconds between two attempts to connect again: the first and the last, what they grow by, and
# what is added at random, so that not all clients of a server that was restarted come at once.
_FIRST_PAUSE, _LAST_PAUSE, _GROWTH, _JITTER = 0.5, 5.0, 1.5, 0.1

# After so many refusals in a row that tell of no passing trouble, nobody listens any more. Not
# after the first one: what stands before a session may refuse while the session moves.
_REFUSALS = 3
_PASSING = (408, 425, 429)

# Seconds for the end of a connection.
_CLOSE_LIMIT = 5.0

# Messages on their way out, before those who send wait.
_OUTBOX = 64


class _Attempt:
    """An attempt to connect: one that is made, or that waits to be made."""

    def __init__(self) -> None:
        self.outcome: Outcome[None] = Outcome()
        self.wanted = anyio.Event()
        self.waiting = 0


class Line:
    """The WebSocket to a session, while there is one. It belongs to one event loop.

    A task in the background connects, passes on what arrives, and connects again when the
    connection is lost: for as long as somebody listens or waits for it. Who listens hears of
    the error when the other side keeps refusing the connection.

    Attributes:
        address: Where to connect the next time.
        listeners: Who hears what nobody asked for.
        pending: Who waits for what, by the invocation.
        closed: Whether it was closed for good.
    """

    def __init__(self, client: ApiClient) -> None:
        self.address = Address("", "")
        self.listeners: list[Listener] = []
        self.pending: dict[str, Answer | Stream | Letter] = {}
        self.closed = False
        self._client = client
        self._refusals = 0
        # Where messages go while it is open; and the attempt to open it, while there is one.
        self._outbox: MemoryObjectSendStream[tuple[str, str]] | None = None
        self._attempt: _Attempt | None = None
        # Of the task in the background, while there is one.
        self._scope: anyio.CancelScope | None = None
        self._ended = anyio.Event()

    @property
    def is_open(self) -> bool:
        """Whether it is connected."""
        return self._outbox is not None

    async def post(self, key: str, text: str, waiting: Answer | Stream | Letter) -> None:
        """Send a text; `waiting` is where the answer goes, or that it was sent."""
        await self.open()
        # Before it is sent, because the answer may be here before the sender goes on.
        self.pending[key] = waiting
        try:
            if self._outbox is None:
                raise WsConnectionClosedError(sent=False)
            await self._outbox.send((key, text))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            self.pending.pop(key, None)
            raise WsConnectionClosedError(sent=False) from None
        except BaseException:  # cancelled too: nobody waits for the answer
            self.pending.pop(key, None)
            raise

    async def open(self) -> None:
        """Wait for the connection, and begin one if there is none."""
        if self._outbox is not None:
            return
        if self.closed:
            raise WsConnectionClosedError("the WebSocket of the session was closed", sent=False)
        attempt = self._ensure_running()
        attempt.waiting += 1
        attempt.wanted.set()
        try:
            await attempt.outcome.get()
        finally:
            attempt.waiting -= 1

    def wake(self) -> None:
        """Connect in the background, unless it is connected or closed."""
        if not (self.is_open or self.closed):
            self._ensure_running()

    def _ensure_running(self) -> _Attempt:
        if self._attempt is None:
            self._attempt = _Attempt()
            if self._scope is None:
                self._scope, self._ended = anyio.CancelScope(), anyio.Event()
                # Without the context of its first caller, which it outlives.
                background.start(self._run, context=Context())
        return self._attempt

    def end(self, error: AgentBayError) -> None:
        """Begin to close it for good; whoever waits for something, or listens, gets the error."""
        self.closed = True
        self._end_listeners(error)
        self._fail_pending(error)
        if self._attempt is not None:
            self._attempt.outcome.fail(error)
        if self._scope is not None:
            self._scope.cancel()

    async def aclose(self, error: AgentBayError) -> None:
        """Close it for good, as `end` does, and wait for that."""
        self.end(error)
        if self._scope is not None:
            with anyio.move_on_after(_CLOSE_LIMIT, shield=True):
                await self._ended.wait()

    async def _run(self) -> None:
        """Hold the connection, and make it again for as long as somebody wants it."""
        scope, pause = self._scope or anyio.CancelScope(), _FIRST_PAUSE
        try:
            with scope:
                while True:
                    if await self._hold():
                        pause = _FIRST_PAUSE
                    if not (self.listeners or self._attempt):
                        break
                    attempt = self._attempt = self._attempt or _Attempt()
                    with anyio.move_on_after(pause + random.uniform(0, _JITTER)):
                        await attempt.wanted.wait()
                    pause = min(pause * _GROWTH, _LAST_PAUSE)
                    if not (self.listeners or attempt.waiting):
                        break
        finally:
            unmade, self._attempt, self._scope = self._attempt, None, None
            if unmade is not None:
                unmade.outcome.fail(WsConnectionClosedError(sent=False))
            self._fail_pending(WsConnectionClosedError())
            self._ended.set()

    async def _hold(self) -> bool:
        """Connect and stay connected until the connection is lost; tells whether there was one."""
        attempt = self._attempt = self._attempt or _Attempt()
        try:
            await converse(self._client, self.address, self._talk)
        except AgentBayError as exc:
            attempt.outcome.fail(exc)
            self._fail_pending(exc)
            self._count_refusal(exc)
            _log.debug("no WebSocket: %s", type(exc).__name__)
        if self._attempt is not attempt:
            return True
        self._attempt = None
        return False

    def _count_refusal(self, error: AgentBayError) -> None:
        """Give up listening, when the other side refuses the connection for good."""
        status = error.status_code if isinstance(error, WsHandshakeRejectedError) else 0
        if not 400 <= status < 500 or status in _PASSING:
            return
        self._refusals += 1
        if self._refusals >= _REFUSALS:
            self._end_listeners(error)

    def _end_listeners(self, error: AgentBayError) -> None:
        ending, self.listeners = self.listeners, []
        for listener in ending:
            listener.end(error)

    async def _talk(self, socket: Socket) -> None:
        self._refusals = 0
        self._outbox, letters = anyio.create_memory_object_stream[tuple[str, str]](_OUTBOX)
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.outcome.settle(None)
        try:
            async with self._outbox, letters, anyio.create_task_group() as group:
                for job in (
                    partial(self._read, socket),
                    partial(self._write, socket, letters),
                    socket.keep_alive,
                ):
                    group.start_soon(self._until_lost, job, group)
                for listener in self.listeners:
                    group.start_soon(listener.restore)
        finally:
            self._outbox = None
            for listener in self.listeners:
                listener.lost = True

    async def _until_lost(self, job: Callable[[], Awaitable[None]], group: TaskGroup) -> None:
        try:
            await job()
        except WsConnectionClosedError as exc:
            _log.debug("the WebSocket was lost")
            self._outbox = None
            self._fail_pending(exc)
            group.cancel_scope.cancel()

    def _fail_pending(self, error: AgentBayError) -> None:
        for waiting in list(self.pending.values()):
            waiting.fail(error)

    async def _read(self, socket: Socket) -> None:
        while True:
            self._dispatch(await socket.receive())

    async def _write(
        self, socket: Socket, letters: MemoryObjectReceiveStream[tuple[str, str]]
    ) -> None:
        async for key, text in letters:
            await socket.send(text)
            waiting = self.pending.get(key)
            if isinstance(waiting, Letter):
                waiting.settle(None)

    def _dispatch(self, text: str) -> None:
        try:
            frame = Frame.decode(text)
        except FrameError as exc:
            _log.debug("a message makes no sense: %s", exc)
            waiting = self.pending.get(exc.invocation_id)
            if waiting is not None:
                facts = {"request_id": exc.invocation_id}
                waiting.fail(WsProtocolError(f"unexpected message: {exc}", **facts))
            return
        waiting = self.pending.get(frame.invocation_id)
        if waiting is not None:
            if not waiting.over:
                waiting.take(frame, len(text))
            return
        for listener in list(self.listeners):
            if frame.server and listener.server == frame.server:
                listener.offer(frame.data, len(text))
