"""Tasks in natural language: how they start, how they stand, and what is heard of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import attrs

from ..errors import AgentError, InvalidInputError
from ._calls import Content, Tool, not_blank
from ._checks import WHOLE, a_flag, at_least
from ._wire import WireError, decode, encode, from_json, named, shape, to_json

COMPUTER_SERVER = "wuying_computer_agent"
BROWSER_SERVER = "wuying_browseruse"
MOBILE_SERVER = "wuying_mobile_agent"

# The tool with which an agent of a phone asks the user something.
CALL_FOR_USER = "call_for_user"

RUNNING = "running"
FINISHED = "finished"
FAILED = "failed"
CANCELLED = "cancelled"

# The agents do not agree on a word for success; each is understood from all of them.
_SUCCEEDED = (FINISHED, "completed")
_FAILED = (FAILED, CANCELLED, "canceled", "unsupported")


# -- how values are read ---------------------------------------------------------------


def text_of(raw: Any) -> str:
    """Text as it is; other values, such as the output of a schema, as JSON text."""
    return raw if isinstance(raw, str) else to_json(raw)


def _reason(raw: Any) -> str:
    """What an error says, be it text or an object."""
    if isinstance(raw, dict):
        facts = cast("dict[str, Any]", raw)
        return text_of(facts.get("message") or facts.get("error") or facts) if facts else ""
    return text_of(raw) if raw else ""


def _mapping(key: str) -> Callable[[Any], dict[str, Any]]:
    """A reader of objects: other values come under ``key``, JSON text is read."""

    def read(raw: Any) -> dict[str, Any]:
        data = (_object(raw) or raw) if isinstance(raw, str) else raw
        if isinstance(data, dict):
            return cast("dict[str, Any]", data)
        return {key: data} if data else {}

    return read


def _count(raw: Any) -> int:
    return raw if isinstance(raw, int) else 0


def _pieces(raw: Any) -> list[dict[str, Any]]:
    items = cast("list[object]", raw) if isinstance(raw, list) else []
    return [cast("dict[str, Any]", item) for item in items if isinstance(item, dict)]


def _object(text: str) -> dict[str, Any] | None:
    """The object in JSON text; None when it is something else."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        data = from_json(text)
    except WireError:
        return None
    return cast("dict[str, Any]", data) if isinstance(data, dict) else None


def _or_empty(value: dict[str, Any] | None) -> dict[str, Any]:
    return value or {}


# -- what is told ----------------------------------------------------------------------


@attrs.frozen
class AgentEvent:
    """Something that happened while an agent worked on a task.

    Attributes:
        type: ``reasoning``, ``content``, ``tool_call``, ``tool_result`` or ``error``;
            ``action`` for what a task that is not streamed says it is doing.
        seq: Its number in the stream.
        round: The round of the agent that it belongs to.
        content: What the agent thought or said; for a question, its prompt.
        tool_call_id: Identifier of the tool call that it is about.
        tool_name: Which tool; ``call_for_user`` for a question to the user.
        args: What the tool is called with.
        result: What the tool answered.
        prompt: The question that the user is asked.
        error: What went wrong.
    """

    type: str = named("eventType", also=("type",), read=text_of, default="")
    seq: int = named(read=_count, default=0)
    round: int = named(read=_count, default=0)
    content: str = named(read=text_of, default="")
    tool_call_id: str = named("toolCallId", also=("tool_call_id",), read=text_of, default="")
    tool_name: str = named("toolName", also=("tool_name",), read=text_of, default="")
    args: dict[str, Any] = named(read=_mapping("input"), converter=_or_empty, default=None)
    result: dict[str, Any] = named(read=_mapping("output"), converter=_or_empty, default=None)
    prompt: str = named(read=text_of, default="")
    error: dict[str, Any] = named(read=_mapping("message"), converter=_or_empty, default=None)

    @property
    def asks_user(self) -> bool:
        """Whether the agent waits for an answer of the user."""
        return self.type == "tool_call" and self.tool_name == CALL_FOR_USER

    @property
    def reason(self) -> str:
        """What went wrong, as text; empty when nothing did."""
        return _reason(self.error)


@attrs.frozen
class TaskState:
    """How a task stands.

    Attributes:
        task_id: Which task; empty when not told.
        status: The word of the agent for it.
        action: What the agent is doing.
        product: What came out.
        stream: What the agent thought and said, in pieces with a time.
        error: What went wrong; empty when nothing did.
    """

    task_id: str = named(also=("taskId",), default="")
    status: str = ""
    action: str = named(read=text_of, default="")
    product: str = named(also=("result", "taskResult", "task_result"), read=text_of, default="")
    stream: list[dict[str, Any]] = named(read=_pieces, factory=list[dict[str, Any]])
    error: str = named(read=_reason, default="")

    @property
    def succeeded(self) -> bool:
        """Whether the task was done."""
        return self.status.lower() in _SUCCEEDED

    @property
    def over(self) -> bool:
        """Whether nothing more will come of the task."""
        return self.succeeded or self.status.lower() in _FAILED


def read_state(data: Mapping[str, Any]) -> TaskState:
    """Read the state of a task, also from the end of a stream.

    A state without a status is that of a task that has ended.

    Raises:
        WireError: The identifier or the status is no text.
    """
    state = decode(TaskState, {name: value for name, value in data.items() if value != ""})
    if state.status:
        return state
    return attrs.evolve(state, status=FAILED if state.error else FINISHED)


# -- the tools -------------------------------------------------------------------------


@attrs.frozen
class TaskStart:
    """What became of the request to begin a task.

    Attributes:
        task_id: Which task; empty when it is over already.
        outcome: How it ended; None while it runs.
    """

    task_id: str = ""
    outcome: TaskState | None = None


def _started(text: str) -> TaskStart:
    data = _object(text) or {}
    task_id = data.get("task_id") or data.get("taskId")
    return TaskStart(decode(str, task_id)) if task_id else TaskStart()


class Start(Tool[TaskStart]):
    """What the tools that begin a task have in common."""

    __slots__ = ()

    def read(self, text: str) -> TaskStart:
        """Read the identifier of the task."""
        start = _started(text)
        if not start.task_id:
            raise WireError(f"no task_id in {shape(text)}")
        return start

    def write(self, value: TaskStart) -> Content:
        """Write the identifier of the task."""
        return Content(to_json({"task_id": value.task_id}))


class Look(Tool[TaskState]):
    """What the tools that tell the state of a task have in common."""

    __slots__ = ()

    def read(self, text: str) -> TaskState:
        """Read the state."""
        data = _object(text)
        if data is None:
            raise WireError(f"no state of a task: {shape(text)}")
        return read_state(data)

    def write(self, value: TaskState) -> Content:
        """Write the state, with the names of all generations."""
        return Content(to_json({**encode(value), "result": value.product}))


class Stop(Tool[TaskState]):
    """What the tools that end a task have in common."""

    __slots__ = ()

    def read(self, text: str) -> TaskState:
        """Read the state after it; whatever else is said without a failure is consent."""
        return decode(TaskState, _object(text) or {})

    def write(self, value: TaskState) -> Content:
        """Write which task it was and how it stands."""
        return Content(to_json({"task_id": value.task_id, "status": value.status}))


@attrs.frozen
class StartComputerTask(Start, tool="flux_execute_task", server=COMPUTER_SERVER, error=AgentError):
    """Let an agent do something on the desktop."""

    task: str = named(doc="What is to be done.", validator=not_blank)


@attrs.frozen
class ComputerTaskState(
    Look, tool="flux_get_task_status", server=COMPUTER_SERVER, error=AgentError
):
    """Tell how a task on the desktop stands."""

    task_id: str = named(doc="Which task.", validator=not_blank)


@attrs.frozen
class StopComputerTask(Stop, tool="flux_terminate_task", server=COMPUTER_SERVER, error=AgentError):
    """End a task on the desktop."""

    task_id: str = named(doc="Which task.", validator=not_blank)


_TEXT_RESULT = {
    "title": "Result",
    "type": "object",
    "properties": {"result": {"type": "string", "description": "What came out, as text."}},
    "required": ["result"],
}


def schema_text(schema: object) -> str:
    """JSON text of a schema: given as text, as a mapping, or by a model of pydantic.

    Raises:
        InvalidInputError: It is none of these, or cannot be written as JSON.
    """
    if schema is None:
        return to_json(_TEXT_RESULT)
    model = getattr(schema, "model_json_schema", None)
    data: object = model() if callable(model) else schema
    if isinstance(data, str):
        data = _object(data)
    if not isinstance(data, Mapping):
        raise InvalidInputError(
            "output_schema must be a JSON schema or a class with model_json_schema(), "
            f"not {schema!r:.80}"
        )
    try:
        text = to_json(data)
        text.encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise InvalidInputError(f"output_schema is not JSON: {exc}") from exc
    return text


@attrs.frozen
class StartBrowserTask(
    Start, tool="browser_use_execute_task", server=BROWSER_SERVER, error=AgentError
):
    """Let an agent do something in the browser."""

    task: str = named(doc="What is to be done.", validator=not_blank)
    use_vision: bool = named(
        doc="Whether the agent looks at pictures of the pages.", default=False, validator=a_flag
    )
    full_page_screenshot: bool = named(
        doc="Whether the pictures show whole pages.", default=False, validator=a_flag
    )
    output_schema: str = named(
        doc="JSON schema of the result, as text.", default=None, converter=schema_text
    )


@attrs.frozen
class BrowserTaskState(
    Look, tool="browser_use_get_task_status", server=BROWSER_SERVER, error=AgentError
):
    """Tell how a task in the browser stands."""

    task_id: str = named(doc="Which task.", validator=not_blank)


@attrs.frozen
class StopBrowserTask(
    Stop, tool="browser_use_terminate_task", server=BROWSER_SERVER, error=AgentError
):
    """End a task in the browser."""

    task_id: str = named(doc="Which task.", validator=not_blank)


@attrs.frozen
class StartMobileTask(Start, tool="execute_task", server=MOBILE_SERVER, error=AgentError):
    """Let an agent do something on the phone."""

    task: str = named(doc="What is to be done.", validator=not_blank)
    max_steps: int = named(
        doc="How many steps the agent may take.",
        default=50,
        converter=WHOLE,
        validator=at_least(1),
    )

    def read(self, text: str) -> TaskStart:
        """Read the identifier of the task, or what came out of one that is over already."""
        start, data = _started(text), _object(text) or {}
        if start.task_id:
            return start
        if not text.strip():
            raise WireError("neither a task nor what came out of it")
        if not {"status", "error", "product", "result", "taskResult"} & set(data):
            return TaskStart("", TaskState(status=FINISHED, product=text))
        state = read_state(data)
        if not state.over:
            raise WireError(f"no task_id in {shape(text)}")
        return TaskStart("", state)

    def write(self, value: TaskStart) -> Content:
        """Write the identifier under the names of all generations, or what came out."""
        if value.outcome is None:
            return Content(to_json({"taskId": value.task_id, "task_id": value.task_id}))
        return Content(to_json(value.outcome))


@attrs.frozen
class MobileTaskState(Look, tool="get_task_status", server=MOBILE_SERVER, error=AgentError):
    """Tell how a task on the phone stands."""

    task_id: str = named(doc="Which task.", validator=not_blank)


@attrs.frozen
class StopMobileTask(Stop, tool="terminate_task", server=MOBILE_SERVER, error=AgentError):
    """End a task on the phone."""

    task_id: str = named(doc="Which task.", validator=not_blank)


@attrs.frozen
class TaskTools:
    """The tools of one kind of agent for a task that runs."""

    look: Callable[[str], Tool[TaskState]]
    stop: Callable[[str], Tool[TaskState]]


COMPUTER = TaskTools(ComputerTaskState, StopComputerTask)
BROWSER = TaskTools(BrowserTaskState, StopBrowserTask)
MOBILE = TaskTools(MobileTaskState, StopMobileTask)
