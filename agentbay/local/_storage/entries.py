"""What a context holds: entries, and which of them can exist beside each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import attrs

from .._errors import EngineError
from ..guest.tarstream import DIRECTORY, FILE, SYMLINK, encode_text, is_tree_path

_MOST_INTEGER = 2**63 - 1

PUT, ARCHIVE = "put", "archive"


@attrs.frozen
class Entry:
    """One file, directory or symlink of a context. Making an impossible one raises.

    `path` is relative with "/" between names, `mode` the permission bits, `blob` the sha256 of
    a file's content, `target` where a symlink points to.

    `origin` tells how a file came here: `PUT` through an address, `ARCHIVE` for one that the
    engine made of files of a session, else from a session. `changed` is when, in seconds since
    1970. Neither is part of what an entry is.
    """

    path: str
    kind: Literal["file", "directory", "symlink"]
    mode: int
    mtime_ns: int
    size: int = 0
    blob: str | None = None
    target: str | None = None
    origin: str = attrs.field(default="", eq=False)
    changed: int = attrs.field(default=0, eq=False)

    def __attrs_post_init__(self) -> None:
        if not is_tree_path(self.path):
            raise invalid(f"{self.path!r} is not a path inside a context")
        if not (0 <= self.mode <= 0o777 and abs(self.mtime_ns) <= _MOST_INTEGER):
            raise invalid(f"{self.path!r} has an impossible mode or time")
        if not 0 <= self.size <= (_MOST_INTEGER if self.kind == FILE else 0):
            raise invalid(f"{self.path!r} has an impossible size")
        if (self.kind == FILE) != bool(self.blob) or (self.kind == SYMLINK) != bool(self.target):
            raise invalid(f"{self.path!r} is not a proper {self.kind}")


def tree_of(entries: Iterable[Entry], prefix: str) -> dict[str, Entry]:
    """Check that entries can exist beside each other."""
    tree: dict[str, Entry] = {}
    for entry in entries:
        if entry.path in tree:
            raise invalid(f"{entry.path!r} is there twice")
        if prefix and entry.path != prefix and not entry.path.startswith(prefix + "/"):
            raise invalid(f"{entry.path!r} is not below {prefix!r}")
        tree[entry.path] = entry
    for path in tree:
        for parent in parents(path):
            if parent in tree and tree[parent].kind != DIRECTORY:
                raise invalid(f"{parent!r} is not a directory, and {path!r} is below it")
    return tree


def displaced(kinds: Mapping[str, str], tree: Mapping[str, str]) -> set[str]:
    """Find what is stored and cannot exist beside new entries; both are kinds by their path."""
    above = {parent for path in tree for parent in parents(path)}
    plain = {path for path, kind in tree.items() if kind != DIRECTORY}
    return {
        path
        for path, kind in kinds.items()
        if (kind != DIRECTORY and path in above) or any(parent in plain for parent in parents(path))
    }


def parents(path: str) -> Iterator[str]:
    """Yield the directories that a path is in, outermost first."""
    end = path.find("/")
    while end > 0:
        yield path[:end]
        end = path.find("/", end + 1)


def at_or_below(prefix: str | bytes) -> tuple[str, tuple[bytes, ...]]:
    """The condition, and its values, for a path in the database and what is below it."""
    if not prefix:
        return "true", ()
    if isinstance(prefix, str):
        if not is_tree_path(prefix):
            raise invalid(f"{prefix!r} is not a path inside a context")
        prefix = encode_text(prefix)
    # "0" is the character after "/".
    return "(path = ? OR (path > ? AND path < ?))", (prefix, prefix + b"/", prefix + b"0")


def invalid(message: str) -> EngineError:
    """Make the error for an argument that is refused."""
    return EngineError("InvalidParameter", message)
