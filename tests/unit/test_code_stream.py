"""What is told of code while it runs, as it travels."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentbay.protocol._wire import WireError
from agentbay.protocol.code import (
    CodeError,
    CodeOutput,
    CodeReply,
    ExecutionLogs,
    Language,
    RunCode,
)
from agentbay.protocol.code_stream import (
    CodeEvent,
    StreamCode,
    StreamedRun,
    StreamEnd,
    StreamError,
    refused,
)


def _read(kind: str, **content: Any) -> CodeEvent:
    event = CodeEvent.read({"phase": "event", "seq": 1, "eventType": kind, **content})
    assert event is not None
    return event


def _told(*events: CodeEvent, **end: Any) -> CodeReply:
    run = StreamedRun()
    for event in events:
        run.add(event)
    run.finish({"phase": "end", **end})
    return run.reply()


def test_a_stream_asks_for_the_same_run() -> None:
    call = StreamCode.of(RunCode("print(1)", Language.R, 5))
    assert call.data() == {
        "method": "run_code",
        "mode": "stream",
        "params": {"language": "r", "timeoutS": 5, "code": "print(1)"},
    }
    assert StreamCode.from_data(call.data()) == call
    assert (call.server, call.tool) == ("wuying_codespace", "run_code")


def test_printed_text_is_read() -> None:
    assert _read("stdout", chunk="a") == CodeEvent("stdout", "a")
    assert _read("stderr", chunk="b") == CodeEvent("stderr", "b")
    assert _read("stdout") == CodeEvent("stdout", "")


@pytest.mark.parametrize(
    ("result", "output"),
    [
        ({"isMainResult": True, "mime": {"text/plain": "2"}}, CodeOutput("2", is_main_result=True)),
        ({"isMainResult": False, "mime": {"image/png": "aGk="}}, CodeOutput(png="aGk=")),
        ({"mime": {"text/html": ["<b>", "x"]}}, CodeOutput(html="<b>x")),
        ({"mime": {"application/json": {"a": 1}}}, CodeOutput(json={"a": 1})),
        ({"mime": {"application/vnd.vegalite.v4+json": {}}}, CodeOutput(chart={})),
        ({"mime": {"application/pdf": "x"}}, CodeOutput()),
        ({"text/plain": "2", "is_main_result": True}, CodeOutput("2", is_main_result=True)),
        ("plain", CodeOutput("plain")),
        (None, CodeOutput()),
    ],
)
def test_a_value_is_read_in_every_format(result: Any, output: CodeOutput) -> None:
    assert _read("result", result=result).result == output


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (
            {"code": "E", "message": "bad", "traceId": "t"},
            CodeError("E", "bad", "traceId=t"),
        ),
        ({"code": 500, "message": "bad"}, CodeError("500", "bad")),
        ({"name": "NameError", "value": "no x"}, CodeError("NameError", "no x")),
        ({"message": {"why": 1}}, CodeError(value='{"why": 1}')),
        ({"why": 1}, CodeError(value='{"why": 1}')),
        ("bad", CodeError(value="bad")),
        (None, CodeError()),
    ],
)
def test_an_error_is_read_in_every_shape(error: Any, found: CodeError) -> None:
    reply = _told(_read("error", error=error))
    assert reply.error == found


@pytest.mark.parametrize("kind", ["progress", "", "None", "end"])
def test_what_is_not_known_is_nothing(kind: str) -> None:
    assert CodeEvent.read({"eventType": kind, "chunk": "x"}) is None
    assert CodeEvent.read({"chunk": "x"}) is None


@pytest.mark.parametrize(
    "data",
    [
        {"eventType": "stdout", "chunk": ["a"]},
        {"eventType": "result", "result": 5},
        {"eventType": "result", "result": {"mime": {"text/plain": {"a": 1}}}},
    ],
)
def test_an_event_that_makes_no_sense_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        CodeEvent.read(data)


@pytest.mark.parametrize(
    "event",
    [
        CodeEvent("stdout", "a"),
        CodeEvent("result", result=CodeOutput("2", html="<b>", is_main_result=True)),
        CodeEvent("error", error=StreamError("E", "bad", "t")),
    ],
)
def test_an_event_that_the_engine_writes_is_read_back(event: CodeEvent) -> None:
    assert CodeEvent.read(json.loads(json.dumps(event.write()))) == event


def test_a_run_is_put_together() -> None:
    reply = _told(
        CodeEvent("stdout", "a"),
        CodeEvent("stderr", "w"),
        CodeEvent("stdout", "b"),
        CodeEvent("result", result=CodeOutput("2")),
        status="finished",
        executionCount=3,
        executionTime=0.5,
        executionError=None,
    )
    assert reply == CodeReply([CodeOutput("2")], ExecutionLogs(["a", "b"], ["w"]), None, 3, 0.5)


@pytest.mark.parametrize(
    ("end", "error"),
    [
        ({"executionError": "boom"}, CodeError(value="boom")),
        ({"execution_error": "boom"}, CodeError(value="boom")),
        ({"executionError": {"why": 1}}, CodeError(value='{"why": 1}')),
        ({"status": "failed"}, CodeError(value="w")),
        ({"status": "FAILED", "executionError": "boom"}, CodeError(value="boom")),
        ({"status": "finished", "executionError": ""}, None),
        ({"executionError": {}}, None),
        ({}, None),
    ],
)
def test_a_run_that_failed_has_an_error(end: dict[str, Any], error: CodeError | None) -> None:
    assert _told(CodeEvent("stderr", "w"), **end).error == error


def test_the_first_error_counts() -> None:
    first, second = (CodeEvent("error", error=StreamError(name, "x")) for name in "AB")
    assert _told(first, second, executionError="boom").error == CodeError("A", "x")


@pytest.mark.parametrize("seconds", [float("nan"), float("inf")])
def test_a_time_that_is_no_number_is_not_told(seconds: float) -> None:
    assert _told(executionTime=seconds).execution_time == 0.0


def test_an_end_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(WireError):
        _told(executionCount="x")
    assert StreamedRun().end == StreamEnd()


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({"code": "E1", "message": "boom", "traceId": "t"}, CodeError("E1", "boom", "traceId=t")),
        ({"message": "boom"}, CodeError(value="boom")),
        ({"error": "target not found"}, CodeError(value="as told")),
        ({"message": {"a": 1}, "code": {"b": 2}}, CodeError('{"b": 2}', "as told")),
        ({}, CodeError(value="as told")),
    ],
)
def test_a_refusal_is_an_error(data: dict[str, Any], error: CodeError) -> None:
    assert refused(data, "as told") == error
