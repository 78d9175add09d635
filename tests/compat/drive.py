"""Drive an engine with the vendor's SDK, unchanged; run by the Python that it is installed in.

    AGENTBAY_ENDPOINT=http://127.0.0.1:8765 AGENTBAY_API_KEY=... python drive.py

Prints a line a step and a total; the exit code is the number of steps that failed. The blocking
client takes every step, the async one those that differ in how they travel.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
import traceback
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("AGENTBAY_LOG_FILE", os.devnull)
os.environ.setdefault("AGENTBAY_LOG_LEVEL", "CRITICAL")

import websockets.sync.client

import agentbay
from agentbay import (
    AgentBay,
    AsyncAgentBay,
    BrowserContext,
    BrowserOption,
    BrowserViewport,
    ContextSync,
    CreateSessionParams,
    SyncPolicy,
)

STEPS: list[tuple[str, Callable[[Any], None]]] = []
FIVE_MB = 5 * 1024 * 1024


class State:
    """What the steps hand on to each other."""

    bay: Any
    session: Any
    context: Any
    directory: Path


def step(func: Callable[[Any], None]) -> Callable[[Any], None]:
    STEPS.append((func.__name__.replace("_", " "), func))
    return func


def good(result: Any) -> Any:
    """A result that says success."""
    assert result.success, getattr(result, "error_message", result)
    return result


def until(condition: Callable[[], Any], what: str, limit: float = 20.0) -> Any:
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what} within {limit:g} s")


@step
def create(s: State) -> None:
    s.bay = AgentBay()
    params = CreateSessionParams(labels={"suite": "compat", "id": uuid.uuid4().hex})
    s.session = good(s.bay.create(params)).session
    assert s.session.session_id


@step
def info(s: State) -> None:
    data = good(s.session.info()).data
    assert data.session_id == s.session.session_id
    assert data.resource_url.startswith("http")


@step
def get(s: State) -> None:
    again = good(s.bay.get(s.session.session_id)).session
    assert again.session_id == s.session.session_id


@step
def a_session_that_is_not_there(s: State) -> None:
    result = s.bay.get("session-nobody-made-this")
    assert not result.success
    assert result.error_message


@step
def get_status(s: State) -> None:
    assert good(s.session.get_status()).status == "RUNNING"


@step
def labels(s: State) -> None:
    wanted = {"suite": "compat", "kind": uuid.uuid4().hex}
    good(s.session.set_labels(wanted))
    assert good(s.session.get_labels()).data == wanted
    found = good(s.bay.list(labels={"kind": wanted["kind"]}))
    assert [entry["sessionId"] for entry in found.session_ids] == [s.session.session_id]
    assert found.session_ids[0]["sessionStatus"] == "RUNNING"
    assert found.total_count == 1


@step
def list_pages(s: State) -> None:
    assert good(s.bay.list(limit=1)).max_results == 1
    assert not s.bay.list(page=999).success
    assert good(s.bay.list(labels={"kind": "nobody"})).session_ids == []


@step
def keep_alive(s: State) -> None:
    good(s.session.keep_alive())


@step
def command(s: State) -> None:
    result = good(s.session.command.execute_command("echo out; echo err >&2"))
    assert (result.exit_code, result.stdout, result.stderr) == (0, "out\n", "err\n")


@step
def command_that_fails(s: State) -> None:
    result = s.session.command.run("echo no >&2; exit 7")
    assert (result.success, result.exit_code, result.stderr) == (False, 7, "no\n")


@step
def command_with_directory_and_variables(s: State) -> None:
    text = 'pwd; echo "$GREETING"'
    result = good(s.session.command.run(text, cwd="/tmp", envs={"GREETING": "hei"}))
    assert result.stdout == "/tmp\nhei\n"


@step
def command_over_its_time(s: State) -> None:
    assert not s.session.command.run("sleep 20", timeout_ms=300).success


@step
def command_in_the_background(s: State) -> None:
    started = time.monotonic()
    good(s.session.command.run("sleep 30 & echo $! > /tmp/background"))
    assert time.monotonic() - started < 10
    good(s.session.command.run("kill -0 $(cat /tmp/background)"))


@step
def env(s: State) -> None:
    good(s.session.env.set({"COLOUR": "grønn"}))
    assert good(s.session.env.get(["COLOUR"])).envs == {"COLOUR": "grønn"}
    assert s.session.command.run('echo "$COLOUR"').stdout == "grønn\n"


@step
def code(s: State) -> None:
    good(s.session.code.run_code("x = 20", "python"))
    result = good(s.session.code.run_code("print('hi')\nx + 22", "python"))
    assert result.logs.stdout == ["hi\n"]
    assert result.result.strip() == "42"


@step
def code_that_fails(s: State) -> None:
    result = s.session.code.run_code("1 / 0", "python")
    assert not result.success
    assert result.error is not None
    assert "ZeroDivisionError" in str(result.error.value) + str(result.error.name)


@step
def code_with_rich_results(s: State) -> None:
    text = "from IPython.display import HTML, display\ndisplay(HTML('<b>x</b>'))"
    result = good(s.session.code.run_code(text, "python"))
    assert any(item.html == "<b>x</b>" for item in result.results)


@step
def code_in_javascript(s: State) -> None:
    good(s.session.code.run_code("var y = 20", "javascript"))
    result = good(s.session.code.run_code("console.log(y + 22)", "javascript"))
    assert "42" in "".join(result.logs.stdout) + result.result


@step
def code_streaming(s: State) -> None:
    chunks: list[str] = []
    errors: list[Any] = []
    text = "import time\nfor i in range(3):\n    print(i, flush=True); time.sleep(0.05)\n'end'"
    result = s.session.code.run_code(
        text, "python", stream_beta=True, on_stdout=chunks.append, on_error=errors.append
    )
    good(result)
    assert "".join(chunks) == "0\n1\n2\n"
    assert not errors
    assert result.result.strip("'") == "end"


@step
def code_streaming_that_fails(s: State) -> None:
    errors: list[Any] = []
    result = s.session.code.run_code("1 / 0", "python", stream_beta=True, on_error=errors.append)
    assert not result.success
    assert errors or result.error


@step
def files(s: State) -> None:
    fs = s.session.file_system
    good(fs.create_directory("/tmp/compat"))
    good(fs.write_file("/tmp/compat/a.txt", "første\nandre\n"))
    good(fs.write_file("/tmp/compat/a.txt", "tredje\n", mode="append"))
    assert good(fs.read_file("/tmp/compat/a.txt")).content == "første\nandre\ntredje\n"
    facts = good(fs.get_file_info("/tmp/compat/a.txt"))
    assert facts.size == len("første\nandre\ntredje\n".encode())
    assert [e.name for e in good(fs.list_directory("/tmp/compat")).entries] == ["a.txt"]
    many = good(fs.read_multiple_files(["/tmp/compat/a.txt"])).contents
    assert many["/tmp/compat/a.txt"].strip() == "første\nandre\ntredje"


@step
def files_edit_move_delete(s: State) -> None:
    fs = s.session.file_system
    good(fs.edit_file("/tmp/compat/a.txt", [{"oldText": "andre", "newText": "2"}]))
    good(fs.move_file("/tmp/compat/a.txt", "/tmp/compat/b.txt"))
    assert good(fs.read_file("/tmp/compat/b.txt")).content == "første\n2\ntredje\n"
    assert not fs.read_file("/tmp/compat/a.txt").success
    good(fs.delete_file("/tmp/compat/b.txt"))
    assert good(fs.list_directory("/tmp/compat")).entries == []


@step
def files_search(s: State) -> None:
    fs = s.session.file_system
    for name in ("one.py", "two.py", "three.txt"):
        good(fs.write_file(f"/tmp/compat/search/{name}", "x"))
    found = good(fs.search_files("/tmp/compat/search", "*.py")).matches
    assert sorted(found) == ["/tmp/compat/search/one.py", "/tmp/compat/search/two.py"]
    assert good(fs.search_files("/tmp/compat/search", "nothing")).matches == []


@step
def files_of_5_mb(s: State) -> None:
    fs = s.session.file_system
    text = "æ0123456789abcde" * (FIVE_MB // 17)
    good(fs.write_file("/tmp/compat/large", text))
    assert good(fs.read_file("/tmp/compat/large")).content == text


@step
def files_that_are_binary(s: State) -> None:
    good(s.session.command.run("printf '\\000\\377\\001' > /tmp/compat/binary"))
    result = good(s.session.file_system.read_file("/tmp/compat/binary", format="bytes"))
    assert result.content == b"\0\xff\1"


@step
def files_watch(s: State) -> None:
    fs = s.session.file_system
    seen: list[Any] = []
    good(fs.create_directory("/tmp/compat/watched"))
    watcher = fs.watch_directory("/tmp/compat/watched", seen.extend, interval=0.2)
    watcher.start()
    try:
        assert watcher.ready_event.wait(20)
        good(s.session.command.run("echo x > /tmp/compat/watched/new"))
        until(lambda: any(e.path.endswith("/new") for e in seen), "the watcher tells of the file")
    finally:
        watcher.stop_event.set()
        watcher.join(10)


@step
def upload_and_download(s: State) -> None:
    fs, source = s.session.file_system, s.directory / "up.bin"
    source.write_bytes(os.urandom(300_000))
    remote = f"{fs.get_file_transfer_context_path()}/up.bin"
    good(fs.upload_file(str(source), remote))
    size = s.session.command.run(f"wc -c < {remote}").stdout.strip()
    assert size == "300000"
    good(s.session.command.run(f"cp {remote} {remote}.copy"))
    target = s.directory / "down.bin"
    good(fs.download_file(f"{remote}.copy", str(target)))
    assert target.read_bytes() == source.read_bytes()


@step
def contexts(s: State) -> None:
    name = f"compat-{uuid.uuid4().hex}"
    s.context = good(s.bay.context.get(name, create=True)).context
    assert any(c.name == name for c in good(s.bay.context.list()).contexts)
    s.context.name = f"{name}-b"
    good(s.bay.context.update(s.context))
    assert good(s.bay.context.get(f"{name}-b")).context.id == s.context.id


@step
def contexts_outlive_sessions(s: State) -> None:
    sync = ContextSync.new(s.context.id, "/tmp/kept", SyncPolicy.default())
    params = CreateSessionParams(context_syncs=[sync])
    first = good(s.bay.create(params)).session
    good(first.file_system.write_file("/tmp/kept/note.txt", "remember"))
    good(s.bay.delete(first, sync_context=True))
    second = good(s.bay.create(params)).session
    try:
        assert good(second.file_system.read_file("/tmp/kept/note.txt")).content == "remember"
        statuses = good(second.context.info()).context_status_data
        assert [(d.context_id, d.status) for d in statuses] == [(s.context.id, "Success")]
    finally:
        good(second.delete())


@step
def files_of_contexts(s: State) -> None:
    service = s.bay.context
    url = good(service.get_file_upload_url(s.context.id, "/direct.txt")).url
    put = urllib.request.Request(url, b"directly", method="PUT")
    assert urllib.request.urlopen(put, timeout=20).status in (200, 201, 204)
    entries = good(service.list_files(s.context.id, "/")).entries
    assert {e.file_name for e in entries} >= {"direct.txt", "note.txt"}
    url = good(service.get_file_download_url(s.context.id, "/direct.txt")).url
    assert urllib.request.urlopen(url, timeout=20).read() == b"directly"
    good(service.delete_file(s.context.id, "/direct.txt"))


@step
def bind(s: State) -> None:
    good(s.session.context.bind(ContextSync(s.context.id, "/tmp/bound")))
    bindings = good(s.session.context.list_bindings()).bindings
    assert (s.context.id, "/tmp/bound") in [(b.context_id, b.path) for b in bindings]
    assert good(s.session.file_system.read_file("/tmp/bound/note.txt")).content == "remember"
    good(s.session.file_system.write_file("/tmp/bound/more.txt", "more"))
    good(s.session.context.sync(s.context.id, "/tmp/bound", mode="upload"))
    names = {e.file_name for e in good(s.bay.context.list_files(s.context.id, "/")).entries}
    assert "more.txt" in names


@step
def clear_and_delete_contexts(s: State) -> None:
    spare = good(s.bay.context.get(f"spare-{uuid.uuid4().hex}", create=True)).context
    good(s.bay.context.clear(spare.id))
    good(s.bay.context.delete(spare))
    assert not s.bay.context.get(context_id=spare.id).success


@step
def links(s: State) -> None:
    good(s.session.command.run("cd /tmp/compat && python3 -m http.server 30150 >/dev/null 2>&1 &"))
    url = good(s.session.get_link("https", 30150)).data
    until(lambda: b"search" in _page(url), "the server in the session answers")


def _page(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return bytes(answer.read())
    except OSError:
        return b""


@step
def tools(s: State) -> None:
    names = {tool.name for tool in s.session.list_mcp_tools().tools}
    assert {"shell", "read_file", "write_file", "run_code"} <= names
    result = good(s.session.call_mcp_tool("shell", {"command": "echo hi", "timeout_ms": 5000}))
    assert json.loads(result.data)["stdout"] == "hi\n"
    assert not s.session.call_mcp_tool("no_such_tool", {}).success


@step
def pty(s: State) -> None:
    seen = bytearray()
    handle = s.session.pty.create(cols=100, rows=30, on_data=seen.extend)
    handle.send_input(b"stty size; echo $((6*7))-$TERM\n")
    until(lambda: b"30 100" in seen and b"42-xterm-256color" in seen, "the terminal answers")
    handle.resize(120, 40)
    handle.send_input(b"stty size\n")
    until(lambda: b"40 120" in seen, "the terminal has its new size")
    assert handle.pty_session_id in [p.pty_session_id for p in s.session.pty.list()]
    handle.send_input(b"exit 3\n")
    assert handle.wait(timeout_s=20) == 3


@step
def git(s: State) -> None:
    repo = s.session.git
    path = "/tmp/compat/repo"
    repo.init(path, initial_branch="main")
    repo.configure_user(path, "Kari", "kari@example.com", scope="local")
    good(s.session.file_system.write_file(f"{path}/a.txt", "1"))
    assert not repo.status(path).is_clean
    repo.add(path)
    assert repo.commit(path, "first").commit_hash
    repo.create_branch(path, "feature")
    assert repo.list_branches(path).current == "feature"
    assert [entry.message for entry in repo.log(path).entries] == ["first"]
    cloned = repo.clone(path, path="/tmp/compat/clone")
    assert repo.status(cloned.path).is_clean


@step
def git_errors(s: State) -> None:
    try:
        s.session.git.status("/tmp")
    except agentbay.GitError:
        return
    raise AssertionError("no error outside of a repository")


@step
def metrics(s: State) -> None:
    found = good(s.session.get_metrics()).metrics
    assert found.cpu_count >= 1
    assert found.mem_total > 0
    assert found.disk_total > 0


@step
def pause_and_resume(s: State) -> None:
    good(s.session.command.run("(while :; do date +%s%N > /tmp/tick; sleep 0.05; done) &"))
    good(s.session.beta_pause(timeout=30, poll_interval=0.2))
    assert good(s.session.get_status()).status == "PAUSED"
    good(s.session.beta_resume(timeout=30, poll_interval=0.2))
    first = s.session.command.run("cat /tmp/tick").stdout
    until(lambda: s.session.command.run("cat /tmp/tick").stdout != first, "the program goes on")
    assert good(s.session.code.run_code("x", "python")).result.strip() == "20"


@step
def sessions_of_the_async_client(s: State) -> None:
    asyncio.run(_async_steps())


async def _async_steps() -> None:
    bay = AsyncAgentBay()
    session = good(await bay.create()).session
    try:
        assert good(await session.command.run("echo hi")).stdout == "hi\n"
        good(await session.file_system.write_file("/tmp/a", "æøå"))
        assert good(await session.file_system.read_file("/tmp/a")).content == "æøå"
        assert good(await session.code.run_code("6 * 7", "python")).result.strip() == "42"
        chunks: list[str] = []
        run = session.code.run_code
        good(await run("print(1)", "python", stream_beta=True, on_stdout=chunks.append))
        assert "".join(chunks) == "1\n"
        handle = await session.pty.create()
        await handle.send_input(b"exit 5\n")
        assert await handle.wait(timeout_s=20) == 5
    finally:
        good(await session.delete())


@step
def browser(s: State) -> None:
    session = good(s.bay.create(CreateSessionParams(image_id="browser_latest"))).session
    try:
        option = BrowserOption(use_stealth=True, viewport=BrowserViewport(1000, 700))
        assert session.browser.initialize(option)
        url = session.browser.get_endpoint_url()
        assert url == good(session.get_link()).data
        with websockets.sync.client.connect(url) as socket:
            socket.send(json.dumps({"id": 1, "method": "Browser.getVersion"}))
            answer = json.loads(socket.recv(timeout=20))
        assert answer["id"] == 1
        assert "Chrom" in answer["result"]["product"]
        assert _refusal(url.replace("_ai/", "_ai/x")) == 404
        session.browser.destroy()
        assert not session.browser.is_initialized()
        assert not session.browser.initialize(BrowserOption(solve_captchas=True))
    finally:
        good(s.bay.delete(session))


def _refusal(url: str) -> int | None:
    """The status with which a WebSocket is refused; None if it opens."""
    try:
        websockets.sync.client.connect(url).close()
    except websockets.exceptions.InvalidStatus as exc:
        return exc.response.status_code
    return None


@step
def browser_profiles_outlive_sessions(s: State) -> None:
    profile = good(s.bay.context.get(f"browser-{uuid.uuid4().hex}", create=True)).context
    params = CreateSessionParams(
        image_id="browser_latest", browser_context=BrowserContext(profile.id, auto_upload=True)
    )
    for cookies in (0, 1):
        session = good(s.bay.create(params)).session
        try:
            assert session.browser.initialize(BrowserOption())
            with websockets.sync.client.connect(session.browser.get_endpoint_url()) as socket:
                socket.send(json.dumps({"id": 1, "method": "Storage.getCookies"}))
                found = json.loads(socket.recv(timeout=20))["result"]["cookies"]
                assert [cookie["value"] for cookie in found] == ["ada"] * cookies
                cookie = {"name": "login", "value": "ada", "domain": "shop.example", "path": "/"}
                jar = {"cookies": [{**cookie, "expires": time.time() + 86400}]}
                command = {"id": 2, "method": "Storage.setCookies", "params": jar}
                socket.send(json.dumps(command))
                assert "error" not in json.loads(socket.recv(timeout=20))
        finally:
            good(s.bay.delete(session, sync_context=True))
    good(s.bay.context.delete(profile))


@step
def computer(s: State) -> None:
    desktop = s.session.computer
    size = good(desktop.get_screen_size()).data
    assert (size["width"], size["height"]) == (1280, 720)
    good(desktop.move_mouse(12, 34))
    assert json.loads(good(desktop.get_cursor_position()).data) == {"x": 12, "y": 34}
    shot = desktop.beta_take_screenshot()
    assert shot.data.startswith(b"\x89PNG")
    assert (shot.width, shot.height) == (1280, 720)
    url = good(s.session.call_mcp_tool("system_screenshot", {})).data
    assert _page(url) == shot.data
    assert "not on the screen" in desktop.click_mouse(5000, 5).error_message
    assert not desktop.press_keys(["NoSuchKey"]).success
    good(desktop.scroll(300, 300, "down", 2))
    good(desktop.drag_mouse(300, 300, 400, 400))


@step
def computer_types_into_a_program(s: State) -> None:
    desktop, shell = s.session.computer, s.session.command.run
    good(desktop.get_screen_size())
    terminal = "xterm -u8 -T compat -geometry 60x20+200+100 -e sh -c 'stty -echo; cat >/tmp/typed'"
    good(shell(f"setsid {terminal} >/dev/null 2>&1 &"))
    title = "xdotool getactivewindow getwindowname"
    until(lambda: "compat" in shell(title).stdout, "the terminal has the focus")
    good(desktop.click_mouse(300, 200))
    good(desktop.input_text("Zoë 😀 €"))
    good(desktop.press_keys(["Shift"], hold=True))
    good(desktop.press_keys(["a"]))
    good(desktop.release_keys(["Shift"]))
    good(desktop.press_keys(["Enter"]))
    until(lambda: shell("cat /tmp/typed").stdout == "Zoë 😀 €A\n", "the text arrives")
    good(shell("pkill xterm"))


@step
def windows(s: State) -> None:
    desktop = s.session.computer
    processes = good(desktop.start_app("xterm -T 'win 1' -geometry 60x20+100+100")).data
    assert processes[0].pname == "xterm"
    (window,) = good(desktop.list_root_windows()).windows
    assert (window.title, window.pid, window.pname) == ("win 1", processes[0].pid, "xterm")
    assert good(desktop.get_active_window()).window.window_id == window.window_id
    for change in ("maximize", "restore", "minimize", "activate", "fullscreen", "restore"):
        good(getattr(desktop, f"{change}_window")(window.window_id))
    good(desktop.resize_window(window.window_id, 500, 300))
    good(desktop.focus_mode(True))
    good(desktop.focus_mode(False))
    good(desktop.close_window(window.window_id))
    assert "no window" in desktop.close_window(window.window_id).error_message
    assert good(desktop.list_root_windows()).windows == []


@step
def applications(s: State) -> None:
    desktop = s.session.computer
    found = good(desktop.get_installed_apps(True, False, True)).data
    (terminal,) = [app for app in found if app.name == "XTerm"]
    (process, *_) = good(desktop.start_app(terminal.start_cmd)).data
    assert process.pid in [app.pid for app in good(desktop.list_visible_apps()).data]
    good(desktop.stop_app_by_pid(process.pid))
    assert not desktop.stop_app_by_pname("xterm").success
    assert not desktop.start_app("no-such-program").success
    good(desktop.start_app("xterm"))
    good(desktop.stop_app_by_cmd("pkill xterm"))


@step
def live_view(s: State) -> None:
    address = good(s.session.info()).data.resource_url
    assert s.session.session_id.encode() in _page(address)
    assert _page(address + "screen.png").startswith(b"\x89PNG")


@step
def delete(s: State) -> None:
    session_id = s.session.session_id
    good(s.bay.delete(s.session))
    assert not s.bay.get(session_id).success
    assert session_id not in [e["sessionId"] for e in good(s.bay.list(limit=50)).session_ids]


def main() -> int:
    state, failed = State(), 0
    with tempfile.TemporaryDirectory() as directory:
        state.directory = Path(directory)
        for name, func in STEPS:
            started = time.monotonic()
            try:
                func(state)
            except Exception:
                failed += 1
                print(f"FAIL  {name}\n{traceback.format_exc()}", flush=True)
            else:
                print(f"ok    {name} ({time.monotonic() - started:.2f} s)", flush=True)
    print(f"{len(STEPS) - failed} of {len(STEPS)} steps passed", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
