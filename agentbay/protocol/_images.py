"""Pictures as JSON text, as the tools that take screenshots send them."""

from __future__ import annotations

import base64

import attrs

from ..errors import InvalidInputError
from ._wire import WireError, decode, from_json, to_json

PNG, JPEG = "png", "jpeg"

_BEGINNINGS = {PNG: b"\x89PNG\r\n\x1a\n", JPEG: b"\xff\xd8\xff"}


@attrs.frozen
class Image:
    """A picture.

    Attributes:
        type: What the service calls it; ``image``.
        mime_type: Such as ``image/png``.
        data: Its bytes.
        width: In pixels; None when the service does not tell.
        height: In pixels; None when the service does not tell.
    """

    type: str
    mime_type: str
    data: bytes = attrs.field(repr=False)
    width: int | None = None
    height: int | None = None


@attrs.frozen
class _Wire:
    type: str
    mime_type: str
    data: str
    width: int | None = None
    height: int | None = None


def image_format(name: str) -> str:
    """Read the format of a picture: ``png``, or ``jpeg`` under one of its names.

    Raises:
        InvalidInputError: Another format.
    """
    found = name.strip().lower() if isinstance(name, str) else ""  # pyright: ignore[reportUnnecessaryIsInstance]
    found = {"jpg": JPEG}.get(found, found)
    if found not in _BEGINNINGS:
        raise InvalidInputError(f"Invalid format: must be 'png', 'jpeg' or 'jpg', not {name!r:.80}")
    return found


def read_image(text: str, format: str) -> Image:
    """Read a picture that was asked for in a format.

    Raises:
        WireError: There is none, it is damaged, or it is of another format.
    """
    if not text.strip():
        raise WireError("there is no picture in it")
    wire = decode(_Wire, from_json(text))
    try:
        data = base64.b64decode(wire.data, validate=True)
    except ValueError:
        raise WireError("the picture is not base64") from None
    if wire.mime_type.lower() not in (f"image/{format}", f"image/{format}".replace("jpeg", "jpg")):
        raise WireError(f"asked for {format}, but the picture is of another type")
    if not data.startswith(_BEGINNINGS[format]):
        raise WireError(f"the picture does not begin as {format} does")
    return Image(wire.type, wire.mime_type, data, wire.width, wire.height)


def write_image(image: Image) -> str:
    """Write a picture as JSON text; the inverse of `read_image`."""
    data = base64.b64encode(image.data).decode()
    return to_json(_Wire(image.type, image.mime_type, data, image.width, image.height))
