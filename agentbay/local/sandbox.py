"""The engine's side of a session: its sandbox, and the guest inside that does the work."""

from __future__ import annotations

import contextlib
import logging
import math
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.abc
import anyio.lowlevel

from ._errors import EngineError, ToolFailure
from ._sandbox import network, open_files, rootfs
from ._sandbox.bwrap import (
    Isolation,
    guest_command,
    guest_directory,
    mount_points,
    sandbox_command,
    session_user,
)
from ._sandbox.guest_frames import Talk
from ._sandbox.guest_process import GuestProcess
from ._sandbox.guest_wire import ConnectionLost, Reply, Request, read_reply, receive_socket
from ._sandbox.limits import Limits
from ._threads import in_thread

if TYPE_CHECKING:
    from ._chromium.browser import Browser
    from ._interpreters import Interpreter
    from ._phone.phones import Phone

__all__ = ["Isolation", "Limits", "Reply", "Sandbox"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

_START_LIMIT = 20.0
_CONNECT_LIMIT = 15.0
_BEGIN_LIMIT = 30.0
# Seconds in which a guest that has ended is seen to, after it has hung up.
_LOST_LIMIT = 5.0


class Sandbox:
    """One local session: a directory, a sandbox, and the guest that answers calls.

    It belongs to the event loop that started it. That loop's thread has to stay: the kernel
    ends the session when the thread that started it is gone.

    Attributes:
        session_id: The id of the session.
        directory: Everything of the session on the host. `root` in it is `/` of the session;
            what is in there belongs to the session, so resolve no path in it from outside.
        limits: What its programs may use.
        environment: Variables for the commands to come, for `shell` calls to pass on.
        isolated: Whether it is in a sandbox, and sees no more of the host than that shows.
        interpreters: What runs code in it, by language.
        browser: Its browser, once somebody has asked for it.
        phone: Its mobile device, if it has one.
        publish: Returns an address of a PNG picture, for whoever has the address.
    """

    def __init__(
        self, directory: Path, session_id: str, limits: Limits, copies: Mapping[str, Path]
    ) -> None:
        self.session_id = session_id
        self.directory = directory
        self.limits = limits
        self._copies = copies
        self._user = session_user()
        self.environment: dict[str, str] = {}
        self.isolated: bool = True
        self.interpreters: dict[str, Interpreter] = {}
        self.browser: Browser | None = None
        self.phone: Phone | None = None
        self.publish: Callable[[bytes], Awaitable[str]] = _without_links
        self._made_directory = False
        self._guest = GuestProcess()

    @classmethod
    async def start(
        cls,
        directory: Path,
        session_id: str,
        isolation: Isolation,
        *,
        read_only: Sequence[Path] = (),
        limits: Limits | None = None,
        copies: Mapping[str, Path] | None = None,
    ) -> Sandbox:
        """Start a session; failure and cancellation leave nothing behind.

        Args:
            directory: Made here, unless it exists; it may not contain `root` yet.
            session_id: Also the session's host name.
            isolation: What is shared with the host.
            read_only: Host directories that the session sees at their own path.
            limits: What its programs may use.
            copies: Host directories to copy into the session, by their path there.

        Raises:
            EngineError: The session cannot be started; says why and what helps.
            FileExistsError: `directory` contains a session already; it is left alone.
        """
        open_files.check()
        sandbox = cls(directory, session_id, limits or Limits(), copies or {})
        try:
            with anyio.fail_after(_START_LIMIT):
                await sandbox._launch(isolation, read_only)
        except TimeoutError as exc:
            raise await sandbox._failed(f"no answer within {_START_LIMIT:.0f} seconds") from exc
        except ConnectionLost as exc:
            raise await sandbox._failed("it ended at once") from exc
        except BaseException:  # cancelled too: processes and files would stay
            await sandbox.close()
            raise
        return sandbox

    @property
    def alive(self) -> bool:
        """Whether the guest is there to answer."""
        return self._guest.alive

    async def call(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        *,
        body: bytes = b"",
        time_limit: float = 60.0,
    ) -> Reply:
        """Have the guest do something. Cancelling the call makes the guest stop.

        Raises:
            ToolFailure: The guest says no, or the time limit has passed (number -1).
            EngineError: The session is gone (`SessionLost`).
        """
        async with self._operation(Request(operation, arguments, body), time_limit) as connection:
            return await read_reply(connection)

    async def connect(self, port: int) -> anyio.abc.SocketStream:
        """Open a TCP connection to a port on the loopback of the session.

        Raises:
            ConnectionRefusedError: Nothing listens there.
            ToolFailure: The guest says no.
            EngineError: The session is gone (`SessionLost`).
        """
        request = Request("connect", {"port": port})
        async with self._operation(request, _CONNECT_LIMIT) as connection:
            _, sock = await receive_socket(connection)
        if sock is None:
            raise ConnectionRefusedError(f"nothing listens on port {port} of the session")
        return await anyio.abc.SocketStream.from_socket(sock)

    async def open(
        self, operation: str, arguments: Mapping[str, Any], *, time_limit: float
    ) -> socket.socket:
        """Start something that keeps the socket of its operation.

        Returns:
            The engine's end, which does not block; the caller closes it.

        Raises:
            ToolFailure: The guest says no, or the time limit has passed (number -1).
            EngineError: The session is gone (`SessionLost`).
        """
        return (await self.launch(operation, arguments, time_limit=time_limit))[1]

    async def launch(
        self, operation: str, arguments: Mapping[str, Any], *, time_limit: float
    ) -> tuple[Reply, socket.socket]:
        """The same, for those who need what it says at its start as well."""
        async with self._operation(Request(operation, arguments), time_limit) as connection:
            return await read_reply(connection), connection.dup()

    async def stream(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        work: Callable[[socket.socket], T],
        *,
        time_limit: float,
    ) -> T:
        """Run blocking `work` in a thread, on the socket of an operation that was requested.

        The socket is shut down when time is up or the call is cancelled, which ends the thread:
        it is waited for, so that `work` never goes on behind the caller's back.

        Raises:
            ToolFailure: The time limit has passed (number -1).
            EngineError: The session is gone (`SessionLost`).
            Exception: Whatever `work` raises.
        """
        async with self._operation(Request(operation, arguments), time_limit) as connection:
            # Only for the case that the loop itself is stuck: time is kept out here.
            connection.settimeout(time_limit + 5)
            return await _in_thread(work, connection)

    @asynccontextmanager
    async def converse(
        self, operation: str, arguments: Mapping[str, Any]
    ) -> AsyncGenerator[Talk, None]:
        """Have the guest do something that goes on to the end of the block.

        Raises:
            ToolFailure: The guest says no, or breaks it off (number -1).
            EngineError: The session is gone (`SessionLost`).
        """
        request = Request(operation, arguments)
        async with self._operation(request, math.inf, begin=_BEGIN_LIMIT) as connection:
            talk = Talk(connection)
            with anyio.move_on_after(_BEGIN_LIMIT) as scope:
                await talk.begin()
            if scope.cancelled_caught:
                raise _not_begun(request, _BEGIN_LIMIT)
            yield talk

    async def close(self) -> None:
        """End every process of the session and remove its directory."""
        with anyio.CancelScope(shield=True):
            for interpreter in self.interpreters.values():
                await interpreter.close()
            await self._guest.close()
            if self._made_directory:
                await in_thread(rootfs.remove, self.directory)

    async def _launch(self, isolation: Isolation, read_only: Sequence[Path]) -> None:
        helper = None
        self.isolated = isolation.kind == "bubblewrap"
        if self.isolated and isolation.network == "isolated":
            helper = await in_thread(network.find_helper)
            if helper is None:
                _log.info("%s", network.missing())
        shared = isolation.kind == "none" or isolation.network == "host"
        resolvers = None if shared else network.resolv_conf(helper)
        command = await in_thread(self._prepare, isolation, read_only, resolvers)
        limits = self.limits
        arguments = [self._user, limits.memory, limits.processes, limits.disk]
        await self._guest.start(
            command,
            arguments,
            directory=self.directory,
            free=isolation.kind == "none",
            helper=helper,
        )

    def _prepare(
        self, isolation: Isolation, read_only: Sequence[Path], resolvers: str | None
    ) -> list[str]:
        """Make and fill the session's directory; returns the command line to start it."""
        root = self.directory / "root"
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        root.mkdir()
        self._made_directory = True
        points = mount_points(read_only) if isolation.kind == "bubblewrap" else []
        rootfs.prepare(
            root,
            self.session_id,
            user=self._user,
            resolvers=resolvers,
            mount_points=points,
            copies=self._copies,
        )
        if isolation.kind == "none":
            return guest_command(str(guest_directory()))
        return sandbox_command(
            root, self.session_id, isolation, user=self._user, read_only=read_only
        )

    async def _failed(self, what: str) -> EngineError:
        """Clean up after a start that failed; returns the error that says why it did."""
        log = self.directory / "guest.log"
        text = log.read_text(errors="replace").strip()[-2000:] if log.exists() else ""
        await self.close()
        return EngineError(
            "SandboxUnavailable", f"the session could not be started: {text or what}", status=503
        )

    @asynccontextmanager
    async def _operation(
        self, request: Request, time_limit: float, *, begin: float = math.inf
    ) -> AsyncGenerator[socket.socket, None]:
        """The engine's end of the socket of one operation, closed at the end.

        All of it has a time limit; and `begin` is one for the guest to take the request.
        """
        try:
            with anyio.fail_after(time_limit), await self._begun(request, begin) as connection:
                yield connection
        except TimeoutError as exc:
            message = f"{request.operation} did not end within {time_limit:g} seconds"
            raise ToolFailure(message, number=-1) from exc
        except ConnectionLost as exc:
            raise await self._lost() from exc

    async def _begun(self, request: Request, limit: float) -> socket.socket:
        with anyio.move_on_after(limit):
            return await self._hand_over(request)
        raise _not_begun(request, limit)

    async def _hand_over(self, request: Request) -> socket.socket:
        """Make a pair of sockets, give one of them to the guest, and send a request."""
        try:
            ours, theirs = socket.socketpair()
        except OSError as exc:
            raise open_files.too_many() from exc
        try:
            with theirs:
                ours.setblocking(False)
                request.begin(ours)
                await self._guest.give(theirs)
            await request.finish(ours)
        except BaseException:  # cancelled too: nobody else closes it
            ours.close()
            raise
        return ours

    async def _lost(self) -> EngineError | ToolFailure:
        """Tell the end of the guest from the end of one operation."""
        if not await self._guest.ended(_LOST_LIMIT):
            return ToolFailure("the session broke off the operation", number=-1)
        return EngineError("SessionLost", f"session {self.session_id} has ended", status=410)


async def _without_links(_: bytes) -> str:
    raise EngineError("NoLinks", "this sandbox belongs to no engine, which has links")


def _not_begun(request: Request, limit: float) -> ToolFailure:
    return ToolFailure(f"{request.operation} did not begin within {limit:g} seconds", number=-1)


async def _in_thread(work: Callable[[socket.socket], T], connection: socket.socket) -> T:
    results: list[T] = []
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_shut_down_when_cancelled, connection)
            try:
                results.append(await in_thread(work, connection))
            finally:
                tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:  # raised anew, without the group
        # Only `work` raises in here: callers see what it raised, as it was.
        error = group.exceptions[0]
        raise error from error.__cause__
    # What `work` makes of a connection that was cut is not a result.
    await anyio.lowlevel.checkpoint_if_cancelled()
    return results[0]


async def _shut_down_when_cancelled(connection: socket.socket) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
