"""Sessions under load for a long time, over a bad network: is anything lost, does anything grow?

    python -m tests.benchmarks soak --minutes 30 --sessions 100

An engine serves in a process of its own, and a relay in another one does harm to some of what is
sent (soak_relay.py). Workers make sessions, use them, check every answer, and delete them
(soak_work.py). Some times the load stops for a moment, so that what client and engine hold can
be compared with what they held after a first round, and in the second half with what they held
in the middle (soak_usage.py). Ends with 1 when an answer was wrong, something was lost or left,
or something grows. Needs Linux; runs for a day as well.
"""

from __future__ import annotations

import argparse
import gc
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import anyio
import attrs

from agentbay import AsyncAgentBay

from ._measure import machine, show
from .soak_usage import Usage, grown, trends
from .soak_work import LABEL, Tally, Worker, limiter

_KEY = "akm-of-the-soak"

# How often the load stops after the first round: in a long run, and in one below this limit.
_PHASES, _FEW_PHASES, _LONG = 10, 4, 600.0

# The first round fills caches, and has every worker go through some sessions.
_WARM_UP, _SHORTEST_WARM_UP = 0.15, 30.0

# Seconds for the engine to become quiet when the load stops, and to end.
_QUIET_LIMIT = 60.0
_END_LIMIT = 60.0
_REPORT_EVERY = 60.0

# Seconds after which what is not used any more has gone: servers keep connections for 5.
_MOMENT = 6.0


def main(arguments: Sequence[str]) -> int:
    """Run it, and tell whether all is well: 0, or 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks soak")
    parser.add_argument("--minutes", type=float, default=30.0, help="(default: %(default)g)")
    parser.add_argument("--sessions", type=int, default=100, help="(default: %(default)s)")
    options = parser.parse_args(arguments)
    if not sys.platform.startswith("linux"):
        sys.stderr.write("the soak looks into /proc: it needs Linux\n")
        return 2
    print(machine(), flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="agentbay-soak-") as home,
        _engine(Path(home)) as engine,
        _relay(engine.port) as port,
    ):
        soak = Soak(engine, port, Path(home))
        return anyio.run(soak.run, options.minutes * 60, options.sessions)


@attrs.frozen
class Engine:
    """The process that serves."""

    pid: int
    port: int


@contextmanager
def _engine(home: Path) -> Generator[Engine]:
    command = [sys.executable, "-m", "agentbay.local", "serve", "--port", "0"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--log-level", "warning"],
            env={**os.environ, "AGENTBAY_LOCAL_HOME": str(home), "AGENTBAY_API_KEY": _KEY},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    with _ended(process):
        yield Engine(process.pid, _port(process, r"http://[^:]+:(\d+)"))


@contextmanager
def _relay(port: int) -> Generator[int]:
    process = subprocess.Popen(
        [sys.executable, "-m", f"{__package__}.soak_relay", str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with _ended(process):
        yield _port(process, r"(\d+)")


@contextmanager
def _ended(process: subprocess.Popen[str]) -> Generator[None]:
    try:
        yield
    finally:
        process.terminate()
        try:
            process.communicate(timeout=_END_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _port(process: subprocess.Popen[str], pattern: str) -> int:
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(pattern, line)
    if found is None:
        raise RuntimeError(f"a process of the soak does not start: it said {line!r}")
    return int(found[1])


class Soak:
    """The run."""

    def __init__(self, engine: Engine, port: int, home: Path) -> None:
        self._engine, self._port, self._home = engine, port, home
        self._tally = Tally()
        self._began = time.monotonic()
        self._ours: list[Usage] = []
        self._theirs: list[Usage] = []

    async def run(self, seconds: float, sessions: int) -> int:
        """Put load on the engine for some time."""
        warm_up = max(seconds * _WARM_UP, min(_SHORTEST_WARM_UP, seconds / 2))
        phases = _PHASES if seconds >= _LONG else _FEW_PHASES
        lengths = [warm_up, *[(seconds - warm_up) / phases] * phases]
        async with AsyncAgentBay(_KEY, endpoint=f"http://127.0.0.1:{self._port}") as bay:
            workers = self._workers(bay, sessions)
            for length in lengths:
                await self._phase(workers, length)
                await self._rest()
        return self._verdict()

    def _workers(self, bay: AsyncAgentBay, sessions: int) -> list[Worker]:
        files, shared = self._home / "workers", limiter()
        files.mkdir()
        return [Worker(bay, self._tally, files / str(n), shared) for n in range(sessions)]

    async def _phase(self, workers: Sequence[Worker], seconds: float) -> None:
        until = anyio.current_time() + seconds
        async with anyio.create_task_group() as reporting:
            reporting.start_soon(self._report)
            async with anyio.create_task_group() as tasks:
                for worker in workers:
                    tasks.start_soon(worker.run, until)
            reporting.cancel_scope.cancel()

    async def _report(self) -> None:
        while True:
            await anyio.sleep(_REPORT_EVERY)
            self._tell("under load")

    async def _rest(self) -> None:
        """Wait until what the load left is gone, and look at what is held."""
        left: Sequence[str] = []
        direct = f"http://127.0.0.1:{self._engine.port}"
        async with AsyncAgentBay(_KEY, endpoint=direct) as bay:
            with anyio.move_on_after(_QUIET_LIMIT):
                while left := [s async for s in bay.list_all({LABEL: "1"})]:  # noqa: ASYNC110
                    await anyio.sleep(0.5)
        for session_id in left:
            self._tally.complain(f"session {session_id} is left")
        await self._settled()
        for directory in self._directories():
            self._tally.complain(f"{directory.name} is left")
        ours, theirs = self._tell("at rest")
        self._ours.append(ours)
        self._theirs.append(theirs)

    async def _settled(self) -> None:
        """Wait until the engine holds what it held a moment ago: connections close by time."""
        before: tuple[int, ...] = ()
        with anyio.move_on_after(_QUIET_LIMIT):
            while before != (before := self._counts()):  # noqa: ASYNC110
                await anyio.sleep(_MOMENT)
        gc.collect()

    def _counts(self) -> tuple[int, ...]:
        usage = Usage.of(self._engine.pid)
        return usage.threads, usage.files, usage.children, len(self._directories())

    def _directories(self) -> list[Path]:
        return list(self._home.glob("engines/*/session-*"))

    def _tell(self, when: str) -> tuple[Usage, Usage]:
        minutes = (time.monotonic() - self._began) / 60
        ours = Usage.of(os.getpid(), len(anyio.get_running_tasks()), minutes)
        theirs = Usage.of(self._engine.pid, minute=minutes)
        calls, failed = self._tally.done.total(), self._tally.failed.total()
        print(f"{minutes:6.1f} min {when}: {calls} calls, {failed} failed by the network")
        print(f"           client: {ours}\n           engine: {theirs}", flush=True)
        return ours, theirs

    def _verdict(self) -> int:
        tally = self._tally
        print("\nworked:", ", ".join(f"{name} {n}" for name, n in sorted(tally.done.items())))
        print("failed by the network:", dict(tally.failed) or "nothing")
        rows = [*trends("client", self._ours), *trends("engine", self._theirs)]
        show("at rest, after each round", rows)
        bad = [*tally.wrong, *grown("the client", self._ours), *grown("the engine", self._theirs)]
        if not tally.failed:
            bad.append("the relay did no harm: the run says nothing about faults")
        for line in bad:
            print(f"  WRONG  {line}")
        print("not well" if bad else "nothing lost, nothing wrong, no growth", flush=True)
        return 1 if bad else 0
