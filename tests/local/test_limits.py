"""Programs of a session cannot take the whole machine."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest

from agentbay.errors import ConfigError
from agentbay.local._sandbox.limits import Limits
from agentbay.local.guest import limits as guest_limits
from agentbay.local.sandbox import Isolation, Sandbox

from .sandboxes import processes_with, run, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap is for Linux")

MIB = 1 << 20
SMALL = Limits(memory=300 * MIB, processes=500)

ONE_HOG = "x = bytearray(400 * 1024 * 1024); print('too much')"
HOGS = """
import os, signal, sys, time
children = set()
for _ in range(6):
    children.add(os.fork())
    if 0 in children:
        x = bytearray(os.urandom(1024)) * (100 * 1024)
        time.sleep(60)
        sys.exit()
killed = 0
while killed < 3:
    child, status = os.wait()
    children.remove(child)
    killed += status == 9
for child in children:
    os.kill(child, signal.SIGTERM)
print(killed, "were killed")
"""
SHARED = """
import os, time
x = b"x" * (200 * 1024 * 1024)
children = []
for _ in range(5):
    if os.fork() == 0:
        time.sleep(1.5)
        os._exit(0)
print([os.wait()[1] for _ in range(5)])
"""
FORK_BOMB = "bomb() { bomb | bomb & }; bomb"


@pytest.fixture(params=["bubblewrap", "none"])
def isolation(request: pytest.FixtureRequest) -> Isolation:
    return Isolation(request.param, "none")


@pytest.fixture
async def sandbox(tmp_path: Path, isolation: Isolation) -> AsyncGenerator[Sandbox, None]:
    sandbox = await Sandbox.start(tmp_path / "session", "s-1", isolation, limits=SMALL)
    yield sandbox
    await sandbox.close()


async def _python(sandbox: Sandbox, program: str) -> str:
    done = await run(sandbox, f"python3 - <<'END'\n{program}\nEND", time_limit=30)
    return f"{done.exit_code} {done.stdout}{done.stderr}"


async def test_a_program_is_refused_more_memory_than_the_session_has(sandbox: Sandbox) -> None:
    said = await _python(sandbox, ONE_HOG)

    assert "MemoryError" in said
    assert "too much" not in said


async def test_programs_that_have_too_much_together_are_ended_and_that_is_told(
    sandbox: Sandbox,
) -> None:
    said = await _python(sandbox, HOGS)

    assert "the session's memory of 300 MiB is used up" in said
    assert "0 3 were killed" in said
    assert (await run(sandbox, "echo fine")).stdout == "fine\n"
    assert "used up" not in (await run(sandbox, "true")).stderr


def test_a_look_that_was_held_up_does_not_put_off_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []

    def look(_: int) -> None:
        time.sleep(0.2)

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        raise EOFError

    clock = SimpleNamespace(**{**vars(time), "sleep": pause})
    monkeypatch.setattr(guest_limits, "_look", look)
    monkeypatch.setattr(guest_limits, "time", clock)
    with pytest.raises(EOFError):
        guest_limits._watch(1)

    assert pauses == [guest_limits._INTERVAL]


async def test_memory_that_forked_programs_share_counts_once(sandbox: Sandbox) -> None:
    assert await _python(sandbox, SHARED) == "0 [0, 0, 0, 0, 0]\n"


async def test_a_fork_bomb_leaves_the_session_usable(tmp_path: Path) -> None:
    name = f"s-{time.time_ns()}"
    sandbox = await Sandbox.start(
        tmp_path / "session", name, Isolation(network="none"), limits=SMALL
    )
    try:
        await run(sandbox, f"bash -c '{FORK_BOMB}' > /dev/null 2>&1 &")
        await anyio.sleep(0.5)

        # Another program may find no place; the guest answers nevertheless.
        counted = await sandbox.call("usage", {}, time_limit=40)
        assert counted.data["mem_used"] > 0
        assert await _number(sandbox) <= SMALL.processes
    finally:
        await sandbox.close()
    assert processes_with(name) == []


async def test_a_fork_bomb_leaves_other_sessions_their_processes(tmp_path: Path) -> None:
    network = Isolation(network="none")
    bombed = await Sandbox.start(tmp_path / "bombed", "s-1", network, limits=SMALL)
    other = await Sandbox.start(tmp_path / "other", "s-2", network, limits=SMALL)
    try:
        await run(bombed, f"bash -c '{FORK_BOMB}' > /dev/null 2>&1 &")

        async def no_more() -> bool:
            return "fork" in (await run(bombed, "true; (true); true | true")).stderr

        await until(no_more)
        for _ in range(5):
            assert (await run(other, "echo $(echo fine | cat)")).stdout == "fine\n"
    finally:
        await bombed.close()
        await other.close()


async def _number(sandbox: Sandbox) -> int:
    frozen = await sandbox.call("freeze", {}, time_limit=40)
    return int(frozen.data["processes"])


async def test_freezing_reaches_every_process_and_only_those_of_the_session(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    marker = f"4244.{time.time_ns()}"
    outside = await anyio.open_process(["sleep", f"{marker}"])
    await run(sandbox, f"sleep {marker} & (setsid sleep {marker} > /dev/null 2>&1 &)")

    async def all_sleep() -> bool:
        found = processes_with(marker)
        return len(found) == 3 and _state(outside.pid) == "S"

    await until(all_sleep)
    inside = [pid for pid in processes_with(marker) if pid != outside.pid]
    assert len(inside) == 2

    await sandbox.call("freeze", {})
    assert {pid: _state(pid) for pid in inside} == dict.fromkeys(inside, "T")
    assert _state(outside.pid) == "S"
    await sandbox.call("thaw", {})

    async def awake() -> bool:
        return {_state(pid) for pid in inside} == {"S"}

    await until(awake)
    outside.kill()
    await outside.aclose()


async def test_programs_that_start_others_all_the_time_are_frozen_too(sandbox: Sandbox) -> None:
    busy = "for n in 1 2 3 4; do (while :; do /bin/true; echo x >> busy$n; done) & done"
    await run(sandbox, f"({busy}) > /dev/null 2>&1 &")
    await anyio.sleep(0.3)

    for _ in range(3):
        await sandbox.call("freeze", {}, time_limit=20)
        sizes = _sizes(sandbox)
        await anyio.sleep(0.1)
        assert _sizes(sandbox) == sizes
        await sandbox.call("thaw", {})
        await until(partial(_differ, sandbox, sizes))


# Its first thread ends at once; another one goes on.
WRITES_ON = """
import ctypes, platform, threading, time

def write():
    while True:
        with open("busy0", "a") as file:
            file.write("x")
        time.sleep(0.01)

threading.Thread(target=write).start()
ctypes.CDLL(None).syscall({"x86_64": 60}.get(platform.machine(), 93), 0)
"""


async def test_a_program_that_its_first_thread_left_is_frozen_and_goes_on(sandbox: Sandbox) -> None:
    started = await run(sandbox, f"python3 -c '{WRITES_ON}' >/dev/null 2>&1 & echo $!")
    pid = int(started.stdout)

    async def is_left() -> bool:
        state = await run(sandbox, f"cut -d ' ' -f 3 /proc/{pid}/stat; test -s busy0")
        return state.stdout == "Z\n" and state.exit_code == 0

    await until(is_left)
    await sandbox.call("freeze", {})
    sizes = _sizes(sandbox)
    await anyio.sleep(0.2)
    assert _sizes(sandbox) == sizes
    await sandbox.call("thaw", {})
    await until(partial(_differ, sandbox, sizes))


async def _differ(sandbox: Sandbox, sizes: list[int]) -> bool:
    return _sizes(sandbox) != sizes


def _sizes(sandbox: Sandbox) -> list[int]:
    found = (sandbox.directory / "root/home/wuying").glob("busy*")
    return [path.stat().st_size for path in found]


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("environment", [{}, {"NAME": "of the user"}])
async def test_every_command_has_the_limits(
    sandbox: Sandbox, isolation: Isolation, environment: dict[str, str]
) -> None:
    done = await run(sandbox, "cat /proc/self/limits", environment=environment)

    lines = done.stdout.splitlines()
    of_memory = next(line.split() for line in lines if line.startswith("Max data size"))
    assert of_memory[3:5] == [str(SMALL.memory)] * 2
    of_processes = next(line.split() for line in lines if line.startswith("Max processes"))
    limited = isolation.kind == "bubblewrap"  # else the user's other programs count as well
    assert (of_processes[2:4] == [str(SMALL.processes)] * 2) is limited


@pytest.mark.parametrize(
    ("text", "memory"), [("1073741824", 1 << 30), ("512M", 512 * MIB), ("4GiB", 4 << 30)]
)
def test_limits_are_read_from_the_environment(
    text: str, memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTBAY_LOCAL_MEMORY", text)
    monkeypatch.setenv("AGENTBAY_LOCAL_PROCESSES", "50")

    assert Limits.from_environment() == Limits(memory, 50)


@pytest.mark.parametrize("text", ["0", "-1", "much", "1.5G", "M"])
def test_a_limit_that_makes_no_sense_is_named(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTBAY_LOCAL_MEMORY", text)

    with pytest.raises(ConfigError, match="AGENTBAY_LOCAL_MEMORY"):
        Limits.from_environment()


def test_the_usual_memory_leaves_some_to_the_machine() -> None:
    assert 64 * MIB < Limits().memory <= 8 << 30
