"""The desktop of a session: a display of its own, for whatever shows something or looks at it.

A session has none until something needs one. `ensure` starts it, and is what every tool of a
desktop calls first; it costs a millisecond when the display is there::

    display = await ensure(sandbox)
    said = await display.run("wmctrl", "-l")

From then on programs of the session find the display: `Sandbox.environment` has ``DISPLAY``
and ``XAUTHORITY``, so pass that on to whatever is started, as `shell` does. The display ends
with the session, and stops and goes on with it: its processes are some of the session's.
"""

from __future__ import annotations

import re
import shlex

import attrs

from ...protocol._wire import WireError, decode
from .._errors import ToolFailure
from .._output import command_output
from ..sandbox import Sandbox

# Pixels. Screenshots have this size, and coordinates count in it.
WIDTH, HEIGHT = 1280, 720

INSTALL = "apt-get install xvfb openbox xdotool wmctrl x11-utils fonts-dejavu-core"

# Seconds: the X server takes a quarter of one; a program on it a hundredth.
_START_LIMIT, _RUN_LIMIT = 30.0, 20.0

# The number with which the guest says that a program is missing.
_MISSING = -32601
_NAME, _PATH = re.compile(r":\d{1,5}"), re.compile(r"/[^\0\n]{1,4000}")


@attrs.frozen
class Display:
    """A display that runs.

    Attributes:
        sandbox: The session that it belongs to.
        environment: The variables that lead to it, ``DISPLAY`` and ``XAUTHORITY``.
        number: The how manyth of the session it is: what was set on one before is gone.
        width: Of the screen, in pixels.
        height: Of the screen, in pixels.
    """

    sandbox: Sandbox = attrs.field(repr=False)
    environment: dict[str, str]
    number: int
    width: int = WIDTH
    height: int = HEIGHT

    async def run(self, program: str, *arguments: str, time_limit: float = _RUN_LIMIT) -> str:
        """Run a program of the machine on the display; returns what it prints.

        It sees nothing of the variables that the user of the session has set.

        Raises:
            ToolFailure: It is not there, ends with another status than 0, or takes too long.
            EngineError: The session is gone (`SessionLost`).
        """
        call = {
            "command": f"exec {shlex.join([program, *arguments])}",
            "cwd": "/",
            "environment": self.environment,
            "time_limit": time_limit,
        }
        reply = await self.sandbox.call("shell", call, time_limit=time_limit + 10)
        output = command_output(reply)
        if output.timed_out:
            reason = f"{program} did not end within {time_limit:g} seconds"
            raise ToolFailure(f"{reason}: the display does not answer", number=-1)
        if output.exit_code == 127:
            raise ToolFailure(not_there(program), number=-1)
        if output.exit_code != 0:
            said = output.stderr.strip()[-500:] or f"it ended with {output.exit_code}"
            raise ToolFailure(f"{program} failed: {said}", number=-1)
        return output.stdout


@attrs.frozen
class _Said:
    """What the guest says of a display, whose word is not trusted."""

    environment: dict[str, str]
    number: int


async def ensure(sandbox: Sandbox) -> Display:
    """Return the display of a session; it is started by the first call.

    Call it within `life.use()`, as all tools are. Several at once start one display.

    Raises:
        ToolFailure: A program is missing, which the message names with the line that installs
            it; or the X server has ended, with all windows: the next call starts another one.
        EngineError: The session is gone (`SessionLost`).
    """
    size = {"width": WIDTH, "height": HEIGHT}
    try:
        reply = await sandbox.call("display", size, time_limit=_START_LIMIT)
        said = decode(_Said, reply.data)
    except ToolFailure as exc:
        if exc.number == _MISSING:
            raise ToolFailure(not_there(str(exc)), number=-1) from exc
        raise
    except WireError as exc:
        raise ToolFailure("the session sent a reply that is not valid") from exc
    name, path = (said.environment.get(key, "") for key in ("DISPLAY", "XAUTHORITY"))
    if not _NAME.fullmatch(name) or not _PATH.fullmatch(path):
        raise ToolFailure("the session sent a reply that is not valid")
    environment = {"DISPLAY": name, "XAUTHORITY": path}
    _tell_programs(sandbox.environment, environment)
    return Display(sandbox, environment, said.number)


def not_there(programs: str) -> str:
    """What to say when programs of a desktop are missing."""
    return (
        f"desktops need {programs} on the machine of the engine: on Debian and Ubuntu, `{INSTALL}`"
    )


def _tell_programs(variables: dict[str, str], environment: dict[str, str]) -> None:
    """Let the programs to come find the display, unless the user has set another one."""
    ours = variables.get("XAUTHORITY") == environment["XAUTHORITY"]
    if ours or "DISPLAY" not in variables:
        variables.update(environment)
