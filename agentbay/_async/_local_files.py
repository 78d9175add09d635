"""Files of the local machine: read in pieces, and written so that none is seen half-written."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import BinaryIO, Literal, Protocol, TypeVar

import anyio
import anyio.to_thread

from ..errors import FileTransferError, InvalidInputError

T = TypeVar("T")

_PIECE = 256 * 1024


class Digest(Protocol):
    """A hash that is being made."""

    def update(self, data: bytes, /) -> object:
        """Take in some bytes."""


async def size_of(path: str) -> int:
    """The size of a file that is about to be sent.

    Raises:
        InvalidInputError: There is no such file.
    """
    found = anyio.Path(path)
    try:
        if await found.is_file():
            return (await found.stat()).st_size
    except (OSError, ValueError) as exc:
        raise InvalidInputError(f"cannot read the local file {path!r}: {_reason(exc)}") from exc
    raise InvalidInputError(f"there is no local file {path!r}")


async def pieces(
    file: BinaryIO, size: int, digest: Digest | None = None
) -> AsyncGenerator[bytes, None]:
    """The first ``size`` bytes of a file, from its beginning.

    Args:
        file: The file.
        size: How many bytes.
        digest: Takes them in.

    Raises:
        FileTransferError: The file got shorter, or it cannot be read.
    """
    await in_thread(file.seek, 0)
    left = size
    while left:
        piece = await in_thread(_read, file, min(left, _PIECE), digest)
        if not piece:
            raise FileTransferError(f"{file.name} got shorter while it was sent")
        left -= len(piece)
        yield piece


def _read(file: BinaryIO, size: int, digest: Digest | None) -> bytes:
    piece = file.read(size)
    if digest is not None:
        digest.update(piece)
    return piece


async def empty(file: BinaryIO) -> None:
    """Drop what was written to a file, so that it is written from its beginning."""
    await in_thread(file.seek, 0)
    await in_thread(file.truncate)


async def check_target(path: str, overwrite: bool) -> None:
    """Refuse a place where no file can be put.

    Raises:
        InvalidInputError: There is something that must not be replaced.
    """
    try:
        there = await in_thread(os.path.lexists, path)
        is_file = await in_thread(os.path.isfile, path)
    except FileTransferError as exc:
        raise InvalidInputError(str(exc)) from exc
    if there and not overwrite:
        raise InvalidInputError(f"{path!r} exists already, and overwrite is False")
    if await anyio.Path(path).exists() and not is_file:
        raise InvalidInputError(f"{path!r} is there, and it is no file")


@asynccontextmanager
async def opened(path: str) -> AsyncGenerator[BinaryIO, None]:
    """A file to read."""
    file: BinaryIO = await in_thread(_open, path, "rb")
    try:
        yield file
    finally:
        with anyio.CancelScope(shield=True):
            await in_thread(file.close)


@asynccontextmanager
async def replacing(path: str, overwrite: bool) -> AsyncGenerator[BinaryIO, None]:
    """A file to write that takes its place when the block ends without an error.

    Until then it is beside that place, under another name, and after an error it is gone.
    """
    target: str = await in_thread(partial(os.path.realpath, path))  # a link stays one
    part = f"{target}.{uuid.uuid4().hex}.part"
    await in_thread(partial(os.makedirs, os.path.dirname(target), exist_ok=True))
    file: BinaryIO = await in_thread(_open, part, "xb")
    try:
        try:
            yield file
        finally:
            with anyio.CancelScope(shield=True):
                await in_thread(file.close)
        await in_thread(partial(_put_in_place, part, target, overwrite))
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(_remove, part)


async def in_thread(work: Callable[..., T], *args: object) -> T:
    """Do what may take the disk its time, off the event loop; it is never left half-done.

    Raises:
        FileTransferError: The system refused.
    """
    try:
        return await anyio.to_thread.run_sync(work, *args)
    except (OSError, ValueError) as exc:  # ValueError: a path with a null character
        raise FileTransferError(f"the local file system refused: {_reason(exc)}") from exc


def _open(path: str, mode: Literal["rb", "xb"]) -> BinaryIO:
    return open(path, mode)


def _put_in_place(part: str, target: str, overwrite: bool) -> None:
    if os.path.isfile(target):
        if not overwrite:
            raise FileExistsError(None, "exists already, and overwrite is False", target)
        with suppress(OSError):
            shutil.copymode(target, part)
    if overwrite:
        os.replace(part, target)
        return
    try:
        os.link(part, target)  # unlike a renaming, it never replaces a file
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        os.rename(part, target)


def _remove(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)


def _reason(exc: Exception) -> str:
    if isinstance(exc, OSError) and exc.strerror:
        return f"{exc.strerror}: {exc.filename}" if exc.filename else exc.strerror
    return str(exc)
