"""Draws the screen of a scripted phone; it alone knows Pillow."""

from __future__ import annotations

import io
from collections.abc import Sequence

import attrs
from PIL import Image, ImageColor, ImageDraw, ImageFont

from ...errors import InvalidInputError

_LARGEST_FONT, _SMALLEST_FONT = 40, 10
_DARK, _LIGHT = "#101010", "#ffffff"


@attrs.frozen
class Box:
    """A rectangle with a text in it.

    Attributes:
        bounds: Left, top, right, bottom.
        color: What it is filled with.
        text: What is on it.
        field: Whether text can be typed into it: then it is white, with a frame.
    """

    bounds: Sequence[int]
    color: str
    text: str
    field: bool


def draw(size: tuple[int, int], color: str, boxes: Sequence[Box]) -> bytes:
    """Draw a screen as PNG."""
    image = Image.new("RGB", size, _rgb(color))
    pen = ImageDraw.Draw(image)
    for box in boxes:
        left, top, right, bottom = box.bounds
        fill = _LIGHT if box.field else box.color
        frame = box.color if box.field else None
        pen.rectangle((left, top, right - 1, bottom - 1), _rgb(fill), frame and _rgb(frame), 2)
        height = max(_SMALLEST_FONT, min(_LARGEST_FONT, (bottom - top) // 2))
        font = ImageFont.load_default(height)
        place = (left + height // 3, (top + bottom) // 2)
        pen.text(place, box.text, _contrast(fill), font, anchor="lm")
    written = io.BytesIO()
    image.save(written, "PNG")
    return written.getvalue()


def check_color(color: str) -> None:
    """Refuse what is no colour.

    Raises:
        InvalidInputError: It is none.
    """
    try:
        _rgb(color)
    except ValueError as exc:
        raise InvalidInputError(f"{color!r:.40} is no colour: use one such as #3060a0") from exc


def _rgb(color: str) -> tuple[int, ...]:
    return ImageColor.getrgb(color)[:3]


def _contrast(color: str) -> tuple[int, ...]:
    red, green, blue = _rgb(color)
    return _rgb(_DARK if red * 3 + green * 6 + blue > 1280 else _LIGHT)
