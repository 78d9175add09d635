"""The browser of the session: started, watched, and ended when the engine says so."""

from __future__ import annotations

import contextlib
import json
import os
import re
import selectors
import signal
import socket
import subprocess
import time
from typing import Any, cast

from . import children, limits, processes
from .failure import Failure

# What a browser leaves in its profile to tell others that it runs.
_LOCKS = ("SingletonLock", "SingletonSocket", "SingletonCookie", "DevToolsActivePort")

# What is kept of what it says about itself, in bytes.
_KEPT = 4096
_CHUNK = 64 * 1024

# Directories in which extensions are looked for.
_MOST = 200

# Seconds for its other processes to be gone after the first one, or after they were killed: far
# more than they take, but a busy machine may let one of them wait that has a file to write.
_LEAVE_LIMIT, _KILL_LIMIT = 10.0, 5.0

_LISTENS = re.compile(rb"^DevTools listening on ws://[^:/]+:(\d+)(/\S+)\s*$", re.MULTILINE)


def browser(arguments: dict[str, Any], connection: socket.socket) -> None:
    """Run a browser: say where it listens, later why it ended; it ends with the connection.

    A byte from the engine lets it go on in a session that is frozen.
    """
    command, profile, environment, limit = _checked(arguments)
    os.makedirs(profile, mode=0o700, exist_ok=True)
    _check_free(profile)
    _unlock(profile)
    child = _start(command, environment)
    said = bytearray()
    try:
        _watch(child, said, connection, limit)
    finally:
        _end(child)
        _unlock(profile)
        child.release()
    with contextlib.suppress(OSError):
        connection.sendall(json.dumps(_reason(child, said)).encode() + b"\n")


def _checked(arguments: dict[str, Any]) -> tuple[list[str], str, dict[str, str], float]:
    command, profile = arguments.get("command"), arguments.get("profile")
    environment, limit = arguments.get("environment"), arguments.get("time_limit")
    if not isinstance(command, list) or not isinstance(environment, dict):
        raise Failure("command must be a list and environment an object")
    if not isinstance(profile, str) or not isinstance(limit, int | float):
        raise Failure("profile must be a path and time_limit a number of seconds")
    variables = {**os.environ, **cast("dict[str, str]", environment)}
    return cast("list[str]", command), profile, variables, float(limit)


def _start(command: list[str], environment: dict[str, str]) -> children.Child:
    try:
        return children.start(
            command,
            cwd=os.environ["HOME"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
    except (OSError, subprocess.SubprocessError, ValueError, TypeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise Failure(f"the browser could not be started: {reason}", -1) from exc


def _watch(child: children.Child, said: bytearray, connection: socket.socket, limit: float) -> None:
    """Return once the browser has ended, or the engine wants it no more."""
    stderr: Any = child.process.stderr
    deadline, listens = time.monotonic() + limit, False
    with selectors.DefaultSelector() as selector:
        for source in (stderr, child.ended, connection):
            selector.register(source, selectors.EVENT_READ)
        while True:
            wait = None if listens else max(0.0, deadline - time.monotonic())
            ready = [key.fileobj for key, _ in selector.select(wait)]
            if stderr in ready and not _hear(stderr, said):
                selector.unregister(stderr)
            if not listens and (found := _LISTENS.search(said)):
                listens = True
                _tell(connection, int(found[1]), found[2].decode(errors="replace"))
            del said[: max(0, len(said) - _KEPT)]
            if child.ended in ready:
                if not listens:
                    raise Failure(_reason(child, said)["reason"], -1)
                return
            if connection in ready:
                if not connection.recv(_CHUNK):
                    return
                _go_on(child)
            if not listens and time.monotonic() >= deadline:
                raise Failure(f"the browser did not answer within {limit:g} seconds", -1)


def _hear(stderr: Any, said: bytearray) -> bool:
    data = os.read(stderr.fileno(), _CHUNK)
    said += data
    return bool(data)


def _tell(connection: socket.socket, port: int, path: str) -> None:
    result = {"port": port, "path": path}
    connection.sendall(json.dumps({"result": result}).encode() + b"\n")


def _go_on(child: children.Child) -> None:
    for pid in _pids(child):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGCONT)


def _end(child: children.Child) -> None:
    """See to it that no process of the browser is left."""
    # What writes files after the first process has ended gets the time to finish.
    _until_gone(child, _LEAVE_LIMIT if child.status is not None else 0.0)
    child.kill()
    for pid in _pids(child):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    _until_gone(child, _KILL_LIMIT)


def _until_gone(child: children.Child, limit: float) -> None:
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline and (child.status is None or _pids(child)):
        time.sleep(0.01)


def _pids(child: children.Child) -> list[int]:
    """The processes of a browser, those that still end included: they share a process session."""
    return [p.pid for p in processes.others() if p.session == child.process.pid]


def _check_free(profile: str) -> None:
    """Refuse a profile that a browser uses; sessions without a sandbox could share one."""
    with contextlib.suppress(OSError):
        host, _, pid = os.readlink(os.path.join(profile, _LOCKS[0])).rpartition("-")
        if host == socket.gethostname() and pid.isdigit() and os.path.isdir(f"/proc/{pid}"):
            raise Failure(f"another browser uses its profile, {profile}: stop that one first", -1)


def _unlock(profile: str) -> None:
    """Remove what a browser that was killed could not."""
    for name in _LOCKS:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(profile, name))


def _reason(child: children.Child, said: bytearray) -> dict[str, Any]:
    """Why a browser has ended."""
    failed = child.exit_code != 0
    if complaint := limits.complaint(child.process.pid, failed=failed).strip():
        reason = f"the browser has ended: {complaint}"
    elif child.signal is not None:
        reason = f"the browser was ended by signal {child.signal}"
    else:
        reason = f"the browser ended with exit code {child.exit_code}"
    lines = said.decode(errors="replace").strip().splitlines()
    if failed and lines:
        reason = f"{reason}: {' / '.join(lines[-3:])[-600:]}"
    return {"reason": reason}


def extensions(arguments: dict[str, Any], _body: bytes) -> tuple[dict[str, Any], bytes]:
    """The directories with an extension each, at a path and up to two levels below it."""
    path = arguments.get("path")
    if not isinstance(path, str):
        raise Failure("path must be a string")
    return {"directories": _extensions(path, 2)}, b""


def _extensions(path: str, depth: int) -> list[str]:
    if os.path.isfile(os.path.join(path, "manifest.json")):
        return [path]
    if depth == 0:
        return []
    try:
        with os.scandir(path) as entries:
            below = sorted(entry.path for entry in entries if entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [found for directory in below[:_MOST] for found in _extensions(directory, depth - 1)]


PLAIN = {"extensions": extensions}
STREAMING = {"browser": browser}
