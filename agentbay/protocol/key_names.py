"""The names of the keys of a desktop's keyboard, as the service takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

# What programs write, in lower case, by what the service takes.
_SPELLINGS: dict[str, tuple[str, ...]] = {
    "Ctrl": ("control",),
    "Alt": (),
    "Shift": (),
    "Win": ("windows",),
    "Meta": (),
    "Super": (),
    "Command": ("cmd",),
    "Tab": (),
    "Enter": ("return",),
    "Escape": ("esc",),
    "Backspace": (),
    "Delete": ("del",),
    "Insert": ("ins",),
    "Home": (),
    "End": (),
    "PageUp": ("pgup",),
    "PageDown": ("pgdn",),
    "Space": (),
    "CapsLock": (),
    "NumLock": (),
    "ScrollLock": (),
    "PrintScreen": ("prtsc",),
    "Pause": ("break",),
    "ArrowUp": ("up",),
    "ArrowDown": ("down",),
    "ArrowLeft": ("left",),
    "ArrowRight": ("right",),
    "-": ("minus",),
    "=": ("equal",),
    "[": ("leftbracket",),
    "]": ("rightbracket",),
    "\\": ("backslash",),
    ";": ("semicolon",),
    "'": ("quote",),
    ",": ("comma",),
    ".": ("period",),
    "/": ("slash",),
    "`": ("backtick",),
    **{f"F{number}": () for number in range(1, 25)},
}

_NAMES = {
    spelling: name for name, others in _SPELLINGS.items() for spelling in (name.lower(), *others)
}


def key_name(key: str) -> str:
    """The name that the service takes for a key; one that is not known stays as it is.

    Letters are lower case; names are found in any case, and under their common short forms.
    """
    if len(key) == 1 and key.isascii():
        return key.lower()
    return _NAMES.get(key.lower(), key)


def with_key_names(tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of any tool, with its keys under the names that the service takes.

    Nothing is refused here: what is no list of keys stays as it is.
    """
    keys = arguments.get("keys")
    if tool not in ("press_keys", "release_keys") or not isinstance(keys, list | tuple):
        return dict(arguments)
    given = cast("list[object]", keys)
    return {**arguments, "keys": [key_name(k) if isinstance(k, str) else k for k in given]}
