"""The applications and the processes of a session's desktop."""

from __future__ import annotations

import shlex

from ..protocol import application as tools
from ..protocol.application import InstalledApp, Process
from ._desktop import apps
from ._desktop.display import ensure
from ._dispatch import handles_tool
from ._errors import ToolFailure
from ._output import command_output
from .sandbox import Sandbox

# Seconds for a command that stops an application.
_STOP_LIMIT, _MARGIN = 20.0, 10.0

# What a session's display consists of: not applications, even if a user may stop them.
_OF_DISPLAY = ("Xvfb", "openbox")

_SHOWN = 500
_LISTED = "list_visible_apps and list_running_processes tell which there are"


@handles_tool(tools.GetInstalledApps)
async def get_installed_apps(sandbox: Sandbox, call: tools.GetInstalledApps) -> list[InstalledApp]:
    """Those with an entry; tools of the system are those that menus hide or call settings."""
    found = await apps.installed(sandbox, start_menu=call.start_menu, desktop=call.desktop)
    return [
        InstalledApp(app.name, app.start_cmd, work_directory=app.work_directory or None)
        for app in found
        if not (app.system and call.ignore_system_apps)
    ]


@handles_tool(tools.StartApp)
async def start_app(sandbox: Sandbox, call: tools.StartApp) -> list[Process]:
    if call.activity:
        raise ToolFailure("activity is for mobile devices: an application has none on a desktop")
    try:
        command = shlex.split(call.start_cmd)
    except ValueError as exc:
        raise ToolFailure(f"start_cmd cannot be read as a command: {exc}") from exc
    if not command or not command[0]:
        raise ToolFailure("start_cmd names no program")
    display = await ensure(sandbox)
    return [one.told for one in await apps.start(display, command, call.work_directory)]


@handles_tool(tools.ListVisibleApps)
async def list_visible_apps(sandbox: Sandbox, call: tools.ListVisibleApps) -> list[Process]:
    owners = await apps.with_windows(await ensure(sandbox))
    return [one.told for one in await apps.running(sandbox) if one.pid in owners]


@handles_tool(tools.ListRunningProcesses)
async def list_running_processes(
    sandbox: Sandbox, call: tools.ListRunningProcesses
) -> list[Process]:
    return [one.told for one in await apps.running(sandbox) if one.pname not in _OF_DISPLAY]


@handles_tool(tools.StopAppByName)
async def stop_app_by_pname(sandbox: Sandbox, call: tools.StopAppByName) -> None:
    found = [one.pid for one in await apps.running(sandbox) if one.pname == call.pname]
    if not found:
        raise ToolFailure(f"no process of the session is called {call.pname!r:.80}: {_LISTED}")
    await apps.end(sandbox, found)


@handles_tool(tools.StopAppByPid)
async def stop_app_by_pid(sandbox: Sandbox, call: tools.StopAppByPid) -> None:
    if call.pid not in {one.pid for one in await apps.running(sandbox)}:
        raise ToolFailure(f"no process of the session has the number {call.pid}: {_LISTED}")
    await apps.end(sandbox, [call.pid])


@handles_tool(tools.StopAppByCommand)
async def stop_app_by_cmd(sandbox: Sandbox, call: tools.StopAppByCommand) -> None:
    """Run a command that stops an application; such as `pkill xterm`."""
    arguments = {
        "command": call.stop_cmd,
        "environment": sandbox.environment,
        "time_limit": _STOP_LIMIT,
    }
    reply = await sandbox.call("shell", arguments, time_limit=_STOP_LIMIT + _MARGIN)
    output = command_output(reply)
    if output.timed_out:
        raise ToolFailure(f"{call.stop_cmd!r:.80} did not end in time", number=-1)
    if output.exit_code != 0:
        said = output.stderr.strip()[-_SHOWN:] or "as it does when there is nothing to stop"
        how = f"exit code {output.exit_code}, signal {output.signal}"
        raise ToolFailure(f"{call.stop_cmd!r:.80} failed ({how}): {said}", number=-1)
