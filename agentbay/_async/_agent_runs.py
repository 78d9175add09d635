"""How one task of an agent goes on, seen by asking for its state."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import attrs

from .._deadline import cleaning_up
from .._results.agent import ExecutionResult, QueryResult
from .._transport import Reply
from ..errors import (
    AgentBayError,
    AgentError,
    AgentTimeoutError,
    AuthenticationError,
    InvalidInputError,
    SessionNotFoundError,
)
from ..protocol.agent import (
    CANCELLED,
    FAILED,
    RUNNING,
    AgentEvent,
    Start,
    TaskStart,
    TaskState,
    TaskTools,
)
from ._resource import Resource

# Seconds between two looks at a task.
INTERVAL = 3.0

# Seconds for one look: at most, and at least when little is left of the time to wait.
LOOK_LIMIT, _LEAST_LOOK = 30.0, 5.0

# Seconds for the request that ends a task: by itself, and while the caller is being cancelled.
_STOP_LIMIT, _LAST_STOP_LIMIT = 10.0, 4.0

# How often in a row the agent may refuse to tell the state. Whatever hinders a question on its
# way is put up with for as long as the caller waits; a refusal was given on purpose.
_REFUSALS = 3

# After these, no further question is answered.
_HOPELESS = (SessionNotFoundError, AuthenticationError, InvalidInputError)


def seconds(limit: object) -> float:
    """A time limit.

    Raises:
        InvalidInputError: No positive number.
    """
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit < 1e9:
        raise InvalidInputError(f"timeout must be a positive number, in seconds, not {limit!r}")
    return float(limit)


class TaskAgent(Resource):
    """What the agents have in common."""

    _tools: TaskTools

    async def _start(self, call: Start) -> Run:
        return Run.begun(self, await self._call(call))

    async def _begin(self, call: Start) -> ExecutionResult:
        run = await self._start(call)
        return run.result or ExecutionResult(run.request_id, True, run.task_id, RUNNING)

    async def _finish(self, call: Start, timeout: float) -> ExecutionResult:
        limit = seconds(timeout)
        run = await self._start(call)
        return await run.wait(limit, at_limit=True, at_cancel=True)

    def _attached(self, task_id: str) -> Run:
        self._tools.look(task_id)  # refuses what is no identifier
        return Run(self, task_id)

    async def _look(self, task_id: str, *, timeout: float | None = None) -> Reply[TaskState]:
        return await self._call(self._tools.look(task_id), timeout=timeout)

    async def _query(self, task_id: str) -> QueryResult:
        reply = await self._look(task_id)
        state = reply.value
        return QueryResult(
            reply.request_id,
            True,
            state.task_id or task_id,
            state.status,
            state.action,
            state.product,
            state.stream,
            error=AgentError(state.error, request_id=reply.request_id) if state.error else None,
        )

    async def _stop(self, task_id: str, *, timeout: float | None = None) -> ExecutionResult:
        reply = await self._call(self._tools.stop(task_id), timeout=timeout)
        state = reply.value
        return ExecutionResult(reply.request_id, True, state.task_id or task_id, state.status)


class Run:
    """A task that was begun; asks for its state, for everyone who wants to know it.

    Attributes:
        task_id: Which task; empty when it has none.
        request_id: Identifier of the last request that told something of it.
        events: What was heard of it so far.
        result: How it ended; None while it runs.
        failure: What a function of the user raised; it ended the task.
    """

    def __init__(self, agent: TaskAgent, task_id: str = "", request_id: str = "") -> None:
        self.agent = agent
        self.task_id = task_id
        self.request_id: str = request_id
        self.events: list[AgentEvent] = []
        self.result: ExecutionResult | None = None
        self.failure: Exception | None = None
        self.looks: int = 0
        self._output = ""
        self._action = ""
        self._heard: set[tuple[object, ...]] = set()
        self._error: AgentBayError | None = None
        self._refusals = 0
        self._next = 0.0

    @classmethod
    def begun(cls, agent: TaskAgent, reply: Reply[TaskStart]) -> Run:
        """The run of a task that a tool began."""
        run = cls(agent, reply.value.task_id, reply.request_id)
        if reply.value.outcome is not None:
            run.end(reply.value.outcome)
        return run

    @property
    def name(self) -> str:
        """What the tools know the task by."""
        return self.task_id

    @property
    def over(self) -> bool:
        """Whether nothing more will be heard of the task."""
        return self.result is not None or self.failure is not None

    async def wait(
        self, limit: float, *, at_limit: bool, at_cancel: bool, looks: int | None = None
    ) -> ExecutionResult:
        """Wait for the end of the task.

        Args:
            limit: Seconds to wait.
            at_limit: Whether to end the task then.
            at_cancel: Whether to end the task when the caller is cancelled.
            looks: How many looks may be taken.

        Raises:
            Exception: What a function of the user raised.
        """
        deadline = time.monotonic() + limit
        try:
            while not self.over:
                await self.advance(max(deadline - time.monotonic(), 0.0))
                late = time.monotonic() >= deadline or self.looks == looks
                if late and not self.over:
                    return await self._expire(limit, terminate=at_limit)
        except BaseException:  # cancelled above all: who waited gives the task up
            if at_cancel and not self.over:
                await self.terminate(_LAST_STOP_LIMIT)
                self.give_up(AgentError("the wait for the task was cancelled"), CANCELLED)
                self.abandon()
            raise
        return self.outcome()

    def outcome(self) -> ExecutionResult:
        """How the task ended.

        Raises:
            Exception: What a function of the user raised.
        """
        if self.failure is not None:
            raise self.failure
        assert self.result is not None
        return self.result

    async def follow(self, limit: float) -> AsyncIterator[AgentEvent]:
        """Everything that is heard of the task, from its beginning to its end."""
        deadline, told = time.monotonic() + limit, 0
        while True:
            while told < len(self.events):
                told += 1
                yield self.events[told - 1]
            if self.over:
                self.outcome()
                return
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise self._late(limit)
            await self.advance(remaining)

    async def advance(self, limit: float) -> None:
        """Wait until it is time for the next look, within a limit, and take it."""
        pause = min(self._next - time.monotonic(), limit)
        if pause > 0:
            await anyio.sleep(pause)
        left = max(limit - max(pause, 0.0), _LEAST_LOOK)
        try:
            reply = await self.agent._look(self.task_id, timeout=min(left, LOOK_LIMIT))
        except AgentBayError as exc:
            self._put_up_with(exc)
        else:
            self._take(reply)
        self.looks += 1
        self._next = time.monotonic() + INTERVAL

    async def terminate(self, limit: float = _STOP_LIMIT) -> bool:
        """Have the task ended, also while the caller is being cancelled; whether it was."""
        with cleaning_up(limit):
            try:
                await self.agent._stop(self.name, timeout=limit)
                return True
            except AgentBayError:
                return False
        return False

    async def cancel(self) -> ExecutionResult:
        """End the task; the result is that of the request."""
        stopped = await self.agent._stop(self.name)
        self.give_up(AgentError("the task was cancelled", request_id=stopped.request_id), CANCELLED)
        return stopped

    def abandon(self) -> None:
        """Take no more notice of the task."""

    def end(self, state: TaskState) -> None:
        """Take note of how the task ended; what comes later does not count."""
        if state.succeeded:
            self._settle(
                ExecutionResult(
                    self.request_id, True, self.task_id, state.status, state.product or self._said()
                )
            )
            return
        reason = state.error or state.product or "the agent gave no reason"
        text = f"the task ended as {state.status!r}: {reason}"
        self._output = state.product or self._output
        self.give_up(AgentError(text, request_id=self.request_id), state.status)

    def give_up(self, error: AgentBayError, status: str = FAILED) -> None:
        """Take note of why nothing more will be heard; what was heard is kept."""
        self._settle(self._failed(error, status))

    def _settle(self, result: ExecutionResult) -> None:
        if not self.over:
            self.result = result

    def _failed(self, error: AgentBayError, status: str = FAILED) -> ExecutionResult:
        return attrs.evolve(
            ExecutionResult.failed(error),
            request_id=error.request_id or self.request_id,
            task_id=self.task_id,
            task_status=status,
            task_result=self._said(),
        )

    def _said(self) -> str:
        pieces = (event.content for event in self.events if event.type == "content")
        return self._output or "".join(pieces)

    async def _expire(self, limit: float, *, terminate: bool) -> ExecutionResult:
        stopped = await self.terminate() if terminate else False
        alive = "; it could not be ended, and may go on" if terminate and not stopped else ""
        result = self._failed(self._late(limit, alive))
        if terminate:
            self._settle(result)
            self.abandon()
        return result

    def _late(self, limit: float, more: str = "") -> AgentTimeoutError:
        looks = f" and {self.looks} looks" if self.looks else ""
        text = f"timeout: task {self.name} has not ended after {limit:g} s{looks}"
        if self._error is not None:
            text += f"; the last look failed: {self._error}"
        error = AgentTimeoutError(text + more, request_id=self.request_id)
        error.__cause__ = self._error
        return error

    def _put_up_with(self, error: AgentBayError) -> None:
        self._error = error
        self._refusals = self._refusals + 1 if isinstance(error, AgentError) else 0
        if self._refusals >= _REFUSALS or isinstance(error, _HOPELESS):
            self.give_up(error)

    def _take(self, reply: Reply[TaskState]) -> None:
        self.request_id, self._error, self._refusals = reply.request_id, None, 0
        state = reply.value
        if self.over:
            return
        self._output = state.product or self._output
        for number, event in enumerate(self._heard_in(state), len(self.events) + 1):
            self.events.append(attrs.evolve(event, seq=number))
        if state.over:
            self.end(state)

    def _heard_in(self, state: TaskState) -> Iterator[AgentEvent]:
        """What a state tells that was not told before; one may repeat what others told."""
        if state.action not in ("", self._action):
            self._action = state.action
            yield AgentEvent("action", content=state.action)
        here: dict[tuple[object, ...], int] = {}
        for piece in state.stream:
            told = tuple(str(piece.get(k) or "") for k in ("timestamp_ms", "reasoning", "content"))
            here[told] = here.get(told, 0) + 1
            if (*told, here[told]) not in self._heard:
                self._heard.add((*told, here[told]))
                yield from _events_of(piece)


def _events_of(piece: dict[str, Any]) -> Iterator[AgentEvent]:
    for kind in ("reasoning", "content"):
        if piece.get(kind):
            yield AgentEvent(kind, content=str(piece[kind]))
