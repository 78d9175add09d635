"""What is on the screen of a mobile device, and the fingers and keys on it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import attrs

from ..errors import InvalidInputError, UIError
from ._calls import Content, Tool
from ._checks import WHOLE, at_least
from ._wire import WireError, from_json, named, shape, to_json
from .computer import MouseButton, held_button

SERVER = "wuying_ui"
DEFAULT_TIMEOUT_MS = 2000
JSON, XML = "json", "xml"

_NUMBERS = re.compile(r"\[?(-?\d+),(-?\d+)(?:\]\[|,)(-?\d+),(-?\d+)\]?")
_SIDES = ("left", "top", "right", "bottom")
_DEFAULTS: dict[str, Any] = {
    "bounds": "",
    "className": "",
    "text": "",
    "type": "",
    "resourceId": "",
    "index": -1,
    "isParent": False,
}


class UIElement(dict[str, Any]):
    """Something on the screen: a dictionary with the usual facts as attributes.

    The key ``bounds_rect`` holds the rectangle that ``bounds`` describes as a dictionary of
    ``left``, ``top``, ``right`` and ``bottom``; None when it describes none.
    """

    @property
    def bounds(self) -> Any:
        """Where it is, as the service tells it."""
        return self.get("bounds", "")

    @property
    def bounds_rect(self) -> dict[str, int] | None:
        """Where it is, in pixels."""
        return cast("dict[str, int] | None", self.get("bounds_rect"))

    @property
    def class_name(self) -> str:
        """The class of the widget."""
        return str(self.get("className", ""))

    @property
    def text(self) -> str:
        """The text on it."""
        return str(self.get("text", ""))

    @property
    def type(self) -> str:
        """What it is good for, such as ``clickable``."""
        return str(self.get("type", ""))

    @property
    def resource_id(self) -> str:
        """The name that its application gave it."""
        return str(self.get("resourceId", ""))

    @property
    def index(self) -> int:
        """Its place among its siblings; -1 when it is not known."""
        return int(self.get("index", -1))

    @property
    def is_parent(self) -> bool:
        """Whether there are others inside of it."""
        return bool(self.get("isParent", False))

    @property
    def children(self) -> list[UIElement]:
        """Those inside of it."""
        return cast("list[UIElement]", self.get("children", []))


@attrs.frozen
class UITree:
    """What is on the screen.

    Attributes:
        elements: The outermost elements; empty when XML was asked for.
        raw: What the service sent.
        format: ``json`` or ``xml``.
    """

    elements: list[UIElement] = attrs.field(factory=list[UIElement])
    raw: str = ""
    format: str = JSON


def _read_elements(text: str, *, defaults: Mapping[str, Any]) -> list[UIElement]:
    data = from_json(text)
    if not isinstance(data, list):
        raise WireError(f"expected a list of elements, not {shape(data)}")
    try:
        return [_element(item, defaults) for item in cast("list[object]", data)]
    except RecursionError as exc:
        raise WireError("the elements are nested too deep") from exc


def _element(data: object, defaults: Mapping[str, Any]) -> UIElement:
    if not isinstance(data, dict):
        raise WireError(f"expected an element, not {shape(data)}")
    values = cast("dict[str, Any]", data)
    children: object = values.get("children") or []
    if not isinstance(children, list):
        raise WireError(f"expected a list of children, not {shape(children)}")
    inner = [_element(child, defaults) for child in cast("list[object]", children)]
    rectangle = {"bounds_rect": _rectangle(values.get("bounds"))}
    found = {name: value for name, value in values.items() if value is not None}
    nested = {"children": inner} if defaults or "children" in values else {}
    return UIElement({**defaults, **found, **nested, **rectangle})


def _rectangle(bounds: object) -> dict[str, int] | None:
    if isinstance(bounds, Mapping):
        sides = cast("Mapping[str, object]", bounds)
        numbers = [sides.get(side) for side in _SIDES]
    else:
        match = _NUMBERS.fullmatch(str(bounds).replace(" ", ""))
        numbers = [] if match is None else [int(number) for number in match.groups()]
    try:
        return dict(zip(_SIDES, [int(cast(Any, number)) for number in numbers], strict=True))
    except (TypeError, ValueError, OverflowError):
        return None


def ui_format(format: str) -> str:
    """Read the format of the elements on the screen.

    Raises:
        InvalidInputError: Neither ``json`` nor ``xml``.
    """
    found = format.strip().lower() if isinstance(format, str) else ""  # pyright: ignore[reportUnnecessaryIsInstance]
    if found not in (JSON, XML):
        raise InvalidInputError(
            f"Unsupported UI elements format: {format!r:.80}. It must be 'json' or 'xml'."
        )
    return found


@attrs.frozen
class GetClickableUIElements(
    Tool[list[UIElement]], tool="get_clickable_ui_elements", server=SERVER, error=UIError
):
    """List what can be clicked on the screen."""

    timeout_ms: int = named(
        doc="Time limit in milliseconds.",
        default=DEFAULT_TIMEOUT_MS,
        converter=WHOLE,
        validator=at_least(0),
    )

    def read(self, text: str) -> list[UIElement]:
        """Read the JSON list; what an element lacks, it lacks here, too."""
        return _read_elements(text, defaults={})

    def write(self, value: list[UIElement]) -> Content:
        """Write the JSON list."""
        return Content(to_json(value))


@attrs.frozen
class GetAllUIElements(Tool[UITree], tool="get_all_ui_elements", server=SERVER, error=UIError):
    """List everything on the screen."""

    timeout_ms: int = named(
        doc="Time limit in milliseconds.",
        default=DEFAULT_TIMEOUT_MS,
        converter=WHOLE,
        validator=at_least(0),
    )
    format: str | None = named(
        doc="json or xml; services of the first generation take none.",
        default=None,
        converter=attrs.converters.optional(ui_format),
    )

    def read(self, text: str) -> UITree:
        """Read the JSON list and fill in what elements lack; XML stays as it is."""
        if self.format == XML:
            return UITree([], text, XML)
        return UITree(_read_elements(text, defaults=_DEFAULTS), text, JSON)

    def write(self, value: UITree) -> Content:
        """What the service would send."""
        return Content(value.raw or to_json(value.elements))


@attrs.frozen
class SendKey(Tool[None], tool="send_key", server=SERVER, error=UIError):
    """Press a key of the device."""

    key: int = named(doc="Its number in Android.", converter=WHOLE, validator=at_least(0))


@attrs.frozen
class Swipe(Tool[None], tool="swipe", server=SERVER, error=UIError):
    """Move a finger over the screen."""

    start_x: int = named(doc="Where it touches the screen.", converter=WHOLE)
    start_y: int = named(doc="Where it touches the screen.", converter=WHOLE)
    end_x: int = named(doc="Where it leaves the screen.", converter=WHOLE)
    end_y: int = named(doc="Where it leaves the screen.", converter=WHOLE)
    duration_ms: int = named(
        doc="How long it takes, in milliseconds.",
        default=300,
        converter=WHOLE,
        validator=at_least(0),
    )


@attrs.frozen
class Click(Tool[None], tool="click", server=SERVER, error=UIError):
    """Click on the screen."""

    x: int = named(doc="Pixels from the left edge of the screen.", converter=WHOLE)
    y: int = named(doc="Pixels from the upper edge of the screen.", converter=WHOLE)
    button: MouseButton = named(doc="The button.", default=MouseButton.LEFT, converter=held_button)
