"""The windows and the applications of a desktop, with real programs on a real X server."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import Any

import anyio
import pytest

from agentbay import ApiResponse, AsyncAgentBay, AsyncSession
from agentbay.local._desktop import windows as desktop_windows
from agentbay.protocol import application, computer, ui
from agentbay.protocol import window as windows
from agentbay.protocol._calls import TOOLS
from agentbay.protocol.window import Window

from ..local.sandboxes import until
from .observing import shell
from .services import Service

_PROGRAMS = ("Xvfb", "openbox", "xdotool", "wmctrl", "xprop", "xwininfo", "xterm", "zenity")
_MISSING = [name for name in _PROGRAMS if shutil.which(name) is None]

pytestmark = [
    pytest.mark.anyio,
    # What `linux_latest` of the cloud has installed is not known here.
    pytest.mark.engine_only,
    pytest.mark.skipif(
        bool(_MISSING),
        reason=f"{', '.join(_MISSING)} missing: apt-get install xvfb openbox xdotool wmctrl"
        " x11-utils xterm zenity",
    ),
]

DESKTOP = [module.__name__ for module in (application, computer, ui, windows)]

TITLE = 'A "title" \\ with Ünïcode'

Change = Callable[[AsyncSession, int], Awaitable[ApiResponse]]


@pytest.fixture(scope="module")
def desktop_id(service: Service) -> Iterator[str]:
    """A session with a desktop that the tests of this module share."""
    with service.blocking_client() as bay, bay.session() as running:
        yield running.session_id


@pytest.fixture
async def desktop(bay: AsyncAgentBay, desktop_id: str) -> AsyncGenerator[AsyncSession, None]:
    """The shared session, without any window before and after."""
    session = (await bay.get(desktop_id)).unwrap()
    yield session
    for process in (await session.application.list_visible_apps()).unwrap():
        await session.application.stop_app_by_pid(process.pid)
    await session.computer.focus_mode(False)

    async def is_empty() -> bool:
        return not (await session.computer.list_root_windows()).unwrap()

    await until(is_empty, 30)


async def open_terminal(
    session: AsyncSession, title: str = TITLE, run: str = "cat", *, focused: bool = True
) -> Window:
    """Open a terminal and find its window, once it has the focus if it is to have that."""
    command = f"xterm -geometry 80x24+100+80 -T '{title}' -e sh -c '{run}'"
    processes = (await session.computer.start_app(command)).unwrap()
    window = await find_window(session, processes[0].pid)
    if focused:
        await has_focus(session, window.window_id)
    return await look(session, window)


async def find_window(session: AsyncSession, pid: int) -> Window:
    with anyio.fail_after(30):
        while True:
            windows = (await session.window.list_root_windows()).unwrap()
            if found := [window for window in windows if window.pid == pid]:
                return found[0]
            await anyio.sleep(0.05)


async def _running(session: AsyncSession) -> set[int]:
    return {one.pid for one in (await session.application.get_running_processes()).unwrap()}


async def _ended(session: AsyncSession, pid: int | None) -> None:
    """Wait until a process of the session has ended, and its parent has noticed."""

    async def gone() -> bool:
        return (await session.command.run(f"test -e /proc/{pid}")).exit_code == 1

    await until(gone, 30)


async def look(session: AsyncSession, window: Window) -> Window:
    """The same window as it is at the moment."""
    found = (await session.window.get_window_info(window.window_id)).unwrap()
    assert found is not None
    return found


def place_of(window: Window) -> tuple[int | None, ...]:
    return (
        *(window.absolute_upper_left_x, window.absolute_upper_left_y),
        *(window.width, window.height),
    )


async def has_focus(session: AsyncSession, window_id: int | None) -> None:
    """Wait until a window has the focus, or none has it."""

    async def is_active() -> bool:
        return await active_id(session) == window_id

    await until(is_active, 30)


async def active_id(session: AsyncSession) -> int | None:
    window = (await session.computer.get_active_window()).unwrap()
    return window.window_id if window else None


# -- the whole way ---------------------------------------------------------------------


async def test_a_program_is_started_found_typed_into_and_has_an_effect(
    desktop: AsyncSession,
) -> None:
    text = "Grüße, 世界! ~/$HOME"
    window = await open_terminal(desktop, run='read -r line; echo "$line" >typed; cat')

    (await desktop.computer.activate_window(window.window_id)).unwrap()
    (await desktop.computer.input_text(text)).unwrap()
    (await desktop.computer.press_keys(["Enter"])).unwrap()

    async def is_typed() -> bool:
        return (await desktop.command.run("test -s typed")).exit_code == 0

    await until(is_typed, 30)
    assert await shell(desktop, "cat typed; rm typed") == f"{text}\n"


async def test_each_tool_of_a_desktop_can_be_called(desktop: AsyncSession) -> None:
    process = (await desktop.computer.start_app("zenity --entry")).unwrap()[0]
    window = await find_window(desktop, process.pid)
    on_screen, of_window = {"x": 300, "y": 200}, {"window_id": window.window_id}
    calls: dict[str, dict[str, Any]] = {
        **dict.fromkeys(("click_mouse", "move_mouse", "scroll", "click"), on_screen),
        "drag_mouse": {"from_x": 1, "from_y": 1, "to_x": 2, "to_y": 2},
        "input_text": {"text": "x"},
        **{name: {"keys": ["Shift"]} for name in ("press_keys", "release_keys")},
        **{name: {} for name in ("get_cursor_position", "get_screen_size")},
        **{name: {} for name in ("screenshot", "system_screenshot")},
        **{name: {} for name in ("list_root_windows", "list_all_windows", "get_active_window")},
        **dict.fromkeys(("activate_window", "maximize_window", "get_window_info"), of_window),
        **dict.fromkeys(("fullscreen_window", "restore_window", "minimize_window"), of_window),
        "move_window": {**of_window, "x": 1, "y": 1},
        "resize_window": {**of_window, "width": 300, "height": 200},
        "focus_mode": {"on": False},
        "close_window": of_window,
        **{name: {} for name in ("get_installed_apps", "list_visible_apps")},
        "list_running_processes": {},
        "start_app": {"start_cmd": "true"},
        "stop_app_by_cmd": {"stop_cmd": "true"},
        "stop_app_by_pid": {"pid": 0},
        "stop_app_by_pname": {"pname": "sleep"},
    }
    listed = {tool.name for tool in (await desktop.list_mcp_tools()).unwrap()}

    assert calls.keys() == {name for name in listed if TOOLS[name].__module__ in DESKTOP}
    await shell(desktop, "sleep 100 & sleep 101 & :")
    sleeping: dict[str, int] = {}

    async def begun() -> bool:
        running = (await desktop.application.get_running_processes()).unwrap()
        sleeping.update((p.cmdline or "", p.pid) for p in running)
        return sleeping.keys() >= {"sleep 100", "sleep 101"}

    await until(begun, 30)
    calls["stop_app_by_pid"] = {"pid": sleeping["sleep 100"]}
    for name, arguments in calls.items():
        result = await desktop.call_mcp_tool(name, arguments)
        assert result.success, (name, result.error_message)


# -- windows ---------------------------------------------------------------------------


async def test_a_window_tells_of_itself_and_its_process(desktop: AsyncSession) -> None:
    window = await open_terminal(desktop)

    assert window.title == TITLE
    assert window.pname == "xterm"
    assert await shell(desktop, f"cat /proc/{window.pid}/comm") == "xterm\n"
    assert place_of(window)[:2] == (100, 80)
    (inner,) = window.child_windows
    assert (inner.pid, inner.pname) == (window.pid, "xterm")
    assert 0 < (inner.width or 0) < (window.width or 0)
    assert (await look(desktop, inner)) == inner


async def test_all_windows_are_those_at_the_root_and_those_inside(desktop: AsyncSession) -> None:
    window = await open_terminal(desktop)

    windows = (await desktop.window.list_all_windows()).unwrap()

    assert [found.window_id for found in windows] == [
        window.window_id,
        window.child_windows[0].window_id,
    ]


async def test_both_generations_find_the_title(desktop: AsyncSession) -> None:
    await open_terminal(desktop)

    (raw,) = json.loads((await desktop.call_mcp_tool("list_root_windows", {})).unwrap())

    assert raw["title"] == raw["window_title"] == TITLE


async def test_a_desktop_without_windows_has_none(desktop: AsyncSession) -> None:
    assert (await desktop.computer.list_root_windows()).unwrap() == []
    assert (await desktop.computer.get_active_window()).unwrap() is None
    assert (await desktop.computer.list_visible_apps()).unwrap() == []


async def test_a_window_is_maximized_and_restored(desktop: AsyncSession) -> None:
    window = await open_terminal(desktop)
    screen = (await desktop.computer.get_screen_size()).unwrap()

    (await desktop.computer.maximize_window(window.window_id)).unwrap()
    maximized = await look(desktop, window)
    (await desktop.computer.restore_window(window.window_id)).unwrap()

    assert place_of(maximized) == (0, 0, screen["width"], screen["height"])
    assert place_of(await look(desktop, window)) == place_of(window)


async def test_a_window_fills_the_screen_without_its_frame(desktop: AsyncSession) -> None:
    window = await open_terminal(desktop)

    (await desktop.computer.maximize_window(window.window_id)).unwrap()
    (await desktop.computer.fullscreen_window(window.window_id)).unwrap()
    full = await look(desktop, window)
    (await desktop.computer.restore_window(window.window_id)).unwrap()

    # The inside is as large as the whole: there is no frame.
    assert place_of(full) == place_of(full.child_windows[0])
    assert place_of(await look(desktop, window)) == place_of(window)


async def test_a_minimized_window_keeps_its_place_and_comes_back(desktop: AsyncSession) -> None:
    window = await open_terminal(desktop)

    (await desktop.computer.minimize_window(window.window_id)).unwrap()
    await has_focus(desktop, None)
    assert place_of(await look(desktop, window)) == place_of(window)
    (await desktop.computer.restore_window(window.window_id)).unwrap()

    await has_focus(desktop, window.window_id)


async def test_a_window_that_is_activated_comes_to_the_front(desktop: AsyncSession) -> None:
    first = await open_terminal(desktop, "first")
    await open_terminal(desktop, "second")

    (await desktop.computer.activate_window(first.window_id)).unwrap()

    assert await active_id(desktop) == first.window_id


async def test_a_window_is_moved_and_resized(desktop: AsyncSession) -> None:
    window = await open_terminal(desktop)

    (await desktop.window.move_window(window.window_id, 33, 44)).unwrap()
    (await desktop.computer.resize_window(window.window_id, 600, 300)).unwrap()
    x, y, width, height = place_of(await look(desktop, window))

    assert (x, y) == (33, 44)
    # A terminal is as large as whole characters fit.
    assert abs((width or 0) - 600) < 20
    assert abs((height or 0) - 300) < 20


async def test_a_window_is_closed(desktop: AsyncSession) -> None:
    window = await open_terminal(desktop)

    (await desktop.computer.close_window(window.window_id)).unwrap()

    assert (await desktop.computer.list_root_windows()).unwrap() == []
    await _ended(desktop, window.pid)


@pytest.mark.embedded_only
async def test_a_window_that_does_not_close_is_reported(
    desktop: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = await open_terminal(desktop)
    # A program that is stopped does not answer to the wish to close its window.
    await shell(desktop, f"kill -STOP {window.pid}")
    monkeypatch.setattr(desktop_windows, "_CHANGE_LIMIT", 0.5)

    result = await desktop.computer.close_window(window.window_id)

    assert not result.success
    assert "still open" in result.error_message


async def test_windows_that_open_leave_the_focus_alone_in_focus_mode(
    desktop: AsyncSession,
) -> None:
    first = await open_terminal(desktop, "first")

    (await desktop.computer.focus_mode(True)).unwrap()
    await open_terminal(desktop, "second", focused=False)
    kept = await active_id(desktop)
    (await desktop.computer.focus_mode(False)).unwrap()
    await open_terminal(desktop, "third")

    assert kept == first.window_id


CHANGES: dict[str, Change] = {
    "activate": lambda s, w: s.computer.activate_window(w),
    "close": lambda s, w: s.computer.close_window(w),
    "maximize": lambda s, w: s.computer.maximize_window(w),
    "minimize": lambda s, w: s.computer.minimize_window(w),
    "restore": lambda s, w: s.computer.restore_window(w),
    "fullscreen": lambda s, w: s.computer.fullscreen_window(w),
    "resize": lambda s, w: s.computer.resize_window(w, 300, 200),
    "move": lambda s, w: s.window.move_window(w, 10, 10),
    "info": lambda s, w: s.window.get_window_info(w),
}


async def test_what_is_done_to_a_closed_window_fails(desktop: AsyncSession) -> None:
    window = await open_terminal(desktop)
    (await desktop.computer.close_window(window.window_id)).unwrap()

    for name, change in CHANGES.items():
        result = await change(desktop, window.window_id)

        assert not result.success, name
        assert f"there is no window {window.window_id}" in result.error_message


async def test_the_inside_of_a_window_cannot_be_changed_alone(desktop: AsyncSession) -> None:
    window = await open_terminal(desktop)
    inner = window.child_windows[0]

    result = await desktop.computer.maximize_window(inner.window_id)

    assert not result.success
    assert f"inside of window {window.window_id}" in result.error_message


async def test_a_window_is_not_moved_off_the_screen(desktop: AsyncSession) -> None:
    for x, y in [(-1, 0), (0, -1), (1280, 0), (0, 720)]:
        result = await desktop.window.move_window(1, x, y)

        assert not result.success
        assert "not on the screen" in result.error_message


# -- applications ----------------------------------------------------------------------


async def test_installed_applications_can_be_started(desktop: AsyncSession) -> None:
    apps = (await desktop.computer.get_installed_apps()).unwrap()
    (terminal,) = [app for app in apps if app.name == "XTerm"]

    processes = (await desktop.computer.start_app(terminal.start_cmd)).unwrap()

    assert processes[0].pname == "xterm"
    await find_window(desktop, processes[0].pid)
    visible = (await desktop.computer.list_visible_apps()).unwrap()
    assert [(app.pname, app.pid) for app in visible] == [("xterm", processes[0].pid)]
    assert visible[0].cmdline == "xterm"


def _entry(name: str, **fields: str) -> str:
    lines = {"Type": "Application", "Name": name, "Exec": "xterm", **fields}
    body = "\n".join(f"{key}={value}" for key, value in lines.items())
    return f"# a comment\n[Desktop Entry]\n{body}\n[Desktop Action x]\nName=not this\n"


ENTRIES = {
    "Desktop/place.desktop": _entry("On the desktop", Path="/tmp"),
    ".local/share/applications/own.desktop": _entry(
        "Own", Exec='xterm -T "a b" --file=%f %U %%', Terminal="false"
    ),
    ".local/share/applications/gone.desktop": _entry("Not there", Exec="no-such-program"),
    ".local/share/applications/tried.desktop": _entry("Tried", TryExec="no-such-program"),
    ".local/share/applications/settings.desktop": _entry("Set-up", Categories="X;Settings;"),
    ".local/share/applications/quiet.desktop": _entry("Quiet", NoDisplay="true"),
    ".local/share/applications/debian-xterm.desktop": _entry("XTerm", Hidden="true"),
    ".local/share/applications/link.desktop": _entry("A link", Type="Link"),
    ".local/share/applications/broken.desktop": "no entry \0 at all",
}


async def test_entries_of_the_session_are_listed_by_their_rules(session: AsyncSession) -> None:
    await shell(session, "mkdir -p ~/Desktop ~/.local/share/applications")
    for path, text in ENTRIES.items():
        (await session.file_system.write_file(f"/home/wuying/{path}", text)).unwrap()
    await shell(session, "mkfifo ~/.local/share/applications/pipe.desktop")
    apps = session.computer.get_installed_apps

    usual = {app.name: app for app in (await apps()).unwrap()}
    everything = {app.name for app in (await apps(ignore_system_apps=False)).unwrap()}
    on_desktop = (await apps(start_menu=False, desktop=True)).unwrap()

    assert usual["Own"].start_cmd == "xterm -T 'a b' --file= %"
    assert usual.keys().isdisjoint({"Not there", "Tried", "Set-up", "Quiet", "XTerm", "A link"})
    assert {"Own", "Set-up", "Quiet"} <= everything
    assert [(app.name, app.work_directory) for app in on_desktop] == [("On the desktop", "/tmp")]


async def test_an_application_starts_in_its_directory(desktop: AsyncSession) -> None:
    await shell(desktop, "rm -f /tmp/where")

    (await desktop.computer.start_app("sh -c 'pwd >/tmp/where'", "/usr/share")).unwrap()

    async def is_told() -> bool:
        return (await desktop.command.run("cat /tmp/where")).stdout == "/usr/share\n"

    await until(is_told, 30)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown program": ({"start_cmd": "no-such-program --x"}, "no such program"),
    "no program at all": ({"start_cmd": "''"}, "names no program"),
    "a quote that is open": ({"start_cmd": "xterm 'x"}, "cannot be read as a command"),
    "unknown directory": ({"start_cmd": "xterm", "work_directory": "/no/where"}, "/no/where"),
    "an activity": ({"start_cmd": "xterm", "activity": ".Main"}, "mobile"),
    "a program that fails": ({"start_cmd": "sh -c 'echo why >&2; exit 3'"}, r"code 3\): why"),
    "a program that dies": ({"start_cmd": "sh -c 'kill -9 $$'"}, "signal 9"),
}


async def test_an_application_that_does_not_start_is_reported(desktop: AsyncSession) -> None:
    for name, (arguments, reason) in REFUSED.items():
        result = await desktop.computer.start_app(**arguments)

        assert not result.success, name
        assert re.search(reason, result.error_message), (name, result.error_message)


async def test_applications_are_stopped_by_name_number_and_command(desktop: AsyncSession) -> None:
    computer = desktop.computer
    first = await open_terminal(desktop, "first")
    second = await open_terminal(desktop, "second")
    asking = (await computer.start_app("zenity --entry")).unwrap()[0]

    (await computer.stop_app_by_cmd("pkill zenity")).unwrap()
    (await computer.stop_app_by_pid(first.pid or 0)).unwrap()
    running = await _running(desktop)
    await _ended(desktop, asking.pid)  # `pkill` does not wait
    (await computer.stop_app_by_pname("xterm")).unwrap()

    assert {first.pid, second.pid} & running == {second.pid}
    assert not {asking.pid, second.pid} & await _running(desktop)
    assert (await computer.list_visible_apps()).unwrap() == []


@pytest.mark.slow  # it gets some seconds
async def test_an_application_that_ignores_the_wish_to_end_is_ended(desktop: AsyncSession) -> None:
    await open_terminal(desktop, run='trap "" TERM HUP; echo $$ >/tmp/stubborn; exec cat')

    async def started() -> bool:
        return (await desktop.command.run("test -s /tmp/stubborn")).success

    await until(started, 30)
    pid = int(await shell(desktop, "cat /tmp/stubborn"))

    assert pid in await _running(desktop)
    (await desktop.computer.stop_app_by_pid(pid)).unwrap()

    assert pid not in await _running(desktop)
    await _ended(desktop, pid)


async def test_what_does_not_run_cannot_be_stopped(desktop: AsyncSession) -> None:
    computer = desktop.computer

    results = [
        await computer.stop_app_by_pname("no-such-name"),
        await computer.stop_app_by_pid(999_999),
        await computer.stop_app_by_cmd("pkill no-such-name"),
    ]

    assert not any(result.success for result in results)
    assert "no process of the session is called 'no-such-name'" in results[0].error_message
    assert "no process of the session has the number 999999" in results[1].error_message
    assert "failed" in results[2].error_message


async def test_the_guest_cannot_be_stopped(desktop: AsyncSession) -> None:
    result = await desktop.computer.stop_app_by_pid(1)

    assert not result.success
    assert await shell(desktop, "echo alive") == "alive\n"
