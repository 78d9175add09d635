"""Where the sessions of contract tests run: in this process, behind HTTP, or in the cloud."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import attrs
import httpx

from agentbay import AgentBay, AsyncAgentBay
from agentbay.local.transport import embedded_transport

KEY = "akm-of-the-contract-tests"

# Saving contexts and ending sessions takes a while.
_END_LIMIT = 30

# Ends the engine when whoever started it is gone, however that came: then the pipe is closed.
_TETHERED = '"$@" & engine=$!; exec > /dev/null; cat; kill -TERM "$engine"; wait "$engine"'


@attrs.frozen
class Service:
    """What a client needs to know of the service that a test runs on.

    Attributes:
        engine: `embedded`, `served` or `cloud`.
        endpoint: Its address; None for that of the client's default region.
        api_key: Its key; the engine in this process wants none.
    """

    engine: str
    endpoint: str | None = "local"
    api_key: str = attrs.field(default="", repr=False)

    def client(self, transport: httpx.AsyncBaseTransport | None = None) -> AsyncAgentBay:
        """A client, which the caller closes."""
        return AsyncAgentBay(self.api_key, endpoint=self.endpoint, transport=transport)

    def blocking_client(self) -> AgentBay:
        """The same for fixtures that live longer than an event loop."""
        return AgentBay(self.api_key, endpoint=self.endpoint)

    def transport(self) -> httpx.AsyncBaseTransport:
        """What leads there, for those who put something in between."""
        return embedded_transport() if self.engine == "embedded" else httpx.AsyncHTTPTransport()


EMBEDDED = Service("embedded")


@contextmanager
def served_engine(log: Path) -> Generator[Service]:
    """An engine in a process of its own, in the home directory that the environment names."""
    command = [sys.executable, "-m", "agentbay.local", "serve", "--port", "0"]
    with log.open("wb") as errors:
        process = subprocess.Popen(
            ["sh", "-c", _TETHERED, "sh", *command],
            env={**os.environ, "AGENTBAY_API_KEY": KEY},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            # Ctrl-C is for the tests: the engine is needed until they have cleaned up.
            start_new_session=True,
        )
    try:
        assert process.stdout is not None
        _, _, url = process.stdout.readline().partition("http://")
        assert url, f"the engine does not start: {log.read_text()}"
        yield Service("served", f"http://{url.strip()}", KEY)
    finally:
        _end(process)


def cloud() -> Service:
    """The service that the environment names, with the key of an account."""
    endpoint = os.environ.get("TEST_AGENTBAY_ENDPOINT")
    return Service("cloud", endpoint, os.environ["TEST_AGENTBAY_API_KEY"])


def _end(process: subprocess.Popen[str]) -> None:
    with process:
        try:
            process.communicate(timeout=_END_LIMIT)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
