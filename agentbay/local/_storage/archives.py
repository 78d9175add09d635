"""Archives that hold files of sessions: what `tarstream` writes, compressed."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress

from ..guest.tarstream import END, Member, Reader, encode, padding
from .blobs import BlobWriter
from .entries import ARCHIVE, Entry, displaced
from .store import Store

_SUFFIX = ".tar.gz"
_WHOLE = "archive"
# Most of what is packed here is small and short-lived: speed counts more than size.
_LEVEL = 3


class Archiver:
    """Packs the files of a session, one archive for each of some paths.

    Args:
        store: Where contents are kept.
        roots: The paths; "" is everything.
        excluded: Paths that are in no archive.
        room: How many bytes an archive can have.
    """

    def __init__(
        self, store: Store, roots: Iterable[str], excluded: Iterable[str], room: int | None
    ) -> None:
        self._store = store
        self._roots = sorted(set(roots), key=len, reverse=True)
        self._excluded = list(excluded)
        self._room = room
        self._open: dict[str, _Packed] = {}

    def name_for(self, path: str) -> str | None:
        """The archive that a path belongs to."""
        if any(_within(path, place) for place in self._excluded):
            return None
        return next((_name(root) for root in self._roots if _within(path, root)), None)

    def add(self, name: str, member: Member, chunks: Iterable[bytes]) -> None:
        """Add a file, directory or symlink to an archive."""
        if name not in self._open:
            self._open[name] = _Packed(self._store.new_blob(self._room))
        self._open[name].add(member, chunks)

    def has(self, path: str) -> bool:
        """Whether an archive has a path already."""
        return any(path in packed.kinds for packed in self._open.values())

    @property
    def kinds(self) -> dict[str, str]:
        """What was packed, by its path."""
        return {path: kind for packed in self._open.values() for path, kind in packed.kinds.items()}

    def finish(self, stored: Iterable[Entry], keep: Callable[[str], bool]) -> list[Entry]:
        """Complete the archives with what stays of those there were; returns their entries."""
        names = {_name(root) for root in self._roots}
        for entry in stored:
            if entry.origin == ARCHIVE and entry.path in names:
                self._keep_from(entry, keep)
        return [packed.entry(name) for name, packed in self._open.items()]

    def close(self) -> None:
        """Give up what is not finished."""
        for packed in self._open.values():
            packed.close()

    def _keep_from(self, entry: Entry, keep: Callable[[str], bool]) -> None:
        kinds = self.kinds
        with members(self._store, entry) as old:
            for member in old:
                gone = displaced({member.name: member.kind}, kinds)
                if member.name not in kinds and not gone and keep(member.name):
                    self.add(entry.path, member, old.chunks())


class _Packed:
    """One archive that is being written."""

    def __init__(self, blob: BlobWriter) -> None:
        self.kinds: dict[str, str] = {}
        self._size = 0
        self._blob = blob
        # Without a time: the same files make the same archive.
        self._gzip = gzip.GzipFile("", "wb", _LEVEL, blob, mtime=0)

    def add(self, member: Member, chunks: Iterable[bytes]) -> None:
        self.kinds[member.name] = member.kind
        self._gzip.write(encode(member))
        for chunk in chunks:
            self._gzip.write(chunk)
        self._gzip.write(padding(member.size))

    def entry(self, name: str) -> Entry:
        self._gzip.write(END)
        self._gzip.close()
        sha, size = self._blob.finish()
        return Entry(name, "file", 0o644, 0, size, sha, origin=ARCHIVE)

    def close(self) -> None:
        # Before the blob: what it holds back would be written when it is collected.
        with suppress(OSError):
            self._gzip.close()
        self._blob.close()


@contextmanager
def members(store: Store, entry: Entry) -> Generator[Reader]:
    """What an archive of this module holds.

    Raises:
        EngineError: Its content is not there.
    """
    assert entry.blob
    with store.open_blob(entry.blob) as blob, gzip.GzipFile(fileobj=blob) as packed:
        yield Reader(packed)  # type: ignore[arg-type]  # it only reads


def _name(root: str) -> str:
    return (root or _WHOLE) + _SUFFIX


def _within(path: str, place: str) -> bool:
    return not place or path == place or path.startswith(place + "/")
