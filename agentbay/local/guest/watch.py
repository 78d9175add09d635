"""Tell of changes below a directory as they happen.

The kernel says that something happened (inotify), and a look at the directory says what: the
events are those of `get_file_change`. Where the kernel does not help, looks are taken regularly.
"""

from __future__ import annotations

import json
import os
import select
import socket
import time
from typing import Any

from . import changes, file_arguments, frames

# Seconds that changes get to come to an end, and between two looks where the kernel tells nothing.
_SETTLE, _INTERVAL = 0.03, 0.2
# Looking takes at most one part in so many of a processor; to wait for one takes nothing of it.
_SHARE = 5
# How many events go into a message: with the longest paths it stays below the limit.
_EVENTS = 100

# Modified, attributes, closed after writing, moved out and in, created, deleted, and the
# directory itself deleted or moved.
_KINDS = 0x2 | 0x4 | 0x8 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800


def watch(arguments: dict[str, Any], connection: socket.socket) -> None:
    """Tell of changes from the beginning of the reply until the engine hangs up."""
    path = file_arguments.path(arguments)
    notices = _Notices()
    try:
        seen = _look(path, notices, known=False)
        frames.begin(connection)
        while True:
            notices.wait(connection, complete=bool(seen))
            started = time.thread_time()
            before, seen = seen, _look(path, notices, known=True)
            events = changes.compare(before, seen)
            for start in range(0, len(events), _EVENTS):
                content = json.dumps(events[start : start + _EVENTS]).encode()
                connection.sendall(frames.pack(b"C", content))
            _rest(connection, (time.thread_time() - started) * _SHARE)
    finally:
        notices.close()


def _look(path: str, notices: _Notices, *, known: bool) -> changes.Snapshot:
    """Look at the directory; what appears in directories as they are found is not missed."""
    while True:
        found = changes.take_snapshot(path, known=known)
        directories = {name for name, entry in found.items() if entry.path_type == "directory"}
        if not notices.follow(directories | (found.keys() & {path})):
            return found


def _rest(connection: socket.socket, seconds: float) -> None:
    """Do nothing for a while, unless the engine hangs up."""
    if select.select([connection], [], [], seconds)[0]:
        raise BrokenPipeError


def _library() -> Any:
    """The C library, as far as Python can call it."""
    try:
        import ctypes
    except ImportError:
        return None
    return ctypes.CDLL(None)


class _Notices:
    """What the kernel says about directories."""

    def __init__(self) -> None:
        self._library = _library()
        begin = getattr(self._library, "inotify_init1", None)
        self._number = -1 if begin is None else int(begin(os.O_NONBLOCK | os.O_CLOEXEC))
        self._followed: dict[str, int] = {}
        self._complete = False

    def follow(self, paths: set[str]) -> bool:
        """Follow these paths and no others; tells whether there are others than before."""
        if self._number < 0:
            return False
        before = set(self._followed.values())
        self._followed = {path: self._add(path) for path in paths}
        found = set(self._followed.values()) - {-1}
        for number in before - found:
            self._library.inotify_rm_watch(self._number, number)
        self._complete = -1 not in self._followed.values()
        return not found <= before

    def wait(self, connection: socket.socket, *, complete: bool) -> None:
        """Wait until there may be something to see.

        Args:
            connection: Readable when the engine hangs up.
            complete: Whether there is something that can be followed.
        """
        poller = select.poll()
        poller.register(connection, select.POLLIN)
        if self._number >= 0:
            poller.register(self._number, select.POLLIN)
        ready = dict(poller.poll(None if self.told(complete=complete) else _INTERVAL * 1000))
        if connection.fileno() in ready:
            raise BrokenPipeError
        if ready:
            _rest(connection, _SETTLE)
            self._forget()

    def told(self, *, complete: bool) -> bool:
        """Whether the kernel says it when something happens."""
        return complete and self._complete

    def close(self) -> None:
        if self._number >= 0:
            os.close(self._number)

    def _add(self, path: str) -> int:
        return int(self._library.inotify_add_watch(self._number, os.fsencode(path), _KINDS))

    def _forget(self) -> None:
        """Read what was said; the look that follows sees more."""
        try:
            while os.read(self._number, 64 * 1024):
                pass
        except BlockingIOError:
            pass


STREAMING = {"watch": watch}
