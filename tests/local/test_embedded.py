"""The engine inside the user's process: how it starts, and what it says when it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CREATE = """
from agentbay import AgentBay
result = AgentBay(endpoint="local").create()
print(type(result.error).__name__, result.error_message)
"""


def _create(**environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CREATE],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout


def test_a_home_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = _create(AGENTBAY_LOCAL_HOME=str(tmp_path / "file"))
    assert said.startswith("TransportError")
    assert str(tmp_path / "file") in said
    assert "AGENTBAY_LOCAL_HOME" in said


@pytest.mark.parametrize("name", ["AGENTBAY_LOCAL_ISOLATION", "AGENTBAY_LOCAL_NETWORK"])
def test_a_setting_that_makes_no_sense_is_named(name: str, tmp_path: Path) -> None:
    said = _create(AGENTBAY_LOCAL_HOME=str(tmp_path), **{name: "strong"})
    assert said.startswith("ConfigError")
    assert name in said
    assert "'strong'" in said


def test_isolation_can_be_given_up(tmp_path: Path) -> None:
    code = """
import os
from agentbay import AgentBay
with AgentBay(endpoint="local") as bay, bay.session() as session:
    print(session.command.run("readlink /proc/self/ns/mnt").unwrap().strip())
print(os.readlink("/proc/self/ns/mnt"))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={
            **os.environ,
            "AGENTBAY_LOCAL_HOME": str(tmp_path),
            "AGENTBAY_LOCAL_ISOLATION": "none",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    inside, outside = done.stdout.split()
    assert inside == outside
