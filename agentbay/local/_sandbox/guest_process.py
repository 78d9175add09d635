"""The processes of a session: its guest in the sandbox, and the helper of its network."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

import anyio
import anyio.abc

from . import network
from .bwrap import HOME, session_environment
from .gate import Gate
from .guest_wire import ConnectionLost
from .process_end import ended, kill

# How long the processes of a session may take to be gone.
_END_LIMIT = 20.0


class GuestProcess:
    """The guest of one session, and all that ends with it.

    It belongs to the event loop that started it. That loop's thread has to stay: the kernel
    ends the session when the thread that started it is gone.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._gate: Gate | None = None
        self._network: anyio.abc.Process | None = None

    async def start(
        self,
        command: Sequence[str],
        arguments: Sequence[int],
        *,
        directory: Path,
        free: bool,
        helper: network.Helper | None,
    ) -> None:
        """Start the guest, and wait until it is ready; after a failure there is `close`.

        Args:
            command: What starts it.
            arguments: What it is told, after the number of its control socket.
            directory: That of the session.
            free: Whether it is in no sandbox.
            helper: What gives it a way to other machines.

        Raises:
            ConnectionLost: It ended at once.
        """
        gate = self._gate = Gate() if helper else None
        self._spawn(command, arguments, directory, free)
        if helper is not None and gate is not None:
            # The guest comes up at the same time. It is asked for nothing before both are ready,
            # so that no command meets half a network.
            child = await gate.child()
            gate.close()
            self._network = await network.attach(child, helper=helper, found=gate.release)
        await self._until_ready()

    @property
    def alive(self) -> bool:
        """Whether it is there to answer."""
        process = self._process
        return self._control is not None and process is not None and process.poll() is None

    async def give(self, sock: socket.socket) -> None:
        """Give it the other end of the socket of an operation.

        Raises:
            ConnectionLost: It is gone.
        """
        while self._control is not None:
            try:
                socket.send_fds(self._control, [b"operation"], [sock.fileno()])
            except BlockingIOError:
                await anyio.wait_writable(self._control)
            except OSError as exc:
                raise ConnectionLost from exc
            else:
                return
        raise ConnectionLost

    async def ended(self, limit: float) -> bool:
        """Wait for its end, `limit` seconds at most; whether it has ended, or never began."""
        return self._process is None or await ended(self._process, limit)

    async def close(self) -> None:
        """End every process of the session. Not to be cancelled."""
        control, self._control = self._control, None
        gate, self._gate = self._gate, None
        if gate is not None:
            # A first process that is still held back has to run to see its end.
            gate.release()
        helper, self._network = self._network, None
        if helper is not None and helper.stdin is not None:
            # The helper ends when its input does; the session ends meanwhile.
            await helper.stdin.aclose()
        if control is not None:
            # The guest ends when its control socket does, and takes everything with it.
            control.shutdown(socket.SHUT_WR)
            await self._end()
            control.close()
        if gate is not None:
            gate.started()
            gate.close()
        if helper is not None:
            await helper.aclose()

    def _spawn(
        self, command: Sequence[str], arguments: Sequence[int], directory: Path, free: bool
    ) -> None:
        """Start the process, from the loop's own thread: see the class."""
        self._control, guest_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        gate = self._gate
        options: list[str] = gate.options if gate else []
        inherited = [guest_end.fileno(), *(gate.descriptors if gate else ())]
        told = map(str, [guest_end.fileno(), *arguments])
        with guest_end, open(directory / "guest.log", "wb") as log:
            self._process = subprocess.Popen(
                [command[0], *options, *command[1:], *told],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=inherited,
                env=_free_environment(directory) if free else {},
                cwd=directory / "root" / HOME[1:] if free else None,
                start_new_session=True,
            )
        if gate is not None:
            gate.started()

    async def _until_ready(self) -> None:
        assert self._control is not None
        await anyio.wait_readable(self._control)
        try:
            if self._control.recv(16) == b"ready":
                return
        except ConnectionResetError as exc:
            raise ConnectionLost from exc
        raise ConnectionLost

    async def _end(self) -> None:
        process = self._process
        if process is None:
            return
        # bubblewrap ends after the last process of its sandbox; killing it ends them as well,
        # but nobody can wait for that.
        if not await ended(process, _END_LIMIT):
            kill(process)
            await ended(process, _END_LIMIT)


def _free_environment(directory: Path) -> dict[str, str]:
    """The variables of a session without a sandbox; the engine's own stay out of it."""
    home = str(directory / "root" / HOME[1:])
    return session_environment(home, os.environ.get("PATH", os.defpath))
