"""One terminal of a session, for those who use it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

import anyio

from .._deadline import cleaning_up
from ..errors import AgentBayError, InvalidInputError, PtyNotConnectedError, PtyTimeoutError
from ..protocol.pty import KillPty, ResizePty, WritePty
from ._terminal import LIMIT, Terminal, refusals, seconds

# Bytes of one message to a terminal.
_CHUNK = 64 * 1024


class AsyncPtyHandle:
    r"""A terminal of a session, from `AsyncPty.create` or `AsyncPty.connect`.

    The handle belongs to the event loop on which it was made; use it there only. After the
    connection was lost and made again, the terminal's output goes on arriving.

    Leaving ``async with`` kills a terminal that was created, and disconnects from one that
    was connected to.

    Example:
        ```python
        async with await session.pty.create() as terminal:
            await terminal.send_input("make; exit\n")
            async for chunk in terminal.output():
                print(chunk.decode(errors="replace"), end="")
            print("exit code:", await terminal.wait())
        ```
    """

    def __init__(self, terminal: Terminal, *, created: bool = False) -> None:
        self._terminal, self._created = terminal, created

    def __repr__(self) -> str:
        return f"AsyncPtyHandle({self._terminal.id!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._created and self.is_connected:
                with cleaning_up(LIMIT):
                    await self.kill()
        except AgentBayError:
            if error is None:
                raise
        finally:
            self.disconnect()

    @property
    def pty_session_id(self) -> str:
        """The identifier by which the terminal can be found again."""
        return self._terminal.id

    @property
    def is_connected(self) -> bool:
        """Whether the terminal can be used: it runs, and the handle was not disconnected."""
        return self._terminal.connected

    @property
    def exit_code(self) -> int | None:
        """Exit status of the shell; None until it ended, -1 when the session did not tell."""
        return self._terminal.exit_code

    async def send_input(self, data: bytes | str) -> None:
        r"""Type something. It is not known when the terminal has it.

        Args:
            data: Bytes, or text, which is sent as UTF-8. Enter is ``"\n"``, Ctrl-C is
                ``"\x03"``.

        Raises:
            PtyNotConnectedError: The terminal has ended, or the handle was disconnected.

        Example:
            ```python
            await terminal.send_input("ls -l\n")
            ```
        """
        content = _bytes(data)
        terminal = self._connected()
        for start in range(0, len(content), _CHUNK):
            part = WritePty.of(terminal.id, content[start : start + _CHUNK])
            await terminal.connection.send(part)

    async def resize(self, cols: int, rows: int) -> None:
        """Change the size of the terminal.

        Args:
            cols: Width in characters, from 1 to 500.
            rows: Height in lines, from 1 to 500.

        Raises:
            PtyError: The size is out of range; nothing was sent.
            PtyNotConnectedError: As for `send_input`.
        """
        terminal = self._connected()
        with refusals(terminal.id):
            await terminal.connection.send(ResizePty(terminal.id, cols, rows))
        terminal.size = cols, rows

    def output(self) -> AsyncIterator[bytes]:
        """Go through what is written to the terminal, from its start until it ends.

        Every piece is given once: a second loop goes on where the first one stopped. At most
        the last 4 MiB of what nobody read are kept. The pieces may cut a character; an
        incremental decoder puts it together.

        Raises:
            PtyError: The loop was so slow that output was lost, or the terminal broke.

        Example:
            ```python
            async for chunk in terminal.output():
                if chunk.endswith(b"$ "):
                    break
            ```
        """
        return self._terminal.output()

    async def wait(self, timeout_s: float | None = None) -> int:
        """Wait until the shell of the terminal has ended, and tell its exit status.

        Args:
            timeout_s: Seconds to wait; without a limit by default. The terminal goes on
                after it.

        Returns:
            The exit status; -1 when the session did not tell it.

        Raises:
            PtyTimeoutError: It still runs; also a `TimeoutError`.
            PtyNotConnectedError: The handle was disconnected, so nothing more is known.
            PtySessionNotFoundError: It ended while the connection was lost.
            PtyError: The terminal broke.
            WsConnectionClosedError: The session was deleted by this program.
            Exception: What ``on_data`` raised.
        """
        limit = None if timeout_s is None else seconds(timeout_s)
        self._terminal.check_loop()
        with anyio.move_on_after(limit) as scope:
            await self._terminal.ended()
        if self._terminal.exit_code is not None:
            return self._terminal.exit_code
        if scope.cancelled_caught:
            raise PtyTimeoutError(f"PTY wait timed out after {limit:g}s")
        raise PtyNotConnectedError

    async def kill(self) -> None:
        """End the terminal and what runs in it. Who waits for it is let go.

        Raises:
            PtyNotConnectedError: As for `send_input`.
            PtyError: The session refused.
        """
        terminal = self._connected()
        with refusals(terminal.id):
            await terminal.connection.call(KillPty(terminal.id))
        await terminal.killed()

    def disconnect(self) -> None:
        """Let go of the terminal, which goes on. `AsyncPty.connect` finds it again."""
        self._terminal.home.run(self._terminal.end)

    def _connected(self) -> Terminal:
        self._terminal.check_loop()
        if not self._terminal.connected:
            raise PtyNotConnectedError
        return self._terminal


def _bytes(data: object) -> bytes:
    if isinstance(data, bytes | bytearray):
        return bytes(data)
    if not isinstance(data, str):
        raise InvalidInputError(f"data must be bytes or text, not {data!r:.80}")
    try:
        return data.encode()
    except UnicodeEncodeError as exc:
        raise InvalidInputError(f"the text cannot be sent as UTF-8 ({exc.reason})") from exc
