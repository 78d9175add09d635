"""What every group of operations on a session has in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from .._transport import Reply
    from ..protocol._calls import Tool
    from .session import AsyncSession

T = TypeVar("T")


class Resource:
    """A group of operations on one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def _call(self, tool: Tool[T], *, timeout: float | None = None) -> Reply[T]:
        return await self._session._call(tool, timeout=timeout)
