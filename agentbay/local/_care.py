"""``agentbay local``: look at what engines keep on this machine, and clean up."""

from __future__ import annotations

import argparse
import json
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import attrs

from ..errors import ConfigError
from . import _engines, _parity, _status
from ._sandbox import rootfs
from ._storage.store import Store
from .engine import EngineOptions

# What engines make in a home directory. The rest of it may be the user's own.
_STORES = ("contexts", "oss")
_MADE = (*_STORES, "engines")


def _show_status(options: argparse.Namespace) -> int:
    found = _status.status(_engine_options(options))
    _print(_json(attrs.asdict(found)) if options.json else _status.as_text(found))
    return 1 if found.problems else 0


def _show_parity(options: argparse.Namespace) -> int:
    found = _parity.abilities()
    if options.json:
        everything = [attrs.asdict(ability) for ability in found]
        _print(_json({"counts": _parity.counts(found), "requests": everything}))
    else:
        _print(_parity.as_markdown(found) if options.markdown else _parity.as_text(found))
    return 0


def _reset(options: argparse.Namespace) -> int:
    home = _engine_options(options).home
    _refuse_while_used(home)
    there = [home / name for name in _MADE if (home / name).exists()]
    freed = sum(map(_status.size_of, there))
    if there and not (options.yes or _agreed(home)):
        sys.stderr.write("agentbay: nothing was deleted\n")
        return 1
    for path in there:
        # Under another name first: what another process makes meanwhile is not deleted.
        gone = path.with_name(f"{path.name}.deleted-{uuid.uuid4().hex}")
        path.rename(gone)
        rootfs.remove(gone)
    facts = {"home": str(home), "deleted": [path.name for path in there], "bytes": freed}
    _print(_json(facts) if options.json else f"deleted all contexts below {home}")
    return 0


def _collect(options: argparse.Namespace) -> int:
    home = _engine_options(options).home
    before = sum(_status.size_of(home / name) for name in _MADE)
    engines = _engines.remove_stale(home / "engines")
    contents = 0
    for name in _STORES:
        # Opening the store would make it.
        if (home / name / "contexts.db").exists():
            with Store(home / name) as store:
                contents += store.collect_garbage()
    for path in home.glob("*.deleted-*"):
        rootfs.remove(path)
    freed = max(0, before - sum(_status.size_of(home / name) for name in _MADE))
    facts = {"engines": engines, "contents": contents, "bytes": freed}
    text = f"removed {contents} contents of files and {engines} engines that were killed"
    _print(_json(facts) if options.json else f"{text}: {freed} bytes")
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "status": _show_status,
    "reset": _reset,
    "gc": _collect,
    "parity": _show_parity,
}


def _engine_options(options: argparse.Namespace) -> EngineOptions:
    home: Path | None = options.home
    return EngineOptions.from_environment(home=home.absolute() if home else None)


def _refuse_while_used(home: Path) -> None:
    running = _engines.running(home / "engines")
    if running:
        numbers = ", ".join(str(engine.pid or "?") for engine in running)
        raise ConfigError(f"engines use {home} (process {numbers}): stop them first")


def _agreed(home: Path) -> bool:
    sys.stderr.write(f"Delete all contexts and their files below {home}? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _json(value: object) -> str:
    return json.dumps(value, indent=2)


def _print(text: str) -> None:
    print(text)  # noqa: T201 - this is the program's output
