"""The screen of a mobile device, as programs of the first generation reach it."""

from __future__ import annotations

from .._results.base import reported
from .._results.file_system import BoolResult
from .._results.sessions import LinkResult
from .._results.ui import UIElementListResult
from ..protocol import ui as tools
from ..protocol.computer import InputText, MouseButton, held_button
from ..protocol.key_codes import KeyCode
from ._desktop import Desktop, waiting


class AsyncUI(Desktop):
    """Uses a screen with fingers and keys; `session.mobile` does the same."""

    @reported(UIElementListResult)
    async def get_clickable_ui_elements(self, timeout_ms: int = 2000) -> UIElementListResult:
        """List what can be clicked on the screen.

        Args:
            timeout_ms: How long the service may take, in milliseconds.
        """
        call = tools.GetClickableUIElements(timeout_ms)
        reply = await self._call(call, timeout=waiting(timeout_ms))
        return UIElementListResult(reply.request_id, True, reply.value)

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
    async def send_key(self, key: KeyCode | int) -> BoolResult:
        """Press a key of the device.

        Example:
            await session.ui.send_key(KeyCode.HOME)
        """
        return await self._done(tools.SendKey(key))

    @reported(BoolResult)
    async def input_text(self, text: str) -> BoolResult:
        """Type a text where the focus is."""
        return await self._done(InputText(text))

    @reported(BoolResult)
    async def swipe(
        self, start_x: int, start_y: int, end_x: int, end_y: int, duration_ms: int = 300
    ) -> BoolResult:
        """Move a finger over the screen, within a time in milliseconds."""
        return await self._done(tools.Swipe(start_x, start_y, end_x, end_y, duration_ms))

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

    @reported(LinkResult)
    async def screenshot(self) -> LinkResult:
        """Take a picture of the screen, and get an address of it.

        Returns:
            In `data` the address of a PNG file. It works for an hour, for everyone who has
            it.
        """
        return await self._screen()
