"""The processes of a session and its applications, as the guest tells of them.

What it says is not trusted: it is checked here, and never makes the engine wait for ever.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence, Set
from typing import TypeVar

import anyio
import attrs

from ...protocol._wire import WireError, decode
from ...protocol.application import Process
from .._errors import ToolFailure
from .._sandbox.guest_frames import Talk
from ..sandbox import Sandbox
from .display import Display
from .windows import seen

T = TypeVar("T")

# Seconds for an application to show a window; for those that show none, nothing is lost but time.
_WINDOW_LIMIT, _LOOK = 5.0, 0.1
_PROCESS_LIMIT = 15.0
# Seconds for a process that is asked to end before it is ended, and for the guest to do so.
_END_LIMIT, _MARGIN = 3.0, 10.0

_SHOWN = 500


@attrs.frozen
class Running:
    """A process of a session.

    Attributes:
        pid: Its number.
        parent: The process that started it.
        session: The number that it shares with all that was started with it.
        pname: Its name.
        cmdline: Its command line.
    """

    pid: int
    parent: int
    session: int
    pname: str
    cmdline: str = ""

    @property
    def told(self) -> Process:
        """What clients are told."""
        return Process(self.pname, self.pid, self.cmdline)


@attrs.frozen
class Installed:
    """An application that can be started.

    Attributes:
        name: What people call it.
        start_cmd: Its command.
        work_directory: Where it wants to be started; may be empty.
        system: Whether it is a tool of the system rather than an application.
    """

    name: str
    start_cmd: str
    work_directory: str
    system: bool


@attrs.frozen
class _Started:
    """That an application was started."""

    pid: int


@attrs.frozen
class _End:
    """How an application ended."""

    exit_code: int | None = None
    signal: int | None = None
    said: str = ""


async def installed(sandbox: Sandbox, *, start_menu: bool, desktop: bool) -> list[Installed]:
    """The applications that have an entry in the start menu or on the desktop."""
    arguments = {
        "start_menu": start_menu,
        "desktop": desktop,
        "environment": sandbox.environment,
    }
    reply = await sandbox.call("installed_apps", arguments)
    return _checked(list[Installed], reply.data.get("apps"))


async def running(sandbox: Sandbox) -> list[Running]:
    """All processes of a session but those that only the engine needs."""
    reply = await sandbox.call("list_processes", {}, time_limit=_PROCESS_LIMIT)
    return _checked(list[Running], reply.data.get("processes"))


async def start(display: Display, command: Sequence[str], cwd: str | None) -> list[Running]:
    """Start an application and wait for its first window; not for long, it may show none.

    Returns:
        Its processes.

    Raises:
        ToolFailure: There is no such program or directory, or it ended at once with a failure.
    """
    sandbox = display.sandbox
    arguments = {
        "command": list(command),
        "cwd": cwd,
        "environment": {**display.environment, **sandbox.environment},
    }
    before = {one.window.window_id for one in await seen(display)}
    async with sandbox.converse("launch", arguments) as talk:
        pid = await _started(talk, command[0])
        end = await _first_window(display, talk, pid, before)
    if end is not None and (end.exit_code != 0 or end.signal is not None):
        raise ToolFailure(_failure(command[0], end), number=-1)
    # What has handed its work over to another process has none of its own any more.
    gone = Running(pid, 0, pid, command[0].rpartition("/")[2], " ".join(command))
    return _family(await running(sandbox), pid) or [gone]


async def end(sandbox: Sandbox, pids: Iterable[int]) -> None:
    """Ask processes to end, and end those that do not.

    Raises:
        ToolFailure: One of them cannot be ended.
    """
    arguments = {"pids": list(pids), "limit": _END_LIMIT}
    limit = _END_LIMIT + _MARGIN
    reply = await sandbox.call("end_processes", arguments, time_limit=limit)
    if left := reply.data.get("left"):
        raise ToolFailure(f"the processes {str(left)[:_SHOWN]} could not be ended", number=-1)


async def with_windows(display: Display) -> set[int]:
    """The processes that have a window."""
    return {one.window.pid for one in await seen(display) if one.window.pid is not None}


async def _started(talk: Talk, program: str) -> int:
    """Wait until an application runs: its process."""
    with anyio.move_on_after(_PROCESS_LIMIT):
        return _checked(_Started, _json((await talk.receive())[1])).pid
    raise ToolFailure(f"{program} was not started in time", number=-1)


async def _first_window(display: Display, talk: Talk, pid: int, before: Set[int]) -> _End | None:
    """Wait until an application shows a window; how it ended, if it did before."""
    deadline = anyio.current_time() + _WINDOW_LIMIT
    while anyio.current_time() < deadline:
        with anyio.move_on_after(_LOOK):
            return _checked(_End, _json((await talk.receive())[1]))
        family = {one.pid for one in _family(await running(display.sandbox), pid)}
        shown = [one.window for one in await seen(display) if one.window.window_id not in before]
        # Few programs keep their number to themselves; a window of theirs is new all the same.
        if any(window.pid is None or window.pid in family for window in shown):
            break
    return None


def _family(found: Sequence[Running], pid: int) -> list[Running]:
    """A process, what it started, and what was started along with it."""
    members = [one for one in found if one.pid == pid or one.session == pid]
    known = {one.pid for one in members}
    for one in found:
        # Parents come before their children.
        if one.pid not in known and one.parent in known:
            members.append(one)
            known.add(one.pid)
    return sorted(members, key=lambda one: one.pid)


def _json(message: bytes) -> object:
    try:
        return json.loads(message)
    except (ValueError, RecursionError):
        return None


def _checked(kind: type[T], said: object) -> T:
    """Read what the guest says, whose word is not trusted."""
    try:
        return decode(kind, said)
    except WireError as exc:
        raise ToolFailure("the session sent a reply that is not valid") from exc


def _failure(program: str, end: _End) -> str:
    how = f"signal {end.signal}" if end.signal is not None else f"exit code {end.exit_code}"
    said = f": {end.said[-_SHOWN:]}" if end.said else ""
    return f"{program} ended at once ({how}){said}"
