from __future__ import annotations

import os
import signal
import socket
import sys
import uuid
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path

import anyio
import pytest

from agentbay.local._errors import EngineError, ToolFailure
from agentbay.local._output import CommandOutput
from agentbay.local._sandbox import bwrap, network
from agentbay.local.sandbox import Isolation, Sandbox

from .sandboxes import guest_pid, names_in, peak_memory, processes_with, run, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap is for Linux")

# Most tests need no way out, and start faster without one.
OFFLINE = Isolation(network="none")

ECHO_SERVER = """
import socket, sys
server = socket.create_server((sys.argv[1], 8080), family=socket.AF_INET6 if ":" in sys.argv[1]
                              else socket.AF_INET)
print("listening", file=open("listening", "w"))
while True:
    connection, _ = server.accept()
    connection.sendall(sys.argv[2].encode() + connection.recv(100))
    connection.close()
"""

# Seconds for a command that is to run out of time; more of them if it had none to begin.
GROWING = (0.5, 5.0, 25.0)

OWNER = """
import sys, anyio
from pathlib import Path
from agentbay.local.sandbox import Isolation, Sandbox
async def main():
    sandbox = await Sandbox.start(Path(sys.argv[1]), "owned", Isolation(sys.argv[2], "none"))
    command = f"setsid sh -c 'sleep 300; : {sys.argv[3]}' & sh -c 'sleep 300; : {sys.argv[3]}' &"
    await sandbox.call("shell", {"command": command, "time_limit": 10})
    print("ready", flush=True)
    await anyio.sleep(60)
anyio.run(main)
"""


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncGenerator[Sandbox, None]:
    sandbox = await Sandbox.start(tmp_path / "session", "s-1", OFFLINE)
    yield sandbox
    await sandbox.close()


async def test_a_command_gives_its_output_and_its_exit_code(sandbox: Sandbox) -> None:
    done = await run(sandbox, "echo out; echo err >&2; exit 3")
    assert (done.stdout, done.stderr, done.exit_code) == ("out\n", "err\n", 3)
    assert (done.signal, done.timed_out) == (None, False)


async def test_a_signal_that_ends_a_command_is_told(sandbox: Sandbox) -> None:
    done = await run(sandbox, "kill -SEGV $$")
    assert (done.exit_code, done.signal) == (None, signal.SIGSEGV)


async def test_bytes_that_are_not_text_do_not_break_the_output(sandbox: Sandbox) -> None:
    done = await run(sandbox, r"printf 'a\377b\000c\n'")
    assert done.stdout == "a�b\0c\n"


async def test_commands_run_in_the_home_directory_unless_told_otherwise(sandbox: Sandbox) -> None:
    assert (await run(sandbox, "pwd; echo $HOME")).stdout == "/home/wuying\n/home/wuying\n"
    assert (await run(sandbox, "pwd", cwd="/tmp")).stdout == "/tmp\n"
    await run(sandbox, "mkdir below")
    assert (await run(sandbox, "pwd", cwd="below")).stdout == "/home/wuying/below\n"


async def test_a_missing_directory_is_named(sandbox: Sandbox) -> None:
    with pytest.raises(ToolFailure, match="/no/such: No such directory") as caught:
        await run(sandbox, "pwd", cwd="/no/such")
    assert caught.value.number == -32602


async def test_variables_reach_the_command_and_only_that(sandbox: Sandbox) -> None:
    done = await run(sandbox, "echo $A", environment={"A": "x y\n$z"})
    assert done.stdout == "x y $z\n"
    assert (await run(sandbox, "echo ${A-unset}")).stdout == "unset\n"


@pytest.mark.parametrize(("command", "value"), [("a\0b", ""), ("true", "x" * 3_000_000)])
async def test_an_impossible_command_is_refused(sandbox: Sandbox, command: str, value: str) -> None:
    with pytest.raises(ToolFailure, match="the command could not be started"):
        await run(sandbox, command, environment={"A": value})
    assert (await run(sandbox, "echo fine")).stdout == "fine\n"


async def test_an_unknown_operation_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(ToolFailure, match="unknown operation fly"):
        await sandbox.call("fly", {})


async def test_a_background_program_lives_on_while_the_call_returns(sandbox: Sandbox) -> None:
    done = await run(sandbox, "sleep 300 & echo $!")
    assert not done.timed_out
    assert (await run(sandbox, f"kill -0 {done.stdout.strip()}")).exit_code == 0


async def test_a_background_program_can_write_for_ever(sandbox: Sandbox) -> None:
    await run(
        sandbox, "(head -c 1000000 /dev/zero && head -c 1000000 /dev/zero >&2 && touch all) &"
    )

    async def wrote_all() -> bool:
        return (await run(sandbox, "test -e all")).exit_code == 0

    await until(wrote_all)


async def test_a_time_limit_ends_the_group_and_keeps_the_output(sandbox: Sandbox) -> None:
    command = "echo begun; echo too >&2; sh -c 'sleep 300 & sleep 300' & sleep 300"
    done = await _cut_off(sandbox, command)
    assert (done.stdout, done.stderr) == ("begun\n", "too\n")
    assert (done.timed_out, done.exit_code) == (True, None)

    async def all_gone() -> bool:
        return not await _sleeps(sandbox)

    await until(all_gone)


async def _cut_off(sandbox: Sandbox, command: str) -> CommandOutput:
    """What comes of a command that ends too late, but has the time to say something."""
    for limit in GROWING[:-1]:
        done = await run(sandbox, command, time_limit=limit)
        if done.stdout and done.stderr:
            return done
    return await run(sandbox, command, time_limit=GROWING[-1])


async def _exist(marker: str, number: int) -> bool:
    return len(processes_with(marker)) >= number


async def _sleeps(sandbox: Sandbox) -> bool:
    return "(sleep)" in (await run(sandbox, "cat /proc/[0-9]*/stat")).stdout


async def test_cancelling_a_call_ends_its_command(sandbox: Sandbox) -> None:
    async def gone() -> bool:
        return not await _sleeps(sandbox)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, sandbox, "sleep 300 & sleep 300")
        await until(partial(_sleeps, sandbox))
        tasks.cancel_scope.cancel()
    await until(gone)


async def test_a_call_that_takes_too_long_fails_with_its_own_number(sandbox: Sandbox) -> None:
    with pytest.raises(ToolFailure, match="shell did not end within") as caught:
        await sandbox.call("shell", {"command": "sleep 9", "time_limit": 9}, time_limit=0.2)
    assert caught.value.number == -1


async def test_a_gibibyte_of_output_is_kept_in_part(sandbox: Sandbox) -> None:
    command = "echo first; head -c 1G /dev/zero; echo; echo last"
    with anyio.fail_after(100):
        done = await run(sandbox, command, time_limit=90)
    kept, size = 1024 * 1024, 1024**3 + len("first\n\nlast\n")
    assert done.stdout.startswith("first\n")
    assert done.stdout.endswith("\nlast\n")
    gap = f"\n[... {size - kept} bytes omitted ...]\n"
    assert gap in done.stdout
    assert len(done.stdout) == kept + len(gap)
    assert peak_memory(guest_pid(sandbox)) < 64 * 1024**2


async def test_orphans_that_end_leave_no_zombies(sandbox: Sandbox) -> None:
    await run(sandbox, "for i in 1 2 3 4 5 6 7 8 9; do (sleep 0.05 & exit) & done; wait")

    async def no_zombies() -> bool:
        states = (await run(sandbox, "cat /proc/[0-9]*/stat")).stdout
        return ") Z " not in states and "(sleep)" not in states

    await until(no_zombies)


async def test_exit_codes_are_right_while_many_commands_run(sandbox: Sandbox) -> None:
    codes: list[tuple[int, int | None]] = []

    async def exit_with(code: int) -> None:
        done = await run(sandbox, f"sleep 0.0{code % 5} & (exit 9) & exit {code}")
        codes.append((code, done.exit_code))

    async with anyio.create_task_group() as tasks:
        for code in range(40):
            tasks.start_soon(exit_with, code)
    assert sorted(codes) == [(code, code) for code in range(40)]


async def test_programs_of_a_session_are_limited_in_number(sandbox: Sandbox) -> None:
    limits = (await run(sandbox, "cat /proc/self/limits")).stdout
    line = next(line for line in limits.splitlines() if line.startswith("Max processes"))
    assert all(int(value) <= 4096 for value in line.split()[2:4])


async def _serve(sandbox: Sandbox, host: str, greeting: str) -> None:
    await sandbox.call(
        "write_file", {"path": "s.py", "mode": "overwrite"}, body=ECHO_SERVER.encode()
    )
    await run(sandbox, f"rm -f listening; python3 s.py {host} {greeting} &")

    async def listening() -> bool:
        return (await run(sandbox, "test -s listening")).exit_code == 0

    await until(listening)


async def _talk(sandbox: Sandbox, text: bytes) -> bytes:
    answer = b""
    async with await sandbox.connect(8080) as connection:
        await connection.send(text)
        with anyio.fail_after(30):
            async for part in connection:
                answer += part
    return answer


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_server_in_the_session_can_be_reached(sandbox: Sandbox, host: str) -> None:
    await _serve(sandbox, host, "hei-")
    assert await _talk(sandbox, b"you") == b"hei-you"


async def test_a_port_without_a_server_refuses(sandbox: Sandbox) -> None:
    with pytest.raises(ConnectionRefusedError, match="8080"):
        await sandbox.connect(8080)


async def test_two_sessions_can_use_the_same_port(sandbox: Sandbox, tmp_path: Path) -> None:
    other = await Sandbox.start(tmp_path / "other", "s-2", OFFLINE)
    try:
        await _serve(sandbox, "127.0.0.1", "first-")
        await _serve(other, "127.0.0.1", "second-")
        assert await _talk(sandbox, b"x") == b"first-x"
        assert await _talk(other, b"x") == b"second-x"
    finally:
        await other.close()


def _read_all(connection: socket.socket) -> bytes:
    data = b""
    while part := connection.recv(4096):
        data += part
    return data


async def test_a_stream_gives_what_the_work_returns(sandbox: Sandbox) -> None:
    arguments = {"command": "echo streamed", "time_limit": 30}
    data = await sandbox.stream("shell", arguments, _read_all, time_limit=30)
    assert data.endswith(b"streamed\n")


async def test_a_stream_raises_what_the_work_raises(sandbox: Sandbox) -> None:
    def work(connection: socket.socket) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await sandbox.stream("shell", {"command": ":", "time_limit": 30}, work, time_limit=30)


async def test_a_stream_ends_its_thread_when_time_is_up(sandbox: Sandbox) -> None:
    begun: list[float] = []
    ended: list[bytes] = []

    def work(connection: socket.socket) -> None:
        begun.append(limit)
        ended.append(_read_all(connection))

    arguments = {"command": "sleep 60", "time_limit": 60}
    for limit in GROWING:
        with pytest.raises(ToolFailure) as caught:
            await sandbox.stream("shell", arguments, work, time_limit=limit)
        assert caught.value.number == -1
        if begun:
            break
    assert ended == [b""]


async def test_a_session_that_died_is_lost(sandbox: Sandbox) -> None:
    assert sandbox.alive
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_expect_loss, sandbox)
        await until(partial(_sleeps, sandbox))
        os.kill(guest_pid(sandbox), signal.SIGKILL)
    await _expect_loss(sandbox)
    assert not sandbox.alive


async def test_a_session_is_lost_also_when_its_end_is_seen_late(sandbox: Sandbox) -> None:
    assert sandbox._guest._process is not None
    guest, outer = guest_pid(sandbox), sandbox._guest._process.pid
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_expect_loss, sandbox)
        await until(partial(_sleeps, sandbox))
        os.kill(outer, signal.SIGSTOP)  # it is told of the guest's end, and ends after it
        os.kill(guest, signal.SIGKILL)
        await anyio.sleep(1)
        os.kill(outer, signal.SIGCONT)


async def _expect_loss(sandbox: Sandbox) -> None:
    with pytest.raises(EngineError) as caught:
        await run(sandbox, "sleep 20")
    assert caught.value.code == "SessionLost"


async def test_close_ends_every_process_and_removes_everything(tmp_path: Path) -> None:
    marker = uuid.uuid4().hex
    sandbox = await Sandbox.start(tmp_path / "session", "s-1", OFFLINE)
    await run(
        sandbox, f"setsid sh -c 'trap \"\" TERM HUP; sleep 300; : {marker}' >/dev/null 2>&1 &"
    )
    await run(
        sandbox, "mkdir -p a/b/c; touch a/b/f; chmod 000 a/b/c a/b/f; chmod 500 a/b; chmod 0 a"
    )
    await run(sandbox, "ln -s / slash; ln -s nowhere dangling; mkfifo pipe; touch .moved-1")
    deep = "import os\nfor _ in range(3000):\n os.mkdir('d'); os.chdir('d')"
    assert (await run(sandbox, f'python3 -c "{deep}"')).exit_code == 0
    await until(partial(_exist, marker, 1))
    await sandbox.close()
    assert processes_with(marker) == []
    assert names_in(tmp_path) == []
    assert not sandbox.alive
    await sandbox.close()
    with pytest.raises(EngineError) as caught:
        await sandbox.call("shell", {})
    assert caught.value.code == "SessionLost"


@pytest.mark.parametrize("kind", ["bubblewrap", "none"])
async def test_nothing_outlives_an_engine_that_is_killed(tmp_path: Path, kind: str) -> None:
    marker = uuid.uuid4().hex
    command = [sys.executable, "-c", OWNER, str(tmp_path / "session"), kind, marker]
    async with await anyio.open_process(command, stderr=None) as owner:
        try:
            assert owner.stdout is not None
            with anyio.fail_after(40):
                assert (await owner.stdout.receive()).startswith(b"ready")
            await until(partial(_exist, marker, 3))
        finally:
            owner.kill()

    async def all_gone() -> bool:
        return processes_with(marker) == []

    await until(all_gone)


async def test_a_start_that_fails_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    missing = [Path("/no/such/place")]
    with pytest.raises(EngineError, match="/no/such/place") as caught:
        await Sandbox.start(tmp_path / "session", "s-1", OFFLINE, read_only=missing)
    assert caught.value.code == "SandboxUnavailable"
    assert names_in(tmp_path) == []


async def test_a_directory_in_use_is_left_alone(sandbox: Sandbox) -> None:
    with pytest.raises(FileExistsError):
        await Sandbox.start(sandbox.directory, "s-2", OFFLINE)
    assert (await run(sandbox, "echo fine")).stdout == "fine\n"


async def test_a_start_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    for milliseconds in range(0, 60, 6):
        isolation = OFFLINE if milliseconds % 4 else Isolation()
        with anyio.move_on_after(milliseconds / 1000):
            sandbox = await Sandbox.start(tmp_path / "session", "s-1", isolation)
            await sandbox.close()
        assert names_in(tmp_path) == []
    assert processes_with(str(tmp_path)) == []


async def test_a_network_that_cannot_be_attached_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = network.Helper("slirp4netns", "/bin/false")
    monkeypatch.setattr(network, "find_helper", lambda: helper)
    with pytest.raises(EngineError) as caught:
        await Sandbox.start(tmp_path / "session", "s-1", Isolation())
    assert caught.value.code == "NetworkUnavailable"
    assert names_in(tmp_path) == []
    assert processes_with(str(tmp_path)) == []


async def test_no_bubblewrap_is_an_error_that_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bwrap.find_bwrap.cache_clear()
    monkeypatch.setattr(bwrap, "_candidates", list)
    with pytest.raises(EngineError, match=r'pip install "agentbay-sdk\[local\]"') as caught:
        await Sandbox.start(tmp_path / "session", "s-1", OFFLINE)
    assert caught.value.code == "SandboxUnavailable"
    assert "AGENTBAY_LOCAL_ISOLATION=none" in str(caught.value)
    assert names_in(tmp_path) == []


async def test_a_bubblewrap_that_fails_gives_way_to_one_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'no permission for namespaces' >&2\nexit 1\n")
    broken.chmod(0o755)
    working = bwrap.find_bwrap(share_network=False)
    bwrap.find_bwrap.cache_clear()
    monkeypatch.setattr(bwrap, "_candidates", lambda: [str(broken), working])
    assert bwrap.find_bwrap(share_network=False) == working
    bwrap.find_bwrap.cache_clear()
    monkeypatch.setattr(bwrap, "_candidates", lambda: [str(broken)])
    with pytest.raises(EngineError, match="no permission for namespaces"):
        bwrap.find_bwrap(share_network=False)


async def test_without_isolation_commands_run_on_the_host(tmp_path: Path) -> None:
    marker = uuid.uuid4().hex
    sandbox = await Sandbox.start(tmp_path / "session", "s-1", Isolation(kind="none"))
    home = tmp_path / "session/root/home/wuying"
    assert (await run(sandbox, "pwd; echo $HOME")).stdout == f"{home}\n{home}\n"
    await run(sandbox, f"(setsid sh -c 'sleep 300; : {marker}' &) &")
    await until(partial(_exist, marker, 1))
    await sandbox.close()
    assert processes_with(marker) == []
    assert names_in(tmp_path) == []
