"""What blocking adds to a call, and what many threads get done with one client.

The clients take turns as those of the transport do, against the same server.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from pathlib import Path

from agentbay import _bridge

from ._measure import Row, ratios, show
from ._processes import left_out, vendor
from .transport_stage import Calls, Found, Server, make_certificates, serving

_TURNS = 40
_THREADS = 16


def main() -> None:
    """Measure, and print."""
    if shutil.which("openssl") is None:
        print("\nfacade: left out, openssl makes the certificates: apt-get install openssl")
        return
    with tempfile.TemporaryDirectory(prefix="agentbay-benchmark-") as name:
        make_certificates(Path(name))
        with serving(Path(name), vendor()) as server:
            show("blocking calls", [*_one_by_one(server), *_many(server), *_nothing()])


def _one_by_one(server: Server) -> list[Row]:
    found = server.turns("http", {"ours-sync": Calls(40), "ours": Calls(40)}, _TURNS)
    blocking, plain = (_of(found, client, "cpu") for client in ("ours-sync", "ours"))
    more = [one - other for one, other in zip(blocking, plain, strict=True)]
    low, middle, high = statistics.quantiles([value * 1e6 for value in more], n=4)
    return [
        Row("6. CPU, sync facade - async", f"{middle:.0f} us ({low:.0f} to {high:.0f})", "<= 200"),
        Row("6. CPU, sync facade / async", ratios(blocking, plain)),
    ]


def _many(server: Server) -> list[Row]:
    if not server.vendors:
        return [left_out()]
    many = Calls(400, flight=_THREADS, skip=50)
    found = server.turns("http", {"ours-sync": many, "vendor-sync": many}, 9)
    ours, theirs = (_of(found, client, "rate") for client in ("ours-sync", "vendor-sync"))
    rates = " to ".join(f"{statistics.median(rate):,.0f}/s" for rate in (ours, theirs))
    what = f"6. calls/s of {_THREADS} threads, ours / vendor"
    return [Row(what, f"{ratios(ours, theirs)}, {rates}", ">= 2")]


def _nothing() -> list[Row]:
    """The way to the thread of the event loop and back."""

    async def nothing() -> None:
        pass

    costs: list[float] = []
    for _ in range(_TURNS):
        begin = time.process_time()
        for _ in range(100):
            _bridge.call(nothing)
        costs.append((time.process_time() - begin) / 100 * 1e6)
    return [Row("   CPU, a blocking call of nothing", f"{statistics.median(costs):.0f} us")]


def _of(found: Found, client: str, key: str) -> list[float]:
    return [turn[key] for turn in found[client]]
