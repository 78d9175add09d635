"""A task that an agent works on."""

from __future__ import annotations

from collections.abc import AsyncIterator

from .._results.agent import ExecutionResult
from .._results.base import reported
from ..errors import AgentError
from ..protocol.agent import AgentEvent
from ._agent_runs import Run, seconds


class AsyncTaskExecution:
    """A task of an agent, from its beginning to its end.

    A task that is streamed belongs to the event loop on which it was begun.

    Example:
        ```python
        execution = await session.agent.mobile.execute_task("Turn on the flashlight")
        result = await execution.wait(timeout=120)
        print(result.task_status, result.task_result)
        ```
    """

    def __init__(self, task_id: str = "", *, _run: Run | None = None) -> None:
        self._id = task_id
        self._known_run = _run

    def __repr__(self) -> str:
        return f"AsyncTaskExecution({self.task_id!r})"

    @property
    def task_id(self) -> str:
        """The identifier of the task; empty while it is not known, as of streamed tasks."""
        return self._id if self._known_run is None else self._known_run.task_id

    @property
    def done(self) -> bool:
        """Whether the task had ended when something was heard of it last."""
        return self._known_run is not None and self._known_run.over

    @reported(ExecutionResult)
    async def wait(self, timeout: float = 300, *, terminate: bool = True) -> ExecutionResult:
        """Wait until the task has ended.

        Asking for the state of the task may fail now and then; only the session's end, or a
        refusal that is repeated, ends the wait. Waiting again gives the same result.

        Args:
            timeout: Seconds to wait.
            terminate: Whether to end the task when the time is over, or when the caller is
                cancelled; else it goes on.

        Returns:
            What came out. `success` means that the task was done. When it was not,
            `task_result` has what it had brought until then, and `error` tells why; of a
            task that ran out of time it is an `AgentTimeoutError`.

        Raises:
            Exception: What one of your functions raised that are told of the stream. It
                ends the task.

        Example:
            ```python
            result = await execution.wait(timeout=60)
            if not result.success:
                print(result.error_message, result.task_result)
            ```
        """
        limit = seconds(timeout)
        return await self._run.wait(limit, at_limit=terminate, at_cancel=terminate)

    @reported(ExecutionResult)
    async def cancel(self) -> ExecutionResult:
        """End the task. One that has ended already is left as it is.

        Returns:
            Whether that was accepted. What the task had brought is in the result of `wait`.
        """
        run = self._run
        if run.result is not None:
            return ExecutionResult(run.request_id, True, run.task_id, run.result.task_status)
        return await run.cancel()

    def events(self, timeout: float = 300) -> AsyncIterator[AgentEvent]:
        """Go through everything that is heard of the task, from its beginning to its end.

        Args:
            timeout: Seconds that this may take. The task goes on after it.

        Raises:
            AgentTimeoutError: The time is over.

        Example:
            ```python
            async for event in execution.events(timeout=120):
                print(event.type, event.content)
            ```
        """
        return self._run.follow(seconds(timeout))

    @property
    def _run(self) -> Run:
        if self._known_run is None:
            raise AgentError("there is no task in this object: use execute_task() or attach()")
        return self._known_run
