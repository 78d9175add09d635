"""The windows of a desktop, for all that reach them."""

from __future__ import annotations

from .._results.base import reported
from .._results.file_system import BoolResult
from .._results.window import WindowInfoResult, WindowListResult
from ..protocol import window as windows
from ._desktop import Desktop


class Windows(Desktop):
    """Finds and changes windows, each by the `window_id` that the lists of windows tell."""

    @reported(WindowListResult)
    async def list_root_windows(self, timeout_ms: int = 3000) -> WindowListResult:
        """List the windows that are in no other one.

        Right after `start_app`, a window may not be there yet: ask again until it is.

        Args:
            timeout_ms: How long the service may take, in milliseconds.

        Example:
            ```python
            for window in (await session.computer.list_root_windows()).unwrap():
                print(window.window_id, window.title)
            ```
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
        """Change the size of a window.

        Args:
            window_id: Which window.
            width: Its width in pixels.
            height: Its height in pixels.
        """
        return await self._done(windows.ResizeWindow(window_id, width, height))

    @reported(BoolResult)
    async def focus_mode(self, on: bool) -> BoolResult:
        """Keep the focus where it is when a window opens, or end that."""
        return await self._done(windows.FocusMode(on))
