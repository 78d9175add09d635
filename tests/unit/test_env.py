"""Environment variables: what is sent, what is read, what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentbay import AsyncSession, InvalidInputError, ProtocolError, ToolError
from agentbay._async.env import AsyncEnv
from agentbay.protocol._calls import Content
from agentbay.protocol.env import GetEnv, SetEnv, Variable

from .service import Service, always, session_of, tool_says
from .test_samples import SAMPLES


def _env(text: str = "", *, is_error: bool = False) -> tuple[AsyncEnv, AsyncSession, Service]:
    service = Service(always(lambda: tool_says(text, is_error=is_error)))
    session = session_of(service)
    return AsyncEnv(session), session, service


def _sent(service: Service) -> tuple[str, Any, str]:
    (sent,) = service.sent
    return sent.form["Name"], json.loads(sent.form["Args"]), sent.form["Server"]


def _recorded(name: str) -> dict[str, Any]:
    raw = (SAMPLES / "0.22-async" / name).read_text().replace("\r\n", "\n")
    body: dict[str, Any] = json.loads(raw.partition("\n\n")[2])
    return body


async def test_set_sends_what_was_recorded() -> None:
    env, _, service = _env()
    result = await env.set({"A": "1"})
    sample = _recorded("044-link-env-set-POST-link-callTool.http")
    assert _sent(service) == (sample["tool"], sample["args"], sample["server"])
    assert (result.success, result.data, result.request_id) == (True, True, "r-1")


async def test_get_sends_what_was_recorded() -> None:
    env, _, service = _env('{"A": "1"}')
    result = await env.get(["A"])
    sample = _recorded("045-link-env-get-POST-link-callTool.http")
    assert _sent(service) == (sample["tool"], sample["args"], sample["server"])
    assert (result.envs, result.unwrap()) == ({"A": "1"}, {"A": "1"})


@pytest.mark.parametrize("keys", [None, [], ()])
async def test_get_without_names_asks_for_everything(keys: Any) -> None:
    env, _, service = _env("{}")
    assert (await env.get(keys)).unwrap() == {}
    assert _sent(service) == ("get_env", {}, "wuying_system")


async def test_both_tools_are_listed_once_and_keep_the_server_that_was_told() -> None:
    env, session, _ = _env("{}")
    await env.get()
    await env.set({"A": ""})
    names = [(tool.name, tool.server) for tool in session.mcp_tools]
    assert names == [("set_env", "wuying_system"), ("get_env", "wuying_system")]


@pytest.mark.parametrize(
    ("text", "envs"),
    [
        ('{"A": "1", "é": "ü\\n"}', {"A": "1", "é": "ü\n"}),
        ('{"A": 1}', {"A": "1"}),
        ('{"A": null}', {}),
        (" {} ", {}),
    ],
)
async def test_the_variables_are_read(text: str, envs: dict[str, str]) -> None:
    env, _, _ = _env(text)
    assert (await env.get()).unwrap() == envs


@pytest.mark.parametrize("text", ["", "A=1", "[]", "null", '{"A": {}}', '{"A": ["x"]}', "{"])
async def test_variables_that_cannot_be_read_are_a_failure(text: str) -> None:
    # Recorded clients report an empty success.
    env, _, _ = _env(text)
    result = await env.get()
    assert (result.success, result.envs) == (False, {})
    assert isinstance(result.error, ProtocolError)
    assert result.request_id == "r-1"


@pytest.mark.parametrize("text", ["", "ok", "{}", "failed? no"])
async def test_set_succeeds_whatever_the_tool_says(text: str) -> None:
    env, _, _ = _env(text)
    assert (await env.set({"A": "1"})).unwrap() is True


async def test_a_tool_that_fails_is_a_failure() -> None:
    text = "Execution failed. Error code:-7 Error message: no room"
    env, _, _ = _env(text, is_error=True)
    for result in (await env.set({"A": "1"}), await env.get()):
        assert isinstance(result.error, ToolError)
        assert (result.success, result.error_message, result.code) == (False, "no room", "-7")
    assert (await env.get()).envs == {}


@pytest.mark.parametrize(
    ("envs", "message"),
    [
        ({}, "envs must not be empty"),
        ({1: "a"}, "All environment variable keys must be strings, got int for key '1'"),
        ({"A": 1}, "All environment variable values must be strings, got int for key 'A'"),
        ({"A": None}, "values must be strings"),
        ({"": "a"}, "''"),
        ({"A=B": "a"}, "'A=B'"),
        ({"A\0": "a"}, "name of an environment variable"),
        ({"A": "secret\0"}, "without NUL"),
        ("A=1", "envs must be a mapping"),
        (None, "envs must be a mapping"),
        ([("A", "1")], "envs must be a mapping"),
    ],
)
async def test_bad_variables_are_refused_before_anything_is_sent(envs: Any, message: str) -> None:
    env, session, service = _env()
    result = await env.set(envs)
    assert isinstance(result.error, InvalidInputError)
    assert isinstance(result.error, ValueError)
    assert message in result.error_message
    assert "secret" not in result.error_message
    assert (service.sent, session.mcp_tools) == ([], [])


@pytest.mark.parametrize("keys", ["PATH", [""], ["A=B"], [1], ["A\0"]])
async def test_bad_names_are_refused_before_anything_is_sent(keys: Any) -> None:
    # Recorded clients send whatever they get.
    env, _, service = _env("{}")
    assert isinstance((await env.get(keys)).error, InvalidInputError)
    assert service.sent == []


async def test_values_are_not_shown() -> None:
    env, _, _ = _env('{"A": "hush"}')
    assert "hush" not in repr(await env.get())
    assert "hush" not in repr(SetEnv([Variable("A", "hush")]))


def test_what_the_engine_writes_is_read_back() -> None:
    assert GetEnv().parse(GetEnv().write({"A": "é"})) == {"A": "é"}
    SetEnv([Variable("A", "1")]).parse(Content(""))
    call = SetEnv([Variable("A", "1")])
    assert SetEnv.from_arguments(call.arguments()) == call
