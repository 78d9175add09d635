"""Who hears what a session tells without being asked."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from ..errors import AgentBayError, WsCancelledError
from ._streams import Buffer

Matches = Callable[[dict[str, Any]], bool]
Restore = Callable[[], Awaitable[object]]
Deliver = Callable[[dict[str, Any]], Awaitable[object]]
Closed = Callable[[AgentBayError], object]

# Seconds before `restore` is tried again on the same connection.
_PAUSES = (1.0, 3.0)

_log = logging.getLogger(__name__)


def everything(_: dict[str, Any]) -> bool:
    """Matches whatever is told."""
    return True


class Listener:
    """Somebody who listens to a server.

    Attributes:
        buffer: What was told and not heard yet.
        lost: Whether the connection was lost since `restore` last succeeded.
        lease: Keeps the connection from being closed.
    """

    def __init__(
        self,
        server: str,
        matches: Matches,
        restore: Restore | None,
        callback: Deliver | None = None,
        closed: Closed | None = None,
    ) -> None:
        self.server = server
        self.buffer = Buffer()
        self.lost = False
        self.lease: object = None
        self._matches, self._restore = matches, restore
        self._callback, self._closed = callback, closed
        self._dropping = False

    def offer(self, data: dict[str, Any], size: int) -> None:
        """Take in what the server tells, if it matches."""
        try:
            wanted = self._matches(data)
        except Exception:  # noqa: BLE001 - a filter that fails on one message may take the next one
            _log.exception("what %s told could not be filtered", self.server)
            return
        if not wanted or self.buffer.over:
            return
        kept = self.buffer.put(data, size)
        if not kept and self._callback is None:
            self.buffer.end(WsCancelledError(f"what {self.server} told was read too slowly"))
        elif not kept and not self._dropping:
            _log.warning("a callback is too slow: what %s tells is dropped", self.server)
        self._dropping = not kept

    def end(self, error: AgentBayError | None) -> None:
        """Listen no more: at once, or after what was told when there is an error to tell."""
        self.buffer.end(error, at_once=error is None)
        self.lease = None

    async def deliver(self) -> None:
        """Pass on to the callback what was told, until the end."""
        callback = self._callback
        assert callback is not None
        try:
            while (data := await self.buffer.get()) is not None:
                try:
                    await callback(data)
                except Exception:  # noqa: BLE001 - the next message may be more to its liking
                    _log.exception("a callback for what %s tells failed", self.server)
        except AgentBayError as exc:
            if self._closed is not None:
                self._closed(exc)

    async def restore(self) -> None:
        """Do what has to be done after a loss of the connection."""
        for pause in (*_PAUSES, None):
            if not self.lost or self.buffer.over:
                return
            try:
                if self._restore is not None:
                    await self._restore()
                self.lost = False
            except Exception as exc:  # noqa: BLE001 - tried again, and it is nobody else's matter
                _log.warning("%s was not told again to tell: %s", self.server, type(exc).__name__)
                if pause is not None:
                    await anyio.sleep(pause)
