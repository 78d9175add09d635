"""The results of tasks in natural language."""

from __future__ import annotations

from typing import Any, Self

import attrs

from ..errors import AgentBayError
from ..protocol.agent import FAILED
from .base import ApiResponse


@attrs.frozen(eq=False, repr=False)
class ExecutionResult(ApiResponse):
    """How a task began, ended, or was ended.

    `success` of a task that was waited for means that it was done.

    Attributes:
        task_id: Which task; empty when it has none.
        task_status: How it stands, such as ``running``, ``finished`` or ``failed``.
        task_result: What came out. Of a task that failed or ran out of time, what it had
            brought until then.
    """

    task_id: str = ""
    task_status: str = ""
    task_result: str = ""

    @classmethod
    def failed(cls, error: AgentBayError) -> Self:
        """The result that stands for an error; nothing came out."""
        return attrs.evolve(super().failed(error), task_status=FAILED)

    def unwrap(self) -> str:
        """Return what came out, or raise what went wrong."""
        self._check()
        return self.task_result


@attrs.frozen(eq=False, repr=False)
class QueryResult(ApiResponse):
    """How a task stands.

    `success` means that the question was answered; a task that failed is an answer, too, and
    `error` says what went wrong with it. A question that was not answered leaves
    `task_status` empty, because the task may go on.

    Attributes:
        task_id: Which task.
        task_status: ``running``; ``finished`` or ``completed``; or ``failed``, ``cancelled``
            or ``unsupported``.
        task_action: What the agent is doing.
        task_product: What came out so far.
        stream: What the agent of a phone thought and said: dictionaries with
            ``timestamp_ms``, ``content`` and ``reasoning``.
    """

    task_id: str = ""
    task_status: str = ""
    task_action: str = ""
    task_product: str = ""
    stream: list[dict[str, Any]] = attrs.field(factory=list[dict[str, Any]])

    def unwrap(self) -> str:
        """Return what came out so far, or raise why that could not be told."""
        self._check()
        return self.task_product
