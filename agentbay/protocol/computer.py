"""The mouse, the keyboard and the screen of a desktop."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from enum import StrEnum
from typing import Any, ClassVar, Self, SupportsIndex, TypeVar, cast

import attrs

from ..errors import InvalidInputError
from ._calls import Content, Tool
from ._checks import WHOLE, a_flag, a_text, at_least
from ._images import PNG, Image, image_format, read_image, write_image
from ._wire import Camel, WireError, decode, encode, from_json, named
from .key_names import key_name

SERVER = "wuying_ui"

E = TypeVar("E", bound=StrEnum)


class MouseButton(StrEnum):
    """A button of the mouse, and how often it is pressed."""

    LEFT = "left"
    RIGHT = "right"
    MIDDLE = "middle"
    DOUBLE_LEFT = "double_left"


class ScrollDirection(StrEnum):
    """Where the content of a window moves to."""

    UP = "up"
    DOWN = "down"
    LEFT = "left"
    RIGHT = "right"


class ScreenshotMode(StrEnum):
    """How a screenshot is taken."""

    NORMAL = "normal"


def mouse_button(button: MouseButton | str) -> MouseButton:
    """Read a button of the mouse.

    Raises:
        InvalidInputError: There is no such button.
    """
    return _one_of(list(MouseButton), "button", button)


def held_button(button: MouseButton | str) -> MouseButton:
    """Read a button of the mouse that can be held down.

    Raises:
        InvalidInputError: There is no such button, or it stands for a double click.
    """
    choices = [item for item in MouseButton if item is not MouseButton.DOUBLE_LEFT]
    return _one_of(choices, "button", button)


def scroll_direction(direction: ScrollDirection | str) -> ScrollDirection:
    """Read a direction.

    Raises:
        InvalidInputError: There is no such direction.
    """
    return _one_of(list(ScrollDirection), "direction", direction)


def _one_of(choices: list[E], name: str, value: object) -> E:
    for choice in choices:
        if choice == value:
            return choice
    known = [choice.value for choice in choices]
    given = value.value if isinstance(value, StrEnum) else value
    raise InvalidInputError(f"Invalid {name} {given!r:.80}. Must be one of {known}")


# -- values ----------------------------------------------------------------------------


class JsonText(str):
    """JSON text of an object whose values can be read like those of a dictionary.

    Programs of one generation parse this text with `json.loads`, those of another one index
    it; both work. Iterating gives the names; `len` is the length of the text.
    """

    __slots__ = ("_values",)

    _shape: ClassVar[Any] = None
    _values: dict[str, Any]

    def __new__(cls, text: str) -> Self:
        """Read the text.

        Raises:
            ValueError: It is not JSON of an object, or lacks a value.
        """
        self = super().__new__(cls, text)
        data = from_json(text)
        shape = decode(cls._shape, data)
        self._values = {**cast("dict[str, Any]", data), **encode(shape)}
        return self

    def __getitem__(self, key: SupportsIndex | slice | str) -> Any:
        """A value by its name, or a part of the text."""
        return self._values[key] if isinstance(key, str) else super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        return key in self._values or (isinstance(key, str) and super().__contains__(key))

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __eq__(self, other: object) -> bool:
        return self._values == other if isinstance(other, Mapping) else super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return super().__hash__()

    def get(self, key: str, default: Any = None) -> Any:
        """A value by its name."""
        return self._values.get(key, default)

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._values.keys()

    def values(self) -> ValuesView[Any]:
        """The values."""
        return self._values.values()

    def items(self) -> ItemsView[str, Any]:
        """The names with their values."""
        return self._values.items()


@attrs.frozen
class _Point:
    x: int
    y: int


@attrs.frozen
class _Size(Camel):
    width: int
    height: int
    dpi_scaling_factor: float = 1.0


class CursorPosition(JsonText):
    """Where the mouse points to, in pixels from the upper left corner of the screen."""

    __slots__ = ()
    _shape = _Point

    @property
    def x(self) -> int:
        """Pixels from the left edge."""
        return int(self["x"])

    @property
    def y(self) -> int:
        """Pixels from the upper edge."""
        return int(self["y"])


class ScreenSize(JsonText):
    """The size of the screen, in pixels."""

    __slots__ = ()
    _shape = _Size

    @property
    def width(self) -> int:
        """In pixels."""
        return int(self["width"])

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self["height"])

    @property
    def dpi_scaling_factor(self) -> float:
        """How much larger than usual things are drawn; 1.0 when the service does not tell."""
        return float(self["dpiScalingFactor"])


# -- tools -----------------------------------------------------------------------------


@attrs.frozen
class ClickMouse(Tool[None], tool="click_mouse", server=SERVER):
    """Click with the mouse."""

    x: int = named(doc="Pixels from the left edge of the screen.", converter=WHOLE)
    y: int = named(doc="Pixels from the upper edge of the screen.", converter=WHOLE)
    button: MouseButton = named(doc="The button.", default=MouseButton.LEFT, converter=mouse_button)


@attrs.frozen
class MoveMouse(Tool[None], tool="move_mouse", server=SERVER):
    """Move the mouse."""

    x: int = named(doc="Pixels from the left edge of the screen.", converter=WHOLE)
    y: int = named(doc="Pixels from the upper edge of the screen.", converter=WHOLE)


@attrs.frozen
class DragMouse(Tool[None], tool="drag_mouse", server=SERVER):
    """Move the mouse with a button held down."""

    from_x: int = named(doc="Where the button goes down.", converter=WHOLE)
    from_y: int = named(doc="Where the button goes down.", converter=WHOLE)
    to_x: int = named(doc="Where the button goes up.", converter=WHOLE)
    to_y: int = named(doc="Where the button goes up.", converter=WHOLE)
    button: MouseButton = named(doc="The button.", default=MouseButton.LEFT, converter=held_button)


@attrs.frozen
class Scroll(Tool[None], tool="scroll", server=SERVER):
    """Turn the wheel of the mouse."""

    x: int = named(doc="Where the mouse points to.", converter=WHOLE)
    y: int = named(doc="Where the mouse points to.", converter=WHOLE)
    direction: ScrollDirection = named(
        doc="Where to.", default=ScrollDirection.UP, converter=scroll_direction
    )
    amount: int = named(doc="How many steps.", default=1, converter=WHOLE, validator=at_least(0))


@attrs.frozen
class GetCursorPosition(Tool[CursorPosition], tool="get_cursor_position", server=SERVER):
    """Tell where the mouse points to."""

    def read(self, text: str) -> CursorPosition:
        """Read the JSON object."""
        return CursorPosition(text)

    def write(self, value: CursorPosition) -> Content:
        """Write the JSON object."""
        return Content(str(value))


@attrs.frozen
class GetScreenSize(Tool[ScreenSize], tool="get_screen_size", server=SERVER):
    """Tell the size of the screen."""

    def read(self, text: str) -> ScreenSize:
        """Read the JSON object."""
        return ScreenSize(text)

    def write(self, value: ScreenSize) -> Content:
        """Write the JSON object."""
        return Content(str(value))


@attrs.frozen
class InputText(Tool[None], tool="input_text", server=SERVER):
    """Type a text where the focus is."""

    text: str = named(doc="The text.", validator=a_text)


def pressed(keys: object) -> list[str]:
    """Read the names of keys.

    Raises:
        InvalidInputError: No list, none in it, or something in it that is no name.
    """
    # One text is a sequence of texts too; ["Ctrl", "c"] was meant.
    if isinstance(keys, str | Mapping) or not isinstance(keys, Iterable):
        raise InvalidInputError(f"keys must be a list of names, not {keys!r:.80}")
    names = list(cast("Iterable[object]", keys))
    if not names or not all(isinstance(name, str) and name for name in names):
        raise InvalidInputError(f"keys must be a list of names, not {names!r:.80}")
    return [key_name(cast(str, name)) for name in names]


@attrs.frozen
class PressKeys(Tool[None], tool="press_keys", server=SERVER):
    """Press keys together."""

    keys: list[str] = named(doc="Names of the keys.", converter=pressed)
    hold: bool = named(doc="Leave them pressed.", default=False, validator=a_flag)


@attrs.frozen
class ReleaseKeys(Tool[None], tool="release_keys", server=SERVER):
    """Release keys that were left pressed."""

    keys: list[str] = named(doc="Names of the keys.", converter=pressed)


@attrs.frozen
class SystemScreenshot(Tool[str], tool="system_screenshot", server="mcp-server"):
    """Take a picture of the screen, and tell an address of it."""

    def read(self, text: str) -> str:
        """The address."""
        address = text.strip()
        if not address:
            raise WireError("there is no address in it")
        return address

    def write(self, value: str) -> Content:
        """The address."""
        return Content(value)


@attrs.frozen
class Screenshot(Tool[Image], tool="screenshot", server="wuying_capture"):
    """Take a picture of the screen."""

    format: str = named(doc="png or jpeg.", default=PNG, converter=image_format)

    def read(self, text: str) -> Image:
        """Read the picture."""
        return read_image(text, self.format)

    def write(self, value: Image) -> Content:
        """Write the picture."""
        return Content(write_image(value))
