"""The applications of a desktop, for all that reach them."""

from __future__ import annotations

from .._results.application import (
    AppOperationResult,
    InstalledAppListResult,
    ProcessListResult,
)
from .._results.base import reported
from ..protocol import application as apps
from ._desktop import Desktop


class Applications(Desktop):
    """Lists, starts and stops applications."""

    @reported(InstalledAppListResult)
    async def get_installed_apps(
        self, start_menu: bool = True, desktop: bool = False, ignore_system_apps: bool = True
    ) -> InstalledAppListResult:
        """List the applications that can be started.

        Args:
            start_menu: List those of the start menu.
            desktop: List those on the desktop.
            ignore_system_apps: Leave out those of the system.
        """
        return await self._apps(apps.GetInstalledApps(start_menu, desktop, ignore_system_apps))

    @reported(ProcessListResult)
    async def start_app(
        self, start_cmd: str, work_directory: str = "", activity: str = ""
    ) -> ProcessListResult:
        """Start an application.

        Args:
            start_cmd: Its command, as `get_installed_apps` gives it.
            work_directory: Where to start it.
            activity: What to open, on a mobile device.

        Returns:
            The processes that were started; a web browser has several.

        Example:
            ```python
            found = (await session.computer.get_installed_apps()).unwrap()
            await session.computer.start_app(found[0].start_cmd)
            ```
        """
        call = apps.StartApp(start_cmd, work_directory or None, activity or None)
        return await self._processes(call)

    @reported(ProcessListResult)
    async def list_visible_apps(self) -> ProcessListResult:
        """List the processes that have a window on the screen."""
        return await self._processes(apps.ListVisibleApps())

    @reported(AppOperationResult)
    async def stop_app_by_pname(self, pname: str) -> AppOperationResult:
        """Stop every process of a name."""
        return await self._stopped(apps.StopAppByName(pname))

    @reported(AppOperationResult)
    async def stop_app_by_pid(self, pid: int) -> AppOperationResult:
        """Stop one process."""
        return await self._stopped(apps.StopAppByPid(pid))

    @reported(AppOperationResult)
    async def stop_app_by_cmd(self, stop_cmd: str) -> AppOperationResult:
        """Stop an application with its stop command."""
        return await self._stopped(apps.StopAppByCommand(stop_cmd))
