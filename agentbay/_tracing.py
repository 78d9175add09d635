"""What the log and the spans of OpenTelemetry tell of each call.

They show names, identifiers and times, but no argument, no body and no credential.
"""

from __future__ import annotations

import logging
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ._version import __version__
from .errors import ConfigError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from opentelemetry.trace import Span, Tracer

_log = logging.getLogger(__name__)


def make_tracer() -> Tracer:
    """What makes spans, of the provider that the program has set up or will set up.

    Raises:
        ConfigError: OpenTelemetry is not installed.
    """
    try:
        from opentelemetry import trace
    except ModuleNotFoundError as exc:
        raise ConfigError(f"tracing needs {exc.name!r}: pip install 'agentbay-sdk[otel]'") from exc
    return trace.get_tracer("agentbay", __version__)


class Trace:
    """One call, as a block that lasts from its begin to its end, with all of its attempts.

    At its end it is one line of the log, under DEBUG, and one span where a tracer is given.

    Args:
        tracer: Makes the span; None for none.
        action: What is called; the name of the span when there is no tool.
        tool: The tool that is called; empty when it is none.
        session_id: The session that it is about; empty when it is about none.
        is_current: Whether spans that begin inside of the block belong to this one.

    Attributes:
        request_id: What the service calls the request; that of an error wins.
        attempts: How often it was sent so far.
        error: The class of the error that it ended with; empty when there was none.
    """

    __slots__ = (
        *("_began", "_current", "_is_current", "_session_id", "_span", "_tracer"),
        *("action", "attempts", "error", "request_id", "tool"),
    )

    def __init__(
        self,
        tracer: Tracer | None,
        action: str,
        tool: str = "",
        session_id: str = "",
        *,
        is_current: bool = True,
    ) -> None:
        self.action: str = action
        self.tool: str = tool
        self._session_id = session_id
        self.request_id: str = ""
        self.attempts: int = 0
        self.error: str = ""
        self._tracer, self._is_current = tracer, is_current
        self._current: AbstractContextManager[Any] | None = None
        self._span: Span | None = None

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        if self._tracer is not None:
            self._begin_span(self._tracer)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if exc_type is not None:
            self.error = exc_type.__name__
            self.request_id = getattr(exc, "request_id", "") or self.request_id
        if _log.isEnabledFor(logging.DEBUG):
            self._tell()
        if self._span is not None:
            self._end_span(self._span)

    def _tell(self) -> None:
        name = f"{self.action} {self.tool}" if self.tool else self.action
        _log.debug(
            "%s %s in %.0f ms, attempt %d%s",
            name,
            self.request_id or "-",
            (time.monotonic() - self._began) * 1000,
            self.attempts,
            f": {self.error}" if self.error else "",
        )

    def _begin_span(self, tracer: Tracer) -> None:
        from opentelemetry import trace

        known = {"action": self.action, "tool": self.tool, "session_id": self._session_id}
        self._span = tracer.start_span(
            self.tool or self.action,
            kind=trace.SpanKind.CLIENT,
            attributes={f"agentbay.{name}": text for name, text in known.items() if text},
        )
        if self._is_current:
            # The span is told of its error at the end: a traceback may show arguments.
            self._current = trace.use_span(
                self._span, record_exception=False, set_status_on_exception=False
            )
            self._current.__enter__()

    def _end_span(self, span: Span) -> None:
        from opentelemetry.trace import StatusCode

        if self._current is not None:
            self._current.__exit__(None, None, None)
        if self.request_id:
            span.set_attribute("agentbay.request_id", self.request_id)
        span.set_attribute("agentbay.attempts", self.attempts)
        if self.error:
            span.set_attribute("error.type", self.error)
            span.set_status(StatusCode.ERROR)
        span.end()
