"""Pools of connections: the one that was used last is taken first."""

from __future__ import annotations

import asyncio
import functools
import math
import socket
import ssl
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import anyio
import anyio.lowlevel

from ._connection import Connection
from ._dialing import dial
from ._errors import (
    ConnectError,
    ConnectTimeoutError,
    PoolTimeoutError,
    ReadError,
    UnsupportedProtocolError,
    UntakenError,
)
from ._readers import Head, new_reader
from ._requests import Limits, Order, Place
from ._tls import Tls

T = TypeVar("T")

# Seconds for which an idle connection is kept; gateways close theirs after some 25.
KEPT = 20.0

# Seconds at least between two looks at all connections: limits of the transport hold with
# this precision. Deadlines of calls do not rely on it.
_TICK = 0.05

# Connections to an origin that are opened at a time. While one is, it takes twice the memory, and
# a server has room for some of those that it has not accepted; the others come a second later.
_AT_ONCE = 64

# Seconds by which timers of an event loop may come early.
_INSTANT = 0.001


class Pool:
    """The connections of one event loop, and the one timer that watches them.

    Args:
        loop: The loop.
        tls: How servers are checked.
        most: Connections to one origin; who needs one more waits.
        kept: Seconds for which an idle connection is kept.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, tls: Tls, *, most: int, kept: float = KEPT
    ) -> None:
        self.loop, self.tls, self.most, self.kept = loop, tls, most, kept
        self._origins: dict[tuple[str, str, int], Origin] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf
        self.closed = False

    @classmethod
    def here(cls, tls: Tls, *, most: int | None = None, kept: float = KEPT) -> Pool | None:
        """One for the running event loop; None where that is none of asyncio's."""
        loop = anyio.lowlevel.current_token().native_token
        if not isinstance(loop, asyncio.AbstractEventLoop):
            return None
        return cls(loop, tls, most=most_connections() if most is None else most, kept=kept)

    def limits(self, total: float, connect: float | None) -> Limits:
        """Seconds for a whole exchange that begins at this moment, and to connect."""
        return Limits(connect, end=self.loop.time() + total)

    async def exchange(self, place: Place, order: Order, made: Callable[[Head, bytes], T]) -> T:
        """Exchange a request for the whole of its reply.

        Args:
            place: Where it goes: scheme, host and port count.
            order: The request.
            made: Makes what is given back.

        Raises:
            NetworkError: There is no reply, or none that makes sense.
            TimeoutError: There was not even a connection when the time for all of it was over.
        """
        origin = self.origin(place)
        try:
            connection = await self.answering(origin, order)
        except (ConnectTimeoutError, PoolTimeoutError) as exc:
            if self.loop.time() < order.limits.end - _INSTANT:
                raise
            raise TimeoutError("the time for the whole exchange is over") from exc
        try:
            return made(*await connection.whole_reply())
        finally:
            origin.release(connection)

    async def answering(self, origin: Origin, order: Order) -> Connection:
        """The connection over which a request was answered; the one attempt that is made of it.

        Raises:
            NetworkError: There is no reply, or none that makes sense.
        """
        limits = order.limits
        while True:
            now = self.loop.time()
            connect, patience = limits.left(limits.connect, now), limits.left(limits.pool, now)
            connection = await origin.acquire(connect, patience)
            try:
                await connection.exchange(order)
            except UntakenError:
                origin.release(connection)
                if not isinstance(order.body, bytes):
                    raise  # a part of it may be gone
            except BaseException:  # cancelled too: half an exchange is on that connection
                connection.drop()
                origin.release(connection)
                raise
            else:
                return connection

    def origin(self, place: Place) -> Origin:
        """The connections to a scheme, host and port.

        Raises:
            UnsupportedProtocolError: The scheme is not one of HTTP.
        """
        scheme, host, port, *_ = place
        if scheme not in ("http", "https"):
            raise UnsupportedProtocolError("the URL is not one of http:// or https://")
        key = scheme, host, port or (443 if scheme == "https" else 80)
        found = self._origins.get(key)
        if found is None:
            found = self._origins[key] = Origin(self, *key)
        return found

    def watch(self, when: float) -> None:
        """Look after the connections at a time, or before."""
        # Compared with what it comes to: else one that is overdue is put off each time it is told.
        due = max(when, self.loop.time() + _TICK)
        if due < self._due:
            if self._timer is not None:
                self._timer.cancel()
            self._due = due
            self._timer = self.loop.call_at(due, self._sweep)

    def connections(self) -> list[Connection]:
        """All that are open."""
        return [item for origin in self._origins.values() for item in origin.connections()]

    async def aclose(self) -> None:
        """Close all connections, also those in use; what waits for one fails."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        left = self.connections()
        for origin in self._origins.values():
            origin.close()
        for _ in range(100):  # the loop tells a connection in one of its next rounds
            if all(connection.lost for connection in left):
                break
            await anyio.lowlevel.checkpoint()

    def _sweep(self) -> None:
        self._timer, self._due = None, math.inf
        now = self.loop.time()
        following = math.inf
        for key, origin in list(self._origins.items()):
            following = min(following, origin.sweep(now))
            if origin.is_unused:
                del self._origins[key]
        if following < math.inf:
            self.watch(following)


class Origin:
    """The connections to one scheme, host and port."""

    def __init__(self, pool: Pool, scheme: str, host: str, port: int) -> None:
        self._pool, self._scheme, self._host, self._port = pool, scheme, host, port
        self._idle: deque[Connection] = deque()
        self._busy: set[Connection] = set()
        # With None, a waiter is given the right to open a connection.
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._open = 0
        self._dialing = asyncio.Semaphore(_AT_ONCE)

    @property
    def is_unused(self) -> bool:
        """Whether there is nothing to remember."""
        return not self._open and not self._waiters

    def connections(self) -> list[Connection]:
        """All that are open."""
        return [*self._idle, *self._busy]

    async def acquire(self, connect: float | None, patience: float | None) -> Connection:
        """Take a connection: an idle one, else one more, else the next that comes free.

        Args:
            connect: Seconds to open one.
            patience: Seconds to wait for one.

        Raises:
            ConnectError: None can be opened; `ConnectTimeoutError` for too slow.
            PoolTimeoutError: None came free.
        """
        while True:
            while self._idle:
                connection = self._idle.pop()
                self._busy.add(connection)
                if await self._is_alive(connection):
                    return connection
            if self._open < self._pool.most:
                self._open += 1
                return await self._dialed(connect)
            granted = await self._turn(patience)
            if granted is None:
                return await self._dialed(connect)
            if await self._is_alive(granted):
                return granted

    def release(self, connection: Connection) -> None:
        """Give a connection back, or give it up when something is left of the last exchange."""
        if connection not in self._busy:
            return
        connection.rest()
        if not connection.is_reusable or self._pool.closed:
            connection.drop()
            self._forget(connection)
        elif not self._grant(connection):
            self._busy.discard(connection)
            kept = min(self._pool.kept, max((connection.patience or math.inf) - 1, 0.1))
            connection.idle_until = self._pool.loop.time() + kept
            self._idle.append(connection)
            self._pool.watch(connection.idle_until)

    def sweep(self, now: float) -> float:
        """Close what is overdue; tells when to look again."""
        while self._idle and (self._idle[0].closed or self._idle[0].idle_until <= now):
            self._idle.popleft().drop()
            self._open -= 1
        for connection in list(self._busy):
            if connection.deadline <= now:
                connection.expire()
        dues = [connection.deadline for connection in self._busy]
        if self._idle:
            dues.append(self._idle[0].idle_until)
        return min(dues, default=math.inf)

    def close(self) -> None:
        """Close all connections; what waits for one fails."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(ConnectError("the client was closed"))
        self._waiters.clear()
        for connection in self.connections():
            connection.fail(ReadError("the client was closed"))
        self._idle.clear()

    async def _is_alive(self, connection: Connection) -> bool:
        try:
            alive = await connection.is_alive()
        except BaseException:  # cancelled too: it may be in the middle of being asked
            connection.drop()
            self._forget(connection)
            raise
        if not alive:
            self._forget(connection)
        return alive

    async def _turn(self, patience: float | None) -> Connection | None:
        waiter: asyncio.Future[Connection | None] = self._pool.loop.create_future()
        self._waiters.append(waiter)
        try:
            with anyio.fail_after(patience):
                return await waiter
        except BaseException as exc:  # cancelled too: others wait behind
            self._give_up(waiter)
            if isinstance(exc, TimeoutError):
                raise PoolTimeoutError("all connections are in use") from exc
            raise

    def _give_up(self, waiter: asyncio.Future[Connection | None]) -> None:
        """Stop waiting; what was granted meanwhile goes to the next."""
        if not waiter.done() or waiter.cancelled():
            with suppress(ValueError):
                self._waiters.remove(waiter)
        elif waiter.exception() is None:
            granted = waiter.result()
            if granted is None:
                self._let_one_in()
            else:
                self.release(granted)

    def _grant(self, granted: Connection | None) -> bool:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(granted)
                return True
        return False

    def _let_one_in(self) -> None:
        """Pass on the right to one connection, which nobody uses any more."""
        if not self._grant(None):
            self._open -= 1

    def _forget(self, connection: Connection) -> None:
        self._busy.discard(connection)
        self._let_one_in()

    def _lost(self, connection: Connection) -> None:
        """A connection ended by itself. A busy one is given back by whoever has it."""
        if connection in self._busy or connection not in self._idle:
            return
        self._idle.remove(connection)
        self._let_one_in()

    async def _dialed(self, limit: float | None) -> Connection:
        try:
            connection = await self._connected(limit)
            if self._pool.closed:
                connection.drop()
                raise ConnectError("the client was closed")
        except BaseException:  # cancelled too: the place is free for the next
            self._let_one_in()
            raise
        self._busy.add(connection)
        return connection

    async def _connected(self, limit: float | None) -> Connection:
        try:
            with anyio.fail_after(limit):
                async with self._dialing:
                    return await self._dial()
        except TimeoutError as exc:
            raise ConnectTimeoutError(str(exc) or "no connection in time") from exc
        except (OSError, UnicodeError) as exc:
            raise ConnectError(str(exc) or type(exc).__name__) from exc

    async def _dial(self) -> Connection:
        pool = self._pool
        opened, context = await self._opened()
        connection = Connection(pool.loop, opened, new_reader(), pool.watch, self._lost)
        await pool.loop.create_connection(
            lambda: connection,
            sock=opened,
            ssl=context,
            server_hostname=self._host if context else None,
        )
        return connection

    async def _opened(self) -> tuple[socket.socket, ssl.SSLContext | None]:
        """A socket to the server, and what its certificate is checked with."""
        pool = self._pool
        dialing = functools.partial(dial, pool.loop, self._host, self._port)
        if self._scheme != "https":
            return await dialing(), None
        if pool.tls.ready is not None:
            return await dialing(), pool.tls.ready
        # The certificates of the system take about as long to read as the server to answer.
        return await _both(dialing, pool.tls.context)


def prepare() -> None:
    """Load what a connection needs."""
    new_reader()


def most_connections() -> int:
    """How many connections there may be: 1,000, or three quarters of what the system allows."""
    if sys.platform == "win32":
        return 1000
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1000 if files == resource.RLIM_INFINITY else max(min(1000, files * 3 // 4), 1)


async def _both(
    dialing: Callable[[], Awaitable[socket.socket]], loading: Callable[[], Awaitable[T]]
) -> tuple[socket.socket, T]:
    """Dial, and load something meanwhile."""
    opened: list[socket.socket] = []
    errors: list[OSError | UnicodeError] = []

    async def dialed() -> None:
        try:
            opened.append(await dialing())
        except (OSError, UnicodeError) as exc:
            errors.append(exc)

    loaded: list[T] = []
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(dialed)
            try:
                loaded.append(await loading())
            except OSError as exc:
                errors.insert(0, exc)
                tasks.cancel_scope.cancel()
        if errors:
            raise errors[0]
    except BaseException:  # cancelled too: nobody else closes the socket
        for one in opened:
            one.close()
        raise
    return opened[0], loaded[0]
