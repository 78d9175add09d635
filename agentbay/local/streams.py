"""The WebSocket of a session: methods that clients call, and what they are told unasked.

`@handles_method(CreatePty)` stands above the function in the module of the same noun; those
modules are imported when the first client comes.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.abc
import attrs
import h11

from ..errors import InvalidInputError
from ..protocol._calls import TOOLS
from ..protocol._frames import CLIENT, GATEWAY, METHODS, Frame, FrameError, Method
from ..protocol._wire import WireError
from . import _index, images
from ._dispatch import load, why_not
from ._errors import EngineError, ToolFailure
from ._link_exchange import Client
from ._logs import identifier, noted
from ._websocket import LONGEST_OUT, Socket

if TYPE_CHECKING:
    from .engine import Engine
    from .session import LocalSession

M = TypeVar("M", bound=Method[Any])
Handler = Callable[["Exchange", M], Awaitable[None]]

METHOD_HANDLERS: dict[type[Method[Any]], Callable[[Exchange, Any], Awaitable[None]]] = {}

# Those that are carried out one after the other, in the order in which they were sent.
_ORDERED: set[type[Method[Any]]] = set()

# Methods that one connection may have under way.
_MOST_CALLS = 64

_GOING_AWAY = 1001

_log = logging.getLogger(__name__)


def handles_method(kind: type[M], *, ordered: bool = False) -> Callable[[Handler[M]], Handler[M]]:
    """Let a function carry out a method of the WebSocket; it answers through its exchange.

    Args:
        kind: The method.
        ordered: Whether the next message of the client waits for its end. There is no answer
            to a method like that, not even when it is refused.
    """

    def register(func: Handler[M]) -> Handler[M]:
        METHOD_HANDLERS[kind] = func
        if ordered:
            _ORDERED.add(kind)
        return func

    return register


async def serve(
    engine: Engine, session: LocalSession, client: Client, request: h11.Request
) -> None:
    """Serve a WebSocket until one side ends it.

    Raises:
        RefusedError: The handshake is malformed.
    """
    for module in _index.METHODS:
        await load(module)
    socket = Socket(client)
    connection = Connection(engine, session, socket)
    try:
        await socket.accept(request)
        session.connections.add(connection)
        await connection.serve()
    finally:
        session.connections.discard(connection)
        socket.release()


def log_level(engine: Engine) -> int:
    """That of requests: in the process of a user, the engine has nothing to say."""
    return logging.INFO if engine.options.tells_links else logging.DEBUG


@attrs.frozen
class Exchange:
    """One method that a client called, and the way of its answers."""

    connection: Connection
    invocation_id: str
    server: str

    @property
    def session(self) -> LocalSession:
        """The session that it is for."""
        return self.connection.session

    async def answer(self, data: Mapping[str, Any]) -> None:
        """Send an answer; returns when it is written.

        Raises:
            ToolFailure: It is larger than clients take.
        """
        await self.connection.send(Frame(self.invocation_id, self.server, CLIENT, dict(data)))


class Connection:
    """One WebSocket. It belongs to the event loop of the engine.

    Attributes:
        engine: What serves it.
        session: The session that it leads to.
        watches: What ends the telling of changes, by the path.
        followed: How many terminals it is told of.
        left: Whether the client said that it goes for good.
    """

    def __init__(self, engine: Engine, session: LocalSession, socket: Socket) -> None:
        self.engine: Engine = engine
        self.session: LocalSession = session
        self.watches: dict[str, anyio.CancelScope] = {}
        self.followed: int = 0
        self._socket = socket
        self._calls = 0
        self._closing = anyio.Event()
        self._tasks: anyio.abc.TaskGroup

    @property
    def left(self) -> bool:
        return self._socket.left

    @property
    def busy(self) -> bool:
        """Whether the client uses the session over it; being connected is no use."""
        return bool(self._calls or self.watches or self.followed)

    async def serve(self) -> None:
        """Carry out what the client asks for, until one side ends it."""
        async with anyio.create_task_group() as self._tasks:
            for job in (self._socket.write_forever, self._read, self._close_when_told):
                self._tasks.start_soon(self._until_end, job)

    def start(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do something for as long as the connection lasts."""
        self._tasks.start_soon(self._guarded, work)

    def close(self) -> None:
        """Begin to end the connection from this side."""
        self._closing.set()

    async def send(self, frame: Frame) -> None:
        """Send a frame; returns when it is written.

        Raises:
            ToolFailure: It is larger than clients take.
        """
        text = frame.encode()
        if len(text.encode()) > LONGEST_OUT:
            raise ToolFailure("the answer is too large for a message of the WebSocket")
        await self._socket.send(text)

    async def push(self, server: str, data: Mapping[str, Any]) -> None:
        """Tell something that nobody asked for; returns when it is written."""
        await self.send(Frame(uuid.uuid4().hex, server, CLIENT, dict(data)))

    async def _until_end(self, job: Callable[[], Awaitable[None]]) -> None:
        await self._guarded(job)
        self._tasks.cancel_scope.cancel()

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            self._tasks.cancel_scope.cancel()
        except (EngineError, ToolFailure) as exc:
            _log.debug("something that a WebSocket told has ended: %s", exc)
        except Exception:  # noqa: BLE001 - the engine's boundary: other sessions go on
            _log.exception("a WebSocket of session %s failed", self.session.session_id)

    async def _close_when_told(self) -> None:
        await self._closing.wait()
        await self._socket.close(_GOING_AWAY, "the session ended the connection")

    async def _read(self) -> None:
        while (text := await self._socket.receive()) is not None:
            try:
                await self._take(Frame.decode(text))
            except FrameError as exc:
                _log.debug("a message makes no sense: %s", exc)
                if exc.invocation_id:
                    await self._refuse(GATEWAY, exc.invocation_id, str(exc))

    async def _take(self, frame: Frame) -> None:
        kind = _method(frame.data.get("method"))
        if kind in _ORDERED:
            await self._carry_out(kind, frame)
        elif self._calls >= _MOST_CALLS:
            await self._turn_away(kind, frame, "too many calls are under way")
        elif kind is None or kind.server != frame.target:
            reason = f"there is no method {frame.data.get('method')!r:.80} of {frame.target:.80}"
            await self._turn_away(kind, frame, reason)
        else:
            self._calls += 1
            self.start(partial(self._call, kind, frame))

    async def _call(self, kind: type[Method[Any]], frame: Frame) -> None:
        try:
            reason = await self._carry_out(kind, frame)
            if reason:
                await self._refuse(kind.server, frame.invocation_id, reason)
        finally:
            self._calls -= 1

    async def _carry_out(self, kind: type[Method[Any]], frame: Frame) -> str:
        """Carry out a method; returns why it was refused."""
        with self._noted(kind, frame) as facts:
            reason = await self._try(kind, frame)
            if reason:
                facts["result"] = "refused"
            return reason

    async def _turn_away(self, kind: type[Method[Any]] | None, frame: Frame, reason: str) -> None:
        with self._noted(kind, frame) as facts:
            facts["result"] = "refused"
            await self._refuse(GATEWAY, frame.invocation_id, reason)

    def _noted(
        self, kind: type[Method[Any]] | None, frame: Frame
    ) -> AbstractContextManager[dict[str, object]]:
        # Those that are ordered are the keys that a user presses.
        level = logging.DEBUG if kind in _ORDERED else log_level(self.engine)
        return noted(
            level,
            route="websocket",
            action=None if kind is None else kind.method,
            session=self.session.session_id,
            request_id=identifier(frame.invocation_id),
        )

    async def _try(self, kind: type[Method[Any]], frame: Frame) -> str:
        try:
            with self.session.life.use():
                handler = self._handler(kind)
                call = kind.from_data(frame.data)
                await handler(Exchange(self, frame.invocation_id, kind.server), call)
        except (WireError, InvalidInputError) as exc:
            return f"bad parameters for {kind.method}: {exc}"
        except (EngineError, ToolFailure) as exc:
            return str(exc)
        return ""

    def _handler(self, kind: type[Method[Any]]) -> Callable[[Exchange, Any], Awaitable[None]]:
        handler = METHOD_HANDLERS.get(kind)
        if handler is None:
            reason = why_not(TOOLS[kind.tool]) if kind.tool in TOOLS else "it is unknown"
            raise ToolFailure(f"the local engine does not have {kind.method}: {reason}")
        if kind.tool in TOOLS and not images.has_tool(self.session.image_id, TOOLS[kind.tool]):
            raise ToolFailure(f"image {self.session.image_id} does not have {kind.tool}")
        return handler

    async def _refuse(self, source: str, invocation_id: str, reason: str) -> None:
        await self.send(Frame(invocation_id, source, CLIENT, {"error": reason}))


def _method(name: object) -> type[Method[Any]] | None:
    return METHODS.get(name) if isinstance(name, str) else None
