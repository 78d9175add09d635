"""The life of one session: pause and wake it, keep it, and ask how it is.

`AsyncSession` has a method for each of these functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import attrs

from .._results.base import reported
from .._results.lifecycle import (
    SessionMetricsResult,
    SessionPauseResult,
    SessionResumeResult,
    SessionStatusResult,
)
from .._results.sessions import McpTool, OperationResult
from ..errors import (
    APIError,
    InvalidInputError,
    ProtocolError,
    RateLimitError,
    SessionError,
    TransportError,
)
from ..protocol import sessions as actions
from ..protocol._wire import WireError, from_json
from ..protocol.metrics import GetMetrics

if TYPE_CHECKING:
    from .session import AsyncSession

_FIRST_PAUSE, _GROWTH = 0.1, 1.5

# States that a session may be seen in on its way to another. That which it comes from is one
# of them, because the service may answer before it has changed the state.
_ON_THE_WAY = ("", "RUNNING", "PAUSING", "PAUSED", "RESUMING")


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
    _check_limits(timeout, poll_interval)
    reply = await session.get_client().send(actions.PauseSession(session.session_id))
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
    _check_limits(timeout, poll_interval)
    reply = await session.get_client().send(actions.ResumeSession(session.session_id))
    data = await _until(session, "RUNNING", timeout, poll_interval, reply.request_id)
    _renew(session, data)
    return SessionResumeResult(reply.request_id, True, "RUNNING")


@reported(OperationResult[None])
async def keep_alive(session: AsyncSession) -> OperationResult[None]:
    """Begin the time anew after which the service ends an unused session."""
    reply = await session.get_client().send(actions.RefreshIdleTime(session.session_id))
    return OperationResult(reply.request_id, True)


@reported(SessionStatusResult)
async def get_status(session: AsyncSession) -> SessionStatusResult:
    """Tell what state a session is in, such as ``RUNNING``; ``FINISH`` after it ended."""
    reply = await session.get_client().send(actions.GetSessionDetail(session.session_id))
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


def _check_limits(timeout: float, poll_interval: float) -> None:
    for name, value in (("timeout", timeout), ("poll_interval", poll_interval)):
        if not value > 0:
            raise InvalidInputError(f"{name} must be positive, in seconds, not {value!r}")


async def _until(
    session: AsyncSession, wanted: str, timeout: float, poll_interval: float, request_id: str
) -> actions.SessionData:
    """Wait for a state; the last one that was seen goes with the error.

    Raises:
        SessionError: The session took another way, or the time was not enough.
    """
    seen, wait = "", min(_FIRST_PAUSE, poll_interval)
    facts = {"request_id": request_id}
    try:
        with anyio.fail_after(timeout):
            while True:
                data = await _look(session)
                if data is not None and data.status == wanted:
                    return data
                seen = seen if data is None else data.status
                if seen not in _ON_THE_WAY:
                    reason = f"the session is {seen}, and will not be {wanted}"
                    raise SessionError(reason, status=seen, **facts)
                await anyio.sleep(wait)
                wait = min(wait * _GROWTH, poll_interval)
    except TimeoutError as exc:
        reason = f"the session is not {wanted} after {timeout:g} s, but {seen or 'unknown'}"
        raise SessionError(reason, status=seen, **facts) from exc


async def _look(session: AsyncSession) -> actions.SessionData | None:
    """What the service tells about the session; None when it should be asked again."""
    try:
        return (await session.get_client().send(actions.GetSession(session.session_id))).value
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
