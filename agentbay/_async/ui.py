"""The screen of a mobile device, as programs of the first generation reach it."""

from __future__ import annotations

from .._results.base import reported
from .._results.file_system import BoolResult
from .._results.ui import UIElementListResult
from ..protocol import ui as tools
from ..protocol.computer import MouseButton, held_button
from ._desktop import waiting
from ._desktop_screen import Touchscreen


class AsyncUI(Touchscreen):
    """Uses a screen with fingers and keys; `session.mobile` does the same."""

    @reported(UIElementListResult)
    async def get_all_ui_elements(self, timeout_ms: int = 2000) -> UIElementListResult:
        """List everything on the screen.

        Args:
            timeout_ms: How long the service may take, in milliseconds.

        Returns:
            The outermost elements; those inside of one are its `children`.
        """
        call = tools.GetAllUIElements(timeout_ms)
        reply = await self._call(call, timeout=waiting(timeout_ms))
        tree = reply.value
        return UIElementListResult(reply.request_id, True, tree.elements, raw=tree.raw)

    @reported(BoolResult)
    async def click(
        self, x: int, y: int, button: MouseButton | str = MouseButton.LEFT
    ) -> BoolResult:
        """Click on the screen.

        Args:
            x: Pixels from the left edge of the screen.
            y: Pixels from the upper edge of the screen.
            button: ``"left"``, ``"right"`` or ``"middle"``.
        """
        return await self._done(tools.Click(x, y, held_button(button)))
