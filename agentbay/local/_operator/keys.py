"""What a browser is told of a key that is pressed."""

from __future__ import annotations

import attrs

from .._errors import ToolFailure


@attrs.frozen
class Key:
    """A key as pages see it.

    Attributes:
        key: What it means, such as ``Enter`` or ``a``.
        code: Which one it is, on the keyboard of the United States.
        number: Its number in older programs.
        text: What it writes.
        bit: Which modifier it is; 0 for none.
    """

    key: str
    code: str = ""
    number: int = 0
    text: str = ""
    bit: int = 0


_NAMED = {
    "enter": Key("Enter", "Enter", 13, "\r"),
    "tab": Key("Tab", "Tab", 9),
    "backspace": Key("Backspace", "Backspace", 8),
    "delete": Key("Delete", "Delete", 46),
    "insert": Key("Insert", "Insert", 45),
    "escape": Key("Escape", "Escape", 27),
    "space": Key(" ", "Space", 32, " "),
    "home": Key("Home", "Home", 36),
    "end": Key("End", "End", 35),
    "pageup": Key("PageUp", "PageUp", 33),
    "pagedown": Key("PageDown", "PageDown", 34),
    "arrowleft": Key("ArrowLeft", "ArrowLeft", 37),
    "arrowup": Key("ArrowUp", "ArrowUp", 38),
    "arrowright": Key("ArrowRight", "ArrowRight", 39),
    "arrowdown": Key("ArrowDown", "ArrowDown", 40),
    "alt": Key("Alt", "AltLeft", 18, bit=1),
    "control": Key("Control", "ControlLeft", 17, bit=2),
    "meta": Key("Meta", "MetaLeft", 91, bit=4),
    "shift": Key("Shift", "ShiftLeft", 16, bit=8),
    **{f"f{n}": Key(f"F{n}", f"F{n}", 111 + n) for n in range(1, 13)},
}

_SHORT = {
    "return": "enter",
    "esc": "escape",
    "del": "delete",
    "ctrl": "control",
    "controlormeta": "control",
    "cmd": "meta",
    "command": "meta",
    "win": "meta",
    "option": "alt",
    "left": "arrowleft",
    "up": "arrowup",
    "right": "arrowright",
    "down": "arrowdown",
}

# The keys of signs: what they write, alone and with shift, and their codes and numbers.
_SIGNS = {
    "`~": ("Backquote", 192),
    "-_": ("Minus", 189),
    "=+": ("Equal", 187),
    "[{": ("BracketLeft", 219),
    "]}": ("BracketRight", 221),
    "\\|": ("Backslash", 220),
    ";:": ("Semicolon", 186),
    "'\"": ("Quote", 222),
    ",<": ("Comma", 188),
    ".>": ("Period", 190),
    "/?": ("Slash", 191),
    **{f"{n}{sign}": (f"Digit{n}", 48 + n) for n, sign in enumerate(")!@#$%^&*(")},
}
_BY_SIGN = {sign: place for signs, place in _SIGNS.items() for sign in signs}


def keys_of(combination: str) -> list[Key]:
    """The keys of a combination such as ``Control+Shift+a``, in the order of pressing.

    Raises:
        ToolFailure: There is no such key.
    """
    names = combination.split("+")
    if combination == "+" or combination.endswith("++"):  # the plus itself
        names = [*(name for name in names if name), "+"]
    return [_key(name if len(name) == 1 else name.strip()) for name in names]


def written_with(character: str) -> Key | None:
    """The key that writes a character; None when the keyboard has none."""
    if character in "\r\n":
        return _NAMED["enter"]
    if character == "\t":
        return _NAMED["tab"]
    if character == " ":
        return _NAMED["space"]
    if character.isascii() and character.isalpha():
        code = ord(character.upper())
        return Key(character, f"Key{character.upper()}", code, character)
    if character in _BY_SIGN:
        return Key(character, *_BY_SIGN[character], character)
    return None


def _key(name: str) -> Key:
    short = name.lower()
    if found := _NAMED.get(_SHORT.get(short, short)):
        return found
    if len(name) == 1:
        return written_with(name) or Key(name, text=name)
    raise ToolFailure(f"there is no key {name!r:.40}: such as Enter, ArrowDown or Control+a")
