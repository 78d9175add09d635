"""A moment at which a block is to be over."""

from __future__ import annotations

import json
import math
import types
from collections.abc import Callable

import anyio
import httpx
import pytest

from agentbay import AgentBay, _deadline
from agentbay._deadline import Deadline, time_left, within
from agentbay.errors import InvalidInputError, RequestTimeoutError, SessionError

from .service import ENDPOINT, KEY, Sent, Service, client, ok, session_of, tool_says


def test_without_a_deadline_a_limit_stays_what_it_is() -> None:
    assert time_left() == math.inf
    assert within(12.5, "x") == 12.5


def test_a_deadline_shortens_every_limit_in_its_block() -> None:
    with Deadline(300) as deadline:
        assert 200 < within(600, "x") <= 300
        assert within(5, "x") == 5
        assert 200 < deadline.remaining <= 300
    assert time_left() == math.inf


async def test_it_is_an_async_context_manager_too() -> None:
    async with Deadline(300):
        assert 200 < time_left() <= 300
    assert time_left() == math.inf


def test_of_two_deadlines_the_earlier_counts() -> None:
    with Deadline(10), Deadline(60) as inner:
        assert time_left() <= 10
        assert inner.remaining <= 10
    with Deadline(600):
        with Deadline(10):
            assert time_left() <= 10
        assert time_left() > 500


def test_after_its_end_nothing_is_begun() -> None:
    with Deadline(0) as deadline, pytest.raises(RequestTimeoutError, match="GetSession") as caught:
        within(60, "GetSession")
    assert not caught.value.sent
    assert deadline.remaining == 0


async def test_tasks_that_are_started_in_the_block_are_under_it() -> None:
    left: list[float] = []

    async def task() -> None:
        left.append(time_left())

    async with Deadline(30), anyio.create_task_group() as group:
        group.start_soon(task)
    assert left[0] <= 30


def test_an_error_of_the_block_comes_through_and_ends_it() -> None:
    with pytest.raises(LookupError), Deadline(30):
        raise LookupError
    assert time_left() == math.inf


@pytest.mark.parametrize("seconds", [-1, math.inf, math.nan, "3", None, True])
def test_a_deadline_that_makes_no_sense_is_refused(seconds: float) -> None:
    with pytest.raises(InvalidInputError):
        Deadline(seconds)


# -- what it does to calls ---------------------------------------------------------------


class Slow(httpx.AsyncBaseTransport):
    """Answers after some seconds."""

    def __init__(self, seconds: float, answer: Callable[[Sent], httpx.Response]) -> None:
        self.service, self.seconds = Service(answer), seconds

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self.service.handle_async_request(request)
        await anyio.sleep(self.seconds)
        return response


async def test_a_call_ends_at_the_deadline() -> None:
    slow = Slow(60, lambda _: ok())
    session = session_of(slow)
    with anyio.fail_after(30), session.agent_bay.deadline(0.1):
        result = await session.call_mcp_tool("x", {})
    assert isinstance(result.error, RequestTimeoutError)
    assert result.error.sent


async def test_later_calls_in_the_block_send_nothing() -> None:
    service = Service(lambda _: ok())
    session = session_of(service)
    with session.agent_bay.deadline(0):
        result = await session.call_mcp_tool("x", {})
        with pytest.raises(SessionError, match="deadline"):
            await session.get_labels()
    assert isinstance(result.error, RequestTimeoutError)
    assert service.sent == []


async def test_polling_ends_at_the_deadline() -> None:
    service = Service(lambda _: ok({"Status": "RUNNING"}))
    session = session_of(service)
    with anyio.fail_after(30), session.agent_bay.deadline(0.1):
        result = await session.beta_pause(timeout=600, poll_interval=60)
    assert isinstance(result.error, RequestTimeoutError | SessionError)


async def test_a_command_is_told_what_is_left() -> None:
    service = Service(lambda _: tool_says("done"))
    session = session_of(service)
    with session.agent_bay.deadline(40):
        await session.command.run("make", timeout=50)
        await session.command.run("make", timeout=5)
    told = [json.loads(sent.parameters["Args"])["timeout_ms"] for sent in service.sent]
    assert 10_000 < told[0] < 40_000
    assert told[1] == 5_000


async def test_a_session_is_deleted_although_the_deadline_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = Service(lambda sent: ok({"SessionId": "s-9"}))
    bay = client(service)
    with bay.deadline(60):
        async with bay.session() as session, bay.deadline(0):
            result = await session.command.run("true")
    assert isinstance(result.error, RequestTimeoutError)
    now = 0.0
    monkeypatch.setattr(_deadline, "time", types.SimpleNamespace(monotonic=lambda: now))
    with bay.deadline(60) as deadline:
        async with bay.session():
            now = 60.0
            assert deadline.remaining == 0
    assert service.actions == ["CreateMcpSession", "ReleaseMcpSession"] * 2


def test_blocking_calls_are_under_it_too() -> None:
    bay = AgentBay(KEY, endpoint=ENDPOINT, transport=Slow(60, lambda _: ok()))
    with bay.deadline(0.1):
        result = bay.get("s-1")
    assert isinstance(result.error, RequestTimeoutError)
