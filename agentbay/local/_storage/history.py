"""What contexts were: their versions, and the tree of each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

import attrs

from .._errors import EngineError
from ..guest.tarstream import decode_text, encode_text
from .entries import Entry
from .quota import forget_before

# The columns of an entry, and how they are read and written.
COLUMNS = "path, kind, mode, mtime_ns, size, blob, target, origin, changed"
PLACES = "?, ?, ?, ?, ?, ?, ?, ?, ?"


@attrs.frozen
class Version:
    """One state of a context.

    Attributes:
        number: Counts the changes of the context.
        created: When it came to be; ISO 8601, UTC.
        files: How many files it has.
        size: Their bytes.
    """

    number: int
    created: str
    files: int
    size: int


def begin(database: sqlite3.Connection, context: int, moment: str, *, keep: int) -> int:
    """Begin another version and forget those that are too old; returns its number."""
    database.execute("UPDATE contexts SET version = version + 1 WHERE sequence = ?", (context,))
    row = database.execute("SELECT version FROM contexts WHERE sequence = ?", (context,))
    number: int = row.fetchone()[0]
    database.execute("INSERT INTO versions VALUES (?, ?, ?)", (context, number, moment))
    forget_before(database, context, number - keep)
    return number


def retire(database: sqlite3.Connection, context: int, paths: Iterable[str], *, until: int) -> None:
    """Take entries out of the context; the versions before `until` still have them."""
    keys = [(context, encode_text(path)) for path in paths]
    database.executemany(
        f"INSERT INTO past (context, {COLUMNS}, since, until)"
        f" SELECT context, {COLUMNS}, since, ? FROM entries WHERE context = ? AND path = ?",
        [(until, *key) for key in keys],
    )
    database.executemany("DELETE FROM entries WHERE context = ? AND path = ?", keys)


def versions(database: sqlite3.Connection, context: int) -> list[Version]:
    """The versions that are kept, the latest one first."""
    rows = database.execute(
        "SELECT number, created FROM versions WHERE context = ? ORDER BY number DESC", (context,)
    ).fetchall()
    found: list[Version] = []
    for number, created in rows:
        files, size = database.execute(
            "SELECT count(*), coalesce(sum(size), 0) FROM"
            f" ({_tree('kind, size')}) WHERE kind = 'file'",
            (context, number, context, number, number),
        ).fetchone()
        found.append(Version(number, created, files, size))
    return found


def tree(database: sqlite3.Connection, context: int, number: int) -> list[Entry]:
    """The entries of one version.

    Raises:
        EngineError: It is not kept.
    """
    row = database.execute(
        "SELECT 1 FROM versions WHERE context = ? AND number = ?", (context, number)
    ).fetchone()
    if row is None:
        raise EngineError(
            "Context.VersionNotFound", f"the context has no version {number}", status=404
        )
    rows = database.execute(
        _tree(COLUMNS) + " ORDER BY path", (context, number, context, number, number)
    )
    return [entry_of(row) for row in rows]


def entry_of(row: tuple[Any, ...]) -> Entry:
    """Make an entry of its columns."""
    path, kind, mode, mtime_ns, size, blob, target, origin, changed = row
    link = None if target is None else decode_text(target)
    return Entry(decode_text(path), kind, mode, mtime_ns, size, blob, link, origin, changed)


def columns_of(entry: Entry) -> tuple[object, ...]:
    """The columns of an entry that say what it is."""
    target = None if entry.target is None else encode_text(entry.target)
    path = encode_text(entry.path)
    return path, entry.kind, entry.mode, entry.mtime_ns, entry.size, entry.blob, target


def _tree(columns: str) -> str:
    return (
        f"SELECT {columns} FROM entries WHERE context = ? AND since <= ? UNION ALL"
        f" SELECT {columns} FROM past WHERE context = ? AND since <= ? AND until > ?"
    )
