"""The windows of a desktop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import attrs

from ._calls import Content, Tool
from ._checks import WHOLE, a_flag, at_least
from ._wire import WireError, decode, encode, from_json, named, to_json

T = TypeVar("T")

SERVER = "wuying_ui"
DEFAULT_TIMEOUT_MS = 3000


@attrs.frozen
class Window:
    """A window of a desktop.

    Attributes:
        window_id: What the methods for one window take.
        title: The text in its title bar.
        absolute_upper_left_x: Distance from the left edge of the screen, in pixels.
        absolute_upper_left_y: Distance from the upper edge of the screen, in pixels.
        width: In pixels.
        height: In pixels.
        pid: The process that the window belongs to.
        pname: The name of that process.
        child_windows: The windows inside of it.
    """

    window_id: int
    title: str = named("window_title", also=("title",), default="")
    absolute_upper_left_x: int | None = None
    absolute_upper_left_y: int | None = None
    width: int | None = None
    height: int | None = None
    pid: int | None = None
    pname: str | None = None
    child_windows: list[Window] = attrs.field(factory=list["Window"])

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Window:
        """Make one from an entry of the service's list.

        Raises:
            ValueError: The entry has another shape.
        """
        return decode(cls, data)


def _written(window: Window) -> dict[str, Any]:
    """A window as it travels; clients of the first generation read ``title``."""
    children = [_written(child) for child in window.child_windows]
    return {**encode(window), "title": window.title, "child_windows": children}


def _read(kind: type[T], data: Any) -> T:
    try:
        return decode(kind, data)
    except RecursionError as exc:
        raise WireError("the windows are nested too deep") from exc


class _Windows(Tool[list[Window]]):
    __slots__ = ()

    def read(self, text: str) -> list[Window]:
        """Read the JSON list; nothing at all means that there is no window."""
        return _read(list[Window], from_json(text.strip() or "[]"))

    def write(self, value: list[Window]) -> Content:
        """Write the JSON list."""
        return Content(to_json([_written(window) for window in value]))


class _Window(Tool[Window | None]):
    __slots__ = ()

    def read(self, text: str) -> Window | None:
        """Read the JSON object; nothing at all means that there is no such window."""
        data = from_json(text.strip() or "null")
        return None if data is None else _read(Window, data)

    def write(self, value: Window | None) -> Content:
        """Write the JSON object."""
        return Content("" if value is None else to_json(_written(value)))


@attrs.frozen
class ListRootWindows(_Windows, tool="list_root_windows", server=SERVER):
    """List the windows that are in no other one."""

    timeout_ms: int = named(
        doc="Time limit in milliseconds.",
        default=DEFAULT_TIMEOUT_MS,
        converter=WHOLE,
        validator=at_least(0),
    )


@attrs.frozen
class ListAllWindows(_Windows, tool="list_all_windows", server=SERVER):
    """List the windows, those inside of others included."""

    timeout_ms: int = named(
        doc="Time limit in milliseconds.",
        default=DEFAULT_TIMEOUT_MS,
        converter=WHOLE,
        validator=at_least(0),
    )


@attrs.frozen
class GetActiveWindow(_Window, tool="get_active_window", server=SERVER):
    """Tell which window has the focus."""

    timeout_ms: int | None = named(
        doc="Time limit in milliseconds; services of today take none.",
        default=None,
        converter=attrs.converters.optional(WHOLE),
        validator=attrs.validators.optional(at_least(0)),
    )


@attrs.frozen
class GetWindowInfo(_Window, tool="get_window_info", server=SERVER):
    """Tell about one window."""

    window_id: int = named(doc="The window.", converter=WHOLE)


@attrs.frozen
class ActivateWindow(Tool[None], tool="activate_window", server=SERVER):
    """Bring a window to the front and give it the focus."""

    window_id: int = named(doc="The window.", converter=WHOLE)


@attrs.frozen
class CloseWindow(Tool[None], tool="close_window", server=SERVER):
    """Close a window."""

    window_id: int = named(doc="The window.", converter=WHOLE)


@attrs.frozen
class MaximizeWindow(Tool[None], tool="maximize_window", server=SERVER):
    """Let a window fill the screen beside panels."""

    window_id: int = named(doc="The window.", converter=WHOLE)


@attrs.frozen
class MinimizeWindow(Tool[None], tool="minimize_window", server=SERVER):
    """Hide a window but for its place in the task bar."""

    window_id: int = named(doc="The window.", converter=WHOLE)


@attrs.frozen
class RestoreWindow(Tool[None], tool="restore_window", server=SERVER):
    """Undo maximizing, minimizing and full screen."""

    window_id: int = named(doc="The window.", converter=WHOLE)


@attrs.frozen
class FullscreenWindow(Tool[None], tool="fullscreen_window", server=SERVER):
    """Let a window fill the whole screen."""

    window_id: int = named(doc="The window.", converter=WHOLE)


@attrs.frozen
class ResizeWindow(Tool[None], tool="resize_window", server=SERVER):
    """Change the size of a window."""

    window_id: int = named(doc="The window.", converter=WHOLE)
    width: int = named(doc="In pixels.", converter=WHOLE, validator=at_least(1))
    height: int = named(doc="In pixels.", converter=WHOLE, validator=at_least(1))


@attrs.frozen
class MoveWindow(Tool[None], tool="move_window", server=SERVER):
    """Put the upper left corner of a window somewhere else."""

    window_id: int = named(doc="The window.", converter=WHOLE)
    x: int = named(doc="Pixels from the left edge of the screen.", converter=WHOLE)
    y: int = named(doc="Pixels from the upper edge of the screen.", converter=WHOLE)


@attrs.frozen
class FocusMode(Tool[None], tool="focus_mode", server=SERVER):
    """Keep the focus where it is when a window opens, or end that."""

    on: bool = named(doc="Whether to keep the focus.", validator=a_flag)
