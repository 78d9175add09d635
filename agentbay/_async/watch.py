"""Watch a directory of a session."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ..protocol.file_system import FileChangeEvent
from ._watch import Changes


class AsyncFileWatch(Changes):
    """The changes below a directory, some at a time, from `AsyncFileSystem.watch`.

    It belongs to the event loop that opened it. A wait that is cancelled may lose the changes
    that it was about to tell.
    """

    def __aiter__(self) -> AsyncIterator[list[FileChangeEvent]]:
        """The changes, as they come; ends with an error when the session is gone."""
        return self

    async def __anext__(self) -> list[FileChangeEvent]:
        return await self._next()
