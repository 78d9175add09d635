"""The processes of the session: started here, and reaped here whoever started them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time

from . import limits

# Type checkers take this name for true; importing `typing` would slow every session's start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

# Programs are the first that the kernel ends when memory runs out, the guest is not.
OOM_SCORE = 500

_changed = threading.Condition()
_running: dict[int, Child] = {}


class Child:
    """A program that was started, in a session and a process group of its own.

    Attributes:
        process: Its pipes and its pid. Do not wait on it: the reaper does.
        ended: A descriptor that is readable once the program has ended.
    """

    def __init__(self, process: subprocess.Popen[Any]) -> None:
        self.process = process
        self.status: int | None = None
        self.ended: int
        self.ended, self._end = os.pipe()

    @property
    def exit_code(self) -> int | None:
        """What the program returned; None when it runs or a signal ended it."""
        status = self.status
        return os.WEXITSTATUS(status) if status is not None and os.WIFEXITED(status) else None

    @property
    def signal(self) -> int | None:
        """The signal that ended the program, if one did."""
        status = self.status
        return os.WTERMSIG(status) if status is not None and os.WIFSIGNALED(status) else None

    def kill(self) -> None:
        """End the whole process group, unless the program itself has ended already."""
        with _changed, contextlib.suppress(ProcessLookupError, PermissionError):
            if self.status is None:
                os.killpg(self.process.pid, signal.SIGKILL)

    def release(self) -> None:
        """Close `ended`; the program may go on."""
        with _changed:
            os.close(self.ended)
            self.ended = -1

    def _finish(self, status: int) -> None:
        self.status = status
        # Popen would otherwise wait for a process that is gone, or for one that got its pid.
        self.process.returncode = os.waitstatus_to_exitcode(status)
        os.close(self._end)


def start(
    command: Sequence[str],
    *,
    prepare: Callable[[], None] | None = None,
    is_plain: bool = False,
    **options: Any,
) -> Child:
    """Start a program.

    Args:
        command: The program and its arguments.
        prepare: What the program's process does before; system calls only.
        is_plain: Whether it exists, and has the variables of the guest and no others.
        options: Those of `subprocess.Popen`.
    """
    # To copy the guest takes longer than all the rest, and is done only to run Python before the
    # program. Variables of the user could lead the other one to code that undoes the limits.
    limiter = limits.limiter() if is_plain and prepare is None else []

    def begin() -> None:
        limits.apply()
        if prepare is not None:
            prepare()

    # The lock keeps the reaper from meeting the process before it is known. What runs between
    # fork and exec makes two system calls and takes no lock, so other threads do not matter.
    with _changed:
        process = subprocess.Popen(
            [*limiter, *command],
            start_new_session=True,
            preexec_fn=None if limiter else begin,
            **options,
        )
        limits.forget(process.pid)
        child = _running[process.pid] = Child(process)
        _changed.notify()
    with contextlib.suppress(OSError), open(f"/proc/{process.pid}/oom_score_adj", "w") as file:
        file.write(str(OOM_SCORE))
    return child


def reap_forever() -> None:
    """Collect every child that ends, orphans that the kernel gave to the guest included."""
    while True:
        try:
            pid, status = os.waitpid(-1, 0)
        except ChildProcessError:
            with _changed:
                _changed.wait_for(_running.__len__)
            continue
        with _changed:
            child = _running.pop(pid, None)
            if child is not None:
                child._finish(status)


def kill_all(limit: float = 10.0) -> None:
    """End everything that was started here; for a guest that is not PID 1."""
    deadline = time.monotonic() + limit
    quiet = 0
    # The kernel may leave a child out of the list while others come and go: one look that
    # finds none is not enough.
    while quiet < 5 and time.monotonic() < deadline:
        # Orphans come up as children of the guest once their parents are gone.
        alive = _children_of_guest()
        quiet = 0 if alive else quiet + 1
        with _changed:
            groups = list(_running.values())
        for child in groups:
            child.kill()
        for pid in alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)


def _children_of_guest() -> list[int]:
    """Direct children; orphans are among them because the guest is a subreaper."""
    found: list[int] = []
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else []:
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{int(name)}/stat", "rb") as file:
                # The program's name is in parentheses and may hold anything.
                state, parent = file.read().rpartition(b")")[2].split()[:2]
            if int(parent) == os.getpid() and state != b"Z":
                found.append(int(name))
    return found
