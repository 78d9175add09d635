"""The database of the context store: one file that threads and processes share."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from threading import RLock

from .._errors import EngineError
from .blobs import sync_directory

# Another process may be in a transaction; none takes anywhere near this long.
_PATIENCE = 30.0

_FIRST_SCHEMA = (
    """CREATE TABLE contexts (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL UNIQUE,
        created TEXT NOT NULL,
        last_used TEXT NOT NULL
    )""",
    # Paths are bytes: not every file name is text, and ranges of them need a plain order.
    """CREATE TABLE entries (
        context INTEGER NOT NULL REFERENCES contexts ON DELETE CASCADE,
        path BLOB NOT NULL,
        kind TEXT NOT NULL,
        mode INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        size INTEGER NOT NULL,
        blob TEXT,
        target BLOB,
        PRIMARY KEY (context, path)
    ) WITHOUT ROWID""",
    "CREATE INDEX entries_by_blob ON entries (blob)",
)

# What versions, expiry and archives need. `past` has what entries were: an entry was part of
# the versions from `since` to the one before `until`.
_SECOND_SCHEMA = (
    "ALTER TABLE contexts ADD COLUMN version INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE contexts ADD COLUMN internal INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE entries ADD COLUMN origin TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE entries ADD COLUMN changed INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE entries ADD COLUMN since INTEGER NOT NULL DEFAULT 0",
    """CREATE TABLE past (
        context INTEGER NOT NULL REFERENCES contexts ON DELETE CASCADE,
        path BLOB NOT NULL,
        kind TEXT NOT NULL,
        mode INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        size INTEGER NOT NULL,
        blob TEXT,
        target BLOB,
        origin TEXT NOT NULL,
        changed INTEGER NOT NULL,
        since INTEGER NOT NULL,
        until INTEGER NOT NULL,
        PRIMARY KEY (context, until, path)
    ) WITHOUT ROWID""",
    "CREATE INDEX past_by_blob ON past (blob)",
    """CREATE TABLE versions (
        context INTEGER NOT NULL REFERENCES contexts ON DELETE CASCADE,
        number INTEGER NOT NULL,
        created TEXT NOT NULL,
        PRIMARY KEY (context, number)
    ) WITHOUT ROWID""",
    """CREATE TABLE recycling (
        context INTEGER NOT NULL REFERENCES contexts ON DELETE CASCADE,
        path BLOB NOT NULL,
        seconds INTEGER NOT NULL,
        PRIMARY KEY (context, path)
    ) WITHOUT ROWID""",
    "UPDATE contexts SET version = 1",
    "UPDATE entries SET since = 1, changed = CAST(strftime('%s', 'now') AS INTEGER)",
    "INSERT INTO versions SELECT sequence, 1, last_used FROM contexts",
)

# Each brings a database of the version before it up to date.
_SCHEMAS = (_FIRST_SCHEMA, _SECOND_SCHEMA)


class Database:
    """`contexts.db` in a directory; both are made when they are first needed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        # A thread that writes may read meanwhile, so the lock is reentrant.
        self._lock = RLock()
        self._connection: sqlite3.Connection | None = None

    def close(self) -> None:
        """Close the database. The next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection]:
        with self._lock:
            if self._connection is None:
                self._connection = _open(self._directory)
            yield self._connection

    @contextmanager
    def writing(self) -> Generator[sqlite3.Connection]:
        """A transaction: what is inside happens as a whole, and nobody else writes meanwhile."""
        with self.reading() as database:
            try:
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as exc:
                raise EngineError(
                    "Context.StoreBusy", f"the context store cannot be written: {exc}", status=503
                ) from exc
            try:
                yield database
                database.commit()
            except BaseException:  # nothing of it is kept, whatever stopped it
                database.rollback()
                raise


def _open(directory: Path) -> sqlite3.Connection:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / "contexts.db"
    # `Database`'s lock, not SQLite's check, keeps threads apart.
    database = sqlite3.connect(
        path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
    )
    try:
        _check_version(database, path)
        _use_write_ahead_log(database)
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA foreign_keys = ON")
        _create_tables(database)
        sync_directory(directory)
    except sqlite3.DatabaseError as exc:
        database.close()
        raise EngineError("Context.StoreUnusable", f"{path}: {exc}", status=500) from exc
    except BaseException:  # nobody else closes it, whatever stopped it
        database.close()
        raise
    return database


def _check_version(database: sqlite3.Connection, path: Path) -> None:
    version: int = database.execute("PRAGMA user_version").fetchone()[0]
    if version > len(_SCHEMAS):
        raise EngineError(
            "Context.StoreTooNew",
            f"{path} was written by a later version: upgrade agentbay-sdk, or set"
            " AGENTBAY_LOCAL_HOME to another directory",
            status=500,
        )


def _use_write_ahead_log(database: sqlite3.Connection) -> None:
    # SQLite does not wait here when several processes open a fresh file at once.
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _create_tables(database: sqlite3.Connection) -> None:
    database.execute("BEGIN IMMEDIATE")
    try:
        version: int = database.execute("PRAGMA user_version").fetchone()[0]
        for statement in chain.from_iterable(_SCHEMAS[version:]):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {len(_SCHEMAS)}")
        database.commit()
    except BaseException:  # half a schema is no schema, whatever stopped it
        database.rollback()
        raise
