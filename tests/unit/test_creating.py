"""One session for each `create`, and none for one that failed or was cancelled."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import types
from collections.abc import Callable

import anyio
import anyio.lowlevel
import httpx
import pytest

from agentbay import AsyncAgentBay, CreateSessionParams, RetryPolicy, _deadline
from agentbay.errors import (
    APIError,
    ConfigError,
    InvalidInputError,
    RequestTimeoutError,
    TransportError,
)

from .service import KEY, Sent, ok

AT_ONCE = RetryPolicy(attempts=3, first_delay=0)

Fault = Callable[[httpx.Request], httpx.Response]


class Account(httpx.AsyncBaseTransport):
    """Sessions with their labels, behind a network that loses replies.

    Each fault in `lost` takes the place of the reply to a create that was carried out, each one
    in `refused` that of one that was not. Creates are answered after a delay, and when the gate
    is open. The first looks at the list, as many as `unseen` says, do not show any sessions.
    """

    def __init__(self) -> None:
        self.sessions: dict[str, dict[str, str]] = {}
        self.lost: list[Fault] = []
        self.refused: list[Fault] = []
        self.actions: list[str] = []
        self.delay = 0.0
        self.gate: anyio.Event | None = None
        self.unseen = 0
        self.made = 0
        self.closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        sent = Sent.read(str(request.url), (await request.aread()).decode())
        self.actions.append(sent.action)
        response = await getattr(self, sent.action)(request, sent.parameters)
        response.request = request
        assert isinstance(response, httpx.Response)
        return response

    async def CreateMcpSession(  # noqa: N802
        self, request: httpx.Request, asked: dict[str, str]
    ) -> httpx.Response:
        if self.refused:
            return self.refused.pop(0)(request)
        self.made += 1
        self.sessions[name := f"s-{self.made}"] = json.loads(asked.get("Labels", "{}"))
        await anyio.sleep(self.delay)
        if self.gate is not None:
            await self.gate.wait()
        return self.lost.pop(0)(request) if self.lost else ok({"SessionId": name})

    async def ListSession(self, _: httpx.Request, asked: dict[str, str]) -> httpx.Response:  # noqa: N802
        wanted = json.loads(asked["Labels"]).items()
        if self.unseen:
            self.unseen -= 1
            return ok([], NextToken="")
        found = [name for name, labels in self.sessions.items() if wanted <= labels.items()]
        return ok([{"SessionId": name} for name in found], NextToken="")

    async def GetSession(self, _: httpx.Request, asked: dict[str, str]) -> httpx.Response:  # noqa: N802
        return ok({"SessionId": asked["SessionId"]})

    async def GetLabel(self, _: httpx.Request, asked: dict[str, str]) -> httpx.Response:  # noqa: N802
        return ok({"Labels": json.dumps(self.sessions[asked["SessionId"]])})

    async def SetLabel(self, _: httpx.Request, asked: dict[str, str]) -> httpx.Response:  # noqa: N802
        self.sessions[asked["SessionId"]] = json.loads(asked["Labels"])
        return ok()

    async def aclose(self) -> None:
        self.closed = True

    async def ReleaseMcpSession(self, _: httpx.Request, asked: dict[str, str]) -> httpx.Response:  # noqa: N802
        del self.sessions[asked["SessionId"]]
        return ok()


def reset(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("connection reset", request=request)


def cut_off(request: httpx.Request) -> httpx.Response:
    raise httpx.RemoteProtocolError("half a reply", request=request)


def no_connection(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


def gateway_timeout(_: httpx.Request) -> httpx.Response:
    return httpx.Response(504, text="<html>gateway</html>")


def not_json(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, text="<html>welcome</html>")


def quota(_: httpx.Request) -> httpx.Response:
    return httpx.Response(403, json={"Code": "QuotaExceeded", "Message": "no more"})


def account(**options: float | str) -> tuple[Account, AsyncAgentBay]:
    service = Account()
    facts = {"retry": AT_ONCE, **options}
    return service, AsyncAgentBay(KEY, endpoint="service.test", transport=service, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize("fault", [reset, cut_off, gateway_timeout, not_json])
async def test_a_lost_reply_costs_no_second_session(fault: Fault) -> None:
    service, bay = account()
    service.lost = [fault]
    session = (await bay.create(CreateSessionParams(labels={"a": "b"}))).unwrap()
    assert (session.session_id, service.made) == ("s-1", 1)
    assert (await session.get_labels()).data == {"a": "b"}


async def test_a_create_that_never_arrived_is_sent_again() -> None:
    service, bay = account()
    service.refused = [reset, no_connection]
    assert (await bay.create()).unwrap().session_id == "s-1"
    assert list(service.sessions) == ["s-1"]


async def test_a_refusal_is_told_at_once() -> None:
    service, bay = account()
    service.refused = [quota]
    result = await bay.create()
    assert isinstance(result.error, APIError)
    assert (result.code, service.actions) == ("QuotaExceeded", ["CreateMcpSession"])


async def test_the_last_lost_reply_is_looked_for_too() -> None:
    service, bay = account(retry=RetryPolicy(attempts=1))  # type: ignore[arg-type]
    service.lost = [reset]
    assert (await bay.create()).unwrap().session_id == "s-1"


async def test_when_it_failed_for_good_the_error_tells_every_attempt() -> None:
    service, bay = account()
    service.refused = [reset, reset, reset]
    result = await bay.create()
    assert isinstance(result.error, TransportError)
    assert len(result.error.attempts) == 3
    assert service.sessions == {}


async def test_a_create_that_takes_too_long_leaves_no_session() -> None:
    service, bay = account(timeout=0.2)
    service.delay = 30
    result = await bay.create()
    assert isinstance(result.error, RequestTimeoutError)
    await bay.aclose()
    assert (service.made, service.sessions) == (1, {})


@pytest.mark.parametrize("delay", [0.0, 0.2])
async def test_a_cancelled_create_leaves_no_session(delay: float) -> None:
    service, bay = account()
    service.delay = delay
    given: list[str] = []

    async def create() -> None:
        given.append((await bay.create()).unwrap().session_id)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(create)
        while not service.made:
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    await bay.aclose()
    # The reply to one that is not delayed may come before the cancellation.
    assert service.made == 1
    assert list(service.sessions) == given
    assert not (delay and given)


async def test_a_cancelled_create_does_not_wait_long_for_its_reply(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agentbay._async._clean_ups._GRACE", 0.05)
    service, bay = account()
    service.delay = 60
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bay.create)
            await until(lambda: service.made)
            tasks.cancel_scope.cancel()
        await bay.aclose()
    assert (service.made, service.sessions) == (1, {})


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(30):
        while not condition():
            await anyio.lowlevel.checkpoint()


async def test_a_cancelled_caller_goes_on_while_the_service_is_busy() -> None:
    service, bay = account()
    service.gate = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bay.create)
        await until(lambda: service.made)
        tasks.cancel_scope.cancel()
    assert list(service.sessions) == ["s-1"]
    service.gate.set()
    await until(lambda: not service.sessions)
    # The request was not broken off, so there was nothing to look for.
    assert service.actions == ["CreateMcpSession", "ReleaseMcpSession"]


async def test_a_deadline_is_told_while_the_service_is_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What is left of the deadline is the same when the create begins.
    monkeypatch.setattr(_deadline, "time", types.SimpleNamespace(monotonic=lambda: 0.0))
    service, bay = account()
    service.gate = anyio.Event()
    with anyio.fail_after(30), bay.deadline(0.5):
        result = await bay.create()
    assert isinstance(result.error, RequestTimeoutError)
    assert result.error.sent
    assert list(service.sessions) == ["s-1"]
    service.gate.set()
    await bay.aclose()
    assert service.sessions == {}


async def test_after_a_deadline_nothing_is_sent() -> None:
    service, bay = account()
    with bay.deadline(0):
        result = await bay.create()
    await bay.aclose()
    assert isinstance(result.error, RequestTimeoutError)
    assert not result.error.sent
    assert service.actions == []


async def test_a_session_that_appears_late_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentbay._async._creating._LOOKS", (0.0, 0.0, 0.0))
    service, bay = account(timeout=0.1)
    service.delay, service.unseen = 30, 2
    assert isinstance((await bay.create()).error, RequestTimeoutError)
    await bay.aclose()
    assert (service.made, service.sessions) == (1, {})


async def test_the_place_of_a_cancelled_create_is_free_when_its_session_is_gone() -> None:
    service, bay = account(max_sessions=1)
    service.gate = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bay.create)
        await until(lambda: service.made)
        tasks.cancel_scope.cancel()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bay.create)
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        assert service.made == 1
        service.gate.set()
    assert list(service.sessions) == ["s-2"]


async def test_a_cancelled_close_still_cleans_up_and_closes() -> None:
    service, bay = account()
    service.gate = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bay.create)
        await until(lambda: service.made)
        tasks.cancel_scope.cancel()
    with anyio.fail_after(30), anyio.move_on_after(0.02) as scope:
        await bay.aclose()
    assert scope.cancelled_caught
    assert not service.closed
    service.gate.set()
    await until(lambda: service.closed)
    assert service.sessions == {}


async def test_closing_does_not_wait_for_a_create_that_somebody_waits_for() -> None:
    service, bay = account()
    service.gate = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bay.create)
        await until(lambda: service.made)
        with anyio.fail_after(30):
            await bay.aclose()
        assert list(service.sessions) == ["s-1"]
        tasks.cancel_scope.cancel()
    service.gate.set()
    await bay.aclose()
    assert service.sessions == {}


@pytest.mark.parametrize(
    ("backend", "cancel"), [("asyncio", "scope"), ("asyncio", "task"), ("trio", "scope")]
)
def test_an_event_loop_that_ends_leaves_no_session(backend: str, cancel: str) -> None:
    service, bay = account()
    service.delay = 0.2

    async def main() -> None:
        if cancel == "task":
            task = asyncio.ensure_future(bay.create())
            await until(lambda: service.made)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(bay.create)
                await until(lambda: service.made)
                tasks.cancel_scope.cancel()
        assert list(service.sessions) == ["s-1"]

    anyio.run(main, backend=backend)
    assert (service.made, service.sessions) == (1, {})


async def test_a_session_that_cannot_be_cleaned_up_is_told_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    service, bay = account(timeout=0.1)
    service.delay = 30

    async def broken(request: httpx.Request, _: dict[str, str]) -> httpx.Response:
        return reset(request)

    setattr(service, "ListSession", broken)  # noqa: B010
    await bay.create()
    await bay.aclose()
    assert [record.levelno for record in caplog.records if "may be left" in record.message] == [
        logging.WARNING
    ]


async def test_labels_of_the_package_are_not_shown_and_the_owner_stays() -> None:
    service, bay = account(owner="worker-7")
    session = (await bay.create(CreateSessionParams(labels={"a": "b"}))).unwrap()
    assert (await session.get_labels()).data == {"a": "b"}
    await session.set_labels({"c": "d"})
    assert (await session.get_labels()).data == {"c": "d"}
    assert service.sessions["s-1"]["agentbay-owner"] == "worker-7"


async def test_reap_deletes_old_sessions_of_the_owner_and_no_others() -> None:
    service, bay = account(owner="nightly")
    others = AsyncAgentBay(KEY, endpoint="service.test", transport=service, owner="other")
    for client in (bay, others, bay):
        (await client.create()).unwrap()
    service.sessions["s-1"]["agentbay-request"] = f"{int(time.time()) - 7200}-abc"
    assert await bay.reap(older_than=3600) == ["s-1"]
    assert sorted(service.sessions) == ["s-2", "s-3"]
    assert await bay.reap() == ["s-3"]
    assert sorted(service.sessions) == ["s-2"]


async def test_reap_needs_an_owner() -> None:
    _, bay = account()
    with pytest.raises(ConfigError, match="owner"):
        await bay.reap()
    with pytest.raises(InvalidInputError):
        await account(owner="x")[1].reap(older_than=-1)


async def test_no_more_sessions_than_allowed_are_there_at_once() -> None:
    service, bay = account(max_sessions=2)
    most = 0

    async def use() -> None:
        nonlocal most
        async with bay.session():
            most = max(most, len(service.sessions))
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        for _ in range(9):
            tasks.start_soon(use)
    assert (most, service.made, service.sessions) == (2, 9, {})


async def test_a_failed_create_gives_its_place_back() -> None:
    service, bay = account(max_sessions=1)
    service.refused = [quota]
    assert not (await bay.create()).success
    with anyio.fail_after(30):
        assert (await bay.create()).success


async def test_a_place_that_does_not_come_in_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    service, bay = account(max_sessions=1)
    (await bay.create()).unwrap()
    monkeypatch.setattr("agentbay._async.client._QUEUE_LIMIT", 0.01)
    result = await bay.create()
    assert isinstance(result.error, RequestTimeoutError)
    assert "max_sessions" in result.error_message
    assert service.made == 1


@pytest.mark.parametrize("limit", [0, -1, True, 1.5])
def test_a_limit_that_makes_no_sense_is_refused(limit: int) -> None:
    with pytest.raises(InvalidInputError):
        AsyncAgentBay(KEY, endpoint="service.test", max_sessions=limit)
