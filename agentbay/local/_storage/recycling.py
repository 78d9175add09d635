"""Files that contexts keep for a time only."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping

from ..guest.tarstream import DIRECTORY, decode_text, encode_text
from .entries import at_or_below

# Files that the engine keeps for a session that never came to an end go after so many seconds.
_ABANDONED = 30 * 24 * 3600


def rules(database: sqlite3.Connection, context: int) -> dict[str, int]:
    """For how many seconds what is at or below a path stays."""
    found = database.execute("SELECT path, seconds FROM recycling WHERE context = ?", (context,))
    return {decode_text(path): seconds for path, seconds in found}


def set_rules(database: sqlite3.Connection, context: int, wanted: Mapping[str, int]) -> None:
    """Let what is at or below some paths go so many seconds after it came."""
    database.execute("DELETE FROM recycling WHERE context = ?", (context,))
    database.executemany(
        "INSERT INTO recycling VALUES (?, ?, ?)",
        [(context, encode_text(path), seconds) for path, seconds in wanted.items()],
    )


def expire(database: sqlite3.Connection, context: int | None = None) -> int:
    """Remove what is past its time, here and from older versions; returns how much that was."""
    where, values = ("true", ()) if context is None else ("context = ?", (context,))
    found = database.execute(f"SELECT * FROM recycling WHERE {where}", values).fetchall()
    removed = 0
    for owner, path, seconds in found:
        place, bounds = at_or_below(path)
        limit = int(time.time()) - seconds
        for table in ("entries", "past"):
            gone = database.execute(
                f"DELETE FROM {table} WHERE context = ? AND {place} AND kind <> ? AND changed < ?",
                (owner, *bounds, DIRECTORY, limit),
            )
            removed += gone.rowcount
    return removed


def forget_abandoned(database: sqlite3.Connection) -> None:
    """Remove the contexts that the engine kept for sessions which are long gone."""
    database.execute(
        "DELETE FROM contexts WHERE internal"
        " AND last_used < strftime('%Y-%m-%dT%H:%M:%SZ', 'now', ?)",
        (f"-{_ABANDONED} seconds",),
    )
