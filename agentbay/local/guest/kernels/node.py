"""JavaScript, in Node.js."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import time
from typing import Any

from .kernel import Event, Kernel, KernelError

_PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "node.js")
# Where the engine puts one that is outside of what the session sees of the machine.
SHARED = "/run/agentbay/node"
_CHUNK = 1 << 16


class Node(Kernel):
    """A process of Node.js; `node.js` next to this file is what it runs."""

    def __init__(self) -> None:
        super().__init__()
        self._streams: dict[int, str] = {}
        self._control: socket.socket | None = None
        self._stop: socket.socket | None = None
        self._received = bytearray()
        self._decoders: dict[int, codecs.IncrementalDecoder] = {}
        self._count = 0

    def start(self, limit: float) -> None:
        program = shutil.which("node") or shutil.which(SHARED)
        if program is None:
            raise KernelError("JavaScript needs Node.js: `apt-get install nodejs`, or nodejs.org")
        self._control, control = socket.socketpair()
        self._stop, stop = socket.socketpair()
        pipes = [os.pipe(), os.pipe()]
        ends = (control.fileno(), stop.fileno())
        try:
            self.spawn(
                [program, _PROGRAM, *map(str, ends)],
                stdin=subprocess.DEVNULL,
                stdout=pipes[0][1],
                stderr=pipes[1][1],
                pass_fds=ends,
            )
        finally:
            control.close()
            stop.close()
            for (read, write), name in zip(pipes, ("stdout", "stderr"), strict=True):
                os.close(write)
                os.set_blocking(read, False)
                self._streams[read] = name
                self._decoders[read] = codecs.getincrementaldecoder("utf-8")("replace")
        self._count = 0
        self._until_ready(time.monotonic() + limit)

    def begin(self, code: str) -> None:
        self._send({"code": code})

    def update(self, variables: dict[str, str]) -> None:
        self._send({"environment": variables})

    def wait(self, channel: int, timeout: float) -> tuple[list[Event], bool]:
        assert self._control is not None
        sources: list[Any] = [channel, self._control, *self._streams]
        ready, _, _ = select.select(sources, [], [], timeout)
        # What was printed before the end of the run is in the pipes by the time that is told.
        told = self._messages() if self._control in ready else []
        events = [event for source in list(self._streams) for event in self._printed(source)]
        for message in told:
            events += self._take(message)
        return events, channel in ready

    def stop(self) -> None:
        if self._stop is not None:
            with contextlib.suppress(OSError):
                self._stop.send(b"!")

    def end(self) -> None:
        super().end()
        for source in list(self._streams):
            os.close(source)
        for sock in (self._control, self._stop):
            if sock is not None:
                sock.close()
        self._streams, self._decoders = {}, {}
        self._control = self._stop = None
        self._received.clear()

    def _until_ready(self, deadline: float) -> None:
        assert self._control is not None
        said = ""
        while not self.died and time.monotonic() < deadline:
            sources: list[Any] = [self._control, *self._streams]
            select.select(sources, [], [], 0.2)
            said += "".join(e["text"] for s in list(self._streams) for e in self._printed(s))
            with contextlib.suppress(BlockingIOError):
                if self._control.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                    self._messages()
                    return
        reason = self.died or "it did not answer in time"
        raise KernelError(f"javascript cannot be run: {reason}\n{said[-1000:]}".strip())

    def _send(self, request: dict[str, Any]) -> None:
        assert self._control is not None
        with contextlib.suppress(OSError):
            # A process that has ended is noticed while the run is waited for.
            self._control.sendall(json.dumps(request).encode() + b"\n")

    def _messages(self) -> list[dict[str, Any]]:
        assert self._control is not None
        try:
            self._received += self._control.recv(_CHUNK)
        except OSError:
            return []
        *lines, rest = bytes(self._received).split(b"\n")
        self._received = bytearray(rest)
        return [json.loads(line) for line in lines]

    def _printed(self, source: int) -> list[Event]:
        """What the process wrote to one of its streams since the last look."""
        pieces: list[str] = []
        for _ in range(64):
            try:
                data = os.read(source, _CHUNK)
            except BlockingIOError:
                break
            pieces.append(self._decoders[source].decode(data))
            if not data:
                os.close(source)
                name = self._streams.pop(source)
                return [{"event": name, "text": "".join(pieces)}] if any(pieces) else []
        text = "".join(pieces)
        return [{"event": self._streams[source], "text": text}] if text else []

    def _take(self, message: dict[str, Any]) -> list[Event]:
        if "done" not in message:
            return []
        self._count += 1
        self.result: tuple[Event | None, int | None] | None = (message["error"], self._count)
        text = message["done"]
        return [] if text is None else [{"event": "result", "main": True, "mime": text}]
