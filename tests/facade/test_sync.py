"""The blocking classes and their awaitable twins, on the embedded engine."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Iterator

import anyio
import pytest

from agentbay import AgentBay, AsyncSession, CommandError, Session, SessionError


@pytest.fixture
def bay() -> Iterator[AgentBay]:
    with AgentBay(endpoint="local") as client:
        yield client


@pytest.fixture
def session(bay: AgentBay) -> Iterator[Session]:
    with bay.session() as running:
        yield running


def test_a_session_runs_commands_and_keeps_files(session: Session) -> None:
    assert session.command.run("echo 'Hello World'").data == "Hello World\n"
    session.file_system.write_file("/tmp/a.txt", "kept").unwrap()
    assert session.file_system.read_file("/tmp/a.txt").unwrap() == "kept"
    assert session.file_system.read_file("/tmp/a.txt", format="bytes").unwrap() == b"kept"


def test_the_block_deletes_its_session(bay: AgentBay) -> None:
    with pytest.raises(KeyError), bay.session() as session:
        raise KeyError(session.session_id)
    assert bay.list().session_ids == []


def test_wrappers_of_one_thing_are_equal(bay: AgentBay, session: Session) -> None:
    assert session.agent_bay == bay
    assert session.get_agent_bay() == bay
    assert bay.get(session.session_id).unwrap().session_id == session.session_id


def test_all_sessions_are_walked(bay: AgentBay, session: Session) -> None:
    assert list(bay.list_all()) == [session.session_id]


def test_errors_are_raised_where_the_contract_says_so(session: Session) -> None:
    with pytest.raises(SessionError, match="30100, 30199"):
        session.get_link(port=1)
    with pytest.raises(CommandError):
        session.command.run("exit 3").unwrap()


def test_every_coroutine_has_both_forms() -> None:
    """`get_link` and `get_link_async` come from one coroutine, and so does every other pair."""
    for name, method in inspect.getmembers(AsyncSession, inspect.iscoroutinefunction):
        if not name.startswith("_"):
            blocking, twin = getattr(Session, name), getattr(Session, f"{name}_async")
            assert not inspect.iscoroutinefunction(blocking)
            assert inspect.iscoroutinefunction(twin)
            assert list(inspect.signature(blocking).parameters) == list(
                inspect.signature(method).parameters
            )
            assert inspect.signature(blocking) == inspect.signature(twin)


async def test_a_twin_runs_on_the_callers_loop(session: Session) -> None:
    link = (await session.get_link_async(port=30150)).unwrap()
    assert link.startswith("http://127.0.0.1:")
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(session.command.run_async, "true")


def test_one_object_serves_two_runs_of_asyncio(session: Session) -> None:
    async def main() -> str:
        return (await session.get_link_async(port=30150)).unwrap()

    assert asyncio.run(main()) == asyncio.run(main()) == session.get_link(port=30150).unwrap()


def test_blocking_calls_work_inside_a_running_loop(session: Session) -> None:
    """As in a notebook, where cells run inside a loop and call both forms."""

    async def cell() -> tuple[str, str]:
        blocking = session.get_link(port=30150).unwrap()
        return blocking, (await session.get_link_async(port=30150)).unwrap()

    blocking, awaited = asyncio.run(cell())
    assert blocking == awaited


def test_threads_share_a_session(session: Session) -> None:
    outputs: list[str] = []

    def work(number: int) -> None:
        outputs.append(session.command.run(f"echo {number}").unwrap())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outputs) == [f"{number}\n" for number in range(8)]


def test_a_process_is_followed_from_blocking_code(session: Session) -> None:
    process = session.command.start("echo one; echo two")
    assert process.wait(60) == 0
    assert "".join(process.stdout()) == "one\ntwo\n"
