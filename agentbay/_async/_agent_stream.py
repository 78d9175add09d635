"""How one task of an agent goes on, heard over the WebSocket."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import attrs
from anyio import to_thread
from anyio.abc import TaskGroup

from .. import _background as background
from .._results.agent import ExecutionResult
from .._results.base import raising
from ..errors import AgentBayError, AgentError, AgentTimeoutError, ProtocolError
from ..protocol._checks import check_functions
from ..protocol._wire import WireError
from ..protocol.agent import CANCELLED, FAILED, AgentEvent, read_state
from ..protocol.agent_stream import ResumeTask, StreamMobileTask, read_event
from ._agent_runs import Run, TaskAgent
from ._callbacks import tell

if TYPE_CHECKING:
    from ._streams import Stream
    from ._websocket import Connection

Callback = Callable[[AgentEvent], Awaitable[object] | None]

_log = logging.getLogger(__name__)

# Seconds until a stream is open, with the connection that it may have to wait for.
_OPEN_LIMIT = 60.0


def _callable(_: object, field: attrs.Attribute[Any], value: object) -> None:
    check_functions(**{field.name: value})


@attrs.frozen
class Listeners:
    """The functions of a user that are told of a stream."""

    on_reasoning: Callback | None = attrs.field(default=None, validator=_callable)
    on_content: Callback | None = attrs.field(default=None, validator=_callable)
    on_tool_call: Callback | None = attrs.field(default=None, validator=_callable)
    on_tool_result: Callback | None = attrs.field(default=None, validator=_callable)
    on_error: Callback | None = attrs.field(default=None, validator=_callable)
    on_call_for_user: Callable[[AgentEvent], Awaitable[str] | str] | None = attrs.field(
        default=None, validator=_callable
    )

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) is not None for field in attrs.fields(Listeners))

    def of(self, event: AgentEvent) -> Callable[[AgentEvent], Any] | None:
        """The function that is told of such an event."""
        by_type = {
            "reasoning": self.on_reasoning,
            "content": self.on_content,
            "tool_call": self.on_tool_call,
            "tool_result": self.on_tool_result,
            "error": self.on_error,
        }
        return by_type.get(event.type)

    async def answer(self, event: AgentEvent) -> str:
        """What the user answers to a question of the agent; empty when nobody is there."""
        function = self.on_call_for_user
        if function is None:
            return ""
        if _is_coroutine_function(function):
            answer: Any = await tell(function, event)
        else:
            # It may wait for a human, and pings and events must not wait with it.
            box = await to_thread.run_sync(_boxed, function, event, abandon_on_cancel=True)
            answer = await box[0] if inspect.isawaitable(box[0]) else box[0]
        return "" if answer is None else str(answer)


def _boxed(function: Callable[[AgentEvent], Any], event: AgentEvent) -> tuple[Any]:
    """What a function answers. Trio takes no coroutine out of a thread, but a tuple with one."""
    return (function(event),)


def _is_coroutine_function(function: object) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(type(function), "__call__", None)  # noqa: B004 - whether it is a coroutine function
    )


@raising(AgentError)
async def begin_stream(
    agent: TaskAgent, connection: Connection, call: StreamMobileTask, listeners: Listeners
) -> Run:
    """Begin a task whose events come over the connection, from when this returns.

    Raises:
        AgentError: It could not be begun.
    """
    run = StreamRun(agent, listeners)
    background.start(partial(run.drive, connection, call))
    try:
        await run.opened()
    except BaseException:  # cancelled too: nobody else has the run
        run.abandon()
        raise
    return run


class StreamRun(Run):
    """A task whose events are pushed. A task in the background takes them."""

    def __init__(self, agent: TaskAgent, listeners: Listeners) -> None:
        super().__init__(agent)
        self._listeners = listeners
        self._changed = anyio.Event()
        self._scope = anyio.CancelScope()
        self._invocation_id = ""
        self._trouble = ""
        self._waiting = 0

    @property
    def name(self) -> str:
        """Streams need not tell the identifier of the task; that of the invocation is left."""
        return self.task_id or self._invocation_id

    async def opened(self) -> None:
        """Wait until the task was begun.

        Raises:
            AgentBayError: It could not be.
        """
        with anyio.move_on_after(_OPEN_LIMIT):
            while not (self._invocation_id or self.over):
                await self._changed.wait()
        if not self._invocation_id:
            if self.result is not None:
                self.result.unwrap()
            raise AgentTimeoutError(f"the session began no stream within {_OPEN_LIMIT:g} s")

    async def drive(self, connection: Connection, call: StreamMobileTask) -> None:
        """Take the events until there are no more."""
        with self._scope:
            try:
                async with anyio.create_task_group() as questions:
                    await self._read(connection, call, questions)
                    questions.cancel_scope.cancel()
            finally:
                self.give_up(AgentError("the stream of the task was given up"), CANCELLED)

    async def advance(self, limit: float) -> None:
        """Wait until something is heard of the task, within a limit."""
        self._waiting += 1
        try:
            with anyio.move_on_after(limit):
                await self._changed.wait()
        finally:
            self._waiting -= 1

    async def cancel(self) -> ExecutionResult:
        """End the task, and stop listening also when the session does not know of it."""
        try:
            return await super().cancel()
        finally:
            self.give_up(AgentError("the task was cancelled"), CANCELLED)
            self.abandon()

    def abandon(self) -> None:
        """Stop listening."""
        self._scope.cancel()

    async def _read(self, connection: Connection, call: StreamMobileTask, group: TaskGroup) -> None:
        try:
            async with connection.stream(call, timeout=None) as stream:
                self._invocation_id = self.request_id = stream.invocation_id
                self._notify()
                async for data in stream:
                    await self._hear(data, stream, group)
                    if self.over:
                        return
                self._hear_end(stream.end)
        except AgentBayError as exc:
            self.give_up(exc)
        except WireError as exc:
            self.give_up(ProtocolError(f"{call.method}: unexpected end: {exc}"))

    async def _hear(self, data: dict[str, Any], stream: Stream, group: TaskGroup) -> None:
        event = read_event(data)
        self._note_id(data)
        self.events.append(event)
        if event.type == "error":
            self._trouble = event.reason or "the agent gave no reason"
        self._notify()
        callback = self._listeners.of(event)
        if callback is not None:
            await self._tell(callback, event)
        if event.asks_user and not self.over:
            group.start_soon(self._ask, stream, event)

    async def _tell(self, callback: Callable[[AgentEvent], Any], event: AgentEvent) -> None:
        try:
            await tell(callback, event)
        except Exception as exc:  # noqa: BLE001 - whatever a user's function raises ends the task
            waited_for = self._waiting > 0
            await self.terminate()
            self.failure = exc
            self._notify()
            if not waited_for:
                _log.exception("a function that was told of task %s failed", self.name)

    async def _ask(self, stream: Stream, event: AgentEvent) -> None:
        try:
            call = ResumeTask(event.tool_call_id, await self._listeners.answer(event))
        except Exception:  # noqa: BLE001 - a user's function; the agent waits for an answer
            _log.exception("on_call_for_user failed; the agent gets an empty text")
            call = ResumeTask(event.tool_call_id, "")
        with suppress(AgentBayError):  # the stream itself tells what is wrong with it
            await stream.reply(call.data())

    def _hear_end(self, data: dict[str, Any]) -> None:
        self._note_id(data)
        state = read_state(data)
        if self._trouble:
            state = attrs.evolve(state, status=FAILED, error=state.error or self._trouble)
        elif not state.over:
            reason = state.error or f"the stream ended while the task was {state.status!r}"
            state = attrs.evolve(state, status=FAILED, error=reason)
        self.end(state)

    def _note_id(self, data: dict[str, Any]) -> None:
        found = data.get("taskId") or data.get("task_id")
        self.task_id = found if isinstance(found, str) else self.task_id

    def _settle(self, result: ExecutionResult) -> None:
        super()._settle(result)
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
