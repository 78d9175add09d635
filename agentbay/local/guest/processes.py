"""The processes of the session, as the kernel lists them."""

from __future__ import annotations

import contextlib
import os

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Process:
    """One process: its state is a letter, ``T`` for a stopped one; times are in ticks."""

    __slots__ = ("parent", "pid", "session", "state", "threads", "ticks")

    pid: int
    parent: int
    session: int
    state: str
    ticks: int
    threads: int

    def __init__(
        self, pid: int, parent: int, session: int, state: str, ticks: int, threads: int
    ) -> None:
        self.pid, self.parent, self.session = pid, parent, session
        self.state, self.ticks, self.threads = state, ticks, threads

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it runs: it only waits for its parent to notice."""
        # A process takes the state of its first thread, which others may outlive.
        return self.state in "ZX" and self.threads <= 1


def others() -> list[Process]:
    """All processes of the session but the guest, parents before their children.

    Without a sandbox these are the descendants of the guest; it adopts orphans.
    """
    guest = os.getpid()
    children: dict[int, list[Process]] = {}
    for process in _all():
        children.setdefault(process.parent, []).append(process)
    found = list(children.get(guest, ()))
    if guest == 1:
        # Who came into the sandbox from outside has no parent in it.
        found += [process for process in children.get(0, ()) if process.pid != guest]
    for process in found:
        found += children.get(process.pid, ())
    return found


def private_memory(pid: int) -> int:
    """Bytes that a process has for itself, or shares with what it forked; 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            _, resident, shared = file.read().split()[:3]
    except (OSError, ValueError):
        return 0
    return max(0, int(resident) - int(shared)) * _PAGE


def exact_memory(pid: int) -> int:
    """The same with shared pages divided among those who have them; takes longer."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss_Anon:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return private_memory(pid)


def _all() -> list[Process]:
    found: list[Process] = []
    with contextlib.suppress(FileNotFoundError):  # A system without /proc.
        for name in os.listdir("/proc"):
            if name.isdigit():
                with contextlib.suppress(OSError, ValueError, IndexError):
                    found.append(_read(int(name)))
    return found


def _read(pid: int) -> Process:
    with open(f"/proc/{pid}/stat", "rb") as file:
        # The program's name is in parentheses and may hold anything.
        state, parent, _, session, *rest = file.read().rpartition(b")")[2].split()
    # The last two of the four are those of children that have ended.
    ticks = sum(map(int, rest[7:11]))
    return Process(pid, int(parent), int(session), state.decode(), ticks, int(rest[13]))
