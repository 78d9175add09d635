"""The applications of a desktop, as programs of the first generation reach them."""

from __future__ import annotations

from .._results.application import (
    ProcessListResult,
)
from .._results.base import reported
from ..protocol import application as tools
from ._desktop_apps import Applications


class AsyncApplicationManager(Applications):
    """Lists, starts and stops applications; `session.computer` does the same."""

    @reported(ProcessListResult)
    async def get_running_processes(self) -> ProcessListResult:
        """List the processes of applications."""
        return await self._processes(tools.ListRunningProcesses())
