"""What a process holds at a moment, as Linux tells it, and whether it came to hold too much."""

from __future__ import annotations

import contextlib
import os
import statistics
from collections.abc import Sequence
from pathlib import Path

import attrs

from ._measure import Row

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
        minute: When that was, from the begin of the run on.
    """

    memory: int
    threads: int
    files: int
    children: int
    tasks: int | None = None
    minute: float = 0.0

    @classmethod
    def of(cls, pid: int, tasks: int | None = None, minute: float = 0.0) -> Usage:
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
            minute=minute,
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

# What may come in the second half of a run, when there is nothing left to fill.
_MOST_LATER = {"memory": 6 * _MIB, "threads": 4, "files": 10, "children": 2, "tasks": 3}


def trends(name: str, found: Sequence[Usage]) -> list[Row]:
    """How what a process holds went on, and by how much it grew in the second half.

    Args:
        name: What the process is called.
        found: What it held at moments at which it had nothing to do.
    """
    rows: list[Row] = []
    for what, most in _MOST_LATER.items():
        unit, per = (" MiB", _MIB) if what == "memory" else ("", 1)
        values = ", ".join(f"{_value(usage, what) / per:.0f}" for usage in found)
        change = f"{values}{unit}; second half {_second_half(found, what) / per:+.1f}"
        if any(_value(usage, what) for usage in found):
            rows.append(Row(f"{name}: {what}", change, f"<= {most / per:+.0f}"))
    return rows


def _value(usage: Usage, what: str) -> int:
    return int(getattr(usage, what) or 0)


def _later(found: Sequence[Usage]) -> list[Usage]:
    middle = (found[0].minute + found[-1].minute) / 2
    return [usage for usage in found if usage.minute >= middle]


def _second_half(found: Sequence[Usage], what: str) -> float:
    """The growth from the middle to the end, on the line that fits the measurements best."""
    later = _later(found)
    minutes = [usage.minute for usage in later]
    if len(set(minutes)) < 2:
        return 0.0
    values = [_value(usage, what) for usage in later]
    return statistics.linear_regression(minutes, values).slope * (minutes[-1] - minutes[0])


def grown(name: str, found: Sequence[Usage]) -> list[str]:
    """What a process holds more of than it did at first, or in the middle, than is expected.

    Args:
        name: What the process is called.
        found: What it held at moments at which it had nothing to do.
    """
    lines: list[str] = []
    for what, most in _MOST.items():
        values = [_value(usage, what) for usage in found]
        room = max(most, int(values[0] * _MOST_MEMORY)) if what == "memory" else most
        # The lowest of the last two: one of them may have met something that just ended.
        if len(values) > 1 and min(values[1:][-2:]) > values[0] + room:
            lines.append(f"{name} holds ever more {what}: {', '.join(map(str, values))}")
        elif (more := _second_half(found, what)) > (limit := _MOST_LATER[what]) and (
            # Threads come and go: one measurement that is out of line makes a slope.
            min(values[-2:]) > _value(_later(found)[0], what) + limit
        ):
            lines.append(f"{name} holds {more:.0f} more {what} in the second half of the run")
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
