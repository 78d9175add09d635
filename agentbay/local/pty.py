"""The terminals of a session: shells, what they wrote, and who is told of it."""

from __future__ import annotations

import contextlib
import json
import logging
import uuid
from collections import deque
from functools import partial
from typing import Any

import anyio

from ..protocol import pty as methods
from ..protocol.pty import (
    PtyEvent,
    PtyExit,
    PtyFailure,
    PtyOutput,
    PtyReference,
    PtyReferences,
    write_event,
)
from ._errors import EngineError, ToolFailure
from ._sandbox.guest_frames import Talk
from ._sandbox.guest_wire import ConnectionLost
from .sandbox import Sandbox
from .streams import Connection, Exchange, handles_method

_log = logging.getLogger(__name__)

# Terminals of one session: those that run, and those whose end nobody heard of yet.
_MOST_RUNNING, _MOST_ENDED = 32, 32

# Bytes of output that are kept for whoever connects later. A connection that is further behind
# makes the terminal wait.
_KEPT = 256 * 1024

# Bytes of output in one message, which is up to six times as long as text of JSON.
_PIECE = 64 * 1024

# Bytes that were typed and not taken.
_TYPED = 1 << 20

# Seconds for a terminal that was killed.
_KILL_LIMIT = 5.0

_UNKNOWN = -1


class Terminal:
    """One terminal. It belongs to the event loop of the engine.

    Attributes:
        id: Its identifier.
        exit_code: Exit status of its shell; None while that runs.
    """

    def __init__(self) -> None:
        self.id: str = f"pty-{uuid.uuid4().hex}"
        self.exit_code: int | None = None
        self.heard: bool = False
        self._kept, self._begin = bytearray(), 0
        self._missed: int | None = None
        self._followers: dict[Connection, int] = {}
        self._outgoing: deque[tuple[bytes, bytes]] = deque()
        self._waiting = 0
        self._killed = False
        self._changed, self._wanted = anyio.Event(), anyio.Event()
        self._begun = anyio.Event()
        self._failure: Exception | None = None

    async def run(self, sandbox: Sandbox, arguments: dict[str, Any]) -> None:
        """Run the shell, until it exits or the session ends."""
        code = _UNKNOWN
        try:
            async with sandbox.converse("terminal", arguments) as talk:
                self._begun.set()
                code = await self._converse(talk)
        except (EngineError, ToolFailure) as exc:
            self._failure = exc
            _log.debug("terminal %s has ended: %s", self.id, exc)
        finally:
            self.exit_code = code
            self._begun.set()
            self._notify()

    async def begun(self) -> None:
        """Wait until the shell runs.

        Raises:
            ToolFailure: It could not be started.
            EngineError: The session is gone.
        """
        await self._begun.wait()
        if self._failure is not None:
            raise self._failure

    async def kill(self) -> None:
        """End the shell and what runs in its terminal."""
        self._killed = True
        self._notify()
        self.tell(b"K")
        with anyio.move_on_after(_KILL_LIMIT):
            while self.exit_code is None:
                await self._changed.wait()

    def tell(self, kind: bytes, content: bytes = b"") -> None:
        """Pass something on to the terminal, in order.

        Raises:
            ToolFailure: Too much waits already.
        """
        if self._waiting + len(content) > _TYPED:
            raise ToolFailure("the program in the terminal does not take what is typed")
        self._waiting += len(content)
        self._outgoing.append((kind, content))
        self._wanted.set()

    def begin_to_follow(self, connection: Connection) -> None:
        """Tell a connection of the output, beginning with what it missed.

        That is what came since a connection was lost, or all that is kept.
        """
        if connection in self._followers:
            return
        start = self._begin if self._missed is None else max(self._missed, self._begin)
        self._missed = None
        self._followers[connection] = start
        connection.followed += 1
        connection.start(partial(self._follow, connection))

    async def _follow(self, connection: Connection) -> None:
        try:
            while True:
                position = max(self._followers[connection], self._begin)
                content = self._next_piece(position)
                if content:
                    await _tell(connection, PtyOutput.of(self.id, content))
                    self._followers[connection] = position + len(content)
                    self._notify()
                elif self.exit_code is not None:
                    self.heard = True
                    await _tell(connection, PtyExit(self.id, self.exit_code))
                    return
                else:
                    await self._changed.wait()
        finally:
            position = self._followers.pop(connection)
            connection.followed -= 1
            if not connection.left and self.exit_code is None:
                self._missed = position if self._missed is None else min(position, self._missed)
            self._notify()

    def _next_piece(self, position: int) -> bytes:
        """What follows a position, up to the end of a character."""
        start = position - self._begin
        content = bytes(self._kept[start : start + _PIECE])
        last = self.exit_code is not None and start + len(content) == len(self._kept)
        return content if last else content[: _whole(content)]

    async def _converse(self, talk: Talk) -> int:
        """Pass messages on in both directions; returns the exit status of the shell."""
        code = _UNKNOWN
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._pass_on, talk)
            # Told by the end of the conversation, and not by an ExceptionGroup.
            with contextlib.suppress(ConnectionLost, ToolFailure):
                code = await self._take(talk)
            tasks.cancel_scope.cancel()
        return code

    async def _pass_on(self, talk: Talk) -> None:
        with contextlib.suppress(ConnectionLost):
            while True:
                while self._outgoing:
                    kind, content = self._outgoing.popleft()
                    await talk.send(kind, content)
                    self._waiting -= len(content)
                self._wanted = anyio.Event()
                await self._wanted.wait()

    async def _take(self, talk: Talk) -> int:
        while True:
            kind, content = await talk.receive()
            if kind == b"X":
                return _status(content)
            if kind == b"O":
                self._kept += content
                self._notify()
                await self._trim()

    async def _trim(self) -> None:
        """Forget what is too old, once every connection was told of it."""
        excess = len(self._kept) - _KEPT
        if excess <= 0:
            return
        begin = self._begin + excess
        while not self._killed and any(told < begin for told in self._followers.values()):
            await self._changed.wait()
        del self._kept[:excess]
        self._begin = begin

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def _whole(content: bytes) -> int:
    """How much of it can be told without cutting a character of UTF-8."""
    for back in range(1, min(4, len(content) + 1)):
        byte = content[-back]
        if byte >= 0xC0:
            length = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2
            return len(content) - back if length > back else len(content)
        if byte < 0x80:
            break
    return len(content)


def _status(content: bytes) -> int:
    """Read what the guest says, whose word is not trusted."""
    with contextlib.suppress(ValueError, RecursionError):
        status = json.loads(content)
        if isinstance(status, int) and 0 <= status < 256:
            return status
    return _UNKNOWN


# -- what clients ask for ----------------------------------------------------------------


@handles_method(methods.CreatePty)
async def create(exchange: Exchange, call: methods.CreatePty) -> None:
    session = exchange.session
    if sum(found.exit_code is None for found in session.terminals.values()) >= _MOST_RUNNING:
        raise ToolFailure(f"the session has {_MOST_RUNNING} terminals already")
    terminal = Terminal()
    arguments = {
        "shell": call.shell,
        "cwd": call.cwd,
        "environment": {**session.sandbox.environment, **call.envs},
        "cols": call.cols,
        "rows": call.rows,
    }
    session.terminals[terminal.id] = terminal
    exchange.connection.engine.background(partial(terminal.run, session.sandbox, arguments))
    try:
        await terminal.begun()
        await exchange.answer(call.write(PtyReference(terminal.id)))
    except BaseException:  # cancelled too: nobody else ends the terminal
        # Nobody knows its identifier.
        del session.terminals[terminal.id]
        terminal.tell(b"K")
        raise
    terminal.begin_to_follow(exchange.connection)
    _forget_ended(session.terminals)


@handles_method(methods.ListPtys)
async def list_ptys(exchange: Exchange, call: methods.ListPtys) -> None:
    found = exchange.session.terminals.values()
    running = [terminal.id for terminal in found if terminal.exit_code is None]
    await exchange.answer(call.write(PtyReferences(running)))


@handles_method(methods.ConnectPty)
async def connect(exchange: Exchange, call: methods.ConnectPty) -> None:
    """Tell of a terminal, also of one that ended while nobody was told."""
    terminal = _terminal(exchange, call.pty_session_id)
    await exchange.answer(call.write(PtyReference(terminal.id)))
    terminal.begin_to_follow(exchange.connection)


@handles_method(methods.KillPty)
async def kill(exchange: Exchange, call: methods.KillPty) -> None:
    terminal = _terminal(exchange, call.pty_session_id)
    await terminal.kill()
    await exchange.answer(call.write(None))


@handles_method(methods.ResizePty, ordered=True)
async def resize(exchange: Exchange, call: methods.ResizePty) -> None:
    terminal = _terminal(exchange, call.pty_session_id)
    terminal.tell(b"R", json.dumps([call.cols, call.rows]).encode())


@handles_method(methods.WritePty, ordered=True)
async def write(exchange: Exchange, call: methods.WritePty) -> None:
    terminal = _terminal(exchange, call.pty_session_id)
    content = call.content
    try:
        for start in range(0, len(content), _PIECE):
            terminal.tell(b"I", content[start : start + _PIECE])
    except ToolFailure as exc:
        await _tell(exchange.connection, PtyFailure(terminal.id, str(exc)))


async def _tell(connection: Connection, event: PtyEvent) -> None:
    await connection.push(methods.SERVER, write_event(event))


def _terminal(exchange: Exchange, id: str) -> Terminal:
    terminal = exchange.session.terminals.get(id)
    if terminal is None or (terminal.exit_code is not None and terminal.heard):
        raise ToolFailure(f"there is no such terminal: PTY session not found: {id:.80}")
    return terminal


def _forget_ended(terminals: dict[str, Terminal]) -> None:
    """Forget terminals whose end was told, and the oldest of the others."""
    for id in [
        id for id, found in terminals.items() if found.exit_code is not None and found.heard
    ]:
        del terminals[id]
    ended = [id for id, found in terminals.items() if found.exit_code is not None]
    for id in ended[:-_MOST_ENDED]:
        del terminals[id]
