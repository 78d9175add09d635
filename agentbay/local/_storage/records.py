"""The rows of contexts: how they are found, and which names they can have."""

from __future__ import annotations

import secrets
import sqlite3
import string
from datetime import UTC, datetime
from typing import Literal

import attrs

from .._errors import EngineError
from .entries import invalid

COLUMNS = "id, name, created, last_used"

_LETTERS = string.ascii_lowercase + string.digits


@attrs.frozen
class ContextRow:
    """A context. Times are ISO 8601, UTC."""

    id: str
    name: str
    created: str
    last_used: str


def make_id() -> str:
    """Make the id of a context."""
    return "SdkCtx-" + "".join(secrets.choice(_LETTERS) for _ in range(17))


def find(database: sqlite3.Connection, column: Literal["id", "name"], value: str) -> ContextRow:
    """Find the context of an id or a name.

    Raises:
        EngineError: There is none.
    """
    row = database.execute(
        f"SELECT {COLUMNS} FROM contexts WHERE {column} = ?", (storable(value),)
    ).fetchone()
    if row is None:
        raise not_found(value)
    return ContextRow(*row)


def sequence(database: sqlite3.Connection, id: str) -> int:
    """The number under which other tables know a context.

    Raises:
        EngineError: There is none.
    """
    row = database.execute("SELECT sequence FROM contexts WHERE id = ?", (storable(id),)).fetchone()
    if row is None:
        raise not_found(id)
    number: int = row[0]
    return number


def touch(database: sqlite3.Connection, context: int) -> None:
    """Note that a context is used."""
    database.execute("UPDATE contexts SET last_used = ? WHERE sequence = ?", (now(), context))


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a context."""
    if not name.strip() or len(name) > 255 or not name.isprintable():
        raise invalid("a context's name has 1 to 255 printable characters")


def storable(text: str | None) -> str | bytes | None:
    """Make bytes of text that SQLite refuses: they equal no stored text."""
    return text if text is None or text.isprintable() else b""


def not_found(what: str) -> EngineError:
    """Make the error for a context that is not there."""
    return EngineError("Context.NotFound", f"there is no context {what!r}", status=404)


def now() -> str:
    """The time as the rows have it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
