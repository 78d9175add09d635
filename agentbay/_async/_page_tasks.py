"""Wait for the result of a task that was started on a page."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

import anyio

from .._transport import Reply
from ..errors import (
    AgentBayError,
    AuthenticationError,
    BrowserTimeoutError,
    SessionNotFoundError,
    ToolError,
)
from ._pauses import pauses

if TYPE_CHECKING:
    from ..protocol._calls import Tool
    from .session import AsyncSession

T = TypeVar("T")

# Seconds between two questions: at first, and at most.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 3.0

# Seconds for one question: at most, and at least when little is left of the time to wait.
_LOOK_LIMIT, _LEAST_LOOK = 30.0, 2.0

# How often in a row a question may fail.
_FAILURES = 5

# After these, no further question is answered.
_HOPELESS = (AuthenticationError, SessionNotFoundError)


async def result_of(
    session: AsyncSession,
    task_id: str,
    question: Tool[T | None],
    *,
    limit: float,
    refusals: int = _FAILURES,
) -> Reply[T]:
    """Ask until there is a result.

    Args:
        session: Where the task runs.
        task_id: Which task it is, for the error.
        question: The call that asks; None is no result.
        limit: Seconds to wait.
        refusals: How often in a row the tool may refuse to tell, before it has told once that
            there is no result yet.

    Raises:
        BrowserTimeoutError: There is none in time.
        AgentBayError: It was asked for too often in vain; this is the last failure.
    """
    deadline, failures = time.monotonic() + limit, 0
    last: AgentBayError | None = None
    waits = pauses(_FIRST_PAUSE, _LONGEST_PAUSE)
    while (left := deadline - time.monotonic()) > 0:
        await anyio.sleep(min(next(waits), left))
        look = min(_LOOK_LIMIT, max(_LEAST_LOOK, deadline - time.monotonic()))
        try:
            reply = await session._call(question, timeout=look)
        except AgentBayError as exc:
            if not failures:
                waits = pauses(
                    _FIRST_PAUSE, _LONGEST_PAUSE
                )  # it may have ended, which should be told soon
            last, failures = exc, failures + 1
            most = refusals if isinstance(exc, ToolError) else _FAILURES
            if isinstance(exc, _HOPELESS) or failures >= most:
                raise
            continue
        if reply.value is not None:
            return Reply(reply.value, reply.request_id)
        # A tool that says in this way that there is no result yet does not refuse to say so.
        last, failures, refusals = None, 0, _FAILURES
    raise BrowserTimeoutError(f"task {task_id} has not ended after {limit:g} s") from last
