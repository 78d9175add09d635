"""The engine that other contract tests reach over HTTP: its end, and its connections."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import httpx
import pytest

from ..local.sandboxes import until
from .services import Service, served_engine

# Stands for a run of the tests that is broken off.
_OWNER = """
import pathlib, sys, time
from tests.contract.services import served_engine
with served_engine(pathlib.Path(sys.argv[1])) as service:
    print(service.endpoint, flush=True)
    time.sleep(100)
"""


@contextmanager
def _owner(tmp_path: Path) -> Generator[tuple[subprocess.Popen[str], str]]:
    """A process that has an engine, and the address of that."""
    command = [sys.executable, "-c", _OWNER, str(tmp_path / "log")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.fixture
async def web() -> AsyncGenerator[httpx.AsyncClient, None]:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        yield client


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
async def test_an_engine_ends_with_the_run_that_started_it(
    tmp_path: Path, web: httpx.AsyncClient, how: signal.Signals
) -> None:
    with _owner(tmp_path) as (process, endpoint):
        assert (await web.get(f"{endpoint}/healthz")).status_code == 200

        process.send_signal(how)

        async def gone() -> bool:
            try:
                await web.get(f"{endpoint}/healthz")
            except httpx.TransportError:
                return True
            return False

        await until(gone, 30)
        log = tmp_path / "log"
        await until(lambda: _says(log, "stopped"), 30)


async def _says(log: Path, word: str) -> bool:
    return word in await anyio.Path(log).read_text()


@pytest.mark.slow
def test_a_connection_that_was_idle_for_a_while_can_be_used(tmp_path: Path) -> None:
    with served_engine(tmp_path / "log") as service:
        assert service.endpoint is not None
        connection = http.client.HTTPConnection(urlsplit(service.endpoint).netloc, timeout=30)
        connection.request("GET", "/healthz")
        assert connection.getresponse().read()
        used = connection.sock

        time.sleep(6)  # longer than servers like this one keep a connection by default
        connection.request("GET", "/healthz")

        assert connection.getresponse().read()
        assert connection.sock is used
        connection.close()


def test_the_key_of_a_service_is_not_shown() -> None:
    assert "secret" not in repr(Service("served", "http://127.0.0.1:1", "secret"))
