"""The WebSocket of a session, as a user of the client sees it."""

from __future__ import annotations

import anyio
import attrs
import pytest

from agentbay import AsyncAgentBay, AsyncSession
from agentbay.errors import WsConnectionClosedError, WsHandshakeRejectedError

from .services import Service

LIMIT = 50

WAITS = """
import pathlib, time
print("first", flush=True)
while not pathlib.Path("/tmp/go").exists():
    time.sleep(0.01)
print("second", flush=True)
40 + 2
"""


def _unheard(_: str) -> None:
    """Nobody needs it; but who listens gets a stream."""


async def test_code_is_told_while_it_runs(session: AsyncSession) -> None:
    pieces: list[str] = []

    async def told(piece: str) -> None:
        pieces.append(piece)
        if "first" in "".join(pieces):
            await session.file_system.write_file("/tmp/go", "")

    with anyio.fail_after(LIMIT):
        result = await session.code.run_code(WAITS, "python", stream_beta=True, on_stdout=told)

    assert "".join(pieces) == "first\nsecond\n"
    assert result.unwrap() == "42"
    assert result.execution_count


async def test_code_that_fails_says_so_while_it_runs(session: AsyncSession) -> None:
    errors: list[object] = []

    result = await session.code.run_code(
        "1 / 0", "python", stream_beta=True, on_error=errors.append
    )

    assert not result.success
    assert "ZeroDivisionError" in result.error_message
    assert len(errors) == 1


async def test_a_picture_that_is_too_large_for_a_message_is_described(
    session: AsyncSession,
) -> None:
    code = "from IPython.display import HTML\nHTML('x' * 3_000_000)"

    result = await session.code.run_code(code, "python", stream_beta=True, on_stdout=_unheard)

    assert result.success
    assert "too large" in "".join(result.logs.stderr)


async def test_code_and_terminals_share_a_connection(session: AsyncSession) -> None:
    async with anyio.create_task_group() as tasks:
        run = session.code.run_code

        async def count() -> None:
            result = await run("sum(range(10))", "python", stream_beta=True, on_stdout=_unheard)
            assert result.unwrap() == "45"

        tasks.start_soon(count)
        terminal = await session.pty.create()
        await terminal.send_input(b"exit 3\n")
        with anyio.fail_after(LIMIT):
            assert await terminal.wait() == 3


async def test_the_state_is_that_of_runs_without_a_stream(session: AsyncSession) -> None:
    (await session.code.run_code("x = 20", "python")).unwrap()

    result = await session.code.run_code("x + 1", "python", stream_beta=True, on_stdout=_unheard)

    assert result.unwrap() == "21"


async def test_a_wrong_token_opens_nothing(session: AsyncSession) -> None:
    session._data = attrs.evolve(session._data, token="guessed")

    with pytest.raises(WsHandshakeRejectedError) as refused:
        await session.pty.list()

    assert refused.value.status_code == 401


async def test_a_deleted_session_closes_its_connection(bay: AsyncAgentBay) -> None:
    session = (await bay.create()).unwrap()
    terminal = await session.pty.create()
    elsewhere = (await bay.get(session.session_id)).unwrap()

    (await elsewhere.delete()).unwrap()

    # Whoever waits is told, and so is who comes later.
    with pytest.raises(WsHandshakeRejectedError, match="has ended"), anyio.fail_after(LIMIT):
        await terminal.wait()
    with pytest.raises(WsHandshakeRejectedError, match="has ended"), anyio.fail_after(LIMIT):
        await session.pty.connect(terminal.pty_session_id)


async def test_a_client_that_is_closed_closes_the_connections_of_its_sessions(
    service: Service, bay: AsyncAgentBay, session: AsyncSession
) -> None:
    async with service.client() as elsewhere:
        found = (await elsewhere.get(session.session_id)).unwrap()
        terminal = await found.pty.create()
        assert [one.pty_session_id for one in await session.pty.list()]

    with anyio.fail_after(LIMIT), pytest.raises(WsConnectionClosedError):
        await terminal.wait()
    again = (await bay.get(session.session_id)).unwrap()  # which is there, and so is its terminal
    assert terminal.pty_session_id in {one.pty_session_id for one in await again.pty.list()}
