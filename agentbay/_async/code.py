"""Run code."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

from .._results.base import reported
from .._results.code import EnhancedCodeExecutionResult
from .._transport import Reply
from ..errors import ExecutionError, InvalidInputError, UnavailableError
from ..protocol.code import DEFAULT_TIMEOUT, CodeReply, RunCode, language_of
from ._resource import Resource

# What the service may need on top of the time limit of the code, in seconds: it may have to
# start an interpreter first.
_MARGIN = 30.0


class AsyncCode(Resource):
    """Runs code in a session made from an image for it, such as ``code_latest``."""

    @reported(EnhancedCodeExecutionResult)
    async def run_code(
        self,
        code: str,
        language: str,
        timeout_s: float = DEFAULT_TIMEOUT,
        stream_beta: bool = False,
        on_stdout: Callable[[str], Awaitable[object]] | None = None,
        on_stderr: Callable[[str], Awaitable[object]] | None = None,
        on_error: Callable[[object], Awaitable[object]] | None = None,
    ) -> EnhancedCodeExecutionResult:
        """Run code and wait for it.

        Python code sees the variables and imports of earlier runs of the session.

        Args:
            code: The code.
            language: ``"python"``, ``"javascript"``, ``"r"`` or ``"java"``; short names
                such as ``"py"`` and ``"node"``, and any case, are fine.
            timeout_s: Time limit in seconds; parts of a second are rounded up. The cloud may
                end a run after 60 seconds, whatever is asked for.
            stream_beta: Ask for the output while the code runs. Not in this release.
            on_stdout: Receives standard output of a stream.
            on_stderr: Receives standard error of a stream.
            on_error: Receives the error of a stream.

        Returns:
            What the code printed and showed. `success` means that it ran to its end.

        Example:
            result = await session.code.run_code("print(6 * 7)", "python")
            print(result.result)
        """
        if stream_beta:
            raise UnavailableError(
                "stream_beta is not in this release of agentbay: streaming comes with the "
                "WebSocket connection; without it, run_code returns the whole output"
            )
        limit = _seconds(timeout_s)
        call = RunCode(code, language_of(language), limit)
        return _result(await self._call(call, timeout=limit + _MARGIN))

    run = run_code
    execute = run_code


def _seconds(limit: object) -> int:
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit < 1e9:
        raise InvalidInputError(f"timeout_s must be a positive number, not {limit!r}")
    return math.ceil(limit)


def _result(reply: Reply[CodeReply]) -> EnhancedCodeExecutionResult:
    run, error = reply.value, None
    if run.error is not None:
        error = ExecutionError(
            str(run.error),
            tool=RunCode.tool,
            request_id=reply.request_id,
            name=run.error.name,
            value=run.error.value,
            traceback=run.error.traceback,
        )
    return EnhancedCodeExecutionResult(
        reply.request_id,
        error is None,
        run.execution_count,
        run.execution_time,
        run.logs,
        run.results,
        error_message="" if error is None else str(error),
        error=error,
    )
