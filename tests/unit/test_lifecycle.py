"""Pause, wake, keep and measure a session, against a service that lives in the test."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest

from agentbay._async import lifecycle
from agentbay.errors import (
    APIError,
    AuthenticationError,
    InvalidInputError,
    ProtocolError,
    SessionError,
    SessionNotFoundError,
    ToolError,
)

from .service import Sent, Service, always, by_action, ok, session_of, tool_says

GONE = {"Code": "InvalidMcpSession.NotFound", "Message": "gone", "Success": False}


def no(status: int = 200, code: str = "X", message: str = "no") -> httpx.Response:
    body = {"RequestId": "r-no", "Success": False, "Code": code, "Message": message}
    return httpx.Response(status, json=body)


def in_states(*states: str | Callable[[], httpx.Response], **data: Any) -> Service:
    """A service whose session is in one state after the other; the last one stays."""
    left = list(states)

    def answer(sent: Sent) -> httpx.Response:
        if sent.action != "GetSession":
            return ok(RequestId="r-start")
        state = left.pop(0) if len(left) > 1 else left[0]
        return (
            ok({"SessionId": "s-000001", "Status": state, **data})
            if isinstance(state, str)
            else state()
        )

    return Service(answer)


async def test_pause_waits_until_the_session_is_paused() -> None:
    service = in_states("PAUSING", "PAUSED")
    result = await lifecycle.pause(session_of(service), poll_interval=0.01)
    assert (result.success, result.status, result.request_id) == (True, "PAUSED", "r-start")
    assert service.actions == ["PauseSessionAsync", "GetSession", "GetSession"]
    assert service.sent[0].parameters == {"SessionId": "s-000001"}
    assert (result.unwrap(), result.message, result.http_status_code) == ("PAUSED", "", 0)


async def test_resume_waits_until_the_session_runs() -> None:
    service = in_states("RESUMING", "RUNNING")
    result = await lifecycle.resume(session_of(service), poll_interval=0.01)
    assert (result.success, result.status) == (True, "RUNNING")
    assert service.actions == ["ResumeSessionAsync", "GetSession", "GetSession"]


async def test_a_state_that_lags_behind_is_no_failure() -> None:
    # Existing clients give up when the first look still finds the old state.
    assert (await lifecycle.pause(session_of(in_states("RUNNING", "PAUSED")), 30, 0.01)).success
    assert (await lifecycle.resume(session_of(in_states("PAUSED", "RUNNING")), 30, 0.01)).success


async def test_a_session_that_ends_is_not_waited_for() -> None:
    result = await lifecycle.pause(session_of(in_states("PAUSING", "DELETING")), 30, 0.01)
    assert isinstance(result.error, SessionError)
    assert (result.success, result.status, result.request_id) == (False, "DELETING", "r-start")


async def test_a_pause_that_takes_too_long_keeps_its_request_id_and_the_last_state() -> None:
    # Existing clients lose the request id.
    with anyio.fail_after(30):
        result = await lifecycle.pause(session_of(in_states("PAUSING")), 0.1, 0.02)
    assert isinstance(result.error, SessionError)
    assert (result.request_id, result.status) == ("r-start", "PAUSING")
    assert "0.1 s" in result.error_message


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_look_that_fails_for_the_moment_is_repeated(status: int) -> None:
    service = in_states(lambda: no(status), "PAUSED")
    assert (await lifecycle.pause(session_of(service), 30, 0.01)).success


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (lambda: no(404, "InvalidMcpSession.NotFound"), SessionNotFoundError),
        (lambda: no(401), AuthenticationError),
    ],
)
async def test_a_look_that_fails_for_good_ends_the_wait(
    answer: Callable[[], httpx.Response], kind: type[APIError]
) -> None:
    result = await lifecycle.resume(session_of(in_states(answer)), 30, 0.01)
    assert isinstance(result.error, kind)
    assert result.http_status_code == result.error.status_code


async def test_a_refusal_to_pause_has_its_code() -> None:
    result = await lifecycle.pause(session_of(Service(always(lambda: no(403, "NotAllowed")))))
    assert (result.success, result.code, result.http_status_code) == (False, "NotAllowed", 403)
    assert (result.request_id, result.error_message) == ("r-no", "[NotAllowed] no")


@pytest.mark.parametrize(("timeout", "interval"), [(0, 1), (-1, 1), (1, 0), (float("nan"), 1)])
async def test_limits_that_make_no_sense_are_refused_before_sending(
    timeout: float, interval: float
) -> None:
    service = Service(always(ok))
    for change in (lifecycle.pause, lifecycle.resume):
        result = await change(session_of(service), timeout, interval)
        assert isinstance(result.error, InvalidInputError)
    assert service.sent == []


async def test_a_woken_session_uses_its_new_credentials() -> None:
    # Existing clients go on with those from before.
    session = session_of(in_states("RUNNING", Token="t-2", LinkUrl="https://link"))
    assert (await lifecycle.resume(session)).success
    assert (session.token, session.link_url, session.session_id) == (
        "t-2",
        "https://link",
        "s-000001",
    )


async def test_waking_keeps_what_is_not_told_anew() -> None:
    tools = json.dumps([{"name": "shell", "server": "sh"}])
    session = session_of(in_states("RUNNING", Token="t-1", ToolList=tools))
    assert (await lifecycle.resume(session)).success
    again = session_of(in_states("RUNNING"))
    again._data, again._mcp_tools = session._data, session._mcp_tools
    assert (await lifecycle.resume(again)).success
    assert (again.token, again.find_server_for_tool("shell")) == ("t-1", "sh")


async def test_keep_alive_names_the_session() -> None:
    service = Service(always(ok))
    assert (await lifecycle.keep_alive(session_of(service))).unwrap() is None
    assert (service.actions, service.sent[0].form["SessionId"]) == (
        ["RefreshSessionIdleTime"],
        "s-000001",
    )
    failed = await lifecycle.keep_alive(session_of(Service(always(lambda: ok(**GONE)))))
    assert isinstance(failed.error, SessionNotFoundError)


async def test_get_status_tells_the_state() -> None:
    service = Service(always(lambda: ok({"Status": "FINISH", "ImageId": "x"})))
    assert (await lifecycle.get_status(session_of(service))).unwrap() == "FINISH"
    assert service.sent[0].query == {"SessionId": "s-000001"}
    failed = await lifecycle.get_status(session_of(Service(always(lambda: ok(**GONE)))))
    assert (failed.success, failed.code) == (False, "InvalidMcpSession.NotFound")


METRICS = {
    "cpu_count": 4, "cpu_used_pct": 1.5, "disk_total": 105286258688, "disk_used": 30269431808,
    "mem_total": 7918718976, "mem_used": 2139729920, "timestamp": "2025-12-24T10:54:23+08:00",
}  # fmt: skip


@pytest.mark.parametrize(
    "names",
    [
        ("rx_rate_kbyte_per_s", "tx_rate_kbyte_per_s", "rx_used_kbyte", "tx_used_kbyte"),
        ("rx_rate_kbps", "tx_rate_kbps", "rx_used_kb", "tx_used_kb"),
        ("rx_rate_KBps", "tx_rate_KBps", "rx_used_KB", "tx_used_KB"),
    ],
)
async def test_figures_are_read_under_every_name(names: tuple[str, ...]) -> None:
    raw = {**METRICS, **dict(zip(names, (0.22, 0.38, 1247.27, 120), strict=True))}
    service = Service(by_action({"CallMcpTool": lambda: tool_says(json.dumps(raw))}))
    result = await lifecycle.get_metrics(session_of(service), 5, 5)
    found = result.unwrap()
    assert (found.cpu_count, found.cpu_used_pct, found.mem_used) == (4, 1.5, 2139729920)
    assert (found.rx_rate_kbyte_per_s, found.tx_rate_kbyte_per_s) == (0.22, 0.38)
    assert (found.rx_used_kbyte, found.tx_used_kbyte) == (1247.27, 120.0)
    assert (found.rx_rate_kbps, found.tx_rate_kbps) == (0.22, 0.38)
    assert (found.rx_used_kb, found.tx_used_kb) == (1247.27, 120.0)
    assert result.raw == raw
    assert (service.sent[0].form["Name"], service.sent[0].form["Args"]) == ("get_metrics", "{}")


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '"text"', '{"cpu_count": "many"}'])
async def test_figures_that_make_no_sense_are_a_failure(text: str) -> None:
    service = Service(always(lambda: tool_says(text)))
    result = await lifecycle.get_metrics(session_of(service))
    assert isinstance(result.error, ProtocolError)
    assert (result.metrics, result.request_id) == (None, "r-1")


async def test_a_session_that_cannot_measure_says_so() -> None:
    service = Service(always(lambda: tool_says("no such tool", is_error=True)))
    result = await lifecycle.get_metrics(session_of(service))
    assert isinstance(result.error, ToolError)
    assert "no such tool" in result.error_message
    bad = await lifecycle.get_metrics(session_of(service), read_timeout=0)
    assert isinstance(bad.error, InvalidInputError)


def without_release(details: list[Callable[[], httpx.Response]]) -> Service:
    """A service that ends sessions only in the background."""
    left = list(details)

    def answer(sent: Sent) -> httpx.Response:
        if sent.action == "ReleaseMcpSession":
            return no(404, "InvalidAction.NotFound")
        if sent.action == "GetSessionDetail":
            return (left.pop(0) if len(left) > 1 else left[0])()
        return ok(RequestId="r-delete")

    return Service(answer)


def detail(status: str) -> Callable[[], httpx.Response]:
    return lambda: ok({"Status": status})


@pytest.mark.parametrize("last", [detail("FINISH"), lambda: httpx.Response(400, json=GONE)])
async def test_a_session_is_deleted_in_the_other_way_when_the_first_is_not_offered(
    last: Callable[[], httpx.Response],
) -> None:
    service = without_release([detail("DELETING"), lambda: httpx.Response(503), last])
    result = await session_of(service).delete()
    assert (result.success, result.request_id) == (True, "r-delete")
    assert service.actions == [
        "ReleaseMcpSession",
        "DeleteSessionAsync",
        *["GetSessionDetail"] * 3,
    ]


async def test_a_session_that_does_not_end_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "_RELEASE_LIMIT", 0.05)
    result = await session_of(without_release([detail("DELETING")])).delete()
    assert isinstance(result.error, SessionError)
    assert "has not ended" in result.error_message


async def test_another_refusal_to_release_is_the_failure() -> None:
    service = Service(always(lambda: no(403, "Forbidden")))
    assert not (await session_of(service).delete()).success
    assert service.actions == ["ReleaseMcpSession"]
