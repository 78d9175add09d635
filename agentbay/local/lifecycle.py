"""The states of sessions: pause, wake, keep and end them, and tell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from ..protocol import session_details as details
from ..protocol import sessions as actions
from ..protocol.session_details import StatusData
from ..protocol.sessions import SessionStatus
from ._dispatch import handles
from ._errors import EngineError
from .engine import Engine
from .session import LocalSession

# What begins in the background is waited for so long, in seconds: clients that look at once
# then see that it is done, and need not look a second time.
_PATIENCE = 1.0


@handles(details.GetSessionDetail)
async def get_detail(engine: Engine, call: details.GetSessionDetail) -> StatusData:
    session = engine.sessions.get(call.session_id)
    if session is None:
        return engine.finished.find(call.session_id)
    life = session.life
    return StatusData(life.status, session.image_id, session.session_id, life.end_reason)


@handles(actions.ReleaseSession)
async def release(engine: Engine, call: actions.ReleaseSession) -> None:
    await engine.begin_end(call.session_id, "Released").wait()


@handles(details.DeleteSession)
async def delete(engine: Engine, call: details.DeleteSession) -> None:
    gone = engine.begin_end(call.session_id, "Deleted")
    with anyio.move_on_after(_PATIENCE):
        await gone.wait()


@handles(details.RefreshIdleTime)
async def refresh_idle_time(engine: Engine, call: details.RefreshIdleTime) -> None:
    engine.session(call.session_id).life.keep_alive()


@handles(details.PauseSession)
async def pause(engine: Engine, call: details.PauseSession) -> None:
    session = engine.session(call.session_id)
    _expect(session, SessionStatus.RUNNING, SessionStatus.PAUSING, SessionStatus.PAUSED)
    await _begin(engine, session.life.pause)


@handles(details.ResumeSession)
async def resume(engine: Engine, call: details.ResumeSession) -> None:
    session = engine.session(call.session_id)
    _expect(session, SessionStatus.PAUSED, SessionStatus.RESUMING, SessionStatus.RUNNING)
    await _begin(engine, session.life.resume)


def _expect(session: LocalSession, *known: SessionStatus) -> None:
    if session.life.status not in known:
        reason = f"the session is {session.life.status.lower()}: try again when that is done"
        raise EngineError("IncorrectStatus", reason, status=409)


async def _begin(engine: Engine, work: Callable[[], Awaitable[None]]) -> None:
    """Do something in the background; the reply waits for it, but not long."""
    done = anyio.Event()

    async def run() -> None:
        try:
            await work()
        finally:
            done.set()

    engine.background(run)
    with anyio.move_on_after(_PATIENCE):
        await done.wait()
