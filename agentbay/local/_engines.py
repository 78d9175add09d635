"""The directories of engines: claimed while one runs, removed after it, seen by others.

Each engine has a directory in `engines` and a lock beside it, which holds its process id.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import attrs

from ._sandbox import rootfs

_log = logging.getLogger(__name__)

# Seconds after which a lock that was never taken belongs to nobody.
_ABANDONED = 60.0


@attrs.frozen
class RunningEngine:
    """An engine that uses the home directory.

    Attributes:
        pid: Its process; None when its lock does not tell.
        since: When it started; ISO 8601, UTC.
        sessions: The ids of its sessions.
    """

    pid: int | None
    since: str
    sessions: list[str]


@contextmanager
def claimed(directory: Path) -> Generator[None]:
    """Make a directory that is known to be in use, and remove it at the end.

    The lock comes into sight when it is held already, and before the directory does: others
    never see one that they could take for left behind.
    """
    fresh = directory.with_suffix(".new")
    with fresh.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock.write(f"{os.getpid()}\n".encode())
        lock.flush()
        fresh.rename(directory.with_suffix(".lock"))
        directory.mkdir(mode=0o700)
        try:
            yield
        finally:
            _remove(directory)


def running(engines: Path) -> list[RunningEngine]:
    """The engines that run, the oldest one first."""
    found: list[RunningEngine] = []
    for path in engines.glob("*.lock"):
        with _opened(path) as lock:
            if lock is not None and not _taken(lock, fcntl.LOCK_SH):
                found.append(_described(path, lock))
    return sorted(found, key=lambda engine: engine.since)


def remove_stale(engines: Path) -> int:
    """Remove what engines left behind that were killed; return how many there were."""
    removed = 0
    for path in engines.glob("*.lock"):
        with _opened(path) as lock:
            # Another engine may clean up at the same time: the file is gone when it is done.
            if lock is None or not _taken(lock, fcntl.LOCK_EX) or not path.exists():
                continue
            _log.debug("removing what engine %s left behind", path.stem)
            try:
                _remove(path.with_suffix(""))
            except OSError as exc:
                _log.warning("what engine %s left behind cannot be removed: %s", path.stem, exc)
            else:
                removed += 1
    for path in engines.glob("*.new"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _ABANDONED:
                path.unlink()
    return removed


@contextmanager
def _opened(path: Path) -> Generator[IO[bytes] | None]:
    try:
        lock = path.open("rb")
    except FileNotFoundError:
        yield None
        return
    with lock:
        yield lock


def _taken(lock: IO[bytes], how: int) -> bool:
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _described(path: Path, lock: IO[bytes]) -> RunningEngine:
    text = lock.read(20).strip()
    moment = datetime.fromtimestamp(os.fstat(lock.fileno()).st_mtime, UTC)
    return RunningEngine(
        int(text) if text.isdigit() else None,
        moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        sorted(entry.name for entry in path.with_suffix("").glob("session-*")),
    )


def _remove(directory: Path) -> None:
    """Remove the directory of an engine, and then its lock; the caller holds that."""
    for session in directory.glob("*"):
        rootfs.remove(session)
    # An engine that was killed early has a lock only.
    with contextlib.suppress(FileNotFoundError):
        directory.rmdir()
    directory.with_suffix(".lock").unlink(missing_ok=True)
