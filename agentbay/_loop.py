"""One event loop for all blocking calls of the process, and the tasks on it."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future, wait
from contextlib import suppress
from contextvars import Context
from typing import Any, Generic, Protocol, TypeVar, cast

import anyio

from ._outcome import Bell, Outcome

T = TypeVar("T")

# On Windows a wait for a lock does not notice Ctrl-C. Elsewhere the waits end now and then
# only to see whether the event loop is still there.
_POLL = 0.1 if sys.platform == "win32" else 1.0
_START_LIMIT = 30.0
# For the cleanup of what is cancelled, before the wait for it is given up.
GRACE = 5.0


class _Loop(Protocol):
    def call_soon_threadsafe(self, step: Callable[..., object], /, *args: Any) -> object: ...

    def create_task(self, work: Coroutine[Any, Any, None], /) -> Awaitable[None]: ...


class Bridge:
    """An event loop in a daemon thread, and the ways into it."""

    _loop: _Loop
    _stopping: anyio.Event
    _ended = False

    def __init__(self) -> None:
        self._ready: Future[None] = Future()
        # What is to end before the loop does.
        self._running: dict[Task[Any], Awaitable[None]] = {}
        # An empty context, because the loop must not look like part of its first caller's.
        self.thread = threading.Thread(
            target=Context().run, args=(self._run,), name="agentbay-sync", daemon=True
        )
        self.thread.start()

    def _run(self) -> None:
        try:
            anyio.run(self._serve, backend="asyncio")
        except BaseException as exc:  # the thread's boundary: told to its starter
            if not self._ready.done():
                self._ready.set_exception(exc)
            # Python 3.12 starts no thread while the interpreter ends, not even the one that
            # asyncio needs to end its name resolvers. All else is closed by then.
            elif not self._ended:
                raise

    async def _serve(self) -> None:
        # Imported here because a program that makes no call needs no more of anyio than it has.
        from anyio.lowlevel import current_token

        # The context of a caller may say that this is trio, and anyio would believe it.
        if (sniffio := cast(Any, sys.modules.get("sniffio"))) is not None:
            sniffio.thread_local.name = "asyncio"
        self._loop = cast(_Loop, current_token().native_token)
        self._stopping = anyio.Event()
        self._ready.set_result(None)
        await self._stopping.wait()
        running = dict(self._running)
        for task in running:
            task.stop()
        for ended in running.values():
            await ended
        self._ended = True

    def start(self, task: Task[Any]) -> None:
        """Start a task, in the caller's context."""
        if self.is_current():
            raise RuntimeError(
                "a blocking agentbay call on the event loop thread of agentbay would wait "
                "for itself: use the Async class there, or the method ending in _async"
            )
        self._ready.result(_START_LIMIT)
        self._loop.call_soon_threadsafe(self._begin, task)

    def _begin(self, task: Task[Any]) -> None:
        # A portal or a task group of anyio would double what a blocking call costs.
        self._running[task] = self._loop.create_task(self._whole(task))

    async def _whole(self, task: Task[Any]) -> None:
        try:
            await task.run()
        finally:
            del self._running[task]

    def poke(self, step: Callable[[], object]) -> None:
        """Run a function on the loop, without waiting for it; at once when already there."""
        if self.is_current():
            step()
        else:
            self._loop.call_soon_threadsafe(step)

    def is_current(self) -> bool:
        """Whether the caller runs on the loop."""
        return threading.current_thread() is self.thread

    def is_ready(self) -> bool:
        """Whether the loop has come up, or failed to."""
        return self._ready.done()

    def is_alive(self) -> bool:
        """Whether the loop runs; in a forked child the parent's does not."""
        return self.thread.is_alive()

    def stop(self) -> None:
        """Cancel what is still running, let clients close, and end the thread."""
        wait([self._ready], GRACE)
        if self._ready.done() and self._ready.exception() is None:
            with suppress(RuntimeError):  # the loop is closed already
                self.poke(self._stopping.set)
                self.thread.join(GRACE)


# Reentrant, because a signal handler may make a call while its own thread starts the loop.
_lock = threading.RLock()
_bridge: Bridge | None = None


def _current() -> Bridge:
    """The shared bridge, started on first use."""
    global _bridge
    with _lock:
        if _bridge is None or not _bridge.is_alive():
            _bridge = Bridge()
        return _bridge


# Registered on import: handlers that are registered later run earlier, and may make calls.
@atexit.register
def shutdown() -> None:
    """Stop the shared event loop; the next call starts another one."""
    global _bridge
    with _lock:
        bridge, _bridge = _bridge, None
    if bridge is not None and bridge.is_alive():
        bridge.stop()


def _forget() -> None:
    """A forked child inherits the bridge object and perhaps a held lock, but no thread."""
    global _lock, _bridge
    _lock, _bridge = threading.RLock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class Task(Generic[T]):
    """A coroutine on the shared event loop, and the blocking thread that waits for it."""

    def __init__(self, func: Callable[[], Awaitable[T]]) -> None:
        self._func = func
        self._bridge = _current()
        self._scope: anyio.CancelScope | None = None
        self.bell: Bell = Bell()
        self.outcome: Outcome[T] = Outcome(self.bell)

    def start(self) -> None:
        """Start the coroutine."""
        self._bridge.start(self)

    def poke(self, step: Callable[[], object]) -> None:
        """Run a function on the loop, without waiting for it."""
        self._bridge.poke(step)

    @property
    def lost(self) -> bool:
        """Whether the outcome will never arrive."""
        return not self._bridge.is_alive() and not self.outcome.is_there

    def block(self, step: Callable[[], object], until: Outcome[Any]) -> None:
        """Take a step, then wait for ``until`` or the end of the task.

        Whatever interrupts the wait (Ctrl-C, another signal handler) cancels the task.
        """
        try:
            self._check()
            if not self.outcome.is_there:
                step()
            while not (until.is_there or self.outcome.is_there):
                if not self.bell.wait(_POLL):
                    self._check()
        except BaseException:  # Ctrl-C, and what any signal handler raises
            self.cancel()
            raise

    def cancel(self) -> None:
        """Cancel the coroutine and wait, within limits, until it has cleaned up."""
        if self.outcome.is_there or self.lost or not self._bridge.is_ready():
            return
        with suppress(RuntimeError):  # the loop is closed already
            self._bridge.poke(self.stop)
        if not self._bridge.is_current():  # a finalizer may run anywhere
            self.outcome.wait(GRACE)

    def stop(self) -> None:
        """Cancel the coroutine, or keep it from being started; on the loop only."""
        if self._scope is not None:
            self._scope.cancel()
        elif not self.outcome.is_there:
            self._fail_as_cancelled()

    async def run(self) -> None:
        """Do the work and hand over what comes of it, errors too; on the loop only."""
        if self.outcome.is_there:
            return
        try:
            with anyio.CancelScope() as self._scope:
                self.outcome.put(await self._func())
        except BaseException as exc:  # noqa: BLE001 - what reached the loop would end it
            if not isinstance(exc, anyio.get_cancelled_exc_class()):
                self.outcome.fail(exc)  # for the caller only
        if not self.outcome.is_there:
            self._fail_as_cancelled()

    def _check(self) -> None:
        if self.lost:
            raise RuntimeError(
                "the event loop of this blocking call has stopped, or a fork left it behind "
                "in the parent process"
            )

    def _fail_as_cancelled(self) -> None:
        self.outcome.fail(RuntimeError("the call was cancelled"))
