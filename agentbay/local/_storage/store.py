"""Contexts: trees of files that outlive sessions, kept in SQLite and files beside it.

Several threads and several processes may use one directory at once. What a method has returned
from survives a crash of the process and of the machine.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from .._errors import EngineError
from ..guest.tarstream import DIRECTORY, decode_text, encode_text
from . import history, records, recycling
from .blobs import Blobs, BlobWriter
from .database import Database
from .entries import PUT, Entry, at_or_below, displaced, invalid, parents, tree_of
from .history import COLUMNS, PLACES, Version, columns_of
from .quota import Quota, forget_before
from .records import ContextRow

__all__ = ["ContextRow", "Entry", "Store", "Version"]

# How many versions are kept besides the latest one.
_OLD_VERSIONS = 10


class Store:
    """The contexts in one directory, which is made when the first method needs it.

    Methods block, and may be called from any thread.
    """

    def __init__(self, directory: Path, quota: Quota | None = None) -> None:
        self._quota = quota or Quota()
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

    def create_context(self, name: str, *, internal: bool = False) -> ContextRow:
        """Return the context of this name; make it when there is none.

        One that is internal is not listed, has no older versions, and does not last.
        """
        records.check_name(name)
        identifier = records.make_id()
        moment = records.now()
        with self._database.writing() as database:
            database.execute(
                f"INSERT INTO contexts ({records.COLUMNS}, internal) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (name) DO NOTHING",
                (identifier, name, moment, moment, internal),
            )
            return records.find(database, "name", name)

    def get_context(self, id: str | None = None, name: str | None = None) -> ContextRow | None:
        """Return the context that has this id, this name, or both when both are given."""
        if id is None and name is None:
            raise invalid("a context needs an id or a name")
        with self._database.reading() as database:
            row = database.execute(
                f"SELECT {records.COLUMNS} FROM contexts"
                " WHERE id = coalesce(?, id) AND name = coalesce(?, name)",
                (records.storable(id), records.storable(name)),
            ).fetchone()
        return None if row is None else ContextRow(*row)

    def list_contexts(self, limit: int, offset: int = 0) -> tuple[list[ContextRow], int]:
        """Return a page of the contexts, oldest first, and how many there are in all."""
        with self._database.reading() as database:
            rows = database.execute(
                f"SELECT {records.COLUMNS} FROM contexts WHERE NOT internal"
                " ORDER BY sequence LIMIT ? OFFSET ?",
                (max(0, limit), max(0, offset)),
            ).fetchall()
            total: int = database.execute(
                "SELECT count(*) FROM contexts WHERE NOT internal"
            ).fetchone()[0]
        return [ContextRow(*row) for row in rows], total

    def rename_context(self, id: str, name: str) -> None:
        """Give a context another name."""
        records.check_name(name)
        with self._database.writing() as database:
            records.find(database, "id", id)
            try:
                database.execute("UPDATE contexts SET name = ? WHERE id = ?", (name, id))
            except sqlite3.IntegrityError as exc:
                raise EngineError(
                    "Context.NameExists", f"another context is named {name!r}", status=409
                ) from exc

    def delete_context(self, id: str) -> None:
        """Forget a context and its files."""
        with self._database.writing() as database:
            records.find(database, "id", id)
            database.execute("DELETE FROM contexts WHERE id = ?", (id,))

    def clear_context(self, id: str) -> None:
        """Forget the files of a context, and its versions."""
        with self._database.writing() as database:
            context = records.sequence(database, id)
            for table in ("entries", "past", "versions"):
                database.execute(f"DELETE FROM {table} WHERE context = ?", (context,))

    def recycle(self, id: str, rules: Mapping[str, int] | None = None) -> None:
        """Remove the files of a context whose time is over.

        Args:
            id: The context.
            rules: From here on, seconds for which what is at or below a path stays, counted
                from when it came. They take the place of those that there were.
        """
        with self._database.reading() as database:
            context = records.sequence(database, id)
            stored = recycling.rules(database, context)
        if stored or rules:
            with self._database.writing() as database:
                if rules is not None:
                    recycling.set_rules(database, context, rules)
                recycling.expire(database, context)

    def touch(self, id: str) -> None:
        """Note that a context is used."""
        with self._database.writing() as database:
            records.touch(database, records.sequence(database, id))

    # --- entries ---------------------------------------------------------------------------

    def list_entries(self, context_id: str, prefix: str = "") -> list[Entry]:
        """Return the entries of a context, parents first: all, or `prefix` and what is below."""
        where, bounds = at_or_below(prefix)
        with self._database.reading() as database:
            rows = database.execute(
                f"SELECT {COLUMNS} FROM entries WHERE context = ? AND {where} ORDER BY path",
                (records.sequence(database, context_id), *bounds),
            ).fetchall()
        return [history.entry_of(row) for row in rows]

    def find_entry(self, context_id: str, path: str) -> Entry | None:
        """Return what a context has at a path."""
        found = self.list_entries(context_id, path)
        return found[0] if found and found[0].path == path else None

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
            EngineError: The context is unknown, the entries make no tree, there is no room
                for them, or a blob was removed since it was added.
        """
        tree = tree_of(entries, prefix)
        blobs = {entry.blob for entry in tree.values() if entry.blob}
        self._blobs.make_durable(blobs)
        with self._database.writing() as database:
            context = records.sequence(database, context_id)
            # Inside the transaction, for a sweep needs one too: nothing can vanish after this.
            if gone := self._blobs.missing(blobs):
                raise EngineError(
                    "Context.Corrupt", f"{len(gone)} contents are gone: upload again", status=500
                )
            stored = _stored(database, context, prefix)
            kinds = {path: str(row[1]) for path, row in stored.items()}
            above = _kinds_above(database, context, prefix)
            outdated = displaced(kinds | above, {path: tree[path].kind for path in tree})
            if delete_missing:
                outdated |= {
                    path for path in kinds if path not in tree and not (keep and keep(path))
                }
            fresh = [entry for path, entry in tree.items() if stored.get(path) != columns_of(entry)]
            if fresh or outdated:
                self._change(database, context, outdated, fresh)
            records.touch(database, context)

    def _change(
        self,
        database: sqlite3.Connection,
        context: int,
        outdated: set[str],
        fresh: list[Entry],
    ) -> None:
        """Make another version of a context."""
        internal = database.execute(
            "SELECT internal FROM contexts WHERE sequence = ?", (context,)
        ).fetchone()[0]
        number = history.begin(
            database, context, records.now(), keep=0 if internal else _OLD_VERSIONS
        )
        replaced = outdated.union(entry.path for entry in fresh)
        history.retire(database, context, replaced, until=number)
        moment = int(time.time())
        database.executemany(
            f"INSERT INTO entries (context, {COLUMNS}, since) VALUES (?, {PLACES}, ?)",
            ((context, *columns_of(e), e.origin, moment, number) for e in fresh),
        )
        if internal:
            forget_before(database, context, number)
        if fresh:
            self._quota.enforce(database, context)

    def put_file(self, context_id: str, path: str, blob: str, size: int) -> None:
        """Write one file, with a content that was added before.

        Raises:
            EngineError: There is a directory of that name, or a file where one is needed.
        """
        entry = Entry(path, "file", 0o644, time.time_ns(), size, blob, origin=PUT)
        for parent in parents(path):
            above = self.find_entry(context_id, parent)
            if above is not None and above.kind != DIRECTORY:
                raise invalid(f"{parent!r} is not a directory")
        _check_no_directory(path, self.list_entries(context_id, path))
        self.commit(context_id, [entry], prefix=path, delete_missing=False)

    def delete_file(self, context_id: str, path: str) -> None:
        """Remove one file or symlink.

        Raises:
            EngineError: There is none, or it is a directory.
        """
        found = self.list_entries(context_id, path)
        _check_no_directory(path, found)
        if not found:
            raise no_file(path)
        self.commit(context_id, [], prefix=path, delete_missing=True)

    def room(self, context_id: str) -> int | None:
        """How many bytes of files the context can have; None when nobody set a limit."""
        if self._quota == Quota():
            return None
        with self._database.reading() as database:
            return self._quota.room(database, records.sequence(database, context_id))

    # --- versions --------------------------------------------------------------------------

    def versions(self, context_id: str) -> list[Version]:
        """Return the versions of a context that are kept, the latest one first."""
        with self._database.reading() as database:
            return history.versions(database, records.sequence(database, context_id))

    def list_version(self, context_id: str, version: int) -> list[Entry]:
        """Return the entries of one version of a context.

        Raises:
            EngineError: It is not kept.
        """
        with self._database.reading() as database:
            return history.tree(database, records.sequence(database, context_id), version)

    def restore(self, context_id: str, version: int) -> None:
        """Make a context what it was; that is another version, and can be undone too.

        Raises:
            EngineError: The version is not kept.
        """
        self.commit(context_id, self.list_version(context_id, version), delete_missing=True)

    # --- contents --------------------------------------------------------------------------

    def add_blob(self, chunks: Iterable[bytes], limit: int | None = None) -> tuple[str, int]:
        """Keep a content and return its sha256 and size. One that is known is not written."""
        return self._blobs.add(chunks, limit)

    def add_file(self, file: int, limit: int | None = None) -> tuple[str, int]:
        """Keep what an open file holds, as `add_blob` does; without a copy where that works."""
        return self._blobs.add_file(file, limit)

    def copy_blob(self, sha: str) -> int | None:
        """A descriptor of a file of its own that shares the blocks of a content, if possible."""
        return self._blobs.copy(sha)

    def can_share_with(self, directory: Path) -> bool:
        """Whether contents can share the blocks of files in another directory."""
        return self._blobs.can_share_with(directory)

    def new_blob(self, limit: int | None = None) -> BlobWriter:
        """Begin a content that is written piece by piece."""
        return self._blobs.writer(limit)

    def open_blob(self, sha: str) -> BinaryIO:
        """Open a content for reading."""
        return self._blobs.open(sha)

    def collect_garbage(self, *, minimum_age: float = 3600.0) -> int:
        """Remove files whose time is over, then contents that no context refers to.

        Returns how many contents went. Safe while uploads run in any process: adding a content,
        known or not, makes its file young, and only files older than `minimum_age` seconds go.
        Both happen under the database's write lock. An upload that takes longer than that may
        lose a content; its commit, which looks under the same lock, then fails and changes
        nothing.
        """

        def referenced(digits: str) -> set[str]:
            with self._database.reading() as database:
                rows = database.execute(
                    "SELECT blob FROM entries WHERE blob >= ? AND blob < ?"
                    " UNION SELECT blob FROM past WHERE blob >= ? AND blob < ?",
                    (digits, digits + "g") * 2,
                )
                return {blob for (blob,) in rows}

        with self._database.writing() as database:
            recycling.expire(database)
            recycling.forget_abandoned(database)
        return self._blobs.sweep(referenced, minimum_age=minimum_age)


def _stored(
    database: sqlite3.Connection, context: int, prefix: str
) -> dict[str, tuple[object, ...]]:
    """What is stored at or below a path, as `columns_of` writes it."""
    where, bounds = at_or_below(prefix)
    rows = database.execute(
        f"SELECT {COLUMNS} FROM entries WHERE context = ? AND {where}", (context, *bounds)
    )
    return {decode_text(row[0]): row[:-2] for row in rows}


def _kinds_above(database: sqlite3.Connection, context: int, prefix: str) -> dict[str, str]:
    """Find what is stored under the names of the directories that `prefix` is in."""
    found: dict[str, str] = {}
    for path in parents(prefix):
        for (kind,) in database.execute(
            "SELECT kind FROM entries WHERE context = ? AND path = ?", (context, encode_text(path))
        ):
            found[path] = kind
    return found


def no_file(path: str) -> EngineError:
    """Make the error for a file that a context does not have."""
    return EngineError("Context.FileNotFound", f"the context has no file {path!r}", status=404)


def _check_no_directory(path: str, found: list[Entry]) -> None:
    if any(entry.kind == DIRECTORY or entry.path != path for entry in found):
        raise invalid(f"{path!r} is a directory")
