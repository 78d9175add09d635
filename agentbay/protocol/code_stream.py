"""Run code, and be told what it prints and shows while it runs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, cast

import attrs

from ._frames import Method
from ._wire import decode, encode, named
from .code import (
    CodeError,
    CodeOutput,
    CodeReply,
    ExecutionLogs,
    Language,
    RunCode,
)


@attrs.frozen
class StreamCode(
    Method[CodeReply],
    method="run_code",
    mode="stream",
    server=RunCode.server,
    tool=RunCode.tool,
):
    """Run code, in an interpreter that keeps its state."""

    language: Language
    timeout_s: int = named("timeoutS")
    code: str = named()

    @classmethod
    def of(cls, call: RunCode) -> StreamCode:
        """The same run, told while it goes on."""
        return cls(call.language, call.timeout_s, call.code)


# -- what is told while it runs --------------------------------------------------------


def _shown(raw: object) -> object:
    """The formats of a value travel apart from the rest."""
    if isinstance(raw, str):
        return {"text": raw}
    value = _mapping(raw)
    mime = _mapping(value.get("mime")) if value else None
    return {**(value or {}), **mime} if mime is not None else raw


def _mapping(raw: object) -> Mapping[str, Any] | None:
    return cast("Mapping[str, Any]", raw) if isinstance(raw, Mapping) else None


def _reason(raw: Any) -> str:
    """A reason is text, or else it is shown as it came."""
    if isinstance(raw, str):
        return raw
    return json.dumps(raw, ensure_ascii=False) if raw else ""


def _wrong(raw: object) -> Mapping[str, Any]:
    """An error without a message is its own."""
    error = _mapping(raw) or {}
    return error if {"message", "value"} & set(error) else {**error, "message": raw}


@attrs.frozen
class StreamError:
    """Why a run failed, as it is told while it goes on.

    Attributes:
        code: Name of the exception, or a code of the service.
        message: What it says.
        trace_id: Identifier for the service's support; empty when there is none.
    """

    code: str = named(also=("name",), read=_reason, default="")
    message: str = named(also=("value",), read=_reason, default="")
    trace_id: str = named("traceId", also=("trace_id",), read=_reason, default="")

    def as_error(self) -> CodeError:
        """The same as at the end of a run."""
        trace = f"traceId={self.trace_id}" if self.trace_id else ""
        return CodeError(self.code or "ExecutionError", self.message, trace)


@attrs.frozen
class CodeEvent:
    """One thing that code did while it ran.

    Attributes:
        kind: ``"stdout"``, ``"stderr"``, ``"result"`` or ``"error"``.
        chunk: What it printed, for the first two.
        result: The value that it showed.
        error: Why it failed.
    """

    kind: str = named("eventType", default="")
    chunk: str | None = None
    result: CodeOutput | None = named(read=_shown, default=None)
    error: StreamError | None = named(read=_wrong, default=None)

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> CodeEvent | None:
        """Read what was told; None when it is nothing that is known.

        Raises:
            WireError: It makes no sense.
        """
        kind = str(data.get("eventType"))
        if kind not in _CONTENT:
            return None
        name, missing = _CONTENT[kind]
        content = data.get(name)
        return decode(cls, {"eventType": kind, name: missing if content is None else content})

    def write(self) -> dict[str, Any]:
        """What the engine sends. The inverse of `read`."""
        data = cast("dict[str, Any]", encode(attrs.evolve(self, result=None)))
        if self.result is not None:
            mime = cast("dict[str, Any]", encode(self.result))
            data["result"] = {"isMainResult": mime.pop("isMainResult"), "mime": mime}
        return data


# Where the content of an event is, by its kind, and what stands for one that is missing.
_CONTENT: dict[str, tuple[str, Any]] = {
    "stdout": ("chunk", ""),
    "stderr": ("chunk", ""),
    "result": ("result", {}),
    "error": ("error", {}),
}


@attrs.frozen
class StreamEnd:
    """What is told at the end of a run."""

    status: str = "finished"
    execution_error: str = named(
        "executionError", also=("execution_error",), read=_reason, default=""
    )
    execution_count: int | None = named("executionCount", also=("execution_count",), default=None)
    execution_time: float = named("executionTime", also=("execution_time",), default=0.0)


@attrs.define
class StreamedRun:
    """Puts together what is told of a run.

    Attributes:
        request_id: What identifies the run; empty before it began.
        results: The values that it showed so far.
        stdout: Pieces of standard output so far.
        stderr: Pieces of standard error so far.
        error: The first error that was told.
        end: What was told at its end.
    """

    request_id: str = ""
    results: list[CodeOutput] = attrs.field(factory=list[CodeOutput])
    stdout: list[str] = attrs.field(factory=list[str])
    stderr: list[str] = attrs.field(factory=list[str])
    error: CodeError | None = None
    end: StreamEnd = attrs.field(factory=StreamEnd)

    def add(self, event: CodeEvent) -> None:
        """Take in what was told."""
        if event.kind == "stdout":
            self.stdout.append(event.chunk or "")
        elif event.kind == "stderr":
            self.stderr.append(event.chunk or "")
        elif event.result is not None:
            self.results.append(event.result)
        elif event.error is not None:
            self.error = self.error or event.error.as_error()

    def finish(self, data: Mapping[str, Any]) -> None:
        """Take in what was told at the end.

        Raises:
            WireError: It makes no sense.
        """
        self.end = decode(StreamEnd, data)

    def reply(self) -> CodeReply:
        """The run as far as it is known."""
        error, end = self.error, self.end
        if error is None and end.execution_error:
            error = CodeError(value=end.execution_error)
        if error is None and end.status.lower() == "failed":
            error = CodeError(value="".join(self.stderr))
        seconds = end.execution_time if math.isfinite(end.execution_time) else 0.0
        logs = ExecutionLogs(list(self.stdout), list(self.stderr))
        return CodeReply(list(self.results), logs, error, end.execution_count, seconds)


def refused(data: Mapping[str, Any], reason: str) -> CodeError:
    """The error for a stream that was refused, or broken off by the other side.

    Args:
        data: What the other side sent.
        reason: What to say when that has no message.
    """
    message, trace = data.get("message"), _reason(data.get("traceId"))
    text = message if isinstance(message, str) and message else reason
    return StreamError(_reason(data.get("code")), text, trace).as_error()
