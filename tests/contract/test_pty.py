"""Terminals of a session, as a user of the client sees them."""

from __future__ import annotations

import time

import anyio
import pytest

from agentbay import AsyncAgentBay, AsyncSession
from agentbay.errors import PtyError, PtySessionNotFoundError

from ..local.sandboxes import all_gone, running, until

LIMIT = 40


class Screen:
    """What a terminal showed."""

    def __init__(self) -> None:
        self.content = b""

    def __call__(self, piece: bytes) -> None:
        self.content += piece

    async def shows(self, text: bytes) -> None:
        """Wait until it shows a text."""
        with anyio.fail_after(LIMIT):
            while text not in self.content:  # noqa: ASYNC110 - another task adds to it
                await anyio.sleep(0.01)


@pytest.fixture
def screen() -> Screen:
    return Screen()


def _marker() -> str:
    """A number of seconds that no other process sleeps."""
    return f"5252.{time.time_ns()}"


async def test_a_shell_shows_what_it_is_told(session: AsyncSession, screen: Screen) -> None:
    terminal = await session.pty.create(100, 30, on_data=screen)

    await terminal.send_input(b"stty size; echo $((6*7))-$TERM; tty\n")

    await screen.shows(b"30 100")
    await screen.shows(b"42-xterm-256color")
    await screen.shows(b"/dev/pts/")


async def test_a_terminal_gets_another_size(session: AsyncSession, screen: Screen) -> None:
    terminal = await session.pty.create(on_data=screen)
    await terminal.send_input(b"trap 'stty size' WINCH; echo rea''dy\n")
    await screen.shows(b"ready")

    await terminal.resize(132, 43)
    await terminal.send_input(b"\n")

    await screen.shows(b"43 132")


async def test_the_exit_status_of_the_shell_is_told(session: AsyncSession) -> None:
    terminal = await session.pty.create()

    await terminal.send_input(b"exit 7\n")

    with anyio.fail_after(LIMIT):
        assert await terminal.wait() == 7
    assert await session.pty.list() == []


async def test_all_that_was_written_is_told_before_the_end(
    session: AsyncSession, screen: Screen
) -> None:
    terminal = await session.pty.create(on_data=screen, shell="/usr/bin/env")
    with anyio.fail_after(LIMIT):
        assert await terminal.wait() == 0
    assert b"TERM=xterm-256color" in screen.content

    other = Screen()
    terminal = await session.pty.create(on_data=other)
    await terminal.send_input(b"seq 1 50000; exit\n")
    with anyio.fail_after(LIMIT):
        assert await terminal.wait() == 0
    assert b"\r\n".join(b"%d" % number for number in range(1, 50001)) in other.content


async def test_interrupting_a_program_works(session: AsyncSession, screen: Screen) -> None:
    terminal = await session.pty.create(on_data=screen)
    # The program itself says that it has begun: in a moment before, the shell has the terminal.
    await terminal.send_input(b"sh -c 'echo be\"\"gun; exec sleep 1000'\n")
    await screen.shows(b"begun")

    await terminal.send_input(b"\x03")
    await terminal.send_input(b"echo status=$?\n")

    await screen.shows(b"status=130")


async def test_variables_directory_and_shell_are_those_asked_for(
    session: AsyncSession, screen: Screen
) -> None:
    await session.file_system.create_directory("/tmp/place")
    terminal = await session.pty.create(
        cwd="/tmp/place", envs={"COLOUR": "green"}, shell="/bin/sh", on_data=screen
    )

    await terminal.send_input(b"echo $COLOUR in $PWD by $0\n")

    await screen.shows(b"green in /tmp/place by /bin/sh")


async def test_variables_of_the_session_hold_in_terminals(
    session: AsyncSession, screen: Screen
) -> None:
    await session.env.set({"GREETING": "hei"})
    terminal = await session.pty.create(on_data=screen)

    await terminal.send_input(b"echo $GREETING-there\n")

    await screen.shows(b"hei-there")


async def test_characters_arrive_whole(session: AsyncSession) -> None:
    pieces: list[bytes] = []
    terminal = await session.pty.create(on_data=pieces.append)
    text = "blåbær 日本 🌍 "

    await terminal.send_input(f"for i in $(seq 3000); do printf '{text}'; done; exit\n".encode())
    with anyio.fail_after(LIMIT):
        await terminal.wait()

    assert "".join(piece.decode() for piece in pieces).count(text) >= 3000


async def test_bytes_that_are_no_text_arrive_as_they_are(
    session: AsyncSession, screen: Screen
) -> None:
    terminal = await session.pty.create(on_data=screen)

    await terminal.send_input(b"printf '<\\377\\376\\001>'\n")

    await screen.shows(b"<\xff\xfe\x01>")


async def test_a_shell_that_is_missing_is_an_error(session: AsyncSession) -> None:
    with pytest.raises(PtyError, match="could not be started: No such file"):
        await session.pty.create(shell="/bin/missing")
    assert await session.pty.list() == []


@pytest.mark.engine_only
async def test_a_killed_terminal_ends_what_runs_in_it(
    session: AsyncSession, screen: Screen
) -> None:
    terminal = await session.pty.create(on_data=screen)
    marker = _marker()
    await terminal.send_input(f"sleep {marker} & sleep {marker} & sleep {marker}\n".encode())
    await running(marker, 3)

    await session.pty.kill(terminal.pty_session_id)

    with anyio.fail_after(LIMIT):
        assert await terminal.wait() == 137
    await all_gone(marker)
    with pytest.raises(PtySessionNotFoundError):
        await session.pty.kill(terminal.pty_session_id)


@pytest.mark.engine_only
async def test_terminals_end_with_their_session(bay: AsyncAgentBay, screen: Screen) -> None:
    async with bay.session() as session:
        terminal = await session.pty.create(on_data=screen)
        marker = _marker()
        await terminal.send_input(f"sleep {marker}\n".encode())
        await running(marker)
    await all_gone(marker)


async def test_another_program_sees_what_a_terminal_showed(
    bay: AsyncAgentBay, session: AsyncSession, screen: Screen
) -> None:
    terminal = await session.pty.create(on_data=screen)
    await terminal.send_input(b"echo ear''lier\n")
    await screen.shows(b"earlier")
    elsewhere, seen = (await bay.get(session.session_id)).unwrap(), Screen()

    joined = await elsewhere.pty.connect(terminal.pty_session_id, on_data=seen)
    await seen.shows(b"earlier")
    await joined.send_input(b"echo la''ter\n")

    await seen.shows(b"later")
    await screen.shows(b"later")

    async def same() -> bool:
        return seen.content == screen.content

    await until(same)


async def test_a_terminal_that_is_not_there_is_not_found(session: AsyncSession) -> None:
    with pytest.raises(PtySessionNotFoundError):
        await session.pty.connect("pty-0000")
    with pytest.raises(PtySessionNotFoundError):
        await session.pty.kill("pty-0000")


async def test_terminals_are_listed_for_everybody(
    bay: AsyncAgentBay, session: AsyncSession
) -> None:
    made = {(await session.pty.create()).pty_session_id for _ in range(2)}

    elsewhere = (await bay.get(session.session_id)).unwrap()

    assert {found.pty_session_id for found in await elsewhere.pty.list()} == made


@pytest.mark.embedded_only
async def test_a_session_has_a_limited_number_of_terminals(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentbay.local.pty._MOST_RUNNING", 2)
    first, _ = await session.pty.create(), await session.pty.create()

    with pytest.raises(PtyError, match="2 terminals already"):
        await session.pty.create()
    await first.kill()
    await first.wait()
    await session.pty.create()


async def test_a_paused_session_keeps_its_terminals(session: AsyncSession, screen: Screen) -> None:
    terminal = await session.pty.create(on_data=screen)
    await screen.shows(b"$")
    (await session.pause()).unwrap()

    with pytest.raises(PtyError, match="resume it"):
        await session.pty.list()

    (await session.resume()).unwrap()
    await terminal.send_input(b"echo ba''ck\n")
    await screen.shows(b"back")


@pytest.mark.embedded_only
async def test_an_open_terminal_does_not_hold_up_a_pause(
    session: AsyncSession, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentbay.local._life._DRAIN_LIMIT", 60.0)
    await session.pty.create(on_data=screen)
    await screen.shows(b"$")

    with anyio.fail_after(30):
        (await session.pause()).unwrap()
