"""The results of operations on contexts."""

from __future__ import annotations

import attrs

from ..protocol.contexts import Context, ContextStatusData
from .base import ApiResponse


@attrs.frozen(eq=False, repr=False)
class ContextResult(ApiResponse):
    """The result of finding or creating a context."""

    context_id: str = ""
    context: Context | None = None

    def unwrap(self) -> Context:
        """Return the context, or raise what went wrong."""
        self._check()
        return self.context  # type: ignore[return-value]  # a success has its context


@attrs.frozen(eq=False, repr=False)
class ContextListResult(ApiResponse):
    """One page of a list of contexts."""

    contexts: list[Context] = attrs.field(factory=list[Context])
    next_token: str = ""
    max_results: int = 0
    total_count: int = 0

    def unwrap(self) -> list[Context]:
        """Return the contexts, or raise what went wrong."""
        self._check()
        return self.contexts


@attrs.frozen(eq=False, repr=False)
class ContextSyncResult(ApiResponse):
    """The result of bringing the contexts of a session up to date."""


@attrs.frozen(eq=False, repr=False)
class ContextInfoResult(ApiResponse):
    """The transfers between a session and its contexts."""

    context_status_data: list[ContextStatusData] = attrs.field(factory=list[ContextStatusData])

    def unwrap(self) -> list[ContextStatusData]:
        """Return the transfers, or raise what went wrong."""
        self._check()
        return self.context_status_data
