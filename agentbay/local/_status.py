"""What `agentbay local status` tells: what a home directory holds, and what works here."""

from __future__ import annotations

import os
from pathlib import Path

import attrs

from .._version import __version__
from . import _engines
from ._engines import RunningEngine
from ._errors import EngineError
from ._programs import PROGRAMS
from ._sandbox import network
from ._sandbox.bwrap import Isolation, find_bwrap
from ._storage.store import Store
from .engine import EngineOptions

_PAGE = 1000


@attrs.frozen
class ContextFacts:
    """A context, and what it holds."""

    id: str
    name: str
    last_used: str
    files: int
    size: int


@attrs.frozen
class Part:
    """Something that the engine needs of this machine.

    Attributes:
        name: What it is.
        found: Where or how it works; None when it does not.
        remedy: Why it does not and what helps; empty when it works.
    """

    name: str
    found: str | None
    remedy: str = ""


@attrs.frozen
class Status:
    """The state of a home directory and of this machine; sizes are bytes on the disk."""

    version: str
    home: str
    sizes: dict[str, int]
    contexts: list[ContextFacts]
    engines: list[RunningEngine]
    isolation: Part
    network: Part
    programs: list[Part]
    problems: list[str]


def status(options: EngineOptions) -> Status:
    """Look; nothing is made or changed."""
    problems: list[str] = []
    return Status(
        version=__version__,
        home=str(options.home),
        sizes={name: size_of(options.home / name) for name in ("contexts", "oss", "engines")},
        contexts=_contexts(options.home, problems),
        engines=_engines.running(options.home / "engines"),
        isolation=_isolation(options.isolation),
        network=_outbound(options.isolation),
        programs=[
            Part(f"{program.name} ({program.purpose})", found, "" if found else program.remedy)
            for program in PROGRAMS
            for found in [program.find()]
        ],
        problems=problems,
    )


def size_of(directory: Path) -> int:
    """How many bytes the files below a directory have; those that may be looked at."""
    total = 0
    for parent, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
            except OSError:
                continue  # it is gone meanwhile
    return total


def _contexts(home: Path, problems: list[str]) -> list[ContextFacts]:
    # Opening the store would make it.
    if not (home / "contexts" / "contexts.db").exists():
        return []
    found: list[ContextFacts] = []
    with Store(home / "contexts") as store:
        try:
            rows, total = store.list_contexts(_PAGE)
            while len(rows) < total:
                more, _ = store.list_contexts(_PAGE, len(rows))
                if not more:
                    break
                rows += more
            for row in rows:
                sizes = [entry.size for entry in store.list_entries(row.id) if entry.blob]
                facts = ContextFacts(row.id, row.name, row.last_used, len(sizes), sum(sizes))
                found.append(facts)
        except EngineError as exc:
            problems.append(str(exc))
    return found


def _isolation(isolation: Isolation) -> Part:
    if isolation.kind == "none":
        remedy = "sessions can do whatever you can: unset AGENTBAY_LOCAL_ISOLATION"
        return Part("isolation", "none", remedy)
    try:
        return Part("isolation", find_bwrap(isolation.network == "host"))
    except EngineError as exc:
        return Part("isolation", None, str(exc))


def _outbound(isolation: Isolation) -> Part:
    if isolation.kind == "none" or isolation.network == "host":
        return Part("outbound network", "that of the host")
    if isolation.network == "none":
        return Part("outbound network", None, "AGENTBAY_LOCAL_NETWORK=none was chosen")
    helper = network.find_helper()
    return (
        Part("outbound network", helper.path)
        if helper
        else Part("outbound network", None, network.missing())
    )


def as_text(found: Status) -> str:
    """The status for people."""
    sizes = ", ".join(f"{name} {_size(size)}" for name, size in found.sizes.items())
    lines = [f"agentbay {found.version}", f"home: {found.home} ({sizes})"]
    lines += [f"problem: {problem}" for problem in found.problems]
    lines += [_part(part) for part in (found.isolation, found.network, *found.programs)]
    lines.append(f"running engines: {len(found.engines)}")
    for engine in found.engines:
        lines.append(f"  process {engine.pid or '?'} since {engine.since}")
        lines += [f"    {session}" for session in engine.sessions]
    lines.append(f"contexts: {len(found.contexts)}")
    lines += [
        f"  {context.id}  {context.name}: {context.files} files, {_size(context.size)},"
        f" last used {context.last_used}"
        for context in found.contexts
    ]
    return "\n".join(lines)


def _part(part: Part) -> str:
    said = part.found or "no"
    return f"{part.name}: {said}; {part.remedy}" if part.remedy else f"{part.name}: {said}"


def _size(size: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
