"""The desktop of a session: mouse, keyboard, screen, windows and applications."""

from __future__ import annotations

from collections.abc import Sequence

from .._results.base import reported
from .._results.computer import ScreenshotResult
from .._results.file_system import BoolResult
from .._results.sessions import OperationResult
from ..protocol import computer as tools
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
from ._desktop_apps import Applications
from ._desktop_screen import Screen
from ._desktop_windows import Windows


class AsyncComputer(Screen, Windows, Applications):
    """Uses the desktop of a session, as a person would.

    Coordinates are pixels, counted from the upper left corner of the screen. A button or a
    direction that does not exist raises `InvalidInputError`, which is a `ValueError`; any
    other failure is in the result, but for that of `beta_take_screenshot`, which is raised.
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
            ```python
            await session.computer.click_mouse(100, 200, "right")
            ```
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
            ```python
            position = (await session.computer.get_cursor_position()).unwrap()
            print(position.x, position.y)
            ```
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
            ```python
            await session.computer.press_keys(["ctrl", "s"])
            ```
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

    async def beta_take_screenshot(self, format: str = "png") -> ScreenshotResult:
        """Take a picture of the screen, and get its bytes.

        Args:
            format: ``"png"`` or ``"jpeg"``.

        Raises:
            InvalidInputError: Another format.
            AgentBayError: The picture could not be taken, or it is damaged.

        Example:
            ```python
            shot = await session.computer.beta_take_screenshot()
            Path("screen.png").write_bytes(shot.data)
            ```
        """
        return await self._picture(tools.Screenshot(format))

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
