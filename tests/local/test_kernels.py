"""What runs code in a session: its parts, and what a session may do to them."""

from __future__ import annotations

import importlib.util
import json
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentbay.errors import InvalidInputError
from agentbay.local import _interpreters
from agentbay.local._errors import EngineError, ToolFailure
from agentbay.local._interpreters import Ended, Interpreter
from agentbay.local._sandbox import bwrap
from agentbay.local.code import run_code, run_streaming
from agentbay.local.guest.kernels.kernel import KernelError
from agentbay.local.guest.kernels.node import Node
from agentbay.local.sandbox import Isolation, Sandbox
from agentbay.protocol.code import CodeReply, Language, RunCode
from agentbay.protocol.code_stream import CodeEvent, StreamCode, StreamedRun, StreamEnd

from .sandboxes import guest_pid, names_in, processes_with, run, running, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap is for Linux")

OFFLINE = Isolation(network="none")
PRINTS = """
import os, time
for number in range(3):
    print(number, flush=True)
    while not os.path.exists(f"heard-{number}"):
        time.sleep(0.01)
"end"
"""


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncGenerator[Sandbox, None]:
    sandbox = await Sandbox.start(tmp_path / "session", "s-1", OFFLINE)
    yield sandbox
    await sandbox.close()


def home(sandbox: Sandbox) -> Path:
    """The home directory of the session, seen from outside."""
    return sandbox.directory / "root/home/wuying"


def steps(sandbox: Sandbox) -> Path:
    """What code writes for as long as it runs."""
    return home(sandbox) / "steps"


async def python(sandbox: Sandbox, code: str, limit: int = 60) -> CodeReply:
    return await run_code(sandbox, RunCode(code, Language.PYTHON, limit))


async def streamed(sandbox: Sandbox, code: str) -> list[CodeEvent | StreamEnd]:
    call = StreamCode(Language.PYTHON, 60, code)
    async with aclosing(run_streaming(sandbox, call)) as events:
        return [event async for event in events]


async def test_a_run_is_told_while_it_goes_on(sandbox: Sandbox) -> None:
    await python(sandbox, "1")
    call = StreamCode(Language.PYTHON, 30, PRINTS)
    told: list[CodeEvent | StreamEnd] = []
    async with aclosing(run_streaming(sandbox, call)) as events:
        async for event in events:
            told.append(event)
            if isinstance(event, CodeEvent) and event.kind == "stdout":
                (home(sandbox) / f"heard-{(event.chunk or '').strip()}").touch()

    *printed, result, end = told
    pieces = [event for event in printed if isinstance(event, CodeEvent)]
    assert {event.kind for event in pieces} == {"stdout"}
    assert "".join(event.chunk or "" for event in pieces) == "0\n1\n2\n"
    assert isinstance(result, CodeEvent)
    assert result.write()["result"] == {"isMainResult": True, "mime": {"text/plain": "'end'"}}
    assert isinstance(end, StreamEnd)
    assert (end.status, end.execution_error, end.execution_count) == ("finished", "", 2)


async def test_a_stream_tells_of_exceptions_and_of_values_that_are_too_large(
    sandbox: Sandbox,
) -> None:
    code = "display({'text/plain': 'big', 'text/html': 'x' * 2_000_000}, raw=True)\n1 / 0"
    shown, note, error, end = await streamed(sandbox, code)

    assert isinstance(shown, CodeEvent)
    assert shown.result is not None
    assert shown.result.formats() == ["text"]
    assert isinstance(note, CodeEvent)
    assert "too large" in (note.chunk or "")
    assert isinstance(error, CodeEvent)
    assert error.write()["error"]["code"] == "ZeroDivisionError"
    assert error.write()["error"]["message"] == "division by zero"
    assert isinstance(end, StreamEnd)
    assert end.status == "failed"
    assert end.execution_error == "ZeroDivisionError: division by zero"


async def test_a_stream_that_is_left_early_stops_its_code(sandbox: Sandbox) -> None:
    code = "import time; x = 1; print(x, flush=True); time.sleep(50); x = 2; print(x)"
    async with aclosing(run_streaming(sandbox, StreamCode(Language.PYTHON, 60, code))) as events:
        async for event in events:
            assert isinstance(event, CodeEvent)
            break

    reply = await python(sandbox, "x")

    assert [result.text for result in reply.results] == ["1"]
    assert reply.logs.stdout == []


async def test_a_stream_refuses_what_is_no_run(sandbox: Sandbox) -> None:
    with pytest.raises(InvalidInputError):
        await streamed(sandbox, "  ")


async def test_two_interpreters_of_a_session_share_nothing_but_the_session(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    other = await Sandbox.start(tmp_path / "other", "s-2", OFFLINE)
    try:
        await python(sandbox, "1")
        listing = "ls -d /tmp/kernel-*; cat /tmp/kernel-*/connection.json"
        assert "ipc" in (await run(sandbox, listing)).stdout
        assert (await run(other, listing)).stdout == ""
    finally:
        await other.close()


async def test_interpreters_end_with_their_session(tmp_path: Path) -> None:
    sandbox = await Sandbox.start(tmp_path / "session", "s-1", OFFLINE)
    try:
        await python(sandbox, "import subprocess; p = subprocess.Popen(['sleep', '31415.9'])")
        await running("31415.9")
        guest = guest_pid(sandbox)
    finally:
        await sandbox.close()

    assert processes_with("31415.9") == []
    assert not await anyio.Path(f"/proc/{guest}").exists()
    with pytest.raises(EngineError) as caught:
        await python(sandbox, "1")
    assert caught.value.code == "SessionLost"


WAITS = """
import os, time
while not os.path.exists("go"):
    with open("steps", "a") as steps:
        print("x", file=steps)
    time.sleep(0.01)
"awake"
"""


async def test_code_that_is_frozen_goes_on_when_its_session_does(sandbox: Sandbox) -> None:
    async def while_frozen(replies: list[CodeReply]) -> None:
        (home(sandbox) / "go").touch()
        await anyio.sleep(0.5)
        assert replies == []

    reply = await _run_and_frozen(sandbox, 60, while_frozen)

    assert [result.text for result in reply.results] == ["'awake'"]
    assert reply.error is None
    assert (await python(sandbox, "x")).results[0].text == "1"


async def test_code_whose_time_ends_while_it_is_frozen_keeps_the_state(sandbox: Sandbox) -> None:
    async def while_frozen(_: list[CodeReply]) -> None:
        before = steps(sandbox).stat().st_size
        await anyio.sleep(2.2)
        assert steps(sandbox).stat().st_size == before

    reply = await _run_and_frozen(sandbox, 2, while_frozen)

    assert reply.results == []
    assert "keeps its state" in str(reply.error)
    assert (await python(sandbox, "x")).results[0].text == "1"


async def _run_and_frozen(
    sandbox: Sandbox, limit: int, while_frozen: Callable[[list[CodeReply]], Awaitable[None]]
) -> CodeReply:
    """Freeze the session while code waits for a file; the reply to the code."""
    await python(sandbox, "x = 1")
    replies: list[CodeReply] = []

    async def wait() -> None:
        replies.append(await python(sandbox, WAITS, limit))

    async def began() -> bool:
        return steps(sandbox).exists()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await until(began)
        await sandbox.call("freeze", {})
        await while_frozen(replies)
        await sandbox.call("thaw", {})
    (reply,) = replies
    return reply


async def test_an_interpreter_whose_own_process_is_ended_begins_anew(sandbox: Sandbox) -> None:
    await python(sandbox, "x = 1")
    parent = await python(sandbox, "import os; os.getppid()")
    victim = parent.results[0].text
    with pytest.raises(ToolFailure, match="state is lost"):
        await python(sandbox, f"os.kill({victim}, 9); import time; time.sleep(60)")

    assert str((await python(sandbox, "x")).error).startswith("NameError")


async def test_the_kernel_of_an_interpreter_ends_with_it(sandbox: Sandbox) -> None:
    await python(sandbox, "1")
    await sandbox.interpreters["python"].close()

    async def gone() -> bool:
        return (await run(sandbox, "ls /tmp")).stdout == ""

    await until(gone)
    listing = "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"
    assert "ipykernel" not in (await run(sandbox, listing)).stdout


async def test_a_session_without_isolation_runs_code_in_the_environment_of_the_engine(
    tmp_path: Path,
) -> None:
    sandbox = await Sandbox.start(tmp_path / "session", "s-1", Isolation("none"))
    try:
        before = names_in(Path("/tmp"))
        reply = await python(sandbox, "import sys, os; print(sys.executable, os.getcwd())")
        assert [name for name in names_in(Path("/tmp")) if "kernel-" in name] == [
            name for name in before if "kernel-" in name
        ]
        assert reply.logs.stdout == [f"{sys.executable} {tmp_path}/session/root/home/wuying\n"]
    finally:
        await sandbox.close()


async def test_packages_of_the_engine_can_be_imported_and_not_changed(sandbox: Sandbox) -> None:
    code = "import ipykernel, os; os.access(os.path.dirname(ipykernel.__file__), os.W_OK)"
    assert (await python(sandbox, code)).results[0].text == "False"
    code = "import sys, subprocess; subprocess.run([sys.executable, '-c', 'import zmq']).returncode"
    assert (await python(sandbox, code)).results[0].text == "0"


async def test_without_jupyter_python_is_refused_with_the_remedy(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_spec(_: str) -> None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    with pytest.raises(ToolFailure, match=r"pip install .agentbay-sdk\[local\]"):
        await python(sandbox, "1")
    assert bwrap.jupyter_packages() is None


def test_without_node_javascript_is_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KernelError, match="apt-get install nodejs"):
        Node().start(5)


def test_node_outside_of_the_system_is_bound_as_one_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "node"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert bwrap._program_binds()["/run/agentbay/node"] == program


class Peer:
    """Stands in the place of the process in the session, which may be anything."""

    def __init__(self, *lines: bytes) -> None:
        self._lines = lines
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)

    async def open(self, *_: object, **__: object) -> socket.socket:
        self.theirs.sendall(b"".join(self._lines))
        return self.ours

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


def line(**message: Any) -> bytes:
    return json.dumps({"run": 1, **message}).encode() + b"\n"


async def answered(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, *lines: bytes) -> list[Any]:
    """What a run tells when the process says these lines, and hangs up."""
    peer = Peer(*lines)
    monkeypatch.setattr(sandbox, "open", peer.open)
    interpreter = Interpreter(Language.PYTHON)
    try:
        peer.theirs.shutdown(socket.SHUT_WR) if not lines else None
        call = RunCode("1", Language.PYTHON, 1)
        async with aclosing(interpreter.run(sandbox, call)) as events:
            return [event async for event in events]
    finally:
        await interpreter.close()
        peer.close()


@pytest.mark.parametrize(
    "said",
    [
        b"no json\n",
        b"[]\n",
        b"{}\n",
        b"\xff\xfe\n",
        b'{"run": 1, "event": "end", "time": "long"}\n',
        b'{"run": 1, "event": "end", "error": [1]}\n',
        b"[" * 100_000 + b"\n",
    ],
)
async def test_nonsense_from_the_session_is_a_failure_of_the_tool(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    with pytest.raises(ToolFailure, match="not valid"):
        await answered(sandbox, monkeypatch, said)


async def test_a_process_that_says_too_much_is_given_up(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_interpreters, "_MOST", 300)
    with pytest.raises(ToolFailure, match="not valid"):
        await answered(sandbox, monkeypatch, *[line(event="stdout", text="x" * 100)] * 3)
    monkeypatch.setattr(_interpreters, "_LONGEST_LINE", 50)
    with pytest.raises(ToolFailure, match="state is lost"):
        await answered(sandbox, monkeypatch, b"x" * 100)


async def test_a_process_that_says_nothing_is_waited_for_with_a_limit(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_interpreters, "_MARGIN", -25.0)
    with pytest.raises(ToolFailure, match="did not answer in time") as caught:
        await answered(sandbox, monkeypatch, line(event="unknown"))
    assert caught.value.number == -1


async def test_what_belongs_to_an_earlier_run_is_left_out(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = line(run=0, event="stdout", text="late")
    end = line(event="end", error=None, count=3, time=0.5)

    events = await answered(sandbox, monkeypatch, late, line(event="begin"), end)

    assert events == [Ended(None, 3, 0.5)]


async def test_a_value_that_makes_no_sense_is_named_by_its_formats(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = StreamedRun()
    value = line(event="result", main=True, mime={"application/vnd.vegalite.v4+json": "x"})
    for event in await answered(sandbox, monkeypatch, value, line(event="end")):
        if isinstance(event, CodeEvent):
            run.add(event)

    assert [(item.text, item.is_main_result) for item in run.results] == [
        ("[application/vnd.vegalite.v4+json]", True)
    ]
