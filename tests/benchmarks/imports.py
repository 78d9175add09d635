"""What importing the client costs, and what installing it brings."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import attrs
from packaging.requirements import Requirement

import agentbay

from ._measure import Row, ratios, show

_ROUNDS = 15
_STATEMENTS = {"bare": "pass", "httpx": "import httpx", "ours": "from agentbay import AgentBay"}

# Of the working tree only: it makes the synchronous half, which is there when it is installed.
_NOT_INSTALLED = "_generate"


def main() -> None:
    """Measure, and print."""
    cpu = _cpu_of_imports()
    installed = [_footprint(name) for name in sorted(_needed("agentbay-sdk"))]
    size = sum(part.size for part in installed) / 1e6
    rows = [
        Row("CPU: from agentbay import AgentBay / import httpx", ratios(*cpu), "<= 1.3"),
        Row("packages of the core install", str(len(installed)), "<= 8"),
        Row("files of the core install", f"{size:.1f} MB", "<= 4"),
    ]
    rows += [Row(f"  {part.name}", f"{part.size / 1e6:.2f} MB") for part in installed]
    show("import and install", rows)


def _cpu_of_imports() -> tuple[list[float], list[float]]:
    """Seconds beyond those of a bare interpreter: of the client, and of httpx beside it.

    Byte code is cached, as pip does when it installs a package.
    """
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        rounds = [
            {name: _cpu_seconds(code, environment) for name, code in _STATEMENTS.items()}
            for _ in range(_ROUNDS + 1)
        ][1:]
    # The smallest one was disturbed least: what else the machine does only ever adds.
    bare = min(found["bare"] for found in rounds)
    return [found["ours"] - bare for found in rounds], [found["httpx"] - bare for found in rounds]


def _cpu_seconds(statement: str, environment: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", statement], check=True, timeout=60, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@attrs.frozen
class _Package:
    name: str
    size: int


def _needed(name: str) -> set[str]:
    """A distribution and all that it needs, without its extras."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name not in found:
            found.add(name)
            needs = map(Requirement, metadata.requires(name) or [])
            waiting += [
                need.name
                for need in needs
                if need.marker is None or need.marker.evaluate({"extra": ""})
            ]
    return found


def _footprint(name: str) -> _Package:
    """The bytes of a distribution's files, byte code left out."""
    if name == "agentbay-sdk":  # it may be installed as a link to the working tree
        return _Package(name, sum(map(_size, Path(agentbay.__file__).parent.rglob("*.py"))))
    files = metadata.distribution(name).files or []
    return _Package(name, sum(_size(Path(str(file.locate()))) for file in files))


def _size(path: Path) -> int:
    counts = path.is_file() and path.suffix != ".pyc" and _NOT_INSTALLED not in path.name
    return path.stat().st_size if counts else 0
