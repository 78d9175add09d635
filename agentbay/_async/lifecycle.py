"""The life of one session: pause and wake it, keep it, and ask how it is.

`AsyncSession` has a method for each of these functions.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import anyio
import attrs

from .._results.base import reported
from .._results.lifecycle import (
    SessionMetricsResult,
    SessionPauseResult,
    SessionResumeResult,
    SessionStatusResult,
)
from .._results.sessions import DeleteResult, McpTool, OperationResult
from ..errors import (
    AgentBayError,
    APIError,
    InvalidInputError,
    ProtocolError,
    RateLimitError,
    SessionError,
    SessionNotFoundError,
    TransportError,
)
from ..protocol import session_details as details
from ..protocol import sessions as actions
from ..protocol._calls import Action
from ..protocol._checks import check_times
from ..protocol._wire import WireError, from_json
from ..protocol.metrics import GetMetrics
from ._pauses import pauses
from ._session_core import SessionCore

if TYPE_CHECKING:
    from .session import AsyncSession

T = TypeVar("T")

_log = logging.getLogger(__name__)

# Seconds: the service may save the session's contexts before it answers.
_RELEASE_LIMIT = 300.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0
_NOT_OFFERED = "InvalidAction.NotFound"
_ENDED = "FINISH"

# States that a session may be seen in on its way to another. That which it comes from is one
# of them, because the service may answer before it has changed the state.
_ON_THE_WAY = ("", "RUNNING", "PAUSING", "PAUSED", "RESUMING")


@reported(DeleteResult)
async def end(session: AsyncSession, sync_context: bool) -> DeleteResult:
    """End a session; one that is gone has ended.

    Args:
        session: Which session.
        sync_context: Upload its contexts first, and wait for that.
    """
    _check(session)
    sync_error = await _sync_before_end(session, sync_context)
    try:
        request_id = await _release(session)
    except SessionNotFoundError as exc:
        request_id = exc.request_id
    finally:
        await session._disconnect()
    session.get_agent_bay()._ended(session.session_id)
    if (browser := vars(session).get("browser")) is not None:  # one that was used
        browser._ended()
    return DeleteResult(request_id, True, sync_error=sync_error)


@reported(SessionPauseResult)
async def pause(
    session: AsyncSession, timeout: float = 600, poll_interval: float = 2.0
) -> SessionPauseResult:
    """Pause a session, and wait until it is paused.

    Args:
        session: Which session.
        timeout: Seconds to wait.
        poll_interval: Seconds between two looks at the state; the first ones come sooner.
    """
    _check(session)
    check_times(timeout=timeout, poll_interval=poll_interval)
    reply = await session.get_client().send(details.PauseSession(session.session_id))
    await _until(session, "PAUSED", timeout, poll_interval, reply.request_id)
    return SessionPauseResult(reply.request_id, True, "PAUSED")


@reported(SessionResumeResult)
async def resume(
    session: AsyncSession, timeout: float = 600, poll_interval: float = 2.0
) -> SessionResumeResult:
    """Wake a paused session, and wait until it runs.

    The session's addresses and credentials are those that it has after that.

    Args:
        session: Which session.
        timeout: Seconds to wait.
        poll_interval: Seconds between two looks at the state; the first ones come sooner.
    """
    _check(session)
    check_times(timeout=timeout, poll_interval=poll_interval)
    reply = await session.get_client().send(details.ResumeSession(session.session_id))
    data = await _until(session, "RUNNING", timeout, poll_interval, reply.request_id)
    _renew(session, data)
    return SessionResumeResult(reply.request_id, True, "RUNNING")


def _check(session: object) -> None:
    if not isinstance(session, SessionCore):
        raise InvalidInputError(
            f"session must be a session, not {session!r:.80}: `get` finds one by its identifier"
        )


@reported(OperationResult[None])
async def keep_alive(session: AsyncSession) -> OperationResult[None]:
    """Begin the time anew after which the service ends an unused session."""
    reply = await session.get_client().send(details.RefreshIdleTime(session.session_id))
    return OperationResult(reply.request_id, True)


@reported(SessionStatusResult)
async def get_status(session: AsyncSession) -> SessionStatusResult:
    """Tell what state a session is in, such as ``RUNNING``; ``FINISH`` after it ended."""
    reply = await session.get_client().send(details.GetSessionDetail(session.session_id))
    return SessionStatusResult(reply.request_id, True, reply.value.status)


@reported(SessionMetricsResult)
async def get_metrics(
    session: AsyncSession,
    read_timeout: float | None = None,
    connect_timeout: float | None = None,
) -> SessionMetricsResult:
    """Tell how much of its machine a session uses.

    Args:
        session: Which session.
        read_timeout: Seconds to wait for the answer; the client's limit by default.
        connect_timeout: Seconds to wait for the connection.
    """
    call = GetMetrics()
    result = await session.call_mcp_tool(call.tool, {}, read_timeout, connect_timeout)
    text = result.unwrap()
    try:
        return SessionMetricsResult(result.request_id, True, call.read(text), from_json(text))
    except WireError as exc:
        raise ProtocolError(
            f"{call.tool}: unexpected answer: {exc}", request_id=result.request_id
        ) from exc


async def _sync_before_end(session: AsyncSession, everything: bool) -> AgentBayError | None:
    recording = session.record_context_id if session.enableBrowserReplay else None
    if not everything and recording is None:
        return None
    result = await session.context.sync(None if everything else recording)
    if result.success or isinstance(result.error, SessionNotFoundError):
        return None
    _log.debug("session %s is deleted unsynced: %s", session.session_id, result.error_message)
    return result.error


async def _release(session: AsyncSession) -> str:
    """End a session in one request, or in the way of services that no longer have that one."""
    client = session.get_client()
    try:
        release = actions.ReleaseSession(session.session_id)
        return (await client.send(release, timeout=_RELEASE_LIMIT)).request_id
    except APIError as exc:
        if exc.code != _NOT_OFFERED:
            raise
    reply = await client.send(details.DeleteSession(session.session_id))
    try:
        with anyio.fail_after(_RELEASE_LIMIT):
            await _ended(session)
    except TimeoutError as exc:
        reason = f"the session has not ended after {_RELEASE_LIMIT:g} s"
        raise SessionError(reason, request_id=reply.request_id) from exc
    return reply.request_id


async def _ended(session: AsyncSession) -> None:
    call = details.GetSessionDetail(session.session_id)
    with suppress(SessionNotFoundError):
        for pause in pauses(_FIRST_PAUSE, _LONGEST_PAUSE):
            found = await _ask(session, call)
            if found is not None and found.status == _ENDED:
                return
            await anyio.sleep(pause)


async def _until(
    session: AsyncSession, wanted: str, timeout: float, poll_interval: float, request_id: str
) -> actions.SessionData:
    """Wait for a state; the last one that was seen goes with the error.

    Raises:
        SessionError: The session took another way, or the time was not enough.
    """
    seen, waits = "", pauses(_FIRST_PAUSE, poll_interval)
    facts = {"request_id": request_id}
    try:
        with anyio.fail_after(timeout):
            while True:
                data = await _ask(session, actions.GetSession(session.session_id))
                if data is not None and data.status == wanted:
                    return data
                seen = seen if data is None else data.status
                if seen not in _ON_THE_WAY:
                    reason = f"the session is {seen}, and will not be {wanted}"
                    raise SessionError(reason, status=seen, **facts)
                await anyio.sleep(next(waits))
    except TimeoutError as exc:
        reason = f"the session is not {wanted} after {timeout:g} s, but {seen or 'unknown'}"
        raise SessionError(reason, status=seen, **facts) from exc


async def _ask(session: AsyncSession, call: Action[T]) -> T | None:
    """What the service tells about the session; None when it should be asked again."""
    try:
        return (await session.get_client().send(call)).value
    except (TransportError, RateLimitError):
        return None
    except APIError as exc:
        if exc.status_code < 500:
            raise
        return None


def _renew(session: AsyncSession, data: actions.SessionData) -> None:
    """Take over what a session was told anew, and keep the rest."""
    told = attrs.asdict(data, recurse=False)
    changes = {name: value for name, value in told.items() if value not in (None, "", [])}
    session._data = attrs.evolve(session._data, **changes)
    if data.tool_list:
        session._mcp_tools = [McpTool(tool.name, server=tool.server) for tool in data.tool_list]
