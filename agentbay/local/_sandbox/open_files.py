"""How many files this process may open, and whether a session more is too much for it."""

from __future__ import annotations

import os
import resource

from .._errors import EngineError

# A session takes three while nobody uses it. Calls, transfers and ends need some for a moment.
_RESERVE = 128


def check() -> None:
    """Refuse to start what could not be used, or not even be ended.

    Raises:
        EngineError: ``TooManySessions``; says what helps.
    """
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return
    if limit - len(os.listdir("/dev/fd")) < min(_RESERVE, limit // 4):
        raise too_many()


def too_many() -> EngineError:
    """The error about files that cannot be opened any more."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return EngineError(
        "TooManySessions",
        f"the engine's process has almost all of the {limit} files open that it may: end some"
        " sessions, or start it after `ulimit -n` with a larger number",
        status=503,
    )
