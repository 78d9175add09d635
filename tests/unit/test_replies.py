"""What becomes of every kind of reply: refusals, nonsense, other shapes, and no reply at all."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from agentbay import (
    AgentBayError,
    APIError,
    ApiResponse,
    AsyncSession,
    AuthenticationError,
    CommandTimeoutError,
    ContextNotFoundError,
    FileError,
    ProtocolError,
    RateLimitError,
    RequestTimeoutError,
    RetryPolicy,
    SessionError,
    SessionNotFoundError,
    ToolError,
    TransportError,
)
from agentbay.protocol.contexts import Context

from .service import KEY, Service, always, by_action, client, ok, session_of, tool_says

Method = Callable[[AsyncSession], Awaitable[ApiResponse]]

# Methods that give a failed result, and methods that raise `SessionError`.
RESULTS: dict[str, Method] = {
    "create": lambda s: s.agent_bay.create(),
    "get": lambda s: s.agent_bay.get("s-000001"),
    "list": lambda s: s.agent_bay.list(),
    "delete": lambda s: s.delete(),
    "call_mcp_tool": lambda s: s.call_mcp_tool("shell", {"command": "ls"}),
    "list_mcp_tools": lambda s: s.list_mcp_tools(),
    "command.run": lambda s: s.command.run("ls"),
    "read_file": lambda s: s.file_system.read_file("/a"),
    "write_file": lambda s: s.file_system.write_file("/a", "x"),
    "list_directory": lambda s: s.file_system.list_directory("/a"),
    "get_file_info": lambda s: s.file_system.get_file_info("/a"),
    "search_files": lambda s: s.file_system.search_files("/", "a"),
    "context.get": lambda s: s.agent_bay.context.get("x"),
    "context.create": lambda s: s.agent_bay.context.create("x"),
    "context.list": lambda s: s.agent_bay.context.list(),
    "context.update": lambda s: s.agent_bay.context.update(Context("c-1", "x")),
    "context.delete": lambda s: s.agent_bay.context.delete(Context("c-1", "x")),
    "session.context.info": lambda s: s.context.info(),
    "session.context.sync": lambda s: s.context.sync(),
}
RAISES: dict[str, Method] = {
    "set_labels": lambda s: s.set_labels({"a": "b"}),
    "get_labels": lambda s: s.get_labels(),
    "info": lambda s: s.info(),
    "get_link": lambda s: s.get_link(),
}
METHODS = {**RESULTS, **RAISES}

each_method = pytest.mark.parametrize("name", METHODS)


async def _failure(
    name: str, transport: httpx.AsyncBaseTransport, attempts: int = 3
) -> AgentBayError:
    """The error behind a failure, after a check that the caller learns of it as documented."""
    session = session_of(transport, retry=RetryPolicy(attempts, first_delay=0))
    if name in RAISES:
        with pytest.raises(SessionError) as caught:
            await RAISES[name](session)
        cause = caught.value.__cause__
        assert isinstance(cause, AgentBayError)
        assert (caught.value.code, caught.value.request_id) == (cause.code, cause.request_id)
        assert str(caught.value) == str(cause)
        return cause
    result = await RESULTS[name](session)
    assert not result.success
    assert result.error is not None
    assert result.error_message == str(result.error) != ""
    assert (result.code, result.request_id) == (result.error.code, result.error.request_id)
    with pytest.raises(type(result.error)):
        result.unwrap()
    return result.error


async def _refused(name: str, status: int, **envelope: Any) -> AgentBayError:
    return await _failure(name, Service(always(lambda: httpx.Response(status, json=envelope))))


# -- the service says no ---------------------------------------------------------------


@each_method
async def test_a_refusal_with_http_200_is_never_a_success(name: str) -> None:
    error = await _refused(
        name, 200, RequestId="r-7", Success=False, Code="X.Y", Message="not today", Data={}
    )
    assert isinstance(error, APIError)
    assert (error.code, error.request_id, error.status_code) == ("X.Y", "r-7", 200)
    assert str(error) == "[X.Y] not today"


@each_method
@pytest.mark.parametrize("status", [400, 500])
async def test_code_message_and_request_id_of_an_http_error_reach_the_caller(
    name: str, status: int
) -> None:
    error = await _refused(
        name, status, RequestId="r-7", Success=False, Code="X.Y", Message="not today"
    )
    assert isinstance(error, APIError)
    assert (error.code, error.request_id, error.status_code) == ("X.Y", "r-7", status)
    assert str(error) == "[X.Y] not today"


async def test_the_other_spelling_of_an_error_is_read_too() -> None:
    error = await _refused("list", 400, requestId="r-7", code="X.Y", message="not today")
    assert (error.code, error.request_id, str(error)) == ("X.Y", "r-7", "[X.Y] not today")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "NOT_LOGIN", AuthenticationError),
        (401, "", AuthenticationError),
        (400, "InvalidMcpSession.NotFound", SessionNotFoundError),
        (404, "Context.NotFound", ContextNotFoundError),
        (404, "X.Y", APIError),
        (429, "", RateLimitError),
        (400, "Throttling.User", RateLimitError),
        (500, "", APIError),
        (503, "ServiceUnavailable", APIError),
    ],
)
async def test_a_refusal_has_the_class_of_its_code_or_status(
    status: int, code: str, kind: type[APIError]
) -> None:
    error = await _refused("list", status, RequestId="r-7", Code=code, Message="no")
    assert type(error) is kind


@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b"[]", b"null", b'"x"', b"\xff\xfe"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, APIError), (401, AuthenticationError), (429, RateLimitError), (503, APIError)],
)
async def test_an_error_page_keeps_its_status(
    status: int, kind: type[APIError], body: bytes
) -> None:
    service = Service(always(lambda: httpx.Response(status, content=body)))
    error = await _failure("list", service)
    assert type(error) is kind
    assert isinstance(error, APIError)
    assert error.status_code == status
    assert str(status) in str(error)


@each_method
@pytest.mark.parametrize("body", [b"", b"<html>hello</html>", b"[]", b"null", b"\xff\xfe"])
async def test_a_reply_that_is_no_envelope_is_no_success(name: str, body: bytes) -> None:
    error = await _failure(name, Service(always(lambda: httpx.Response(200, content=body))))
    assert isinstance(error, ProtocolError)
    assert error.action in str(error)


async def test_deleting_what_is_gone_succeeds() -> None:
    body = {"RequestId": "r-7", "Code": "InvalidMcpSession.NotFound", "Message": "gone"}
    session = session_of(Service(always(lambda: httpx.Response(400, json=body))))
    result = await session.delete()
    assert (result.success, result.request_id) == (True, "r-7")


# -- replies without data, and data in other shapes ------------------------------------

_NOTHING: list[Any] = [None, {}, [], "", "{}", "null", "text", 5]
_NO_OBJECT = [data for data in _NOTHING if data not in ({}, "{}")]
_INSUFFICIENT = {
    "create": _NOTHING,
    "get_link": _NOTHING,
    "context.get": _NOTHING,
    # An object without anything in it says enough: the session exists, the tool was silent.
    "get": _NO_OBJECT,
    "info": _NO_OBJECT,
    "call_mcp_tool": _NO_OBJECT,
    "command.run": _NO_OBJECT,
}


@pytest.mark.parametrize(
    ("name", "data"), [(name, data) for name, many in _INSUFFICIENT.items() for data in many]
)
async def test_a_success_without_what_was_asked_for_is_a_failure(name: str, data: Any) -> None:
    error = await _failure(name, Service(always(lambda: ok(data))))
    assert isinstance(error, ProtocolError | ContextNotFoundError)
    assert error.request_id == "r-1"


async def test_a_create_that_the_data_calls_a_failure_is_one() -> None:
    service = Service(always(lambda: ok({"Success": False, "ErrMsg": "no machine is free"})))
    error = await _failure("create", service)
    assert "no machine is free" in str(error)


@pytest.mark.parametrize("data", [None, {}, "", "{}", {"Labels": None}, {"Labels": ""}])
async def test_a_session_without_labels_has_none(data: Any) -> None:
    assert (await session_of(Service(always(lambda: ok(data)))).get_labels()).data == {}


async def test_nothing_to_list_is_an_empty_list() -> None:
    session = session_of(Service(always(ok)))
    bay = session.agent_bay
    assert (await bay.list()).unwrap() == []
    assert (await bay.context.list()).unwrap() == []
    assert (await session.list_mcp_tools()).unwrap() == []
    assert (await session.context.info()).unwrap() == []


@pytest.mark.parametrize("as_text", [False, True])
async def test_data_may_come_as_json_text(as_text: bool) -> None:
    def reply(data: Any) -> Callable[[], httpx.Response]:
        return lambda: ok(json.dumps(data) if as_text else data)

    session = session_of(
        Service(
            by_action(
                {
                    "GetLink": reply({"Url": "https://x"}),
                    "GetLabel": reply({"Labels": '{"a": "é"}'}),
                    "ListMcpTools": reply([{"name": "shell", "inputSchema": {"type": "object"}}]),
                    "CallMcpTool": reply({"content": [{"text": "hi"}], "isError": False}),
                    "ListSession": reply([{"SessionId": "s-1", "SessionStatus": "RUNNING"}]),
                    "GetContext": reply({"Id": "c-1", "Name": "n"}),
                }
            )
        )
    )
    assert (await session.get_link()).data == "https://x"
    assert (await session.get_labels()).data == {"a": "é"}
    (tool,) = (await session.list_mcp_tools()).tools
    assert (tool.name, tool.input_schema) == ("shell", {"type": "object"})
    assert (await session.call_mcp_tool("x", {})).data == "hi"
    (found,) = (await session.agent_bay.list()).session_ids
    assert (found, found.status) == ("s-1", "RUNNING")
    assert (await session.agent_bay.context.get("n")).unwrap().id == "c-1"


@pytest.mark.parametrize(
    "tools",
    [
        [{"name": "shell", "server": "wuying_shell"}],
        [{"Name": "shell", "Server": "wuying_shell"}],
        [{"name": "shell", "serverName": "wuying_shell", "extra": 1}],
        '[{"name": "shell", "server": "wuying_shell"}]',
    ],
)
async def test_the_tools_of_a_session_are_read_in_every_spelling(tools: Any) -> None:
    service = Service(always(lambda: ok({"SessionId": "s-1", "ToolList": tools})))
    session = (await client(service).create()).unwrap()
    assert session.find_server_for_tool("shell") == "wuying_shell"
    assert session.find_server_for_tool("other") == ""


@pytest.mark.parametrize("key", ["WsUrl", "wsUrl"])
async def test_what_a_session_is_told_about_itself_is_kept(key: str) -> None:
    data = {
        "SessionId": "s-1",
        "AppInstanceId": "ai-1",
        "ResourceUrl": "https://r",
        "Token": "t",
        "LinkUrl": "https://l",
        key: "wss://w",
        "VpcResource": "true",
        "NetworkInterfaceIp": "10.0.0.7",
        "HttpPort": 8080,
        "contexts": [{"id": "c-1", "name": "n"}],
        "Later": {"unknown": 1},
    }
    service = Service(always(lambda: ok(data)))
    session = (await client(service).get("s-1")).unwrap()
    assert (session.app_instance_id, session.resource_url) == ("ai-1", "https://r")
    assert (session.token, session.link_url, session.ws_url) == ("t", "https://l", "wss://w")
    assert (session.is_vpc, session.network_interface_ip, session.http_port) == (
        True,
        "10.0.0.7",
        "8080",
    )


async def test_null_is_the_same_as_nothing() -> None:
    data = {"SessionId": "s-1", "Token": None, "ToolList": None, "VpcResource": None}
    body = {"RequestId": None, "Success": True, "Code": None, "Message": None, "Data": data}
    service = Service(always(lambda: httpx.Response(200, json=body)))
    result = await client(service).get("s-1")
    assert (result.success, result.request_id, result.unwrap().token) == (True, "", "")


@pytest.mark.parametrize("tools", [None, "", "[]", []])
async def test_a_session_may_come_without_tools(tools: Any) -> None:
    service = Service(always(lambda: ok({"SessionId": "s-1", "ToolList": tools})))
    assert (await client(service).create()).unwrap().mcp_tools == []


async def test_the_state_of_transfers_is_json_in_json() -> None:
    transfer = {
        "contextId": "c-1",
        "path": "/p",
        "status": "Failed",
        "errorMessage": "disk full",
        "startTime": 1,
        "finishTime": 2,
        "taskType": "upload",
    }
    groups = [{"type": "data", "data": json.dumps([transfer])}, {"type": "other", "data": "[]"}]
    service = Service(always(lambda: ok({"ContextStatus": json.dumps(groups)})))
    session = session_of(service)
    (found,) = (await session.context.info()).unwrap()
    assert (found.context_id, found.error_message, found.finished) == ("c-1", "disk full", True)
    result = await session.context.sync()
    assert not result.success
    assert "disk full" in result.error_message


@pytest.mark.parametrize("status", ["{", "[1]", '[{"type": "data", "data": "{"}]'])
async def test_a_state_of_transfers_that_makes_no_sense_is_a_failure(status: str) -> None:
    service = Service(always(lambda: ok({"ContextStatus": status})))
    assert isinstance(await _failure("session.context.info", service), ProtocolError)


# -- what a tool answers ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "hello"}], "hello"),
        ([{"type": "text", "text": "first"}, {"type": "text", "text": "second"}], "first"),
        (["plain"], "plain"),
        ([{"type": "resource", "blob": "aGk="}], "aGk="),
        ([{"type": "image", "data": "aGk="}], "aGk="),
        ([{"type": "other"}], ""),
        ([], ""),
    ],
)
async def test_the_text_of_an_answer_is_found(content: Any, text: str) -> None:
    service = Service(always(lambda: ok({"content": content, "isError": False})))
    result = await session_of(service).call_mcp_tool("x", {})
    assert (result.success, result.data) == (True, text)


@pytest.mark.parametrize("piece", [5, {"text": {"a": 1}}, ["x"]])
async def test_an_answer_that_is_no_text_is_a_failure(piece: Any) -> None:
    service = Service(always(lambda: ok({"content": [piece]})))
    assert isinstance(await _failure("call_mcp_tool", service), ProtocolError)


async def test_a_tool_that_fails_tells_its_reason() -> None:
    text = "Execution failed. Error code:-32602 Error message: no such file: /a"
    service = Service(always(lambda: tool_says(text, is_error=True)))
    error = await _failure("call_mcp_tool", service)
    assert isinstance(error, ToolError)
    assert (str(error), error.code, error.tool) == (text, "-32602", "shell")
    error = await _failure("list_directory", service)
    assert isinstance(error, FileError)
    assert (str(error), error.code) == ("no such file: /a", "-32602")
    assert (error.tool, error.request_id) == ("list_directory", "r-1")


@pytest.mark.parametrize(
    ("text", "is_error", "code", "stdout", "stderr"),
    [
        ("a\n", False, 0, "a\n", ""),
        ("", False, 0, "", ""),
        ('{"a": 1}\n', False, 0, '{"a": 1}\n', ""),
        ('{"stdout": "a"}', False, 0, '{"stdout": "a"}', ""),
        ('{"exit_code":0,"stdout":"a\\n","stderr":"w"}', False, 0, "a\n", "w"),
        ('{"exit_code":3,"stdout":"a","stderr":"b","traceId":"t"}', False, 3, "a", "b"),
        ('{"exit_code":0,"stdout":"a"}', False, 0, "a", ""),
        ('{"exit_code":2,"stderr":"b"}', False, 2, "", "b"),
        ('{"stdout":"a","stderr":"b"}', False, 0, "a", "b"),
        ('{"exit_code":true,"stdout":"a"}', False, 0, '{"exit_code":true,"stdout":"a"}', ""),
        ("[1]", False, 0, "[1]", ""),
        ('{"exit_code":4,"stdout":"a","stderr":"b"}', True, 4, "a", "b"),
        ('{"errorCode":1,"stdout":"","stderr":"none","traceId":"t"}', True, 1, "", "none"),
        ("Execution failed. Error code:127 Error message: sh: 1: x: not found", True, 127, "",
         "sh: 1: x: not found"),
    ],
)  # fmt: skip
async def test_every_form_of_a_command_s_reply_is_read(
    text: str, is_error: bool, code: int, stdout: str, stderr: str
) -> None:
    service = Service(always(lambda: tool_says(text, is_error=is_error)))
    result = await session_of(service).command.run("x")
    assert (result.exit_code, result.stdout, result.stderr) == (code, stdout, stderr)
    assert result.success is (code == 0)
    assert result.data == result.output == stdout + stderr
    assert bool(result.error_message) is (code != 0)


@pytest.mark.parametrize(
    ("text", "stdout"),
    [
        ("Execution failed. Error code:-1 Error message: [timeout]", ""),
        ("Error in response: Execution failed. Error code:-1 Error message: [timeout]", ""),
        ('{"errorCode":-1,"stdout":"so far","stderr":""}', "so far"),
    ],
)
async def test_a_command_at_its_time_limit_keeps_what_it_wrote(text: str, stdout: str) -> None:
    service = Service(always(lambda: tool_says(text, is_error=True)))
    result = await session_of(service).command.run("x", timeout=2)
    assert isinstance(result.error, CommandTimeoutError)
    assert (result.success, result.exit_code, result.stdout) == (False, None, stdout)
    assert "2 s" in result.error_message


async def test_a_failure_of_a_command_may_come_as_plain_text() -> None:
    text = "sh: 1: invalid_command_12345: not found"
    service = Service(always(lambda: tool_says(text, is_error=True)))
    result = await session_of(service).command.run("invalid_command_12345")
    assert (result.success, result.exit_code, result.error_message) == (False, None, text)


async def test_a_failure_without_a_text_has_one() -> None:
    service = Service(always(lambda: tool_says("", is_error=True)))
    assert str(await _failure("command.run", service)) == "the tool gave no reason"


async def test_a_command_that_did_not_run_has_no_exit_code() -> None:
    text = "Execution failed. Error code:-32602 Error message: bad directory"
    service = Service(always(lambda: tool_says(text, is_error=True)))
    result = await session_of(service).command.run("x")
    assert (result.success, result.exit_code) == (False, None)
    assert result.error_message == "bad directory"


async def test_file_tools_read_the_texts_of_the_service() -> None:
    answers = {
        "list_directory": "[DIR] my dir\n[FILE] a [DIR] b.txt\nTotal: 2\n",
        "get_file_info": "name: test.txt\nsize: 100\nmodified: 2023-01-01T12:00:00Z\n"
        "isDirectory: FALSE\nload: 0.5\n",
        "read_multiple_files": "/a:\none\n---\ntwo: 2\n---\n/b:\nError - gone\n---\n",
        "search_files": "/x/a b\n/x/c\n",
        "get_file_change": '[{"eventType":"create","path":"/a","pathType":"file"}]',
    }
    service = Service(lambda sent: tool_says(answers[sent.form["Name"]]))
    files = session_of(service).file_system
    entries = (await files.list_directory("/")).unwrap()
    assert [(entry.name, entry.is_directory) for entry in entries] == [
        ("my dir", True),
        ("a [DIR] b.txt", False),
    ]
    facts = (await files.get_file_info("/a")).unwrap()
    assert facts == {
        "name": "test.txt",
        "size": 100,
        "modified": "2023-01-01T12:00:00Z",
        "isDirectory": False,
        "load": 0.5,
    }
    texts = (await files.read_multiple_files(["/a", "/b"])).unwrap()
    assert texts == {"/a": "one\n---\ntwo: 2", "/b": "Error - gone"}
    assert (await files.search_files("/x", "")).unwrap() == ["/x/a b", "/x/c"]
    assert (await files.get_file_change("/")).get_created_files() == ["/a"]


async def test_a_search_without_matches_succeeds() -> None:
    service = Service(always(lambda: tool_says("No matches found")))
    assert (await session_of(service).file_system.search_files("/", "x")).unwrap() == []


async def test_a_size_that_is_no_number_is_not_a_crash() -> None:
    service = Service(always(lambda: tool_says("name: a\nsize: unknown\n")))
    assert (await session_of(service).file_system.get_file_info("/a")).size == 0


# -- redirects, limits, no reply -------------------------------------------------------


@each_method
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(name: str, status: int) -> None:
    headers = {"location": "https://elsewhere.test/"}
    service = Service(always(lambda: httpx.Response(status, headers=headers)))
    error = await _failure(name, service)
    assert {request.url.host for request in service.requests} == {"service.test"}
    assert isinstance(error, APIError)
    assert error.status_code == status


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"x-acs-retry-after": "1500"}, 1.5),
        ({"x-acs-retry-after": "1500", "retry-after": "3"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "9" * 5000}, None),
    ],
)
@pytest.mark.parametrize("body", [b'{"Code": "Throttling", "Message": "slow down"}', b"busy"])
async def test_the_wait_that_the_service_asks_for_is_told(
    headers: dict[str, str], seconds: float | None, body: bytes
) -> None:
    service = Service(always(lambda: httpx.Response(429, headers=headers, content=body)))
    error = await _failure("list", service, attempts=1)
    assert isinstance(error, RateLimitError)
    assert error.retry_after == seconds


@each_method
@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (httpx.ConnectError, TransportError),
        (httpx.RemoteProtocolError, TransportError),
        (httpx.ReadTimeout, RequestTimeoutError),
        (httpx.ConnectTimeout, RequestTimeoutError),
    ],
)
async def test_no_reply_is_an_error_with_its_cause(
    name: str, raised: type[httpx.TransportError], kind: type[TransportError]
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise raised("the network said so", request=request)

    error = await _failure(name, httpx.MockTransport(answer))
    assert type(error) is kind
    assert isinstance(error.__cause__, raised)
    assert error.action in str(error)


@pytest.mark.parametrize("value", ["\ud800", "a\udcff"])
async def test_text_that_has_no_utf_8_is_refused(value: str) -> None:
    service = Service(always(ok))
    session = session_of(service)
    results = [
        await session.call_mcp_tool("x", {"a": value}),
        await session.command.run(f"echo {value}"),
        await session.agent_bay.context.get(value),
    ]
    assert [result.success for result in results] == [False] * 3
    assert all(isinstance(result.error, ValueError) for result in results)
    assert service.requests == []


# -- the key ---------------------------------------------------------------------------

_REPLIES: dict[str, Callable[[], httpx.Response]] = {
    "a success": lambda: ok({"SessionId": "s-1", "Url": "https://x"}),
    "a refusal": lambda: httpx.Response(400, json={"Code": "NOT_LOGIN", "Message": "no"}),
    "nonsense": lambda: httpx.Response(200, content=b"<html>"),
    "a redirect": lambda: httpx.Response(302, headers={"location": "https://elsewhere.test"}),
}


def _everything(error: BaseException | None) -> str:
    """All that a log or a traceback could show of an error and its causes."""
    shown: list[str] = []
    while error is not None:
        shown += [str(error), repr(error), repr(vars(error))]
        error = error.__cause__ or error.__context__
    return "\n".join(shown)


@each_method
@pytest.mark.parametrize("reply", _REPLIES)
async def test_the_key_is_in_no_error_result_repr_or_log(
    name: str, reply: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    service = Service(always(_REPLIES[reply]))
    session = session_of(service)
    shown = [repr(session), repr(session.agent_bay), repr(session.get_client())]
    try:
        result = await METHODS[name](session)
        shown += [repr(result), _everything(result.error)]
    except AgentBayError as exc:
        shown.append(_everything(exc))
    shown += [record.getMessage() + repr(record.args) for record in caplog.records]
    assert f"Bearer {KEY}" in service.sent[0].form.values()
    assert KEY not in "\n".join(shown)


async def test_a_success_is_logged_with_its_request_id_and_nothing_of_its_content(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, logger="agentbay")
    service = Service(always(lambda: tool_says("the answer")))
    await session_of(service).call_mcp_tool("x", {"question": "the question"})
    messages = [record.getMessage() for record in caplog.records if record.name != "httpx"]
    assert any(message.startswith("CallMcpTool x r-1 in ") for message in messages)
    assert "the question" not in str(messages)
    assert "the answer" not in str(messages)


async def test_the_credentials_of_a_session_are_in_no_repr() -> None:
    secret = "tok-5e6f7a8b"
    data = {
        "SessionId": "s-1",
        "Token": secret,
        "LinkUrl": f"https://l/{secret}",
        "WsUrl": f"wss://w/{secret}",
        "ResourceUrl": f"https://r/?token={secret}",
    }
    service = Service(always(lambda: ok(data)))
    result = await client(service).create()
    assert result.unwrap().token == secret
    assert secret not in repr(result)
    assert secret not in repr(result.unwrap()._data)
