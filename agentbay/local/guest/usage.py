"""What the session uses of its machine."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import Any, NamedTuple

from . import processes

_TICKS = os.sysconf("SC_CLK_TCK")
# Seconds: a rate needs two looks, so far apart at least.
_SPAN = 0.1


class _Sample(NamedTuple):
    moment: float
    ticks: int
    received: int
    sent: int


_lock = threading.Lock()
_before: _Sample | None = None


def usage(_arguments: dict[str, Any], _body: bytes) -> tuple[dict[str, Any], bytes]:
    """Measure; rates are those since the last time that somebody asked."""
    global _before
    with _lock:
        before = _before or _sample()
        time.sleep(max(0.0, before.moment + _SPAN - time.monotonic()))
        _before = after = _sample()
    seconds = after.moment - before.moment
    disk = os.statvfs("/")
    processors = _processors()
    return {
        "cpu_count": processors,
        "cpu_used_pct": _share((after.ticks - before.ticks) / _TICKS, seconds * processors),
        "disk_total": disk.f_blocks * disk.f_frsize,
        "disk_used": (disk.f_blocks - disk.f_bfree) * disk.f_frsize,
        "mem_total": memory_of_machine(),
        "mem_used": sum(processes.exact_memory(found.pid) for found in processes.others()),
        "rx_rate_kbyte_per_s": round((after.received - before.received) / 1024 / seconds, 2),
        "tx_rate_kbyte_per_s": round((after.sent - before.sent) / 1024 / seconds, 2),
        "rx_used_kbyte": round(after.received / 1024, 2),
        "tx_used_kbyte": round(after.sent / 1024, 2),
        "timestamp": _now(),
    }, b""


def memory_of_machine() -> int:
    """Bytes of memory that the machine has; 0 when it does not say."""
    with contextlib.suppress(OSError, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 0


def _sample() -> _Sample:
    times = os.times()
    # What programs used that have ended is counted by whoever waited for them.
    ticks = int((times.children_user + times.children_system) * _TICKS)
    ticks += sum(found.ticks for found in processes.others())
    return _Sample(time.monotonic(), ticks, *_traffic())


def _traffic() -> tuple[int, int]:
    """Bytes received and sent so far, but for those that stayed inside."""
    received = sent = 0
    with contextlib.suppress(OSError, ValueError, IndexError), open("/proc/self/net/dev") as file:
        for line in file.readlines()[2:]:
            name, _, numbers = line.partition(":")
            if name.strip() != "lo":
                received += int(numbers.split()[0])
                sent += int(numbers.split()[8])
    return received, sent


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _now() -> str:
    zone = time.strftime("%z")
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S')}{zone[:3]}:{zone[3:]}"


def _share(part: float, whole: float) -> float:
    return round(min(100.0, max(0.0, 100.0 * part / whole)), 1)


PLAIN = {"usage": usage}
