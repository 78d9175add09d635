"""The desktop of a session: mouse, keyboard, screen, windows and applications."""

from __future__ import annotations

from collections.abc import Sequence

from .._results.application import (
    AppOperationResult,
    InstalledAppListResult,
    ProcessListResult,
)
from .._results.base import reported
from .._results.computer import ScreenshotResult
from .._results.file_system import BoolResult
from .._results.sessions import LinkResult, OperationResult
from .._results.window import WindowInfoResult, WindowListResult
from ..protocol import application as apps
from ..protocol import computer as tools
from ..protocol import window as windows
from ..protocol.computer import (
    CursorPosition,
    MouseButton,
    ScreenSize,
    ScrollDirection,
    held_button,
    mouse_button,
    pressed,
    scroll_direction,
)
from ._desktop import Desktop


class AsyncComputer(Desktop):
    """Uses the desktop of a session, as a person would.

    Coordinates are pixels, counted from the upper left corner of the screen. A button or a
    direction that does not exist raises `InvalidInputError`, which is a `ValueError`; any
    other failure is in the result.
    """

    async def click_mouse(
        self, x: int, y: int, button: MouseButton | str = MouseButton.LEFT
    ) -> BoolResult:
        """Click with the mouse.

        Args:
            x: Pixels from the left edge of the screen.
            y: Pixels from the upper edge of the screen.
            button: ``"left"``, ``"right"``, ``"middle"``, or ``"double_left"`` for a double
                click.

        Raises:
            InvalidInputError: There is no such button.

        Example:
            await session.computer.click_mouse(100, 200, "right")
        """
        return await self._click(x, y, mouse_button(button))

    @reported(BoolResult)
    async def move_mouse(self, x: int, y: int) -> BoolResult:
        """Move the mouse."""
        return await self._done(tools.MoveMouse(x, y))

    async def drag_mouse(
        self,
        from_x: int,
        from_y: int,
        to_x: int,
        to_y: int,
        button: MouseButton | str = MouseButton.LEFT,
    ) -> BoolResult:
        """Move the mouse with a button held down.

        Args:
            from_x: Where the button goes down.
            from_y: Where the button goes down.
            to_x: Where the button goes up.
            to_y: Where the button goes up.
            button: ``"left"``, ``"right"`` or ``"middle"``.

        Raises:
            InvalidInputError: There is no such button.
        """
        return await self._drag((from_x, from_y), (to_x, to_y), held_button(button))

    async def scroll(
        self,
        x: int,
        y: int,
        direction: ScrollDirection | str = ScrollDirection.UP,
        amount: int = 1,
    ) -> BoolResult:
        """Turn the wheel of the mouse.

        Args:
            x: Where the mouse points to.
            y: Where the mouse points to.
            direction: ``"up"``, ``"down"``, ``"left"`` or ``"right"``.
            amount: How many steps.

        Raises:
            InvalidInputError: There is no such direction.
        """
        return await self._scroll(x, y, scroll_direction(direction), amount)

    @reported(OperationResult[CursorPosition])
    async def get_cursor_position(self) -> OperationResult[CursorPosition]:
        """Tell where the mouse points to.

        Returns:
            In `data` a text that `json.loads` reads, with ``data["x"]`` and ``data.x`` on it.

        Example:
            position = (await session.computer.get_cursor_position()).unwrap()
            print(position.x, position.y)
        """
        reply = await self._call(tools.GetCursorPosition())
        return OperationResult(reply.request_id, True, reply.value)

    @reported(BoolResult)
    async def input_text(self, text: str) -> BoolResult:
        """Type a text where the focus is."""
        return await self._done(tools.InputText(text))

    @reported(BoolResult)
    async def press_keys(self, keys: Sequence[str], hold: bool = False) -> BoolResult:
        """Press keys together.

        Args:
            keys: Their names, such as ``["Ctrl", "a"]``; common other spellings are
                understood.
            hold: Leave them pressed until `release_keys`.

        Example:
            await session.computer.press_keys(["ctrl", "s"])
        """
        return await self._done(tools.PressKeys(pressed(keys), hold))

    @reported(BoolResult)
    async def release_keys(self, keys: Sequence[str]) -> BoolResult:
        """Release keys that `press_keys` left pressed."""
        return await self._done(tools.ReleaseKeys(pressed(keys)))

    @reported(OperationResult[ScreenSize])
    async def get_screen_size(self) -> OperationResult[ScreenSize]:
        """Tell the size of the screen.

        Returns:
            In `data` a text that `json.loads` reads, with ``data["width"]`` and
            ``data.width`` on it.
        """
        reply = await self._call(tools.GetScreenSize())
        return OperationResult(reply.request_id, True, reply.value)

    @reported(LinkResult)
    async def screenshot(self) -> LinkResult:
        """Take a picture of the screen, and get an address of it.

        Returns:
            In `data` the address of a PNG file. It works for an hour, for everyone who has
            it.
        """
        return await self._screen()

    async def beta_take_screenshot(self, format: str = "png") -> ScreenshotResult:
        """Take a picture of the screen, and get its bytes.

        Args:
            format: ``"png"`` or ``"jpeg"``.

        Raises:
            InvalidInputError: Another format.
            AgentBayError: The picture could not be taken, or it is damaged.

        Example:
            shot = await session.computer.beta_take_screenshot()
            Path("screen.png").write_bytes(shot.data)
        """
        reply = await self._call(tools.Screenshot(format))
        image = reply.value
        return ScreenshotResult(
            reply.request_id,
            True,
            image.type,
            image.data,
            image.mime_type,
            image.width,
            image.height,
        )

    @reported(WindowListResult)
    async def list_root_windows(self, timeout_ms: int = 3000) -> WindowListResult:
        """List the windows that are in no other one.

        Right after `start_app`, a window may not be there yet: ask again until it is.

        Args:
            timeout_ms: How long the service may take, in milliseconds.

        Example:
            for window in (await session.computer.list_root_windows()).unwrap():
                print(window.window_id, window.title)
        """
        return await self._windows(windows.ListRootWindows(timeout_ms), timeout_ms)

    @reported(WindowInfoResult)
    async def get_active_window(self, timeout_ms: int | None = None) -> WindowInfoResult:
        """Tell which window has the focus.

        Args:
            timeout_ms: How long the service may take, in milliseconds; its own choice by
                default.

        Returns:
            The window; None in `window` when none has the focus.
        """
        return await self._window(windows.GetActiveWindow(timeout_ms), timeout_ms)

    @reported(BoolResult)
    async def activate_window(self, window_id: int) -> BoolResult:
        """Bring a window to the front and give it the focus."""
        return await self._done(windows.ActivateWindow(window_id))

    @reported(BoolResult)
    async def close_window(self, window_id: int) -> BoolResult:
        """Close a window."""
        return await self._done(windows.CloseWindow(window_id))

    @reported(BoolResult)
    async def maximize_window(self, window_id: int) -> BoolResult:
        """Let a window fill the screen beside panels."""
        return await self._done(windows.MaximizeWindow(window_id))

    @reported(BoolResult)
    async def minimize_window(self, window_id: int) -> BoolResult:
        """Hide a window but for its place in the task bar."""
        return await self._done(windows.MinimizeWindow(window_id))

    @reported(BoolResult)
    async def restore_window(self, window_id: int) -> BoolResult:
        """Undo what `maximize_window`, `minimize_window` and `fullscreen_window` did."""
        return await self._done(windows.RestoreWindow(window_id))

    @reported(BoolResult)
    async def fullscreen_window(self, window_id: int) -> BoolResult:
        """Let a window fill the whole screen."""
        return await self._done(windows.FullscreenWindow(window_id))

    @reported(BoolResult)
    async def resize_window(self, window_id: int, width: int, height: int) -> BoolResult:
        """Change the size of a window, in pixels."""
        return await self._done(windows.ResizeWindow(window_id, width, height))

    @reported(BoolResult)
    async def focus_mode(self, on: bool) -> BoolResult:
        """Keep the focus where it is when a window opens, or end that."""
        return await self._done(windows.FocusMode(on))

    @reported(InstalledAppListResult)
    async def get_installed_apps(
        self, start_menu: bool = True, desktop: bool = False, ignore_system_apps: bool = True
    ) -> InstalledAppListResult:
        """List the applications that can be started.

        Args:
            start_menu: List those of the start menu.
            desktop: List those on the desktop.
            ignore_system_apps: Leave out those of the system.
        """
        call = apps.GetInstalledApps(start_menu, desktop, ignore_system_apps)
        reply = await self._call(call)
        return InstalledAppListResult(reply.request_id, True, reply.value)

    @reported(ProcessListResult)
    async def start_app(
        self, start_cmd: str, work_directory: str = "", activity: str = ""
    ) -> ProcessListResult:
        """Start an application.

        Args:
            start_cmd: Its command, as `get_installed_apps` gives it.
            work_directory: Where to start it.
            activity: What to open, on a mobile device.

        Returns:
            The processes that were started; a web browser has several.

        Example:
            apps = (await session.computer.get_installed_apps()).unwrap()
            await session.computer.start_app(apps[0].start_cmd)
        """
        call = apps.StartApp(start_cmd, work_directory or None, activity or None)
        return await self._processes(call)

    @reported(ProcessListResult)
    async def list_visible_apps(self) -> ProcessListResult:
        """List the processes that have a window on the screen."""
        return await self._processes(apps.ListVisibleApps())

    @reported(AppOperationResult)
    async def stop_app_by_pname(self, pname: str) -> AppOperationResult:
        """Stop every process of a name."""
        return await self._stopped(apps.StopAppByName(pname))

    @reported(AppOperationResult)
    async def stop_app_by_pid(self, pid: int) -> AppOperationResult:
        """Stop one process."""
        return await self._stopped(apps.StopAppByPid(pid))

    @reported(AppOperationResult)
    async def stop_app_by_cmd(self, stop_cmd: str) -> AppOperationResult:
        """Stop an application with its stop command."""
        return await self._stopped(apps.StopAppByCommand(stop_cmd))

    @reported(BoolResult)
    async def _click(self, x: int, y: int, button: MouseButton) -> BoolResult:
        return await self._done(tools.ClickMouse(x, y, button))

    @reported(BoolResult)
    async def _drag(
        self, start: tuple[int, int], end: tuple[int, int], button: MouseButton
    ) -> BoolResult:
        return await self._done(tools.DragMouse(*start, *end, button))

    @reported(BoolResult)
    async def _scroll(self, x: int, y: int, direction: ScrollDirection, amount: int) -> BoolResult:
        return await self._done(tools.Scroll(x, y, direction, amount))
