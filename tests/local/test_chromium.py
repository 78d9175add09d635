"""Chromium in a sandbox: found, spoken to, and gone with whoever wanted it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from agentbay.local._chromium.cdp import BrowserLost, Cdp, CdpRefused
from agentbay.local._chromium.process import Chromium, command_line
from agentbay.local._chromium.program import SETTING, find_chromium, required_chromium, version_of
from agentbay.local._errors import EngineError, ToolFailure
from agentbay.local.engine import EngineOptions
from agentbay.local.sandbox import Isolation, Sandbox

from ..contract.devtools import needs_chromium
from .engines import Requests, engine_requests
from .sandboxes import run, until

PROGRAM = """
import sys
from agentbay import AgentBay, CreateSessionParams
bay = AgentBay(endpoint="local")
session = bay.create(CreateSessionParams(image_id="browser_latest")).unwrap()
assert session.browser.initialize(), session.browser.error
print(session.browser.get_endpoint_url(), flush=True)
{rest}
"""

OPTION = '{"extensionPath": "/tmp/extensions/"}'


# -- the program -----------------------------------------------------------------------


def test_a_setting_names_the_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv(SETTING, str(program))

    assert find_chromium() == program
    with pytest.raises(EngineError, match="sessions do not see") as caught:
        required_chromium()
    assert caught.value.code == "BrowserUnavailable"
    with pytest.raises(EngineError, match="tells no version"):
        version_of(program)


def test_a_setting_that_names_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTING, "/nowhere/chromium")

    assert find_chromium() is None
    with pytest.raises(EngineError, match=f"{SETTING} is /nowhere/chromium"):
        required_chromium()


def test_lists_in_the_command_line_add_up() -> None:
    given = ["--disable-features=Mine", "--disable-features=Yours", "--mute-audio"]

    line = command_line(Path("/usr/bin/x"), given)

    features = [argument for argument in line if argument.startswith("--disable-features=")]
    assert len(features) == 1
    assert features[0].endswith("Mine,Yours")
    assert "MediaRouter" in features[0]


@needs_chromium
def test_the_program_tells_its_version() -> None:
    assert version_of(required_chromium()).split(".")[0].isdigit()


# -- commands --------------------------------------------------------------------------


@asynccontextmanager
async def _browser(directory: Path) -> AsyncGenerator[tuple[Sandbox, Chromium], None]:
    sandbox = await Sandbox.start(directory, "session-browser", Isolation())
    try:
        browser = await Chromium.start(sandbox, command_line(required_chromium(), []))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(browser.watch)
            yield sandbox, browser
            browser.kill()
    finally:
        await sandbox.close()


@needs_chromium
async def test_a_browser_answers_refuses_tells_and_ends(tmp_path: Path) -> None:
    async with (
        _browser(tmp_path / "session") as (sandbox, browser),
        Cdp.open(sandbox, browser.address) as cdp,
    ):
        target = (await cdp.send("Target.createTarget", {"url": "about:blank"}))["targetId"]
        page = await cdp.attach(target)
        await _check_answers(cdp, page)
        with pytest.raises(CdpRefused, match=r"refused Nothing\.here") as refused:
            await cdp.send("Nothing.here")
        assert refused.value.reason
        with pytest.raises(ToolFailure, match=r"did not answer Runtime\.evaluate within 0\.2"):
            await _evaluate(cdp, page, "new Promise(() => {})", limit=0.2)

        await _check_events(cdp, page)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_lost, cdp, page)
            await cdp.send("Browser.getVersion")
            await browser.close()
        with pytest.raises(BrowserLost):
            await cdp.send("Browser.getVersion")
        assert browser.ended.is_set()
        assert "exit code 0" in browser.reason
        profile = (await run(sandbox, "ls -A /tmp/agentbay_browser")).stdout
        assert "Default" in profile
        assert "Singleton" not in profile
        with pytest.raises(BrowserLost):
            async with Cdp.open(sandbox, browser.address):
                pass


async def _check_answers(cdp: Cdp, page: str) -> None:
    """Each of many tasks that wait at once gets its own answer, also when one is cancelled."""
    answers: dict[int, object] = {}

    async def ask(number: int) -> None:
        # The first ones take longest, and read for the others.
        delay = 200 if number < 3 else 0
        expression = f"new Promise(done => setTimeout(() => done({number}), {delay}))"
        answers[number] = (await _evaluate(cdp, page, expression))["result"]["value"]

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancelled, cdp, page)
        for number in range(40):
            tasks.start_soon(ask, number)
    assert answers == {number: number for number in range(40)}


async def _cancelled(cdp: Cdp, page: str) -> None:
    with anyio.move_on_after(0.05):
        await _evaluate(cdp, page, "new Promise(() => {})")


async def _check_events(cdp: Cdp, page: str) -> None:
    with cdp.events("Page.loadEventFired", session_id=page) as loaded:
        await cdp.send("Page.enable", session_id=page)
        other = await cdp.attach((await cdp.send("Target.createTarget", {"url": ""}))["targetId"])
        await cdp.send("Page.enable", session_id=other)
        with cdp.events("Page.loadEventFired", session_id=other) as others:
            await cdp.send("Page.navigate", {"url": "data:text/html,bye"}, session_id=other)
            await others.next(20)
        await cdp.send("Page.navigate", {"url": "data:text/html,hello"}, session_id=page)
        event = await loaded.next(20)
        assert (event.method, event.session_id) == ("Page.loadEventFired", page)
        with pytest.raises(ToolFailure, match=r"told of no Page\.loadEventFired within 0\.1"):
            await loaded.next(0.1)


async def _evaluate(
    cdp: Cdp, page: str, expression: str, limit: float = 20.0
) -> dict[str, dict[str, object]]:
    params = {"expression": expression, "awaitPromise": True, "returnByValue": True}
    return await cdp.send("Runtime.evaluate", params, session_id=page, limit=limit)


async def _lost(cdp: Cdp, page: str) -> None:
    """A wait that begins while the browser is there, and ends with it."""
    with pytest.raises(BrowserLost):
        await _evaluate(cdp, page, "new Promise(() => {})", limit=60)


@needs_chromium
async def test_a_program_that_is_no_browser_is_said(tmp_path: Path) -> None:
    sandbox = await Sandbox.start(tmp_path / "session", "session-none", Isolation())
    try:
        with pytest.raises(EngineError, match="exit code 3: no luck") as caught:
            await Chromium.start(sandbox, ["/bin/sh", "-c", "echo no luck >&2; exit 3"])
        assert caught.value.code == "BrowserFailed"
        with pytest.raises(EngineError, match="could not be started"):
            await Chromium.start(sandbox, ["/nowhere/chromium"])
    finally:
        await sandbox.close()


# Its first thread ends at once in a second process, where another one has a file to write.
WRITES_LATE = """
import ctypes, os, platform, sys, threading, time

def write():
    time.sleep(3.5)
    open("/tmp/late", "w").close()
    os._exit(0)

if (pid := os.fork()) == 0:
    threading.Thread(target=write).start()
    ctypes.CDLL(None).syscall({"x86_64": 60}.get(platform.machine(), 93), 0)
print("DevTools listening on ws://127.0.0.1:9/devtools/browser/1", file=sys.stderr, flush=True)
while " Z " not in open(f"/proc/{pid}/stat").read():
    time.sleep(0.01)
"""


async def test_a_browser_has_ended_with_the_last_thread_of_its_processes(tmp_path: Path) -> None:
    sandbox = await Sandbox.start(tmp_path / "session", "session-late", Isolation())
    try:
        browser = await Chromium.start(sandbox, ["python3", "-c", WRITES_LATE])
        await browser.watch()

        assert browser.ended.is_set()
        assert "exit code 0" in browser.reason
        assert (await run(sandbox, "ls /tmp/late")).stdout == "/tmp/late\n"
    finally:
        await sandbox.close()


@needs_chromium
async def test_a_start_that_is_cancelled_leaves_no_browser(tmp_path: Path) -> None:
    sandbox = await Sandbox.start(tmp_path / "session", "session-cancelled", Isolation())
    try:
        # Nobody hears where it listens, so that its start goes on until it is cancelled.
        silent = ["sh", "-c", 'exec "$@" 2> /dev/null', "sh"]
        command = [*silent, *command_line(required_chromium(), [])]

        async def shown() -> str:
            return (await run(sandbox, "ps -eo args")).stdout

        async def begun() -> bool:
            return "--type=renderer" in await shown()

        async def gone() -> bool:
            return "chrom" not in await shown()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Chromium.start, sandbox, command)
            await until(begun)
            tasks.cancel_scope.cancel()

        await until(gone)
    finally:
        await sandbox.close()


@needs_chromium
@pytest.mark.slow
async def test_what_contexts_hold_for_a_browser_is_there_before_it(tmp_path: Path) -> None:
    async with engine_requests(EngineOptions(tmp_path)) as request:
        context = (await request.data("GetContext", Name="extensions", AllowCreate="true"))["Id"]
        bound = json.dumps([{"ContextId": context, "Path": "/tmp/extensions"}])
        create = {"ImageId": "browser_latest", "PersistenceDataList": bound}
        first = (await request.data("CreateMcpSession", **create))["SessionId"]
        # The names decide: the large file comes before the extension.
        await _shell(
            request,
            first,
            "mkdir -p /tmp/extensions/z && cd /tmp/extensions && head -c 60000000 /dev/urandom > a"
            """ && echo '{"manifest_version": 3, "name": "z", "version": "1"}' > z/manifest.json""",
        )
        await request.data("ReleaseMcpSession", SessionId=first)

        second = (await request.data("CreateMcpSession", **create))["SessionId"]
        await request.data("InitBrowser", SessionId=second, BrowserOption=OPTION)

        arguments = await _shell(request, second, "tr '\\0' ' ' < /proc/$(pgrep -o chrom)/cmdline")
        assert "--load-extension=/tmp/extensions/z" in arguments


async def _shell(request: Requests, session_id: str, command: str) -> str:
    args = json.dumps({"command": command, "timeout_ms": 60_000})
    call = {"SessionId": session_id, "Name": "shell", "Args": args}
    return json.dumps(await request.data("CallMcpTool", **call))


# -- ends ------------------------------------------------------------------------------


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def begin(rest: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(rest=rest)],
            env={**os.environ, "AGENTBAY_LOCAL_HOME": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def _browsers(home: Path) -> list[str]:
    """Processes of browsers in sessions below a home directory, by their root directory."""
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            mounts = (path / "mountinfo").read_text()
        except OSError:
            continue
        if "chrom" in command and str(home) in mounts.split("\n", 1)[0]:
            found.append(command[:200])
    return found


def _gone(home: Path, limit: float = 40.0) -> list[str]:
    deadline = time.monotonic() + limit
    while (left := _browsers(home)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


@needs_chromium
@pytest.mark.timeout(150)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_browser_outlives_the_process_of_its_user(
    start: Callable[[str], subprocess.Popen[str]], tmp_path: Path, number: signal.Signals
) -> None:
    process = start("sys.stdin.read() or __import__('time').sleep(600)")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ws://"), process.communicate()[1]
    assert _browsers(tmp_path)

    process.send_signal(number)
    process.wait(40)

    assert _gone(tmp_path) == []


@needs_chromium
@pytest.mark.timeout(150)
def test_no_browser_is_left_when_a_program_just_ends(
    start: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = start("")

    _, errors = process.communicate(timeout=100)

    assert process.returncode == 0, errors
    assert _gone(tmp_path) == []
    assert not list(tmp_path.glob("engines/*/session-*"))
