"""The results of operations on applications."""

from __future__ import annotations

import attrs

from ..protocol.application import InstalledApp, Process
from .base import ApiResponse


@attrs.frozen(eq=False, repr=False)
class InstalledAppListResult(ApiResponse):
    """The applications that can be started."""

    data: list[InstalledApp] = attrs.field(factory=list[InstalledApp])

    def unwrap(self) -> list[InstalledApp]:
        """Return the applications, or raise what went wrong."""
        self._check()
        return self.data


@attrs.frozen(eq=False, repr=False)
class ProcessListResult(ApiResponse):
    """Processes of applications."""

    data: list[Process] = attrs.field(factory=list[Process])

    def unwrap(self) -> list[Process]:
        """Return the processes, or raise what went wrong."""
        self._check()
        return self.data


@attrs.frozen(eq=False, repr=False)
class AppOperationResult(ApiResponse):
    """The result of stopping an application."""
