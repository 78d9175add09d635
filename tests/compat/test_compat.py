"""The same script against a served engine, with the vendor's SDK and with this one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("uvicorn")

DRIVE = Path(__file__).with_name("drive.py")
KEY = "akm-compat"
VENDOR = "COMPAT_PYTHON"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an engine that serves other processes."""
    home = tmp_path_factory.mktemp("home")
    home.chmod(0o711)
    command = [sys.executable, "-m", "agentbay.local", "serve", "--port", "0", "--home", str(home)]
    environment = {**os.environ, "AGENTBAY_API_KEY": KEY}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdout is not None
            text = ""
            while (found := re.search(r"http://[\d.]+:\d+", text)) is None:
                line = server.stdout.readline()
                assert line, f"the engine did not start: {text}"
                text += line
            yield found[0]
        finally:
            server.terminate()
            server.communicate(timeout=60)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("sdk", ["vendor", "ours"])
def test_every_step_passes(sdk: str, endpoint: str, tmp_path: Path) -> None:
    python = sys.executable if sdk == "ours" else os.environ.get(VENDOR)
    if python is None:
        pytest.skip(f"set {VENDOR} to a Python that has wuying-agentbay-sdk==0.22.3")
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment = {**kept, "AGENTBAY_ENDPOINT": endpoint, "AGENTBAY_API_KEY": KEY}
    command = [python, str(DRIVE)]
    run = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=280
    )
    print(run.stdout)  # noqa: T201 - a line a step, for `pytest -s`
    assert run.returncode == 0, run.stdout + run.stderr
