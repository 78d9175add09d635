"""What a client starts on a page, and asks for the result of later."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import anyio
import attrs

from ...errors import AgentBayError
from .._errors import ToolFailure

# Tasks of one session that may go on at once, and those whose results are kept.
_MOST_RUNNING, _MOST_KEPT = 8, 100

# Seconds in which a failure is told by the call that began the task: some clients go on asking
# for the result of a task that has failed.
_HOLD = 20.0


Work = Callable[[], Awaitable[Any]]
Background = Callable[[Work], None]


@attrs.define(eq=False)
class _Task:
    ended: anyio.Event = attrs.field(factory=anyio.Event)
    scope: anyio.CancelScope = attrs.field(factory=anyio.CancelScope)
    result: Any = None
    failure: str = ""


class Tasks:
    """The tasks of one session.

    Args:
        background: Does something that nobody waits for.
        use: Counts as use of the session for the length of a block.
    """

    def __init__(self, background: Background, use: Callable[[], AbstractContextManager[None]]):
        self._background, self._use = background, use
        self._tasks: dict[str, _Task] = {}

    async def start(self, work: Work) -> str:
        """Begin a task; returns its id.

        Raises:
            ToolFailure: It has failed at once, or too many others go on.
        """
        running = [task for task in self._tasks.values() if not task.ended.is_set()]
        if len(running) >= _MOST_RUNNING:
            raise ToolFailure(f"{len(running)} tasks go on already: wait for one to end", number=-1)
        task_id, task = uuid.uuid4().hex, _Task()
        self._keep(task_id, task)
        self._background(partial(self._run, task, work))
        try:
            with anyio.move_on_after(_HOLD):
                await task.ended.wait()
        except BaseException:  # nobody will ask for it, who does not know its id
            task.scope.cancel()
            raise
        if task.failure:
            raise ToolFailure(task.failure, number=-1)
        return task_id

    def result(self, task_id: str) -> Any:
        """The result of a task; None while it goes on.

        Raises:
            ToolFailure: It has failed, or there is no such task.
        """
        task = self._tasks.get(task_id)
        if task is None:
            raise ToolFailure(f"there is no task {task_id!r:.60}, or it ended long ago")
        if task.failure:
            raise ToolFailure(task.failure, number=-1)
        return task.result

    def cancel(self) -> None:
        """End all tasks."""
        for task in self._tasks.values():
            task.scope.cancel()

    def _keep(self, task_id: str, task: _Task) -> None:
        self._tasks[task_id] = task
        ended = [one for one, task in self._tasks.items() if task.ended.is_set()]
        for one in ended[: max(0, len(self._tasks) - _MOST_KEPT)]:
            del self._tasks[one]

    async def _run(self, task: _Task, work: Work) -> None:
        failure = "the task was ended before it had a result"
        try:
            with task.scope, self._use():
                task.result = await work()
                failure = ""
        except AgentBayError as exc:
            failure = str(exc)
        finally:
            task.failure = failure
            task.ended.set()
