"""What the terminals of a session are told to be."""

from __future__ import annotations

import attrs

from .._value import Value


@attrs.frozen(eq=False, repr=False)
class PtySession(Value):
    """One terminal of a session.

    Attributes:
        pty_session_id: Its identifier.
        cols: Its width in characters; 0 when no handle of this program knows it.
        rows: Its height in lines; 0 when no handle of this program knows it.
        status: ``"running"`` or ``"exited"``.
        exit_code: Exit status of its shell; None while it runs.
    """

    pty_session_id: str
    cols: int = 0
    rows: int = 0
    status: str = "running"
    exit_code: int | None = None
