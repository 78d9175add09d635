"""What an operation of the guest refuses with."""

from __future__ import annotations


class Failure(Exception):  # noqa: N818 - the engine's side of it is called ToolFailure
    """An operation that cannot be done: the reason, and the error number clients know."""

    def __init__(self, message: str, number: int = -32602) -> None:
        super().__init__(message)
        self.message = message
        self.number = number
