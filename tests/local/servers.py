"""Engines that serve from processes of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

KEY = "akm-of-these-tests"


@contextmanager
def serving(home: Path, *arguments: str) -> Generator[tuple[subprocess.Popen[str], str]]:
    """A process that serves an engine, and its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "agentbay.local", "serve", "--port", "0", *arguments],
        env={**os.environ, "AGENTBAY_LOCAL_HOME": str(home), "AGENTBAY_API_KEY": KEY},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = re.search(r"http://\S+", process.stdout.readline())
        assert url, process.communicate(timeout=30)
        yield process, url[0]
    finally:
        process.kill()
        process.communicate()
