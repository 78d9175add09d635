"""The results of operations on applications."""

from __future__ import annotations

from typing import Any

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


@attrs.frozen(eq=False, repr=False)
class AppInfoResult(ApiResponse):
    """What is known about an application; nothing here returns it."""

    app_info: dict[str, Any] = attrs.field(factory=dict[str, Any])

    def unwrap(self) -> dict[str, Any]:
        """Return what is known, or raise what went wrong."""
        self._check()
        return self.app_info


@attrs.frozen(eq=False, repr=False)
class AppListResult(ApiResponse):
    """Applications; nothing here returns it, see `InstalledAppListResult`."""

    apps: list[InstalledApp] = attrs.field(factory=list[InstalledApp])

    def unwrap(self) -> list[InstalledApp]:
        """Return the applications, or raise what went wrong."""
        self._check()
        return self.apps


@attrs.frozen(eq=False, repr=False)
class AppInstallResult(ApiResponse):
    """The result of installing an application; nothing here returns it."""
