"""What every group of operations on a session has in common."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from .._live import Live

if TYPE_CHECKING:
    from .._transport import Reply
    from ..protocol._calls import Tool
    from .session import AsyncSession

T = TypeVar("T")


class Resource(Live):
    """A group of operations on one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def _call(
        self, tool: Tool[T], *, timeout: float | None = None
    ) -> Coroutine[Any, Any, Reply[T]]:
        return self._session._call(tool, timeout=timeout)
