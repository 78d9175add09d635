"""The keys of a display: their names, and characters that no key stands for.

`xdotool` types what the keyboard has. What it has not is put on keys that nobody presses, and
stays there as long as there is room: a program asks for the meaning of a key after it was
pressed, so that one which has another meaning by then would come out wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import anyio

from .._errors import ToolFailure
from .display import Display

# Keys for the media of a machine that has none, by their names in xkeyboard-config.
_SPARE = [f"I{number}" for number in (120, *range(147, 191), *range(208, 256))]

# Characters that are typed at once: a second's work at most. Half of the spare keys keep what
# was typed before.
_MOST, _MOST_FOREIGN = 500, len(_SPARE) // 2

# Seconds that programs get to ask what keys stand for, before these stand for something else.
_LATE = 1.0

_PUT = 'setxkbmap -print | sed "$1" | xkbcomp -w0 - "$DISPLAY"'

# By the names that the service takes, as `key_name` makes them.
_KEYSYMS = {
    **dict.fromkeys(("Win", "Meta", "Super", "Command"), "Super_L"),
    "Ctrl": "Control_L", "Alt": "Alt_L", "Shift": "Shift_L",
    "Tab": "Tab", "Enter": "Return", "Escape": "Escape", "Backspace": "BackSpace",
    "Delete": "Delete", "Insert": "Insert", "Home": "Home", "End": "End",
    "PageUp": "Prior", "PageDown": "Next", "Space": "space", "CapsLock": "Caps_Lock",
    "NumLock": "Num_Lock", "ScrollLock": "Scroll_Lock", "PrintScreen": "Print", "Pause": "Pause",
    **{f"Arrow{side}": side for side in ("Up", "Down", "Left", "Right")},
    **{f"F{number}": f"F{number}" for number in range(1, 25)},
}  # fmt: skip
_RARE = frozenset(f"F{number}" for number in range(13, 25))

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def keysym(key: str) -> str:
    """What the X server calls a key.

    Raises:
        ToolFailure: There is no such key.
    """
    if len(key) == 1 and " " <= key <= "~":
        return f"U{ord(key):04X}"
    if key not in _KEYSYMS:
        raise ToolFailure(
            f"there is no key {key!r:.80}: a key is a character of ASCII or one of "
            f"{', '.join(_KEYSYMS)}"
        )
    return _KEYSYMS[key]


def plain(text: str) -> str:
    """A text as it can be typed: its lines end with one character.

    Raises:
        ToolFailure: There are control characters in it other than tabs and ends of lines.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if found := _CONTROL.search(text):
        raise ToolFailure(
            f"the text holds the control character {found[0]!r} at {found.start()}, which no key "
            "stands for: use press_keys"
        )
    return text


def portions(text: str) -> Iterator[str]:
    """A text in parts, each of which the keyboard can have all characters of."""
    begin, foreign = 0, set[str]()
    for place, character in enumerate(text):
        if not _is_usual(character):
            foreign.add(character)
        if place - begin >= _MOST or len(foreign) > _MOST_FOREIGN:
            yield text[begin:place]
            begin, foreign = place, foreign & {character}
    if begin < len(text):
        yield text[begin:]


class Keyboard:
    """What the spare keys of one display stand for."""

    def __init__(self) -> None:
        # Those that were used last come last.
        self._keys: dict[str, str] = {}

    async def learn(self, display: Display, text: str) -> None:
        """Have all characters of a portion of text on the keyboard."""
        foreign = dict.fromkeys(character for character in text if not _is_usual(character))
        await self._have(display, [f"U{ord(character):04X}" for character in foreign])

    async def learn_keys(self, display: Display, keysyms: Iterable[str]) -> None:
        """Have keys on the keyboard that most keyboards lack."""
        await self._have(display, [name for name in keysyms if name in _RARE])

    async def _have(self, display: Display, keysyms: list[str]) -> None:
        missing = [name for name in keysyms if name not in self._keys]
        before = self._keys
        used = {name: before[name] for name in keysyms if name in before}
        self._keys = {name: key for name, key in before.items() if name not in used} | used
        if not missing:
            return
        free = [key for key in _SPARE if key not in self._keys.values()]
        if len(free) < len(missing):
            await anyio.sleep(_LATE)
        for name in missing:
            if not free:
                free.append(self._keys.pop(next(iter(self._keys))))
            self._keys[name] = free.pop(0)
        try:
            await self._put(display)
        except BaseException:  # cancelled too: the display has the keys that it had before
            self._keys = before
            raise

    async def _put(self, display: Display) -> None:
        """Add the spare keys to the layout of the display, which its user may have chosen."""
        keys = " ".join(
            f'key <{key}> {{ type= "ONE_LEVEL", symbols[Group1]= [ {name} ] }};'
            for name, key in self._keys.items()
        )
        # Its line is `xkb_symbols { include "pc+us" };`: this goes in at the end.
        await display.run("/bin/sh", "-c", _PUT, "sh", f's@^.*xkb_symbols.*"@& {keys}@')


def _is_usual(character: str) -> bool:
    """Whether every keyboard has it."""
    return " " <= character <= "~" or character in "\n\t"
