"""Somebody who watches a live view, and uses what it shows."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable

import anyio
import anyio.abc
import attrs

from ...protocol._wire import WireError
from .._errors import EngineError, ToolFailure
from .._life import Life
from .._link_exchange import BROKEN
from .._websocket import Socket
from .view_input import Event, Hands, read_events

_log = logging.getLogger(__name__)

# Seconds between two looks at the screen, and after one that failed.
_INTERVAL, _PAUSE = 0.15, 2.0
# Messages of a viewer that wait to be done, before the next one is read.
_INBOX = 4
_LET_GO_LIMIT = 5.0

_GOING_AWAY, _REFUSED = 1001, 1008


@attrs.frozen
class Frame:
    """A picture of the screen, and what tells it from others."""

    mark: str
    picture: bytes = attrs.field(repr=False)


class Viewer:
    """Somebody who watches. It belongs to the event loop of the engine.

    Attributes:
        busy: Whether the session is used by it, as it is.
    """

    busy: bool = True

    def __init__(
        self,
        socket: Socket,
        life: Life,
        look: Callable[[], Awaitable[Frame]],
        hands: Callable[[], Awaitable[Hands]],
    ) -> None:
        self._socket, self._life = socket, life
        self._look, self._find_hands = look, hands
        self._hands: Hands | None = None
        self._closing, self._soon = anyio.Event(), anyio.Event()
        self._send_events, self._events = anyio.create_memory_object_stream[list[Event]](_INBOX)
        self._tasks: anyio.abc.TaskGroup

    async def serve(self) -> None:
        """Show the screen and take input, until one side ends it."""
        jobs = (self._socket.write_forever, self._read, self._do, self._show, self._close)
        try:
            with self._send_events, self._events:
                async with anyio.create_task_group() as self._tasks:
                    for job in jobs:
                        self._tasks.start_soon(self._until_end, job)
        finally:
            with anyio.move_on_after(_LET_GO_LIMIT, shield=True):
                await self._let_go()

    def close(self) -> None:
        """Begin to end it from this side."""
        self._closing.set()

    async def _until_end(self, job: Callable[[], Awaitable[None]]) -> None:
        try:
            await job()
        except BROKEN:
            _log.debug("a live view has lost its viewer")
        except Exception:  # noqa: BLE001 - the engine's boundary: other sessions go on
            _log.exception("a live view failed")
        self._tasks.cancel_scope.cancel()

    async def _close(self) -> None:
        await self._closing.wait()
        await self._socket.close(_GOING_AWAY, "the session has ended")

    async def _read(self) -> None:
        while (text := await self._socket.receive()) is not None:
            try:
                await self._send_events.send(read_events(text))
            except WireError as exc:
                await self._socket.close(_REFUSED, str(exc)[:100])
                return

    async def _do(self) -> None:
        async for events in self._events:
            try:
                with self._life.use():
                    if self._hands is None:
                        self._hands = await self._find_hands()
                    await self._hands.act(events)
            except (EngineError, ToolFailure) as exc:
                self._hands = None
                await self._tell(problem=str(exc))
            self._soon.set()

    async def _show(self) -> None:
        """Tell of each change of the screen, and of what keeps it from being seen."""
        told: dict[str, str] = {}
        while True:
            pause = _INTERVAL
            try:
                facts = {"frame": (await self._look()).mark}
            except (EngineError, ToolFailure) as exc:
                facts, pause = {"problem": str(exc)}, _PAUSE
            if facts != told:
                await self._tell(**facts)
                told = facts
            with anyio.move_on_after(pause):
                await self._soon.wait()
            self._soon = anyio.Event()

    async def _tell(self, **facts: str) -> None:
        await self._socket.send(json.dumps(facts))

    async def _let_go(self) -> None:
        if self._hands is None:
            return
        try:
            with self._life.use():
                await self._hands.let_go()
        except (EngineError, ToolFailure) as exc:
            _log.debug("what a viewer held could not be released: %s", exc)
