"""What changed below a path since the last time somebody asked."""

from __future__ import annotations

import os
import stat
import threading
from contextlib import suppress
from typing import Any, NamedTuple

from . import file_arguments
from .failure import Failure
from .file_contents import is_temporary

_MOST_ENTRIES = 100_000
# The paths longest not asked about are forgotten past this many.
_MOST_PATHS = 100


class _Entry(NamedTuple):
    """What is compared of a file; of a directory only that it exists."""

    path_type: str
    inode: int = 0
    modified_ns: int = 0
    size: int = 0


Snapshot = dict[str, _Entry]
_Event = dict[str, str]

_lock = threading.Lock()
_snapshots: dict[str, Snapshot] = {}


def get_file_change(arguments: dict[str, Any], _body: bytes) -> tuple[dict[str, Any], bytes]:
    """List the changes below a path since the previous call; the first call finds none."""
    path = file_arguments.path(arguments)
    with _lock:
        before = _snapshots.get(path)
        after = take_snapshot(path, known=before is not None)
        # Taken out and put back: the order of the dict is the order of the last use.
        _snapshots.pop(path, None)
        _snapshots[path] = after
        while len(_snapshots) > _MOST_PATHS:
            del _snapshots[next(iter(_snapshots))]
    return {"events": [] if before is None else compare(before, after)}, b""


def take_snapshot(root: str, *, known: bool) -> Snapshot:
    """Look at everything below a path; one that is known may be gone."""
    try:
        snapshot = {root: _observe(os.stat(root))}
    except (FileNotFoundError, NotADirectoryError):
        # A path that was there and is gone is a change, not an error.
        if known:
            return {}
        raise
    waiting = [root] if snapshot[root].path_type == "directory" else []
    while waiting:
        for path, entry in _list(waiting.pop()):
            snapshot[path] = entry
            if entry.path_type == "directory":
                waiting.append(path)
            if len(snapshot) > _MOST_ENTRIES:
                raise Failure(f"{root}: more than {_MOST_ENTRIES:,} entries to watch")
    return snapshot


def _list(directory: str) -> list[tuple[str, _Entry]]:
    found: list[tuple[str, _Entry]] = []
    # What is gone in the meantime, or not readable, is not there to be seen.
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if not is_temporary(entry.name):
                with suppress(OSError):
                    found.append((entry.path, _observe(entry.stat(follow_symlinks=False))))
    return found


def _observe(status: os.stat_result) -> _Entry:
    if stat.S_ISDIR(status.st_mode):
        return _Entry("directory")
    return _Entry("file", status.st_ino, status.st_mtime_ns, status.st_size)


def compare(before: Snapshot, after: Snapshot) -> list[_Event]:
    """What happened between two looks."""
    events: list[_Event] = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old != new:
            events += _events(path, old, new)
    return events


def _events(path: str, old: _Entry | None, new: _Entry | None) -> list[_Event]:
    """Describe what became of one path: a file that turned into a directory is two changes."""
    if old is not None and new is not None and old.path_type == new.path_type:
        return [_event("modify", path, new)]
    events: list[_Event] = []
    if old is not None:
        events.append(_event("delete", path, old))
    if new is not None:
        events.append(_event("create", path, new))
        if new.path_type == "file":
            events.append(_event("modify", path, new))
    return events


def _event(event_type: str, path: str, entry: _Entry) -> _Event:
    return {"eventType": event_type, "path": path, "pathType": entry.path_type}
