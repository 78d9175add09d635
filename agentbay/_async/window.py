"""The windows of a desktop, as programs of the first generation reach them."""

from __future__ import annotations

from .._results.base import reported
from .._results.file_system import BoolResult
from .._results.window import WindowInfoResult, WindowListResult
from ..protocol import window as tools
from ._desktop_windows import Windows


class AsyncWindowManager(Windows):
    """Finds and changes the windows of a desktop; `session.computer` does the same.

    A window goes by its `window_id`, which the lists of windows tell.
    """

    @reported(WindowListResult)
    async def list_all_windows(self, timeout_ms: int = 3000) -> WindowListResult:
        """List the windows, those inside of others included.

        Args:
            timeout_ms: How long the service may take, in milliseconds.
        """
        return await self._windows(tools.ListAllWindows(timeout_ms), timeout_ms)

    @reported(WindowInfoResult)
    async def get_window_info(self, window_id: int) -> WindowInfoResult:
        """Tell about one window."""
        return await self._window(tools.GetWindowInfo(window_id))

    @reported(BoolResult)
    async def move_window(self, window_id: int, x: int, y: int) -> BoolResult:
        """Put the upper left corner of a window somewhere else.

        Args:
            window_id: Which window.
            x: Pixels from the left edge of the screen.
            y: Pixels from the upper edge of the screen.
        """
        return await self._done(tools.MoveWindow(window_id, x, y))
