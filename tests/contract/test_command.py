"""Shell commands, as a user of the client sees them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from agentbay import (
    AsyncSession,
    CommandError,
    CommandResult,
    CommandTimeoutError,
    InvalidInputError,
)

from ..local.sandboxes import all_gone, processes_with, running, until
from .observing import CountingTransport, shell


def _marker() -> str:
    """A number of seconds that no other process sleeps."""
    return f"5151.{time.time_ns()}"


async def _cut_short(
    session: AsyncSession, command: str, unit: str = "timeout"
) -> tuple[CommandResult, float]:
    """The result of a command that writes something and goes on until its time is up, and that.

    How much time it takes until it has written, only the machine knows.
    """
    for seconds in (0.5, 2.0, 8.0, 30.0):
        limit: dict[str, Any] = {"timeout": seconds, "timeout_ms": int(seconds * 1000)}
        result = await session.command.run(command, **{unit: limit[unit]})
        if result.stdout:
            break
    return result, seconds


# -- what a command gives --------------------------------------------------------------


async def test_the_documented_example_works(session: AsyncSession) -> None:
    result = await session.command.run("echo 'Hello World'")

    assert result.success
    assert result.data == result.output == result.stdout == "Hello World\n"
    assert result.exit_code == 0
    assert result.request_id


async def test_both_streams_and_the_exit_code_are_told_apart(session: AsyncSession) -> None:
    result = await session.command.run("echo out; echo err >&2; exit 3")

    assert not result.success
    assert (result.stdout, result.stderr, result.exit_code) == ("out\n", "err\n", 3)
    assert result.output == "out\nerr\n"
    assert result.error_message == "err"


async def test_unwrap_raises_a_failed_command_with_all_that_is_known(
    session: AsyncSession,
) -> None:
    with pytest.raises(CommandError) as caught:
        (await session.command.run("echo out; echo err >&2; exit 3")).unwrap()

    error = caught.value
    assert (error.exit_code, error.stdout, error.stderr) == (3, "out\n", "err\n")
    assert error.request_id
    assert not isinstance(error, CommandTimeoutError)


async def test_a_silent_failure_tells_its_exit_code(session: AsyncSession) -> None:
    result = await session.command.run("false")

    assert "exited with 1" in result.error_message


async def test_a_signal_is_told_as_a_shell_does(session: AsyncSession) -> None:
    assert (await session.command.run("kill -9 $$")).exit_code == 128 + 9


async def test_a_command_that_does_not_exist_is_a_failed_command(session: AsyncSession) -> None:
    result = await session.command.run("no-such-program")

    assert result.exit_code == 127
    assert "no-such-program" in result.stderr


async def test_output_that_looks_like_a_reply_is_output(session: AsyncSession) -> None:
    text = '{"stdout": "no", "stderr": "", "exit_code": 1}\n'

    assert await shell(session, f"cat <<'E'\n{text}E") == text


async def test_quotes_lines_and_unicode_reach_the_shell(session: AsyncSession) -> None:
    output = await shell(session, "printf '%s|' 'a b' \"$(echo žluť 📏)\" '\"'\n\nprintf end")

    assert output == 'a b|žluť 📏|"|end'


async def test_output_that_is_not_utf_8_is_shown_with_marks(session: AsyncSession) -> None:
    result = await session.command.run(r"printf 'a\377b\000c'")

    assert result.stdout == "a�b\0c"


async def test_the_aliases_do_the_same(session: AsyncSession) -> None:
    assert (await session.command.exec("echo 1")).output == "1\n"
    assert (await session.command.execute_command("echo 2")).output == "2\n"


async def test_standard_input_is_closed(session: AsyncSession) -> None:
    with anyio.fail_after(40):
        assert await shell(session, "cat; echo end") == "end\n"


@pytest.mark.engine_only
@pytest.mark.parametrize("size", [128 * 1024, 5_000_000])
async def test_a_long_command_is_one_as_any_other(session: AsyncSession, size: int) -> None:
    tail = "echo $0 $#; wc -c; ls /proc/self/fd | wc -l; echo $LINENO; exit 7"
    short = await session.command.run(f": ä; {tail}")

    long = await session.command.run(f": {'ä' * (size // 2)}; {tail}", envs={"A": "1"})
    killed = await session.command.run(f": {'x' * size}; kill -9 $$")

    assert (long.stdout, long.exit_code) == (short.stdout, 7)
    assert killed.exit_code == 128 + 9


@pytest.mark.engine_only
async def test_a_long_command_can_be_started(session: AsyncSession) -> None:
    process = await session.command.start(
        f": {'ä' * 100_000}; echo $0 $A; cat; exit 7", envs={"A": "1"}
    )
    await process.write_stdin("input")
    await process.close_stdin()

    assert await process.wait(timeout=60) == 7
    assert "".join([text async for text in process.stdout()]) == "/bin/sh 1\ninput"


async def test_commands_do_not_share_variables_and_directories(session: AsyncSession) -> None:
    await session.command.run("cd /tmp; NAME=x; export NAME")

    assert await shell(session, "pwd; echo [$NAME]") == "/home/wuying\n[]\n"


# -- where and with what ---------------------------------------------------------------


async def test_a_command_runs_in_the_directory_that_is_asked_for(session: AsyncSession) -> None:
    await shell(session, "mkdir -p 'sub dir/é'")

    assert (await session.command.run("pwd", cwd="/usr")).output == "/usr\n"
    relative = await session.command.run("pwd", cwd="sub dir/é")
    assert relative.output == "/home/wuying/sub dir/é\n"


@pytest.mark.parametrize("cwd", ["/nowhere", "/etc/passwd"])
async def test_a_directory_that_is_not_there_fails_and_nothing_runs(
    session: AsyncSession, cwd: str
) -> None:
    result = await session.command.run("touch /tmp/ran", cwd=cwd)

    assert not result.success
    assert result.exit_code is None
    assert cwd in result.error_message
    assert not (await session.file_system.get_file_info("/tmp/ran")).success


async def test_variables_are_those_of_one_command(session: AsyncSession) -> None:
    envs = {"GREETING": "hei, maailma 📏", "EMPTY": "", "QUOTED": "'\"$HOME\n"}
    result = await session.command.run('printf "%s|" "$GREETING" "$EMPTY" "$QUOTED"', envs=envs)

    assert result.output == "hei, maailma 📏||'\"$HOME\n|"
    assert await shell(session, "echo [$GREETING]") == "[]\n"


@pytest.mark.parametrize(
    "envs",
    [{"A": 1}, {1: "a"}, {"A": None}, {"A": "ok", "B": ["x"]}],
    ids=repr,
)
async def test_variables_that_are_not_text_are_refused_before_sending(
    counted: AsyncSession, transport: CountingTransport, envs: Mapping[str, Any]
) -> None:
    result = await counted.command.run("true", envs=envs)

    assert not result.success
    assert isinstance(result.error, InvalidInputError)
    assert "environment variables" in result.error_message
    assert result.exit_code is None
    assert transport.actions == []


@pytest.mark.parametrize("envs", [{"A=B": "x"}, {"A": "x\0y"}], ids=repr)
async def test_variables_that_no_system_takes_fail_and_nothing_runs(
    session: AsyncSession, envs: dict[str, str]
) -> None:
    result = await session.command.run("touch /tmp/ran", envs=envs)

    assert not result.success
    assert result.exit_code is None
    assert result.error_message
    assert not (await session.file_system.get_file_info("/tmp/ran")).success


@pytest.mark.parametrize("command", ["", " ", "\n\t", "echo a\0b", None, 5, b"ls"], ids=repr)
async def test_a_command_that_is_not_text_is_refused_before_sending(
    counted: AsyncSession, transport: CountingTransport, command: Any
) -> None:
    result = await counted.command.run(command)

    assert isinstance(result.error, InvalidInputError)
    assert result.exit_code is None
    assert transport.actions == []


# -- time limits -----------------------------------------------------------------------


@pytest.mark.engine_only
@pytest.mark.parametrize("unit", ["timeout", "timeout_ms"])
async def test_a_time_limit_kills_the_command_and_keeps_its_output(
    session: AsyncSession, unit: str
) -> None:
    marker = _marker()
    command = f"echo bad >&2; echo early; sleep {marker} & sleep {marker}"
    with anyio.fail_after(50):
        result, seconds = await _cut_short(session, command, unit)

    assert not result.success
    assert isinstance(result.error, CommandTimeoutError)
    assert isinstance(result.error, TimeoutError)
    assert result.exit_code is None
    assert (result.stdout, result.stderr) == ("early\n", "bad\n")
    assert f"{seconds:g} s" in result.error_message
    with pytest.raises(CommandTimeoutError):
        result.unwrap()
    await all_gone(marker)


async def test_the_positional_time_limit_is_in_milliseconds(session: AsyncSession) -> None:
    with anyio.fail_after(30):
        result = await session.command.run("sleep 60", 300)

    assert isinstance(result.error, CommandTimeoutError)
    assert "0.3 s" in result.error_message


async def test_nothing_of_a_killed_command_goes_on(session: AsyncSession) -> None:
    result, _ = await _cut_short(session, "sh -c 'echo $$; exec sleep 60' & sleep 60")

    assert isinstance(result.error, CommandTimeoutError)
    pid = int(result.stdout)
    gone = f"while [ -d /proc/{pid} ]; do sleep 0.02; done"
    assert (await session.command.run(gone, timeout=20)).success


async def test_a_time_limit_is_given_once(session: AsyncSession) -> None:
    result = await session.command.run("true", 1000, timeout=1)

    assert isinstance(result.error, InvalidInputError)


@pytest.mark.parametrize("limit", [0, -1, float("nan"), float("inf"), True, "5"], ids=repr)
@pytest.mark.parametrize("name", ["timeout", "timeout_ms"])
async def test_a_time_limit_that_makes_no_sense_is_refused_before_sending(
    counted: AsyncSession, transport: CountingTransport, name: str, limit: Any
) -> None:
    limits: dict[str, Any] = {name: limit}
    result = await counted.command.run("true", **limits)

    assert isinstance(result.error, InvalidInputError)
    assert repr(limit) in result.error_message
    assert transport.actions == []


async def test_a_time_limit_of_years_is_fine(session: AsyncSession) -> None:
    assert (await session.command.run("echo done", timeout=1e9)).output == "done\n"


@pytest.mark.engine_only
async def test_cancelling_a_call_kills_its_command(session: AsyncSession) -> None:
    marker = _marker()

    async def both() -> bool:
        return len(processes_with(marker)) >= 2

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(session.command.run, f"sleep {marker} & sleep {marker}")
        await until(both)
        tasks.cancel_scope.cancel()

    await all_gone(marker)
    assert await shell(session, "echo fine") == "fine\n"


# -- background and many ---------------------------------------------------------------


@pytest.mark.engine_only
async def test_a_background_process_returns_at_once_and_stays(session: AsyncSession) -> None:
    marker = _marker()
    with anyio.fail_after(40):
        assert await shell(session, f"sleep {marker} & echo started") == "started\n"

    await running(marker)
    assert (await session.command.run(f"pgrep -f {marker}")).success


async def test_a_background_process_that_writes_for_ever_does_no_harm(
    session: AsyncSession,
) -> None:
    with anyio.fail_after(40):
        assert (await session.command.run("yes & echo started")).success
        assert await shell(session, "echo next") == "next\n"


async def test_twenty_commands_run_at_once(session: AsyncSession) -> None:
    # Each waits until all of them have come: it takes all twenty at the same time.
    await shell(session, "mkdir /tmp/meeting")
    results: dict[int, CommandResult] = {}

    async def meet(number: int) -> None:
        command = f"touch /tmp/meeting/{number}; cd /tmp/meeting; set -- *; "
        command += f"while [ $# -lt 20 ]; do sleep 0.1; set -- *; done; echo {number}"
        results[number] = await session.command.run(command, timeout=50)

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(meet, number)

    assert {n: result.output for n, result in results.items()} == {n: f"{n}\n" for n in range(20)}


@pytest.mark.timeout(200)
async def test_output_past_all_bounds_keeps_head_and_tail(session: AsyncSession) -> None:
    size = 1024**3
    command = f"echo first; head -c {size} /dev/zero | tr '\\0' x; echo; echo last"

    result = await session.command.run(command, timeout=150)

    assert result.success
    assert result.stdout.startswith("first\nxxx")
    assert result.stdout.endswith("xxx\nlast\n")
    assert len(result.stdout) < 4 * 1024 * 1024
    kept = result.stdout.count("x")
    omitted = int(result.stdout.partition("[... ")[2].partition(" bytes omitted ...]")[0])
    assert kept + omitted == size


async def test_a_megabyte_of_output_comes_whole(session: AsyncSession) -> None:
    result = await session.command.run("head -c 1000000 /dev/zero | tr '\\0' y")

    assert result.stdout == "y" * 1_000_000


async def test_programs_share_memory_and_locks(session: AsyncSession) -> None:
    program = "import multiprocessing as m; print(m.Pool(2).map(abs, [-1, -2]))"
    result = await session.command.run(f'python3 -c "{program}"')

    assert result.unwrap() == "[1, 2]\n"


async def test_a_command_that_was_started_goes_on_beside_its_caller(session: AsyncSession) -> None:
    process = await session.command.start("read line; echo got $line; exit 3")
    again = await session.command.attach(process.id)
    await again.write_stdin("hello\n")

    with anyio.fail_after(40):
        assert await process.wait() == 3
        assert "".join([text async for text in process.stdout()]) == "got hello\n"
