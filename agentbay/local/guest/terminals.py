"""Terminals: a shell that runs in one, and the messages that tell of it.

The engine sends what is typed (I), sizes (R), and that all of it has to end (K). It gets what is
written (O), and at the end the exit status of the shell (X).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import struct
import termios
import time
from typing import Any, cast

from . import children, frames, processes
from .failure import Failure

_CHUNK = 16 * 1024
# Bytes that wait to be sent before no more are read, and that wait to be typed before more is lost.
_WAITING, _TYPED = 64 * 1024, 1 << 20
# Bytes that are still read from a terminal whose shell has ended; its buffer is smaller.
_LAST = 256 * 1024

# Seconds for the processes of a terminal that is ended.
_END_LIMIT = 2.0

_READ, _WRITE = select.POLLIN, select.POLLOUT


def terminal(arguments: dict[str, Any], connection: socket.socket) -> None:
    """Run a shell in a terminal until it exits or the engine hangs up."""
    cols, rows = _number(arguments, "cols"), _number(arguments, "rows")
    master, slave = os.openpty()
    try:
        try:
            _resize(master, cols, rows)
            child = _start(arguments, slave)
        finally:
            os.close(slave)
        try:
            frames.begin(connection)
            _Terminal(master, child, connection).run()
        finally:
            _end(child)
            child.release()
    finally:
        os.close(master)


def _number(arguments: dict[str, Any], name: str) -> int:
    value = arguments.get(name)
    if not isinstance(value, int) or not 0 < value < 1 << 16:
        raise Failure(f"{name} must be a positive number")
    return value


def _resize(master: int, cols: int, rows: int) -> None:
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))


def _start(arguments: dict[str, Any], slave: int) -> children.Child:
    shell, cwd = arguments.get("shell"), arguments.get("cwd")
    environment: Any = arguments.get("environment") or {}
    if not (isinstance(shell, str | None) and isinstance(cwd, str | None)):
        raise Failure("shell and cwd must be strings")
    if not isinstance(environment, dict):
        raise Failure("environment must be an object")
    try:
        return children.start(
            [shell or os.environ.get("SHELL") or "/bin/sh"],
            prepare=_take_terminal,
            cwd=os.path.join(os.environ["HOME"], cwd or ""),
            env={**os.environ, **cast("dict[str, str]", environment)},
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
    except (OSError, ValueError, TypeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise Failure(f"the shell could not be started: {reason}") from exc


def _take_terminal() -> None:
    """Make standard input the terminal of this process session; between fork and exec."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _end(child: children.Child) -> None:
    """End a shell that runs, and what runs in its terminal."""
    if child.status is not None:
        return
    child.kill()
    deadline = time.monotonic() + _END_LIMIT
    # Jobs have process groups of their own, and take a moment to be gone.
    while jobs := _jobs(child.process.pid):
        if time.monotonic() > deadline:
            return
        for pid in jobs:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def _jobs(session: int) -> list[int]:
    """The processes of a process session, but those that have ended."""
    found = processes.others()
    return [one.pid for one in found if one.session == session and not one.has_ended]


class _Terminal:
    """Passes on what is typed and written. Neither side waits for the other one."""

    def __init__(self, master: int, child: children.Child, connection: socket.socket) -> None:
        self._master, self._child, self._connection = master, child, connection
        self._received, self._typed, self._written = bytearray(), bytearray(), bytearray()
        self._open = True
        os.set_blocking(master, False)
        connection.setblocking(False)

    def run(self) -> None:
        """Pass on until the shell has ended and all that it wrote was sent."""
        while True:
            ready = self._wait()
            if ready.get(self._connection.fileno(), 0) & ~_WRITE:
                self._receive()
            if ready.get(self._master, 0) & _WRITE:
                self._type()
            if ready.get(self._master, 0) & ~_WRITE:
                self._read()
            if self._written:
                self._send()
            if self._child.ended in ready:
                break
        self._finish()

    def _wait(self) -> dict[int, int]:
        poller = select.poll()
        poller.register(self._child.ended, _READ)
        poller.register(self._connection, _READ | (_WRITE if self._written else 0))
        reads = _READ if len(self._written) < _WAITING else 0
        wanted = reads | (_WRITE if self._typed else 0)
        # A terminal that nobody has open any more would be ready all the time.
        if self._open and wanted:
            poller.register(self._master, wanted)
        return dict(poller.poll())

    def _receive(self) -> None:
        with contextlib.suppress(BlockingIOError):
            data = self._connection.recv(_CHUNK)
            if not data:
                raise BrokenPipeError
            self._received += data
        while message := frames.take(self._received):
            kind, content = message
            if kind == b"I" and len(self._typed) < _TYPED:
                self._typed += content
            elif kind == b"R":
                cols, rows = json.loads(content)
                _resize(self._master, cols, rows)
            elif kind == b"K":
                _end(self._child)

    def _type(self) -> None:
        try:
            del self._typed[: os.write(self._master, self._typed[:_CHUNK])]
        except BlockingIOError:
            pass
        except OSError:
            self._typed.clear()

    def _read(self) -> bool:
        """Take what was written; False when there is nothing."""
        try:
            data = os.read(self._master, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:  # EIO: no process has the terminal open
            data = b""
        if data:
            self._written += frames.pack(b"O", data)
        else:
            self._open = False
        return bool(data)

    def _send(self) -> None:
        with contextlib.suppress(BlockingIOError):
            del self._written[: self._connection.send(self._written)]

    def _finish(self) -> None:
        size = len(self._written) + _LAST
        while len(self._written) < size and self._read():
            pass
        status = self._child.exit_code
        if status is None:
            status = 128 + (self._child.signal or 0)
        self._connection.setblocking(True)
        self._connection.sendall(self._written + frames.pack(b"X", json.dumps(status).encode()))


STREAMING = {"terminal": terminal}
