"""Tasks that are streamed: the frames, the functions that are told, and how streams break."""

from __future__ import annotations

import json
import logging
import socket
import threading
import types
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread

from agentbay import InvalidInputError, SessionError, _bridge
from agentbay._async import _agent_runs, _agent_stream
from agentbay._async._agent_stream import StreamRun
from agentbay._async.agent import AsyncAgent, AsyncAgentMobile
from agentbay._results.agent import ExecutionResult
from agentbay._results.sessions import McpTool
from agentbay.errors import (
    AgentError,
    AgentTimeoutError,
    ProtocolError,
    WsConnectionClosedError,
    WsHandshakeRejectedError,
    WsProtocolError,
    WsRemoteError,
)
from agentbay.protocol._wire import decode
from agentbay.protocol.agent import AgentEvent
from agentbay.protocol.agent_stream import ResumeTask, StreamMobileTask, read_event
from agentbay.protocol.sessions import SessionData

from .service import Service, always, tool_says
from .ws_service import SECRET, TOKEN, Call, WsService, session_at, silent

FRAMES = Path(__file__).parent.parent / "data" / "samples"

Script = Callable[[Call], None]

QUESTION: dict[str, Any] = {
    "eventType": "tool_call",
    "toolCallId": "c1",
    "toolName": "call_for_user",
    "args": {"prompt": "code?"},
}


def on_task(*events: dict[str, Any], end: dict[str, Any] | None = None) -> Script:
    """Tell these events of every task, then its end; no end leaves it open."""

    def answer(call: Call) -> None:
        if call.method == "exec_task":
            for number, event in enumerate(events, 1):
                call.event(**{"seq": number, "round": 1, **event})
        if end is not None:
            call.end(**end)

    return answer


def asking(*events: dict[str, Any]) -> Script:
    """Ask the user, and end the task with what was answered."""

    def answer(call: Call) -> None:
        if call.method == "exec_task":
            call.event(**QUESTION)
        elif call.method == "resume_task":
            for event in events:
                call.event(**event)
            call.end(status="finished", taskResult=f"answer: {call.params['response']!r}")

    return answer


@asynccontextmanager
async def phone(
    answer: Script, *, tools: Any = (), says: str = '{"status": "cancelled"}'
) -> AsyncGenerator[tuple[AsyncAgentMobile, WsService, Service]]:
    """The agent of a session that streams; its tools say the same to every call."""
    service = Service(always(lambda: tool_says(says)))
    with WsService(answer) as ws:
        session = session_at(ws, service, tools=list(tools))
        try:
            yield AsyncAgent(session).mobile, ws, service
        finally:
            await session._connections.aclose()


def stopped(service: Service) -> list[Any]:
    """The tasks that were ended by the tool for that."""
    return [
        json.loads(sent.form["Args"])["task_id"]
        for sent in service.sent
        if sent.form["Name"] == "terminate_task"
    ]


def watched(monkeypatch: pytest.MonkeyPatch) -> anyio.Event:
    """Set when nothing more runs in the background for the next task."""
    ended, drive = anyio.Event(), StreamRun.drive

    async def watch(run: StreamRun, *arguments: Any) -> None:
        try:
            await drive(run, *arguments)
        finally:
            ended.set()

    monkeypatch.setattr(StreamRun, "drive", watch)
    return ended


def ignore(_: AgentEvent) -> None:
    """A function that does nothing, so that the task is streamed."""


async def streamed(answer: Script, **options: Any) -> ExecutionResult:
    """Do a task, and wait for it."""
    async with phone(answer) as (agent, _, _):
        options = {"timeout": 30, "on_content": ignore, **options}
        return await agent.execute_task_and_wait("do it", **options)


# -- the frames ------------------------------------------------------------------------


@pytest.mark.parametrize("sample", ["0.22-async", "0.22-async-http-endpoint"])
async def test_a_conversation_is_that_which_was_recorded(sample: str) -> None:
    lines = (FRAMES / sample / "ws-frames.jsonl").read_text("utf-8").splitlines()
    frames = [line for line in map(json.loads, lines) if line["step"] == "ws-agent-mobile"]
    sent = [json.loads(f["text"]) for f in frames if f["dir"] == "client->server"]
    told = [json.loads(f["text"]) for f in frames if f["dir"] != "client->server"]

    def answer(call: Call) -> None:
        part = told[:3] if call.method == "exec_task" else told[3:]
        for frame in part:
            call.send(**{**frame, "invocationId": call.id})

    seen: list[AgentEvent] = []
    async with phone(answer) as (agent, ws, _):
        result = await agent.execute_task_and_wait(
            "do it", 10, 7, seen.append, seen.append, on_call_for_user=lambda _: "1234"
        )
        assert [{**f, "invocationId": ""} for f in ws.frames] == [
            {**f, "invocationId": ""} for f in sent
        ]
        assert len({frame["invocationId"] for frame in ws.frames}) == 1
        assert result.request_id == ws.frames[0]["invocationId"]
    assert (result.success, result.task_status) == (True, "finished")
    assert (result.task_result, result.task_id) == ("all done", "")
    assert [(e.type, e.content, e.seq, e.round) for e in seen] == [
        ("reasoning", "think", 0, 1),
        ("content", "abc", 1, 1),
    ]


async def test_the_server_behind_the_tool_is_asked_when_it_is_known() -> None:
    tools = [McpTool("execute_task", server="my_phone")]
    async with phone(on_task(end={}), tools=tools) as (agent, ws, _):
        assert (await agent.execute_task_and_wait("x", 30, on_error=ignore)).success
        assert ws.frames[0]["target"] == "my_phone"
        assert ws.frames[0]["data"] == {
            "method": "exec_task",
            "params": {"task": "x", "max_steps": 50},
        }


async def test_without_a_function_the_task_is_not_streamed() -> None:
    async with phone(silent, says='{"taskId": "t-1"}') as (agent, ws, service):
        assert (await agent.execute_task("x")).task_id == "t-1"
        assert [sent.form["Name"] for sent in service.sent] == ["execute_task"]
        assert ws.handshakes == []


def test_an_engine_reads_what_is_sent() -> None:
    for call in (StreamMobileTask("x", 7), ResumeTask("c1", "1234")):
        assert type(call).from_data(call.data()) == call


# -- the functions that are told -------------------------------------------------------

ALL: list[dict[str, Any]] = [
    {"eventType": "reasoning", "content": "why"},
    {"eventType": "content", "content": "say"},
    {"eventType": "tool_call", "toolCallId": "c1", "toolName": "tap", "args": {"x": 1}},
    {"eventType": "tool_result", "toolCallId": "c1", "toolName": "tap", "result": {"ok": True}},
    {"eventType": "error", "error": {"code": "E1", "message": "slipped"}},
]
NAMES = ["on_reasoning", "on_content", "on_tool_call", "on_tool_result", "on_error"]


@pytest.mark.parametrize("is_async", [False, True])
async def test_each_function_is_told_of_its_events_in_order(is_async: bool) -> None:
    told: list[tuple[str, AgentEvent]] = []

    def listener(name: str) -> Callable[[AgentEvent], Awaitable[None] | None]:
        async def hear(event: AgentEvent) -> None:
            await anyio.sleep(0.01)
            told.append((name, event))

        return hear if is_async else lambda event: told.append((name, event))

    await streamed(on_task(*ALL, end={}), **{name: listener(name) for name in NAMES})
    assert [(name, event.type) for name, event in told] == [
        (name, name.removeprefix("on_")) for name in NAMES
    ]
    assert [event.seq for _, event in told] == [1, 2, 3, 4, 5]
    call, result, error = (event for _, event in told[2:])
    assert (call.tool_name, call.tool_call_id, call.args) == ("tap", "c1", {"x": 1})
    assert (result.result, error.error) == ({"ok": True}, {"code": "E1", "message": "slipped"})
    assert (call.result, call.error, call.prompt) == ({}, {}, "")


async def test_a_function_is_told_while_nobody_waits() -> None:
    heard = anyio.Event()
    answer = on_task({"eventType": "content", "content": "a"})
    async with phone(answer) as (agent, _, _):
        await agent.execute_task("x", on_content=lambda _: heard.set())
        with anyio.fail_after(30):
            await heard.wait()


async def test_an_exception_of_a_function_ends_the_task_and_reaches_the_caller() -> None:
    def fail(event: AgentEvent) -> None:
        raise LookupError(event.content)

    answer = on_task(
        {"eventType": "content", "content": "a", "taskId": "t-7"},
        {"eventType": "content", "content": "b"},
    )
    async with phone(answer) as (agent, _, service):
        with pytest.raises(LookupError, match="a"):
            await agent.execute_task_and_wait("x", 30, on_content=fail)
        assert stopped(service) == ["t-7"]


async def test_an_exception_that_nobody_waits_for_is_logged_and_raised_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(_: AgentEvent) -> None:
        raise LookupError("mine")

    async with phone(on_task({"eventType": "content"})) as (agent, _, _):
        execution = await agent.execute_task("x", on_content=fail)
        with anyio.fail_after(30):
            while not execution.done:  # noqa: ASYNC110 - there is no event for what nobody awaits
                await anyio.sleep(0.01)
        assert "LookupError: mine" in caplog.text
        with pytest.raises(LookupError):
            await execution.wait()
        with pytest.raises(LookupError):
            [event async for event in execution.events()]


# -- a human in the loop ---------------------------------------------------------------


async def _reply(event: AgentEvent) -> str:
    await anyio.sleep(0.001)
    return f"{event.prompt} 12"


async def _nothing(_: AgentEvent) -> None: ...


def _prompt(event: AgentEvent) -> str:
    return f"{event.prompt} 12"


def _content(event: AgentEvent) -> str:
    return f"{event.content} 12"


def _later(event: AgentEvent) -> Awaitable[str]:
    return _reply(event)


def _number(_: AgentEvent) -> int:
    return 12


def _none(_: AgentEvent) -> None: ...


def _failing(_: AgentEvent) -> str:
    raise LookupError


def _no_text(_: AgentEvent) -> str:
    return "\ud800"


class Answering:
    async def __call__(self, event: AgentEvent) -> str:
        return await _reply(event)


@pytest.mark.parametrize(
    ("function", "answer"),
    [
        (_prompt, "code? 12"),
        (_content, "code? 12"),
        (_reply, "code? 12"),
        (_later, "code? 12"),
        (Answering(), "code? 12"),
        (partial(_reply), "code? 12"),
        (_number, "12"),
        (_none, ""),
        (_nothing, ""),
    ],
)
async def test_a_question_is_answered_by_any_kind_of_function(function: Any, answer: str) -> None:
    result = await streamed(asking(), on_call_for_user=function)
    assert result.task_result == f"answer: {answer!r}"


async def test_a_question_that_nobody_answers_gets_an_empty_text() -> None:
    assert (await streamed(asking())).task_result == "answer: ''"


@pytest.mark.parametrize("answer", [_failing, _no_text])
async def test_a_question_whose_answer_fails_gets_an_empty_text(
    answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    result = await streamed(asking(), on_call_for_user=answer)
    assert (result.success, result.task_result) == (True, "answer: ''")
    assert "on_call_for_user failed" in caplog.text


async def test_a_question_is_a_tool_call_first() -> None:
    told: list[str] = []

    def hear(event: AgentEvent) -> None:
        told.append(event.prompt)

    def answer(_: AgentEvent) -> str:
        told.append("asked")
        return ""

    await streamed(asking(), on_tool_call=hear, on_call_for_user=answer)
    assert told == ["code?", "asked"]


async def test_a_function_that_waits_for_a_human_holds_up_nothing() -> None:
    """The vendor's blocks the connection, for ever in blocking code."""
    human = threading.Event()

    def wait_for_human(_: AgentEvent) -> str:
        assert human.wait(30)
        return "late"

    async with phone(asking()) as (agent, _, _):
        execution = await agent.execute_task("x", on_call_for_user=wait_for_human)
        connection = await agent._session._websocket()
        with anyio.fail_after(30):
            await connection.send_data("s", {"meanwhile": 1})
        human.set()
        assert (await execution.wait(30)).task_result == "answer: 'late'"


async def test_a_time_limit_is_kept_while_a_human_thinks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vendor's cannot even time out then."""
    human, ended = threading.Event(), watched(monkeypatch)
    async with phone(asking()) as (agent, ws, _):
        with anyio.fail_after(30):
            result = await agent.execute_task_and_wait(
                "x", 0.2, on_call_for_user=lambda _: str(human.wait(30))
            )
            await ended.wait()
        human.set()
        assert isinstance(result.error, AgentTimeoutError)
        await ws.frame(0)
        await anyio.sleep(0.05)
        assert ws.methods == ["exec_task"]


async def test_the_end_is_noticed_while_a_human_thinks() -> None:
    async def never(_: AgentEvent) -> str:
        await anyio.sleep_forever()
        return ""

    async with phone(on_task(QUESTION, end={"taskResult": "gave up"})) as (agent, _, _):
        with anyio.fail_after(30):
            result = await agent.execute_task_and_wait("x", 30, on_call_for_user=never)
        assert result.task_result == "gave up"


@pytest.mark.parametrize("limit", [30, 0.2])
def test_blocking_code_is_asked_without_a_deadlock(limit: float) -> None:
    """The vendor's answers on the thread that has to send the answer, and hangs for good."""
    human = threading.Event()

    def ask(event: AgentEvent) -> str:
        human.wait(30 if limit < 1 else 0)
        return event.prompt

    with WsService(asking()) as ws:
        session = session_at(ws, Service(always(lambda: tool_says("ok"))))
        mobile = AsyncAgent(session).mobile
        call = partial(mobile.execute_task_and_wait, on_call_for_user=_bridge.as_async(ask))
        result = _bridge.call(call, "x", limit)
        human.set()
        _bridge.call(session._connections.aclose)
    assert result.success is (limit > 1)
    assert limit < 1 or result.task_result == "answer: 'code?'"


# -- how a stream ends -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "success", "status", "text"),
    [
        ({"status": "finished", "taskResult": "done"}, True, "finished", "done"),
        ({"status": "completed", "task_result": "done"}, True, "completed", "done"),
        ({"taskResult": "done"}, True, "finished", "done"),
        ({"taskResult": {"a": 1}}, True, "finished", '{"a":1}'),
        ({"taskResult": ""}, True, "finished", "ab"),
        ({}, True, "finished", "ab"),
        ({"status": "failed"}, False, "failed", "ab"),
        ({"status": "cancelled", "taskResult": "half"}, False, "cancelled", "half"),
        ({"status": "running"}, False, "failed", "ab"),
    ],
)
async def test_the_end_tells_what_came_out(
    end: dict[str, Any], success: bool, status: str, text: str
) -> None:
    pieces = [{"eventType": "content", "content": piece} for piece in "ab"]
    result = await streamed(on_task(*pieces, end=end))
    assert (result.success, result.task_status, result.task_result) == (success, status, text)
    assert success is (result.error is None)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ({"code": "E1", "message": "slipped"}, "slipped"),
        ({"code": "E1"}, '{"code":"E1"}'),
        ({}, "gave no reason"),
    ],
)
async def test_an_error_event_makes_the_task_a_failure(error: Any, text: str) -> None:
    answer = on_task({"eventType": "error", "error": error}, end={"taskResult": "half"})
    result = await streamed(answer)
    assert (result.success, result.task_status, result.task_result) == (False, "failed", "half")
    assert text in result.error_message
    assert isinstance(result.error, AgentError)


def say(data: Any, **keys: Any) -> Script:
    """Say something else behind the first piece."""

    def answer(call: Call) -> None:
        call.event(eventType="content", content="half")
        call.send(data=data, **keys)

    return answer


def drop(call: Call) -> None:
    call.event(eventType="content", content="half")
    call.drop()


BROKEN: dict[str, tuple[Script, type[Exception]]] = {
    "lost": (drop, WsConnectionClosedError),
    "refused": (say({"phase": "error", "code": "E1", "message": "boom"}), WsRemoteError),
    "an error": (say({"error": "boom"}), WsRemoteError),
    "the gateway": (say({"error": "boom"}, source="WEBSOCKET_SERVER"), WsRemoteError),
    "no phase": (say({"eventType": "content"}), WsProtocolError),
    "another phase": (say({"phase": "middle"}), WsProtocolError),
    "no data": (say(5), WsProtocolError),
    "a status that is none": (say({"phase": "end", "status": {"a": 1}}), ProtocolError),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_stream_that_breaks_is_a_failed_result_with_what_was_heard(name: str) -> None:
    """The vendor's raises then, and what was heard is lost."""
    answer, kind = BROKEN[name]
    result = await streamed(answer)
    assert (result.success, result.task_status, result.task_result) == (False, "failed", "half")
    assert isinstance(result.error, kind)
    assert result.error_message
    assert result.request_id
    assert SECRET not in result.error_message
    assert TOKEN not in result.error_message


async def test_a_session_that_refuses_the_connection_cannot_begin_a_task() -> None:
    async with phone(silent) as (agent, ws, _):
        ws.refuse = 403
        with pytest.raises(AgentError) as caught:
            await agent.execute_task("x", on_content=ignore)
        assert isinstance(caught.value.__cause__, WsHandshakeRejectedError)
        result = await agent.execute_task_and_wait("x", 5, on_content=ignore)
        assert (result.success, result.task_status) == (False, "failed")
        assert SECRET not in result.error_message


async def test_a_session_that_does_not_open_its_stream_has_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_agent_stream, "_OPEN_LIMIT", 0.0)
    async with phone(silent) as (agent, _, _):
        with pytest.raises(AgentTimeoutError):
            await agent.execute_task("x", on_content=ignore)


async def test_a_session_that_does_not_stream_says_so() -> None:
    session = session_at(None)
    mobile = AsyncAgent(session).mobile
    with pytest.raises(SessionError):
        await mobile.execute_task("x", on_content=ignore)
    result = await mobile.execute_task_and_wait("x", 5, on_content=ignore)
    assert isinstance(result.error, SessionError)


async def test_steps_that_make_no_sense_are_refused_before_anything_is_sent() -> None:
    async with phone(silent) as (agent, ws, _):
        with pytest.raises(InvalidInputError):
            await agent.execute_task("x", 0, ignore)
        assert ws.handshakes == []


# -- giving up -------------------------------------------------------------------------


@pytest.mark.parametrize("facts", [{"taskId": "t-7"}, {"task_id": "t-7"}, {}])
async def test_a_task_that_runs_out_of_time_is_ended_and_keeps_what_was_heard(
    facts: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vendor's stops listening, and the agent goes on."""
    half = {"eventType": "content", "content": "half", **facts}
    heard: list[AgentEvent] = []

    def now() -> float:
        return 300.0 if heard else 0.0

    monkeypatch.setattr(_agent_runs, "time", types.SimpleNamespace(monotonic=now))
    async with phone(on_task(half, {**half, "eventType": "reasoning"})) as (agent, ws, service):
        result = await agent.execute_task_and_wait("x", 300, on_content=heard.append)
        invocation = ws.frames[0]["invocationId"]
        name = "t-7" if facts else invocation
        assert stopped(service) == [name]
        late = {"phase": "event", "eventType": "content", "content": "late"}
        ws.push(late, source="wuying_mobile_agent", requestId=None, invocationId=invocation)
        await anyio.sleep(0.05)
    assert [event.content for event in heard] == ["half"]
    assert (result.success, result.task_result) == (False, "half")
    assert isinstance(result.error, AgentTimeoutError)
    assert result.error_message == f"timeout: task {name} has not ended after 300 s"
    assert result.task_id == facts.get("taskId", facts.get("task_id", ""))


async def test_a_caller_that_is_cancelled_ends_the_task() -> None:
    async with phone(on_task({"eventType": "content", "taskId": "t-7"})) as (agent, _, service):
        heard = anyio.Event()
        with anyio.fail_after(30):
            async with anyio.create_task_group() as group:

                async def wait() -> None:
                    await agent.execute_task_and_wait("x", 60, on_content=lambda _: heard.set())

                group.start_soon(wait)
                await heard.wait()
                group.cancel_scope.cancel()
        assert stopped(service) == ["t-7"]


async def test_a_caller_that_is_cancelled_while_it_begins_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = watched(monkeypatch)
    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts, and never answers
        server.settimeout(30)
        session = session_at(None)
        url = f"ws://127.0.0.1:{server.getsockname()[1]}/"
        session._adopt(SessionData("s-000001", ws_url=url, token=TOKEN))
        begin = partial(AsyncAgent(session).mobile.execute_task, "x", on_content=ignore)
        accepted: list[socket.socket] = []
        async with anyio.create_task_group() as group:
            group.start_soon(begin)
            accepted.append((await to_thread.run_sync(server.accept))[0])
            group.cancel_scope.cancel()
        with anyio.fail_after(30):
            await ended.wait()
        await session._connections.aclose()
        accepted[0].close()


# The loop over the events is left, which trio reports.
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
@pytest.mark.parametrize("accepted", [True, False])
async def test_a_handle_ends_its_task_and_the_stream(accepted: bool) -> None:
    says = '{"status": "cancelled"}'
    async with phone(on_task({"eventType": "content", "content": "half"}), says=says) as (
        agent,
        ws,
        service,
    ):
        if not accepted:
            service.answer = always(lambda: tool_says("Task not found", is_error=True))
        execution = await agent.execute_task("x", on_content=ignore)
        async for _ in execution.events():
            break
        answered = await execution.cancel()
        assert (answered.success, execution.done) == (accepted, True)
        assert stopped(service) == [ws.frames[0]["invocationId"]]
        result = await execution.wait(30)
        assert (result.success, result.task_status) == (False, "cancelled")
        assert result.task_result == "half"


# -- the events ------------------------------------------------------------------------


async def test_events_can_be_gone_through_without_a_function() -> None:
    async with phone(on_task(*ALL[:4], end={"taskResult": "done"})) as (agent, _, _):
        execution = await agent.execute_task("x", stream=True)
        assert (execution.task_id, repr(execution)) == ("", "AsyncTaskExecution('')")
        events = [event.type async for event in execution.events(30)]
        assert events == [event["eventType"] for event in ALL[:4]]
        assert [event.type async for event in execution.events(30)] == events
        assert (await execution.wait()).task_result == "done"
        assert execution.done


async def test_events_have_a_time_limit_and_the_stream_goes_on() -> None:
    async with phone(asking()) as (agent, _, service):
        human = anyio.Event()

        async def answer(_: AgentEvent) -> str:
            await human.wait()
            return "ok"

        execution = await agent.execute_task("x", on_call_for_user=answer)
        with pytest.raises(AgentTimeoutError):
            async for _ in execution.events(0.2):
                pass
        human.set()
        assert (await execution.wait(30)).success
        assert service.sent == []


async def test_nothing_is_printed_or_logged(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "agentbay")
    await streamed(on_task(*ALL[:4], end={}))
    assert capsys.readouterr() == ("", "")
    assert caplog.records == []


ODD: list[dict[str, Any]] = [
    {"eventType": "content", "content": {"a": 1}, "seq": "one", "round": None},
    {"eventType": "tool_call", "toolName": 5, "args": '{"x": 1}', "toolCallId": 7},
    {"eventType": "tool_call", "toolName": "tap", "args": "x"},
    {"eventType": "tool_result", "result": "ok"},
    {"eventType": "error", "error": ["slipped"]},
    {"eventType": "weather", "content": "fine"},
    {"eventType": None},
    {},
]


async def test_events_that_make_little_sense_are_told_as_they_are() -> None:
    seen: list[AgentEvent] = []
    async with phone(on_task(*ODD, end={})) as (agent, _, _):
        execution = await agent.execute_task("x", on_content=seen.append, stream=True)
        events = [event async for event in execution.events(30)]
    assert [event.content for event in seen] == ['{"a":1}']
    assert (events[0].seq, events[0].round) == (0, 0)
    assert (events[1].tool_name, events[1].tool_call_id, events[1].args) == ("5", "7", {"x": 1})
    assert (events[2].args, events[3].result) == ({"input": "x"}, {"output": "ok"})
    assert events[4].error == {"message": ["slipped"]}
    assert [event.type for event in events[5:]] == ["weather", "", ""]


def test_an_event_can_be_made_by_hand() -> None:
    event = AgentEvent("content", seq=2, args=None, result=None, error=None)  # type: ignore[arg-type] # as the vendor's takes it
    assert (event.args, event.result, event.error, event.prompt) == ({}, {}, {}, "")
    assert decode(AgentEvent, {"type": "x"}).type == "x"
    assert read_event(QUESTION).content == "code?"
