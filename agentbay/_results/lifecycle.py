"""The results of asking what state a session is in, and of changing it."""

from __future__ import annotations

from typing import Any, Self

import attrs

from ..errors import AgentBayError
from ..protocol.metrics import SessionMetrics
from .base import ApiResponse


@attrs.frozen(eq=False, repr=False)
class SessionStatusResult(ApiResponse):
    """What state a session is in.

    Attributes:
        status: The state, such as ``RUNNING`` or ``PAUSED``; that which was seen last when
            the operation failed, and empty when none was.
    """

    status: str = ""

    @classmethod
    def failed(cls, error: AgentBayError) -> Self:
        """The result that stands for an error; keeps the state that was seen last."""
        return attrs.evolve(super().failed(error), status=error.extra.get("status", ""))

    def unwrap(self) -> str:
        """Return the state, or raise what went wrong."""
        self._check()
        return self.status


@attrs.frozen(eq=False, repr=False)
class SessionPauseResult(SessionStatusResult):
    """The result of pausing a session."""


@attrs.frozen(eq=False, repr=False)
class SessionResumeResult(SessionStatusResult):
    """The result of waking a session."""


@attrs.frozen(eq=False, repr=False)
class SessionMetricsResult(ApiResponse):
    """How much of its machine a session uses.

    Attributes:
        metrics: The figures; None on failure.
        raw: Everything that the session told, under its own names.
    """

    metrics: SessionMetrics | None = None
    raw: dict[str, Any] = attrs.field(factory=dict[str, Any])

    def unwrap(self) -> SessionMetrics:
        """Return the figures, or raise what went wrong."""
        self._check()
        return self.metrics  # type: ignore[return-value]  # a success has its figures
