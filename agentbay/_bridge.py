"""Run coroutines from blocking code, on one event loop that the whole process shares.

Everything that the generated classes in `_sync` do goes through the functions here: `call`,
`iterate`, `enter`, `mapped` and `as_async`.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Generic, ParamSpec, TypeVar

import anyio

from . import _loop
from ._loop import Task, shutdown
from ._outcome import Outcome

__all__ = ["as_async", "call", "enter", "iterate", "mapped", "shutdown"]

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")
ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


def call(func: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``func(*args, **kwargs)`` on the shared event loop and block until it is done.

    Ctrl-C cancels the coroutine, waits a few seconds at most for its cleanup, and propagates.

    Raises:
        RuntimeError: The caller runs on the shared event loop itself.
    """
    task = Task(partial(func, *args, **kwargs))
    task.block(task.start, task.outcome)
    return task.outcome.result()


def iterate(stream: AsyncIterator[T]) -> Iterator[T]:
    """Drive an async iterator from blocking code; an abandoned iterator is closed."""
    pump = _Pump(stream)
    task = Task(pump.run)
    step: Callable[[], object] = task.start
    try:
        while True:
            item = pump.item = Outcome[T](task.bell)
            task.block(step, item)
            if not item.is_there:
                task.outcome.result()
                return
            yield item.result()
            step = partial(task.poke, pump.advance)
    finally:
        task.cancel()


def enter(manager: AbstractAsyncContextManager[T]) -> AbstractContextManager[T]:
    """Use an async context manager from blocking code, inside one task.

    Ctrl-C while entering cancels the entry, and Ctrl-C before the body starts leaves the
    manager again, so that nothing is created behind the caller's back.
    """
    return _Entered(manager)


@asynccontextmanager
async def mapped(
    manager: AbstractAsyncContextManager[T], wrap: Callable[[T], R]
) -> AsyncGenerator[R, None]:
    """Apply ``wrap`` to what an async context manager yields."""
    async with manager as value:
        yield wrap(value)


def as_async(callback: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    """Let async code await a blocking callback in a worker thread."""

    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        from anyio import to_thread

        return await to_thread.run_sync(partial(callback, *args, **kwargs))

    return run


class _Pump(Generic[T]):
    """Steps an async iterator in one task, so that it may hold cancel scopes across items."""

    item: Outcome[T]
    _wanted: anyio.Event

    def __init__(self, stream: AsyncIterator[T]) -> None:
        self._stream = stream

    def advance(self) -> None:
        """Let the next item be made."""
        self._wanted.set()

    async def run(self) -> None:
        """Make the items, one for each time that one is wanted."""
        with anyio.CancelScope() as scope:
            try:
                async for item in self._stream:
                    self._wanted = anyio.Event()
                    self.item.put(item)
                    await self._wanted.wait()
            finally:
                _shield(scope)
                close = getattr(self._stream, "aclose", None)  # only generators have it
                if close is not None:
                    await close()


class _Entered(AbstractContextManager[T]):
    def __init__(self, manager: AbstractAsyncContextManager[T]) -> None:
        self._hold = _Hold(manager)
        self._task: Task[bool | None] | None = None

    def __enter__(self) -> T:
        task = self._task = Task(self._hold.run)
        value = self._hold.value = Outcome(task.bell)
        try:
            task.block(task.start, value)
            if not value.is_there:
                task.outcome.result()
            return value.result()
        except BaseException:  # Ctrl-C too: what was entered is left again
            task.cancel()
            raise

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> bool | None:
        task = self._task
        if task is None or task.lost:  # what was entered belongs to the parent of this process
            return None
        self._hold.exc = exc_type, exc, tb
        task.block(partial(task.poke, self._hold.leave), task.outcome)
        return task.outcome.result()

    def __del__(self) -> None:
        # Ctrl-C can come after `__enter__` and before the block, where nothing can catch it.
        if self._task is not None:
            self._task.cancel()


class _Hold(Generic[T]):
    """Enters and leaves an async context manager in one task.

    The task refers to this object and not to the blocking manager, so that an abandoned
    blocking manager is noticed.
    """

    value: Outcome[T]
    _left: anyio.Event

    def __init__(self, manager: AbstractAsyncContextManager[T]) -> None:
        self._manager = manager
        self.exc: ExcInfo = (None, None, None)

    def leave(self) -> None:
        """Let the task leave the manager."""
        self._left.set()

    async def run(self) -> bool | None:
        """Enter, wait, leave; whether the manager swallows the error of the body."""
        self._left = anyio.Event()
        with anyio.CancelScope() as scope:
            value = await self._manager.__aenter__()
            self.value.put(value)
            try:
                await self._left.wait()
            except BaseException:  # cancelled too: what was entered is left, whatever stopped it
                # Interrupted before the body ran, or the program ends in the middle of it.
                _shield(scope)
                await self._manager.__aexit__(*sys.exc_info())
                raise
            return await self._manager.__aexit__(*self.exc)
        return None


def _shield(scope: anyio.CancelScope) -> None:
    """Give cleanup a moment although the task is cancelled.

    The scope has to be older than those that an iterator or a context manager holds open: a
    younger one would still be open when the cleanup closes them, which is an error.
    """
    scope.shield = True
    scope.deadline = anyio.current_time() + _loop.GRACE
