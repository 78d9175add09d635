"""Serve one language: run what is asked for, with limits, and say what happens."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections import deque
from typing import Any

from .kernel import Event, Kernel, KernelError

# Seconds in which a kernel has to be there, and to end a run that it is asked to end.
START_LIMIT = 20.0
STOP_LIMIT = 5.0
# A kernel is asked again that often: code may catch the first request.
_STOP_INTERVAL = 1.0

# What one run may say, in characters, and the longest piece that is sent at once.
OUTPUT_LIMIT = 16 * 1024 * 1024
_PIECE = 64 * 1024

_LOST = "its state is lost, the next run begins anew"


class Channel:
    """The socket to the engine: requests from it, events to it."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._received = bytearray()
        self._waiting: deque[dict[str, Any]] = deque()

    def fileno(self) -> int:
        return self._socket.fileno()

    def request(self) -> dict[str, Any]:
        """The next run to do; waits for it. Raises EOFError when the engine is gone."""
        while True:
            while self._waiting:
                if "run" in (request := self._waiting.popleft()):
                    return request
            self._read()

    def stopped(self, run: int) -> bool:
        """Read what is there; whether it asks to stop this run."""
        self._read()
        asked = {"stop": run}
        if asked in self._waiting:
            self._waiting.remove(asked)
            return True
        return False

    def send(self, event: Event) -> None:
        self._socket.sendall(json.dumps(event).encode() + b"\n")

    def _read(self) -> None:
        data = self._socket.recv(1 << 18)
        if not data:
            raise EOFError
        self._received += data
        *lines, rest = self._received.split(b"\n") if b"\n" in data else [self._received]
        self._received = bytearray(rest)
        self._waiting.extend(json.loads(line) for line in lines)


class Run:
    """One run of code.

    Attributes:
        stopped: Why the kernel was asked to end it, if it was.
    """

    def __init__(self, kernel: Kernel, channel: Channel, request: dict[str, Any]) -> None:
        self._kernel, self._channel = kernel, channel
        self._run, self._code = request["run"], request["code"]
        self._limit: float = request["time_limit"]
        self.stopped: str = ""
        self._said = 0
        self._omitted = 0

    def carry_out(self) -> None:
        """Run the code and tell its end."""
        begin = time.monotonic()
        self._kernel.result = None
        self._kernel.begin(self._code)
        lost = self._watch(begin + self._limit)
        if self._omitted:
            note = f"\n[... {self._omitted} characters of output left out ...]\n"
            self._tell({"event": "stderr", "text": note})
        error, count = self._kernel.result or (None, None)
        if lost or self.stopped:
            traceback = "" if error is None else error["traceback"]
            name = "TimeoutError" if self.stopped else "InterpreterDied"
            value = lost or f"{self.stopped}; the interpreter keeps its state"
            error = {"name": name, "value": value, "traceback": traceback}
        seconds = time.monotonic() - begin
        self._tell({"event": "end", "error": error, "count": count, "time": seconds})

    def _watch(self, deadline: float) -> str:
        """Pass on what the code does until it ends; why the state is lost, if it is."""
        give_up = float("inf")
        while self._kernel.result is None:
            events, readable = self._kernel.wait(
                self._channel.fileno(), min(0.2, max(0.0, deadline - time.monotonic()))
            )
            for event in events:
                self._pass_on(event)
            if readable and self._channel.stopped(self._run) and not self.stopped:
                self.stopped, deadline = "the run was cancelled", 0.0
            if self._kernel.result is None and (why := self._kernel.died):
                self._kernel.end()
                return f"the interpreter ended while it ran the code: {why}; {_LOST}"
            now = time.monotonic()
            if self._kernel.result is not None or now < deadline:
                continue
            self.stopped = self.stopped or f"the code did not end within {self._limit:g} seconds"
            give_up = min(give_up, now + STOP_LIMIT)
            if now >= give_up:
                self._kernel.end()
                return f"{self.stopped}, nor when it was interrupted: {_LOST}"
            self._kernel.stop()
            deadline = min(now + _STOP_INTERVAL, give_up)
        return ""

    def _pass_on(self, event: Event) -> None:
        """Tell what happened, as long as there is room."""
        if "text" in event:
            text: str = event["text"]
            kept = text[: OUTPUT_LIMIT - self._said]
            self._omitted += len(text) - len(kept)
            self._said += len(kept)
            for start in range(0, len(kept), _PIECE):
                self._tell({**event, "text": kept[start : start + _PIECE]})
            return
        size = len(json.dumps(event))
        if size > OUTPUT_LIMIT - self._said:
            self._omitted += size
            return
        self._said += size
        self._tell(event)

    def _tell(self, event: Event) -> None:
        self._channel.send({"run": self._run, **event})


def serve(kernel: Kernel, channel: Channel) -> None:
    """Run what the engine asks for until it hangs up."""
    given: dict[str, str] = {}
    while True:
        request = channel.request()
        if kernel.died:
            kernel.end()
        try:
            if kernel.process is None:
                kernel.start(START_LIMIT)
                given = {}
            if request["environment"] != given:
                given = request["environment"]
                kernel.update(given)
        except KernelError as exc:
            kernel.end()
            channel.send({"run": request["run"], "event": "refused", "text": str(exc)})
            continue
        channel.send({"run": request["run"], "event": "begin"})
        Run(kernel, channel, request).carry_out()


def main() -> None:
    """Serve the language that the arguments name, on standard input."""
    channel = Channel(socket.socket(fileno=os.dup(0)))
    # The programs that are started here are not to have the socket.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    kernel = _kernel(*sys.argv[1:])
    try:
        serve(kernel, channel)
    except (EOFError, ConnectionError):
        pass
    finally:
        kernel.end()


def _kernel(kind: str, *arguments: str) -> Kernel:
    if kind == "node":
        from .node import Node

        return Node(*arguments)
    from .jupyter import Jupyter

    return Jupyter(*arguments)


if __name__ == "__main__":
    main()
