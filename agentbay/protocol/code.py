"""Run code, and what it leaves behind."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, cast

import attrs

from ..errors import ExecutionError, InvalidInputError
from ._calls import Content, Tool
from ._wire import WireError, decode, fields, from_json, named, to_json

DEFAULT_TIMEOUT = 60

# How often an answer may be wrapped in another one.
_DEPTH = 4


class Language(StrEnum):
    """The languages that sessions run."""

    PYTHON = "python"
    JAVASCRIPT = "javascript"
    R = "r"
    JAVA = "java"

    @classmethod
    def _missing_(cls, value: object) -> Language | None:
        """Accept other names, and any case."""
        name = value.strip().lower() if isinstance(value, str) else ""
        name = _OTHER_NAMES.get(name, name)
        return next((member for member in cls if member.value == name), None)


_OTHER_NAMES = {
    "py": "python",
    "python3": "python",
    "js": "javascript",
    "node": "javascript",
    "nodejs": "javascript",
}


def language_of(name: str) -> Language:
    """The language with this name.

    Raises:
        InvalidInputError: There is no such language.
    """
    try:
        return Language(name)
    except ValueError as exc:
        raise InvalidInputError(
            f"Unsupported language: {name}. "
            "Supported languages are 'python', 'javascript', 'r', and 'java'"
        ) from exc


# -- what is left behind ---------------------------------------------------------------


def _joined(raw: object) -> object:
    """Text may come as a list of pieces."""
    if not isinstance(raw, list):
        return raw
    pieces = cast("list[object]", raw)
    texts = [piece for piece in pieces if isinstance(piece, str)]
    return "".join(texts) if len(texts) == len(pieces) else pieces


def _listed(raw: Any) -> Any:
    """A list of pieces may come as a single text."""
    return [raw] if isinstance(raw, str) else raw


@attrs.frozen
class ExecutionLogs:
    """What code printed, in pieces.

    Attributes:
        stdout: Pieces of standard output.
        stderr: Pieces of standard error.
    """

    stdout: list[str] = named(read=_listed, factory=list[str])
    stderr: list[str] = named(read=_listed, factory=list[str])


@attrs.frozen
class CodeOutput:
    """A value that code showed, in one or more formats.

    Attributes:
        text: As text.
        html: As HTML.
        markdown: As Markdown.
        png: As a PNG image, in base64.
        jpeg: As a JPEG image, in base64.
        svg: As an SVG image.
        json: As JSON data.
        latex: As LaTeX.
        chart: As a Vega-Lite chart.
        is_main_result: Whether it is the value of the last expression.
    """

    text: str | None = named("text/plain", also=("text",), read=_joined, default=None)
    html: str | None = named("text/html", also=("html",), read=_joined, default=None)
    markdown: str | None = named("text/markdown", also=("markdown",), read=_joined, default=None)
    png: str | None = named("image/png", also=("png",), read=_joined, default=None)
    jpeg: str | None = named("image/jpeg", also=("jpeg",), read=_joined, default=None)
    svg: str | None = named("image/svg+xml", also=("svg",), read=_joined, default=None)
    json: Any = named("application/json", also=("json",), default=None)
    latex: str | None = named("text/latex", also=("latex",), read=_joined, default=None)
    chart: dict[str, Any] | None = named(
        "application/vnd.vegalite.v5+json",
        also=("application/vnd.vegalite.v4+json", "chart"),
        default=None,
    )
    is_main_result: bool = named("isMainResult", also=("is_main_result",), default=False)

    def formats(self) -> list[str]:
        """The names of the formats that there are."""
        names = (field.name for field in attrs.fields(CodeOutput) if field.name != "is_main_result")
        return [name for name in names if getattr(self, name) is not None]


@attrs.frozen
class CodeError:
    """The exception that ended a run."""

    name: str = "ExecutionError"
    value: str = ""
    traceback: str = named(read=_joined, default="")

    def __str__(self) -> str:
        """Name and text; a name that tells nothing is left out."""
        said = self.value or self.traceback or "the code failed"
        return said if self.name in ("", "ExecutionError") else f"{self.name}: {self.value}"


@attrs.frozen
class CodeReply:
    """What a run left behind.

    Attributes:
        results: The values that it showed.
        logs: What it printed.
        error: Why it ended early; None when it did not.
        execution_count: How many runs its interpreter has seen; None when not told.
        execution_time: Seconds that it took; 0 when not told.
    """

    results: list[CodeOutput] = attrs.field(factory=list[CodeOutput])
    logs: ExecutionLogs = attrs.field(factory=ExecutionLogs)
    error: CodeError | None = None
    execution_count: int | None = None
    execution_time: float = 0.0


# -- the tool --------------------------------------------------------------------------


def _limit(_: object, __: attrs.Attribute[object], value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise InvalidInputError(f"the time limit must be positive, in seconds, not {value!r}")


def _code(_: object, __: attrs.Attribute[object], value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise InvalidInputError(f"code must be text that is not blank, not {value!r:.80}")


@attrs.frozen
class RunCode(Tool[CodeReply], tool="run_code", server="wuying_codespace", error=ExecutionError):
    """Run code, in an interpreter that keeps its state."""

    code: str = named(doc="The code.", validator=_code)
    language: Language = named(doc="Its language.")
    timeout_s: int = named(doc="Time limit in seconds.", default=DEFAULT_TIMEOUT, validator=_limit)

    def parse(self, content: Content) -> CodeReply:
        """Read the answer, in any of the shapes that services give it.

        Raises:
            ExecutionError: The tool reports a failure, and no more than its reason.
        """
        return self._parse(content, _DEPTH)

    def write(self, value: CodeReply) -> Content:
        """The shape that clients of all generations read; a failed run is no failed call."""
        error = value.error
        data = {
            "executionError": "" if error is None else str(error),
            "error": error,
            "result": [to_json(output) for output in value.results],
            "stdout": value.logs.stdout,
            "stderr": value.logs.stderr,
            "execution_count": value.execution_count,
            "execution_time": value.execution_time,
        }
        return Content(to_json({name: item for name, item in data.items() if item is not None}))

    def _parse(self, content: Content, depth: int) -> CodeReply:
        data = _object(content.text)
        inner = _wrapped(data) if depth else None
        if inner is not None:
            failed = inner.is_error or content.is_error
            return self._parse(Content(inner.text, failed), depth - 1)
        reply = _rich(data)
        if reply is None and content.is_error:
            raise self.failure(content.text)
        if reply is None:
            return _plain(content.text)
        if reply.error is None and content.is_error:
            return attrs.evolve(reply, error=CodeError(value="".join(reply.logs.stderr)))
        return reply


def _object(text: str) -> dict[str, Any] | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        data = from_json(text)
    except WireError:
        return None
    return cast("dict[str, Any]", data) if isinstance(data, dict) else None


def _plain(text: str) -> CodeReply:
    return CodeReply([CodeOutput(text, is_main_result=True)], ExecutionLogs([text]))


@attrs.frozen
class _Piece:
    text: str


@attrs.frozen
class _Wrapped:
    content: list[_Piece]
    is_error: bool = named("isError", default=False)


def _wrapped(data: dict[str, Any] | None) -> Content | None:
    """The answer within an answer."""
    try:
        found = decode(_Wrapped, data)
    except WireError:
        return None
    return Content(found.content[0].text, found.is_error) if found.content else None


@attrs.frozen
class _Facts:
    """What all rich shapes have in common."""

    execution_count: int | None = named(also=("executionCount",), default=None)
    execution_time: float = named(also=("executionTime",), default=0.0)
    execution_error: str = named("executionError", also=("execution_error",), default="")
    is_error: bool = named("isError", also=("is_error",), default=False)


def _rich(data: dict[str, Any] | None) -> CodeReply | None:
    """Read a rich answer. Code may print an object too, so the whole shape decides."""
    if data is None or not _is_rich(data):
        return None
    try:
        facts = decode(_Facts, data)
        logs = decode(ExecutionLogs, data["logs"] if data.get("logs") is not None else data)
        outputs = _items(data)
    except WireError:
        return None
    return CodeReply(
        outputs,
        logs,
        _error(data.get("error"), facts, logs),
        facts.execution_count,
        facts.execution_time if math.isfinite(facts.execution_time) else 0.0,
    )


def _is_rich(data: Mapping[str, Any]) -> bool:
    if "executionError" in data or isinstance(data.get("logs"), dict):
        return True
    if isinstance(data.get("error"), dict):
        return bool({"name", "value", "traceback"} & set(data["error"]))
    if isinstance(data.get("result"), list) or isinstance(data.get("results"), list):
        about = {"stdout", "stderr", "execution_count", "execution_time", "isError"}
        return bool(data.get("result") or data.get("results") or about & set(data))
    return False


def _items(data: Mapping[str, Any]) -> list[CodeOutput]:
    raw = data.get("result") if data.get("result") is not None else data.get("results")
    if raw is not None and not isinstance(raw, list):
        raise WireError("the results are no list")
    return [_item(item) for item in cast("list[object]", raw or [])]


def _item(raw: object) -> CodeOutput:
    """An output: an object, JSON text of one at any depth, or plain text."""
    data: Any = raw
    for _ in range(_DEPTH):
        if isinstance(data, str):
            data = _loaded(data)
    if isinstance(data, dict) and _FORMATS & set(cast("dict[str, Any]", data)):
        return decode(CodeOutput, data)
    if isinstance(raw, str):
        return CodeOutput(raw)
    raise WireError("neither a value nor text")


_FORMATS = {name for field in fields(CodeOutput) for name in (field.name, *field.also)}


def _loaded(text: str) -> Any:
    try:
        return from_json(text)
    except WireError:
        return None


def _error(raw: Any, facts: _Facts, logs: ExecutionLogs) -> CodeError | None:
    """The exception; a failure that names none has one, too."""
    if raw:
        return CodeError(value=raw) if isinstance(raw, str) else decode(CodeError, raw)
    if facts.execution_error:
        return CodeError(value=facts.execution_error)
    if facts.is_error:
        return CodeError(value="".join(logs.stderr))
    return None
