"""What cannot be an argument is refused by its name, as a result, before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from agentbay import AgentBay, AsyncAgentBay, AsyncSession, InvalidInputError

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
