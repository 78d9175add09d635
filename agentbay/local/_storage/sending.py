"""Sending what a context has to a session."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from typing import BinaryIO

import attrs

from .._errors import EngineError
from ..guest.cloning import LARGE
from ..guest.cloning import send as send_beside
from ..guest.selection import Selection
from ..guest.tarstream import CHUNK, FILE, Member, encode, padding
from .archives import members
from .entries import ARCHIVE, Entry
from .store import Store
from .tree_replies import Summary
from .unpacking import UnsafeArchiveError, folder_for, is_archive, unpacked


@attrs.frozen
class Unpack:
    """How archives that somebody put into a context reach a session.

    Attributes:
        keep: Whether the archive itself does, too.
        here: Whether it is unpacked beside itself, not into a directory of its name.
    """

    keep: bool = False
    here: bool = False


class Sending:
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
