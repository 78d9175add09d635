"""How much contexts may hold, and which old versions give way before anything is refused."""

from __future__ import annotations

import sqlite3

import attrs

from .._errors import EngineError
from .._sandbox.limits import size_from_environment

_TOTAL, _CONTEXT = "AGENTBAY_LOCAL_QUOTA", "AGENTBAY_LOCAL_CONTEXT_QUOTA"


@attrs.frozen
class Quota:
    """Limits in bytes; None for none. The size of a file counts for each path that has it.

    Attributes:
        total: What all contexts may hold together.
        context: What one context may hold.
    """

    total: int | None = None
    context: int | None = None

    @classmethod
    def from_environment(cls) -> Quota:
        """Read ``AGENTBAY_LOCAL_QUOTA`` and ``AGENTBAY_LOCAL_CONTEXT_QUOTA``, such as ``20G``.

        Raises:
            ConfigError: One of them is no size.
        """
        return cls(size_from_environment(_TOTAL), size_from_environment(_CONTEXT))

    def room(self, database: sqlite3.Connection, context: int) -> int | None:
        """How large a context can become when its own files and old versions give way."""
        limits = [self.context] if self.context is not None else []
        if self.total is not None:
            limits.append(max(0, self.total - _held(database) + _held(database, context)))
        return min(limits, default=None)

    def enforce(self, database: sqlite3.Connection, context: int) -> None:
        """Forget old versions until everything fits; called inside the transaction.

        Raises:
            EngineError: It would not even fit without them.
        """
        if self.context is not None:
            check_room(_held(database, context), self.context)
            _make_fit(database, self.context, context, only=True)
        if self.total is not None:
            check_room(_held(database), self.total)
            _make_fit(database, self.total, context, only=False)


def check_room(size: int, limit: int | None) -> None:
    """Refuse more than there is room for.

    Raises:
        EngineError: `size` is more than `limit`.
    """
    if limit is not None and size > limit:
        raise EngineError(
            "Context.QuotaExceeded",
            f"contexts have room for {limit} bytes here: delete files, or raise"
            f" {_TOTAL} or {_CONTEXT}",
            status=413,
        )


def forget_before(database: sqlite3.Connection, context: int, number: int) -> None:
    """Forget the versions before this one, and the entries that only they have."""
    database.execute("DELETE FROM past WHERE context = ? AND until <= ?", (context, number))
    database.execute("DELETE FROM versions WHERE context = ? AND number < ?", (context, number))


def _make_fit(database: sqlite3.Connection, limit: int, context: int, *, only: bool) -> None:
    """Forget versions, the oldest ones of this context first, until `limit` is kept."""
    where, values = ("context = ?", (context,)) if only else ("true", ())
    groups: list[tuple[int, int, int]] = database.execute(
        f"SELECT context, until, sum(size) FROM past WHERE {where} GROUP BY context, until"
        " ORDER BY context <> ?, until",
        (*values, context),
    ).fetchall()
    excess = _held(database, context if only else None) + sum(group[2] for group in groups) - limit
    for owner, until, size in groups:
        if excess <= 0:
            return
        forget_before(database, owner, until)
        excess -= size


def _held(database: sqlite3.Connection, context: int | None = None) -> int:
    where, values = ("true", ()) if context is None else ("context = ?", (context,))
    row = database.execute(f"SELECT coalesce(sum(size), 0) FROM entries WHERE {where}", values)
    held: int = row.fetchone()[0]
    return held
