"""Programs that go on without their client."""

from __future__ import annotations

import hashlib
import itertools
import signal
import time
from typing import Any

import anyio
import pytest

from agentbay import AsyncSession
from agentbay._async.process import AsyncProcessHandle, attach, start
from agentbay.errors import InvalidInputError, ProcessError, ProcessTimeoutError

from ..local.sandboxes import until
from .observing import CountingTransport, shell
from .services import Service


async def _all(process: AsyncProcessHandle, stream: str = "stdout", offset: int = 0) -> str:
    with anyio.fail_after(50):
        parts = getattr(process, stream)(offset)
        return "".join([text async for text in parts])


async def _until_it_wrote(process: AsyncProcessHandle, text: str) -> None:
    """Wait until the process has written a text, and leave its stream again."""
    seen = ""
    with anyio.fail_after(40):
        stream: Any = process.stdout()
        async for part in stream:
            seen += part
            if text in seen:
                break
        await stream.aclose()


# -- start and end ---------------------------------------------------------------------


async def test_start_returns_while_the_program_runs(session: AsyncSession) -> None:
    process = await start(session, "sleep 60")

    assert process.pid > 1
    assert await process.poll() is None
    await shell(session, f"kill -0 {process.pid}")
    assert await process.kill()
    assert await process.wait(timeout=50) == 128 + 9


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("true", 0),
        ("exit 7", 7),
        ("exit 255", 255),
        ("no-such-program", 127),
        ("kill -9 $$", 137),
        ("kill -USR1 $$", 138),
        ("sh -c 'kill -TERM $$'; exit", 143),
    ],
)
async def test_the_exit_code_is_exact(session: AsyncSession, command: str, code: int) -> None:
    process = await start(session, command)

    assert await process.wait(timeout=50) == code
    assert await process.poll() == code


@pytest.mark.parametrize("name", ["TERM", "SIGINT", "quit", 15, signal.SIGHUP, signal.SIGUSR2])
async def test_a_signal_ends_the_program_and_is_told(
    session: AsyncSession, name: int | str
) -> None:
    process = await start(session, "sleep 60; true")
    known = {"TERM": 15, "SIGINT": 2, "quit": 3}

    assert await process.kill(name)
    number = known[name] if isinstance(name, str) else int(name)
    assert await process.wait(timeout=50) == 128 + number


async def test_a_signal_can_be_handled_by_the_program(session: AsyncSession) -> None:
    process = await start(
        session, "trap 'echo bye; exit 4' INT; echo up; while :; do sleep 0.05; done"
    )
    await _until_it_wrote(process, "up")

    await process.kill("INT")

    assert await process.wait(timeout=50) == 4
    assert await _all(process) == "up\nbye\n"


async def test_killing_ends_what_the_program_started(session: AsyncSession) -> None:
    process = await start(session, "sleep 61 & echo $!; wait")
    await _until_it_wrote(process, "\n")
    child = (await _first(process)).strip()

    await process.kill()

    assert await process.wait(timeout=50) == 137
    gone = f"until ! [ -d /proc/{child} ]; do sleep 0.02; done"
    assert (await session.command.run(gone, timeout=40)).success


async def _first(process: AsyncProcessHandle) -> str:
    stream: Any = process.stdout()
    try:
        text: str = await anext(stream)
        return text
    finally:
        await stream.aclose()


async def test_killing_what_has_ended_says_so(session: AsyncSession) -> None:
    process = await start(session, "true")
    await process.wait(timeout=50)

    assert await process.kill() is False
    assert await process.wait(timeout=50) == 0


async def test_waiting_has_a_limit_and_the_program_goes_on(session: AsyncSession) -> None:
    process = await start(session, "sleep 60")

    with anyio.fail_after(40), pytest.raises(ProcessTimeoutError) as caught:
        await process.wait(timeout=0.3)

    assert isinstance(caught.value, TimeoutError)
    assert await process.poll() is None
    await process.kill()


# -- where and with what ---------------------------------------------------------------


async def test_directory_and_variables_are_those_that_were_asked_for(
    session: AsyncSession,
) -> None:
    await shell(session, "mkdir -p 'sub dir/-é'")
    envs = {"GREETING": "hei 'maailma' 📏\n", "EMPTY": ""}
    command = 'pwd; printf "%s|" "$GREETING" "$EMPTY"'

    absolute = await start(session, command, cwd="/usr", envs=envs)
    relative = await start(session, "pwd", cwd="sub dir/-é")

    assert await _all(absolute) == "/usr\nhei 'maailma' 📏\n||"
    assert await _all(relative) == "/home/wuying/sub dir/-é\n"


async def test_without_a_directory_a_program_starts_where_commands_do(
    session: AsyncSession,
) -> None:
    process = await start(session, "pwd; umask")

    assert await _all(process) == await shell(session, "pwd; umask")


async def test_a_search_path_of_its_own_does_not_break_the_start(session: AsyncSession) -> None:
    process = await start(session, 'echo "$PATH"', envs={"PATH": "/nowhere"})

    assert await _all(process) == "/nowhere\n"


async def test_quotes_and_lines_of_a_command_stay_as_they_are(session: AsyncSession) -> None:
    process = await start(session, "printf '%s|' 'a b' \"$(echo žluť)\" '\"' $#\n\nprintf end")

    assert await _all(process) == 'a b|žluť|"|0|end'


async def test_a_directory_that_is_not_there_fails_and_nothing_runs(
    session: AsyncSession,
) -> None:
    with pytest.raises(ProcessError, match="nowhere"):
        await start(session, "touch /tmp/ran", cwd="/nowhere")

    assert await shell(session, "ls /tmp") == ""


@pytest.mark.parametrize("command", ["", " \n", "a\0b", None, 5])
async def test_a_command_that_is_not_text_is_refused_before_sending(
    counted: AsyncSession, transport: CountingTransport, command: Any
) -> None:
    with pytest.raises(InvalidInputError):
        await start(counted, command)
    assert transport.actions == []


@pytest.mark.parametrize(
    "envs", [{"A": 1}, {"A=B": "x"}, {"": "x"}, {"A": "x\0y"}, {1: "a"}], ids=repr
)
async def test_variables_that_no_program_takes_are_refused_before_sending(
    counted: AsyncSession, transport: CountingTransport, envs: Any
) -> None:
    with pytest.raises(InvalidInputError):
        await start(counted, "true", envs=envs)
    assert transport.actions == []


async def test_arguments_that_make_no_sense_are_refused_before_sending(
    counted: AsyncSession, transport: CountingTransport
) -> None:
    process = AsyncProcessHandle(counted, "0" * 32, 1)
    for wrong in ("", "NOPE", "9; true", 0, 65, True, None):
        with pytest.raises(InvalidInputError):
            await process.kill(wrong)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - wrong on purpose
    for offset in (-1, "1", True):
        with pytest.raises(InvalidInputError):
            process.stdout(offset)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - wrong on purpose
    for data in (None, 5, "\ud800"):
        with pytest.raises(InvalidInputError):
            await process.write_stdin(data)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - wrong on purpose
    for timeout in (0, -1, float("nan")):
        with pytest.raises(InvalidInputError):
            await process.wait(timeout)
    for name in ("", "x", "../etc", 5, "0" * 31):
        with pytest.raises(InvalidInputError):
            await attach(counted, name)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - wrong on purpose
    assert transport.actions == []


# -- output ----------------------------------------------------------------------------


async def test_output_arrives_while_the_program_runs(session: AsyncSession) -> None:
    process = await start(session, "echo one; read line; echo $line")
    await _until_it_wrote(process, "one\n")

    assert await process.poll() is None
    await process.write_stdin("two\n")
    assert await _all(process) == "one\ntwo\n"


async def test_the_streams_are_apart_and_can_be_read_again(session: AsyncSession) -> None:
    process = await start(session, "echo out; echo err >&2; exit 3")

    for _ in range(2):
        assert await _all(process) == "out\n"
        assert await _all(process, "stderr") == "err\n"
    assert await _all(process, offset=2) == "t\n"
    assert await _all(process, offset=100) == ""


async def test_much_output_is_complete(session: AsyncSession) -> None:
    process = await start(session, "seq 30000")

    assert await _all(process) == "".join(f"{n}\n" for n in range(1, 30001))


async def test_a_character_that_two_messages_share_stays_whole(session: AsyncSession) -> None:
    text = "x" + "€" * 30_000
    process = await start(session, "cat")
    await process.write_stdin(text)
    await process.close_stdin()

    assert await _all(process) == text


async def test_output_that_is_not_utf_8_is_shown_with_marks(session: AsyncSession) -> None:
    process = await start(session, r"printf 'a\377b\342\202'")

    assert await _all(process) == "a�b�"


async def test_a_reader_ends_although_a_grandchild_keeps_the_stream(
    session: AsyncSession,
) -> None:
    process = await start(session, "echo done; sleep 60 &")

    assert await _all(process) == "done\n"
    assert await process.poll() == 0


# -- input -----------------------------------------------------------------------------


async def test_input_arrives_in_order_and_ends_after_the_last_of_it(
    session: AsyncSession,
) -> None:
    process = await start(session, "cat; echo end")
    for number in range(5):
        await process.write_stdin(f"{number}\n")
    await process.write_stdin("")
    await process.close_stdin()

    assert await _all(process) == "0\n1\n2\n3\n4\nend\n"


async def test_bytes_arrive_as_they_are(session: AsyncSession) -> None:
    data = bytes(range(256)) * 1000
    process = await start(session, "sha256sum | cut -c 1-64")
    await process.write_stdin(data)
    await process.close_stdin()

    assert await _all(process) == hashlib.sha256(data).hexdigest() + "\n"


async def test_writing_does_not_wait_for_a_program_that_does_not_read(
    session: AsyncSession,
) -> None:
    process = await start(session, "sleep 60")
    with anyio.fail_after(40):
        await process.write_stdin(b"x" * 300_000)
        await process.close_stdin()

    await process.kill()
    assert await process.wait(timeout=50) == 137


async def test_nothing_is_written_after_the_end_of_the_input(session: AsyncSession) -> None:
    process = await start(session, "sleep 60")
    await process.close_stdin()
    await process.close_stdin()

    with pytest.raises(ProcessError, match="closed"):
        await process.write_stdin("more")
    await process.kill()
    await process.wait(timeout=50)
    with pytest.raises(ProcessError, match="ended"):
        await process.write_stdin("more")
    await process.close_stdin()


# -- without the client ----------------------------------------------------------------


async def test_a_process_survives_its_client_and_is_found_again(
    service: Service, session: AsyncSession
) -> None:
    async with service.client() as other:
        elsewhere = (await other.get(session.session_id)).unwrap()
        process = await start(elsewhere, "echo before; read x; echo after $x; exit 5")

    found = await attach(session, process.id)

    assert (found.id, found.pid) == (process.id, process.pid)
    await found.write_stdin("all\n")
    assert await found.wait(timeout=50) == 5
    again = await attach(session, process.id)
    assert await _all(again) == "before\nafter all\n"
    assert again.pid == process.pid


async def test_a_process_that_was_never_started_is_not_found(session: AsyncSession) -> None:
    with pytest.raises(ProcessError, match="no process"):
        await attach(session, "0" * 32)


async def test_the_end_of_the_watcher_is_told_and_not_waited_for(session: AsyncSession) -> None:
    process = await start(session, "sleep 60")
    directory = f"/tmp/agentbay-process-{process.id}"
    await shell(session, f"kill -9 $(cat {directory}/keeper)")

    with anyio.fail_after(40), pytest.raises(ProcessError, match="watched"):
        await process.wait()


async def test_a_finished_process_leaves_no_other_behind(session: AsyncSession) -> None:
    process = await start(session, "true")
    await process.wait(timeout=50)

    ours = (
        "until ! cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'"
        f" | grep -qx '/tmp/agentbay-process-{process.id}'; do sleep 0.05; done"
    )
    assert (await session.command.run(ours, timeout=40)).success


async def test_a_start_that_is_cancelled_leaves_nothing_running(session: AsyncSession) -> None:
    marker = f"61.{time.time_ns()}"
    with anyio.move_on_after(0.005):
        await start(session, f"sleep {marker}")

    gone = f"until ! cat /proc/[0-9]*/cmdline 2>/dev/null | grep -aq 'sleep.61[.]{marker[3:]}$'"
    assert (await session.command.run(f"{gone}; do sleep 0.05; done", timeout=40)).success


async def test_waiting_asks_ever_less_often(
    counted: AsyncSession, transport: CountingTransport
) -> None:
    process = await start(counted, "sleep 60")
    transport.moments.clear()

    async def asked() -> bool:
        return len(transport.moments) >= 7

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(process.wait)
        await until(asked)
        tasks.cancel_scope.cancel()

    pauses = [later - earlier for earlier, later in itertools.pairwise(transport.moments[:7])]
    for number, pause in enumerate(pauses):
        assert pause > 0.045 * 1.5**number
    await process.kill()
