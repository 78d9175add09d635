"""Stop every process of the session, and let them go on where they were."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from typing import Any

from . import processes
from .failure import Failure

# How long it may take until every process has stopped, in seconds.
_TIME_LIMIT = 10.0

_lock = threading.Lock()
_stopped: list[int] | None = None


def freeze(_arguments: dict[str, Any], _body: bytes) -> tuple[dict[str, Any], bytes]:
    """Stop all processes but the guest; those that were stopped before are remembered."""
    global _stopped
    with _lock:
        if _stopped is None:
            before = {found.pid for found in processes.others() if found.state == "T"}
            _stopped = [pid for pid in _stop_all() if pid not in before]
        return {"processes": len(_stopped)}, b""


def thaw(_arguments: dict[str, Any], _body: bytes) -> tuple[dict[str, Any], bytes]:
    """Let the processes go on that `freeze` stopped; a job that the user stopped stays so."""
    global _stopped
    with _lock:
        gone_on, _stopped = _stopped or [], None
        _send(signal.SIGCONT, gone_on)
        return {"processes": len(gone_on)}, b""


def _stop_all() -> list[int]:
    """Stop processes until none runs; returns them, children before their parents.

    A shell that goes on before its child has would see a job that stopped.
    """
    deadline = time.monotonic() + _TIME_LIMIT
    told: set[int] = set()
    while True:
        found = processes.others()
        # One that waits for the kernel (D) stops as it comes back, once it has been told.
        moving = [
            p.pid
            for p in found
            if p.state in "RSI" or not (p.pid in told or p.state == "T" or p.has_ended)
        ]
        if not moving:
            return [process.pid for process in reversed(found) if not process.has_ended]
        if time.monotonic() > deadline:
            _send(signal.SIGCONT, [process.pid for process in reversed(found)])
            raise Failure(f"{len(moving)} processes could not be stopped", -1)
        if os.getpid() == 1:
            # One call for the whole sandbox: no process escapes by forking meanwhile.
            moving = [-1]
        _send(signal.SIGSTOP, moving)
        told.update(process.pid for process in found)
        time.sleep(0.002)


def _send(number: signal.Signals, pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


PLAIN = {"freeze": freeze, "thaw": thaw}
