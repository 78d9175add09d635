"""What cannot be an argument is refused by its name, as a result, before anything is sent."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import pytest

from agentbay import (
    AgentBay,
    AgentBayError,
    AsyncAgentBay,
    AsyncSession,
    BrowserProxy,
    ConfigError,
    ContextSync,
    CreateSessionParams,
    InvalidInputError,
    RecyclePolicy,
    RetryPolicy,
    WhiteList,
)

from .service import Service, always, client, ok, session_of

_CALLS: list[tuple[str, str, tuple[Any, ...], dict[str, Any]]] = [
    ("args", "call_mcp_tool", ("shell", None), {}),
    ("args", "call_mcp_tool", ("shell", "ls"), {}),
    ("read_timeout", "call_mcp_tool", ("shell", {}), {"read_timeout": "5"}),
    ("connect_timeout", "get_metrics", (), {"connect_timeout": "5"}),
    ("timeout", "pause", ("5",), {}),
    ("envs", "command.run", ("true",), {"envs": ["A=1"]}),
    ("edits", "file_system.edit_file", ("/tmp/a", {"oldText": "a", "newText": "b"}), {}),
    ("edits", "file_system.edit_file", ("/tmp/a", None), {}),
    ("an edit", "file_system.edit_file", ("/tmp/a", [("a", "b")]), {}),
    ("paths", "file_system.read_multiple_files", (None,), {}),
    ("timeout", "context.sync", (), {"timeout": "5"}),
    ("timeout", "pause", (None,), {}),
    ("cwd", "command.run", ("true",), {"cwd": 5}),
    ("keys", "env.get", (5,), {}),
    ("a context", "context.bind", ("x",), {}),
    ("context_id", "context.info", (5,), {}),
    ("local_path", "file_system.upload_file", (None, "/tmp/a"), {}),
    ("local_path", "file_system.download_file", ("/tmp/a", 5), {}),
    ("progress_cb", "file_system.write_file", ("/tmp/a", "a"), {"progress_cb": "x"}),
    ("mobile_config", "mobile.configure", ("x",), {}),
]


@pytest.mark.parametrize(("named", "method", "values", "options"), _CALLS)
async def test_a_session_refuses_it(
    named: str, method: str, values: tuple[Any, ...], options: dict[str, Any]
) -> None:
    call: Any = AsyncSession(AsyncAgentBay(endpoint="local"), "session-1")
    for part in method.split("."):
        call = getattr(call, part)

    result = await call(*values, **options)

    assert not result.success
    assert isinstance(result.error, InvalidInputError)
    assert result.error_message.startswith(f"{named} must be ")


_PARTS = (
    "command file_system code oss context browser browser.operator computer mobile application "
    "window ui agent.computer agent.browser agent.mobile env git pty"
)
# What is not looked at: the repository of a setting for all of them, and a name that is unknown.
_FREE = {
    "configure_user.repo_path",
    "get_config.repo_path",
    "set_config.repo_path",
    "find_server_for_tool.tool_name",
}
_GIVEN = {
    "str": "x", "int": 5, "float": 5.0, "Mapping[str, str]": {"a": "b"}, "Sequence[str]": ["x"],
    "str | bytes": "x",
}  # fmt: skip


@pytest.mark.parametrize("part", ["", *_PARTS.split()])
async def test_a_session_sends_nothing_odd(part: str) -> None:
    service = Service(always(ok))
    assert await _accepted(service, _part(session_of(service), part)) == []


@pytest.mark.parametrize("part", ["", "context", "beta_network", "beta_skills"])
async def test_a_client_sends_nothing_odd(part: str) -> None:
    service = Service(always(ok))
    assert await _accepted(service, _part(client(service), part)) == []


def _part(whole: object, part: str) -> object:
    return attrgetter(part)(whole) if part else whole


async def _accepted(service: Service, target: object) -> list[str]:
    """The parameters for which an object of no use is sent, or ends in another error than ours."""
    found: list[str] = []
    for name, parameter, options in _calls_of(type(target)):
        service.sent.clear()
        try:
            result = await getattr(target, name)(**options)
        except AgentBayError as exc:
            fine, said = not service.sent, repr(exc)
        except Exception as exc:  # noqa: BLE001 - what the test is about
            fine, said = False, repr(exc)
        else:
            fine, said = not service.sent and not getattr(result, "success", True), repr(result)
        if not fine:
            found.append(f"{name}.{parameter}: {said}")
    return found


def _calls_of(kind: type[Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Methods, and arguments of which one is an object of no use."""
    methods = inspect.getmembers(kind, inspect.iscoroutinefunction)
    for name, method in methods:
        parameters = {
            key: value
            for key, value in list(inspect.signature(method).parameters.items())[1:]
            if value.kind is not value.VAR_POSITIONAL
        }
        needed = {
            key: _GIVEN.get(value.annotation)
            for key, value in parameters.items()
            if value.default is value.empty
        }
        for key, value in parameters.items():
            # Flags count as true or false, whatever they are.
            free = value.annotation in ("bool", "bool | None", "Any", "object")
            if not name.startswith("_") and not free and f"{name}.{key}" not in _FREE:
                yield name, key, {**needed, key: object()}


_WRONG: Any = object()
_MADE: list[tuple[Any, dict[str, Any]]] = [
    (CreateSessionParams, {"labels": [_WRONG]}),
    (CreateSessionParams, {"context_syncs": 5}),
    (CreateSessionParams, {"context_syncs": ContextSync("c-1", "/w")}),
    (CreateSessionParams, {"beta_context_mounts": 5}),
    (WhiteList, {"path": 5}),
    (RecyclePolicy, {"paths": 5}),
    (BrowserProxy, {"proxy_type": [_WRONG]}),
    (RetryPolicy, {"first_delay": _WRONG}),
    (AsyncAgentBay, {"endpoint": "local", "owner": 5}),
    (AsyncAgentBay, {"endpoint": "local", "env_file": 5}),
]


@pytest.mark.parametrize(("kind", "options"), _MADE)
def test_what_is_made_refuses_it(kind: Any, options: dict[str, Any]) -> None:
    with pytest.raises((InvalidInputError, ConfigError)):
        kind(**options)


async def test_a_started_command_refuses_it() -> None:
    session = AsyncSession(AsyncAgentBay(endpoint="local"), "session-1")
    wrong: Any = ["A=1"]
    with pytest.raises(InvalidInputError, match="envs must be a dictionary"):
        await session.command.start("true", envs=wrong)


@pytest.mark.parametrize("method", ["update", "delete", "list"])
async def test_contexts_are_objects(method: str) -> None:
    bay = AsyncAgentBay(endpoint="local")
    result = await getattr(bay.context, method)("my-context")
    assert isinstance(result.error, InvalidInputError)
    assert "my-context" in result.error_message


@pytest.mark.parametrize("method", ["delete", "pause", "resume"])
@pytest.mark.parametrize("wrong", ["session-1", None])
async def test_a_session_is_an_object(method: str, wrong: Any) -> None:
    async with AsyncAgentBay(endpoint="local") as bay:
        results = [await getattr(bay, method)(wrong)]
    with AgentBay(endpoint="local") as blocking:
        results.append(await getattr(blocking, f"{method}_async")(wrong))

    for result in results:
        assert isinstance(result.error, InvalidInputError)
        assert f"session must be a session, not {wrong!r}" in result.error_message
