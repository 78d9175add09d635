"""Try again what failed for a while, when that does no harm."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import attrs

from ._tracing import Trace
from ._value import Value
from .errors import (
    AgentBayError,
    APIError,
    Attempt,
    InvalidInputError,
    RequestTimeoutError,
    TransportError,
)

T = TypeVar("T")

_log = logging.getLogger(__name__)

# What a service says that is busy or broken for a moment.
_PASSING = frozenset({429, 500, 502, 503, 504})
_THROTTLED = ("Throttling", "ServiceUnavailable")


@attrs.frozen(eq=False, repr=False)
class RetryPolicy(Value):
    """How often and when a failed request is sent again.

    Only a request that may be carried out twice is repeated, or one of which no byte was sent:
    after a connection failed, or the service was busy (429, 500, 502, 503, 504, throttling).
    The time limit of the call holds for all attempts together.

    Attributes:
        attempts: How often a request is sent at most; 1 switches repeating off.
        first_delay: Seconds before the second attempt, at most: the pause is drawn from zero to
            this, so that many clients do not come back at the same moment. It doubles with
            each attempt. A pause that the service asks for is kept in addition.
        longest_delay: Seconds that such a pause lasts at most. When the service asks for a longer
            one, the request is not sent again.

    Raises:
        InvalidInputError: A value makes no sense.

    Example:
        ```python
        bay = AgentBay(retry=RetryPolicy(attempts=5))
        ```
    """

    attempts: int = 3
    first_delay: float = 0.25
    longest_delay: float = 20.0

    def __attrs_post_init__(self) -> None:
        if isinstance(self.attempts, bool) or not isinstance(self.attempts, int):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(f"attempts must be a whole number, not {self.attempts!r}")
        if self.attempts < 1:
            raise InvalidInputError(f"attempts must be 1 or more, not {self.attempts}")
        for value in (self.first_delay, self.longest_delay):
            if not isinstance(value, int | float):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise InvalidInputError(f"a delay must be a number of seconds, not {value!r:.80}")
        if not 0 <= self.first_delay <= self.longest_delay < float("inf"):
            raise InvalidInputError(
                "first_delay and longest_delay must be seconds, and the first the shorter one, "
                f"not {self.first_delay!r} and {self.longest_delay!r}"
            )

    def pause(self, failed: int, error: AgentBayError) -> float | None:
        """Seconds to wait after some failed attempts; None when there is no use in another.

        Args:
            failed: How many attempts failed so far, 1 or more.
            error: Why the last one failed.
        """
        if failed >= self.attempts:
            return None
        import random  # takes its time to load, and most calls need no second attempt

        drawn = random.uniform(0, min(self.first_delay * 2 ** (failed - 1), self.longest_delay))
        asked = getattr(error, "retry_after", None) or 0.0
        return drawn + asked if asked <= self.longest_delay else None


async def repeated(
    once: Callable[[float], Awaitable[T]],
    policy: RetryPolicy,
    *,
    action: str,
    timeout: float,
    harmless: bool,
    trace: Trace | None = None,
) -> T:
    """Make an attempt, and others while the policy and the time allow it.

    Args:
        once: Makes one attempt within the seconds it is given.
        policy: How often and when.
        action: What the log calls it.
        timeout: Seconds for all attempts together.
        harmless: Whether it may be carried out twice.
        trace: Counts the attempts.

    Raises:
        AgentBayError: The error of the last attempt, with all of them in `attempts`.
    """
    deadline = time.monotonic() + timeout
    attempts: list[Attempt] = []
    while True:
        started = time.monotonic()
        if trace is not None:
            trace.attempts += 1
        try:
            return await once(deadline - started)
        except AgentBayError as exc:
            attempts.append(Attempt(str(exc), round(time.monotonic() - started, 3)))
            exc.attempts = tuple(attempts)
            pause = policy.pause(len(attempts), exc) if _passes(exc, harmless) else None
            if pause is None or pause >= deadline - time.monotonic():
                raise
            _log.debug("%s: attempt %d failed: %s", action, len(attempts), exc)
        await anyio.sleep(pause)


def _passes(error: AgentBayError, harmless: bool) -> bool:
    """Whether another attempt may do better, and does no harm."""
    if isinstance(error, TransportError):
        if not error.sent:
            return not isinstance(_root(error), ssl.SSLError | UnicodeError)
        return harmless and not isinstance(error, RequestTimeoutError)
    if not (harmless and isinstance(error, APIError)):
        return False
    return error.status_code in _PASSING or error.code.startswith(_THROTTLED)


def _root(error: BaseException) -> BaseException:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error
