"""Sessions that this process created and did not delete: told when the interpreter ends."""

from __future__ import annotations

import atexit
import functools
import logging
import os

_log = logging.getLogger(__name__)

# Identifier of a session, and the process that created it: a forked child has the parent's.
_open: dict[str, int] = {}


def opened(session_id: str) -> None:
    """Remember a session of the cloud, or of an engine outside this process."""
    _open[session_id] = os.getpid()
    _report_at_exit()


def closed(session_id: str) -> None:
    """Forget a session that has ended."""
    _open.pop(session_id, None)


@functools.cache
def _report_at_exit() -> None:
    atexit.register(_report)


def _report() -> None:
    left = [session_id for session_id, process in _open.items() if process == os.getpid()]
    if left:
        _log.warning(
            "%d sessions were created and not deleted, and go on running: %s",
            len(left),
            ", ".join(left),
        )
