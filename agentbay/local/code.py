"""The tool that runs code, and the same told while it goes on."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import attrs

from ..protocol._wire import encode, to_json
from ..protocol.code import CodeOutput, CodeReply, ExecutionLogs, RunCode
from ..protocol.code_stream import CodeEvent, StreamCode, StreamedRun, StreamEnd, StreamError
from ._dispatch import handles_tool
from ._interpreters import Ended, Interpreter
from .sandbox import Sandbox
from .streams import Exchange, handles_method

# Clients take no message of a stream that is larger than 1 MiB; a piece of text is far below.
_LARGEST, _LONGEST_TEXT = 900_000, 100_000


@handles_tool(RunCode)
async def run_code(sandbox: Sandbox, call: RunCode) -> CodeReply:
    run, end = StreamedRun(), Ended()
    async with aclosing(_interpreter(sandbox, call).run(sandbox, call)) as events:
        async for event in events:
            if isinstance(event, Ended):
                end = event
            else:
                run.add(event)
    logs = ExecutionLogs(_joined(run.stdout), _joined(run.stderr))
    return CodeReply(run.results, logs, end.error, end.execution_count, end.seconds)


async def run_streaming(
    sandbox: Sandbox, call: StreamCode
) -> AsyncGenerator[CodeEvent | StreamEnd, None]:
    """Run code and tell what it does, `StreamEnd` last; to be closed by who leaves early.

    Raises:
        InvalidInputError: There is no code, or the time limit makes no sense.
        ToolFailure: The language cannot be run here, or its interpreter failed.
        EngineError: The session is gone (`SessionLost`).
    """
    run = RunCode(call.code, call.language, call.timeout_s)
    async with aclosing(_interpreter(sandbox, run).run(sandbox, run)) as events:
        async for event in events:
            if not isinstance(event, Ended):
                for part in _small(event):
                    yield part
                continue
            error = event.error
            if error is not None:
                yield CodeEvent("error", error=StreamError(error.name, error.value))
            status = "finished" if error is None else "failed"
            reason = "" if error is None else str(error)
            yield StreamEnd(status, reason, event.execution_count, event.seconds)


@handles_method(StreamCode)
async def stream_code(exchange: Exchange, call: StreamCode) -> None:
    """Tell what code does while it runs; a client that is gone ends it."""
    async with aclosing(run_streaming(exchange.session.sandbox, call)) as events:
        number = 0
        async for event in events:
            number += 1
            data = event.write() if isinstance(event, CodeEvent) else encode(event)
            phase = "event" if isinstance(event, CodeEvent) else "end"
            await exchange.answer({"phase": phase, "seq": number, **data})


def _interpreter(sandbox: Sandbox, call: RunCode) -> Interpreter:
    if call.language not in sandbox.interpreters:
        sandbox.interpreters[call.language] = Interpreter(call.language)
    return sandbox.interpreters[call.language]


def _joined(pieces: list[str]) -> list[str]:
    return ["".join(pieces)] if pieces else []


def _small(event: CodeEvent) -> list[CodeEvent]:
    """The event, or what fits into a message instead of it."""
    result = event.result
    size = 0 if result is None else len(to_json(result))
    if result is None or size <= _LARGEST:
        return [event]
    text = (result.text or "")[:_LONGEST_TEXT]
    note = f"[a value of {size} bytes is too large to be told while code runs]\n"
    shown = CodeOutput(text, is_main_result=result.is_main_result)
    return [attrs.evolve(event, result=shown), CodeEvent("stderr", note)]
