"""What a session writes cannot fill the disk of the machine."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from agentbay import AsyncAgentBay, AsyncSession
from agentbay.local._sandbox import disk
from agentbay.local._sandbox.limits import Limits
from agentbay.local.app import create_app
from agentbay.local.engine import EngineOptions, engine_running
from agentbay.local.sandbox import Isolation

from .clients import ENDPOINT
from .sandboxes import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap is for Linux")

MIB = 1 << 20
SMALL = Limits(disk=32 * MIB, disk_reserve=1)
FULL = "the session's disk of 32 MiB is used up"


@pytest.fixture
def isolation() -> Isolation:
    return Isolation(network="none")


@pytest.fixture
async def small(tmp_path: Path, isolation: Isolation) -> AsyncGenerator[AsyncSession, None]:
    """A session that may write 32 MiB."""
    async with _bay(tmp_path, isolation, SMALL) as bay, bay.session() as session:
        yield session


@asynccontextmanager
async def _bay(
    home: Path, isolation: Isolation, limits: Limits
) -> AsyncGenerator[AsyncAgentBay, None]:
    async with engine_running(EngineOptions(home, isolation, limits=limits)) as engine:
        app = httpx.ASGITransport(create_app(engine))
        async with AsyncAgentBay("akm-test", endpoint=ENDPOINT, transport=app) as bay:
            yield bay


async def _can_write(session: AsyncSession) -> bool:
    return (await session.command.run("echo x > probe; cat probe")).stdout == "x\n"


async def test_a_file_cannot_be_larger_than_the_disk_of_the_session(small: AsyncSession) -> None:
    done = await small.command.run("head -c 40M /dev/zero > big; stat -c %s big; rm big")

    assert done.stdout == f"{32 * MIB}\n"
    assert "File size limit exceeded" in done.stderr


@pytest.mark.parametrize("isolation", [Isolation(network="none"), Isolation("none")])
async def test_a_session_that_is_full_can_delete_and_then_write_again(small: AsyncSession) -> None:
    for number in range(2):
        await small.command.run(f"head -c 31M /dev/zero > big{number}")

    async def is_full() -> bool:
        return not await _can_write(small)

    await until(is_full)
    refused = await small.command.run("pwd; echo x > more")
    more = f"{refused.stdout.strip()}/more"
    assert FULL in refused.stderr
    assert "delete files, or raise AGENTBAY_LOCAL_DISK" in refused.stderr
    written = await small.file_system.write_file(more, "x")
    assert not written.success
    assert FULL in written.error_message
    assert (await small.command.run("ls | wc -l; cat < big0 | wc -c")).success

    await small.command.run("rm big0")

    async def has_room() -> bool:
        return await _can_write(small)

    await until(has_room)
    assert (await small.file_system.write_file(more, "x")).success


# With the other share it is not measured again but for what it may have written.
@pytest.mark.parametrize("share", [0.05, 1e-9])
async def test_a_program_that_runs_is_stopped_from_writing(
    small: AsyncSession, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "_SHARE", share)
    begins = "head -c 12M /dev/zero > one; sleep 1; head -c 16M /dev/zero > two; n=0"
    writes = "while head -c 1M /dev/zero >> big$((n % 4)); do n=$((n + 1)); sleep 0.2; done"
    done = await small.command.run(f"{begins}; {writes}; du -sm .", 30_000)

    assert 28 <= int(done.stdout.split()[-2]) < 100


WAY_AROUND = """
import mmap, time
files = [open(f"mapped{n}", "wb+") for n in range(6)]
for file in files:
    file.truncate(30 * 1024 * 1024)
for file in files:
    mapped = mmap.mmap(file.fileno(), 0)
    for place in range(0, len(mapped), 4096):
        mapped[place] = 1
        time.sleep(0.0002)
time.sleep(60)
"""


@pytest.mark.slow
async def test_programs_that_find_a_way_around_the_limit_are_ended(
    small: AsyncSession, caplog: pytest.LogCaptureFixture
) -> None:
    done = await small.command.run(f"python3 - <<'END'\n{WAY_AROUND}\nEND", 40_000)

    assert done.exit_code == 137
    assert "its programs were ended: the session's disk" in caplog.text
    assert (await small.command.run("echo fine")).stdout == "fine\n"


async def test_no_session_takes_the_last_of_the_disk_of_the_machine(
    tmp_path: Path, isolation: Isolation
) -> None:
    """As if all that is free were to stay so."""
    limits = Limits(disk_reserve=1 << 60)
    async with _bay(tmp_path, isolation, limits) as bay, bay.session() as session:

        async def is_full() -> bool:
            return not await _can_write(session)

        await until(is_full)
        refused = await session.command.run("echo x > more")
        assert "the disk of the machine has less than" in refused.stderr


async def test_a_session_that_is_paused_is_told_when_it_goes_on(
    small: AsyncSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "agentbay.local._sandbox.disk")

    async def was_not_told() -> bool:
        return "was not told of the disk" in caplog.text

    async def is_full() -> bool:
        return not await _can_write(small)

    (await small.pause()).unwrap()
    _write_from_outside(tmp_path, small.session_id)
    await until(was_not_told)
    (await small.resume()).unwrap()
    await until(is_full)


def _write_from_outside(home: Path, session_id: str) -> None:
    (root,) = home.glob(f"engines/*/{session_id}/root")
    (root / "home/wuying/big").write_bytes(bytes(40 * MIB))


def test_limits_of_the_disk_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTBAY_LOCAL_DISK", "3G")
    monkeypatch.setenv("AGENTBAY_LOCAL_DISK_RESERVE", "5M")

    found = Limits.from_environment()

    assert (found.disk, found.disk_reserve) == (3 << 30, 5 * MIB)
