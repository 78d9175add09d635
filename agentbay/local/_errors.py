"""What the engine says no with; `app.py` turns these into replies."""

from __future__ import annotations

from ..errors import AgentBayError


class EngineError(AgentBayError):
    """A request that the engine refuses: an error code, and an HTTP status.

    `code` is stable; the message names the reason and, where there is one, the remedy.
    """

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message, code=code)
        self.status = status


class ToolFailure(AgentBayError):  # noqa: N818 - a tool of the session failed, not the engine
    """A tool call that failed inside the session: the `isError` side of a tool's reply.

    `number` is the error number of the text that clients know: -32602 for bad input and
    missing files, -1 for a time limit.
    """

    def __init__(self, message: str, *, number: int = -32602) -> None:
        super().__init__(message)
        self.number = number
