"""The mouse, the keyboard and the screen of a session."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import anyio

from ..protocol import computer as tools
from ..protocol._images import Image
from ..protocol._wire import to_json
from ..protocol.computer import CursorPosition, MouseButton, ScreenSize, ScrollDirection
from ._desktop import keyboard
from ._desktop.display import Display, ensure
from ._desktop.screen import picture
from ._dispatch import handles_tool
from ._errors import ToolFailure
from .sandbox import Sandbox

_BUTTONS = {MouseButton.LEFT: "1", MouseButton.MIDDLE: "2", MouseButton.RIGHT: "3"}
_WHEEL = {
    ScrollDirection.UP: "4",
    ScrollDirection.DOWN: "5",
    ScrollDirection.LEFT: "6",
    ScrollDirection.RIGHT: "7",
}
_MOST_STEPS = 1000

# Seconds for one thing: the longest ones take a second or two.
_LIMIT = 15.0

# Milliseconds between the clicks of a double click, and seconds between the moves of a drag:
# programs take what is quicker for one, and want to see that the mouse moves.
_DOUBLE, _MOVE = "60", "0.01"
_MOVES = 10


class Hands:
    """What uses the mouse and the keyboard of one session, one thing after the other."""

    def __init__(self) -> None:
        self._free = anyio.Lock()
        self._keyboard = keyboard.Keyboard()
        self._number = 0

    async def use(self, display: Display, *actions: str) -> None:
        """Do something with `xdotool`.

        Once begun it is done to its end: a button would stay pressed for ever.
        """
        async with self._free:
            await self._do(display, *actions)

    async def press(self, display: Display, actions: list[tuple[str, str]]) -> None:
        """Press or release keys: ``keydown`` or ``keyup``, and the keysym of each."""
        async with self._free:
            await self._look_at(display).learn_keys(display, [name for _, name in actions])
            await self._do(display, *(word for action in actions for word in action))

    async def type(self, display: Display, text: str) -> None:
        """Type a text. Cancelled, it ends after some hundred characters."""
        async with self._free:
            keys = self._look_at(display)
            for portion in keyboard.portions(text):
                await keys.learn(display, portion)
                await self._do(display, *_typing(portion))

    async def _do(self, display: Display, *actions: str) -> None:
        with anyio.CancelScope(shield=True):
            await display.run("xdotool", *actions, time_limit=_LIMIT)

    def _look_at(self, display: Display) -> keyboard.Keyboard:
        """The keyboard; another display has one of its own."""
        if display.number != self._number:
            self._keyboard, self._number = keyboard.Keyboard(), display.number
        return self._keyboard


_hands: WeakKeyDictionary[Sandbox, Hands] = WeakKeyDictionary()


def hands(sandbox: Sandbox) -> Hands:
    """Those of a session."""
    return _hands.setdefault(sandbox, Hands())


async def click(sandbox: Sandbox, x: int, y: int, button: MouseButton) -> None:
    """Click somewhere on the screen.

    Raises:
        ToolFailure: That is not on the screen.
    """
    display = await ensure(sandbox)
    check_on_screen(display, x, y)
    if button is MouseButton.DOUBLE_LEFT:
        clicks = ["click", "--repeat", "2", "--delay", _DOUBLE, "1"]
    else:
        clicks = ["click", _BUTTONS[button]]
    await hands(sandbox).use(display, *_to(x, y), *clicks)


@handles_tool(tools.ClickMouse)
async def click_mouse(sandbox: Sandbox, call: tools.ClickMouse) -> None:
    await click(sandbox, call.x, call.y, call.button)


@handles_tool(tools.MoveMouse)
async def move_mouse(sandbox: Sandbox, call: tools.MoveMouse) -> None:
    display = await ensure(sandbox)
    check_on_screen(display, call.x, call.y)
    await hands(sandbox).use(display, *_to(call.x, call.y))


@handles_tool(tools.DragMouse)
async def drag_mouse(sandbox: Sandbox, call: tools.DragMouse) -> None:
    display = await ensure(sandbox)
    start, end = (call.from_x, call.from_y), (call.to_x, call.to_y)
    check_on_screen(display, *start)
    check_on_screen(display, *end)
    button = _BUTTONS[call.button]
    moves: list[str] = []
    for step in range(1, _MOVES + 1):
        x, y = (a + (b - a) * step // _MOVES for a, b in zip(start, end, strict=True))
        moves += ["sleep", _MOVE, *_to(x, y)]
    release = ["sleep", _MOVE, "mouseup", button]
    await hands(sandbox).use(display, *_to(*start), "mousedown", button, *moves, *release)


@handles_tool(tools.Scroll)
async def scroll(sandbox: Sandbox, call: tools.Scroll) -> None:
    display = await ensure(sandbox)
    check_on_screen(display, call.x, call.y)
    if call.amount > _MOST_STEPS:
        raise ToolFailure(f"amount must be at most {_MOST_STEPS}, not {call.amount}")
    steps: list[str] = []
    if call.amount:
        steps = ["click", "--repeat", str(call.amount), "--delay", "1", _WHEEL[call.direction]]
    await hands(sandbox).use(display, *_to(call.x, call.y), *steps)


@handles_tool(tools.GetCursorPosition)
async def get_cursor_position(sandbox: Sandbox, call: tools.GetCursorPosition) -> CursorPosition:
    display = await ensure(sandbox)
    said = await display.run("xdotool", "getmouselocation", "--shell")
    values = dict(line.split("=", 1) for line in said.split() if "=" in line)
    try:
        x, y = int(values["X"]), int(values["Y"])
    except (KeyError, ValueError) as exc:
        raise ToolFailure("the display does not tell where the mouse is", number=-1) from exc
    return CursorPosition(to_json({"x": x, "y": y}))


@handles_tool(tools.GetScreenSize)
async def get_screen_size(sandbox: Sandbox, call: tools.GetScreenSize) -> ScreenSize:
    display = await ensure(sandbox)
    size = {"dpiScalingFactor": 1.0, "height": display.height, "width": display.width}
    return ScreenSize(to_json(size))


@handles_tool(tools.InputText)
async def input_text(sandbox: Sandbox, call: tools.InputText) -> None:
    text = keyboard.plain(call.text)
    await hands(sandbox).type(await ensure(sandbox), text)


@handles_tool(tools.PressKeys)
async def press_keys(sandbox: Sandbox, call: tools.PressKeys) -> None:
    names = [keyboard.keysym(key) for key in call.keys]
    actions = [("keydown", name) for name in names]
    if not call.hold:
        actions += [("keyup", name) for name in reversed(names)]
    await hands(sandbox).press(await ensure(sandbox), actions)


@handles_tool(tools.ReleaseKeys)
async def release_keys(sandbox: Sandbox, call: tools.ReleaseKeys) -> None:
    names = [keyboard.keysym(key) for key in call.keys]
    actions = [("keyup", name) for name in reversed(names)]
    await hands(sandbox).press(await ensure(sandbox), actions)


@handles_tool(tools.Screenshot)
async def screenshot(sandbox: Sandbox, call: tools.Screenshot) -> Image:
    return await picture(await ensure(sandbox), call.format)


@handles_tool(tools.SystemScreenshot)
async def system_screenshot(sandbox: Sandbox, call: tools.SystemScreenshot) -> str:
    taken = await picture(await ensure(sandbox))
    return await sandbox.publish(taken.data)


def check_on_screen(display: Display, x: int, y: int) -> None:
    """Refuse what is not on the screen.

    Raises:
        ToolFailure: It is not.
    """
    if not (0 <= x < display.width and 0 <= y < display.height):
        raise ToolFailure(
            f"({x}, {y}) is not on the screen: x is 0 to {display.width - 1} and y is 0 to "
            f"{display.height - 1}"
        )


def _typing(text: str) -> list[str]:
    """What types a text; for the end of a line, `type` has a key that few programs know."""
    actions: list[str] = []
    for number, line in enumerate(text.split("\n")):
        actions += ["key", "--delay", "0", "Return"] if number else []
        actions += ["type", "--delay", "0", "--args", "1", "--", line] if line else []
    return actions


def _to(x: int, y: int) -> list[str]:
    return ["mousemove", str(x), str(y)]
