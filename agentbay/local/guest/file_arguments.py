"""Checks of the arguments that the file operations share."""

from __future__ import annotations

import os

from .failure import Failure

# Type checkers take this name for true; importing `typing` would slow every session's start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The largest offset that the kernel accepts.
_LARGEST = 2**63 - 1


def text(arguments: dict[str, Any], name: str) -> str:
    """Return an argument that has to be a string; it may be empty."""
    value = arguments.get(name)
    if not isinstance(value, str):
        raise Failure(f"{name} must be a string")
    return value


def texts(arguments: dict[str, Any], name: str) -> list[str]:
    """Return an argument that has to be a list of strings; missing means empty."""
    if not isinstance(arguments.get(name, []), list):
        raise Failure(f"{name} must be a list of strings")
    values: list[object] = arguments.get(name, [])
    return [text({name: value}, name) for value in values]


def count(arguments: dict[str, Any], name: str) -> int:
    """Return an argument that has to be a whole number from 0; missing means 0."""
    value = arguments.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LARGEST:
        raise Failure(f"{name} must be a whole number from 0")
    return value


def flag(arguments: dict[str, Any], name: str) -> bool:
    """Return an argument that has to be true or false; missing means false."""
    value = arguments.get(name, False)
    if not isinstance(value, bool):
        raise Failure(f"{name} must be true or false")
    return value


def path(arguments: dict[str, Any], name: str = "path") -> str:
    """Return an argument that names a file, as an absolute path."""
    return absolute(text(arguments, name), name)


def absolute(value: str, name: str) -> str:
    """Make a path absolute: a relative one starts in the home directory."""
    if not value:
        raise Failure(f"{name} must not be empty")
    if "\0" in value:
        raise Failure(f"{name} must not contain a NUL character")
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        raise Failure(f"{name} is not valid text") from None
    joined = os.path.join(os.environ.get("HOME") or "/", value)
    # After a symbolic link ".." is not the parent that the text shows, so the kernel resolves it.
    return joined if ".." in joined.split("/") else os.path.normpath(joined)
