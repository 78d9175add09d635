"""The programs of the session: which ones run, and the start and the end of applications."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any, cast

from . import children, frames, processes
from .failure import Failure

# How much is kept of what an application says, in bytes, and of a command line.
_SAID = 4000
_LINE = 4096
_CHUNK = 64 * 1024
# Seconds between two looks at whether processes have ended.
_LOOK = 0.02
_KILL_LIMIT = 2.0


def list_processes(_arguments: dict[str, Any], _body: bytes) -> tuple[dict[str, Any], bytes]:
    """All processes of the session that have not ended, but the guest."""
    alive = [process for process in processes.others() if not process.has_ended]
    found = [_described(process) for process in alive]
    return {"processes": [row for row in found if row is not None]}, b""


def _described(process: processes.Process) -> dict[str, Any] | None:
    try:
        with open(f"/proc/{process.pid}/comm", "rb") as file:
            name = file.read().rstrip(b"\n").decode(errors="replace")
        with open(f"/proc/{process.pid}/cmdline", "rb") as file:
            line = file.read(_LINE)
    except OSError:
        return None
    words = [word.decode(errors="replace") for word in line.rstrip(b"\0").split(b"\0")]
    # The kernel keeps 15 bytes of a name.
    full = os.path.basename(words[0])
    return {
        "pid": process.pid,
        "parent": process.parent,
        "session": process.session,
        "pname": full if name and full.startswith(name) else name,
        "cmdline": " ".join(words),
    }


def end_processes(arguments: dict[str, Any], _body: bytes) -> tuple[dict[str, Any], bytes]:
    """Ask processes of the session to end, and end those that do not within a limit."""
    wanted = {int(pid) for pid in arguments["pids"]}
    found = _alive(wanted)
    _send(signal.SIGTERM, found)
    # A process that is stopped hears nothing else.
    _send(signal.SIGCONT, found)
    if rest := _wait(found, float(arguments["limit"])):
        _send(signal.SIGKILL, rest)
        rest = _wait(rest, _KILL_LIMIT)
    return {"ended": len(found - rest), "left": sorted(rest)}, b""


def _wait(pids: set[int], limit: float) -> set[int]:
    deadline = time.monotonic() + limit
    while (pids := _alive(pids)) and time.monotonic() < deadline:
        time.sleep(_LOOK)
    return pids


def _alive(pids: set[int]) -> set[int]:
    return {p.pid for p in processes.others() if p.pid in pids and not p.has_ended}


def _send(number: signal.Signals, pids: set[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def launch(arguments: dict[str, Any], connection: socket.socket) -> None:
    """Start an application, tell of its end as long as the engine listens, and leave it be.

    Its output is read for as long as it writes, so that it never waits for a reader.
    """
    child = _start(arguments)
    output: Any = child.process.stdout
    try:
        frames.begin(connection)
        row = {"pid": child.process.pid}
        connection.sendall(frames.pack(b"P", json.dumps(row).encode()))
        _follow(child, output, connection)
    finally:
        output.close()
        child.release()


def _start(arguments: dict[str, Any]) -> children.Child:
    # Not at the top: every session would pay for it at its start.
    import shutil

    words = cast("list[str]", arguments["command"])
    variables = {**os.environ, **arguments["environment"]}
    cwd = os.path.join(os.environ["HOME"], arguments.get("cwd") or "")
    if not os.path.isdir(cwd):
        raise Failure(f"working directory {cwd}: No such directory")
    path = variables.get("PATH", os.defpath)
    named = os.path.join(cwd, words[0]) if "/" in words[0] else words[0]
    program = shutil.which(named, path=path)
    if program is None:
        reason = "there is no such program in the session, or it cannot be executed"
        raise Failure(f"{words[0]}: {reason}; get_installed_apps lists those with a menu entry")
    try:
        return children.start(
            words,
            executable=program,
            cwd=cwd,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
        )
    except (OSError, subprocess.SubprocessError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else exc
        raise Failure(f"{words[0]} could not be started: {why}") from exc


def _follow(child: children.Child, output: Any, connection: socket.socket) -> None:
    said = b""
    with selectors.DefaultSelector() as selector:
        for source in (output, child.ended, connection):
            selector.register(source, selectors.EVENT_READ)
        waiting = {output, child.ended}
        while waiting:
            ready = [key.fileobj for key, _ in selector.select()]
            if output in ready:
                data = os.read(output.fileno(), _CHUNK)
                said = (said + data)[-_SAID:]
                if not data:
                    selector.unregister(output)
                    waiting.discard(output)
            if child.ended in ready:
                selector.unregister(child.ended)
                waiting.discard(child.ended)
                _tell_end(child, said, connection)
            if connection in ready:
                # The engine says nothing after its request: it has heard enough.
                selector.unregister(connection)


def _tell_end(child: children.Child, said: bytes, connection: socket.socket) -> None:
    end = {"exit_code": child.exit_code, "signal": child.signal}
    text = json.dumps({**end, "said": said.decode(errors="replace").strip()})
    with contextlib.suppress(OSError):
        connection.sendall(frames.pack(b"E", text.encode()))


_Operation = Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]]

PLAIN: dict[str, _Operation] = {
    "list_processes": list_processes,
    "end_processes": end_processes,
}
STREAMING = {"launch": launch}
