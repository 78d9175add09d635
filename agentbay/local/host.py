"""The engine inside the user's process, on a thread of its own; `server` has the other one."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import anyio

from ._web import create_app
from .engine import EngineOptions, engine_running

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

Message = MutableMapping[str, Any]
App = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]

_log = logging.getLogger(__name__)

_START_LIMIT = 60.0
# Seconds for sessions to end, and their contexts to be saved, when the process ends.
_STOP_LIMIT = 60.0


class EngineHost:
    """An engine on an event loop and a thread of its own.

    Attributes:
        app: The engine as an application; it runs on the loop of the host only.
        portal: Leads to that loop.
    """

    app: App
    portal: BlockingPortal

    def __init__(self, options: EngineOptions) -> None:
        self._ready: Future[None] = Future()
        self._ended = False
        self._thread = threading.Thread(
            target=self._run, args=(options,), name="agentbay-engine", daemon=True
        )
        self._thread.start()
        self._ready.result(_START_LIMIT)

    @property
    def running(self) -> bool:
        """Whether the engine answers."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End all sessions, saving their contexts, and stop."""
        if not self.running:
            return
        self.portal.start_task_soon(self._stop)
        self._thread.join(_STOP_LIMIT)

    async def _stop(self) -> None:
        self._stopped.set()

    def _run(self, options: EngineOptions) -> None:
        try:
            anyio.run(self._serve, options)
        except BaseException as exc:  # noqa: BLE001 - the thread's boundary: told to its starter
            if not self._ready.done():
                self._ready.set_exception(exc)
            elif not self._ended:  # what asyncio does after that may fail: see `_loop.Bridge`
                _log.exception("the local engine ended")

    async def _serve(self, options: EngineOptions) -> None:
        from anyio.from_thread import BlockingPortal

        self._stopped = anyio.Event()
        # The portal is the inner one: what still comes through it ends before the sessions do.
        async with engine_running(options) as engine, BlockingPortal() as self.portal:
            self.app = create_app(engine)
            self._ready.set_result(None)
            await self._stopped.wait()
            await self.portal.stop(cancel_remaining=True)
        self._ended = True


_lock = threading.Lock()
_embedded: EngineHost | None = None


def running_host() -> EngineHost | None:
    """The engine inside this process, if it runs."""
    host = _embedded
    return host if host is not None and host.running else None


def embedded_host() -> EngineHost:
    """The engine inside this process; started when it is first asked for."""
    global _embedded
    with _lock:
        if _embedded is None or not _embedded.running:
            _embedded = EngineHost(EngineOptions.from_environment())
        return _embedded


@atexit.register
def stop_embedded() -> None:
    """End the engine inside this process; sessions end with it, contexts stay."""
    global _embedded
    with _lock:
        host, _embedded = _embedded, None
    if host is not None:
        host.stop()


def _forget() -> None:
    """A forked child has the engine's objects and not its thread; sessions are the parent's."""
    global _lock, _embedded
    _lock, _embedded = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
