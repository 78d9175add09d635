"""Files of up to 100 MB, by each way that they go: time, CPU, and memory at the most.

The vendor's client is measured when BENCH_VENDOR_PYTHON names the Python of an environment that
has it. All clients of a round are measured side by side, each in a process of its own; the file
or the text that is sent, and what the process held before, do not count as memory.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping, Sequence

from ._measure import Row, ratios, show
from ._processes import Found, left_out, measured, serving, vendor

_SERVICE, _WORKER = "big_data_service.py", "big_data_worker.py"
_ROUNDS = 5
_SLOW_ROUNDS = 3  # the vendor's takes 12 seconds and more for 40 MB in short messages
_MB, _MIB = 1_000_000, 1024 * 1024


def main() -> None:
    """Measure, and print."""
    if sys.platform != "linux":
        print("\nbig_data: left out, memory is told by Linux only")
        return
    with serving(_SERVICE) as url:
        rows = [*_presigned(url), *_link(url), *_messages(url)]
    show("big data", rows if vendor() else [*rows, left_out()])


def _presigned(url: str) -> list[Row]:
    rows: list[Row] = []
    for work in ("upload", "download"):
        found = _rounds(url, [work, "--size", str(100 * _MB)], _clients())
        rows.append(_extra(f"10. 100 MB presigned {work}, memory", found["ours"]))
        if vendor():
            rows.append(Row("    CPU, ours / vendor async", _of(found, "cpu")))
    return rows


def _link(url: str) -> list[Row]:
    size = 100 * _MB
    found = _rounds(url, ["write", "--size", str(size)], _clients())
    most = statistics.median(one["memory"] for one in found["ours"]) / size
    rows = [Row("10. 100 MB LinkUrl write, memory / size", f"{most:.2f}", "<= 2.5")]
    if vendor():
        rows.append(Row("10. the same, CPU, ours / vendor async", _of(found, "cpu"), "<= 0.45"))
        rows.append(Row("    the same, memory, ours / vendor async", _of(found, "memory")))
    return rows


def _messages(url: str) -> list[Row]:
    sizes = (20, 40, 80)
    clients = {f"{size} MB": ("ours", size) for size in sizes}
    if vendor():
        clients["vendor"] = ("vendor", 40)
    way = ["write", "--image", "linux_latest"]
    found: dict[str, list[Found]] = {name: [] for name in clients}
    for _ in range(_SLOW_ROUNDS):
        for name, (client, size) in clients.items():
            found[name].append(_run(url, [*way, "--size", str(size * _MB)], client))
    each = [[one["cpu"] / size for one in found[f"{size} MB"]] for size in sizes]
    rows = [
        Row("10. CPU of a byte of 80 MB CallMcpTool / of 20 MB", ratios(each[2], each[0]), "1"),
        _extra("    memory of 80 MB", found["80 MB"]),
    ]
    if vendor():
        times = ([one["time"] for one in found[name]] for name in ("40 MB", "vendor"))
        row = Row("10. 40 MB CallMcpTool write, time, ours / vendor async", ratios(*times))
        rows.insert(0, row)
    return rows


def _clients() -> Sequence[str]:
    return ("ours", "vendor") if vendor() else ("ours",)


def _rounds(url: str, work: Sequence[str], clients: Sequence[str]) -> dict[str, list[Found]]:
    found: dict[str, list[Found]] = {client: [] for client in clients}
    for _ in range(_ROUNDS):
        for client in clients:
            found[client].append(_run(url, work, client))
    return found


def _run(url: str, work: Sequence[str], client: str) -> Found:
    python = vendor() if client == "vendor" else sys.executable
    return measured(python, _WORKER, [work[0], client, url, *work[1:]])


def _extra(what: str, found: Sequence[Found]) -> Row:
    most = statistics.median(one["memory"] for one in found) / _MIB
    return Row(what, f"{most:.1f} MiB", "<= 4 MiB")


def _of(found: Mapping[str, Sequence[Found]], key: str) -> str:
    return ratios((one[key] for one in found["ours"]), (one[key] for one in found["vendor"]))
