"""What programs of the session may use, so that none of them takes the machine with it.

A process cannot have more memory than the whole session (RLIMIT_DATA). What all of them have
together is watched, and the largest one is ended when it is too much.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import threading
import time

from . import processes

# Seconds between two looks; a program fills a few hundred megabytes in that time.
_INTERVAL = 0.2
# A look may take this share of the time.
_SHARE = 0.05

_memory: int | None = None
_processes: int | None = None
_ended: set[int] = set()


def set_up(memory: int, most_processes: int) -> None:
    """Set the limits for the programs to come, and begin to watch; 0 stands for no limit."""
    global _memory, _processes
    _memory, _processes = memory or None, most_processes or None
    if _memory is not None:
        threading.Thread(target=_watch, args=(_memory,), daemon=True).start()


def apply() -> None:
    """Limit this process and those that it starts; runs between fork and exec."""
    if _memory is not None:
        _lower(resource.RLIMIT_DATA, _memory)
    # Without a sandbox the user's own programs count as well, and would use up the limit.
    if _processes is not None and os.getppid() == 1:
        _lower(resource.RLIMIT_NPROC, _processes)


def forget(session: int) -> None:
    """Begin with a process session that has the number of one that is gone."""
    _ended.discard(session)


def complaint(session: int) -> str:
    """What to tell if a process of this process session was ended for its memory; else nothing."""
    if session not in _ended:
        return ""
    return f"a program was ended: the session's memory of {(_memory or 0) >> 20} MiB is used up\n"


def _lower(kind: int, limit: int) -> None:
    hard = resource.getrlimit(kind)[1]
    limit = limit if hard == resource.RLIM_INFINITY else min(hard, limit)
    resource.setrlimit(kind, (limit, limit))


def _watch(limit: int) -> None:
    while True:
        begin = time.monotonic()
        with contextlib.suppress(MemoryError, OSError):
            _look(limit)
        time.sleep(max(_INTERVAL, (time.monotonic() - begin) / _SHARE))


def _look(limit: int) -> None:
    """End the largest process if the session has too much memory."""
    found = processes.others()
    if sum(processes.private_memory(process.pid) for process in found) <= limit:
        return
    # What forked processes share was counted more than once.
    exact = {process: processes.exact_memory(process.pid) for process in found}
    if sum(exact.values()) <= limit:
        return
    largest = max(exact, key=exact.__getitem__)
    _ended.add(largest.session)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(largest.pid, signal.SIGKILL)
