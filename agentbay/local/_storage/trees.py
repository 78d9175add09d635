"""Moving trees between a session and the context store.

The functions block. They run on the socket of a guest operation whose request was sent:
`upload` on "pack", `download` on "unpack". What the guest sends is not trusted.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import stat
from collections.abc import Callable, Container, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import attrs

from .._errors import EngineError, ToolFailure
from ..guest.cloning import LARGE, Incoming
from ..guest.cloning import send as send_beside
from ..guest.selection import Selection
from ..guest.tarstream import CHUNK, END, FAILURE, FILE, Member, Reader, TarError, encode, padding
from .archives import Archiver, members
from .entries import ARCHIVE, Entry, parents
from .quota import check_room
from .store import Store
from .unpacking import UnsafeArchiveError, folder_for, is_archive, unpacked

_LONGEST_REPLY = 1024 * 1024
_MOST_ENTRIES = 1_000_000


@attrs.frozen
class Summary:
    """What a transfer did.

    Attributes:
        exists: Whether the tree was there; if not, an upload changes nothing.
        files: How many files were moved.
        size: Their bytes.
        failures: Paths that could not be read in the session, and why. The context keeps
            what it had under them.
        paths: Every path that both sides have now.
    """

    exists: bool = True
    files: int = 0
    size: int = 0
    failures: dict[str, str] = attrs.field(factory=dict[str, str])
    paths: frozenset[str] = attrs.field(default=frozenset(), eq=False, repr=False)


@attrs.frozen
class Unpack:
    """How archives that somebody put into a context reach a session.

    Attributes:
        keep: Whether the archive itself does, too.
        here: Whether it is unpacked beside itself, not into a directory of its name.
    """

    keep: bool = False
    here: bool = False


def upload(
    connection: socket.socket,
    store: Store,
    context_id: str,
    *,
    delete_missing: bool,
    known: Container[str] | None = None,
    selection: Selection | None = None,
    archive_roots: Iterable[str] | None = None,
    unarchived: Iterable[str] = (),
    beside: bool = False,
) -> Summary:
    """Bring a context up to date with what "pack" sends, in one commit.

    Args:
        connection: The socket of the operation.
        store: Where the context is.
        context_id: The context.
        delete_missing: Whether a file that the session does not have leaves the context.
        known: Only these paths can leave it: those that the session had. What another
            session brought in meanwhile stays. None stands for all paths.
        selection: What the guest was asked for; the rest of the context stays as it is.
        archive_roots: Paths that are kept as one archive each. A context that has archives
            goes on with them.
        unarchived: Paths that are in no archive.
        beside: Whether the guest was asked to hand over large files beside the stream.

    Raises:
        ToolFailure: The guest could not do it: nothing is changed.
        EngineError: The guest sent no proper tree, there is no room for it, or the context is
            gone: nothing is changed.
    """
    stored = [entry for entry in store.list_entries(context_id) if entry.origin == ARCHIVE]
    if archive_roots is None and stored:
        archive_roots = [""]
    room = store.room(context_id)
    received = _Received(
        store,
        selection or Selection(),
        room,
        None if archive_roots is None else Archiver(store, archive_roots, unarchived, room),
    )

    def keep(path: str) -> bool:
        unknown = not delete_missing or (known is not None and path not in known)
        return unknown or not received.selection.covers(path) or _is_in(path, received.failures)

    try:
        incoming = Incoming(connection)
        with io.BufferedReader(incoming, CHUNK) as stream:
            exists = _reply(stream).get("exists") is True
            try:
                received.read(Reader(stream, incoming.take if beside else None))
            except TarError as exc:
                raise _refused(str(exc)) from exc
        if exists:
            entries = received.finish(stored, keep)
            store.commit(context_id, entries, delete_missing=delete_missing, keep=keep)
        return received.summary(exists=exists)
    finally:
        received.close()


def shared_device(store: Store, context_id: str, directory: Path) -> int | None:
    """The device of files whose blocks a context can share; None when it can share none.

    Args:
        store: Where the context is.
        context_id: The context. What it keeps in archives is not shared with anything.
        directory: Where the files of the session are.
    """
    if any(entry.origin == ARCHIVE for entry in store.list_entries(context_id)):
        return None
    return directory.stat().st_dev if store.can_share_with(directory) else None


def download(
    connection: socket.socket,
    store: Store,
    context_id: str,
    *,
    selection: Selection | None = None,
    unpack: Unpack | None = None,
) -> Summary:
    """Send a context to "unpack", and wait until it is written.

    Args:
        connection: The socket of the operation.
        store: Where the context is.
        context_id: The context.
        selection: Which paths of it; all by default.
        unpack: What happens to archives that somebody put there; nothing by default.

    Raises:
        ToolFailure: The guest could not write it.
        EngineError: The context is gone, or a content of it is.
    """
    sending = _Sending(store, selection or Selection())
    try:
        entries = [
            entry
            for entry in store.list_entries(context_id)
            if entry.origin == ARCHIVE or sending.selection.covers(entry.path)
        ]
        if unpack is not None:
            entries = sending.unpack(entries, unpack, store.room(context_id))
    except BaseException:  # whatever stopped it
        # The guest waits for a stream: it is to end, and not to be taken for a complete one.
        connection.shutdown(socket.SHUT_RDWR)
        raise
    # A guest that has closed its side has said why: the reply tells.
    with contextlib.suppress(ConnectionError):
        with connection.makefile("wb") as stream:
            sending.send(stream, entries, connection)
            stream.write(END)
        connection.shutdown(socket.SHUT_WR)
    with connection.makefile("rb") as stream:
        _reply(stream)
    return sending.summary()


class _Received:
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
            raise _refused(f"{path!r} {self.failures[path]}")
        self._entries.pop(path, None)
        self._sizes.pop(path, None)
        self._paths.discard(path)


class _Sending:
    """What a guest is sent."""

    def __init__(self, store: Store, selection: Selection) -> None:
        self.selection = selection
        self._store = store
        self._sizes: dict[str, int] = {}
        self._paths: set[str] = set()
        self._failures: dict[str, str] = {}
        self._removed: set[str] = set()
        self._shares = True

    def unpack(self, entries: list[Entry], how: Unpack, room: int | None) -> list[Entry]:
        """Put what archives hold into their place; what the context has itself stays."""
        found = {entry.path: entry for entry in entries}
        for archive in filter(is_archive, entries):
            folder = folder_for(archive.path, current=how.here)
            try:
                inside = unpacked(self._store, archive, folder, room)
            except UnsafeArchiveError as exc:
                remedy = "remove it, or use ExtractPolicy(extract=False)"
                self._failures[archive.path] = f"not unpacked, for {exc}: {remedy}"
                continue
            if inside is None:
                continue
            for entry in inside:
                found.setdefault(entry.path, entry)
            if not how.keep:
                del found[archive.path]
                self._removed.add(archive.path)
        return sorted(found.values(), key=lambda entry: entry.path)

    def send(self, stream: BinaryIO, entries: Iterable[Entry], connection: socket.socket) -> None:
        """Send entries. What is outside of archives comes last, and so replaces what is inside."""
        entries = sorted(entries, key=lambda entry: (entry.origin != ARCHIVE, entry.changed))
        for entry in entries:
            if entry.origin == ARCHIVE:
                self._send_archive(stream, entry)
        rest = [entry for entry in entries if entry.origin != ARCHIVE]
        for entry in sorted(rest, key=lambda entry: entry.path):
            self._note(entry.path, entry.kind, entry.size)
            if not self._hand_over(stream, entry, connection):
                _send(stream, self._store, entry)

    def _hand_over(self, stream: BinaryIO, entry: Entry, connection: socket.socket) -> bool:
        """Send a large file beside the stream; False when its content has to be sent instead."""
        if entry.blob is None or entry.size < LARGE or not self._shares:
            return False
        copied = self._store.copy_blob(entry.blob)
        if copied is None:
            self._shares = False
            return False
        try:
            stream.flush()
            send_beside(connection, encode(_announced(entry, copied)), copied)
        finally:
            os.close(copied)
        return True

    def summary(self) -> Summary:
        """Tell what the session has then. Archives that it does not see count as sent."""
        paths = frozenset(self._paths | self._removed)
        total = sum(self._sizes.values())
        return Summary(True, len(self._sizes), total, self._failures, paths)

    def _send_archive(self, stream: BinaryIO, archive: Entry) -> None:
        with members(self._store, archive) as inside:
            for member in inside:
                if not self.selection.covers(member.name):
                    continue
                self._note(member.name, member.kind, member.size)
                stream.write(encode(member))
                for chunk in inside.chunks():
                    stream.write(chunk)
                stream.write(padding(member.size))

    def _note(self, path: str, kind: str, size: int) -> None:
        self._paths.add(path)
        if kind == FILE:
            self._sizes[path] = size


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


def _announced(entry: Entry, beside: int | None = None) -> Member:
    return Member(
        entry.path,
        entry.kind,
        mode=entry.mode,
        mtime_ns=entry.mtime_ns,
        size=entry.size,
        target=entry.target or "",
        beside=beside,
    )


def _send(stream: BinaryIO, store: Store, entry: Entry) -> None:
    stream.write(encode(_announced(entry)))
    if entry.blob is None:
        return
    left = entry.size
    with store.open_blob(entry.blob) as blob:
        while chunk := blob.read(min(left, CHUNK)):
            stream.write(chunk)
            left -= len(chunk)
    if left:
        raise EngineError(
            "Context.Corrupt", f"the content of {entry.path!r} is cut short", status=500
        )
    stream.write(padding(entry.size))


def _reply(stream: BinaryIO) -> dict[str, Any]:
    line = b""
    # A guest that ends without reading all it was sent resets the connection.
    with contextlib.suppress(ConnectionError):
        line = stream.readline(_LONGEST_REPLY)
    if not line.endswith(b"\n"):
        raise _refused("it ended before it replied")
    try:
        reply: Any = json.loads(line)
    except ValueError as exc:
        raise _refused("its reply is not JSON") from exc
    match reply:
        case {"result": dict()}:
            return cast("dict[str, Any]", reply["result"])
        case {"error": {"message": str(message), "number": int(number)}}:
            raise ToolFailure(message, number=number)
        case _:
            raise _refused("its reply makes no sense")


def _is_in(path: str, failures: Mapping[str, str]) -> bool:
    """Tell whether a path, or a directory it is in, could not be read."""
    return "" in failures or path in failures or any(parent in failures for parent in parents(path))


def _refused(reason: str) -> EngineError:
    return EngineError(
        "Context.SyncFailed", f"the session sent no proper tree: {reason}", status=502
    )
