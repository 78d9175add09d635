"""Pausing, waking, keeping and ending sessions, as a user of the client sees it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from agentbay import (
    AsyncAgentBay,
    AsyncSession,
    ContextSync,
    CreateSessionParams,
    LifecyclePolicy,
    SessionNotFoundError,
)
from agentbay.local import _life
from agentbay.protocol import session_details as details

from ..local.sandboxes import processes_with, until
from .clock import Clock
from .observing import session_directories, shell

# Seconds; by the clock of a test.
IDLE = 60

COUNT = "while :; do echo x >> count; sleep 0.01; done"
SIZE = "cat count 2> /dev/null | wc -c"

# A program whose answers show whether it is the same one as before.
STATEFUL = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Handler.asked += 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(Handler.asked).encode())
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("127.0.0.1", 30150), Handler).serve_forever()
"""


async def _status(session: AsyncSession) -> str | None:
    return (await session.get_status()).status


async def _is_gone(session: AsyncSession) -> bool:
    return await _status(session) == "FINISH"


async def _ends(session: AsyncSession, clock: Clock) -> None:
    """Wait until a session ends that nobody uses."""

    async def gone() -> bool:
        clock.now += IDLE
        return await _is_gone(session)

    await until(gone, 30)


async def _looked() -> None:
    """Give the engine the time to look at the clock; were it late, nothing would fail."""
    await anyio.sleep(0.2)


# -- pause and resume ------------------------------------------------------------------


@pytest.mark.engine_only
async def test_a_paused_session_does_nothing_and_goes_on_where_it_was(
    bay: AsyncAgentBay, session: AsyncSession
) -> None:
    await shell(session, f"({COUNT}) > /dev/null 2>&1 &")
    await until(lambda: _grows(session), 30)

    assert (await session.pause()).status == "PAUSED"
    size = _size(session)
    await anyio.sleep(0.1)

    assert _size(session) == size
    assert await _status(session) == "PAUSED"
    assert session.session_id in (await bay.list(status="PAUSED")).session_ids
    assert session.session_id not in (await bay.list(status="RUNNING")).session_ids
    assert (await session.resume()).status == "RUNNING"
    assert await _status(session) == "RUNNING"
    await until(lambda: _grows(session), 30)


def _size(session: AsyncSession) -> int:
    return (_home(session) / "count").stat().st_size


def _home(session: AsyncSession) -> Path:
    """The home directory of a session, from outside."""
    (found,) = Path(os.environ["AGENTBAY_LOCAL_HOME"]).glob(
        f"engines/*/{session.session_id}/root/home/wuying"
    )
    return found


async def _grows(session: AsyncSession) -> bool:
    return await shell(session, SIZE) != await shell(session, f"sleep 0.05; {SIZE}")


async def test_a_paused_session_refuses_tools_and_links(session: AsyncSession) -> None:
    await session.file_system.write_file("server.py", STATEFUL)
    await shell(session, "python3 server.py > /dev/null 2>&1 &")
    url = (await session.get_link("https", 30150)).unwrap()
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:

        async def answers() -> bool:
            return (await http.get(url)).text == "1"

        await until(answers, 30)
        await session.pause()
        results: list[Any] = [
            await session.command.run("true"),
            await session.file_system.read_file("server.py"),
            await session.call_mcp_tool("shell", {"command": "true"}),
            await session.get_metrics(),
        ]
        refused = await http.get(url)
        await session.resume()
        answer = await http.get(url)

    for result in results:
        assert not result.success
        assert "paused" in result.error_message
        assert "resume" in result.error_message
    assert refused.status_code == 503
    assert "paused" in refused.text
    assert answer.text == "2"


async def test_pausing_and_resuming_twice_changes_nothing(session: AsyncSession) -> None:
    assert (await session.resume()).success
    for _ in range(2):
        assert (await session.pause()).status == "PAUSED"
    for _ in range(2):
        assert (await session.resume()).status == "RUNNING"
    assert await shell(session, "echo awake") == "awake\n"


async def test_a_job_that_the_user_stopped_stays_stopped(session: AsyncSession) -> None:
    await shell(session, "sleep 100 & echo $! > pid; kill -STOP $!")
    state = "cut -d' ' -f3 /proc/$(cat pid)/stat"
    await shell(session, f'until [ "$({state})" = T ]; do sleep 0.01; done')

    await session.pause()
    await session.resume()

    assert await shell(session, state) == "T\n"


async def test_a_call_that_is_under_way_ends_before_the_pause(session: AsyncSession) -> None:
    said: list[str] = []

    async def run() -> None:
        said.append(await shell(session, "touch begun; sleep 0.5; echo done"))

    async def replied() -> bool:
        return said == ["done\n"]

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await until(lambda: _exists(session, "begun"), 30)
        assert (await session.pause()).status == "PAUSED"
        # Its reply may be read after that of the pause; a frozen call would have none.
        await until(replied, 30)
        assert await _status(session) == "PAUSED"
    await session.resume()


@pytest.mark.embedded_only
async def test_a_long_call_is_frozen_and_ends_after_the_pause(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_life, "_DRAIN_LIMIT", 0.2)
    said: list[str] = []
    command = "touch begun; until [ -e go ]; do sleep 0.05; done; echo done"

    async def run() -> None:
        said.append(await shell(session, command))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await until(lambda: _exists(session, "begun"), 30)
        assert (await session.pause()).status == "PAUSED"
        (_home(session) / "go").touch()
        await anyio.sleep(0.5)
        assert said == []
        assert (await session.resume()).status == "RUNNING"
    assert said == ["done\n"]


async def _exists(session: AsyncSession, path: str) -> bool:
    return (await session.command.run(f"test -e {path}")).success


@pytest.mark.engine_only
async def test_a_paused_session_can_be_deleted_and_saves_its_contexts(bay: AsyncAgentBay) -> None:
    context = (await bay.context.get(f"paused-{time.time_ns()}", create=True)).unwrap()
    params = CreateSessionParams(context_syncs=[ContextSync(context.id, "/home/wuying/kept")])
    marker = f"4243.{time.time_ns()}"
    session = (await bay.create(params)).unwrap()
    await shell(session, f"mkdir -p kept; echo kept > kept/a; sleep {marker} &")
    await session.pause()

    assert (await session.delete()).success

    assert processes_with(marker) == []
    assert session.session_id not in session_directories()
    async with bay.session(params) as other:
        assert await shell(other, "cat kept/a") == "kept\n"


async def test_a_session_that_is_gone_cannot_be_paused(bay: AsyncAgentBay) -> None:
    session = (await bay.create()).unwrap()
    await session.delete()

    for result in (await session.pause(), await session.resume(), await session.keep_alive()):
        assert isinstance(result.error, SessionNotFoundError)


# -- the end ---------------------------------------------------------------------------


async def test_the_state_of_a_session_is_finish_after_its_end(bay: AsyncAgentBay) -> None:
    session = (await bay.create()).unwrap()
    assert await _status(session) == "RUNNING"
    await session.delete()

    assert await _status(session) == "FINISH"
    assert isinstance((await bay.get(session.session_id)).error, SessionNotFoundError)


@pytest.mark.engine_only
async def test_a_session_can_be_ended_in_the_background(bay: AsyncAgentBay) -> None:
    session = (await bay.create()).unwrap()
    await bay.client.send(details.DeleteSession(session.session_id))

    await until(lambda: _is_gone(session), 30)
    assert session.session_id not in session_directories()
    with pytest.raises(SessionNotFoundError):
        await bay.client.send(details.DeleteSession(session.session_id))


async def test_many_may_end_a_session_at_once(bay: AsyncAgentBay) -> None:
    session = (await bay.create()).unwrap()
    results: list[bool] = []

    async def end() -> None:
        results.append((await session.delete()).success)

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(end)
    assert results == [True] * 5


@pytest.mark.engine_only
async def test_an_idle_session_ends(bay: AsyncAgentBay) -> None:
    session = (await bay.create(CreateSessionParams(idle_release_timeout=1))).unwrap()

    await until(lambda: _is_gone(session), 30)

    data = (await bay.client.send(details.GetSessionDetail(session.session_id))).value
    assert data.end_reason == "IdleTimeout"
    assert data.image_id == "linux_latest"
    assert not (await session.command.run("true")).success
    assert session.session_id not in session_directories()


@pytest.mark.embedded_only
async def test_a_session_that_ends_as_it_is_idle_saves_its_contexts(
    bay: AsyncAgentBay, clock: Clock
) -> None:
    context = (await bay.context.get(f"idle-{time.time_ns()}", create=True)).unwrap()
    syncs = [ContextSync(context.id, "/home/wuying/kept")]
    params = CreateSessionParams(context_syncs=syncs, idle_release_timeout=IDLE)
    session = (await bay.create(params)).unwrap()
    await shell(session, "mkdir -p kept; echo kept > kept/a")

    await _ends(session, clock)

    async with bay.session(CreateSessionParams(context_syncs=syncs)) as other:
        assert await shell(other, "cat kept/a") == "kept\n"


@pytest.mark.embedded_only
async def test_a_session_that_is_kept_alive_or_used_does_not_end(
    bay: AsyncAgentBay, clock: Clock
) -> None:
    async with bay.session(CreateSessionParams(idle_release_timeout=IDLE)) as session:
        for _ in range(3):
            clock.now += IDLE - 1
            await _looked()
            assert (await session.keep_alive()).success
        clock.now += IDLE - 1
        await _looked()
        assert await shell(session, "echo used") == "used\n"
        clock.now += IDLE - 1
        await _looked()
        assert await _status(session) == "RUNNING"
        await _ends(session, clock)


@pytest.mark.embedded_only
async def test_a_command_that_runs_keeps_a_session(bay: AsyncAgentBay, clock: Clock) -> None:
    said: list[str] = []

    async def run() -> None:
        command = "touch begun; until [ -e go ]; do sleep 0.05; done; echo used"
        said.append(await shell(session, command))

    async with bay.session(CreateSessionParams(idle_release_timeout=IDLE)) as session:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await until(lambda: _exists(session, "begun"), 30)
            clock.now += 2 * IDLE
            await _looked()
            (_home(session) / "go").touch()
        assert said == ["used\n"]
        assert await _status(session) == "RUNNING"
        await _ends(session, clock)


# Answers when it is told so.
SLOW = """
import os, socket, time
listening = socket.create_server(("", 30150))
open("ready", "w").close()
connection, _ = listening.accept()
connection.recv(999)
open("asked", "w").close()
while not os.path.exists("go"):
    time.sleep(0.05)
connection.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n.....")
connection.close()
"""


@pytest.mark.embedded_only
async def test_a_link_that_is_in_use_keeps_a_session(bay: AsyncAgentBay, clock: Clock) -> None:
    answers: list[str] = []

    async def ask() -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=50) as http:
            answers.append((await http.get(url)).text)

    async with bay.session(CreateSessionParams(idle_release_timeout=IDLE)) as session:
        await session.file_system.write_file("slow.py", SLOW)
        await shell(session, "python3 slow.py > /dev/null 2>&1 &")
        await until(lambda: _exists(session, "ready"), 30)
        url = (await session.get_link("https", 30150)).unwrap()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await until(lambda: _exists(session, "asked"), 30)
            clock.now += 2 * IDLE
            await _looked()
            assert await _status(session) == "RUNNING"
            (_home(session) / "go").touch()
        assert answers == ["....."]
        await _ends(session, clock)


@pytest.mark.embedded_only
async def test_an_open_terminal_keeps_a_session(bay: AsyncAgentBay, clock: Clock) -> None:
    async with bay.session(CreateSessionParams(idle_release_timeout=IDLE)) as session:
        terminal = await session.pty.create()

        clock.now += 2 * IDLE
        await _looked()

        assert await shell(session, "echo here") == "here\n"
        await terminal.kill()


@pytest.mark.embedded_only
async def test_a_paused_session_is_not_idle(bay: AsyncAgentBay, clock: Clock) -> None:
    async with bay.session(CreateSessionParams(idle_release_timeout=IDLE)) as session:
        await session.pause()
        clock.now += 2 * IDLE
        await _looked()
        assert await _status(session) == "PAUSED"
        await session.resume()
        assert await _status(session) == "RUNNING"
        await _ends(session, clock)


@pytest.mark.embedded_only
async def test_a_session_ends_at_its_longest_runtime_although_it_is_used(
    bay: AsyncAgentBay, clock: Clock
) -> None:
    policy = LifecyclePolicy(idle_release_timeout=60, max_runtime=1)
    session = (await bay.create(CreateSessionParams(lifecycle_policy=policy))).unwrap()
    assert (await session.command.run("true")).success

    clock.now += 60
    with anyio.fail_after(30):
        while (await session.command.run("sleep 0.1")).success:
            pass

    await until(lambda: _is_gone(session), 30)
    data = (await bay.client.send(details.GetSessionDetail(session.session_id))).value
    assert data.end_reason == "MaxRuntime"


async def test_only_delete_ends_a_session_with_manual_release(bay: AsyncAgentBay) -> None:
    policy = LifecyclePolicy(manual_release=True)
    async with bay.session(CreateSessionParams(lifecycle_policy=policy)) as session:
        assert await _status(session) == "RUNNING"
