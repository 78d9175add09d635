"""Contexts: trees of files that outlive sessions, kept in SQLite and files beside it.

Several threads and several processes may use one directory at once. What a method has returned
from survives a crash of the process and of the machine.
"""

from __future__ import annotations

import secrets
import sqlite3
import string
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal, Self

import attrs

from ._blobs import Blobs
from ._database import Database
from ._entries import Entry, displaced, invalid, parents, tree_of
from ._errors import EngineError
from .guest.tarstream import decode_text, encode_text, is_tree_path

__all__ = ["ContextRow", "Entry", "Store"]

_LETTERS = string.ascii_lowercase + string.digits

_CONTEXT = "id, name, created, last_used"
_ENTRY = "path, kind, mode, mtime_ns, size, blob, target"


@attrs.frozen
class ContextRow:
    """A context. Times are ISO 8601, UTC."""

    id: str
    name: str
    created: str
    last_used: str


class Store:
    """The contexts in one directory, which is made when the first method needs it.

    Methods block, and may be called from any thread.
    """

    def __init__(self, directory: Path) -> None:
        self._database = Database(directory)
        self._blobs = Blobs(directory / "blobs", self._database.writing)

    def close(self) -> None:
        """Close the database. The next call opens it again."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- contexts --------------------------------------------------------------------------

    def create_context(self, name: str) -> ContextRow:
        """Return the context of this name; make it when there is none."""
        _check_name(name)
        identifier = "SdkCtx-" + "".join(secrets.choice(_LETTERS) for _ in range(17))
        moment = _now()
        with self._database.writing() as database:
            database.execute(
                "INSERT INTO contexts (id, name, created, last_used) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (name) DO NOTHING",
                (identifier, name, moment, moment),
            )
            return _context(database, "name", name)

    def get_context(self, id: str | None = None, name: str | None = None) -> ContextRow | None:
        """Return the context that has this id, this name, or both when both are given."""
        if id is None and name is None:
            raise invalid("a context needs an id or a name")
        with self._database.reading() as database:
            row = database.execute(
                f"SELECT {_CONTEXT} FROM contexts"
                " WHERE id = coalesce(?, id) AND name = coalesce(?, name)",
                (_storable(id), _storable(name)),
            ).fetchone()
        return None if row is None else ContextRow(*row)

    def list_contexts(self, limit: int, offset: int = 0) -> tuple[list[ContextRow], int]:
        """Return a page of the contexts, oldest first, and how many there are in all."""
        with self._database.reading() as database:
            rows = database.execute(
                f"SELECT {_CONTEXT} FROM contexts ORDER BY sequence LIMIT ? OFFSET ?",
                (max(0, limit), max(0, offset)),
            ).fetchall()
            total: int = database.execute("SELECT count(*) FROM contexts").fetchone()[0]
        return [ContextRow(*row) for row in rows], total

    def rename_context(self, id: str, name: str) -> None:
        """Give a context another name."""
        _check_name(name)
        with self._database.writing() as database:
            _context(database, "id", id)
            try:
                database.execute("UPDATE contexts SET name = ? WHERE id = ?", (name, id))
            except sqlite3.IntegrityError as exc:
                raise EngineError(
                    "Context.NameExists", f"another context is named {name!r}", status=409
                ) from exc

    def delete_context(self, id: str) -> None:
        """Forget a context and its files."""
        with self._database.writing() as database:
            _context(database, "id", id)
            database.execute("DELETE FROM contexts WHERE id = ?", (id,))

    def clear_context(self, id: str) -> None:
        """Forget the files of a context."""
        with self._database.writing() as database:
            database.execute("DELETE FROM entries WHERE context = ?", (_sequence(database, id),))

    def touch(self, id: str) -> None:
        """Note that a context is used."""
        with self._database.writing() as database:
            _touch(database, _sequence(database, id))

    # --- entries ---------------------------------------------------------------------------

    def list_entries(self, context_id: str, prefix: str = "") -> list[Entry]:
        """Return the entries of a context, parents first: all, or `prefix` and what is below."""
        where, bounds = _at_or_below(prefix)
        with self._database.reading() as database:
            rows = database.execute(
                f"SELECT {_ENTRY} FROM entries WHERE context = ? AND {where} ORDER BY path",
                (_sequence(database, context_id), *bounds),
            ).fetchall()
        return [_entry(row) for row in rows]

    def commit(
        self,
        context_id: str,
        entries: Iterable[Entry],
        *,
        prefix: str = "",
        delete_missing: bool,
        keep: Callable[[str], bool] | None = None,
    ) -> None:
        """Write entries into a context, all of them or none.

        Args:
            context_id: The context.
            entries: What there is. An entry of the same path is replaced, and so is whatever
                cannot exist beside one, like the files below a path that is a file.
            prefix: The commit is about this path and what is below it.
            delete_missing: Whether a path that is not among `entries` goes away.
            keep: Tells which paths stay although they are missing.

        Raises:
            EngineError: The context is unknown, the entries make no tree, or a blob was
                removed since it was added.
        """
        tree = tree_of(entries, prefix)
        blobs = {entry.blob for entry in tree.values() if entry.blob}
        self._blobs.make_durable(blobs)
        with self._database.writing() as database:
            context = _sequence(database, context_id)
            # Inside the transaction, for a sweep needs one too: nothing can vanish after this.
            if gone := self._blobs.missing(blobs):
                raise EngineError(
                    "Context.Corrupt", f"{len(gone)} contents are gone: upload again", status=500
                )
            kinds = _kinds(database, context, prefix)
            outdated = displaced(kinds | _kinds_above(database, context, prefix), tree)
            if delete_missing:
                outdated |= {
                    path for path in kinds if path not in tree and not (keep and keep(path))
                }
            database.executemany(
                "DELETE FROM entries WHERE context = ? AND path = ?",
                ((context, encode_text(path)) for path in outdated),
            )
            database.executemany(
                f"INSERT OR REPLACE INTO entries (context, {_ENTRY}) VALUES (?,?,?,?,?,?,?,?)",
                ((context, *_values(entry)) for entry in tree.values()),
            )
            _touch(database, context)

    # --- contents --------------------------------------------------------------------------

    def add_blob(self, chunks: Iterable[bytes]) -> tuple[str, int]:
        """Keep a content and return its sha256 and size. One that is known is not written."""
        return self._blobs.add(chunks)

    def open_blob(self, sha: str) -> BinaryIO:
        """Open a content for reading."""
        return self._blobs.open(sha)

    def collect_garbage(self, *, minimum_age: float = 3600.0) -> int:
        """Remove contents that no context refers to; return how many.

        Safe while uploads run in any process: adding a content, known or not, makes its file
        young, and only files older than `minimum_age` seconds go. Both happen under the
        database's write lock. An upload that takes longer than that may lose a content; its
        commit, which looks under the same lock, then fails and changes nothing.
        """

        def referenced(digits: str) -> set[str]:
            with self._database.reading() as database:
                rows = database.execute(
                    "SELECT DISTINCT blob FROM entries WHERE blob >= ? AND blob < ?",
                    (digits, digits + "g"),
                )
                return {blob for (blob,) in rows}

        return self._blobs.sweep(referenced, minimum_age=minimum_age)


def _context(database: sqlite3.Connection, column: Literal["id", "name"], value: str) -> ContextRow:
    row = database.execute(
        f"SELECT {_CONTEXT} FROM contexts WHERE {column} = ?", (_storable(value),)
    ).fetchone()
    if row is None:
        raise _not_found(value)
    return ContextRow(*row)


def _sequence(database: sqlite3.Connection, id: str) -> int:
    row = database.execute(
        "SELECT sequence FROM contexts WHERE id = ?", (_storable(id),)
    ).fetchone()
    if row is None:
        raise _not_found(id)
    sequence: int = row[0]
    return sequence


def _touch(database: sqlite3.Connection, context: int) -> None:
    database.execute("UPDATE contexts SET last_used = ? WHERE sequence = ?", (_now(), context))


def _kinds(database: sqlite3.Connection, context: int, prefix: str) -> dict[str, str]:
    where, bounds = _at_or_below(prefix)
    rows = database.execute(
        f"SELECT path, kind FROM entries WHERE context = ? AND {where}", (context, *bounds)
    )
    return {decode_text(path): kind for path, kind in rows}


def _kinds_above(database: sqlite3.Connection, context: int, prefix: str) -> dict[str, str]:
    """Find what is stored under the names of the directories that `prefix` is in."""
    found: dict[str, str] = {}
    for path in parents(prefix):
        for (kind,) in database.execute(
            "SELECT kind FROM entries WHERE context = ? AND path = ?", (context, encode_text(path))
        ):
            found[path] = kind
    return found


def _at_or_below(prefix: str) -> tuple[str, tuple[bytes, ...]]:
    if not prefix:
        return "true", ()
    if not is_tree_path(prefix):
        raise invalid(f"{prefix!r} is not a path inside a context")
    path = encode_text(prefix)
    # "0" is the character after "/".
    return "(path = ? OR (path > ? AND path < ?))", (path, path + b"/", path + b"0")


def _entry(row: tuple[Any, ...]) -> Entry:
    path, kind, mode, mtime_ns, size, blob, target = row
    return Entry(
        decode_text(path),
        kind,
        mode,
        mtime_ns,
        size,
        blob,
        None if target is None else decode_text(target),
    )


def _values(entry: Entry) -> tuple[object, ...]:
    target = None if entry.target is None else encode_text(entry.target)
    return (
        encode_text(entry.path),
        entry.kind,
        entry.mode,
        entry.mtime_ns,
        entry.size,
        entry.blob,
        target,
    )


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > 255 or not name.isprintable():
        raise invalid("a context's name has 1 to 255 printable characters")


def _storable(text: str | None) -> str | bytes | None:
    """Make bytes of text that SQLite refuses: they equal no stored text."""
    return text if text is None or text.isprintable() else b""


def _not_found(what: str) -> EngineError:
    return EngineError("Context.NotFound", f"there is no context {what!r}", status=404)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
