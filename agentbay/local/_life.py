"""What state a session is in, what uses it, and until when it lives."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Generator
from typing import Any

import anyio
import attrs
from anyio import current_time

from ..protocol.sessions import SessionStatus
from ._errors import EngineError
from .sandbox import Sandbox

# Seconds that calls which are under way get to end before the session is frozen.
_DRAIN_LIMIT = 5.0
_FREEZE_LIMIT = 30.0
# A link or a stream that is open counts as use, and is looked for this often.
_LOOK_INTERVAL = 1.0

_MINUTE = 60.0


@attrs.frozen
class Lifetime:
    """When a session ends by itself, in seconds; infinity for never.

    Attributes:
        idle: After so long without use.
        maximum: After so long in any case.
    """

    idle: float = math.inf
    maximum: float = math.inf

    @classmethod
    def asked(cls, timeout: int | None, max_runtime: int | None, manual: bool | None) -> Lifetime:
        """Read the limits of a request.

        A policy sends both, in minutes. An idle time that comes alone is one of the older
        kind, in seconds.

        Raises:
            EngineError: A limit is not positive, or there are some for a session without.
        """
        given = [limit for limit in (timeout, max_runtime) if limit is not None]
        if manual and given:
            raise EngineError("InvalidParameter", "ManualRelease must come without limits")
        if any(limit <= 0 for limit in given):
            raise EngineError("InvalidParameter", "Timeout and MaxRuntime must be positive")
        unit = 1.0 if max_runtime is None else _MINUTE
        return cls((timeout or math.inf) * unit, (max_runtime or math.inf) * _MINUTE)


class Life:
    """The life of one session; it belongs to the event loop of the engine.

    Attributes:
        status: What the service calls its state.
        used: Whether anything used the session: before that there is nothing to save.
        gone: Set once the session has ended.
        end_reason: Why the session ends, for those who ask.
    """

    def __init__(self, sandbox: Sandbox, lifetime: Lifetime) -> None:
        self.status: SessionStatus = SessionStatus.RUNNING
        self.used: bool = False
        self.gone: anyio.Event = anyio.Event()
        self.end_reason: str = ""
        self._sandbox = sandbox
        self._lifetime = lifetime
        self._begin = self._last_use = current_time()
        self._uses = 0
        self._unused = anyio.Event()
        self._changing = anyio.Lock()
        self._timer = anyio.CancelScope()

    @contextlib.contextmanager
    def use(self) -> Generator[None]:
        """Use the session: it does not count as idle meanwhile, and is not frozen at once.

        Raises:
            EngineError: The session is paused, or about to end.
        """
        self.check()
        self._uses += 1
        self.used = True
        try:
            yield
        finally:
            self._uses -= 1
            self.keep_alive()
            if not self._uses:
                self._unused.set()
                self._unused = anyio.Event()

    def check(self) -> None:
        """Refuse to use a session that does not run.

        Raises:
            EngineError: The session is paused, or about to end.
        """
        if self.status in (SessionStatus.DELETING, SessionStatus.DELETED):
            raise not_found()
        if self.status is not SessionStatus.RUNNING:
            state = self.status.lower()
            reason = f"session {self._sandbox.session_id} is {state}: resume it to use it"
            raise EngineError("SessionPaused", reason, status=409)

    def keep_alive(self) -> None:
        """Begin the idle time anew."""
        self._last_use = current_time()

    async def pause(self) -> None:
        """Freeze every process, once the calls that are under way have ended or take long.

        Raises:
            EngineError: The session is about to end, or has died.
            ToolFailure: A process cannot be stopped; the session goes on.
        """
        async with self._changing:
            if self.status is SessionStatus.PAUSED:
                return
            self._move(SessionStatus.RUNNING, SessionStatus.PAUSING)
            with anyio.move_on_after(_DRAIN_LIMIT):
                while self._uses:
                    await self._unused.wait()
            await self._call("freeze", SessionStatus.PAUSED, SessionStatus.RUNNING)

    async def resume(self) -> None:
        """Let every process go on where it was.

        Raises:
            EngineError: The session is about to end, or has died.
        """
        async with self._changing:
            if self.status is SessionStatus.RUNNING:
                return
            self._move(SessionStatus.PAUSED, SessionStatus.RESUMING)
            await self._call("thaw", SessionStatus.RUNNING, SessionStatus.PAUSED)
            self.keep_alive()

    def begin_end(self, reason: str) -> bool:
        """Let nothing use the session any more; False if it is about to end already."""
        if self.status is SessionStatus.DELETING:
            return False
        self.status, self.end_reason = SessionStatus.DELETING, reason
        self._timer.cancel()
        return True

    def ended(self) -> None:
        """Tell those who wait that the session is gone."""
        self.status = SessionStatus.DELETED
        self.gone.set()

    async def time_up(self, in_use: Callable[[], bool]) -> str | None:
        """Wait until the session has to end; why, or None when it ended otherwise.

        Args:
            in_use: Whether something is open that counts as use.
        """
        with self._timer:
            while True:
                now = current_time()
                if self._uses or self.status is not SessionStatus.RUNNING or in_use():
                    self._last_use = now
                if now >= self._begin + self._lifetime.maximum:
                    return "MaxRuntime"
                if now >= self._last_use + self._lifetime.idle:
                    return "IdleTimeout"
                await anyio.sleep(self._wait(now))
        return None

    def _wait(self, now: float) -> float:
        """Seconds until the next look."""
        idle = self._last_use + self._lifetime.idle
        until = min(self._begin + self._lifetime.maximum, idle)
        # What is open is noticed by looking: its end begins the idle time.
        return min(until - now, _LOOK_INTERVAL) if idle < math.inf else until - now

    @property
    def limited(self) -> bool:
        """Whether the session ends by itself."""
        return min(self._lifetime.idle, self._lifetime.maximum) < math.inf

    def _move(self, before: SessionStatus, after: SessionStatus) -> None:
        if self.status is not before:
            if self.status in (SessionStatus.DELETING, SessionStatus.DELETED):
                raise not_found()
            raise EngineError("IncorrectStatus", f"the session is {self.status.lower()}")
        self.status = after

    async def _call(self, operation: str, done: SessionStatus, failed: SessionStatus) -> None:
        outcome, arguments = failed, dict[str, Any]()
        try:
            await self._sandbox.call(operation, arguments, time_limit=_FREEZE_LIMIT)
            outcome = done
        finally:
            # Meanwhile the session may have been asked to end.
            if self.status in (SessionStatus.PAUSING, SessionStatus.RESUMING):
                self.status = outcome


def not_found() -> EngineError:
    """The error about a session that is not there."""
    return EngineError("InvalidMcpSession.NotFound", "Resource [McpSession] is not found.")
