"""How long the embedded engine takes, and how many sessions it serves side by side."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
import attrs

from agentbay import AsyncAgentBay, AsyncSession

from ._measure import Row, milliseconds, show

T = TypeVar("T")

_SESSIONS, _COMMANDS = 25, 10
_SIDE_BY_SIDE = 200
_COMMAND = "echo hello"

# Seconds until what sessions leave behind has to be gone.
_GONE_LIMIT = 10.0


def main() -> None:
    """Measure, and print; in a home directory of its own, which is removed."""
    with tempfile.TemporaryDirectory(prefix="agentbay-benchmark-") as home:
        os.environ["AGENTBAY_LOCAL_HOME"] = home
        try:
            anyio.run(_latencies)
            anyio.run(_side_by_side, Path(home), _SIDE_BY_SIDE)
        finally:
            # Not at the top: what the first session takes includes the import of the engine.
            from agentbay.local.host import stop_embedded

            stop_embedded()  # it may be making a sandbox ready


@attrs.frozen
class _Times:
    """What was measured, in seconds."""

    create: list[float] = attrs.field(factory=list[float])
    first: list[float] = attrs.field(factory=list[float])
    command: list[float] = attrs.field(factory=list[float])
    bare: list[float] = attrs.field(factory=list[float])
    delete: list[float] = attrs.field(factory=list[float])


async def _latencies() -> None:
    times = _Times()
    async with AsyncAgentBay(endpoint="local") as bay:
        begin = time.perf_counter()
        async with bay.session() as session:  # the engine starts with it
            await _run(session)
            coldest = time.perf_counter() - begin
        for _ in range(_SESSIONS):
            await _one_session(bay, times)
    over = [one - other for one, other in zip(times.command, times.bare, strict=True)]
    rows = [
        Row("first session of the process, to its first command", f"{coldest * 1000:.1f} ms"),
        Row("create", milliseconds(times.create)),
        Row("create -> first command", milliseconds(times.first), "<= 50 ms (median)"),
        Row("command round trip", milliseconds(times.command)),
        Row("bare subprocess beside it", milliseconds(times.bare)),
        Row("command over bare subprocess", milliseconds(over), "<= 5 ms (median)"),
        Row("delete", milliseconds(times.delete)),
    ]
    show(f"local engine: {_SESSIONS} sessions one after the other", rows)


async def _one_session(bay: AsyncAgentBay, times: _Times) -> None:
    begin = time.perf_counter()
    session = (await bay.create()).unwrap()
    times.create.append(time.perf_counter() - begin)
    await _run(session)
    times.first.append(time.perf_counter() - begin)
    for _ in range(_COMMANDS):
        times.command.append((await _timed(partial(_run, session)))[0])
        times.bare.append((await _timed(_run_bare))[0])
    seconds, deleted = await _timed(session.delete)
    deleted.unwrap()
    times.delete.append(seconds)


async def _timed(work: Callable[[], Awaitable[T]]) -> tuple[float, T]:
    begin = time.perf_counter()
    result = await work()
    return time.perf_counter() - begin, result


async def _run(session: AsyncSession, command: str = _COMMAND) -> str:
    return (await session.command.run(command)).unwrap()


async def _run_bare() -> None:
    command = ["/bin/sh", "-c", _COMMAND]
    await anyio.to_thread.run_sync(partial(subprocess.run, command, capture_output=True))


# -- side by side ------------------------------------------------------------------------


class _Crowd:
    """Sessions that are all there at the same time."""

    def __init__(self, count: int) -> None:
        self._missing = count
        self._complete = anyio.Event()
        self.lost: list[str] = []
        self.used: list[float] = []

    async def member(self, bay: AsyncAgentBay, number: int) -> None:
        """Create a session, wait for the others, use it, delete it."""
        created = await bay.create()
        self._missing -= 1
        if not self._missing:
            self._complete.set()
        if not created.success:
            self.lost.append(f"create {number}: {created.error_message}")
            return
        await self._complete.wait()
        session = created.unwrap()
        begin = time.perf_counter()
        if (said := await self._use(session, number)) != f"{number}\n":
            self.lost.append(f"session {number}: {said!r}")
        self.used.append(time.perf_counter() - begin)
        deleted = await session.delete()
        if not deleted.success:
            self.lost.append(f"delete {number}: {deleted.error_message}")

    async def _use(self, session: AsyncSession, number: int) -> str:
        written = await session.file_system.write_file("/tmp/number", f"{number}")
        ran = await session.command.run("echo $(cat /tmp/number) | tee /tmp/copy")
        read = await session.file_system.read_file("/tmp/copy")
        for result in (written, ran, read):
            if not result.success:
                return result.error_message
        return read.content


async def _side_by_side(home: Path, count: int) -> None:
    crowd = _Crowd(count)
    begin = time.perf_counter()
    async with AsyncAgentBay(endpoint="local") as bay, _watched() as most:
        async with anyio.create_task_group() as tasks:
            for number in range(count):
                tasks.start_soon(crowd.member, bay, number)
        seconds = time.perf_counter() - begin
    directories, processes = await _left(home)
    rows = [
        Row(
            "all of them, from begin to end",
            f"{seconds:.1f} s ({seconds / count * 1e3:.0f} ms each)",
        ),
        Row("file, command, file (median)", f"{statistics.median(crowd.used or [0]) * 1e3:.0f} ms"),
        Row("open files of this process, at most", str(most[0])),
        Row("lost", str(len(crowd.lost)), "0"),
        Row("left: directories, processes", f"{directories}, {processes}", "0, 0"),
    ]
    show(f"local engine: {count} sessions side by side", rows)
    for line in crowd.lost[:5]:
        print(f"  {line}")


@asynccontextmanager
async def _watched() -> AsyncGenerator[list[int], None]:
    """How many files this process has open at most; the kernel's limit is often 1024."""
    most = [0]

    async def watch() -> None:
        while True:
            with contextlib.suppress(OSError):
                most[0] = max(most[0], len(os.listdir("/proc/self/fd")))
            await anyio.sleep(0.1)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        yield most
        tasks.cancel_scope.cancel()


async def _left(home: Path) -> tuple[int, int]:
    """Directories and processes of sessions that are still there, once they had time to go."""
    with anyio.move_on_after(_GONE_LIMIT):
        while any(_found(home)):  # noqa: ASYNC110 - nobody tells
            await anyio.sleep(0.1)
    return _found(home)


def _found(home: Path) -> tuple[int, int]:
    directories = len(list(home.glob("engines/*/session-*")))
    lines: list[bytes] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(path.read_bytes())
    ours = [line for line in lines if f"{home}/engines".encode() in line]
    # What the engine keeps ready for the next session is not left of one.
    spare = [path.name.encode() for path in home.glob("engines/*/spare-*")]
    return directories, sum(not any(name in line for name in spare) for line in ours)
