"""What a call costs the client: ours, the vendor's, bare httpx and raw sockets.

The vendor's client is measured when BENCH_VENDOR_PYTHON names the Python of an environment
that has it. The clients of a row take turns, each in a process of its own, against one server;
a ratio is one of two turns that follow each other. The numbers of the rows are those of the
table of goals in README.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
from pathlib import Path

from ._measure import Row, ratios, show
from .transport_stage import Calls, Found, Server, make_certificates, serving

_TRIP = 0.03


def main() -> None:
    """Measure, and print."""
    if shutil.which("openssl") is None:
        print("\ntransport: left out, openssl makes the certificates: apt-get install openssl")
        return
    vendors = os.environ.get("BENCH_VENDOR_PYTHON", "")
    if not vendors:
        print("\nvendor: left out, BENCH_VENDOR_PYTHON does not name a Python that has its SDK")
    with tempfile.TemporaryDirectory(prefix="agentbay-benchmark-") as name:
        directory = Path(name)
        make_certificates(directory)
        with serving(directory, vendors) as server:
            show("calls one after the other", _one_by_one(server))
            show("1,000 calls in flight, answered after 500 ms", _thousand(server))
            show("a round trip of 30 ms, TLS", _distant(server))
        with serving(directory, vendors, latency=0.1) as server:
            show("100 calls in flight, answered after 100 ms, TLS", _hundred(server))


def _one_by_one(server: Server) -> list[Row]:
    some = Calls(40)
    theirs = {"vendor": Calls(2), "vendor-sync": some} if server.vendors else {}
    tls = server.turns("https", {"ours": some, "httpx": some, **theirs}, 25)
    plain = server.turns("http", {"ours": some, "httpx": some}, 25)
    rows = [
        _row("2. CPU, ours / bare httpx.AsyncClient.post", plain, "cpu", "httpx", "<= 0.40"),
        _row("2. the same over TLS", tls, "cpu", "httpx", "<= 0.40"),
    ]
    if theirs:
        rows += [
            _row("1. CPU over TLS, ours / vendor async", tls, "cpu", "vendor", "<= 0.01"),
            _row("1. CPU over TLS, ours / vendor sync", tls, "cpu", "vendor-sync", "<= 0.45"),
        ]
    return rows


def _hundred(server: Server) -> list[Row]:
    many = Calls(1000, flight=100, skip=200)
    found = server.turns("https", {"ours": many, "raw": many}, 5)
    opened = statistics.median(one["connections"] for one in found["ours"])
    rows = [
        _row("4. calls/s, ours / raw sockets", found, "rate", "raw", ">= 0.93"),
        Row("4. connections opened after the first calls", f"{opened:.0f}", "0"),
    ]
    if server.vendors:
        # Each of them takes 50 ms of CPU.
        few = Calls(40, flight=100, skip=10)
        found = server.turns("https", {"ours": many, "vendor": few}, 2)
        rows.append(_row("4. calls/s, ours / vendor async", found, "rate", "vendor", ">= 35"))
    return rows


def _thousand(instant: Server) -> list[Row]:
    many, few = Calls(3000, flight=1000, skip=1000), Calls(300, flight=1000, skip=200)
    with serving(instant.directory, latency=0.5) as server:
        found = server.turns("http", {"ours": many, "raw": many}, 5)
        naive = server.turns("http", {"ours": many, "httpx": few}, 2)
    # Against a server that answers at once: who waits in between finds the caches cold.
    alone = instant.turns("http", {"ours": Calls(200)}, len(found["ours"]))
    both = {"ours": found["ours"], "one": alone["ours"]}
    return [
        _row("3. calls/s, ours / raw sockets", found, "rate", "raw", ">= 0.80"),
        _row("3. calls/s, ours / bare httpx", naive, "rate", "httpx", ">= 10"),
        _row("3. CPU, 1,000 in flight / 1 in flight", both, "cpu", "one", "<= 1.3"),
    ]


def _distant(near: Server) -> list[Row]:
    some = Calls(15)
    with near.far_away(_TRIP) as server:
        found = server.turns("https", {"ours": some, "raw": some, "httpx": some}, 9)
        first = server.first_calls("https", ("ours", "raw", "httpx"), 9)
    return [
        _row("5. median, ours / raw sockets", found, "median", "raw", "<= 1.04"),
        _row("5. first call, ours / raw sockets", first, "elapsed", "raw", "<= 1.15"),
        _row("5. median, bare httpx / raw sockets", found, "median", "raw", ours="httpx"),
        _row("5. first call, bare httpx / raw sockets", first, "elapsed", "raw", ours="httpx"),
    ]


def _row(
    what: str, found: Found, key: str, theirs: str, goal: str = "", *, ours: str = "ours"
) -> Row:
    """One client beside another: the median of the ratios, and the medians of both."""
    values = {client: [turn[key] for turn in found[client]] for client in (ours, theirs)}
    shown = " to ".join(_shown(key, statistics.median(values[name])) for name in (ours, theirs))
    return Row(what, f"{ratios(values[ours], values[theirs])}, {shown}", goal)


def _shown(key: str, value: float) -> str:
    if key == "rate":
        return f"{value:,.0f}/s"
    return f"{value * 1e6:,.0f} us" if key == "cpu" else f"{value * 1e3:.1f} ms"
