"""Terminals of a session."""

from __future__ import annotations

import builtins
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, cast
from weakref import WeakValueDictionary

import anyio

from .._results.pty import PtySession
from ..errors import InvalidInputError
from ..protocol._checks import check_functions
from ..protocol._frames import Method
from ..protocol.pty import VARIABLES, ConnectPty, CreatePty, KillPty, ListPtys, PtyReference
from ._resource import Resource
from ._terminal import LIMIT, OnData, Terminal, refusals, seconds
from .pty_handle import AsyncPtyHandle

if TYPE_CHECKING:
    from .session import AsyncSession


class AsyncPty(Resource):
    """Interactive terminals: a shell that takes what is typed, and shows what it writes."""

    def __init__(self, session: AsyncSession) -> None:
        super().__init__(session)
        self._terminals: WeakValueDictionary[int, Terminal] = WeakValueDictionary()
        self._exit_codes: dict[str, int | None] = {}

    async def create(
        self,
        cols: int = 80,
        rows: int = 24,
        cwd: str | None = None,
        envs: Mapping[str, str] | None = None,
        shell: str | None = None,
        on_data: Callable[[bytes], Awaitable[object] | None] | None = None,
        timeout_s: float | None = None,
    ) -> AsyncPtyHandle:
        r"""Start a shell in a terminal.

        Args:
            cols: Width in characters, from 1 to 500.
            rows: Height in lines, from 1 to 500.
            cwd: Directory to start in; the session's choice by default.
            envs: Environment variables. TERM and LANG are set unless they are among them.
            shell: The program to run, such as ``"/bin/bash"``; the session's choice by
                default.
            on_data: Receives what is written to the terminal, piece by piece. The next piece
                waits for its end. When it raises, the handle is disconnected and `wait`
                raises the same.
            timeout_s: Seconds to wait for the terminal; 30 by default.

        Raises:
            PtyError: The size or another argument makes no sense (nothing was sent), or the
                session refused.
            SessionError: The session cannot be reached in this way.
            TransportError: The connection could not be made, or was lost.

        Example:
            ```python
            terminal = await session.pty.create(100, 30, on_data=print)
            await terminal.send_input("exit\n")
            await terminal.wait()
            ```
        """
        with refusals():
            limit = LIMIT if timeout_s is None else seconds(timeout_s)
            variables = {**VARIABLES, **_mapping(envs)}
            call = CreatePty(cols, rows, cwd, variables, shell)
        terminal = await self._taking_part(call, on_data, limit)
        terminal.size = call.cols, call.rows
        return AsyncPtyHandle(terminal, created=True)

    async def list(self) -> builtins.list[PtySession]:
        """Tell which terminals the session has, whoever made them.

        Raises:
            PtyError: The session refused.
        """
        connection = await self._session._websocket()
        with refusals():
            reply = await connection.call(ListPtys(), timeout=LIMIT)
        ids = reply.value.pty_session_ids
        self._exit_codes = {id: code for id, code in self._exit_codes.items() if id in ids}
        sizes = {terminal.id: terminal.size or (0, 0) for terminal in self._known()}
        return [self._described(id, *sizes.get(id, (0, 0))) for id in ids]

    async def connect(
        self,
        pty_session_id: str,
        on_data: Callable[[bytes], Awaitable[object] | None] | None = None,
    ) -> AsyncPtyHandle:
        """Take part in a terminal that runs, such as one that another program made.

        Handles that there are already go on; what is written arrives at all of them.

        Args:
            pty_session_id: Its identifier.
            on_data: As for `create`.

        Raises:
            PtySessionNotFoundError: There is no such terminal.
            PtyError: The session refused for another reason.
        """
        with refusals():
            call = ConnectPty(pty_session_id)
        return AsyncPtyHandle(await self._taking_part(call, on_data, LIMIT, pty_session_id))

    async def kill(self, pty_session_id: str) -> None:
        """End a terminal and what runs in it. Who waits for it is let go.

        Args:
            pty_session_id: Its identifier.

        Raises:
            PtySessionNotFoundError: There is no such terminal.
            PtyError: The session refused for another reason.
        """
        with refusals():
            call = KillPty(pty_session_id)
        connection = await self._session._websocket()
        with refusals(pty_session_id):
            await connection.call(call, timeout=LIMIT)
        async with anyio.create_task_group() as group:
            for terminal in self._known():
                if terminal.id == pty_session_id and terminal.connection is connection:
                    group.start_soon(terminal.killed)

    async def _taking_part(
        self, call: Method[PtyReference], on_data: OnData | None, timeout: float, id: str = ""
    ) -> Terminal:
        """Listen, ask for a terminal, and say which one it is that is listened to."""
        terminal = await self._listen(on_data)
        try:
            with refusals(id):
                reply = await terminal.connection.call(call, timeout=timeout)
        except BaseException:  # cancelled too: nobody else ends the listening
            terminal.end()
            raise
        terminal.identify(reply.value.pty_session_id or id)
        return terminal

    async def _listen(
        self, on_data: Callable[[bytes], Awaitable[object] | None] | None
    ) -> Terminal:
        check_functions(on_data=on_data)
        connection = await self._session._websocket()
        terminal = Terminal(connection, on_data, self._ended)
        self._terminals[id(terminal)] = terminal
        return terminal

    def _ended(self, terminal: Terminal) -> None:
        self._terminals.pop(id(terminal), None)
        if terminal.exit_code is not None:
            self._exit_codes[terminal.id] = terminal.exit_code

    def _known(self) -> builtins.list[Terminal]:
        # Other threads may make terminals meanwhile, and `valuerefs` copies at once.
        found = (reference() for reference in self._terminals.valuerefs())
        return [terminal for terminal in found if terminal is not None]

    def _described(self, id: str, cols: int, rows: int) -> PtySession:
        if id in self._exit_codes:
            return PtySession(id, cols, rows, "exited", self._exit_codes[id])
        return PtySession(id, cols, rows)


def _mapping(envs: object) -> Mapping[str, str]:
    if envs is None:
        return {}
    if not isinstance(envs, Mapping):
        raise InvalidInputError(f"envs must be a dictionary of text, not {envs!r:.80}")
    return cast("Mapping[str, str]", envs)
