"""The results of running code."""

from __future__ import annotations

import attrs

from ..protocol.code import CodeOutput, ExecutionLogs
from .base import ApiResponse


@attrs.frozen(eq=False, repr=False)
class EnhancedCodeExecutionResult(ApiResponse):
    """What code printed and showed.

    `success` means that it ran to its end. The `error` of code that did not is an
    `ExecutionError`, with `name`, `value` and `traceback`; what it printed before is kept.

    Attributes:
        execution_count: How many runs its interpreter has seen; None when not told.
        execution_time: Seconds that it took; 0 when not told.
        logs: What it printed.
        results: The values that it showed.
    """

    execution_count: int | None = None
    execution_time: float = 0.0
    logs: ExecutionLogs = attrs.field(factory=ExecutionLogs)
    results: list[CodeOutput] = attrs.field(factory=list[CodeOutput])

    @property
    def result(self) -> str:
        """The main value as text, or the first one; what was printed when there is none."""
        main = (output.text for output in self.results if output.is_main_result)
        text = next((text for text in main if text), None)
        if text is None and self.results:
            text = self.results[0].text
        return "".join(self.logs.stdout) if text is None else text

    @property
    def data(self) -> str:
        """The same as `result`."""
        return self.result

    def unwrap(self) -> str:
        """Return `result`, or raise what went wrong."""
        self._check()
        return self.result


CodeExecutionResult = EnhancedCodeExecutionResult
