"""What goes on behind callers that were cancelled or are out of time, so that nothing is left."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

from .. import _background as background
from .. import _left_over as left_over
from .._deadline import cleaning_up, time_left
from ..errors import RequestTimeoutError

T = TypeVar("T")

# Seconds that something goes on when nobody waits for it any more, so that its end is known.
_GRACE = 5.0

# Seconds for a clean-up at most; most of them have a shorter limit of their own.
_LONGEST = 60.0

# Seconds by which a caller waits longer: what it waits for knows better why it took too long.
_MOMENT = 0.1


class CleanUps:
    """The clean-ups of one client, each of them on the event loop of its caller.

    An event loop that ends gives each of them the time that it needs.
    """

    def __init__(self) -> None:
        self._under_way: set[_CleanUp] = set()

    async def taken(
        self,
        work: Callable[[], Awaitable[T]],
        undo: Callable[[], Awaitable[object]],
        *,
        limit: float,
        action: str,
        gone: Callable[[], object] = bool,
    ) -> T:
        """Do something, and undo it unless the caller takes the result.

        A caller that is cancelled or out of time goes on at once. In the background, what it
        began has a few seconds to end, and is undone.

        Args:
            work: What to do; it knows of no deadline.
            undo: Undoes what was done, if anything was. It may be called twice.
            limit: Seconds for the work.
            action: What errors call it.
            gone: Called after it was undone.

        Raises:
            RequestTimeoutError: The deadline is over.
            AgentBayError: What the work raised.
        """
        made = _Made(work, undo, limit, gone)
        if (left := time_left()) <= 0:
            made.leave()
        self._start(made)
        try:
            with anyio.move_on_after(min(limit, max(left, 0.0)) + _MOMENT):
                await made.ended.wait()
                if made.is_complete:
                    return made.take()
        finally:
            made.leave()
        raise RequestTimeoutError(
            f"{action}: the deadline is over", action=action, sent=made.is_begun
        )

    def start(self, undo: Callable[[], Awaitable[object]]) -> anyio.Event:
        """Undo something in the background; the event tells that it is done.

        Args:
            undo: It may be called twice.
        """
        clean_up = _CleanUp(undo)
        left_over.begun(clean_up)
        self._start(clean_up)
        return clean_up.done

    async def before(self, last: Callable[[], Awaitable[object]]) -> None:
        """Do something when all clean-ups of this event loop are done.

        A caller that is cancelled goes on at once; what it waits for is done all the same.
        """
        under_way = [one for one in self._under_way.copy() if one.is_left and one.is_here()]
        if not under_way:
            await last()
            return

        async def after() -> None:
            for one in under_way:
                await one.done.wait()
            await last()

        await self.start(after).wait()

    def _start(self, clean_up: _CleanUp) -> None:
        self._under_way.add(clean_up)

        async def run() -> None:
            try:
                await clean_up.run()
            finally:
                self._under_way.discard(clean_up)
                left_over.over(clean_up)
                clean_up.done.set()

        background.start(run)


class _CleanUp:
    """Something to be undone, in a task of its own.

    Attributes:
        is_left: Whether nobody waits any more for what it undoes.
        done: Set when it is undone.
    """

    is_left = True

    def __init__(self, undo: Callable[[], Awaitable[object]]) -> None:
        self._undo = undo
        self._loop = _current_loop()
        self.done = anyio.Event()

    def is_here(self) -> bool:
        """Whether it belongs to the event loop of the caller."""
        return self._loop is _current_loop()

    async def run(self) -> None:
        """Undo it, also when the event loop ends meanwhile."""
        try:
            await self._undone()
        except anyio.get_cancelled_exc_class():
            await self._undone()
            raise

    async def _undone(self) -> None:
        with cleaning_up(_LONGEST):
            await self._undo()


class _Made(_CleanUp, Generic[T]):
    """Something that is made in a task of its own, and undone if nobody takes it.

    Attributes:
        is_begun: Whether anything was done.
        ended: Set when it is made, or will not be.
    """

    is_left = False

    def __init__(
        self,
        work: Callable[[], Awaitable[T]],
        undo: Callable[[], Awaitable[object]],
        limit: float,
        gone: Callable[[], object],
    ) -> None:
        super().__init__(undo)
        self._work, self._limit, self._gone = work, limit, gone
        self._scope = anyio.CancelScope()
        self._result: list[T] = []
        self._error: Exception | None = None
        self._taken = False
        self._left = anyio.Event()
        self.ended = anyio.Event()
        self.is_begun = False

    @property
    def is_complete(self) -> bool:
        """Whether there is a result or an error."""
        return bool(self._result) or self._error is not None

    def take(self) -> T:
        """The result; raises the error of the work."""
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
            self._taken = True
            return self._result.pop()
        finally:
            del error  # which would be reachable from its own traceback

    def leave(self) -> None:
        """Wait no longer; what was not taken is undone."""
        if self.is_left:
            return
        self.is_left = True
        self._left.set()
        self._scope.deadline = min(self._scope.deadline, anyio.current_time() + _GRACE)
        if not self._taken:
            left_over.begun(self)

    async def run(self) -> None:
        """Make it, and wait until somebody took it or nobody will."""
        try:
            if not self.is_left:
                await self._make()
                await self._left.wait()
        finally:
            if not self._taken:
                await super().run()
                self._gone()

    async def _make(self) -> None:
        self.is_begun = True
        try:
            with cleaning_up(self._limit), self._scope:
                self._result.append(await self._work())
        except Exception as exc:  # noqa: BLE001 - raised by the caller, who waits in another task
            self._error = exc
        finally:
            self.ended.set()


def _current_loop() -> object:
    # Imported here because it takes its share of the import time.
    from anyio.lowlevel import current_token

    return current_token().native_token
