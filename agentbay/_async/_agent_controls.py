"""What can be done with a task that was begun, whichever agent does it."""

from __future__ import annotations

from .._results.agent import ExecutionResult, QueryResult
from .._results.base import reported
from ._agent_runs import TaskAgent
from .agent_task import AsyncTaskExecution


class TaskControls(TaskAgent):
    """Finds and ends the tasks of an agent."""

    @reported(QueryResult)
    async def get_task_status(self, task_id: str) -> QueryResult:
        """Tell how a task stands, and what the agent did, thought and said if it tells that."""
        return await self._query(task_id)

    @reported(ExecutionResult)
    async def terminate_task(self, task_id: str) -> ExecutionResult:
        """End a task."""
        return await self._stop(task_id)

    def attach(self, task_id: str) -> AsyncTaskExecution:
        """Get hold of a task that was begun before, also by another program.

        Example:
            ```python
            execution = session.agent.computer.attach(started.task_id)
            print((await execution.wait(timeout=60)).task_result)
            ```
        """
        return AsyncTaskExecution(_run=self._attached(task_id))
