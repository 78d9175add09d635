"""What importing the client costs, how long its first call takes, and what installing it brings."""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import attrs
from packaging.requirements import Requirement

import agentbay

from ._measure import Row, ratios, show
from .transport_stage import make_certificates, serving

_ROUNDS = 15
_IMPORTS = {
    "bare": "pass",
    "httpx": "import httpx",
    "ours": "from agentbay import AgentBay",
    "async": "from agentbay import AsyncAgentBay",
}

# From nothing to the first answer over TLS.
_FIRST_CALLS = {
    "httpx": """
import asyncio, httpx, json

async def main():
    async with httpx.AsyncClient() as client:
        json.loads((await client.post(URL, content=b"x" * 300)).content)

asyncio.run(main())
""",
    "ours": """
from agentbay import AgentBay
with AgentBay("akm-x", endpoint=URL) as bay:
    bay.get("s-1").unwrap()
""",
    "async": """
import asyncio
from agentbay import AsyncAgentBay

async def main():
    async with AsyncAgentBay("akm-x", endpoint=URL) as bay:
        (await bay.get("s-1")).unwrap()

asyncio.run(main())
""",
}

# Of the working tree only: it makes the synchronous half, which is there when it is installed.
_NOT_INSTALLED = "_generate"


def main() -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory(prefix="agentbay-benchmark-") as name:
        rows = [*_imports(Path(name)), *_first_calls(Path(name)), *_install()]
    show("import, first call and install", rows)


def _imports(directory: Path) -> list[Row]:
    rounds = _rounds(_IMPORTS, _cached(os.environ, directory))
    # The smallest one was disturbed least: what else the machine does only ever adds.
    bare = min(found["bare"].cpu for found in rounds)
    beyond = {
        name: [found[name].cpu - bare for found in rounds] for name in ("httpx", "ours", "async")
    }
    return [
        Row(
            "7. CPU: from agentbay import AgentBay / import httpx",
            ratios(beyond["ours"], beyond["httpx"]),
            "<= 1.3",
        ),
        Row("7. the same of AsyncAgentBay", ratios(beyond["async"], beyond["httpx"]), "<= 1.3"),
    ]


def _cached(environment: Mapping[str, str], directory: Path) -> dict[str, str]:
    """The same, with byte code kept in a directory, as pip keeps it when it installs a package."""
    kept = {**environment, "PYTHONPYCACHEPREFIX": str(directory / "cache")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept


def _first_calls(directory: Path) -> list[Row]:
    if shutil.which("openssl") is None:
        return [Row("7. first call", "left out, openssl makes the certificates")]
    make_certificates(directory)
    with serving(directory) as server:
        url = f"URL = {server.url('https')!r}"
        programs = {name: url + program for name, program in _FIRST_CALLS.items()}
        rounds = _rounds(programs, _cached(server.environment("ours"), directory))
    rows: list[Row] = []
    for client, who in (("ours", "AgentBay"), ("async", "AsyncAgentBay")):
        for key, what in (("elapsed", "time"), ("cpu", "CPU")):
            ours, bare = (
                [getattr(found[name], key) for found in rounds] for name in (client, "httpx")
            )
            times = " to ".join(f"{statistics.median(one) * 1e3:.0f} ms" for one in (ours, bare))
            rows.append(
                Row(
                    f"7. {what}, start to the first TLS answer, {who} / bare httpx",
                    f"{ratios(ours, bare)}, {times}",
                    "<= 1.05",
                )
            )
    return rows


def _install() -> list[Row]:
    installed = [_footprint(name) for name in sorted(_needed("agentbay-sdk"))]
    size = sum(part.size for part in installed) / 1e6
    return [
        Row("8. packages of the core install", str(len(installed)), "<= 8"),
        Row("8. files of the core install", f"{size:.1f} MB", "<= 4"),
        *(Row(f"     {part.name}", f"{part.size / 1e6:.2f} MB") for part in installed),
    ]


@attrs.frozen
class _Run:
    """Seconds that a process took."""

    cpu: float
    elapsed: float


def _rounds(programs: Mapping[str, str], environment: Mapping[str, str]) -> list[dict[str, _Run]]:
    """Run the programs in turn, over and over; the first turn fills caches, and does not count."""
    return [
        {name: _run(program, environment) for name, program in programs.items()}
        for _ in range(_ROUNDS + 1)
    ][1:]


def _run(program: str, environment: Mapping[str, str]) -> _Run:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, env=environment)
    after, end = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return _Run(cpu, end - start)


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
