"""Changes below directories, told over the WebSocket of a session as they happen."""

from __future__ import annotations

import json
from functools import partial

import anyio
import attrs

from ..protocol._wire import WireError, decode, encode
from ..protocol.file_changes import FileChanges, SubscribeFileChange, UnsubscribeFileChange
from ..protocol.file_system import SERVER, FileChangeEvent
from ._errors import ToolFailure
from .streams import Connection, Exchange, handles_method

# Directories that one connection may be told of.
_MOST = 64

_EVENT_TYPES, _PATH_TYPES = ("create", "modify", "delete"), ("file", "directory")


@handles_method(SubscribeFileChange)
async def subscribe(exchange: Exchange, call: SubscribeFileChange) -> None:
    """Tell of changes until the client ends that, or the connection does."""
    connection = exchange.connection
    if len(connection.watches) >= _MOST:
        raise ToolFailure(f"this connection is told of {_MOST} directories already")
    if call.path not in connection.watches:
        begun = _Begun()
        scope = connection.watches[call.path] = anyio.CancelScope()
        connection.start(partial(_tell, connection, call.path, scope, begun))
        await begun.wait()
    await exchange.answer(call.write(None))


@handles_method(UnsubscribeFileChange)
async def unsubscribe(exchange: Exchange, call: UnsubscribeFileChange) -> None:
    """Tell no more; also when there was nothing to tell."""
    scope = exchange.connection.watches.get(call.path)
    if scope is not None:
        scope.cancel()
    await exchange.answer(call.write(None))


class _Begun:
    """Whether the session looks after a directory, or why it does not."""

    def __init__(self) -> None:
        self._known = anyio.Event()
        self._failure: ToolFailure | None = None

    @property
    def is_set(self) -> bool:
        return self._known.is_set()

    async def wait(self) -> None:
        await self._known.wait()
        if self._failure is not None:
            raise self._failure

    def set(self, failure: ToolFailure | None = None) -> None:
        if not self.is_set:
            self._failure = failure
            self._known.set()


async def _tell(connection: Connection, path: str, scope: anyio.CancelScope, begun: _Begun) -> None:
    try:
        with scope:
            async with connection.session.sandbox.converse("watch", {"path": path}) as talk:
                begun.set()
                while True:
                    _, content = await talk.receive()
                    await connection.push(SERVER, encode(FileChanges(path, _events(content))))
    except ToolFailure as exc:
        if begun.is_set:
            # Clients that have to connect again ask for what they missed.
            connection.close()
        begun.set(exc)
    finally:
        if connection.watches.get(path) is scope:
            del connection.watches[path]
        begun.set(ToolFailure("the session does not tell of changes", number=-1))


def _events(content: bytes) -> list[FileChangeEvent]:
    """Read what the guest says, whose word is not trusted."""
    try:
        return [_event(event) for event in decode(list[FileChangeEvent], json.loads(content))]
    except (WireError, ValueError, RecursionError) as exc:
        raise ToolFailure("the session sent a reply that is not valid") from exc


def _event(event: FileChangeEvent) -> FileChangeEvent:
    if event.event_type not in _EVENT_TYPES or event.path_type not in _PATH_TYPES:
        raise ValueError(event)
    name = event.path.encode(errors="surrogateescape").decode(errors="backslashreplace")
    return attrs.evolve(event, path=name)
