"""The shell tool."""

from __future__ import annotations

from ..protocol.command import Shell, ShellReply
from ._dispatch import handles_tool
from ._output import CommandOutput, command_output
from .sandbox import Sandbox

# What the guest may need to end a command whose time is up, in seconds.
_MARGIN = 10.0

# The guest waits with epoll, which takes no more than 24 days.
_LONGEST = 20 * 86400.0


@handles_tool(Shell)
async def shell(sandbox: Sandbox, call: Shell) -> ShellReply:
    limit = min(call.timeout_ms / 1000, _LONGEST)
    arguments = {
        "command": call.command,
        "cwd": call.cwd,
        "environment": {**sandbox.environment, **(call.envs or {})},
        "time_limit": limit,
    }
    reply = await sandbox.call("shell", arguments, time_limit=limit + _MARGIN)
    output = command_output(reply)
    return ShellReply(_exit_code(output), output.stdout, output.stderr)


def _exit_code(output: CommandOutput) -> int | None:
    """The exit code as a shell tells it; None when the time limit ended the command."""
    if output.timed_out:
        return None
    return output.exit_code if output.signal is None else 128 + output.signal
