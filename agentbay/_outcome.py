"""What comes back from the shared event loop to the thread that waits for it."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")

# Modules whose frames say nothing about an error.
_MACHINERY = tuple(f"{__package__}.{name}" for name in ("_bridge", "_loop"))


class Bell:
    """Wakes the one thread that waits for something to happen on the loop.

    A lock that somebody else opens is the least that a thread can wait for. It may ring for
    nothing: who waits looks what there is, and goes on waiting.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        """Wake who waits, or who is about to; on the loop only."""
        if self._lock.locked():
            self._lock.release()

    def wait(self, limit: float) -> bool:
        """Whether it rang within some seconds."""
        return self._lock.acquire(timeout=limit)


class Outcome(Generic[T]):
    """A value or an error, put in on the loop and taken out by the thread that waits for it.

    A `concurrent.futures.Future` serves any number of threads, and takes five times as long.
    """

    __slots__ = ("_bell", "_error", "_value", "is_there")
    _value: T

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._error: BaseException | None = None
        self.is_there: bool = False

    def put(self, value: T) -> None:
        """Hand over a value."""
        self._value = value
        self._tell()

    def fail(self, error: BaseException) -> None:
        """Hand over an error."""
        self._error = error
        self._tell()

    def _tell(self) -> None:
        self.is_there = True
        self._bell.ring()

    def result(self) -> T:
        """The value, or the error without the frames of the bridge; an error but once."""
        # An error that can be reached from its own traceback lives until the collector runs,
        # with all local variables on the way: nothing here may still refer to it.
        error, self._error = self._error, None
        if error is None:
            return self._value
        try:
            raise error.with_traceback(_user_frames(error))
        finally:
            del error

    def wait(self, limit: float) -> None:
        """Wait for it, some seconds at most."""
        end = time.monotonic() + limit
        while not self.is_there and (left := end - time.monotonic()) > 0:
            self._bell.wait(left)


def _user_frames(error: BaseException) -> TracebackType | None:
    tb = error.__traceback__
    while tb is not None and tb.tb_next is not None:
        if tb.tb_frame.f_globals.get("__name__") not in _MACHINERY:
            break
        tb = tb.tb_next
    return tb
