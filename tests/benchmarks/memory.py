"""Memory of sessions that are kept, and of calls that wait for their replies.

The vendor's client is measured when BENCH_VENDOR_PYTHON names the Python of an environment that
has it. All clients of a round are measured side by side, each in a process of its own.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence

from ._measure import Row, show
from ._processes import left_out, measured, serving, vendor

_SERVICE, _WORKER = "big_data_service.py", "big_data_worker.py"
_ROUNDS = 5
_COUNT, _VENDORS = 1000, 100  # the vendor's takes up to 0.9 MB for each


def main() -> None:
    """Measure, and print."""
    if sys.platform != "linux":
        print("\nmemory: left out, it is told by Linux only")
        return
    with serving(_SERVICE) as url:
        rows = _rows(url, "sessions", "9. a LinkUrl session after one call", 17)
        rows += _rows(url, "flight", "9. a call in flight, plain HTTP", 12)
    show("memory of each of 1,000", rows if vendor() else [*rows, left_out()])


def _rows(url: str, work: str, what: str, goal: int) -> list[Row]:
    ours, theirs = list[float](), list[float]()
    for _ in range(_ROUNDS):
        ours.append(_memory(url, work, "ours", _COUNT))
        if vendor():
            theirs.append(_memory(url, work, "vendor", _VENDORS))
    rows = [Row(what, _median(ours), f"<= {goal} KiB")]
    return [*rows, Row("    of the vendor's async client", _median(theirs))] if theirs else rows


def _median(kib: Sequence[float]) -> str:
    return f"{statistics.median(kib):.1f} KiB"


def _memory(url: str, work: str, client: str, count: int) -> float:
    python = vendor() if client == "vendor" else sys.executable
    found = measured(python, _WORKER, [work, client, url, "--count", str(count)])
    return found["memory"] / 1024
