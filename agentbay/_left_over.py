"""What this process created and did not delete: told when the interpreter ends."""

from __future__ import annotations

import atexit
import functools
import importlib
import logging
import os
import threading
import time

_log = logging.getLogger(__name__)

# Seconds that the end of the interpreter waits for clean-ups on event loops of other threads.
_LIMIT = 15.0
_PAUSE = 0.01

# Identifier of a session, and the process that created it: a forked child has the parent's.
_open: dict[str, int] = {}

# Clean-ups that are under way, and the thread and the process of each.
_under_way: dict[object, tuple[threading.Thread, int]] = {}


def opened(session_id: str) -> None:
    """Remember a session of the cloud, or of an engine outside this process."""
    _open[session_id] = os.getpid()
    _report_at_exit()


def closed(session_id: str) -> None:
    """Forget a session that has ended."""
    _open.pop(session_id, None)


def begun(clean_up: object) -> None:
    """Remember a clean-up that runs on the event loop of this thread."""
    _under_way[clean_up] = threading.current_thread(), os.getpid()
    _report_at_exit()
    _wait_at_exit()


def over(clean_up: object) -> None:
    """Forget a clean-up that is done."""
    _under_way.pop(clean_up, None)


@functools.cache
def _report_at_exit() -> None:
    atexit.register(_report)


@functools.cache
def _wait_at_exit() -> None:
    # Before handlers of `atexit` run, the thread pools are shut that clean-ups need to look up
    # names. The hook that does so is registered by this import, and hooks run in reverse.
    importlib.import_module("concurrent.futures.thread")
    getattr(threading, "_register_atexit", atexit.register)(_wait)


def _wait() -> None:
    """Wait for the clean-ups on event loops of other threads; those of this one have ended."""
    end = time.monotonic() + _LIMIT
    while any(_is_elsewhere(thread) for thread in _clean_ups()) and time.monotonic() < end:
        time.sleep(_PAUSE)


def _report() -> None:
    _wait()
    left = [session_id for session_id, process in _open.items() if process == os.getpid()]
    if left:
        _log.warning(
            "sessions that were created and not deleted go on running: %s", ", ".join(left)
        )
    if lost := len(_clean_ups()):
        _log.warning("something may be left: %d clean-ups were not done", lost)


def _clean_ups() -> list[threading.Thread]:
    return [thread for thread, process in list(_under_way.values()) if process == os.getpid()]


def _is_elsewhere(thread: threading.Thread) -> bool:
    return thread is not threading.current_thread() and thread.is_alive()
