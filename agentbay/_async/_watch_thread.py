"""A thread that watches a directory, for programs that have no event loop of their own."""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING

import anyio

from ..errors import AgentBayError
from ..protocol.file_system import FileChangeEvent
from ._callbacks import tell

if TYPE_CHECKING:
    from .file_system import AsyncFileSystem

_log = logging.getLogger(__name__)

# Seconds between two looks at an event that other threads set.
_PAUSE = 0.05

# Seconds that the end of the program waits for a thread.
_QUIT_LIMIT = 2.0


class DirectoryWatcher(threading.Thread):
    """Tells a function of the changes below a directory, from `start` until told to stop.

    Attributes:
        stop_event: Ends the thread when it is set.
        ready_event: Set when changes are noticed from then on, and when the thread ends.
        error: Why the watch ended by itself; None when it did not.
    """

    def __init__(
        self,
        files: AsyncFileSystem,
        path: str,
        callback: Callable[[list[FileChangeEvent]], object],
        interval: float,
        stop_event: threading.Event | None,
    ) -> None:
        super().__init__(name=f"DirectoryWatcher-{path.replace('/', '_')}", daemon=True)
        self._files, self._path = files, path
        self._callback, self._interval = callback, interval
        self.stop_event: threading.Event = stop_event or threading.Event()
        self.ready_event: threading.Event = threading.Event()
        self.error: AgentBayError | None = None

    def run(self) -> None:
        """Watch, on an event loop of this thread."""
        atexit.register(self._quit)
        try:
            Context().run(anyio.run, self._main)
        except Exception:  # as the program ends, anything may be closed already
            if threading.main_thread().is_alive():
                raise
        finally:
            atexit.unregister(self._quit)
            self.ready_event.set()

    def _quit(self) -> None:
        """End before that which the session needs does."""
        self.stop_event.set()
        self.join(_QUIT_LIMIT)

    async def _main(self) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, tasks.cancel_scope)
            while not self.stop_event.is_set():  # noqa: ASYNC110 - another thread sets it
                await anyio.sleep(_PAUSE)
            tasks.cancel_scope.cancel()

    async def _watch(self, scope: anyio.CancelScope) -> None:
        try:
            async with self._files.watch(self._path, interval=self._interval) as changes:
                self.ready_event.set()
                async for events in changes:
                    if self.stop_event.is_set():
                        break
                    await self._tell(events)
        except AgentBayError as exc:
            self.error = exc
            if not self.stop_event.is_set():
                _log.warning("%s is not watched any more: %s", self._path, exc)
        scope.cancel()

    async def _tell(self, events: list[FileChangeEvent]) -> None:
        try:
            await tell(self._callback, events)
        except Exception:  # noqa: BLE001 - a user's function, and nobody waits for it
            _log.exception("a callback for changes below %s failed", self._path)
