"""Shell commands: run, watched, and ended when the engine says so."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import selectors
import socket
import subprocess
import threading
import time

from . import children, limits
from .failure import Failure

# Type checkers take this name for true; importing `typing` would slow every session's start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

# What is kept of each stream: this much of its start and this much of its end.
KEPT = 512 * 1024

_CHUNK = 64 * 1024
# Linux takes no longer argument, its end included; other systems have a limit for all of them.
_LONGEST_ARGUMENT = 128 * 1024

# A pipe holds at most this much unless its owner is privileged.
_PIPE_LIMIT = 1024 * 1024
# How long a killed program may take to be gone.
_KILL_LIMIT = 5.0


def shell(arguments: dict[str, Any], connection: socket.socket) -> None:
    """Run a command until its shell exits, its time is up or the engine hangs up."""
    command, cwd, environment, limit = _checked(arguments)
    child = _start(command, cwd, environment)
    outputs = _Output(child.process.stdout), _Output(child.process.stderr)
    try:
        timed_out, wanted = _watch(child, outputs, connection, limit)
    finally:
        child.kill()
        for output in outputs:
            output.leave()
        child.release()
    if wanted:
        _reply(connection, child, outputs, timed_out)


class _Output:
    """One stream of a command, with bounded memory."""

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe
        self.head = bytearray()
        self._tail: collections.deque[bytes] = collections.deque()
        self._tail_size = 0
        self.omitted = 0
        os.set_blocking(pipe.fileno(), False)

    def fileno(self) -> int:
        return int(self._pipe.fileno())

    def read(self) -> int | None:
        """Take what is there: its size, 0 at the end, None when there is nothing yet."""
        try:
            data = os.read(self.fileno(), _CHUNK)
        except BlockingIOError:
            return None
        self._keep(data)
        return len(data)

    def leave(self) -> None:
        """Take what was written so far; what comes later is read and dropped."""
        # A background program may write for ever; what the shell wrote is in the pipe already.
        for _ in range(_PIPE_LIMIT // _CHUNK):
            size = self.read()
            if size == 0:
                self._pipe.close()
                return
            if size is None:
                break
        _drain(self._pipe)

    def tail(self) -> bytes:
        joined = b"".join(self._tail)
        excess = max(0, len(joined) - KEPT)
        self.omitted += excess
        self._tail_size -= excess
        self._tail = collections.deque([joined[excess:]])
        return self._tail[0]

    def add(self, data: bytes) -> None:
        """Say something after what the command said."""
        self._keep(data)

    def _keep(self, data: bytes) -> None:
        room = KEPT - len(self.head)
        if room > 0:
            self.head += data[:room]
            data = data[room:]
        if data:
            self._tail.append(data)
            self._tail_size += len(data)
        while self._tail and self._tail_size - len(self._tail[0]) >= KEPT:
            gone = len(self._tail.popleft())
            self._tail_size -= gone
            self.omitted += gone


def _checked(arguments: dict[str, Any]) -> tuple[str, str, dict[str, str], float]:
    command, cwd = arguments.get("command"), arguments.get("cwd")
    limit = arguments.get("time_limit")
    if not isinstance(command, str):
        raise Failure("command must be a string")
    if not isinstance(cwd, str | None):
        raise Failure("cwd must be a string")
    if not isinstance(arguments.get("environment") or {}, dict):
        raise Failure("environment must be an object")
    variables: dict[str, str] = arguments.get("environment") or {}
    if not isinstance(limit, int | float) or limit <= 0:
        raise Failure("time_limit must be a positive number of seconds")
    return command, os.path.join(os.environ["HOME"], cwd or ""), variables, float(limit)


def _start(command: str, cwd: str, environment: dict[str, str]) -> children.Child:
    try:
        if not os.path.isdir(cwd):
            raise Failure(f"working directory {cwd}: No such directory")
        with _source(command) as (text, stdin):
            return children.start(
                ["/bin/sh" if os.path.exists("/bin/sh") else "bash", "-c", text],
                is_plain=not environment,
                cwd=cwd,
                env={**os.environ, **environment},
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
            )
    except (OSError, subprocess.SubprocessError, ValueError, TypeError) as exc:
        reason = limits.reason(exc) if isinstance(exc, OSError) else exc
        raise Failure(f"the command could not be started: {reason}") from exc


@contextlib.contextmanager
def _source(command: str) -> Generator[tuple[str, int]]:
    """What `sh -c` is told for a command, and its standard input."""
    text = os.fsencode(command)
    if len(text) < _LONGEST_ARGUMENT or not hasattr(os, "memfd_create"):
        yield command, subprocess.DEVNULL
        return
    if b"\0" in text:
        raise ValueError("embedded null byte")
    # The shell reads it from its standard input, which is as empty as that of others by then.
    with open(os.memfd_create("command"), "wb") as file:
        file.write(b"exec </dev/null; " + text)
        file.flush()
        yield ". /dev/stdin", file.fileno()


def _watch(
    child: children.Child,
    outputs: tuple[_Output, _Output],
    connection: socket.socket,
    limit: float,
) -> tuple[bool, bool]:
    """Read until the shell has ended. Says if its time was up, and if a reply is wanted."""
    deadline = time.monotonic() + limit
    timed_out, wanted = False, True
    with selectors.DefaultSelector() as selector:
        for source in (*outputs, child.ended, connection):
            selector.register(source, selectors.EVENT_READ)
        while True:
            events = selector.select(max(0.0, deadline - time.monotonic()))
            ready = [key.fileobj for key, _ in events]
            for output in outputs:
                if output in ready and output.read() == 0:
                    selector.unregister(output)
            if child.ended in ready:
                return timed_out, wanted
            if connection in ready:
                # The engine says nothing after its request, so this is the end of it.
                wanted = False
                selector.unregister(connection)
            elif time.monotonic() >= deadline:
                if timed_out or not wanted:
                    return timed_out, wanted
                timed_out = True
            else:
                continue
            child.kill()
            deadline = time.monotonic() + _KILL_LIMIT


def _reply(
    connection: socket.socket,
    child: children.Child,
    outputs: tuple[_Output, _Output],
    timed_out: bool,
) -> None:
    parts: list[bytes] = []
    outputs[1].add(limits.complaint(child.process.pid, failed=child.exit_code != 0).encode())
    result: dict[str, Any] = {
        "exit_code": None if timed_out else child.exit_code,
        "signal": child.signal,
        "timed_out": timed_out,
    }
    for name, output in zip(("stdout", "stderr"), outputs, strict=True):
        head, tail = bytes(output.head), output.tail()
        parts += [head, tail]
        result[name] = {"head": len(head), "omitted": output.omitted, "tail": len(tail)}
    body = b"".join(parts)
    header = json.dumps({"result": result, "size": len(body)}).encode() + b"\n"
    connection.sendall(header + body)


_drained = selectors.DefaultSelector()
_drain_lock = threading.Lock()
_drain_started = False


def _drain(pipe: Any) -> None:
    """Read and drop what background programs write, so that they never block on it."""
    global _drain_started
    with _drain_lock:
        # A selector that is being waited on takes additions: it is epoll or kqueue underneath.
        _drained.register(pipe, selectors.EVENT_READ)
        if not _drain_started:
            with contextlib.suppress(RuntimeError):
                threading.Thread(target=_drain_forever, daemon=True).start()
                _drain_started = True


def _drain_forever() -> None:
    while True:
        for key, _ in _drained.select():
            pipe: Any = key.fileobj
            with contextlib.suppress(BlockingIOError):
                if not os.read(pipe.fileno(), _CHUNK):
                    with _drain_lock:
                        _drained.unregister(pipe)
                    pipe.close()


def environment(_arguments: dict[str, Any], _body: bytes) -> tuple[dict[str, Any], bytes]:
    """The variables that every command gets."""
    return {"variables": dict(os.environ)}, b""


PLAIN = {"environment": environment}
STREAMING = {"shell": shell}
