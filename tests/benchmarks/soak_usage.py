"""What a process holds at a moment, as Linux tells it, and whether it came to hold too much."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import attrs

_MIB = 1024 * 1024


@attrs.frozen
class Usage:
    """What a process holds.

    Attributes:
        memory: Resident bytes.
        threads: How many.
        files: How many descriptors.
        children: How many processes below it, at any depth.
        tasks: How many tasks of its event loop; None when it is another process.
    """

    memory: int
    threads: int
    files: int
    children: int
    tasks: int | None = None

    @classmethod
    def of(cls, pid: int, tasks: int | None = None) -> Usage:
        """Look at a process."""
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        )
        return cls(
            memory=int(status["VmRSS"].split()[0]) * 1024,
            threads=int(status["Threads"]),
            files=len(os.listdir(f"/proc/{pid}/fd")),
            children=len(_below(pid)),
            tasks=tasks,
        )

    def __str__(self) -> str:
        shown = (
            f"{self.memory / _MIB:.0f} MiB, {self.threads} threads, {self.files} files, "
            f"{self.children} children"
        )
        return shown if self.tasks is None else f"{shown}, {self.tasks} tasks"


# What may come on top of the first measurement: caches that fill, and what the loop has at hand.
_MOST = {"memory": 24 * _MIB, "threads": 4, "files": 10, "children": 2, "tasks": 3}
_MOST_MEMORY = 0.10


def grown(name: str, found: Sequence[Usage]) -> list[str]:
    """What a process holds more of than it did at first, beyond what is to be expected.

    Args:
        name: What the process is called.
        found: What it held at moments at which it had nothing to do.
    """
    lines: list[str] = []
    for what, most in _MOST.items():
        values: list[int] = [getattr(usage, what) or 0 for usage in found]
        room = max(most, int(values[0] * _MOST_MEMORY)) if what == "memory" else most
        # The lowest of the last two: one of them may have met something that just ended.
        if len(values) > 1 and min(values[1:][-2:]) > values[0] + room:
            lines.append(f"{name} holds ever more {what}: {', '.join(map(str, values))}")
    return lines


def _below(pid: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError):
            # The name of a program, in brackets, may hold anything.
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(path.parent.name))
    found, todo = list[int](), [pid]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found
