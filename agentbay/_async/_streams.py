"""What arrives over the WebSocket of a session, on its way to whoever waits for it."""

from __future__ import annotations

import copy
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, Self, TypeVar, cast

import anyio
from anyio.lowlevel import checkpoint

from ..errors import (
    AgentBayError,
    RequestTimeoutError,
    WsCancelledError,
    WsConnectionClosedError,
    WsProtocolError,
    WsRemoteError,
)
from ..protocol._frames import GATEWAY, Frame

T = TypeVar("T")

Send = Callable[[Mapping[str, Any]], Awaitable[None]]

# Characters of messages that wait for one reader. The connection itself never waits for one,
# because the others would wait, too.
_WAITING = 64 * 1024 * 1024


def again(error: AgentBayError) -> AgentBayError:
    """A copy of an error that several callers get: each of them gives it a traceback."""
    another = copy.copy(error)
    another.__cause__ = error.__cause__
    return another


class Outcome(Generic[T]):
    """Something that will be known, or fail."""

    def __init__(self) -> None:
        self._known = anyio.Event()
        self._value: T | None = None
        self._error: AgentBayError | None = None

    @property
    def is_known(self) -> bool:
        """Whether it is known, or failed."""
        return self._known.is_set()

    def settle(self, value: T) -> None:
        """Make it known; only the first time counts."""
        if not self.is_known:
            self._value = value
            self._known.set()

    def fail(self, error: AgentBayError) -> None:
        """Let it fail; only the first time counts."""
        if not self.is_known:
            self._error = again(error)
            self._known.set()

    async def get(self) -> T:
        """Wait for it."""
        await self._known.wait()
        if self._error is not None:
            raise self._error
        return cast("T", self._value)


class Answer(Outcome[Any]):
    """The answer to a call: one message."""

    def take(self, frame: Frame, size: int) -> None:
        """Make the answer from the message."""
        result, error = frame.data.get("result"), frame.data.get("error")
        if frame.failure:
            self.fail(refusal(frame, frame.failure))
        elif frame.source == GATEWAY:
            self.settle(frame.data)
        elif result is None and (error is not None or frame.data.get("phase") == "error"):
            self.fail(refusal(frame, error))
        else:
            self.settle(frame.data if result is None else result)

    @property
    def over(self) -> bool:
        """Whether there is nothing more to come."""
        return self.is_known


class Letter(Outcome[None]):
    """A message that has no answer: all there is to know is that it was sent."""

    over = True

    def take(self, frame: Frame, size: int) -> None:
        """There is none."""


class Buffer:
    """Messages that wait for their reader."""

    def __init__(self) -> None:
        self._messages: deque[tuple[dict[str, Any], int]] = deque()
        self._size = 0
        self._changed = anyio.Event()
        self._error: AgentBayError | None = None
        self.over = False

    def put(self, data: dict[str, Any], size: int) -> bool:
        """Add a message; False when it is over, or there are too many already."""
        if self.over or (self._messages and self._size + size > _WAITING):
            return False
        self._messages.append((data, size))
        self._size += size
        self._changed.set()
        return True

    def end(self, error: AgentBayError | None = None, *, at_once: bool = False) -> None:
        """Nothing more comes; `at_once` drops what waits, too."""
        if self.over:
            return
        self.over = True
        self._error = None if error is None else again(error)
        if at_once:
            self._messages.clear()
        self._changed.set()

    async def get(self) -> dict[str, Any] | None:
        """Wait for the next message; None at the end.

        Raises:
            AgentBayError: What it ended with.
        """
        await checkpoint()  # also where there is a message: others have to run, and limits end
        while not self._messages:
            if self._error is not None:
                raise again(self._error)
            if self.over:
                return None
            self._changed = anyio.Event()
            await self._changed.wait()
        data, size = self._messages.popleft()
        self._size -= size
        return data


class Stream:
    """The events of one invocation, as they come. Belongs to its event loop.

    The loop over it ends when the other side says so. At most 64 MiB of events wait for a slow
    reader; more than that fail this stream, and nothing else.

    Attributes:
        invocation_id: Identifies the invocation; the request id of its result.
        end: What was told at the end; empty until then.
    """

    def __init__(self, invocation_id: str, *, method: str, timeout: float | None, send: Send):
        self.invocation_id = invocation_id
        self.end: dict[str, Any] = {}
        self._method, self._send, self._timeout = method, send, timeout
        self._deadline = None if timeout is None else anyio.current_time() + timeout
        self._buffer = Buffer()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        with anyio.move_on_after(self.remaining()) as scope:
            data = await self._buffer.get()
            if data is None:
                raise StopAsyncIteration
            return data
        assert scope.cancelled_caught
        self._buffer.end(self.late(), at_once=True)
        raise self.late()

    async def reply(self, data: Mapping[str, Any]) -> None:
        """Send a further message of the same invocation.

        Raises:
            WsConnectionClosedError: The connection was lost, or the stream is over.
        """
        if self.over:
            raise WsConnectionClosedError("the stream is over", sent=False)
        await self._send(data)

    def cancel(self) -> None:
        """Stop listening: the loop ends with `WsCancelledError`. The other side is not told."""
        self._buffer.end(WsCancelledError(request_id=self.invocation_id), at_once=True)

    def remaining(self) -> float | None:
        """Seconds until the limit of the whole stream; None when it has none."""
        return None if self._deadline is None else max(self._deadline - anyio.current_time(), 0.0)

    def late(self) -> RequestTimeoutError:
        """The error for a stream that reached its limit."""
        return RequestTimeoutError(
            f"{self._method}: the stream did not end within {self._timeout:g} s",
            request_id=self.invocation_id,
        )

    @property
    def over(self) -> bool:
        """Whether there is nothing more to come."""
        return self._buffer.over

    def take(self, frame: Frame, size: int) -> None:
        """Take in a message of this invocation."""
        phase = frame.data.get("phase")
        if frame.failure:
            self.fail(refusal(frame, frame.failure))
        elif frame.source == GATEWAY or phase == "end":
            self.end = frame.data
            self._buffer.end()
        elif phase == "error":
            self.fail(refusal(frame, frame.data.get("error")))
        elif phase != "event":
            self.fail(WsProtocolError(f"{self._method}: a message of the stream has no phase"))
        elif not self._buffer.put(frame.data, size) and not self.over:
            self.fail(WsCancelledError(f"{self._method}: the events were read too slowly"))

    def fail(self, error: AgentBayError) -> None:
        """End the stream with an error, behind the events that came before."""
        failed = again(error)
        failed.request_id = self.invocation_id
        self._buffer.end(failed)


class Subscription:
    """What a server of the session tells without being asked. Belongs to its event loop.

    The loop over it ends only with an error: `WsConnectionClosedError` when the connection is
    closed on this side, `WsHandshakeRejectedError` when the session keeps refusing to open it
    again. It survives the loss of a connection. At most 64 MiB wait for a slow
    reader; more than that end it with `WsCancelledError`.
    """

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        data = await self._buffer.get()
        if data is None:
            raise StopAsyncIteration
        return data


def refusal(frame: Frame, reason: Any) -> WsRemoteError:
    """The error for a message that says no.

    Args:
        frame: The message.
        reason: Why, in text or as an object; the message's data when there is no reason.
    """
    details = cast("dict[str, Any]", reason) if isinstance(reason, dict) else frame.data
    message = reason if isinstance(reason, str) and reason else details.get("message")
    code = details.get("code")
    text = message if isinstance(message, str) and message else _shown(details)
    return WsRemoteError(
        f"[{code}] {text}" if isinstance(code, str | int) and code else text,
        data=frame.data,
        code="" if code is None else str(code)[:100],
        request_id=frame.invocation_id,
    )


def _shown(details: Any) -> str:
    try:
        return json.dumps(details, ensure_ascii=False)[:1000]
    except (ValueError, RecursionError):
        return "the session gave no reason that can be shown"
