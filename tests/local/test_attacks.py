"""More attacks from inside a session: on the engine, on other sessions, on the host's kernel."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest

from agentbay import AsyncAgentBay, ContextSync, CreateSessionParams
from agentbay.local._errors import ToolFailure
from agentbay.local.sandbox import Isolation, Sandbox

from .sandboxes import processes_with, run, running, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap is for Linux")

# Calls of the kernel by number: x86_64, others. Each prints the name of the error, or a result.
KERNEL = """
import ctypes, errno, os, platform, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(ours, others, *arguments):
    number = ours if platform.machine() == "x86_64" else others
    result = libc.syscall(number, *arguments)
    print(result if result != -1 else errno.errorcode[ctypes.get_errno()])
"""
CALLS = {
    "keep a key": 'call(248, 217, b"user", b"agentbay", b"secret", 6, ctypes.c_long(-4))',
    "find a key": 'call(250, 219, 10, ctypes.c_long(-4), b"user", b"agentbay", 0)',
    "find a key of the host": 'call(250, 219, 10, ctypes.c_long(-3), b"user", b"x", 0)',
    "ask for a key": 'call(249, 218, b"user", b"agentbay", None, 0)',
    "load a program into the kernel": "call(321, 280, 5, None, 0)",
    "watch the kernel": "call(298, 241, None, 0, -1, -1, 0)",
    "handle page faults": "call(323, 282, 0)",
    "use io_uring": "call(425, 425, 8, None)",
    "use a third architecture": "call(0x40000000 + 250, 219, 10, -4, None, None, 0)",
}
# Asks by the calls of 32-bit programs, which have numbers of their own: keyctl is 288.
OLD_CALL = """
import ctypes, mmap
code = bytes.fromhex("53 b8 20 01 00 00 31 db 31 c9 31 d2 31 f6 31 ff cd 80 5b c3")
memory = mmap.mmap(-1, 4096, prot=7)
memory.write(code)
call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
print(call())
"""


@asynccontextmanager
async def sandboxes(directory: Path, *names: str) -> AsyncGenerator[list[Sandbox]]:
    """Sessions of one engine."""
    async with AsyncExitStack() as stack:
        found: list[Sandbox] = []
        for name in names:
            sandbox = await Sandbox.start(directory / name, name, Isolation())
            stack.push_async_callback(sandbox.close)
            found.append(sandbox)
        yield found


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncGenerator[Sandbox, None]:
    async with sandboxes(tmp_path, "session") as (sandbox,):
        yield sandbox


async def _python(sandbox: Sandbox, program: str) -> str:
    done = await run(sandbox, f"python3 - <<'END'\n{program}\nEND")
    return done.stdout + done.stderr


# -- the engine ------------------------------------------------------------------------


async def test_the_engine_and_its_links_cannot_be_reached(bay: AsyncAgentBay) -> None:
    async with bay.session() as session, bay.session() as other:
        link = (await other.get_link(port=30150)).unwrap()
        port = int(link.split(":")[2].split("/")[0])
        hosts = ["127.0.0.1", "localhost", "::1", "0.0.0.0", "10.0.2.2", _address_of_host()]
        probe = (
            "import socket, sys\n"
            f"for host in {hosts!r}:\n"
            "    try:\n"
            f"        socket.create_connection((host, {port}), 2)\n"
            "    except OSError:\n"
            "        continue\n"
            "    print('reached', host)\n"
        )
        done = await session.command.run(f"python3 - <<'END'\n{probe}END", timeout_ms=20_000)
        assert done.stdout == ""
        # The link works for those who may use it: nothing listens behind it.
        with socket.create_connection(("127.0.0.1", port), 5):
            pass


def _address_of_host() -> str:
    """An address of this machine that others know, if it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.2"
        return str(probe.getsockname()[0])


async def test_the_state_directory_is_not_there(bay: AsyncAgentBay) -> None:
    home = os.environ["AGENTBAY_LOCAL_HOME"]
    async with bay.session() as session:
        assert not (await session.command.run(f"ls {home}")).success
        rest = r"find / \( -path /proc -o -path /usr \) -prune -o -name 'contexts.db*' -print"
        assert (await session.command.run(f"{rest} 2> /dev/null")).stdout == ""


async def test_sockets_of_the_host_without_a_file_are_out_of_reach(sandbox: Sandbox) -> None:
    name = f"agentbay-{time.time_ns()}"
    connect = f"import socket; s = socket.socket(1); s.connect('\\0{name}'); print('reached')"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0{name}")
        server.listen()
        assert "ConnectionRefusedError" in await _python(sandbox, connect)


async def test_links_that_a_session_leaves_do_not_lead_its_removal_astray(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept.txt").write_text("kept")
    async with sandboxes(tmp_path, "session") as (sandbox,):
        # Programs go on making links until the end.
        trap = (
            f"mkdir -p t; while :; do ln -sfn {outside} t/a; mkdir -p t/b/c; "
            f"rm -rf t/b; ln -sfn {outside} t/b; rm -f t/b; done"
        )
        await run(sandbox, f"ln -s {outside} here; ln -s / root; ({trap}) > /dev/null 2>&1 &")
        await anyio.sleep(0.2)

    assert (outside / "kept.txt").read_text() == "kept"
    assert not (tmp_path / "session").exists()


async def test_a_context_saves_what_a_link_leads_to_inside_only(bay: AsyncAgentBay) -> None:
    context = (await bay.context.create(f"trap-{time.time_ns()}")).unwrap()
    params = CreateSessionParams(context_syncs=[ContextSync(context.id, "/tmp/kept")])
    async with bay.session(params) as session:
        await session.command.run(
            "echo fine > /tmp/kept/a.txt; ln -s /etc/shadow /tmp/kept/shadow;"
            "ln -s / /tmp/kept/root; ln -s ../../../../etc /tmp/kept/etc"
        )
    async with bay.session(params) as session:
        listed = (await session.command.run("find /tmp/kept -type f; cat /tmp/kept/shadow")).stdout

    assert listed == "/tmp/kept/a.txt\n"


@pytest.mark.timeout(300)
async def test_a_file_that_changes_its_kind_all_the_time_holds_no_call_up(
    sandbox: Sandbox,
) -> None:
    kinds = ("ln -sfn plain p", "ln -sfn /dev/zero p", "ln -sfn pipe p", "ln -sfn / p")
    await run(sandbox, "echo content > plain; mkfifo pipe")
    await run(sandbox, f"(while :; do {'; '.join(kinds)}; done) > /dev/null 2>&1 &")
    outcomes: list[object] = []
    # However long the loop in the session takes to begin, some reads meet another kind.
    while len(outcomes) < 150 or -32602 not in outcomes:
        try:
            arguments = {"path": "p", "offset": 0, "length": 0}
            outcomes.append((await sandbox.call("read_file", arguments, time_limit=40)).body)
        except ToolFailure as exc:
            outcomes.append(exc.number)

    assert set(outcomes) <= {b"content\n", -32602}


# -- other sessions --------------------------------------------------------------------


async def test_processes_of_another_session_are_safe(tmp_path: Path) -> None:
    marker = f"4343.{time.time_ns()}"
    async with sandboxes(tmp_path, "one", "other") as (one, other):
        await run(other, f"sleep {marker} > /dev/null 2>&1 &")
        (pid,) = await running(marker)
        listed = await run(one, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
        await run(one, f"kill -9 {pid}; kill -9 -1; kill -9 -{pid}")

        assert marker not in listed.stdout
        assert processes_with(marker) == [pid]
        assert other.alive


async def test_sessions_share_no_memory_and_no_queues(tmp_path: Path) -> None:
    async with sandboxes(tmp_path, "one", "other") as (one, other):
        await run(one, "echo secret > /dev/shm/shared; ipcmk -M 1000 -p 666; ipcmk -Q -p 666")
        assert (await run(other, "ls /dev/shm")).stdout == ""
        if shutil.which("ipcs"):
            assert "666" in (await run(one, "ipcs -m -q")).stdout
            assert "666" not in (await run(other, "ipcs -m -q")).stdout


async def test_servers_of_another_session_are_out_of_reach(tmp_path: Path) -> None:
    async with sandboxes(tmp_path, "one", "other") as (one, other):
        await run(one, "python3 -m http.server 30151 --bind 0.0.0.0 > /dev/null 2>&1 &")
        connect = "import socket; socket.create_connection(({!r}, 30151), 2); print('reached')"

        async def answers() -> bool:
            return "reached" in await _python(one, connect.format("127.0.0.1"))

        await until(answers)
        for host in ("127.0.0.1", "10.0.2.2", "10.0.2.100"):
            assert "reached" not in await _python(other, connect.format(host))


# -- the host's kernel and devices -----------------------------------------------------


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
async def test_calls_that_lead_out_of_a_sandbox_are_refused(sandbox: Sandbox, call: str) -> None:
    if os.uname().machine not in ("x86_64", "aarch64"):
        pytest.skip("there is no filter for this machine")
    assert await _python(sandbox, KERNEL + call) == "EPERM\n"


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the calls are those of x86")
async def test_calls_of_32_bit_programs_are_refused_as_well(sandbox: Sandbox) -> None:
    done = await run(sandbox, f"python3 - <<'END'\n{OLD_CALL}\nEND")

    # Some kernels take no such calls at all, and end the program.
    assert done.stdout == "-1\n" or done.exit_code == 128 + signal.SIGSEGV


async def test_programs_work_under_the_filter(sandbox: Sandbox) -> None:
    program = (
        "import multiprocessing, socket, subprocess, tempfile, threading\n"
        "thread = threading.Thread(target=print, args=['thread']); thread.start(); thread.join()\n"
        "multiprocessing.Lock()\n"
        "print(subprocess.check_output(['echo', 'child'], text=True), end='')\n"
    )
    assert await _python(sandbox, program) == "thread\nchild\n"


async def test_there_are_only_harmless_devices(sandbox: Sandbox) -> None:
    names = (await run(sandbox, "find /dev -type b -o -type c | sort")).stdout.split()

    harmless = {"full", "null", "ptmx", "random", "tty", "urandom", "zero"}
    assert {name.removeprefix("/dev/").removeprefix("pts/") for name in names} <= harmless
    for name in ("null", "zero", "random"):
        mode = os.stat(f"/dev/{name}").st_mode
        assert (await run(sandbox, f"chmod 600 /dev/{name}; chown $(id -u) /dev/{name}")).exit_code
        assert os.stat(f"/dev/{name}").st_mode == mode


@pytest.mark.parametrize("path", ["/proc/kcore", "/proc/kmsg", "/dev/mem", "/dev/kmsg", "/sys"])
async def test_the_kernels_memory_and_log_are_not_there(sandbox: Sandbox, path: str) -> None:
    done = await run(sandbox, f"head -c 1 {path}")

    assert done.exit_code != 0
    assert done.stdout == ""


async def test_programs_of_other_users_give_no_rights(sandbox: Sandbox) -> None:
    find = "find /usr/bin /usr/lib /usr/sbin -perm /6000 -type f 2>/dev/null | head -20"
    user = (await run(sandbox, "id -u wuying")).stdout.strip()
    own = "cp /usr/bin/id own; chmod 6755 own; ./own -u"
    assert (await run(sandbox, own)).stdout == f"{user}\n"
    for program in (await run(sandbox, find)).stdout.split():
        status = await run(
            sandbox, f"timeout 2 {program} < /dev/null > /dev/null 2>&1 & cat /proc/$!/status"
        )
        found = [line.split()[1:] for line in status.stdout.splitlines() if line[:4] == "Uid:"]
        assert all(set(ids) == {user} for ids in found), program


async def test_commands_have_no_terminal_to_write_into(sandbox: Sandbox) -> None:
    done = await run(sandbox, "echo x > /dev/tty; tty")

    assert "No such device" in done.stderr
    assert done.stdout == "not a tty\n"


async def test_files_of_the_system_cannot_be_linked_into_the_session(sandbox: Sandbox) -> None:
    for target in ("/usr/bin/env", "/etc/ld.so.cache"):
        assert (await run(sandbox, f"ln {target} mine")).exit_code != 0
