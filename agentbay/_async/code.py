"""Run code."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any

import attrs

from .._deadline import for_the_session
from .._results.base import reported
from .._results.code import EnhancedCodeExecutionResult
from .._transport import Reply
from ..errors import AgentBayError, ExecutionError, InvalidInputError, ProtocolError, WsRemoteError
from ..protocol._checks import check_functions
from ..protocol._wire import WireError
from ..protocol.code import DEFAULT_TIMEOUT, CodeError, CodeReply, RunCode, language_of
from ..protocol.code_stream import CodeEvent, StreamCode, StreamedRun, refused
from ._callbacks import tell
from ._resource import Resource

OnText = Callable[[str], Awaitable[object] | None]
OnError = Callable[[object], Awaitable[object] | None]

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
        on_stdout: Callable[[str], Awaitable[object] | None] | None = None,
        on_stderr: Callable[[str], Awaitable[object] | None] | None = None,
        on_error: Callable[[object], Awaitable[object] | None] | None = None,
    ) -> EnhancedCodeExecutionResult:
        """Run code and wait for it.

        Python code sees the variables and imports of earlier runs of the session.

        Args:
            code: The code.
            language: ``"python"``, ``"javascript"``, ``"r"`` or ``"java"``; short names
                such as ``"py"`` and ``"node"``, and any case, are fine.
            timeout_s: Time limit in seconds; parts of a second are rounded up. The cloud may
                end a run after 60 seconds, whatever is asked for.
            stream_beta: Hear of the output while the code runs. The functions below are
                called only then; what one of them raises ends the stream, and reaches the
                caller.
            on_stdout: Receives each piece of standard output.
            on_stderr: Receives each piece of standard error.
            on_error: Receives what makes the run a failure: what the service tells of an
                error, as it came, or else the exception.

        Returns:
            What the code printed and showed. `success` means that it ran to its end.

        Example:
            ```python
            result = await session.code.run_code("print(6 * 7)", "python")
            print(result.result)
            ```
        """
        limit = _seconds(timeout_s)
        call = RunCode(code, language_of(language), limit)
        if stream_beta:
            listeners = _Listeners(on_stdout, on_stderr, on_error)
            return await self._stream(StreamCode.of(call), listeners)
        return _result(await self._call(call, timeout=limit + _MARGIN))

    run = run_code
    execute = run_code

    async def run_code_stream(
        self, code: str, language: str, timeout_s: float = DEFAULT_TIMEOUT
    ) -> AsyncIterator[CodeEvent]:
        """Run code, and go through what it prints and shows while it runs.

        Args:
            code: The code.
            language: As for `run_code`.
            timeout_s: As for `run_code`.

        Raises:
            ExecutionError: The code failed; everything that it printed was given before.
            AgentBayError: The run could not be made, or was not told to its end.

        Example:
            ```python
            async for event in session.code.run_code_stream("print(6 * 7)", "python"):
                print(event.kind, event.chunk or event.result or event.error)
            ```
        """
        call = RunCode(code, language_of(language), _seconds(timeout_s))
        run = StreamedRun()
        async with aclosing(self._events(StreamCode.of(call), run)) as events:
            async for event, _ in events:
                yield event
        _result(Reply(run.reply(), run.request_id)).unwrap()

    async def _stream(self, call: StreamCode, listeners: _Listeners) -> EnhancedCodeExecutionResult:
        run = StreamedRun()
        try:
            async with aclosing(self._events(call, run)) as events:
                async for event, data in events:
                    await listeners.hear(event, data)
        except AgentBayError as exc:
            await listeners.failed(exc)
            seen = run.reply()
            failed = EnhancedCodeExecutionResult.failed(exc)
            return attrs.evolve(failed, logs=seen.logs, results=seen.results)
        result = _result(Reply(run.reply(), run.request_id))
        if result.error is not None and run.error is None:
            await listeners.failed(result.error)
        return result

    async def _events(
        self, call: StreamCode, run: StreamedRun
    ) -> AsyncGenerator[tuple[CodeEvent, dict[str, Any]], None]:
        connection = await self._session._websocket()
        limit = call.timeout_s + _MARGIN
        with _understood(run):
            async with connection.stream(call, timeout=limit) as stream:
                run.request_id = stream.invocation_id
                async for data in stream:
                    event = CodeEvent.read(data)
                    if event is not None:
                        run.add(event)
                        yield event, data
                run.finish(stream.end)


@contextmanager
def _understood(run: StreamedRun) -> Generator[None, None, None]:
    """What the other side refused, or nobody understands, is an error of this package."""
    try:
        yield
    except WireError as exc:
        message = f"{RunCode.tool}: unexpected answer: {exc}"
        raise ProtocolError(message, request_id=run.request_id) from exc
    except WsRemoteError as exc:
        raise _failure(refused(exc.data, str(exc)), run.request_id) from exc


@attrs.frozen
class _Listeners:
    """Whom to tell what, while code runs."""

    on_stdout: OnText | None
    on_stderr: OnText | None
    on_error: OnError | None

    def __attrs_post_init__(self) -> None:
        check_functions(**attrs.asdict(self))

    async def hear(self, event: CodeEvent, data: Mapping[str, Any]) -> None:
        if event.kind == "stdout" and self.on_stdout is not None:
            await tell(self.on_stdout, event.chunk or "")
        elif event.kind == "stderr" and self.on_stderr is not None:
            await tell(self.on_stderr, event.chunk or "")
        elif event.kind == "error" and self.on_error is not None:
            await tell(self.on_error, data.get("error"))

    async def failed(self, error: AgentBayError) -> None:
        if self.on_error is not None:
            await tell(self.on_error, error)


def _seconds(limit: object) -> int:
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit < 1e9:
        raise InvalidInputError(f"timeout_s must be a positive number of seconds, not {limit!r}")
    return math.ceil(for_the_session(float(limit)))


def _result(reply: Reply[CodeReply]) -> EnhancedCodeExecutionResult:
    run = reply.value
    error = None if run.error is None else _failure(run.error, reply.request_id)
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


def _failure(error: CodeError, request_id: str) -> ExecutionError:
    return ExecutionError(
        str(error),
        tool=RunCode.tool,
        request_id=request_id,
        name=error.name,
        value=error.value,
        traceback=error.traceback,
    )
