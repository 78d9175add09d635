"""What the transport is measured with: a server, a long line to it, clients that take turns.

Each is a process of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Self

import attrs

_HERE = Path(__file__).parent

Found = dict[str, list[dict[str, float]]]


@attrs.frozen
class Calls:
    """What a client does in its turn.

    Attributes:
        count: Calls that count.
        flight: Calls at once.
        skip: Calls before those that count.
    """

    count: int
    flight: int = 1
    skip: int = 0


@attrs.frozen
class Server:
    """Where the stand-in for the service is, and how clients trust it."""

    ports: Mapping[str, int]
    directory: Path
    vendors: str

    def url(self, scheme: str) -> str:
        """Its address."""
        return f"{scheme}://127.0.0.1:{self.ports[scheme]}"

    def python(self, client: str) -> str:
        """The Python that has the client."""
        return self.vendors if client.startswith("vendor") else sys.executable

    def environment(self, client: str) -> dict[str, str]:
        """What the client is told, beside what everyone is: no proxies, and whom to trust."""
        bundle = str(self.directory / "bundle.pem")
        ours = {
            name: value
            for name, value in os.environ.items()
            if not name.lower().endswith("_proxy")
            and not (client.startswith("vendor") and name == "PYTHONPATH")
        }
        return {**ours, "SSL_CERT_FILE": bundle, "REQUESTS_CA_BUNDLE": bundle, "NO_PROXY": "*"}

    @contextlib.contextmanager
    def far_away(self, trip: float) -> Generator[Self]:
        """The same behind a line with a round trip of some seconds."""
        script = [str(_HERE / "transport_relay.py"), str(self.ports["https"])]
        with _running([sys.executable, *script, "--trip", str(trip)]) as line:
            yield attrs.evolve(self, ports={**self.ports, "https": int(line)})

    def turns(self, scheme: str, clients: Mapping[str, Calls], rounds: int) -> Found:
        """Let clients take turns; each stays in its process, and is warm after its first turn."""
        found: Found = {client: [] for client in clients}
        with contextlib.ExitStack() as stack:
            workers = {name: stack.enter_context(self._worker(name, scheme)) for name in clients}
            for name, calls in clients.items():
                _take(workers[name], calls)
            for number in range(rounds):
                names = list(clients)
                for name in names[number % len(names) :] + names[: number % len(names)]:
                    found[name].append(_take(workers[name], clients[name]))
        return found

    def first_calls(self, scheme: str, clients: tuple[str, ...], rounds: int) -> Found:
        """Let each client make one call, in a process that makes no other."""
        found: Found = {client: [] for client in clients}
        for number in range(rounds + 1):
            for client in clients:
                command = [*self._command(client, scheme), ""]
                with _running(command, self.environment(client), self.directory) as line:
                    found[client] += [json.loads(line)] if number else []
        return found

    def _command(self, client: str, scheme: str) -> list[str]:
        return [
            self.python(client), str(_HERE / "transport_worker.py"), client, self.url(scheme),
        ]  # fmt: skip

    @contextlib.contextmanager
    def _worker(self, client: str, scheme: str) -> Generator[subprocess.Popen[str]]:
        with subprocess.Popen(
            [*self._command(client, scheme), self.url("http")],
            env=self.environment(client),
            cwd=self.directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def _take(worker: subprocess.Popen[str], calls: Calls) -> dict[str, float]:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(json.dumps(attrs.asdict(calls)) + "\n")
    worker.stdin.flush()
    line = worker.stdout.readline()
    # The vendor's client prints, too.
    while line and not line.startswith("{"):
        line = worker.stdout.readline()
    measured: dict[str, float] = json.loads(line)
    return measured


@contextlib.contextmanager
def serving(directory: Path, vendors: str = "", *, latency: float = 0.0) -> Generator[Server]:
    """Run the server; it answers each request after some seconds.

    Args:
        directory: Where `make_certificates` has put them.
        vendors: The Python that has the vendor's client; empty for none.
        latency: The seconds.
    """
    command = [
        sys.executable, str(_HERE / "transport_service.py"), str(directory / "cert.pem"),
        str(directory / "key.pem"), "--latency", str(latency),
    ]  # fmt: skip
    with _running(command) as line:
        yield Server(json.loads(line), directory, vendors)


@contextlib.contextmanager
def _running(
    command: list[str], environment: dict[str, str] | None = None, place: Path | None = None
) -> Generator[str]:
    """Run a process for the length of a block; gives the first line that it prints."""
    with subprocess.Popen(
        command, env=environment, cwd=place, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline()
        finally:
            process.terminate()


def make_certificates(directory: Path) -> None:
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
