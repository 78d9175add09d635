"""The applications and processes of a desktop or a device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ..errors import ApplicationError
from ._calls import Tool, not_blank
from ._checks import WHOLE, a_flag, a_text, at_least
from ._wire import decode, named

SERVER = "wuying_app"


@attrs.frozen
class InstalledApp:
    """An application that can be started.

    Attributes:
        name: What people call it.
        start_cmd: What `start_app` takes.
        stop_cmd: What `stop_app_by_cmd` takes; applications of Linux have none.
        work_directory: Where it wants to be started.
    """

    name: str
    start_cmd: str = ""
    stop_cmd: str | None = None
    work_directory: str | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> InstalledApp:
        """Make one from an entry of the service's list.

        Raises:
            ValueError: The entry has another shape.
        """
        return decode(cls, data)


@attrs.frozen
class Process:
    """A process of an application.

    Attributes:
        pname: Its name.
        pid: Its number.
        cmdline: Its command line; None when the service does not tell.
    """

    pname: str = named(also=("name",))
    pid: int = named()
    cmdline: str | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Process:
        """Make one from an entry of the service's list.

        Raises:
            ValueError: The entry has another shape.
        """
        return decode(cls, data)


@attrs.frozen
class GetInstalledApps(
    Tool[list[InstalledApp]],
    tool="get_installed_apps",
    server=SERVER,
    returns=list[InstalledApp],
    error=ApplicationError,
):
    """List the applications that can be started."""

    start_menu: bool = named(doc="Those of the start menu.", default=True, validator=a_flag)
    desktop: bool = named(doc="Those on the desktop.", default=False, validator=a_flag)
    # Clients of the first generation send the other name, which services do not know.
    ignore_system_apps: bool = named(
        "ignore_system_app",
        also=("ignore_system_apps",),
        doc="Leave out those of the system.",
        default=True,
        validator=a_flag,
    )


@attrs.frozen
class StartApp(
    Tool[list[Process]],
    tool="start_app",
    server=SERVER,
    returns=list[Process],
    error=ApplicationError,
):
    """Start an application."""

    start_cmd: str = named(doc="Its command.", validator=not_blank)
    work_directory: str | None = named(
        doc="Where to start it.", default=None, validator=attrs.validators.optional(a_text)
    )
    activity: str | None = named(
        doc="What to open, on a mobile device.",
        default=None,
        validator=attrs.validators.optional(a_text),
    )


@attrs.frozen
class ListVisibleApps(
    Tool[list[Process]],
    tool="list_visible_apps",
    server=SERVER,
    returns=list[Process],
    error=ApplicationError,
):
    """List the processes that have a window on the screen."""


@attrs.frozen
class ListRunningProcesses(
    Tool[list[Process]],
    tool="list_running_processes",
    server=SERVER,
    returns=list[Process],
    error=ApplicationError,
):
    """List the processes of applications."""


@attrs.frozen
class StopAppByName(Tool[None], tool="stop_app_by_pname", server=SERVER, error=ApplicationError):
    """Stop every process of a name."""

    pname: str = named(doc="The name.", validator=not_blank)


@attrs.frozen
class StopAppByPid(Tool[None], tool="stop_app_by_pid", server=SERVER, error=ApplicationError):
    """Stop one process."""

    pid: int = named(doc="Its number.", converter=WHOLE, validator=at_least(1))


@attrs.frozen
class StopAppByCommand(Tool[None], tool="stop_app_by_cmd", server=SERVER, error=ApplicationError):
    """Stop an application with its stop command."""

    stop_cmd: str = named(doc="The command.", validator=not_blank)
