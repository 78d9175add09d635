"""The applications of the start menu and of the desktop, from their `.desktop` files."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from typing import Any

_SYSTEM = ("/usr/local/share/applications", "/usr/share/applications")
_GROUP = "[Desktop Entry]"
_LARGEST = 256 * 1024
_MOST = 2000

# Set-up tools and background services; what opens a terminal or files is for everybody.
_SYSTEM_CATEGORIES = {"Settings", "PackageManager", "Screensaver"}
_TERMINALS = ("x-terminal-emulator", "xterm")

_ESCAPES = {"s": " ", "n": "\n", "t": "\t", "r": "\r"}

Entry = dict[str, Any]


def installed(arguments: dict[str, Any], _body: bytes) -> tuple[dict[str, Any], bytes]:
    """The applications of the start menu, of the desktop, or of both, by their name."""
    environment: dict[str, str] = arguments.get("environment") or {}
    variables = {**os.environ, **environment}
    home, path = os.environ["HOME"], variables.get("PATH", os.defpath)
    places: list[str] = []
    if arguments.get("desktop"):
        places.append(os.path.join(home, "Desktop"))
    if arguments.get("start_menu"):
        places += [os.path.join(home, ".local/share/applications"), *_SYSTEM]
    found: dict[str, Entry | None] = {}
    for place in places:
        for name, file in _files(place):
            # A file of the user hides that of the system which has the same name.
            if name not in found and len(found) < _MOST:
                found[name] = _entry(file, path)
    entries = [entry for entry in found.values() if entry is not None]
    return {"apps": sorted(entries, key=lambda entry: entry["name"].lower())}, b""


def _files(place: str) -> Iterator[tuple[str, str]]:
    for directory, directories, names in os.walk(place):
        directories.sort()
        for name in sorted(names):
            if name.endswith(".desktop"):
                file = os.path.join(directory, name)
                yield os.path.relpath(file, place).replace("/", "-"), file


def _entry(file: str, path: str) -> Entry | None:
    """What a file tells of an application that can be started; else None."""
    # Not at the top: every session would pay for it at its start.
    import shlex
    import shutil

    fields = _fields(file)
    if fields.get("Type") != "Application" or _is(fields, "Hidden"):
        return None
    needed = fields.get("TryExec")
    command = _command(_unescaped(fields.get("Exec", "")))
    if command and _is(fields, "Terminal"):
        terminal = next((name for name in _TERMINALS if shutil.which(name, path=path)), None)
        command = [terminal, "-e", *command] if terminal else []
    if not command or not all(shutil.which(p, path=path) for p in (needed, command[0]) if p):
        return None
    categories = set(fields.get("Categories", "").split(";"))
    special = _is(fields, "NoDisplay") or bool(fields.get("OnlyShowIn"))
    return {
        "name": _unescaped(fields.get("Name", "")) or os.path.basename(command[0]),
        "start_cmd": shlex.join(command),
        "work_directory": _unescaped(fields.get("Path", "")),
        "system": special or bool(categories & _SYSTEM_CATEGORIES),
    }


def _fields(file: str) -> dict[str, str]:
    """The fields of the first group, as they are written; none if that is no entry."""
    try:
        lines = _text(file).split("\n")
    except OSError:
        return {}
    fields: dict[str, str] = {}
    group = ""
    for line in lines:
        key, equals, value = line.partition("=")
        if line.startswith("["):
            group = line.strip()
        elif equals and group == _GROUP and not line.startswith("#"):
            fields.setdefault(key.strip(), value.strip())
    return fields


def _text(file: str) -> str:
    # A pipe in the place of a file would be waited for.
    with open(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            return ""
        return opened.read(_LARGEST).decode(errors="replace")


def _is(fields: dict[str, str], name: str) -> bool:
    return fields.get(name, "").lower() == "true"


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text)


def _command(text: str) -> list[str]:
    """A command without the places for files, addresses and icons."""
    import shlex

    try:
        words = shlex.split(text)
    except ValueError:
        return []
    kept = [word for word in words if not re.fullmatch(r"%[A-Za-z]", word)]
    return [re.sub(r"%(.)", lambda found: "%" if found[1] == "%" else "", word) for word in kept]


PLAIN = {"installed_apps": installed}
