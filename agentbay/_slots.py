"""A limit on how many of something there are at once, over all event loops of the process."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import anyio


class Slots:
    """Places to be taken and given back; who finds none waits in a queue.

    Args:
        limit: How many places there are; None for any number.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._taken = 0
        self._queue: deque[_Waiter] = deque()
        self._lock = threading.Lock()

    async def take(self) -> None:
        """Take a place, in the order of asking."""
        if self._limit is None:
            return
        with self._lock:
            if self._taken < self._limit:
                self._taken += 1
                return
            waiter = _Waiter()
            self._queue.append(waiter)
        try:
            await waiter.event.wait()
        except BaseException:  # cancelled: the place may have come at the same moment
            with self._lock:
                came = waiter not in self._queue
                if not came:
                    self._queue.remove(waiter)
            if came:
                self.give_back()
            raise

    def give_back(self) -> None:
        """Give a place back, from any thread."""
        if self._limit is None:
            return
        with self._lock:
            while self._queue:
                if self._queue.popleft().wake():
                    return
            self._taken -= 1


class _Waiter:
    """A task that waits on its own event loop."""

    def __init__(self) -> None:
        # Imported here because it takes its share of the import time.
        from anyio.lowlevel import current_token

        self.event = anyio.Event()
        loop: Any = current_token().native_token
        self._soon: Callable[[Callable[[], None]], object] = (
            loop.call_soon_threadsafe
            if hasattr(loop, "call_soon_threadsafe")
            else loop.run_sync_soon
        )

    def wake(self) -> bool:
        """Wake the task; False when its loop has ended."""
        try:
            self._soon(self.event.set)
        except RuntimeError:  # of asyncio, and the one of trio is one
            return False
        return True
