"""Keeping a tree that comes from a session in the context store; what comes is not trusted."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from typing import Literal, cast

from ..guest.selection import Selection
from ..guest.tarstream import FAILURE, FILE, Member, Reader, TarError
from .archives import Archiver
from .entries import Entry
from .quota import check_room
from .store import Store
from .tree_replies import Summary, refused

_MOST_ENTRIES = 1_000_000


class Received:
    """What a guest sends, as it comes in."""

    def __init__(
        self, store: Store, selection: Selection, room: int | None, archiver: Archiver | None
    ) -> None:
        self.selection = selection
        self.failures: dict[str, str] = {}
        self._store, self._room, self._archiver = store, room, archiver
        self._entries: dict[str, Entry] = {}
        self._sizes: dict[str, int] = {}
        self._paths: set[str] = set()
        self._total = 0

    def read(self, reader: Reader) -> None:
        """Keep the contents of everything that comes."""
        for member in reader:
            if len(self._paths) + len(self.failures) > _MOST_ENTRIES:
                raise TarError(f"more than {_MOST_ENTRIES} entries")
            if member.kind == FAILURE:
                self.failures[member.name] = member.target
            elif member.name in self._paths:
                raise TarError(f"{member.name!r} is there twice")
            elif not self.selection.covers(member.name):
                raise TarError(f"{member.name!r} was not asked for")
            else:
                self._take(member, reader)
        for path in self.failures:
            self._drop(path)

    def finish(self, stored: Iterable[Entry], keep: Callable[[str], bool]) -> list[Entry]:
        """Return what the context is to have."""
        archives = self._archiver.finish(stored, keep) if self._archiver else []
        return [*self._entries.values(), *archives]

    def summary(self, *, exists: bool) -> Summary:
        """Tell what came."""
        total = sum(self._sizes.values())
        return Summary(exists, len(self._sizes), total, self.failures, frozenset(self._paths))

    def close(self) -> None:
        """Leave nothing behind that is not kept."""
        if self._archiver is not None:
            self._archiver.close()

    def _take(self, member: Member, reader: Reader) -> None:
        self._total += member.size
        check_room(self._total, self._room)
        name = self._archiver.name_for(member.name) if self._archiver else None
        self._paths.add(member.name)
        if member.kind == FILE:
            self._sizes[member.name] = member.size
        if member.beside is not None:
            self._take_beside(member, member.beside)
        elif name is None or self._archiver is None:
            self._entries[member.name] = _stored(member, reader.chunks(), self._store)
        else:
            self._archiver.add(name, member, reader.chunks())

    def _take_beside(self, member: Member, file: int) -> None:
        """Keep a file whose descriptor the guest gave; it is not trusted to be that of one."""
        if self._archiver is not None or not stat.S_ISREG(os.fstat(file).st_mode):
            raise TarError(f"{member.name!r} is not to be beside the stream")
        sha, size = self._store.add_file(file, self._room)
        if size != member.size:
            self.failures[member.name] = "changed while it was read"
            return
        self._entries[member.name] = _stored(member, (), self._store, (sha, size))

    def _drop(self, path: str) -> None:
        """Forget what came before its failure: it is not what the file holds."""
        if self._archiver is not None and self._archiver.has(path):
            raise refused(f"{path!r} {self.failures[path]}")
        self._entries.pop(path, None)
        self._sizes.pop(path, None)
        self._paths.discard(path)


def _stored(
    member: Member, chunks: Iterable[bytes], store: Store, kept: tuple[str, int] | None = None
) -> Entry:
    """The entry of a member; `kept` is its content when the store has that already."""
    blob, size = kept or (store.add_blob(chunks) if member.kind == FILE else (None, 0))
    return Entry(
        member.name,
        cast('Literal["file", "directory", "symlink"]', member.kind),
        member.mode,
        member.mtime_ns,
        size,
        blob,
        member.target or None,
    )
