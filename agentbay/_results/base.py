"""What methods return: whether it worked, the payload, and the error if it did not.

Method bodies raise; `reported` turns an `AgentBayError` into a result for those methods
that are documented to return one. Cancellation, Ctrl-C and bugs are never turned into
results.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec, Self, TypeVar

import attrs

from .._deadline import in_time
from .._value import Value
from ..errors import AgentBayError, APIError

P = ParamSpec("P")
R = TypeVar("R", bound="ApiResponse")
T = TypeVar("T")


@attrs.frozen(eq=False, repr=False)
class ApiResponse(Value):
    """What every result has.

    A method that returns a result tells a failure in it, and raises for mistakes of the program
    only, such as a `TypeError`; `unwrap` raises what the result tells.

    Attributes:
        request_id: Identifier of the API request; empty when nothing was sent.
        success: Whether the operation did what it should.
        error_message: Why not; empty on success.
        code: Error code of the service; empty on success or when there was none.
        error: The exception behind a failure; None on success.
        message: What the service says, which is the same as `error_message`.
        http_status_code: HTTP status of a refusal; 0 when there was none.
    """

    request_id: str = ""
    success: bool = False
    error_message: str = attrs.field(default="", kw_only=True)
    code: str = attrs.field(default="", kw_only=True)
    error: AgentBayError | None = attrs.field(default=None, kw_only=True, eq=False, repr=False)
    message: str = attrs.field(default="", kw_only=True, eq=False, repr=False)
    http_status_code: int = attrs.field(default=0, kw_only=True, eq=False, repr=False)

    @classmethod
    def failed(cls, error: AgentBayError) -> Self:
        """The result that stands for an error."""
        return cls(
            request_id=error.request_id,
            success=False,
            error_message=str(error),
            code=error.code,
            error=error,
            message=str(error),
            http_status_code=error.status_code if isinstance(error, APIError) else 0,
        )

    def get_request_id(self) -> str:
        """The identifier of the API request."""
        return self.request_id

    def unwrap(self) -> object:
        """Return the payload of a success; raise the error of a failure.

        Raises:
            AgentBayError: What went wrong.
        """
        self._check()
        return None

    def _check(self) -> None:
        if not self.success:
            raise self.error or AgentBayError(self.error_message, request_id=self.request_id)


def reported(
    kind: type[R],
) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Coroutine[Any, Any, R]]]:
    """Let a method return a failed ``kind`` where its body raises an `AgentBayError`."""

    def decorate(method: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[Any, Any, R]]:
        @functools.wraps(method)
        async def run(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return await in_time(method(*args, **kwargs))
            except AgentBayError as exc:
                return kind.failed(exc)

        return run

    return decorate


def raising(
    kind: type[AgentBayError],
) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Coroutine[Any, Any, T]]]:
    """Let a method raise ``kind``, with the same facts, for every `AgentBayError`."""

    def decorate(method: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        @functools.wraps(method)
        async def run(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return await in_time(method(*args, **kwargs))
            except kind:
                raise
            except AgentBayError as exc:
                facts = {"request_id": exc.request_id, "action": exc.action, "code": exc.code}
                raise kind(str(exc), **facts) from exc

        return run

    return decorate
