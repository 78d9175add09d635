"""What is sent again, how often, and what the caller is told."""

from __future__ import annotations

import importlib
import pkgutil
import ssl
from collections.abc import Callable

import anyio
import pytest

import agentbay.protocol
from agentbay._retry import RetryPolicy, repeated
from agentbay.errors import (
    AgentBayError,
    APIError,
    InvalidInputError,
    ProtocolError,
    RateLimitError,
    RequestTimeoutError,
    TransportError,
)
from agentbay.protocol import _repeatable
from agentbay.protocol._calls import ACTIONS, TOOLS
from agentbay.protocol._repeatable import is_repeatable
from agentbay.protocol.sessions import CallTool, GetSession, ReleaseSession

AT_ONCE = RetryPolicy(attempts=3, first_delay=0, longest_delay=1)

Failure = Callable[[], AgentBayError]


class Endpoint:
    """Fails as often as it is told, then answers."""

    def __init__(self, *failures: AgentBayError) -> None:
        self.failures = list(failures)
        self.calls = 0

    async def once(self, _: float) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return "done"


async def tried(endpoint: Endpoint, *, harmless: bool, timeout: float = 60) -> str:
    return await repeated(
        endpoint.once, AT_ONCE, action="GetSession", timeout=timeout, harmless=harmless
    )


PASSING: list[Failure] = [
    lambda: TransportError("reset", sent=True),
    *(lambda status=status: APIError("no", status) for status in (429, 500, 502, 503, 504)),
    lambda: RateLimitError("slow down", 429, retry_after=0),
    lambda: APIError("no", 200, code="Throttling.User"),
    lambda: APIError("no", 200, code="ServiceUnavailable"),
]


@pytest.mark.parametrize("failure", PASSING)
async def test_what_passes_is_tried_again_when_that_does_no_harm(failure: Failure) -> None:
    endpoint = Endpoint(failure(), failure())
    assert await tried(endpoint, harmless=True) == "done"
    assert endpoint.calls == 3


@pytest.mark.parametrize("failure", PASSING)
async def test_what_may_have_been_done_is_not_done_twice(failure: Failure) -> None:
    endpoint = Endpoint(failure())
    with pytest.raises(AgentBayError):
        await tried(endpoint, harmless=False)
    assert endpoint.calls == 1


async def test_what_was_never_sent_is_always_tried_again() -> None:
    endpoint = Endpoint(TransportError("refused", sent=False))
    assert await tried(endpoint, harmless=False) == "done"


LASTING: list[Failure] = [
    lambda: APIError("no", 400),
    lambda: APIError("no", 404, code="InvalidMcpSession.NotFound"),
    lambda: APIError("no", 200, code="InvalidParameter"),
    lambda: ProtocolError("no JSON"),
    lambda: InvalidInputError("no"),
    lambda: RequestTimeoutError("late"),
]


@pytest.mark.parametrize("failure", LASTING)
async def test_what_would_fail_again_is_not_tried_again(failure: Failure) -> None:
    endpoint = Endpoint(failure())
    with pytest.raises(AgentBayError):
        await tried(endpoint, harmless=True)
    assert endpoint.calls == 1


async def test_a_wrong_certificate_is_not_tried_again() -> None:
    error = TransportError("certificate", sent=False)
    error.__cause__ = OSError("connect")
    error.__cause__.__cause__ = ssl.SSLCertVerificationError("wrong host")
    endpoint = Endpoint(error)
    with pytest.raises(TransportError):
        await tried(endpoint, harmless=True)
    assert endpoint.calls == 1


async def test_the_error_tells_of_every_attempt() -> None:
    endpoint = Endpoint(APIError("first", 503), TransportError("second"), APIError("third", 500))
    with pytest.raises(APIError, match="third") as caught:
        await tried(endpoint, harmless=True)
    assert [attempt.error for attempt in caught.value.attempts] == ["first", "second", "third"]
    assert all(attempt.seconds >= 0 for attempt in caught.value.attempts)


async def test_a_pause_that_would_outlive_the_time_limit_is_not_begun() -> None:
    endpoint = Endpoint(RateLimitError("later", 429, retry_after=100))
    with anyio.fail_after(30), pytest.raises(RateLimitError):
        await tried(endpoint, harmless=True, timeout=90)
    assert endpoint.calls == 1


async def test_a_pause_that_is_asked_for_is_kept() -> None:
    endpoint = Endpoint(RateLimitError("later", 429, retry_after=0.05))
    begin = anyio.current_time()
    await tried(endpoint, harmless=True)
    assert anyio.current_time() - begin >= 0.05


async def test_each_attempt_gets_what_is_left_of_the_time() -> None:
    limits: list[float] = []

    async def once(limit: float) -> None:
        limits.append(limit)
        raise RateLimitError("later", 429, retry_after=0.05)

    with pytest.raises(RateLimitError):
        await repeated(once, AT_ONCE, action="x", timeout=60, harmless=True)
    assert limits[0] <= 60
    assert limits[2] <= limits[0] - 0.1


def test_pauses_are_drawn_and_bounded() -> None:
    policy = RetryPolicy(attempts=20, first_delay=0.5, longest_delay=4)
    error = APIError("no", 503)
    for failed, longest in ((1, 0.5), (2, 1), (3, 2), (4, 4), (12, 4)):
        drawn = [policy.pause(failed, error) or 0 for _ in range(200)]
        assert max(drawn) <= longest
        assert min(drawn) < longest / 2 < max(drawn)
    assert policy.pause(20, error) is None
    assert policy.pause(1, APIError("no", 503, retry_after=5)) is None, "longer than it waits"


@pytest.mark.parametrize(
    "values",
    [
        {"attempts": 0},
        {"attempts": True},
        {"attempts": 1.5},
        {"first_delay": -1},
        {"first_delay": 5, "longest_delay": 1},
        {"longest_delay": float("inf")},
        {"first_delay": float("nan")},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError):
        RetryPolicy(**values)  # type: ignore[arg-type]


def test_what_changes_something_is_not_repeatable() -> None:
    assert is_repeatable(GetSession("s-1"))
    assert is_repeatable(ReleaseSession("s-1"))
    assert is_repeatable(CallTool("s-1", "read_file", {}))
    assert not is_repeatable(CallTool("s-1", "shell", {}))
    assert not is_repeatable(CallTool("s-1", "a_tool_of_tomorrow", {}))


def test_every_name_in_the_table_is_one_of_a_request() -> None:
    for module in pkgutil.iter_modules(agentbay.protocol.__path__):
        importlib.import_module(f"agentbay.protocol.{module.name}")
    assert set(ACTIONS) - _repeatable._ACTIONS == {
        "BindContexts",
        "CallMcpTool",
        "CreateMcpSession",
        "CreateNetwork",
        "InitBrowser",
    }
    assert not _repeatable._ACTIONS - set(ACTIONS)
    assert not _repeatable._TOOLS - set(TOOLS)
