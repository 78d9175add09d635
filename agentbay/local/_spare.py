"""A sandbox that is ready before somebody asks for it.

It takes longer to start one than to do anything else that a session begins with. A program that
has made two sessions is likely to make more of them, so one is kept ready from then on. It has
never been used, and holds nothing of any session: its files are those that every session starts
with. Idle it is three small processes; it goes when nobody has asked for a session for a while.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio

from ._errors import EngineError
from .sandbox import Sandbox

_log = logging.getLogger(__name__)

# Programs that make so many sessions are likely to make another one.
_FIRST = 2
# Seconds that what the session does first has the machine to itself.
_PAUSE = 0.05
# Seconds that one is kept ready, from the last session on.
_KEPT = 300.0


class Spare:
    """Keeps one sandbox ready for the next session; belongs to the event loop of the engine.

    Args:
        start: Starts a sandbox.
    """

    def __init__(self, start: Callable[[], Awaitable[Sandbox]]) -> None:
        self._start = start
        self._sessions = 0
        self._ready: Sandbox | None = None
        self._wanted = anyio.Event()
        self._building: anyio.Event | None = None
        self._hurry = anyio.Event()
        self._expected = False
        self._work = anyio.CancelScope()

    async def keep(self) -> None:
        """Start one whenever it is wanted, until `stop`; nothing is left of it then."""
        try:
            with self._work:
                while True:
                    await self._wanted.wait()
                    self._wanted = anyio.Event()
                    if self._ready is None:
                        await self._build()
                    with anyio.move_on_after(_KEPT) as time:
                        await self._wanted.wait()
                    if time.cancelled_caught:
                        await self._drop()
        finally:
            await self._drop()

    def stop(self) -> None:
        """Let go of what is ready, and start no other."""
        self._work.cancel()

    def want(self) -> None:
        """Say that a session was made: another one may follow."""
        self._sessions += 1
        if self._sessions >= _FIRST:
            self._wanted.set()

    async def take(self) -> Sandbox | None:
        """The sandbox that is ready, or soon will be; None when there is none."""
        if self._building is not None and not self._expected:
            self._expected = True  # others start their own: this one is for who came first
            self._hurry.set()
            try:
                await self._building.wait()
            finally:
                self._expected = False
        elif self._expected:
            return None
        sandbox, self._ready = self._ready, None
        if sandbox is not None and not sandbox.alive:
            await sandbox.close()
            return None
        return sandbox

    async def _build(self) -> None:
        built = self._building = anyio.Event()
        self._hurry = anyio.Event()
        try:
            with anyio.move_on_after(_PAUSE):
                await self._hurry.wait()
            self._ready = await self._start()
        except (EngineError, OSError) as exc:
            # Whoever needs a sandbox is told when there is none.
            _log.debug("no sandbox could be made ready: %s", exc)
        finally:
            self._building = None
            built.set()

    async def _drop(self) -> None:
        sandbox, self._ready = self._ready, None
        if sandbox is not None:
            await sandbox.close()
