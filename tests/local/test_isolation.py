"""Attacks from inside a session: each one has full use of the session's shell."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from agentbay.local._errors import ToolFailure
from agentbay.local._sandbox.guest_wire import (
    BODY_LIMIT,
    LINE_LIMIT,
    ConnectionLost,
    parse_reply,
    read_reply,
    receive_socket,
)
from agentbay.local.sandbox import Isolation, Sandbox

from .sandboxes import guest_pid, open_here, run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap is for Linux")

ISOLATED = Isolation()

TRACE_GUEST = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
print(libc.ptrace(16, 1, 0, 0), os.strerror(ctypes.get_errno()))
"""

ESCAPES = {
    "mount": "mount -t tmpfs none /usr",
    "remount": "mount -o remount,rw /usr",
    "unshare": "unshare -Urm sh -c 'mount -o remount,bind,rw /usr && touch /usr/x'",
    "covers": "unshare -Urm sh -c 'umount /usr && touch /usr/x'",
    "chroot": "chroot / true",
    "device": "mknod disk b 8 0",
    "hostname": "hostname evil",
    "nsenter": "nsenter --target 1 --mount true",
}


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncGenerator[Sandbox, None]:
    sandbox = await Sandbox.start(tmp_path / "session", "s-1", ISOLATED)
    yield sandbox
    await sandbox.close()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of the host next to the session's directory, open to everybody."""
    path = tmp_path / "secret"
    path.write_text("the-secret")
    path.chmod(0o666)
    return path


async def _fails(sandbox: Sandbox, command: str) -> None:
    done = await run(sandbox, command)
    assert done.exit_code != 0, done


@pytest.mark.parametrize("path", ["/etc/shadow", "/../../etc/shadow", "/proc/1/root/etc/shadow"])
async def test_the_hosts_passwords_are_not_there(sandbox: Sandbox, path: str) -> None:
    await _fails(sandbox, f"cat {path}")
    with pytest.raises(ToolFailure):
        await sandbox.call("read_file", {"path": path, "offset": 0, "length": 0})


async def test_the_hosts_files_are_not_there(sandbox: Sandbox, secret: Path) -> None:
    await _fails(sandbox, f"cat {secret}")
    await run(sandbox, f"mkdir -p {secret.parent}; echo mine > {secret}")
    assert secret.read_text() == "the-secret"  # noqa: ASYNC240 - a small file


async def test_a_link_leads_to_a_path_of_the_session(sandbox: Sandbox, secret: Path) -> None:
    await run(sandbox, f"ln -s {secret} link; ln -s /proc/1/root{secret} other; ln -s / root")
    for name in ("link", "other", f"root{secret}"):
        await _fails(sandbox, f"cat {name}")
        with pytest.raises(ToolFailure):
            await sandbox.call("read_file", {"path": name, "offset": 0, "length": 0})


async def test_the_users_home_and_the_engines_files_are_not_there(sandbox: Sandbox) -> None:
    names = (await run(sandbox, "ls /home; ls /; find / -name guest.log 2>/dev/null")).stdout
    assert names.split()[0] == "wuying"
    assert "guest.log" not in names
    assert not set(names.split()) & {"boot", "sys", "work", "media"}


async def test_another_sessions_files_are_not_there(sandbox: Sandbox, tmp_path: Path) -> None:
    other = await Sandbox.start(tmp_path / "other", "s-2", ISOLATED)
    try:
        await run(other, "echo the-secret > /tmp/mine; chmod 644 /tmp/mine")
        await _fails(sandbox, "cat /tmp/mine")
        await _fails(sandbox, f"ls {tmp_path}/other")
        await _fails(sandbox, "grep -r the-secret /tmp /home /var")
    finally:
        await other.close()


async def test_other_users_of_the_host_cannot_enter_the_session(sandbox: Sandbox) -> None:
    assert sandbox.directory.stat().st_mode & 0o077 == 0


async def test_system_directories_cannot_be_written(sandbox: Sandbox) -> None:
    for path in ("/usr", "/usr/bin", "/etc/ssl/certs", "/run/agentbay/guest"):
        await _fails(sandbox, f"touch {path}/x")
        await _fails(sandbox, f"mv {path} /tmp/moved")


async def test_kernel_settings_cannot_be_written(sandbox: Sandbox) -> None:
    for path in ("sys/kernel/hostname", "sys/kernel/core_pattern", "sys/vm/drop_caches"):
        await _fails(sandbox, f"echo 1 > /proc/{path}")
    await _fails(sandbox, "echo h > /proc/sysrq-trigger")


@pytest.mark.parametrize("command", ESCAPES.values(), ids=ESCAPES.keys())
async def test_rights_of_root_cannot_be_had(sandbox: Sandbox, command: str) -> None:
    await _fails(sandbox, command)


async def test_a_session_has_no_capabilities(sandbox: Sandbox) -> None:
    status = (await run(sandbox, "cat /proc/self/status /proc/1/status")).stdout
    fields = [line.split() for line in status.splitlines()]
    for name in ("CapEff:", "CapPrm:", "CapAmb:"):
        assert [words[1] for words in fields if words[0] == name] == ["0" * 16] * 2
    assert [words[1] for words in fields if words[0] == "NoNewPrivs:"] == ["1", "1"]
    user = (await run(sandbox, "id -u wuying")).stdout.strip()
    assert int(user) > 60_000
    assert [set(words[1:]) for words in fields if words[0] == "Uid:"] == [{user}] * 2


async def test_processes_of_the_host_are_invisible(sandbox: Sandbox) -> None:
    numbers = (await run(sandbox, "ls /proc | grep '^[0-9]' | wc -l")).stdout
    assert int(numbers) < 8
    await _fails(sandbox, f"kill -0 {os.getpid()}")


async def test_the_guests_files_and_memory_cannot_be_reached(sandbox: Sandbox) -> None:
    for path in ("fd/", "mem", "maps", "environ", "cwd/", "root/"):
        await _fails(sandbox, f"ls /proc/1/{path}* && cat /proc/1/{path}*")


async def test_the_guest_cannot_be_traced(sandbox: Sandbox) -> None:
    done = await run(sandbox, f"python3 -c '{TRACE_GUEST}'")
    assert done.stdout == "-1 Operation not permitted\n"


async def test_the_guest_cannot_be_killed(sandbox: Sandbox) -> None:
    signals = "KILL STOP TERM INT HUP QUIT ABRT SEGV USR1 USR2 PIPE ALRM CHLD"
    await run(sandbox, f"for s in {signals}; do kill -$s 1; done")
    await run(sandbox, "kill -KILL -1")
    assert (await run(sandbox, "echo alive")).stdout == "alive\n"


async def test_commands_inherit_no_descriptor(sandbox: Sandbox) -> None:
    # 3 is the directory that ls itself reads.
    assert (await run(sandbox, "ls /proc/self/fd")).stdout.split() == ["0", "1", "2", "3"]


async def test_the_engines_variables_do_not_reach_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTBAY_API_KEY", "the-secret")
    for isolation in (ISOLATED, Isolation(kind="none")):
        sandbox = await Sandbox.start(tmp_path / isolation.kind, "s-1", isolation)
        try:
            assert "the-secret" not in (await run(sandbox, "env")).stdout
        finally:
            await sandbox.close()


@pytest.mark.parametrize("network", ["isolated", "none"])
async def test_the_hosts_loopback_cannot_be_reached(tmp_path: Path, network: str) -> None:
    isolation = Isolation(network="none") if network == "none" else ISOLATED
    sandbox = await Sandbox.start(tmp_path / "session", "s-1", isolation)
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            assert await _reaches(sandbox, port) == "no\n"
            with pytest.raises(ConnectionRefusedError):
                await sandbox.connect(port)
    finally:
        await sandbox.close()


async def test_the_hosts_network_is_shared_when_asked_for(tmp_path: Path) -> None:
    sandbox = await Sandbox.start(tmp_path / "session", "s-1", Isolation(network="host"))
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            assert await _reaches(sandbox, server.getsockname()[1]) == "yes\n"
    finally:
        await sandbox.close()


async def _reaches(sandbox: Sandbox, port: int) -> str:
    connect = f"import socket; socket.create_connection(('127.0.0.1', {port}), 3)"
    return (await run(sandbox, f'python3 -c "{connect}" 2>/dev/null && echo yes || echo no')).stdout


async def test_the_sandbox_is_not_only_a_view(sandbox: Sandbox) -> None:
    ours, theirs = "/proc/self/ns/", f"/proc/{guest_pid(sandbox)}/ns/"
    for name in ("pid", "mnt", "ipc", "uts", "net"):
        if os.geteuid() == 0:
            assert os.readlink(ours + name) != os.readlink(theirs + name)
        told = (await run(sandbox, f"readlink /proc/self/ns/{name}")).stdout.strip()
        assert told != os.readlink(ours + name)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"nonsense",
        b"[" * 100_000,
        b"[]",
        b'{"result": [], "size": 0}',
        b'{"result": {}, "size": -1}',
        b'{"result": {}, "size": "1"}',
        json.dumps({"result": {}, "size": BODY_LIMIT + 1}).encode(),
        b'{"error": {"number": "x", "message": 1}}',
        b'{"size": ' + b"9" * 5000 + b"}",
    ],
)
def test_a_reply_that_makes_no_sense_is_a_failure(line: bytes) -> None:
    with pytest.raises(ToolFailure, match="not valid"):
        parse_reply(line)


async def test_an_endless_reply_line_is_cut_off() -> None:
    ours, theirs = socket.socketpair()
    sent = 0
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        async with anyio.create_task_group() as tasks:

            async def read() -> None:
                with pytest.raises(ToolFailure, match="too large"):
                    await read_reply(ours)
                tasks.cancel_scope.cancel()

            tasks.start_soon(read)
            with anyio.fail_after(30):
                while True:
                    await anyio.wait_writable(theirs)
                    sent += theirs.send(b"x" * 65536)
    assert LINE_LIMIT < sent < 2 * LINE_LIMIT


async def test_a_reply_that_stops_early_is_a_loss() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        ours.setblocking(False)
        with theirs:
            theirs.sendall(b'{"result": {}, "size": 10}\nhalf')
        with pytest.raises(ConnectionLost):
            await read_reply(ours)


async def test_only_tcp_connections_are_taken_from_a_session() -> None:
    line = b'{"result": {"refused": false}, "size": 0}\n'
    with tempfile.TemporaryFile() as file, socket.socket() as fresh:
        datagram, stream = socket.socket(type=socket.SOCK_DGRAM), socket.socket(socket.AF_UNIX)
        everything = (file, fresh, datagram, stream)
        names = {os.readlink(f"/proc/self/fd/{sent.fileno()}") for sent in everything}
        for sent in everything:
            ours, theirs = socket.socketpair()
            with ours, theirs:
                ours.setblocking(False)
                socket.send_fds(theirs, [line], [sent.fileno(), sent.fileno()])
                with pytest.raises(ToolFailure, match="not a TCP connection"):
                    await receive_socket(ours)
        datagram.close()
        stream.close()
    assert not names & open_here()
