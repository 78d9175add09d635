"""Whatever fits a frame survives the WebSocket, and whatever is told there is handled."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentbay import ActOptions, AgentBayError, AsyncSession, ExtractOptions, ObserveOptions
from agentbay.protocol import pty
from agentbay.protocol._frames import METHODS, Frame, FrameError, Method
from agentbay.protocol._wire import WireError, fields, from_json, to_json
from agentbay.protocol.agent_stream import read_event
from agentbay.protocol.code_stream import CodeEvent, StreamedRun

from ..unit.service import Sent, Service, ok, session_of, tool_says
from ..unit.ws_service import LIMIT, Call, WsService, session_at
from .test_wire import (
    _FIELDS,
    _answers,
    _any_text,
    _variable_names,
    instances_of,
    json_values,
    objects,
    positive,
    printable,
    quick,
    texts,
    thorough,
)

_sizes = st.integers(1, 500)
_values = texts.filter(lambda value: "\0" not in value)
_OWN_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "CreatePty.cols": _sizes,
    "CreatePty.rows": _sizes,
    "CreatePty.cwd": st.none() | printable,
    "CreatePty.shell": st.none() | printable,
    "CreatePty.envs": st.dictionaries(_variable_names, _values, max_size=3),
    "ResizePty.cols": _sizes,
    "ResizePty.rows": _sizes,
    "StreamMobileTask.max_steps": positive,
    "StreamCode.timeout_s": positive,
}

_FIELDS.update(_OWN_FIELDS)

# Those of the package: tests make some of their own.
_KINDS = {n: kind for n, kind in METHODS.items() if kind.__module__.startswith("agentbay.")}


def test_there_are_methods_of_all_modules() -> None:
    modules = {kind.__module__.rpartition(".")[2] for kind in _KINDS.values()}
    assert modules == {"agent_stream", "code_stream", "file_changes", "pty"}


# -- what is asked for -----------------------------------------------------------------


@pytest.mark.parametrize("kind", _KINDS.values(), ids=_KINDS)
@quick
@given(data=st.data())
def test_a_method_survives_the_wire(kind: type[Method[Any]], data: st.DataObject) -> None:
    call = data.draw(instances_of(kind))
    frame = Frame("i-1", "SDK", kind.server, call.data())
    assert kind.from_data(Frame.decode(frame.encode()).data) == call


_names = st.sampled_from(sorted({f.name for kind in _KINDS.values() for f in fields(kind)}))


@pytest.mark.parametrize("kind", _KINDS.values(), ids=_KINDS)
@quick
@given(params=st.dictionaries(_names, json_values, max_size=8) | json_values)
def test_strange_parameters_are_refused(kind: type[Method[Any]], params: object) -> None:
    try:
        kind.from_data({"params": params})
    except (WireError, AgentBayError):
        return


@pytest.mark.parametrize("kind", [k for k in _KINDS.values() if k.result], ids=lambda k: k.method)
@quick
@given(data=st.data())
def test_an_answer_survives_the_wire(kind: type[Method[Any]], data: st.DataObject) -> None:
    call, value = data.draw(instances_of(kind)), data.draw(instances_of(kind.result))
    assert call.parse(from_json(to_json(call.write(value)["result"]))) == value


@pytest.mark.parametrize("kind", _KINDS.values(), ids=_KINDS)
@quick
@given(data=st.data(), answer=_answers)
def test_any_answer_makes_a_value_or_an_error(
    kind: type[Method[Any]], data: st.DataObject, answer: object
) -> None:
    try:
        data.draw(instances_of(kind)).parse(answer)
    except (WireError, AgentBayError):
        return


# -- frames ----------------------------------------------------------------------------


@thorough
@given(id=texts.filter(bool), source=texts, target=texts.filter(bool), data=objects, error=texts)
def test_a_frame_survives_the_wire(
    id: str, source: str, target: str, data: dict[str, Any], error: str
) -> None:
    frame = Frame(id, source, target, data, error)
    assert Frame.decode(frame.encode()) == frame


_keys = st.sampled_from(["invocationId", "requestId", "source", "target", "data", "error"])


@thorough
@given(text=_any_text | st.dictionaries(_keys, _answers).map(json.dumps))
def test_any_message_is_a_frame_or_refused(text: str) -> None:
    try:
        Frame.decode(text)
    except FrameError:
        return


@thorough
@given(id=printable, content=st.binary(max_size=200))
def test_what_a_terminal_writes_survives(id: str, content: bytes) -> None:
    event = pty.PtyOutput.of(id, content)
    read = pty.read_event(from_json(to_json(pty.write_event(event))))
    assert read == event
    assert event.content == content


# -- whatever is told ------------------------------------------------------------------

_told = st.fixed_dictionaries(
    {},
    optional={
        "phase": st.sampled_from(["event", "end", "error"]) | _answers,
        "eventType": st.sampled_from(
            [
                *("stdout", "stderr", "result", "error", "pty.output", "pty.exit", "pty.error"),
                *("content", "reasoning", "tool_call", "tool_result", "file_change"),
            ]
        )
        | _answers,
        "ptySessionId": st.just("pty-1") | _answers,
        "toolName": st.just("call_for_user") | _answers,
        **dict.fromkeys(
            ("seq", "chunk", "result", "error", "executionError", "executionCount", "status"),
            _answers,
        ),
        **dict.fromkeys(
            ("data", "encoding", "exitCode", "toolCallId", "args", "round", "path", "events"),
            _answers,
        ),
    },
)


@thorough
@given(data=_told)
def test_any_event_is_read_or_makes_no_sense(data: dict[str, Any]) -> None:
    for read in (pty.read_event, read_event, CodeEvent.read):
        try:
            read(data)
        except WireError:
            continue


@thorough
@given(events=st.lists(_told, max_size=4), end=_told)
def test_any_run_of_code_makes_a_reply_or_an_error(
    events: list[dict[str, Any]], end: dict[str, Any]
) -> None:
    run = StreamedRun()
    try:
        for event in filter(None, map(CodeEvent.read, events)):
            run.add(event)
        run.finish(end)
        run.reply()
    except (WireError, AgentBayError):
        return


def _event(data: dict[str, Any], kind: str, wrong: str) -> dict[str, Any]:
    return {**data, "phase": "event", "eventType": kind, wrong: [5]}


# Events that are looked at, whatever is in them; what else is random is mostly left out.
_heard = st.builds(
    _event,
    _told,
    st.sampled_from(["stdout", "pty.output", "pty.exit", "content", "tool_call"]),
    st.sampled_from(["chunk", "data", "exitCode", "seq", "round", "toolCallId"]),
)


async def _runs(session: AsyncSession) -> object:
    return await session.code.run_code("x", "python", 5, stream_beta=True)


async def _asks(session: AsyncSession) -> object:
    mobile = session.agent.mobile
    return await mobile.execute_task_and_wait("x", 5, on_call_for_user=lambda _: "1234")


async def _types(session: AsyncSession) -> object:
    handle = await session.pty.create()
    await handle.send_input("x")
    return await handle.wait(5)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("program", [_runs, _asks, _types])
@given(told=st.lists(_heard | _told, max_size=6))
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_a_session_tells_makes_a_result_or_an_error(
    backend: str, program: Callable[[AsyncSession], Awaitable[object]], told: list[dict[str, Any]]
) -> None:
    def answer(call: Call) -> None:
        if call.method == "pty.create":
            call.result({"ptySessionId": "pty-1"})
        elif call.method != "resume_task":
            for data in told:
                call.send(data=data)
            call.end(eventType="pty.exit", ptySessionId="pty-1", exitCode=0)

    async def main() -> None:
        with WsService(answer) as service, anyio.fail_after(LIMIT):
            session = session_at(service, Service(lambda _: tool_says("{}")))
            with suppress(AgentBayError):
                repr(await program(session))
            assert len(service.handshakes) == 1
            await session._connections.aclose()

    anyio.run(main, backend=backend)


# -- tasks that are asked about --------------------------------------------------------

_TASKS: dict[str, Callable[[AsyncSession], Awaitable[Any]]] = {
    "computer": lambda s: s.agent.computer.execute_task_and_wait("x", 0.03),
    "browser": lambda s: s.agent.browser.execute_task_and_wait("x", 0.03),
    "mobile": lambda s: s.agent.mobile.execute_task_and_wait("x", 0.03),
    "act": lambda s: s.browser.operator.act(ActOptions("x", timeout=0.03)),
    "observe": lambda s: s.browser.operator.observe(ObserveOptions("x", timeout=0.03)),
    "extract": lambda s: s.browser.operator.extract(ExtractOptions("x", {}, timeout=0.03)),
}


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentbay._async._agent_runs.INTERVAL", 0.01)


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("name", _TASKS)
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=_any_text | _answers.map(json.dumps), is_error=st.booleans())
async def test_whatever_is_told_of_a_task_makes_a_result_or_an_error(
    name: str, text: str, is_error: bool
) -> None:
    begun = json.dumps({"task_id": "t-1", "taskId": "t-1", "status": "running"})

    def answer(sent: Sent) -> Any:
        if sent.action != "CallMcpTool":
            return ok({"Port": 9222})
        about = sent.form["Name"].startswith("get_") or sent.form["Name"].endswith(
            ("_status", "_result")
        )
        return tool_says(text, is_error=is_error) if about else tool_says(begun)

    service = Service(answer)
    session = session_of(service)
    session.browser.attach()
    try:
        result = await _TASKS[name](session)
    except AgentBayError:
        result = None
    repr(result)
    assert len({sent.form["Name"] for sent in service.sent if "Name" in sent.form}) > 1
