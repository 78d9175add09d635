"""Pictures of the screen, from the memory that the X server draws into."""

from __future__ import annotations

import os
from typing import Any

from . import displays
from .failure import Failure

# The head of the file, as X11/XWDFile.h has it: so many numbers of four bytes each. Then come
# the colours of a palette, which has no use here.
_NUMBERS, _COLOUR = 25, 12

# Quick: a picture is sent once, and looked at by a machine on the same desk.
_LEVEL = 1


def screen(arguments: dict[str, Any], _body: bytes) -> tuple[dict[str, Any], bytes]:
    """What is on the screen, as PNG, or as three bytes for each pixel: red, green and blue."""
    frame = displays.running().frame
    width, height, pixels = _read(frame)
    data = _png(pixels, width, height) if arguments.get("format") == "png" else bytes(pixels)
    return {"width": width, "height": height}, data


def _read(frame: int) -> tuple[int, int, bytearray]:
    """The size of the screen, and its pixels."""
    begin = os.pread(frame, 4 * _NUMBERS, 0)
    head = [int.from_bytes(begin[place : place + 4]) for place in range(0, len(begin), 4)]
    head_size, width, height, is_big = head[0], head[4], head[5], head[7]
    bits, row, masks, colours = head[11], head[12], head[14:17], head[19]
    if bits != 32 or row != width * 4 or masks != [0xFF0000, 0xFF00, 0xFF]:
        raise Failure("the X server keeps pixels in a way that is not known", -1)
    raw = os.pread(frame, height * row, head_size + colours * _COLOUR)
    pixels = bytearray(width * height * 3)
    for colour in range(3):
        # The lowest byte of a pixel is blue; which one comes first is the machine's choice.
        pixels[colour::3] = raw[(colour + 1) if is_big else (2 - colour) :: 4]
    return width, height, pixels


def _png(pixels: bytearray, width: int, height: int) -> bytes:
    # Not at the top: sessions without a display have no time for it.
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)

    unfiltered, row = b"\0", width * 3
    view = memoryview(pixels)
    lines = b"".join(unfiltered + view[start : start + row] for start in range(0, len(view), row))
    eight_bits_of_rgb = bytes((8, 2, 0, 0, 0))
    head = width.to_bytes(4) + height.to_bytes(4) + eight_bits_of_rgb
    chunks = (
        chunk(b"IHDR", head),
        chunk(b"IDAT", zlib.compress(lines, _LEVEL)),
        chunk(b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


PLAIN = {"screen": screen}
