"""The applications of a desktop, as programs of the first generation reach them."""

from __future__ import annotations

from .._results.application import (
    AppOperationResult,
    InstalledAppListResult,
    ProcessListResult,
)
from .._results.base import reported
from ..protocol import application as tools
from ._desktop import Desktop


class AsyncApplicationManager(Desktop):
    """Lists, starts and stops applications; `session.computer` does the same."""

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
        call = tools.GetInstalledApps(start_menu, desktop, ignore_system_apps)
        reply = await self._call(call)
        return InstalledAppListResult(reply.request_id, True, reply.value)

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
            apps = (await session.application.get_installed_apps()).unwrap()
            await session.application.start_app(apps[0].start_cmd)
        """
        call = tools.StartApp(start_cmd, work_directory or None, activity or None)
        return await self._processes(call)

    @reported(ProcessListResult)
    async def list_visible_apps(self) -> ProcessListResult:
        """List the processes that have a window on the screen."""
        return await self._processes(tools.ListVisibleApps())

    @reported(AppOperationResult)
    async def stop_app_by_pname(self, pname: str) -> AppOperationResult:
        """Stop every process of a name."""
        return await self._stopped(tools.StopAppByName(pname))

    @reported(AppOperationResult)
    async def stop_app_by_pid(self, pid: int) -> AppOperationResult:
        """Stop one process."""
        return await self._stopped(tools.StopAppByPid(pid))

    @reported(AppOperationResult)
    async def stop_app_by_cmd(self, stop_cmd: str) -> AppOperationResult:
        """Stop an application with its stop command."""
        return await self._stopped(tools.StopAppByCommand(stop_cmd))

    @reported(ProcessListResult)
    async def get_running_processes(self) -> ProcessListResult:
        """List the processes of applications."""
        return await self._processes(tools.ListRunningProcesses())
