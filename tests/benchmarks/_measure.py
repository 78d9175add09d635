"""How everything here is measured and shown."""

from __future__ import annotations

import os
import platform
import statistics
import sys
from collections.abc import Iterable, Sequence

import attrs


@attrs.frozen
class Row:
    """A line of a table: what was measured, what came out, and what was hoped for."""

    what: str
    found: str
    goal: str = ""


def show(title: str, rows: Sequence[Row]) -> None:
    """Print a table."""
    print(f"\n{title}")
    widths = [max(len(row.what) for row in rows), max(len(row.found) for row in rows)]
    for row in rows:
        goal = f"  goal {row.goal}" if row.goal else ""
        print(f"  {row.what:<{widths[0]}}  {row.found:<{widths[1]}}{goal}".rstrip())
    sys.stdout.flush()


def machine() -> str:
    """What the numbers were measured on, and how much else it did."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    load = os.getloadavg()[0]
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{python}, {platform.system()} {platform.machine()}, {cores} cores, load {load:.1f}"


def milliseconds(seconds: Iterable[float]) -> str:
    """The median and the middle half of times."""
    low, middle, high = statistics.quantiles([value * 1000 for value in seconds], n=4)
    return f"{middle:.1f} ms ({low:.1f} to {high:.1f})"


def ratios(ours: Iterable[float], theirs: Iterable[float]) -> str:
    """The median and the middle half of ratios, each one of two neighbours in time."""
    pairs = zip(ours, theirs, strict=True)
    low, middle, high = statistics.quantiles([one / other for one, other in pairs], n=4)
    return f"{middle:.2f} x ({low:.2f} to {high:.2f})"
