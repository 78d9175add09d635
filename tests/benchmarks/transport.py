"""What a call costs the client: ours, the vendor's, bare httpx and raw sockets.

The vendor's client is measured when BENCH_VENDOR_PYTHON names the Python of an environment
that has it. Every round runs all clients of a row, each in a process of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import attrs

from ._measure import Row, ratios, show

_HERE = Path(__file__).parent
_ROUNDS = 5

Found = dict[str, list[dict[str, float]]]


@attrs.frozen
class Server:
    """Where the stand-in for the service is."""

    ports: dict[str, int]
    authority: Path

    def url(self, scheme: str) -> str:
        """Its address."""
        return f"{scheme}://127.0.0.1:{self.ports[scheme]}"


def main() -> None:
    """Measure, and print."""
    if shutil.which("openssl") is None:
        print("\ntransport: left out, openssl makes the certificates: apt-get install openssl")
        return
    vendors = os.environ.get("BENCH_VENDOR_PYTHON", "")
    if not vendors:
        print("\nvendor: left out, BENCH_VENDOR_PYTHON does not name a Python that has its SDK")
    with tempfile.TemporaryDirectory(prefix="agentbay-benchmark-") as directory:
        _certificates(Path(directory))
        with _server(Path(directory)) as server:
            show("calls one after the other", _one_by_one(server, vendors))
        with _server(Path(directory), latency=0.1) as server:
            show("100 calls in flight, answered after 100 ms, TLS", _hundred(server, vendors))
        with _server(Path(directory), latency=0.5) as server:
            show("1,000 calls in flight, answered after 500 ms", _thousand(server))
        with _server(Path(directory), latency=0.03) as server:
            show("answered after 30 ms, TLS", _distant(server))


def _one_by_one(server: Server, vendors: str) -> list[Row]:
    calls = {"ours": 400, "httpx": 400, "ours-sync": 400}
    theirs = {"vendor": 30, "vendor-sync": 400} if vendors else {}
    tls = _rounds(server, "https", {**calls, **theirs}, vendors)
    plain = _rounds(server, "http", calls, vendors)
    rows = [
        Row(
            "2. CPU, ours / bare httpx.AsyncClient.post",
            _of(plain, "cpu", "ours", "httpx"),
            "<= 0.40",
        ),
        Row("2. the same over TLS", _of(tls, "cpu", "ours", "httpx"), "<= 0.40"),
        Row("6. CPU, sync facade - async", _more(plain, "ours-sync", "ours"), "<= 200 us"),
    ]
    if theirs:
        rows += [
            Row(
                "1. CPU over TLS, ours / vendor async", _of(tls, "cpu", "ours", "vendor"), "<= 0.01"
            ),
            Row(
                "1. CPU over TLS, ours / vendor sync",
                _of(tls, "cpu", "ours", "vendor-sync"),
                "<= 0.45",
            ),
        ]
        many = _rounds(server, "http", {"ours-sync": 800, "vendor-sync": 800}, vendors, flight=16)
        rows.append(
            Row(
                "6. calls/s of 16 threads, ours / vendor",
                _of(many, "rate", "ours-sync", "vendor-sync"),
                ">= 2",
            )
        )
    return rows


def _hundred(server: Server, vendors: str) -> list[Row]:
    calls = {"ours": 1000, "raw": 1000, **({"vendor": 200} if vendors else {})}
    found = _rounds(server, "https", calls, vendors, flight=100, warm=200, rounds=3)
    opened = statistics.median(one["connections"] for one in found["ours"])
    rows = [
        Row("4. calls/s, ours / raw sockets", _of(found, "rate", "ours", "raw"), ">= 0.93"),
        Row("4. connections opened after the first calls", f"{opened:.0f}", "0"),
    ]
    if vendors:
        rows.append(
            Row("4. calls/s, ours / vendor async", _of(found, "rate", "ours", "vendor"), ">= 35")
        )
    return rows


def _thousand(server: Server) -> list[Row]:
    calls = {"ours": 4000, "raw": 4000, "httpx": 1000}
    found = _rounds(server, "http", calls, "", flight=1000, warm=1000, rounds=3)
    alone = _rounds(server, "http", {"ours": 20}, "", warm=5, rounds=3)
    both = {"many": found["ours"], "one": alone["ours"]}
    return [
        Row("3. calls/s, ours / raw sockets", _of(found, "rate", "ours", "raw"), ">= 0.80"),
        Row("3. calls/s, ours / bare httpx", _of(found, "rate", "ours", "httpx"), ">= 10"),
        Row("3. CPU, 1,000 in flight / 1 in flight", _of(both, "cpu", "many", "one"), "<= 1.3"),
    ]


def _distant(server: Server) -> list[Row]:
    found = _rounds(server, "https", {"ours": 30, "raw": 30, "httpx": 30}, "", warm=3)
    return [
        Row("5. median, ours / raw sockets", _of(found, "median", "ours", "raw"), "<= 1.04"),
        Row("5. median, bare httpx / raw sockets", _of(found, "median", "httpx", "raw")),
    ]


def _of(found: Found, key: str, one: str, other: str) -> str:
    return ratios((run[key] for run in found[one]), (run[key] for run in found[other]))


def _more(found: Found, one: str, other: str) -> str:
    pairs = zip(found[one], found[other], strict=True)
    return f"{statistics.median(a['cpu'] - b['cpu'] for a, b in pairs) * 1e6:.0f} us"


def _rounds(
    server: Server,
    scheme: str,
    calls: dict[str, int],
    vendors: str,
    *,
    flight: int = 1,
    warm: int = 50,
    rounds: int = _ROUNDS,
) -> Found:
    found: Found = {client: [] for client in calls}
    for number in range(rounds):
        clients = list(calls)
        for client in clients[number % len(clients) :] + clients[: number % len(clients)]:
            python = vendors if client.startswith("vendor") else sys.executable
            least = ["--warm", str(min(warm, calls[client])), "--flight", str(flight)]
            found[client].append(_run(server, python, client, scheme, calls[client], least))
    return found


def _run(
    server: Server, python: str, client: str, scheme: str, count: int, options: list[str]
) -> dict[str, float]:
    command = [
        python, str(_HERE / "transport_worker.py"), client, server.url(scheme),
        server.url("http"), "--count", str(count), *options,
    ]  # fmt: skip
    trust = {"SSL_CERT_FILE": str(server.authority), "REQUESTS_CA_BUNDLE": str(server.authority)}
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy")
        and not (python != sys.executable and name == "PYTHONPATH")
    }
    done = subprocess.run(
        command,
        env={**environment, **trust, "NO_PROXY": "*"},
        cwd=server.authority.parent,
        check=True,
        timeout=300,
        stdout=subprocess.PIPE,
    )
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


@contextlib.contextmanager
def _server(directory: Path, *, latency: float = 0.0) -> Generator[Server, None, None]:
    command = [
        sys.executable, str(_HERE / "transport_service.py"), str(directory / "cert.pem"),
        str(directory / "key.pem"), "--latency", str(latency),
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Server(json.loads(process.stdout.readline()), directory / "bundle.pem")
        finally:
            process.terminate()


def _certificates(directory: Path) -> None:
    """An authority beside those of the system, and a certificate of it for 127.0.0.1."""
    (directory / "extensions").write_text("subjectAltName=IP:127.0.0.1\n")
    key = ["-newkey", "rsa:2048", "-nodes"]
    for command in (
        ["req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=benchmark"],
        ["req", *key, "-keyout", "key.pem", "-out", "request", "-subj", "/CN=127.0.0.1"],
        ["x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key",
         "-CAcreateserial", "-extfile", "extensions", "-out", "cert.pem"],
    ):  # fmt: skip
        subprocess.run(
            ["openssl", *command], cwd=directory, check=True, capture_output=True, timeout=60
        )
    import certifi

    system = Path(certifi.where()).read_bytes()
    (directory / "bundle.pem").write_bytes(system + b"\n" + (directory / "ca.pem").read_bytes())
