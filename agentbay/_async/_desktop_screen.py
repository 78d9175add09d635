"""The screen of a session, for all that look at it or touch it."""

from __future__ import annotations

from .._results.base import reported
from .._results.file_system import BoolResult
from .._results.sessions import LinkResult
from .._results.ui import UIElementListResult
from ..protocol import ui
from ..protocol.computer import InputText, SystemScreenshot
from ..protocol.key_codes import KeyCode
from ._desktop import Desktop, waiting


class Screen(Desktop):
    """Shows a screen."""

    @reported(LinkResult)
    async def screenshot(self) -> LinkResult:
        """Take a picture of the screen, and get an address of it.

        Returns:
            In `data` the address of a PNG file. It works for an hour, for everyone who has
            it.
        """
        reply = await self._call(SystemScreenshot())
        return LinkResult(reply.request_id, True, reply.value)


class Touchscreen(Screen):
    """Shows a screen, and takes fingers and keys."""

    @reported(BoolResult)
    async def swipe(
        self, start_x: int, start_y: int, end_x: int, end_y: int, duration_ms: int = 300
    ) -> BoolResult:
        """Move a finger over the screen.

        Args:
            start_x: Where it begins, in pixels from the left edge.
            start_y: Where it begins, in pixels from the upper edge.
            end_x: Where it ends.
            end_y: Where it ends.
            duration_ms: How long it takes, in milliseconds.
        """
        return await self._done(ui.Swipe(start_x, start_y, end_x, end_y, duration_ms))

    @reported(BoolResult)
    async def input_text(self, text: str) -> BoolResult:
        """Type a text where the focus is."""
        return await self._done(InputText(text))

    @reported(BoolResult)
    async def send_key(self, key: KeyCode | int) -> BoolResult:
        """Press a key of the device.

        Args:
            key: A `KeyCode`, or the number that Android gives to a key.

        Example:
            ```python
            await session.mobile.send_key(KeyCode.HOME)
            ```
        """
        return await self._done(ui.SendKey(key))

    @reported(UIElementListResult)
    async def get_clickable_ui_elements(self, timeout_ms: int = 2000) -> UIElementListResult:
        """List what can be clicked on the screen.

        Args:
            timeout_ms: How long the service may take, in milliseconds.
        """
        call = ui.GetClickableUIElements(timeout_ms)
        reply = await self._call(call, timeout=waiting(timeout_ms))
        return UIElementListResult(reply.request_id, True, reply.value)
