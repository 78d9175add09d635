"""A moment at which everything inside a block is to be over."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Generator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Self, TypeVar

import anyio

from .errors import InvalidInputError, RequestTimeoutError

T = TypeVar("T")

# Seconds that requests have to tell that they were not done in time.
_GRACE = 0.2

# Seconds that an answer of a session may take on its way.
_RESERVE = 0.5

# By the clock of the machine, which all threads and event loops share.
_ends: ContextVar[float] = ContextVar("agentbay_deadline", default=math.inf)


class Deadline:
    """Limits the time of every call inside a block, all of them together.

    A call that is not done by then fails as it does when its own time limit is over; later calls
    in the block fail before anything is sent. Of two such blocks, one inside the other, the
    earlier end counts. Programs in a session are told what is left, so that they end, too.

    Args:
        seconds: From the beginning of the block, 0 or more.

    Raises:
        InvalidInputError: `seconds` is no number, below 0 or without end.

    Example:
        ```python
        with bay.deadline(30):
            session.command.run("make")
            session.command.run("make test")
        ```
    """

    def __init__(self, seconds: float) -> None:
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(f"a deadline is a number of seconds, not {seconds!r}")
        if not 0 <= seconds < math.inf:
            raise InvalidInputError(f"a deadline must be 0 or more seconds, not {seconds!r}")
        self._seconds = float(seconds)
        self._end = math.inf
        self._tokens: list[Token[float]] = []

    def __repr__(self) -> str:
        return f"Deadline({self._seconds:g})"

    @property
    def remaining(self) -> float:
        """Seconds that are left; 0 when it is over, all of them before the block begins."""
        if self._end == math.inf:
            return self._seconds
        return max(0.0, self._end - time.monotonic())

    def __enter__(self) -> Self:
        self._end = min(time.monotonic() + self._seconds, _ends.get())
        self._tokens.append(_ends.set(self._end))
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        _ends.reset(self._tokens.pop())

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.__exit__(exc_type, exc, tb)


def time_left() -> float:
    """Seconds until the deadline around the caller; infinite when there is none."""
    return _ends.get() - time.monotonic()


def within(timeout: float, what: str) -> float:
    """A time limit, or what the deadline around the caller leaves of it.

    Raises:
        RequestTimeoutError: The deadline is over; nothing was sent.
    """
    left = time_left()
    if left <= 0:
        raise RequestTimeoutError(f"{what}: the deadline is over", action=what, sent=False)
    return min(timeout, left)


def for_the_session(limit: float) -> float:
    """A time limit that a session is told, so that its answer comes before the deadline."""
    left = time_left()
    return limit if left == math.inf else min(limit, max(left - _RESERVE, 0.001))


def in_time(work: Awaitable[T]) -> Awaitable[T]:
    """Wait for something, and not much longer than the deadline around the caller allows.

    Requests end by themselves at the deadline, and tell what came until then; what they leave
    are pauses between two of them.

    Raises:
        RequestTimeoutError: The deadline is over.
    """
    return work if time_left() == math.inf else _limited(work)


async def _limited(work: Awaitable[T]) -> T:
    with anyio.move_on_after(max(0.0, time_left()) + _GRACE):
        return await work
    raise RequestTimeoutError("the deadline is over")


@contextmanager
def cleaning_up(seconds: float) -> Generator[anyio.CancelScope]:
    """Some time for what must be done although the caller is cancelled or out of time."""
    token = _ends.set(math.inf)
    try:
        with anyio.move_on_after(seconds, shield=True) as scope:
            yield scope
    finally:
        _ends.reset(token)
