"""What programs of the session may use, so that none of them takes the machine with it.

A process cannot have more memory than the whole session (RLIMIT_DATA). What all of them have
together is watched, and the largest one is ended when it is too much.

A file cannot be larger than the session's disk (RLIMIT_FSIZE). The engine watches what all of
them have; while that is too much, the same limit is zero, and nothing is written to any file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import threading
import time

from . import processes

# Type checkers take this name for true; importing `typing` would slow every session's start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Seconds between two looks; a program fills a few hundred megabytes in that time.
_INTERVAL = 0.2
# A look may take this share of a processor; what it had to wait for one does not count.
_SHARE = 0.05

_memory: int | None = None
_processes: int | None = None
_disk: int | None = None
_ended: set[int] = set()
# Why nothing can be written; empty when it can.
_full = ""

# A program that sets limits, and then becomes another one.
_LIMITER = "/usr/bin/prlimit"

# Processes may start others while they are restricted: so often it is looked for more of them.
_ROUNDS = 10


def set_up(memory: int, most_processes: int, disk: int = 0) -> None:
    """Set the limits for the programs to come, and begin to watch; 0 stands for no limit."""
    global _memory, _processes, _disk
    _memory, _processes, _disk = memory or None, most_processes or None, disk or None
    if _disk is not None:
        # For what the guest writes itself; programs inherit it.
        _lower(resource.RLIMIT_FSIZE, _disk)
    if _memory is not None:
        threading.Thread(target=_watch, args=(_memory,), daemon=True).start()


def apply() -> None:
    """Limit this process and those that it starts; runs between fork and exec."""
    if _memory is not None:
        _lower(resource.RLIMIT_DATA, _memory)
    # Without a sandbox the user's own programs count as well, and would use up the limit.
    if _processes is not None and os.getppid() == 1:
        _lower(resource.RLIMIT_NPROC, _processes)


def limiter() -> list[str]:
    """What does the same as `apply` when it stands before a command; empty if nothing does."""
    words: list[str] = []
    if _memory is not None:
        words.append(f"--data={_lowest(resource.RLIMIT_DATA, _memory)}")
    if _processes is not None and os.getpid() == 1:
        words.append(f"--nproc={_lowest(resource.RLIMIT_NPROC, _processes)}")
    return [_LIMITER, *words] if words and os.access(_LIMITER, os.X_OK) else []


def forget(session: int) -> None:
    """Begin with a process session that has the number of one that is gone."""
    _ended.discard(session)


def complaint(session: int, *, failed: bool) -> str:
    """What to tell of a process session that met a limit of the session; else nothing.

    Args:
        session: Its number.
        failed: Whether its first program did: others need not know of a disk that is full.
    """
    if session in _ended:
        size = (_memory or 0) >> 20
        return f"a program was ended: the session's memory of {size} MiB is used up\n"
    return f"{_full}\n" if _full and failed else ""


def reason(error: OSError) -> str | None:
    """Why a file cannot be written, when that is a limit of the session."""
    if error.errno != errno.EFBIG:
        return error.strerror
    return _full or f"a file of the session can have {(_disk or 0) >> 20} MiB"


def restrict(arguments: dict[str, Any], _body: bytes) -> tuple[dict[str, Any], bytes]:
    """Let no program write to a file, for a reason; or let all of them, without one.

    With `end`, all programs are ended, too.
    """
    global _full
    _full = str(arguments.get("reason") or "")
    # The guest first: it writes the files of tools, and programs inherit its limit.
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (0 if _full else hard, hard))
    for _ in range(_ROUNDS):
        if not sum(_restrict(process.pid) for process in processes.others()):
            break
    if arguments.get("end"):
        for process in processes.others():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, signal.SIGKILL)
    return {}, b""


def _restrict(pid: int) -> bool:
    """Let a process write to files, or not; whether that changed anything."""
    change = getattr(resource, "prlimit", None)  # of Linux only
    with contextlib.suppress(OSError):
        soft, hard = change(pid, resource.RLIMIT_FSIZE) if change else (0, 0)
        wanted = 0 if _full else hard
        # What has chosen a limit of its own keeps it, unless that is zero.
        if change and soft != wanted and (_full or soft == 0):
            change(pid, resource.RLIMIT_FSIZE, (wanted, hard))
            return True
    return False


def _lower(kind: int, limit: int) -> None:
    lowest = _lowest(kind, limit)
    resource.setrlimit(kind, (lowest, lowest))


def _lowest(kind: int, limit: int) -> int:
    hard = resource.getrlimit(kind)[1]
    return limit if hard == resource.RLIM_INFINITY else min(hard, limit)


def _watch(limit: int) -> None:
    while True:
        begin = time.thread_time()
        with contextlib.suppress(MemoryError, OSError):
            _look(limit)
        time.sleep(max(_INTERVAL, (time.thread_time() - begin) / _SHARE))


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


PLAIN = {"restrict": restrict}
