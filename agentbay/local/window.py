"""The windows of a session's desktop."""

from __future__ import annotations

import os

import attrs

from ..protocol import window as tools
from ..protocol.window import DEFAULT_TIMEOUT_MS, Window
from ._desktop import windows
from ._desktop.display import Display, ensure
from ._desktop.windows import Seen
from ._dispatch import handles_tool
from ._errors import ToolFailure
from .sandbox import Sandbox

# A terminal is as wide as whole characters fit: a size within so many pixels is the one asked for.
_ROUNDED = 32

_MAXIMIZED = "maximized_vert,maximized_horz"


@handles_tool(tools.ListRootWindows)
async def list_root_windows(sandbox: Sandbox, call: tools.ListRootWindows) -> list[Window]:
    found = await windows.seen(await ensure(sandbox), limit=_seconds(call.timeout_ms))
    return [one.window for one in found]


@handles_tool(tools.ListAllWindows)
async def list_all_windows(sandbox: Sandbox, call: tools.ListAllWindows) -> list[Window]:
    """Each window that is in no other one, followed by those inside."""
    found = await windows.seen(await ensure(sandbox), limit=_seconds(call.timeout_ms))
    return [window for one in found for window in (one.window, *windows.within(one.window))]


@handles_tool(tools.GetActiveWindow)
async def get_active_window(sandbox: Sandbox, call: tools.GetActiveWindow) -> Window | None:
    limit = _seconds(call.timeout_ms)
    found = await windows.seen(await ensure(sandbox), limit=limit)
    return next((one.window for one in found if one.active), None)


@handles_tool(tools.GetWindowInfo)
async def get_window_info(sandbox: Sandbox, call: tools.GetWindowInfo) -> Window:
    for one in await windows.seen(await ensure(sandbox)):
        for window in (one.window, *windows.within(one.window)):
            if window.window_id == call.window_id:
                return window
    raise windows.unknown(call.window_id)


@handles_tool(tools.ActivateWindow)
async def activate_window(sandbox: Sandbox, call: tools.ActivateWindow) -> None:
    def done(one: Seen | None) -> bool:
        return one is not None and one.active

    change = _Change(done, ["wmctrl -i -a {id}"], "did not take the focus")
    await change.make(sandbox, call.window_id)


@handles_tool(tools.CloseWindow)
async def close_window(sandbox: Sandbox, call: tools.CloseWindow) -> None:
    display = await ensure(sandbox)
    window = await windows.find(display, call.window_id)
    left = await windows.change(display, window, ["wmctrl -i -c {id}"], lambda one: one is None)
    if left is not None:
        raise ToolFailure(
            f"window {call.window_id} is still open: its program may be asking something, as a "
            "screenshot would show; stop_app_by_pid ends it without being asked"
        )


@handles_tool(tools.MaximizeWindow)
async def maximize_window(sandbox: Sandbox, call: tools.MaximizeWindow) -> None:
    def done(one: Seen | None) -> bool:
        return one is not None and one.maximized and not one.minimized

    command = f"wmctrl -i -r {{id}} -b add,{_MAXIMIZED}"
    change = _Change(done, [command], "is not maximized", shows=True)
    await change.make(sandbox, call.window_id)


@handles_tool(tools.MinimizeWindow)
async def minimize_window(sandbox: Sandbox, call: tools.MinimizeWindow) -> None:
    def done(one: Seen | None) -> bool:
        return one is not None and one.minimized

    change = _Change(done, ["xdotool windowminimize {id}"], "is not minimized")
    await change.make(sandbox, call.window_id)


@handles_tool(tools.RestoreWindow)
async def restore_window(sandbox: Sandbox, call: tools.RestoreWindow) -> None:
    def done(one: Seen | None) -> bool:
        return one is not None and not (one.minimized or one.maximized or one.fullscreen)

    change = _Change(done, _usual(), "is not restored", shows=True)
    await change.make(sandbox, call.window_id)


@handles_tool(tools.FullscreenWindow)
async def fullscreen_window(sandbox: Sandbox, call: tools.FullscreenWindow) -> None:
    def done(one: Seen | None) -> bool:
        return one is not None and one.fullscreen and not one.minimized

    command = "wmctrl -i -r {id} -b add,fullscreen"
    change = _Change(done, [command], "does not fill the screen", shows=True)
    await change.make(sandbox, call.window_id)


@handles_tool(tools.ResizeWindow)
async def resize_window(sandbox: Sandbox, call: tools.ResizeWindow) -> None:
    """Give a window a size, its frame included; one that filled the screen does not any more."""

    def done(one: Seen | None) -> bool:
        return one is not None and all(
            abs((is_now or 0) - wanted) < _ROUNDED
            for is_now, wanted in ((one.window.width, call.width), (one.window.height, call.height))
        )

    display = await ensure(sandbox)
    if call.width > 2 * display.width or call.height > 2 * display.height:
        size = f"{display.width}x{display.height}"
        raise ToolFailure(f"{call.width}x{call.height} is too large for a screen of {size}")
    window = await windows.find(display, call.window_id)
    left, right, above, below = window.frame
    width, height = max(1, call.width - left - right), max(1, call.height - above - below)
    commands = [*_shown(window), *_usual(), f"wmctrl -i -r {{id}} -e 0,-1,-1,{width},{height}"]
    last = await windows.change(display, window, commands, done)
    size = "" if last is None else f" and is {last.window.width}x{last.window.height}"
    _check(last, done, window, f"does not take that size{size}")


@handles_tool(tools.MoveWindow)
async def move_window(sandbox: Sandbox, call: tools.MoveWindow) -> None:
    """Put the corner of a window's frame somewhere."""

    def done(one: Seen | None) -> bool:
        return one is not None and _corner(one.window) == (call.x, call.y)

    display = await ensure(sandbox)
    _check_on_screen(display, call.x, call.y)
    window = await windows.find(display, call.window_id)
    move = f"wmctrl -i -r {{id}} -e 0,{call.x},{call.y},-1,-1"
    last = await windows.change(display, window, [*_shown(window), *_usual(), move], done)
    place = "" if last is None else " and is at {}, {}".format(*_corner(last.window))
    _check(last, done, window, f"does not move there{place}")


@handles_tool(tools.FocusMode)
async def focus_mode(sandbox: Sandbox, call: tools.FocusMode) -> None:
    """Have the window manager leave the focus where it is when a window opens."""
    display = await ensure(sandbox)
    path = os.path.join(os.path.dirname(display.environment["XAUTHORITY"]), "rc.xml")
    change = f"s|<focusNew>.*</focusNew>|<focusNew>{'no' if call.on else 'yes'}</focusNew>|"
    await display.run("sed", "-i", change, path)
    await display.run("openbox", "--reconfigure")


def _seconds(timeout_ms: int | None) -> float:
    # The default is what clients send when nobody has asked for a limit.
    if timeout_ms in (None, 0, DEFAULT_TIMEOUT_MS):
        return windows.LIMIT
    return timeout_ms / 1000


@attrs.frozen
class _Change:
    """A change of the state of a window.

    Attributes:
        done: Whether it is made.
        commands: What makes it.
        problem: What is told of the window if it is not.
        shows: Whether the window is not to be minimized any more.
    """

    done: windows.Done
    commands: list[str]
    problem: str
    shows: bool = False

    async def make(self, sandbox: Sandbox, window_id: int) -> None:
        display = await ensure(sandbox)
        window = await windows.find(display, window_id)
        commands = [*_shown(window), *self.commands] if self.shows else self.commands
        last = await windows.change(display, window, commands, self.done)
        _check(last, self.done, window, self.problem)


def _shown(window: Seen) -> list[str]:
    """What brings a window back that is minimized; others keep their place in the stack."""
    return ["wmctrl -i -a {id}"] if window.minimized else []


def _usual() -> list[str]:
    """What ends that a window fills the screen."""
    # In this order: what was maximized before it filled the screen is so again after that.
    return ["wmctrl -i -r {id} -b remove,fullscreen", f"wmctrl -i -r {{id}} -b remove,{_MAXIMIZED}"]


def _corner(window: Window) -> tuple[int | None, int | None]:
    return window.absolute_upper_left_x, window.absolute_upper_left_y


def _check(last: Seen | None, done: windows.Done, window: Seen, problem: str) -> None:
    if last is None:
        raise windows.unknown(window.window.window_id)
    if not done(last):
        title = window.window.title[:60]
        raise ToolFailure(
            f"window {window.window.window_id} ({title!r}) {problem}: its program or the window "
            "manager does not allow it"
        )


def _check_on_screen(display: Display, x: int, y: int) -> None:
    if not (0 <= x < display.width and 0 <= y < display.height):
        size = f"{display.width}x{display.height}"
        raise ToolFailure(f"({x}, {y}) is not on the screen, which is {size}")
