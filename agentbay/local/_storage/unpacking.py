"""Archives that users put into contexts, unpacked into the store.

What an archive says is not trusted: names that lead elsewhere, links out of the tree, devices
and more bytes than there is room for end it before any of it reaches a session.
"""

from __future__ import annotations

import bz2
import calendar
import gzip
import io
import lzma
import posixpath
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO, BinaryIO, cast

from .._errors import EngineError
from ..guest.tarstream import CHUNK, is_tree_path
from .entries import PUT, Entry, tree_of
from .store import Store

_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_MOST_ENTRIES = 100_000
# What an archive may grow to when nobody set a quota.
_MOST_BYTES = 8 << 30
# The longest header of an archive that is read into memory.
_MOST_HEADER = 1 << 20

_BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError),
    *(NotImplementedError, RuntimeError, OSError, ValueError),
)


class UnsafeArchiveError(Exception):
    """An archive that is refused although it can be read."""


def is_archive(entry: Entry) -> bool:
    """Whether a file is an archive that somebody put into the context, by its name."""
    return entry.origin == PUT and entry.path.lower().endswith(_SUFFIXES)


def folder_for(path: str, *, current: bool) -> str:
    """Where an archive is unpacked: a directory of its name, or the one it is in."""
    parent, _, name = path.rpartition("/")
    if current:
        return parent
    stem = next(name[: -len(end)] for end in _longest_first() if name.lower().endswith(end))
    return f"{parent}/{stem}" if parent else stem


def unpacked(store: Store, entry: Entry, folder: str, room: int | None) -> list[Entry] | None:
    """Unpack an archive into the store; None when the file is not an archive after all.

    Raises:
        UnsafeArchiveError: It would write elsewhere, or it is too large.
    """
    assert entry.blob
    unpacking = _Unpacking(store, folder, _MOST_BYTES if room is None else min(room, _MOST_BYTES))
    with store.open_blob(entry.blob) as blob:
        try:
            if entry.path.lower().endswith(".zip"):
                _read_zip(blob, unpacking)
            else:
                _read_tar(_decompressed(blob, entry.path.lower()), unpacking)
        except _BROKEN:
            return None
    try:
        return list(tree_of(unpacking.entries, "").values())
    except EngineError as exc:
        raise UnsafeArchiveError(str(exc)) from exc


class _Unpacking:
    """The entries of an archive so far, and how many bytes are left for more."""

    def __init__(self, store: Store, folder: str, room: int) -> None:
        self.entries: list[Entry] = []
        self._store, self._folder, self._room = store, folder, room

    def directory(self, name: str, mode: int, seconds: float) -> None:
        # The archive may hold its own top directory as ".".
        if path := self._path(name):
            self._add(Entry(path, "directory", mode | 0o700, int(seconds * 1e9)))

    def file(self, name: str, mode: int, seconds: float, content: IO[bytes]) -> None:
        path = self._path(name)
        if not path:
            raise UnsafeArchiveError("it holds a file without a name")
        sha, size = self._store.add_blob(self._limited(content))
        self._add(Entry(path, "file", mode or 0o644, int(seconds * 1e9), size, sha))

    def symlink(self, name: str, seconds: float, target: str) -> None:
        path = self._path(name)
        inside = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
        if not path or target.startswith("/") or inside == ".." or inside.startswith("../"):
            raise UnsafeArchiveError(f"the link {name!r} leads out of it")
        self._add(Entry(path, "symlink", 0o777, int(seconds * 1e9), target=target))

    def _limited(self, content: IO[bytes]) -> Iterator[bytes]:
        while chunk := content.read(CHUNK):
            self._room -= len(chunk)
            if self._room < 0:
                raise UnsafeArchiveError("there is no room for what it holds")
            yield chunk

    def _path(self, name: str) -> str:
        """Where a member goes; empty for the top of the archive."""
        name = name.removeprefix("./").rstrip("/")
        if name in ("", "."):
            return ""
        path = f"{self._folder}/{name}" if self._folder else name
        if not is_tree_path(path):
            raise UnsafeArchiveError(f"{name!r:.200} is not a path inside it")
        return path

    def _add(self, entry: Entry) -> None:
        if len(self.entries) >= _MOST_ENTRIES:
            raise UnsafeArchiveError(f"it holds more than {_MOST_ENTRIES} entries")
        self.entries.append(entry)


def _read_zip(blob: BinaryIO, unpacking: _Unpacking) -> None:
    with zipfile.ZipFile(blob) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            seconds = calendar.timegm((*info.date_time, 0, 0, 0))
            if info.is_dir():
                unpacking.directory(info.filename, stat.S_IMODE(mode) & 0o777 or 0o755, seconds)
                continue
            with archive.open(info) as content:
                if stat.S_ISLNK(mode):
                    target = content.read(4096).decode()
                    unpacking.symlink(info.filename, seconds, target)
                else:
                    bits = stat.S_IMODE(mode) & 0o777
                    unpacking.file(info.filename, bits, seconds, content)


def _read_tar(stream: IO[bytes], unpacking: _Unpacking) -> None:
    bounded = cast("IO[bytes]", _Bounded(stream))
    with stream, tarfile.open(fileobj=bounded, mode="r:") as archive:
        for member in archive:
            mode = member.mode & 0o777
            if member.isdir():
                unpacking.directory(member.name, mode, member.mtime)
            elif member.issym():
                unpacking.symlink(member.name, member.mtime, member.linkname)
            elif member.isreg():
                content = archive.extractfile(member)
                assert content is not None
                with content:
                    unpacking.file(member.name, mode, member.mtime, content)
            else:
                raise UnsafeArchiveError(f"{member.name!r:.200} is no file, directory or symlink")


class _Bounded(io.RawIOBase):
    """A stream of which no piece is read that is larger than what an archive needs."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int = -1, /) -> bytes:
        if not 0 <= size <= _MOST_HEADER:
            raise UnsafeArchiveError("a header of it is too large")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if offset > 2 * _MOST_BYTES:
            raise UnsafeArchiveError("there is no room for what it holds")
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


def _decompressed(blob: BinaryIO, name: str) -> IO[bytes]:
    openers: Iterable[tuple[tuple[str, ...], Callable[[BinaryIO], IO[bytes]]]] = (
        ((".gz", ".tgz"), lambda file: cast("IO[bytes]", gzip.GzipFile(fileobj=file))),
        ((".bz2", ".tbz2"), bz2.BZ2File),
        ((".xz", ".txz"), lzma.LZMAFile),
    )
    return next((opener(blob) for ends, opener in openers if name.endswith(ends)), blob)


def _longest_first() -> list[str]:
    return sorted(_SUFFIXES, key=len, reverse=True)
