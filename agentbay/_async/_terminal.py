"""One terminal of a session, as its connection tells of it."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio

from ..errors import (
    InvalidInputError,
    ProtocolError,
    PtyError,
    PtySessionNotFoundError,
    WsRemoteError,
)
from ..protocol._wire import WireError
from ..protocol.pty import SERVER, ConnectPty, PtyEvent, PtyExit, PtyFailure, PtyOutput, read_event
from ._callbacks import tell
from ._home import Home

if TYPE_CHECKING:
    from ._websocket import Connection

OnData = Callable[[bytes], Awaitable[object] | None]

# Seconds for an answer, unless the caller says otherwise.
LIMIT = 30.0

# Bytes of output that are kept for who reads it later.
_KEPT = 4 * 1024 * 1024

# Seconds in which a session has to tell something of a terminal that was killed.
_GRACE = 2.0

# The exit code of a shell whose end was not told.
_UNKNOWN = -1

_MISSING = re.compile(r"not.?found|not exist|no such|unknown (pty|session|terminal)", re.IGNORECASE)

_log = logging.getLogger(__name__)


class Terminal:
    """Takes what a session tells of a terminal, and keeps what was not read.

    Belongs to the event loop on which it was made.

    Attributes:
        id: Its identifier; empty until `identify`.
        size: Its width and height; None when not known.
        listening: Whether what is told of it arrives here.
        connected: Whether it can be used: it listens, and was not killed.
        exit_code: Exit status of its shell; None while that is not known.
        failure: Why nothing more is told of it, when that is an error.
        home: The event loop that it belongs to.
    """

    def __init__(
        self, connection: Connection, on_data: OnData | None, ended: Callable[[Terminal], None]
    ) -> None:
        self.id: str = ""
        self.size: tuple[int, int] | None = None
        self.listening: bool = True
        self.connected: bool = True
        self.exit_code: int | None = None
        self.failure: Exception | None = None
        self.connection: Connection = connection
        self.home: Home = Home()
        self._on_data, self._on_end = on_data, ended
        self._unread = bytearray()
        self._lost = self._waiting = 0
        self._telling = False
        self._changed, self._identified = anyio.Event(), anyio.Event()
        self._stop: Callable[[], None] = _nothing
        # Before there is an identifier, because output may arrive together with it.
        self._stop = connection.listen(
            SERVER,
            self._arrived,
            matches=self._concerns,
            restore=self._restore,
            closed=lambda error: self.end(failure=error),
        )

    def identify(self, id: str) -> None:
        """Say which terminal it is; what arrived before that is looked at then."""
        self.id = id
        self._identified.set()

    def check_loop(self) -> None:
        """Refuse to be used on another event loop than its own.

        Raises:
            PtyError: This is another one.
        """
        if not self.home.is_here():
            raise PtyError("the handle of a terminal works on the event loop that it came from")

    def end(self, exit_code: int | None = None, failure: Exception | None = None) -> None:
        """Listen no longer, and let go who waits. Does nothing the second time."""
        if not self.listening:
            return
        self.exit_code, self.failure = exit_code, failure
        self.listening = self.connected = False
        self._identified.set()
        self._notify()
        self._on_end(self)
        self._stop()

    async def ended(self) -> None:
        """Wait until nothing more is told.

        Raises:
            Exception: What `on_data` raised, or what broke the terminal.
        """
        while self.listening:
            await self._next_change()
        if self.failure is not None:
            raise self.failure

    async def killed(self) -> None:
        """Wait for the exit status of a terminal that was killed, but not for long."""
        self.connected = False
        self._notify()
        # While `on_data` runs nothing else is told, and it may be what killed the terminal.
        while self.listening and not self._telling:
            await self._next_change()

    async def output(self) -> AsyncIterator[bytes]:
        """Give what was not read, and then what arrives, to the end.

        Raises:
            PtyError: There was more than is kept; or the terminal broke.
        """
        self.check_loop()
        lost = self._lost
        while True:
            if self._lost > lost:
                raise PtyError(f"{self._lost - lost} bytes of output were lost: read faster")
            if self._unread:
                content = bytes(self._unread)
                self._unread.clear()
                yield content
            elif not self.listening:
                break
            else:
                await self._next_change()
        if self.failure is not None:
            raise self.failure

    async def _next_change(self) -> None:
        self._waiting += 1
        try:
            with anyio.move_on_after(None if self.connected else _GRACE) as scope:
                await self._changed.wait()
        finally:
            self._waiting -= 1
        if scope.cancelled_caught:
            self.end(_UNKNOWN)

    def _concerns(self, data: dict[str, Any]) -> bool:
        told = data.get("ptySessionId") == self.id or not self._identified.is_set()
        return told and str(data.get("eventType")).startswith("pty.")

    async def _arrived(self, data: dict[str, Any]) -> None:
        await self._identified.wait()
        if not self.listening or data.get("ptySessionId") != self.id:
            return
        try:
            await self._take(read_event(data))
        except WireError as exc:
            _log.warning("terminal %s: what the session told makes no sense: %s", self.id, exc)

    async def _take(self, event: PtyEvent | None) -> None:
        if isinstance(event, PtyOutput):
            await self._wrote(event.content)
        elif isinstance(event, PtyExit):
            self.end(event.exit_code)
        elif isinstance(event, PtyFailure):
            self.end(failure=_refusal(self.id, event.error))

    async def _wrote(self, content: bytes) -> None:
        self._unread += content
        excess = max(len(self._unread) - _KEPT, 0)
        del self._unread[:excess]
        self._lost += excess
        self._notify()
        if self._on_data is None:
            return
        self._telling = True
        try:
            await tell(self._on_data, content)
        except Exception as exc:  # noqa: BLE001 - the user's function may raise anything
            if not self._waiting:
                _log.error("on_data of terminal %s failed", self.id, exc_info=exc)
            self.end(failure=exc)
        finally:
            self._telling = False

    async def _restore(self) -> None:
        """Ask for the output again, after the connection was lost."""
        if not self.id:
            return
        try:
            await self.connection.call(ConnectPty(self.id))
        except WsRemoteError as exc:
            self.end(failure=_refusal(self.id, str(exc)))

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


@contextmanager
def refusals(id: str = "") -> Generator[None, None, None]:
    """What is refused, here or in the session, is a `PtyError`."""
    try:
        yield
    except WsRemoteError as exc:
        raise _refusal(id, str(exc), request_id=exc.request_id, code=exc.code) from exc
    except (InvalidInputError, ProtocolError) as exc:
        raise PtyError(str(exc), request_id=exc.request_id) from exc


def seconds(timeout: object) -> float:
    """Refuse a limit that makes no sense.

    Raises:
        InvalidInputError: It is no positive number.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        raise InvalidInputError(f"timeout_s must be positive, in seconds, not {timeout!r}")
    return timeout


def _refusal(id: str, reason: str, **facts: str) -> PtyError:
    """The error for what a session says about a terminal."""
    if id and _MISSING.search(reason):
        return PtySessionNotFoundError(f"there is no terminal {id}: {reason}", **facts)
    return PtyError(f"terminal {id}: {reason}" if id else reason, **facts)


def _nothing() -> None:
    pass
