"""What a sandbox reaches through its outbound network, and how that network ends."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.abc
import attrs
import pytest

from agentbay.local._errors import EngineError
from agentbay.local._sandbox import network
from agentbay.local._sandbox.network import Helper, attach, find_helper, missing, resolv_conf
from agentbay.local.sandbox import Isolation, Sandbox

from .sandboxes import run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux's")

# Run in the sandbox: says for each target what came of it. The last one is tried after the others.
# How long they may take is the last argument; the last one always gets half a minute.
PROBE = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def tcp(host, port, limit):
    with socket.create_connection((host, port), limit) as connection:
        return connection.recv(16).decode()
def udp(host, port, limit):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.settimeout(limit)
        connection.sendto(b"ping", (host, port))
        return connection.recv(16).decode()
def visit(target, limit):
    kind, host, port = target
    try:
        return {"tcp": tcp, "udp": udp}[kind](host, port, limit)
    except OSError as exc:
        return type(exc).__name__
*others, last = json.loads(sys.argv[1])
with ThreadPoolExecutor(20) as pool:
    results = list(pool.map(visit, others, [float(sys.argv[2])] * len(others)))
print(*results, visit(last, 30), sep="\\n")
"""


@pytest.fixture(autouse=True)
def fresh_search() -> Iterator[None]:
    find_helper.cache_clear()
    yield
    find_helper.cache_clear()


@pytest.fixture(params=["slirp4netns", "pasta"])
def helper(request: pytest.FixtureRequest) -> Helper:
    """Each helper that works for this user."""
    kind: Literal["slirp4netns", "pasta"] = request.param
    path = shutil.which(kind)
    if path is None:
        pytest.skip(f"{kind} is missing: apt-get install passt slirp4netns")
    if find_helper() is None:
        pytest.skip(missing())
    if kind == "pasta" and os.geteuid() == 0:
        pytest.skip("pasta does not work for root: run as an ordinary user")
    return Helper(kind, path)


@attrs.frozen
class Held:
    """A sandbox that waits before it runs its program."""

    pid: int
    _process: anyio.abc.Process
    _gate: int

    async def run(self) -> list[str]:
        """Let it go on, and return the lines that it wrote."""
        assert self._process.stdout is not None
        os.write(self._gate, b"x")
        with anyio.fail_after(70):
            output = b"".join([chunk async for chunk in self._process.stdout])
        return output.decode().splitlines()


@asynccontextmanager
async def held_sandbox(*targets: tuple[str, str, int], limit: float = 30.0) -> AsyncGenerator[Held]:
    (status, status_end), (gate_end, gate) = os.pipe(), os.pipe()
    try:
        command = bwrap_command(json.dumps(targets), limit, status=status_end, gate=gate_end)
        process = await anyio.open_process(command, pass_fds=(status_end, gate_end), stderr=None)
        async with process:
            try:
                yield Held(await child_pid(status), process, gate)
            finally:
                if process.returncode is None:
                    process.kill()
    finally:
        for end in (status, status_end, gate_end, gate):
            os.close(end)


async def child_pid(status: int) -> int:
    line = b""
    with anyio.fail_after(30):
        while not line.endswith(b"\n"):
            await anyio.wait_readable(status)
            line += os.read(status, 1000)
    pid: int = json.loads(line)["child-pid"]
    return pid


def bwrap_command(targets: str, limit: float, *, status: int, gate: int) -> list[str]:
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        pytest.skip("bubblewrap is missing: apt-get install bubblewrap")
    command = [bwrap, "--json-status-fd", str(status), "--block-fd", str(gate), "--cap-drop", "ALL"]
    if os.geteuid() != 0:
        command += ["--unshare-user", "--disable-userns", "--uid", "65536", "--gid", "65536"]
    command += ["--unshare-pid", "--unshare-net", "--die-with-parent", "--as-pid-1"]
    command += ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]
    return [*command, sys.executable, "-I", "-S", "-c", PROBE, targets, str(limit)]


async def probe(helper: Helper, *targets: tuple[str, str, int], limit: float = 30.0) -> list[str]:
    async with (
        held_sandbox(*targets, limit=limit) as sandbox,
        await attach(sandbox.pid, helper=helper),
    ):
        return await sandbox.run()


class Greeter:
    """A TCP and a UDP server of the host on one port number, which count their visitors."""

    def __init__(self, address: str) -> None:
        self.visitors = 0
        self._tcp = socket.create_server((address, 0))
        self.port: int = self._tcp.getsockname()[1]
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind((address, self.port))
        self._threads = [threading.Thread(target=work) for work in (self._accept, self._answer)]

    def __enter__(self) -> Greeter:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Each of these ends one thread: a listener that is shut, and an empty message.
        self._tcp.shutdown(socket.SHUT_RDWR)
        self._udp.sendto(b"", self._udp.getsockname())
        for thread in self._threads:
            thread.join(5)
        self._tcp.close()
        self._udp.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            self.visitors += 1
            with connection:
                connection.sendall(b"hello")

    def _answer(self) -> None:
        while True:
            data, sender = self._udp.recvfrom(16)
            if not data:
                return
            self.visitors += 1
            self._udp.sendto(b"hello", sender)


def outer_address() -> str:
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            # Nothing is sent: connecting a UDP socket only chooses its own address.
            asking.connect(("198.51.100.1", 9))
        except OSError:
            pytest.skip("needs a network: connect this machine to one")
        address: str = asking.getsockname()[0]
    return address


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(30):
        while not condition():  # noqa: ASYNC110 - processes tell nobody when they end
            await anyio.sleep(0.01)


def descendants(pid: int) -> set[int]:
    children: dict[int, set[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(parent, set()).add(int(stat.parent.name))
    found, new = set[int](), {pid}
    while new:
        new = set[int]().union(*(children.get(each, set()) for each in new)) - found
        found |= new
    return found


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    # An orphan that ended may wait for the machine's first process to notice.
    return state not in "ZX"


def fake_helper(directory: Path, text: str) -> Helper:
    path = directory / "helper"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return Helper("slirp4netns", str(path))


async def test_the_host_and_through_it_the_network_can_be_reached(helper: Helper) -> None:
    address = outer_address()
    with Greeter(address) as server:
        targets = (("tcp", address, server.port), ("udp", address, server.port))
        assert await probe(helper, *targets) == ["hello", "hello"]
        assert server.visitors == 2


async def test_without_a_helper_nothing_can_be_reached() -> None:
    address = outer_address()
    with Greeter(address) as server:
        async with held_sandbox(("tcp", address, server.port)) as sandbox:
            assert await sandbox.run() == ["OSError"]
        assert server.visitors == 0


async def test_the_loopback_of_the_host_stays_out_of_reach(helper: Helper) -> None:
    outer = outer_address()
    ways = ["127.0.0.1", "127.0.0.2", "10.0.2.2", "10.0.2.3", "10.0.2.100", "10.0.2.255", outer]
    with Greeter("127.0.0.1") as private, Greeter(outer) as public:
        targets = [(kind, way, private.port) for way in ways for kind in ("tcp", "udp")]
        # The last one is answered: what was sent before it had its time to arrive.
        results = await probe(helper, *targets, ("udp", outer, public.port), limit=1)
        assert results.pop() == "hello"
        assert "hello" not in results
        assert private.visitors == 0
        with socket.create_connection(("127.0.0.1", private.port), 30) as connection:
            assert connection.recv(16) == b"hello"


async def test_two_sandboxes_have_networks_of_their_own(helper: Helper) -> None:
    address = outer_address()
    with Greeter(address) as server:
        target = ("tcp", address, server.port)
        async with (
            held_sandbox(target) as first,
            held_sandbox(target) as second,
            await attach(first.pid, helper=helper),
            await attach(second.pid, helper=helper),
        ):
            assert await first.run() == await second.run() == ["hello"]


async def test_a_session_has_its_network_when_its_guest_answers(
    helper: Helper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "find_helper", lambda: helper)
    sandbox = await Sandbox.start(tmp_path / "session", "s-1", Isolation())
    try:
        assert "tap0" in (await run(sandbox, "cat /proc/net/route")).stdout
    finally:
        await sandbox.close()


async def test_closing_the_helper_leaves_no_process(helper: Helper) -> None:
    async with held_sandbox() as sandbox:
        before = descendants(os.getpid())
        process = await attach(sandbox.pid, helper=helper)
        started = descendants(os.getpid()) - before
        assert started
        with anyio.fail_after(30):
            await process.aclose()
        await until(lambda: not any(map(running, started)))


ENGINE = """
import os, sys, anyio
from agentbay.local._sandbox.network import Helper, attach
async def main():
    await attach(int(sys.argv[1]), helper=Helper(*sys.argv[2:]))
    print("ready", end="", flush=True)
    await anyio.sleep(60)
anyio.run(main, backend=os.environ["BACKEND"])
"""


async def test_a_killed_engine_leaves_no_process(helper: Helper, anyio_backend_name: str) -> None:
    async with held_sandbox() as sandbox:
        command = [sys.executable, "-c", ENGINE, str(sandbox.pid), helper.kind, helper.path]
        backend = {"BACKEND": anyio_backend_name}
        async with await anyio.open_process(command, env=os.environ | backend) as engine:
            assert engine.stdout is not None
            with anyio.fail_after(40):
                assert await engine.stdout.receive() == b"ready"
            helpers = descendants(engine.pid)
            engine.kill()
        assert helpers
        await until(lambda: not any(map(running, helpers)))


async def test_a_helper_that_fails_is_an_error_with_its_words(tmp_path: Path) -> None:
    broken = fake_helper(tmp_path, "echo cannot create tap device >&2; exit 1")
    with pytest.raises(EngineError, match="cannot create tap device") as error:
        await attach(os.getpid(), helper=broken)
    assert error.value.code == "NetworkUnavailable"


async def test_a_helper_that_is_never_ready_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "_READY_LIMIT", 0.2)
    before = descendants(os.getpid())
    with pytest.raises(EngineError, match="not ready"):
        await attach(os.getpid(), helper=fake_helper(tmp_path, "exec sleep 60"))
    assert descendants(os.getpid()) <= before


async def test_cancelling_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "_READY_LIMIT", 60)
    before = descendants(os.getpid())
    mark = tmp_path / "started"
    stuck = fake_helper(tmp_path, f"touch {mark}; exec sleep 60")
    cancelled = 0.0
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: attach(os.getpid(), helper=stuck))
        await until(mark.exists)
        cancelled = time.monotonic()
        group.cancel_scope.cancel()
    assert time.monotonic() - cancelled < 30
    # Cancelled while it was being started, it is killed at once and collected a moment later.
    await until(lambda: descendants(os.getpid()) <= before)


async def test_a_session_that_is_gone_is_an_error(tmp_path: Path) -> None:
    ended = await anyio.open_process(["true"])
    await ended.aclose()
    with pytest.raises(EngineError, match="the session"):
        await attach(ended.pid, helper=fake_helper(tmp_path, "exit 0"))


def test_without_a_program_there_is_no_helper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_helper() is None
    assert "network='host'" in missing()


def test_without_the_device_there_is_no_helper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = str(tmp_path / "tun")
    monkeypatch.setattr(network, "_TUN", device)
    assert find_helper() is None
    assert device in missing()


def test_the_name_server_is_the_helpers() -> None:
    for kind in ("slirp4netns", "pasta"):
        fields: dict[str, Any] = {"kind": kind, "path": f"/usr/bin/{kind}"}
        assert resolv_conf(Helper(**fields)) == "nameserver 10.0.2.3\n"
    assert "nameserver" not in resolv_conf(None)
