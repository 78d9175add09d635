"""What a person sees and does in the live view of a session."""

from __future__ import annotations

from typing import Protocol, cast

import attrs

from ...protocol._wire import WireError, decode, from_json
from .. import computer
from ..sandbox import Sandbox
from .display import Display, ensure
from .screen import picture

# Characters of a message, events in it, and steps of the wheel in one event.
LONGEST_MESSAGE = 16 * 1024
_MOST_EVENTS, _MOST_STEPS = 64, 10
_LONGEST_TEXT = 4000

_BUTTONS = {0: 1, 1: 2, 2: 3}
_UP, _DOWN, _LEFT, _RIGHT = 4, 5, 6, 7

# Names of keys in web browsers, and in X.
_KEYS = {
    "Enter": "Return", "Tab": "Tab", "Escape": "Escape", "Backspace": "BackSpace",
    "Delete": "Delete", "Insert": "Insert", "Home": "Home", "End": "End", "PageUp": "Prior",
    "PageDown": "Next", "ArrowUp": "Up", "ArrowDown": "Down", "ArrowLeft": "Left",
    "ArrowRight": "Right", "Shift": "Shift_L", "Control": "Control_L", "Alt": "Alt_L",
    "Meta": "Super_L", "AltGraph": "ISO_Level3_Shift", "CapsLock": "Caps_Lock",
    "ContextMenu": "Menu", "Pause": "Pause", "PrintScreen": "Print",
    **{f"F{number}": f"F{number}" for number in range(1, 13)},
}  # fmt: skip

_MODIFIERS = ("Shift_L", "Control_L", "Alt_L", "Super_L", "ISO_Level3_Shift", "Caps_Lock")

_KINDS = ("move", "down", "up", "wheel", "keydown", "keyup", "text")


@attrs.frozen
class Event:
    """Something that a person did.

    Attributes:
        kind: What it was.
        x: Where, in pixels of the screen.
        y: The same.
        button: Which button, as web browsers number them.
        right: How many steps the wheel went to the right; negative to the left.
        down: How many steps the wheel went down; negative up.
        key: The key, as web browsers name it: what it types, or a name.
        text: What was typed.
    """

    kind: str
    x: int = 0
    y: int = 0
    button: int = 0
    right: int = 0
    down: int = 0
    key: str = ""
    text: str = attrs.field(default="", repr=False)


@attrs.frozen
class _Message:
    events: list[Event]


def read_events(text: str) -> list[Event]:
    """Read a message.

    Raises:
        WireError: It makes no sense, or tells of what cannot be.
    """
    if len(text) > LONGEST_MESSAGE:
        raise WireError("the message is too long")
    events = decode(_Message, from_json(text)).events
    if len(events) > _MOST_EVENTS:
        raise WireError("there are too many events in a message")
    for event in events:
        _check(event)
    return events


def _check(event: Event) -> None:
    if event.kind not in _KINDS:
        raise WireError("there is no such event")
    if event.kind in ("down", "up") and event.button not in _BUTTONS:
        raise WireError("there is no such button")
    if max(abs(event.right), abs(event.down)) > _MOST_STEPS:
        raise WireError("the wheel turns too far")
    if event.kind in ("keydown", "keyup") and _key(event.key) is None:
        raise WireError("there is no such key")
    if event.kind == "text" and not 0 < len(event.text) <= _LONGEST_TEXT:
        raise WireError("the text is too long, or there is none")


def _key(name: str) -> str | None:
    """The name of a key in X; None for what is no key."""
    if name == " ":
        return "space"
    if len(name) == 1 and name.isprintable():
        return f"U{ord(name):04X}"
    return _KEYS.get(name)


class Hands(Protocol):
    """The fingers of one person."""

    async def act(self, events: list[Event]) -> None:
        """Do what the person did; of movements that follow each other, only the last one.

        Raises:
            ToolFailure: The screen does not take it.
            EngineError: The session is gone.
        """

    async def let_go(self) -> None:
        """Release what is still held, as when the person leaves; raises the same."""


class Screen(Protocol):
    """What a live view shows and uses."""

    async def digest(self) -> object:
        """What is another value when something else is on the screen; None if unknown.

        Raises:
            ToolFailure: There is no screen; says why.
            EngineError: The session is gone.
        """

    async def picture(self) -> bytes:
        """What is on the screen, as PNG; raises the same."""
        ...

    async def hands(self) -> Hands:
        """What a person uses the screen with; raises the same."""
        ...


class DesktopScreen:
    """The display of a session."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def digest(self) -> object:
        await ensure(self._sandbox)
        return (await self._sandbox.call("screen_digest", {})).data.get("digest")

    async def picture(self) -> bytes:
        return (await picture(await ensure(self._sandbox))).data

    async def hands(self) -> Hands:
        return _DesktopHands(await ensure(self._sandbox))


class _DesktopHands:
    """A mouse and a keyboard."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._shared = computer.hands(display.sandbox)
        self._held: dict[str, tuple[str, str]] = {}

    async def act(self, events: list[Event]) -> None:
        arguments: list[str] = []
        for event, following in zip(events, [*events[1:], None], strict=True):
            if event.kind == "move" and following is not None and following.kind == "move":
                continue
            arguments += self._arguments(event)
            if text := _typed(event):
                await self._run(arguments)
                arguments = []
                await self._shared.type(self._display, text)
        await self._run(arguments)

    async def let_go(self) -> None:
        held, self._held = list(self._held.values()), {}
        await self._run([word for words in held for word in words])

    async def _run(self, arguments: list[str]) -> None:
        if arguments:
            await self._shared.use(self._display, *arguments)

    def _arguments(self, event: Event) -> list[str]:
        if event.kind in ("keydown", "keyup"):
            return self._press(event)
        if event.kind == "text":
            return []
        x = min(max(event.x, 0), self._display.width - 1)
        y = min(max(event.y, 0), self._display.height - 1)
        place = ["mousemove", str(x), str(y)]
        if event.kind in ("down", "up"):
            number = str(_BUTTONS[event.button])
            return [*place, *self._hold(event.kind == "down", "mousedown", "mouseup", number)]
        return [*place, *_steps(event.right, _RIGHT, _LEFT), *_steps(event.down, _DOWN, _UP)]

    def _press(self, event: Event) -> list[str]:
        key = cast("str", _key(event.key))
        if len(event.key) > 1:
            if event.kind == "keydown" and key in self._held and key not in _MODIFIERS:
                # The browser of the viewer repeats it, and sooner than the display would.
                return ["keyup", key, "keydown", key]
            return self._hold(event.kind == "keydown", "keydown", "keyup", key)
        # Pressed and released at once: which one goes up may be another one than went down.
        return ["key", key] if event.kind == "keydown" and event.key.isascii() else []

    def _hold(self, pressed: bool, down: str, up: str, what: str) -> list[str]:
        if pressed:
            self._held[what] = (up, what)
            return [down, what]
        self._held.pop(what, None)
        return [up, what]


def _typed(event: Event) -> str:
    """What an event types that is on no key of the display's keyboard."""
    if event.kind == "keydown" and len(event.key) == 1 and not event.key.isascii():
        return event.key
    return event.text if event.kind == "text" else ""


def _steps(count: int, forward: int, back: int) -> list[str]:
    if not count:
        return []
    button = str(forward if count > 0 else back)
    return ["click", "--delay", "0", "--repeat", str(abs(count)), button]
