"""Shell commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .._deadline import for_the_session
from .._deferred import hint
from .._results.base import reported
from .._results.command import CommandResult
from .._transport import Reply
from ..errors import CommandError, InvalidInputError
from ..protocol._checks import as_dict
from ..protocol.command import DEFAULT_TIMEOUT, Shell, ShellReply
from ._resource import Resource

if TYPE_CHECKING:
    from .process import AsyncProcessHandle
else:
    AsyncProcessHandle = hint("agentbay._async.process", "AsyncProcessHandle")

# What the service may need on top of a command's own time limit, in seconds.
_MARGIN = 15.0

# No command lasts that long; past it, conversions between units overflow.
_ENDLESS = 1e12


class AsyncCommand(Resource):
    """Runs shell commands in a session."""

    @reported(CommandResult)
    async def run(
        self,
        command: str,
        timeout_ms: int | None = None,
        cwd: str | None = None,
        envs: Mapping[str, str] | None = None,
        *,
        timeout: float | None = None,
    ) -> CommandResult:
        """Run a shell command and wait for it.

        Each command is a process of its own, started by ``sh -c``: a working directory or
        a variable that one sets is not seen by the next. A command that ends in ``&``
        leaves its process running and returns at once.

        Args:
            command: The command line.
            timeout_ms: Time limit in milliseconds, as older programs write it.
            cwd: Working directory; the home directory of the session by default.
            envs: Environment variables for this command only.
            timeout: Time limit in seconds, 50 by default. At it the command is killed with
                its process group, and what it wrote so far is kept.

        Returns:
            Output and exit code. `success` means that the command exited with 0.

        Example:
            ```python
            result = await session.command.run("echo hello")
            print(result.stdout, result.exit_code)
            ```
        """
        limit = for_the_session(_seconds(timeout_ms, timeout))
        variables = None if envs is None else as_dict("envs", envs)
        call = Shell(command, round(limit * 1000), cwd, variables)
        return _result(await self._call(call, timeout=limit + _MARGIN))

    async def start(
        self, command: str, *, cwd: str | None = None, envs: Mapping[str, str] | None = None
    ) -> AsyncProcessHandle:
        """Start a command and go on while it runs.

        Args:
            command: The command line.
            cwd: Working directory; the home directory of the session by default.
            envs: Environment variables for this command only.

        Raises:
            ProcessError: It could not be started.

        Example:
            ```python
            process = await session.command.start("python3 server.py")
            async for text in process.stdout():
                print(text, end="")
            ```
        """
        from . import process

        return await process.start(self._session, command, cwd=cwd, envs=envs)

    async def attach(self, id: str) -> AsyncProcessHandle:
        """Find a command that `start` started, also from another program.

        Args:
            id: The `id` of its handle.

        Raises:
            ProcessError: There is none.
        """
        from . import process

        return await process.attach(self._session, id)

    execute_command = run
    exec = run


def _seconds(timeout_ms: int | None, timeout: float | None) -> float:
    if timeout_ms is not None and timeout is not None:
        raise InvalidInputError("give the time limit once: timeout= (seconds) or timeout_ms=")
    for value, unit in ((timeout, 1.0), (timeout_ms, 0.001)):
        if value is not None:
            if not _is_number(value) or not 0 < value < _ENDLESS:
                raise InvalidInputError(f"the time limit must be a positive number, not {value!r}")
            return max(value * unit, 0.001)
    return DEFAULT_TIMEOUT


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _result(reply: Reply[ShellReply]) -> CommandResult:
    shell = reply.value
    error = None
    if shell.exit_code != 0:
        error = CommandError(
            shell.stderr.strip() or f"the command exited with {shell.exit_code}",
            tool=Shell.tool,
            request_id=reply.request_id,
            exit_code=shell.exit_code,
            stdout=shell.stdout,
            stderr=shell.stderr,
        )
    return CommandResult(
        reply.request_id,
        error is None,
        shell.stdout + shell.stderr,
        shell.exit_code,
        shell.stdout,
        shell.stderr,
        shell.trace_id,
        error_message="" if error is None else str(error),
        error=error,
    )
