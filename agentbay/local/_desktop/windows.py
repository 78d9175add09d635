"""The windows of a session, as its window manager and its X server tell of them.

What is said comes from programs of the session and is not trusted: at worst a window lies
about itself.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence

import anyio
import attrs

from ...protocol._wire import WireError, decode
from ...protocol.window import Window
from .._errors import ToolFailure
from ..sandbox import Sandbox
from .display import INSTALL, Display

# Seconds for the programs that are asked; for a change to show, and between two looks at it. They
# take a tenth of one, and much longer on a machine that is busy.
LIMIT = 20.0
_CHANGE_LIMIT, _LOOK = 8.0, 0.05

# Windows that are told of, and rows that one may have inside; and characters of a title.
_MOST, _MOST_INNER, _LONGEST = 200, 200, 1000

_PROPERTIES = "_NET_WM_NAME WM_NAME _NET_WM_PID _NET_WM_STATE _NET_FRAME_EXTENTS"

_MISSING = "missing: "
_CHECK = f"""
for name in xprop xwininfo wmctrl xdotool; do
  command -v $name >/dev/null || {{ echo "{_MISSING}$name"; exit 0; }}
done
"""
_ROOT = """
root=$(xprop -root -notype _NET_CLIENT_LIST _NET_ACTIVE_WINDOW)
printf '%s\\n' "$root"
"""
# Texts of titles are asked for as numbers: they may hold whatever would end a line.
_LOOK_AT = f"""
for id in $(printf %s "$ids" | tr , ' '); do
  printf '%s\\n%s\\n' {{mark}} "$id"
  xprop -id "$id" -notype -f _NET_WM_NAME 8x -f WM_NAME 8x {_PROPERTIES} 2>/dev/null
  printf '%s\\n' {{mark}}
  xwininfo -id "$id" -int -stats 2>/dev/null | tail -n 24
  printf '%s\\n' {{mark}}
  xwininfo -id "$id" -int -tree 2>/dev/null | head -n {_MOST_INNER}
done
exit 0
"""
_ALL = f"""
ids=$(printf '%s\\n' "$root" | sed -n 's/^_NET_CLIENT_LIST:.*# //p' | cut -d, -f1-{_MOST})
"""

_ID = re.compile(r"\b0x[0-9a-f]{1,8}\b")
_ACTIVE = re.compile(r"^_NET_ACTIVE_WINDOW:.*# (0x[0-9a-f]{1,8})", re.MULTILINE)
_LISTED = re.compile(r"^_NET_CLIENT_LIST:.*# (.+)$", re.MULTILINE)
_INNER = re.compile(
    r'^(?P<indent> +)(?P<id>\d{1,10}) (?:\(has no name\)|"(?P<name>.*)"): \(.*\)'
    r" +(?P<width>\d{1,5})x(?P<height>\d{1,5})\+-?\d{1,6}\+-?\d{1,6}"
    r"  \+(?P<x>-?\d{1,6})\+(?P<y>-?\d{1,6})$"
)

Done = Callable[["Seen | None"], bool]


@attrs.frozen
class Seen:
    """A window that the window manager has.

    Attributes:
        window: What clients are told. Its place and its size include the frame.
        states: The names of what it is, such as ``HIDDEN``.
        frame: How wide the frame is: left, right, above and below, in pixels.
        active: Whether it has the focus.
    """

    window: Window
    states: frozenset[str]
    frame: tuple[int, int, int, int]
    active: bool

    @property
    def minimized(self) -> bool:
        return "HIDDEN" in self.states

    @property
    def maximized(self) -> bool:
        return self.states >= {"MAXIMIZED_VERT", "MAXIMIZED_HORZ"}

    @property
    def fullscreen(self) -> bool:
        return "FULLSCREEN" in self.states


@attrs.frozen
class _Named:
    """A process, as the guest tells of it."""

    pid: int
    pname: str


async def seen(display: Display, *, limit: float = LIMIT) -> list[Seen]:
    """All windows that the window manager has, the one that was opened first at the top.

    Raises:
        ToolFailure: The X server or its programs do not answer.
        EngineError: The session is gone (`SessionLost`).
    """
    return await _look(display, _ALL, limit=limit)


async def find(display: Display, window_id: int) -> Seen:
    """The window of a number.

    Raises:
        ToolFailure: There is none, or it is inside of another one.
    """
    everything = await seen(display)
    for found in everything:
        if found.window.window_id == window_id:
            return found
    for found in everything:
        if any(window.window_id == window_id for window in within(found.window)):
            outer = found.window.window_id
            raise ToolFailure(f"window {window_id} is inside of window {outer}: use that one")
    raise unknown(window_id)


def unknown(window_id: int) -> ToolFailure:
    """The error about a window that is not there."""
    return ToolFailure(
        f"there is no window {window_id}: it may have been closed; list_root_windows tells which "
        "there are"
    )


def within(window: Window) -> list[Window]:
    """The windows inside of a window, at any depth."""
    found = list(window.child_windows)
    for child in found:
        found += child.child_windows
    return found


async def change(
    display: Display, window: Seen, commands: Sequence[str], done: Done
) -> Seen | None:
    """Ask the window manager for something and wait until it is done.

    Args:
        display: The screen.
        window: What to change.
        commands: Shell commands, with ``{id}`` for the window.
        done: Whether the window, None when it is gone, is as it was asked for.

    Returns:
        The window as it is in the end, asked for or not; None when it is gone.
    """
    number = hex(window.window.window_id)
    todo = "".join(f"{command.format(id=number)} >/dev/null 2>&1\n" for command in commands)
    deadline = anyio.current_time() + _CHANGE_LIMIT
    while True:
        found = await _look(display, f"ids={number}\n", before=todo)
        last = found[0] if found else None
        if done(last) or anyio.current_time() > deadline:
            return last
        todo = ""
        await anyio.sleep(_LOOK)


async def _look(
    display: Display, ids: str, *, before: str = "", limit: float = LIMIT
) -> list[Seen]:
    mark = secrets.token_hex(8)
    script = _CHECK + before + _ROOT + ids + _LOOK_AT.format(mark=mark)
    text = await display.run("/bin/sh", "-c", script, time_limit=limit)
    if text.startswith(_MISSING):
        name = text.removeprefix(_MISSING).strip()[:40]
        raise ToolFailure(f"windows need {name} on the machine of the engine: `{INSTALL}`")
    root, *parts = text.split(f"{mark}\n")
    active, clients = _ACTIVE.search(root), _LISTED.search(root)
    focus = _hexadecimal(active[1]) if active else 0
    listed = set(map(_hexadecimal, _ID.findall(clients[1]))) if clients else set[int]()
    thirds = zip(parts[0::3], parts[1::3], parts[2::3], strict=False)
    found = [_seen(*third, focus=focus) for third in thirds]
    alive = [one for one in found if one is not None and one.window.window_id in listed]
    names = await _names(display.sandbox) if alive else {}
    return [attrs.evolve(one, window=_owned(one.window, one.window.pid, names)) for one in alive]


def _hexadecimal(text: str) -> int:
    return int(text, 16)


def _seen(properties: str, place: str, tree: str, *, focus: int) -> Seen | None:
    """Read what was said about one window; None when it closed meanwhile."""
    number = _ID.match(properties)
    names = ("Absolute upper-left X", "Absolute upper-left Y", "Width", "Height")
    x, y, width, height = (_number(place, name) for name in names)
    if number is None or x is None or y is None or width is None or height is None:
        return None
    match _numbers(properties, "_NET_FRAME_EXTENTS"):
        case [left, right, above, below]:
            pass
        case _:
            left = right = above = below = 0
    window = Window(
        _hexadecimal(number[0]),
        _title(properties),
        x - left,
        y - above,
        width + left + right,
        height + above + below,
        next(iter(_numbers(properties, "_NET_WM_PID")), None),
        child_windows=_inner(tree),
    )
    states = re.findall(r"_NET_WM_STATE_(\w+)", _line(properties, "_NET_WM_STATE"))
    frame = (left, right, above, below)
    return Seen(window, frozenset(states), frame, window.window_id == focus)


def _title(properties: str) -> str:
    for name, encoding in (("_NET_WM_NAME", "utf-8"), ("WM_NAME", "latin-1")):
        codes = re.findall(r"0x([0-9a-f]{1,2})\b", _line(properties, name))
        if codes:
            text = bytes(int(code, 16) for code in codes).decode(encoding, "replace")
            return text.rstrip("\0")[:_LONGEST]
    return ""


def _line(properties: str, name: str) -> str:
    found = re.search(rf"^{name}(?: = |: )(.*)$", properties, re.MULTILINE)
    return found[1] if found else ""


def _numbers(properties: str, name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\b\d{1,10}\b", _line(properties, name))]


def _number(text: str, name: str) -> int | None:
    found = re.search(rf"^  {name}: +(-?\d{{1,6}})$", text, re.MULTILINE)
    return int(found[1]) if found else None


def _inner(text: str) -> list[Window]:
    """The windows inside, in their order from top to bottom; `xwininfo` indents them."""
    top: list[Window] = []
    open_rows: list[tuple[int, list[Window]]] = [(0, top)]
    for line in text.split("\n"):
        if not (row := _INNER.match(line)):
            continue
        depth = len(row["indent"])
        while len(open_rows) > 1 and open_rows[-1][0] >= depth:
            open_rows.pop()
        x, y, width, height = (int(row[name]) for name in ("x", "y", "width", "height"))
        children: list[Window] = []
        name = (row["name"] or "")[:_LONGEST]
        window = Window(int(row["id"]), name, x, y, width, height, child_windows=children)
        open_rows[-1][1].append(window)
        open_rows.append((depth, children))
    return top


async def _names(sandbox: Sandbox) -> dict[int, str]:
    """The names of the session's processes."""
    reply = await sandbox.call("list_processes", {}, time_limit=LIMIT)
    try:
        return {one.pid: one.pname for one in decode(list[_Named], reply.data.get("processes"))}
    except WireError as exc:
        raise ToolFailure("the session sent a reply that is not valid") from exc


def _owned(window: Window, pid: int | None, names: Mapping[int, str]) -> Window:
    """The window with the process that it belongs to, and those inside with the same."""
    children = [_owned(child, pid, names) for child in window.child_windows]
    name = None if pid is None else names.get(pid)
    return attrs.evolve(window, pid=pid, pname=name, child_windows=children)
