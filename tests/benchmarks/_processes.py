"""Servers and clients of measurements, each in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path

from ._measure import Row

_HERE = Path(__file__).parent
_LIMIT = 300.0

# What a client found out, by its name.
Found = dict[str, float]


def vendor() -> str:
    """The Python that has the vendor's client; empty for none."""
    return os.environ.get("BENCH_VENDOR_PYTHON", "")


def left_out() -> Row:
    """The line that says why the vendor's client is not measured."""
    return Row("against the vendor's", "left out: BENCH_VENDOR_PYTHON names no Python that has it")


@contextlib.contextmanager
def serving(script: str) -> Generator[str]:
    """Run a server for the length of a block, and tell its address, which it prints."""
    command = [sys.executable, str(_HERE / script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def measured(python: str, script: str, arguments: Sequence[str]) -> Found:
    """Run a client to its end, and tell what it prints in its last line."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and name != "PYTHONPATH"
    }
    with tempfile.TemporaryDirectory(prefix="agentbay-benchmark-") as directory:
        done = subprocess.run(
            [python, str(_HERE / script), *arguments],
            env={**environment, "NO_PROXY": "*"},
            cwd=directory,
            check=True,
            timeout=_LIMIT,
            stdout=subprocess.PIPE,
        )
    found: Found = json.loads(done.stdout.splitlines()[-1])
    return found
