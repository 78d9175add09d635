"""What the tests of sandboxes share."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio

from agentbay.local._output import CommandOutput, command_output
from agentbay.local.sandbox import Sandbox


async def run(
    sandbox: Sandbox,
    command: str,
    *,
    cwd: str | None = None,
    environment: dict[str, str] | None = None,
    time_limit: float = 40.0,
) -> CommandOutput:
    """Run a shell command in the session."""
    arguments = {
        "command": command,
        "cwd": cwd,
        "environment": environment or {},
        "time_limit": time_limit,
    }
    return command_output(await sandbox.call("shell", arguments, time_limit=time_limit + 10))


async def until(condition: Callable[[], Awaitable[bool]], limit: float = 30.0) -> None:
    """Wait for a condition to hold."""
    with anyio.fail_after(limit):
        while not await condition():  # noqa: ASYNC110 - another process makes it true
            await anyio.sleep(0.02)


def processes_with(marker: str) -> list[int]:
    """The host's processes that have the marker in their command line."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if marker.encode() in line:
            found.append(int(entry.name))
    return found


async def running(marker: str, count: int = 1) -> list[int]:
    """Wait until so many processes have the marker in their command line.

    A process that begins another program has an empty one for a moment, and the shell that runs
    a command has the same as the command.
    """

    async def started() -> bool:
        return len(processes_with(marker)) == count

    await until(started)
    return processes_with(marker)


async def all_gone(marker: str) -> None:
    """Wait until no process has the marker in its command line."""

    async def ended() -> bool:
        return processes_with(marker) == []

    await until(ended)


def open_here() -> set[str]:
    """What the descriptors of this process lead to."""
    found: set[str] = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.add(os.readlink(f"/proc/self/fd/{name}"))
    return found


def guest_pid(sandbox: Sandbox) -> int:
    """The host's id of the guest's process."""
    process = sandbox._guest._process
    assert process is not None
    pid = process.pid
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def peak_memory(pid: int) -> int:
    """The most memory that a process has had at a time, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the kernel does not say")


def names_in(directory: Path) -> list[str]:
    """What a directory of the host contains."""
    return sorted(path.name for path in directory.iterdir())
