"""Pictures of the screen of a session."""

from __future__ import annotations

import importlib.util
import io

from ...protocol._images import JPEG, PNG, Image
from .._errors import ToolFailure
from .._threads import in_thread
from .display import Display

_LIMIT = 30.0

_BEGIN_OF_PNG = b"\x89PNG\r\n\x1a\n"
# Of 100: text stays sharp.
_QUALITY = 90

_NO_JPEG = (
    "JPEG needs Pillow, which the environment of the engine does not have: "
    "`pip install pillow` there, or ask for PNG"
)


async def picture(display: Display, format: str = PNG) -> Image:
    """Take a picture, as large as the screen, with the mouse pointer on it.

    Args:
        display: What to look at.
        format: ``png`` or ``jpeg``.

    Raises:
        ToolFailure: There is none; or nothing on this machine writes JPEG.
        EngineError: The session is gone (`SessionLost`).
    """
    if format == JPEG:
        if importlib.util.find_spec("PIL") is None:
            raise ToolFailure(_NO_JPEG, number=-1)
        data = await in_thread(_jpeg, await pixels(display), display.width, display.height)
    else:
        data = await _look(display, PNG)
        if not data.startswith(_BEGIN_OF_PNG):
            raise ToolFailure("the session sent a reply that is not valid")
    return Image("image", f"image/{format}", data, display.width, display.height)


async def pixels(display: Display) -> bytes:
    """What is on the screen: red, green and blue of each pixel, line after line.

    Raises:
        ToolFailure: The display is gone.
        EngineError: The session is gone (`SessionLost`).
    """
    data = await _look(display, "rgb")
    if len(data) != display.width * display.height * 3:
        raise ToolFailure("the session sent a reply that is not valid")
    return data


async def _look(display: Display, format: str) -> bytes:
    reply = await display.sandbox.call("screen", {"format": format}, time_limit=_LIMIT)
    if (reply.data.get("width"), reply.data.get("height")) != (display.width, display.height):
        raise ToolFailure("the session sent a reply that is not valid")
    return reply.body


def _jpeg(data: bytes, width: int, height: int) -> bytes:
    # Not at the top: it is no part of what the engine needs.
    import PIL.Image

    image = PIL.Image.frombytes("RGB", (width, height), data)
    written = io.BytesIO()
    image.save(written, JPEG, quality=_QUALITY)
    return written.getvalue()
