"""Running code: what is sent, every shape of an answer, what is refused."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import anyio
import pytest

from agentbay import InvalidInputError, McpTool, ProtocolError, SessionError, ToolError
from agentbay._async._streams import Stream
from agentbay._async.code import AsyncCode
from agentbay._results.code import EnhancedCodeExecutionResult
from agentbay.errors import (
    ExecutionError,
    RequestTimeoutError,
    WsConnectionClosedError,
    WsHandshakeRejectedError,
)
from agentbay.protocol._calls import Content
from agentbay.protocol._frames import Frame
from agentbay.protocol.code import (
    CodeError,
    CodeOutput,
    CodeReply,
    ExecutionLogs,
    Language,
    RunCode,
)

from .samples import SAMPLES
from .service import Sent, Service, always, session_of, tool_says
from .ws_service import Answer, Call, WsService, in_turn, session_at, silent


def _code(text: str = "", *, is_error: bool = False) -> tuple[AsyncCode, Service]:
    service = Service(always(lambda: tool_says(text, is_error=is_error)))
    return AsyncCode(session_of(service)), service


async def _answered(text: object, *, is_error: bool = False) -> EnhancedCodeExecutionResult:
    code, _ = _code(text if isinstance(text, str) else json.dumps(text), is_error=is_error)
    return await code.run_code("x", "python")


def _arguments(service: Service) -> Any:
    (sent,) = service.sent
    assert sent.form["Name"] == "run_code"
    return json.loads(sent.form["Args"])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("0.10/026-run-code-CallMcpTool.http", "print(1)"),
        ("0.22-async/032-run-code-CallMcpTool.http", "print(1+1)"),
        ("0.22-sync/010-run-code-CallMcpTool.http", "print(1)"),
    ],
)
async def test_a_run_sends_what_was_recorded(name: str, text: str) -> None:
    code, service = _code()
    await code.run_code(text, "python")
    head, _, body = (SAMPLES / name).read_bytes().decode().partition("\r\n\r\n")
    assert _arguments(service) == json.loads(Sent.read(head.split()[1], body).form["Args"])


async def test_all_arguments_are_sent() -> None:
    code, service = _code()
    await code.run_code("1 + 1", "r", 5)
    assert _arguments(service) == {"code": "1 + 1", "language": "r", "timeout_s": 5}


async def test_parts_of_a_second_are_rounded_up() -> None:
    code, service = _code()
    await code.run_code("x", "java", timeout_s=0.2)
    assert _arguments(service)["timeout_s"] == 1


@pytest.mark.parametrize("name", ["run_code", "run", "execute"])
async def test_every_name_of_the_method_runs_code(name: str) -> None:
    code, service = _code("hi\n")
    assert (await getattr(code, name)("x", "python", timeout_s=3)).result == "hi\n"
    assert _arguments(service)["timeout_s"] == 3


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("python", "python"),
        (" Python ", "python"),
        ("py", "python"),
        ("PYTHON3", "python"),
        ("js", "javascript"),
        ("node", "javascript"),
        ("NodeJS", "javascript"),
        ("JavaScript", "javascript"),
        ("R", "r"),
        ("java", "java"),
        (Language.R, "r"),
    ],
)
async def test_languages_have_other_names_and_any_case(given: str, sent: str) -> None:
    code, service = _code()
    assert (await code.run_code("x", given)).success
    assert _arguments(service)["language"] == sent


@pytest.mark.parametrize("language", ["ruby", "", "pythonista", None, 5])
async def test_other_languages_are_refused_before_anything_is_sent(language: Any) -> None:
    code, service = _code()
    result = await code.run_code("x", language)
    assert isinstance(result.error, InvalidInputError)
    assert result.error_message == (
        f"Unsupported language: {language}. "
        "Supported languages are 'python', 'javascript', 'r', and 'java'"
    )
    assert service.sent == []


@pytest.mark.parametrize("text", ["", " \n", None, 5])
async def test_code_that_is_no_text_is_refused_before_anything_is_sent(text: Any) -> None:
    code, service = _code()
    assert isinstance((await code.run_code(text, "python")).error, InvalidInputError)
    assert service.sent == []


@pytest.mark.parametrize("limit", [0, -1, True, "5", None, float("nan"), float("inf")])
async def test_a_limit_that_makes_no_sense_is_refused_before_anything_is_sent(limit: Any) -> None:
    code, service = _code()
    assert isinstance((await code.run_code("x", "python", limit)).error, InvalidInputError)
    assert service.sent == []


# -- shapes of an answer ---------------------------------------------------------------


@pytest.mark.parametrize("text", ["Hello, World!\n2\n", "", "5", "[1, 2]", '"x"', "null", "{"])
async def test_plain_text_is_the_output(text: str) -> None:
    result = await _answered(text)
    assert (result.success, result.result, result.data, result.unwrap()) == (True, *[text] * 3)
    assert result.logs == ExecutionLogs([text])
    assert result.results == [CodeOutput(text, is_main_result=True)]
    assert (result.execution_count, result.execution_time) == (None, 0.0)
    assert (result.error, result.error_message, result.request_id) == (None, "", "r-1")


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}\n',
        "{}",
        '{"result": 5}',
        '{"result": [1, 2]}',
        '{"result": []}',
        '{"result": [{"id": 1}]}',
        '{"results": [{"id": 1}]}',
        '{"error": "x"}',
        '{"error": {"code": 1}}',
        '{"logs": ["a"]}',
        '{"content": "x"}',
        '{"content": []}',
        '{"executionError": {"a": 1}}',
    ],
)
async def test_an_object_that_the_code_printed_is_its_output(text: str) -> None:
    # Recorded clients report a failure, or lose the text.
    result = await _answered(text)
    assert (result.success, result.result) == (True, text)


_RICH: dict[str, Any] = {
    "executionError": "",
    "result": [
        '{"isMainResult":true,"text/plain":"4"}',
        {"isMainResult": False, "text/html": "<h1>x</h1>"},
    ],
    "stdout": ["hi\n", "ho\n"],
    "stderr": ["w\n"],
    "execution_count": 1,
    "execution_time": 0.12,
}


async def test_a_list_of_results_is_read() -> None:
    result = await _answered(_RICH)
    assert (result.success, result.result, result.error_message) == (True, "4", "")
    assert result.logs == ExecutionLogs(["hi\n", "ho\n"], ["w\n"])
    assert result.results == [CodeOutput("4", is_main_result=True), CodeOutput(html="<h1>x</h1>")]
    assert (result.execution_count, result.execution_time) == (1, 0.12)


async def test_both_spellings_of_the_numbers_are_read() -> None:
    result = await _answered({"result": [], "executionCount": 3, "executionTime": 2, "stdout": []})
    assert (result.execution_count, result.execution_time) == (3, 2.0)


@pytest.mark.parametrize(
    ("item", "output"),
    [
        ("plain", CodeOutput("plain")),
        ("5", CodeOutput("5")),
        ('"x"', CodeOutput('"x"')),
        ('{"a": 1}', CodeOutput('{"a": 1}')),
        (json.dumps(json.dumps({"text/plain": "4"})), CodeOutput("4")),
        ({"text": "4", "is_main_result": True}, CodeOutput("4", is_main_result=True)),
        ({"text/plain": ["a\n", "b"]}, CodeOutput("a\nb")),
        ({"text/html": "h"}, CodeOutput(html="h")),
        ({"html": "h"}, CodeOutput(html="h")),
        ({"text/markdown": "m"}, CodeOutput(markdown="m")),
        ({"markdown": "m"}, CodeOutput(markdown="m")),
        ({"image/png": "aGk="}, CodeOutput(png="aGk=")),
        ({"png": "aGk="}, CodeOutput(png="aGk=")),
        ({"image/jpeg": "aGk="}, CodeOutput(jpeg="aGk=")),
        ({"jpeg": "aGk="}, CodeOutput(jpeg="aGk=")),
        ({"image/svg+xml": "<svg/>"}, CodeOutput(svg="<svg/>")),
        ({"svg": "<svg/>"}, CodeOutput(svg="<svg/>")),
        ({"application/json": {"a": 1}}, CodeOutput(json={"a": 1})),
        ({"json": [1]}, CodeOutput(json=[1])),
        ({"text/latex": "$x$"}, CodeOutput(latex="$x$")),
        ({"latex": "$x$"}, CodeOutput(latex="$x$")),
        ({"application/vnd.vegalite.v4+json": {"v": 4}}, CodeOutput(chart={"v": 4})),
        ({"application/vnd.vegalite.v5+json": {"v": 5}}, CodeOutput(chart={"v": 5})),
        ({"chart": {"v": 1}}, CodeOutput(chart={"v": 1})),
    ],
)
async def test_a_value_is_read_in_every_format(item: Any, output: CodeOutput) -> None:
    assert (await _answered({"result": [item], "stdout": []})).results == [output]
    assert (await _answered({"results": [item], "logs": {}})).results == [output]


def test_formats_names_what_is_there() -> None:
    assert CodeOutput("a", png="aGk=", is_main_result=True).formats() == ["text", "png"]
    assert CodeOutput().formats() == []


@pytest.mark.parametrize("is_error", [False, True])
async def test_an_execution_error_is_a_failure_with_a_message(is_error: bool) -> None:
    # Recorded clients leave the message empty.
    text = "Traceback (most recent call last): ...\nNameError: name 'x' is not defined"
    result = await _answered({**_RICH, "executionError": text}, is_error=is_error)
    assert (result.success, result.error_message) == (False, text)
    assert isinstance(result.error, ExecutionError)
    assert (result.error.name, result.error.value) == ("ExecutionError", text)
    assert (result.error.tool, result.error.request_id) == ("run_code", "r-1")
    assert result.logs.stdout == ["hi\n", "ho\n"]
    assert result.results[0].text == "4"
    with pytest.raises(ExecutionError, match="NameError"):
        result.unwrap()


async def test_an_execution_error_alone_is_a_failure() -> None:
    result = await _answered({"executionError": "boom"})
    assert (result.success, result.error_message, result.results) == (False, "boom", [])


async def test_logs_and_results_are_read() -> None:
    result = await _answered(
        {
            "logs": {"stdout": ["a"], "stderr": "b"},
            "results": [{"text": "first"}, {"text": "main", "is_main_result": True}],
            "error": None,
            "execution_count": 2,
            "execution_time": 0.5,
            "isError": False,
        }
    )
    assert (result.success, result.result) == (True, "main")
    assert result.logs == ExecutionLogs(["a"], ["b"])
    assert (result.execution_count, result.execution_time) == (2, 0.5)


@pytest.mark.parametrize("marked", [{}, {"isError": True}, {"isError": False}])
async def test_an_error_among_the_logs_is_a_failure_however_it_is_marked(
    marked: dict[str, bool],
) -> None:
    # Recorded clients report a success when it is not marked.
    error = {"name": "NameError", "value": "no x", "traceback": ["line 1\n", "line 2"]}
    result = await _answered({"logs": {"stdout": ["a"]}, "results": [], "error": error, **marked})
    assert (result.success, result.error_message) == (False, "NameError: no x")
    assert isinstance(result.error, ExecutionError)
    assert (result.error.name, result.error.value) == ("NameError", "no x")
    assert result.error.traceback == "line 1\nline 2"
    assert result.result == "a"


@pytest.mark.parametrize("inside", [True, False])
async def test_a_failure_that_names_no_error_has_one(inside: bool) -> None:
    data: dict[str, Any] = {
        "logs": {"stdout": [], "stderr": ["bad\n"]},
        "results": [],
        "isError": inside,
    }
    result = await _answered(data, is_error=not inside)
    assert isinstance(result.error, ExecutionError)
    assert (result.success, result.error_message) == (False, "bad\n")
    silent = await _answered({**_RICH, "stderr": []}, is_error=True)
    assert silent.error_message == "the code failed"


async def test_an_answer_within_an_answer_is_read() -> None:
    def wrap(text: str, **more: Any) -> str:
        return json.dumps({"content": [{"type": "text", "text": text}], **more})

    rich = json.dumps(_RICH)
    assert (await _answered(wrap(rich))).result == "4"
    assert (await _answered(wrap(wrap(rich), isError=False))).result == "4"
    assert (await _answered(wrap("hi\n"))).result == "hi\n"
    assert (await _answered(wrap('{"logs": {"stdout": ["a"]}}'))).result == "a"
    failed = await _answered(wrap("NameError: x", isError=True))
    assert (failed.success, failed.error_message) == (False, "NameError: x")
    assert not (await _answered(wrap(rich, isError=True))).success


@pytest.mark.parametrize("text", ["NameError: name 'x' is not defined", '{"a": 1}'])
async def test_a_tool_that_fails_tells_its_reason(text: str) -> None:
    result = await _answered(text, is_error=True)
    assert isinstance(result.error, ExecutionError)
    assert isinstance(result.error, ToolError)
    assert (result.success, result.error_message, result.error.value) == (False, text, text)
    assert (result.result, result.results, result.request_id) == ("", [], "r-1")


async def test_a_number_of_a_failure_is_its_code() -> None:
    text = "Execution failed. Error code:-32601 Error message: no such tool"
    result = await _answered(text, is_error=True)
    assert (result.error_message, result.code) == ("no such tool", "-32601")
    assert (await _answered("", is_error=True)).error_message == "the tool gave no reason"


@pytest.mark.parametrize(
    ("outputs", "stdout", "result"),
    [
        ([CodeOutput("a"), CodeOutput("b", is_main_result=True)], ["x"], "b"),
        ([CodeOutput("a"), CodeOutput(png="p", is_main_result=True)], ["x"], "a"),
        ([CodeOutput(png="p")], ["x", "y"], "xy"),
        ([], ["x", "y"], "xy"),
        ([], [], ""),
    ],
)
def test_the_result_is_the_main_value_or_what_was_printed(
    outputs: list[CodeOutput], stdout: list[str], result: str
) -> None:
    logs = ExecutionLogs(stdout)
    assert EnhancedCodeExecutionResult("r-1", True, logs=logs, results=outputs).result == result


@pytest.mark.parametrize(
    "reply",
    [
        CodeReply(),
        CodeReply([CodeOutput("é", json={"a": [1]}, is_main_result=True), CodeOutput()]),
        CodeReply([], ExecutionLogs(["a", '{"b": 1}'], ["c"]), None, 3, 0.5),
        CodeReply([], ExecutionLogs(["a"]), CodeError("NameError", "no x", "line 1")),
        CodeReply(error=CodeError(value="boom")),
    ],
)
def test_what_the_engine_writes_is_read_back(reply: CodeReply) -> None:
    call = RunCode("x", Language.PYTHON)
    content = call.write(reply)
    assert not content.is_error
    assert call.parse(content) == reply


def test_a_call_is_read_back_in_any_spelling_of_its_language() -> None:
    call = RunCode("x", Language.PYTHON, 5)
    assert RunCode.from_arguments(call.arguments()) == call
    assert RunCode.from_arguments({"code": "x", "language": "py", "timeout_s": 5}) == call


def test_an_answer_that_is_deeply_nested_is_text() -> None:
    text = '{"content":' * 5000
    assert RunCode("x", Language.PYTHON).parse(Content(text)).logs.stdout == [text]


# -- streams ---------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[WsService]:
    with WsService(_runs()) as running:
        yield running


@pytest.fixture
async def streaming(server: WsService) -> AsyncIterator[AsyncCode]:
    session = session_at(server)
    yield AsyncCode(session)
    await session._connections.aclose()


def _tells(kind: str, **content: Any) -> Answer:
    return lambda call: call.event(seq=1, eventType=kind, **content)


def _runs(*events: Answer, **end: Any) -> Answer:
    return in_turn(*events, lambda call: call.end(seq=9, **{"status": "finished", **end}))


_TOLD = (
    _tells("stdout", chunk="hello\n"),
    _tells("stderr", chunk="warn\n"),
    _tells("stdout", chunk="bye\n"),
    _tells("progress", percent=5),
    _tells("result", result={"isMainResult": True, "mime": {"text/plain": "2"}}),
)


class _Heard:
    """Callbacks that remember what they are told, and in which order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    @property
    def callbacks(self) -> dict[str, Any]:
        return {f"on_{kind}": partial(self._hear, kind) for kind in ("stdout", "stderr", "error")}

    def _hear(self, kind: str, told: object) -> None:
        self.told.append((kind, told))


async def _streamed(
    server: WsService, streaming: AsyncCode, answer: Answer, heard: _Heard | None = None
) -> EnhancedCodeExecutionResult:
    server.answer = answer
    callbacks = heard.callbacks if heard else {}
    return await streaming.run_code("x", "python", 60, stream_beta=True, **callbacks)


def _recorded_stream() -> list[dict[str, Any]]:
    lines = (SAMPLES / "0.22-async/ws-frames.jsonl").read_text().splitlines()
    recorded = (json.loads(line) for line in lines if line)
    return [json.loads(line["text"]) for line in recorded if line["step"] == "ws-run-code"]


async def test_a_stream_sends_what_was_recorded_and_reads_the_answer(
    server: WsService, streaming: AsyncCode
) -> None:
    asked, *answers = _recorded_stream()

    def answer(call: Call) -> None:
        for frame in answers:
            call.send(**{**frame, "invocationId": call.id})

    server.answer = answer
    result = await streaming.run_code('print("hello")', "python", stream_beta=True)
    (sent,) = server.frames
    assert {**sent, "invocationId": asked["invocationId"]} == asked
    assert (result.success, result.result, result.request_id) == (True, "2", sent["invocationId"])
    assert result.logs == ExecutionLogs(["hello\n"], ["warn\n"])
    assert (result.execution_count, result.execution_time) == (1, 0.1)


async def test_a_stream_goes_to_the_server_of_the_tool(server: WsService) -> None:
    session = session_at(server, tools=[McpTool("run_code", server="my_codespace")])
    assert (await AsyncCode(session).run_code("x", "js", 0.5, stream_beta=True)).success
    (sent,) = server.frames
    assert sent["target"] == "my_codespace"
    params = {"language": "javascript", "timeoutS": 1, "code": "x"}
    assert sent["data"] == {"method": "run_code", "mode": "stream", "params": params}


async def test_a_stream_is_told_while_it_runs(server: WsService, streaming: AsyncCode) -> None:
    heard = _Heard()
    result = await _streamed(server, streaming, _runs(*_TOLD, executionCount=3), heard)
    assert heard.told == [("stdout", "hello\n"), ("stderr", "warn\n"), ("stdout", "bye\n")]
    assert result.logs == ExecutionLogs(["hello\n", "bye\n"], ["warn\n"])
    assert result.results == [CodeOutput("2", is_main_result=True)]
    assert (result.success, result.execution_count, result.error_message) == (True, 3, "")


async def test_what_is_printed_is_told_before_the_end(
    server: WsService, streaming: AsyncCode
) -> None:
    calls: list[Call] = []
    server.answer = in_turn(calls.append, _tells("stdout", chunk="a"))

    async def go_on(_: str) -> None:
        calls[0].end(status="finished")

    result = await streaming.run_code("x", "python", stream_beta=True, on_stdout=go_on)
    assert result.success


async def test_callbacks_are_for_streams_only() -> None:
    heard = _Heard()
    code, service = _code("hi\n")
    assert (await code.run_code("x", "python", **heard.callbacks)).success
    assert (heard.told, len(service.sent)) == ([], 1)


async def test_an_error_of_a_stream_is_structured(server: WsService, streaming: AsyncCode) -> None:
    # Recorded clients leave the message empty.
    heard = _Heard()
    error = {"code": "NameError", "message": "no x", "traceId": "t-1"}
    answer = _runs(*_TOLD, _tells("error", error=error), executionError="boom")
    result = await _streamed(server, streaming, answer, heard)
    assert (result.success, result.error_message) == (False, "NameError: no x")
    assert isinstance(result.error, ExecutionError)
    assert (result.error.name, result.error.value) == ("NameError", "no x")
    assert (result.error.traceback, result.error.tool) == ("traceId=t-1", "run_code")
    assert result.error.request_id == result.request_id == server.frames[0]["invocationId"]
    assert result.logs.stdout == ["hello\n", "bye\n"]
    assert heard.told[-1] == ("error", error)
    assert len([kind for kind, _ in heard.told if kind == "error"]) == 1


@pytest.mark.parametrize(
    ("end", "message"),
    [
        ({"executionError": "boom"}, "boom"),
        ({"status": "failed"}, "warn\n"),
        ({"status": "failed", "executionError": "boom"}, "boom"),
    ],
)
async def test_an_error_at_the_end_of_a_stream_is_structured(
    server: WsService, streaming: AsyncCode, end: dict[str, Any], message: str
) -> None:
    heard = _Heard()
    result = await _streamed(server, streaming, _runs(*_TOLD, **end), heard)
    assert (result.success, result.error_message, result.result) == (False, message, "2")
    assert isinstance(result.error, ExecutionError)
    assert heard.told[-1] == ("error", result.error)


@pytest.mark.parametrize(
    ("refusal", "message", "name", "trace"),
    [
        (
            {"data": {"phase": "error", "code": "E1", "message": "boom", "traceId": "tr"}},
            "E1: boom",
            "E1",
            "traceId=tr",
        ),
        (
            {"source": "WEBSOCKET_SERVER", "data": {"error": "target not found"}},
            "target not found",
            "ExecutionError",
            "",
        ),
        ({"data": {"error": "bad"}}, "bad", "ExecutionError", ""),
    ],
)
async def test_a_stream_that_is_broken_off_keeps_what_was_printed(
    server: WsService,
    streaming: AsyncCode,
    refusal: dict[str, Any],
    message: str,
    name: str,
    trace: str,
) -> None:
    heard = _Heard()
    answer = in_turn(*_TOLD, lambda call: call.send(**refusal))
    result = await _streamed(server, streaming, answer, heard)
    assert (result.success, result.error_message) == (False, message)
    assert isinstance(result.error, ExecutionError)
    assert (result.error.name, result.error.traceback) == (name, trace)
    assert result.logs.stdout == ["hello\n", "bye\n"]
    assert result.results[0].text == "2"
    assert result.request_id == server.frames[0]["invocationId"]
    assert heard.told[-1] == ("error", result.error)


_NONSENSE: list[Answer] = [
    _tells("stdout", chunk={"a": 1}),
    _runs(executionCount="x"),
    lambda call: call.send(data={"eventType": "stdout"}),
]


@pytest.mark.parametrize("answer", _NONSENSE)
async def test_a_stream_that_makes_no_sense_is_a_failure(
    server: WsService, streaming: AsyncCode, answer: Answer
) -> None:
    result = await _streamed(server, streaming, answer)
    assert isinstance(result.error, ProtocolError)
    assert result.request_id == server.frames[0]["invocationId"]


async def test_a_stream_that_does_not_end_is_given_up(
    server: WsService, streaming: AsyncCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Recorded clients wait for ever.
    take = Stream.take

    def shorten(stream: Stream, frame: Frame, size: int) -> None:
        take(stream, frame, size)
        if stream._deadline is not None:
            stream._deadline = anyio.current_time() + 0.2

    monkeypatch.setattr(Stream, "take", shorten)
    server.answer = _tells("stdout", chunk="a")
    with anyio.fail_after(20):
        result = await streaming.run_code("x", "python", 1, stream_beta=True)
    assert isinstance(result.error, RequestTimeoutError)
    assert result.logs.stdout == ["a"]


async def test_a_connection_that_is_lost_is_a_failure(
    server: WsService, streaming: AsyncCode
) -> None:
    result = await _streamed(server, streaming, lambda call: call.drop())
    assert isinstance(result.error, WsConnectionClosedError)


async def test_a_connection_that_is_refused_is_a_failure(
    server: WsService, streaming: AsyncCode
) -> None:
    server.refuse = 401
    result = await _streamed(server, streaming, silent)
    assert isinstance(result.error, WsHandshakeRejectedError)


async def test_a_session_without_websocket_has_no_streams() -> None:
    code = AsyncCode(session_at(None))
    heard = _Heard()
    result = await code.run_code("x", "python", stream_beta=True, **heard.callbacks)
    assert isinstance(result.error, SessionError)
    assert result.error_message == "ws_url is not available for this session"
    assert heard.told == [("error", result.error)]


async def test_what_a_callback_raises_ends_the_stream_and_reaches_the_caller(
    server: WsService, streaming: AsyncCode
) -> None:
    def fail(_: str) -> None:
        raise LookupError("mine")

    server.answer = _tells("stdout", chunk="a")
    with pytest.raises(LookupError, match="mine"):
        await streaming.run_code("x", "python", stream_beta=True, on_stdout=fail)
    server.answer = _runs()
    assert (await streaming.run_code("x", "python", stream_beta=True)).success


async def test_what_makes_no_sense_is_refused_before_a_stream(
    server: WsService, streaming: AsyncCode
) -> None:
    wrong: Any
    for wrong in (("", "python"), ("x", "ruby"), ("x", "python", 0)):
        result = await partial(streaming.run_code, stream_beta=True)(*wrong)
        assert isinstance(result.error, InvalidInputError)
    wrong = 5
    result = await streaming.run_code("x", "python", stream_beta=True, on_stderr=wrong)
    assert isinstance(result.error, InvalidInputError)
    assert server.handshakes == []


async def test_a_run_can_be_gone_through(server: WsService, streaming: AsyncCode) -> None:
    server.answer = _runs(*_TOLD)
    events = [event async for event in streaming.run_code_stream("x", "py", 5)]
    assert [(event.kind, event.chunk) for event in events] == [
        ("stdout", "hello\n"),
        ("stderr", "warn\n"),
        ("stdout", "bye\n"),
        ("result", None),
    ]
    assert events[-1].result == CodeOutput("2", is_main_result=True)
    params = {"language": "python", "timeoutS": 5, "code": "x"}
    assert server.frames[0]["data"]["params"] == params


async def test_a_run_that_fails_raises_behind_its_events(
    server: WsService, streaming: AsyncCode
) -> None:
    server.answer = _runs(_tells("stdout", chunk="a"), executionError="boom")
    events = streaming.run_code_stream("x", "python")
    assert (await anext(events)).chunk == "a"
    with pytest.raises(ExecutionError, match="boom"):
        await anext(events)
    with pytest.raises(InvalidInputError):
        await anext(streaming.run_code_stream("x", "ruby"))
