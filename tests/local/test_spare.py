"""The sandbox that is kept ready for the next session."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from agentbay.local import _engines, _spare
from agentbay.local._output import command_output
from agentbay.local.engine import EngineOptions
from agentbay.local.sandbox import Isolation, Sandbox

from .engines import Requests, engine_requests
from .sandboxes import guest_pid, processes_with, until


@pytest.fixture
async def ask(tmp_path: Path) -> AsyncGenerator[Requests, None]:
    """Requests to an engine that has had two sessions, and has a third sandbox ready."""
    options = EngineOptions(tmp_path, Isolation(network="none"))
    async with engine_requests(options) as request:
        for _ in range(2):
            await _create(request)
        await _ready(request)
        yield request


async def _create(request: Requests) -> str:
    session_id: str = (await request.data("CreateMcpSession"))["SessionId"]
    return session_id


async def _ready(request: Requests) -> Sandbox:
    """The sandbox that is ready, once it is."""

    async def there() -> bool:
        return request.engine._spare._ready is not None

    await until(there)
    sandbox = request.engine._spare._ready
    assert sandbox is not None
    return sandbox


async def _say(sandbox: Sandbox, command: str) -> str:
    arguments = {"command": command, "time_limit": 10.0}
    return command_output(await sandbox.call("shell", arguments)).stdout


def _spares(home: Path) -> list[Path]:
    return list(home.glob("engines/*/spare-*"))


async def test_a_session_gets_the_sandbox_that_is_ready(ask: Requests) -> None:
    sandbox = await _ready(ask)
    assert await _create(ask) == sandbox.session_id
    assert ask.engine.session(sandbox.session_id).sandbox is sandbox


async def test_it_is_like_one_that_was_started_for_the_session(ask: Requests) -> None:
    cold = next(iter(ask.engine.sessions.values())).sandbox
    warm = ask.engine.session(await _create(ask)).sandbox
    assert await _say(warm, "hostname; cat /etc/hostname") == f"{warm.session_id}\n" * 2
    for command in (
        "ls -lAR --time-style=+ /home /tmp /var /srv /opt",
        "ls -A / /etc",
        "env | sort",
        "id -un; id -gn; pwd",
    ):
        assert await _say(warm, command) == await _say(cold, command)
    assert warm.directory == cold.directory.with_name(warm.session_id)


async def test_it_is_no_session_until_it_is_asked_for(ask: Requests, tmp_path: Path) -> None:
    sandbox = await _ready(ask)
    listed = await ask("ListSession", Labels="{}")
    assert len(listed["Data"]) == 2
    (running,) = _engines.running(tmp_path / "engines")
    assert len(running.sessions) == 2
    gone = await ask("GetSession", SessionId=sandbox.session_id)
    assert gone["Code"] == "InvalidMcpSession.NotFound"


async def test_the_next_one_is_made_ready(ask: Requests) -> None:
    first = await _ready(ask)
    await _create(ask)

    async def another() -> bool:
        ready = ask.engine._spare._ready
        return ready is not None and ready is not first

    await until(another)


async def test_sessions_that_are_asked_for_at_once_all_get_their_own(ask: Requests) -> None:
    found: list[str] = []

    async def create() -> None:
        found.append(await _create(ask))

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(create)
    assert len(set(found)) == 4
    sandboxes = [ask.engine.session(session_id).sandbox for session_id in found]
    said = {await _say(sandbox, "hostname") for sandbox in sandboxes}
    assert said == {f"{session_id}\n" for session_id in found}


async def test_one_that_has_died_is_not_given_away(ask: Requests, tmp_path: Path) -> None:
    sandbox = await _ready(ask)
    os.kill(guest_pid(sandbox), signal.SIGKILL)

    async def dead() -> bool:
        return not sandbox.alive

    await until(dead)
    session_id = await _create(ask)
    assert session_id != sandbox.session_id
    assert await _say(ask.engine.session(session_id).sandbox, "echo hei") == "hei\n"
    assert not sandbox.directory.exists()


async def test_a_session_with_copies_gets_one_of_its_own(ask: Requests, tmp_path: Path) -> None:
    ready = await _ready(ask)
    (tmp_path / "skill").mkdir()
    (tmp_path / "skill" / "SKILL.md").write_text("read me")
    sandbox = await ask.engine.start_sandbox(copies={"/srv/skill": tmp_path / "skill"})
    try:
        assert sandbox is not ready
        assert await _say(sandbox, "cat /srv/skill/SKILL.md") == "read me"
    finally:
        await sandbox.close()


async def test_a_create_that_is_cancelled_while_it_waits_loses_nothing(
    ask: Requests, tmp_path: Path
) -> None:
    await _create(ask)  # from here on the next one is made

    async def made() -> bool:
        return ask.engine._spare._building is not None

    await until(made)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await ask.engine.start_sandbox()
    sandbox = await _ready(ask)
    assert await _create(ask) == sandbox.session_id


async def test_one_that_nobody_asks_for_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = EngineOptions(tmp_path, Isolation(network="none"))
    async with engine_requests(options) as request:
        for _ in range(2):
            await _create(request)
        sandbox = await _ready(request)

        async def gone() -> bool:
            return not sandbox.alive and not _spares(tmp_path)

        with monkeypatch.context() as patch:
            patch.setattr(_spare, "_KEPT", 0.5)
            request.engine._spare.want()  # from here on it is kept for so long
            await until(gone)
        assert await _create(request) != sandbox.session_id
        await _ready(request)


async def test_a_program_with_one_session_pays_for_no_other(tmp_path: Path) -> None:
    options = EngineOptions(tmp_path, Isolation(network="none"))
    async with engine_requests(options) as request:
        await _create(request)
        await anyio.wait_all_tasks_blocked()
        assert request.engine._spare._building is None
        assert not _spares(tmp_path)


async def test_nothing_is_left_of_it_when_the_engine_ends(tmp_path: Path) -> None:
    async with engine_requests(EngineOptions(tmp_path)) as request:
        for _ in range(2):
            await _create(request)
        await _ready(request)
    assert list((tmp_path / "engines").iterdir()) == []
    assert processes_with(str(tmp_path)) == []


async def test_nothing_is_left_when_the_engine_ends_while_it_is_made(tmp_path: Path) -> None:
    async with engine_requests(EngineOptions(tmp_path)) as request:
        for _ in range(2):
            await _create(request)

        async def begun() -> bool:
            return bool(_spares(tmp_path))

        await until(begun)
    assert list((tmp_path / "engines").iterdir()) == []
    assert processes_with(str(tmp_path)) == []


async def test_an_engine_without_sandboxes_keeps_none_ready(tmp_path: Path) -> None:
    async with engine_requests(EngineOptions(tmp_path, Isolation("none"))) as request:
        found = [await _create(request) for _ in range(3)]
        for session_id in found:
            sandbox = request.engine.session(session_id).sandbox
            assert await _say(sandbox, "pwd") == f"{sandbox.directory}/root/home/wuying\n"
        assert request.engine._spare._ready is None
