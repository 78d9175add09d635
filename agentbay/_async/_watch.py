"""Where the changes below a directory come from.

The session is asked again and again; one that has a WebSocket tells of them by itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio

from .._deadline import cleaning_up
from ..errors import (
    AgentBayError,
    APIError,
    AuthenticationError,
    SessionNotFoundError,
    ToolError,
    WsConnectionClosedError,
)
from ..protocol import file_changes as pushes
from ..protocol._wire import WireError, decode
from ..protocol.file_system import FileChangeEvent, GetFileChange, check_interval
from ..protocol.sessions import GetSession
from .lifecycle import _ask

if TYPE_CHECKING:
    from ._websocket import Connection
    from .session import AsyncSession

_log = logging.getLogger(__name__)

# Seconds for which errors that may pass are borne, and for which one answer is waited for.
_PATIENCE, _LOOK_LIMIT = 30.0, 30.0

# Seconds: to subscribe, to end that again, and without news until the session is looked after.
_SUBSCRIBE_LIMIT, _LEAVE_LIMIT, _QUIET = 15.0, 2.0, 60.0

# How many pushes wait here for a slow reader; the others wait in the connection.
_BUFFER = 64


class Changes:
    """The changes below one directory. Belongs to the event loop that opens it."""

    def __init__(self, session: AsyncSession, path: str, interval: float) -> None:
        check_interval(interval)
        self._session, self._interval = session, interval
        self._call = GetFileChange(path)
        self._ended = False
        self._failing_since: float | None = None
        self._pushed: _Pushed | None = None

    async def _begin(self) -> None:
        """Remember how the directory looks; what was before is told to nobody."""
        await self._session._call(self._call, timeout=_LOOK_LIMIT)
        data = self._session._data
        if data.ws_url and data.token and self._session._server_of(GetFileChange.tool):
            pushed = _Pushed(self._call.path, self._missed)
            try:
                await pushed.begin(await self._session._websocket())
                self._pushed = pushed
            except AgentBayError as exc:
                _log.debug("%s is asked for changes, not told: %s", self._call.path, exc)
            finally:
                if self._pushed is None:
                    pushed.close()

    async def _end(self) -> None:
        self._ended = True
        if self._pushed is not None:
            await self._pushed.end()

    async def _next(self) -> list[FileChangeEvent]:
        """Wait for changes.

        Raises:
            AgentBayError: They cannot be asked for any more.
            StopAsyncIteration: The watch has ended.
        """
        try:
            while not self._ended:
                if events := await (self._heard() if self._pushed else self._asked()):
                    return events
        except AgentBayError:
            self._ended = True
            raise
        raise StopAsyncIteration

    async def _asked(self) -> list[FileChangeEvent]:
        await anyio.sleep(self._interval)
        return await self._look()

    async def _heard(self) -> list[FileChangeEvent]:
        """What the session tells; from the moment when it cannot any more, it is asked."""
        assert self._pushed is not None
        try:
            with anyio.move_on_after(_QUIET):
                return await self._pushed.get()
        except anyio.EndOfStream:
            await self._pushed.end()
            self._pushed = None
            return []
        await _ask(self._session, GetSession(self._session.session_id))  # raises when it is gone
        return []

    async def _missed(self) -> list[FileChangeEvent]:
        """What changed since the last look, as soon as that can be told."""
        while True:
            events = await self._look()
            if self._failing_since is None:
                return events
            await anyio.sleep(self._interval)

    async def _look(self) -> list[FileChangeEvent]:
        """What changed since the last look; nothing when that cannot be told right now."""
        try:
            reply = await self._session._call(self._call, timeout=_LOOK_LIMIT)
        except AgentBayError as exc:
            now = time.monotonic()
            self._failing_since = self._failing_since or now
            if _is_final(exc) or now - self._failing_since > _PATIENCE:
                raise
            _log.debug("%s cannot be asked for changes right now: %s", self._call.path, exc)
            return []
        self._failing_since = None
        return reply.value


class _Pushed:
    """What the session tells of one directory over its WebSocket."""

    def __init__(self, path: str, look: Callable[[], Awaitable[list[FileChangeEvent]]]) -> None:
        self._path, self._look = path, look
        self._send, self._receive = anyio.create_memory_object_stream[list[FileChangeEvent]](
            _BUFFER
        )
        self._connection: Connection | None = None
        self._missed: list[FileChangeEvent] = []
        self._leave: Callable[[], None] = lambda: None

    async def begin(self, connection: Connection) -> None:
        """Subscribe; what changed meanwhile is the first that is told."""
        call = pushes.SubscribeFileChange(self._path)
        self._leave = connection.listen(
            connection._target(call),
            self._take,
            matches=self._is_ours,
            restore=self._restore,
            closed=lambda _: self._send.close(),
        )
        await connection.call(call, timeout=_SUBSCRIBE_LIMIT)
        self._connection = connection
        self._missed = await self._look()

    async def get(self) -> list[FileChangeEvent]:
        """Wait for changes.

        Raises:
            EndOfStream: The session tells no more.
        """
        missed, self._missed = self._missed, []
        return missed or await self._receive.receive()

    async def end(self) -> None:
        """Let the session tell no more; whether it hears that does not matter."""
        self.close()
        connection, self._connection = self._connection, None
        if connection is not None:
            with cleaning_up(_LEAVE_LIMIT), suppress(AgentBayError):
                await connection.send(pushes.UnsubscribeFileChange(self._path))

    def close(self) -> None:
        """Listen no more."""
        self._leave()
        self._send.close()
        self._receive.close()

    def _is_ours(self, data: Mapping[str, Any]) -> bool:
        return data.get("eventType") == pushes.FILE_CHANGE and data.get("path") == self._path

    async def _take(self, data: Mapping[str, Any]) -> None:
        try:
            changes = decode(pushes.FileChanges, data)
        except WireError as exc:
            _log.warning("what the session tells of %s makes no sense: %s", self._path, exc)
            return
        await self._take_events(changes.events)

    async def _restore(self) -> None:
        """Subscribe again, and ask for what was missed; else the reader has to ask on."""
        if self._connection is None:
            return
        try:
            call = pushes.SubscribeFileChange(self._path)
            await self._connection.call(call, timeout=_SUBSCRIBE_LIMIT)
            await self._take_events(await self._look())
        except WsConnectionClosedError:
            raise  # there is another connection to come, and another call of this
        except AgentBayError as exc:
            _log.debug("%s is asked for changes again, not told: %s", self._path, exc)
            self._send.close()

    async def _take_events(self, events: list[FileChangeEvent]) -> None:
        if events:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                await self._send.send(events)


def _is_final(exc: AgentBayError) -> bool:
    """Whether there is no use in asking again."""
    if isinstance(exc, SessionNotFoundError | AuthenticationError):
        return True
    text = str(exc).lower()
    gone = "session" in text and ("expired" in text or "invalid" in text)
    return isinstance(exc, APIError | ToolError) and gone
