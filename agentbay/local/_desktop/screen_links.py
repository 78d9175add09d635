"""Addresses of pictures of screens. Whoever has one may see the picture: it is a secret."""

from __future__ import annotations

import re
import secrets
import time
from pathlib import Path

import attrs
import h11

from .._link_exchange import Client, RefusedError
from .._threads import in_thread

PREFIX = "screenshots"

# Seconds for which an address works, and bytes that all pictures of an engine may have: then the
# oldest ones go before their time.
_VALIDITY = 3600.0
_MOST = 1 << 30

_PATH = re.compile(r"/screenshots/(?P<name>[A-Za-z0-9_-]{43}\.png)")
_NO_PICTURE = "there is no such picture, or its time is over: take another one\n"
_LARGEST_BODY = 64 * 1024


@attrs.frozen
class _Picture:
    path: Path
    size: int
    until: float


class ScreenLinks:
    """Keeps pictures, and serves them; they are gone with the engine.

    It belongs to the event loop of the engine.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._pictures: dict[str, _Picture] = {}
        self._size = 0

    async def add(self, png: bytes) -> str:
        """Keep a picture; its address, from the "/" on."""
        name = f"{secrets.token_urlsafe(32)}.png"
        path = self._directory / name
        await self._forget(room=len(png))
        await in_thread(_write, path, png)
        self._pictures[name] = _Picture(path, len(png), time.monotonic() + _VALIDITY)
        self._size += len(png)
        return f"/{PREFIX}/{name}"

    async def serve(self, client: Client, request: h11.Request) -> None:
        """Answer a request to an address.

        Raises:
            RefusedError: It leads to no picture, or can only be read.
        """
        if request.method not in (b"GET", b"HEAD"):
            raise RefusedError(405, "a picture can only be read\n")
        # Read to its end, so that another request can follow.
        await client.body(_LARGEST_BODY)
        await self._forget()
        match = _PATH.fullmatch(request.target.decode("latin-1").partition("?")[0])
        found = self._pictures.get(match["name"]) if match else None
        if found is None:
            raise RefusedError(404, _NO_PICTURE)
        try:
            content = await in_thread(found.path.read_bytes)
        except FileNotFoundError as exc:
            raise RefusedError(404, _NO_PICTURE) from exc
        headers = [
            (b"Content-Type", b"image/png"),
            (b"Content-Length", str(len(content)).encode()),
            (b"Cache-Control", b"no-store"),
            (b"X-Content-Type-Options", b"nosniff"),
        ]
        await client.send(h11.Response(status_code=200, headers=headers))
        if request.method == b"GET":
            await client.send(h11.Data(data=content))
        await client.send(h11.EndOfMessage())

    async def _forget(self, room: int = 0) -> None:
        """Remove pictures whose time is over, and more of them if there is no room."""
        for name, picture in list(self._pictures.items()):
            if picture.until > time.monotonic() and self._size + room <= _MOST:
                break
            # Somebody else may have forgotten it meanwhile.
            if self._pictures.pop(name, None) is not None:
                self._size -= picture.size
                await in_thread(picture.path.unlink, True)


def _write(path: Path, png: bytes) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_bytes(png)
