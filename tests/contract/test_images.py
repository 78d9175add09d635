"""Images and skills, as a user of the client sees them."""

from __future__ import annotations

import pytest

from agentbay import AsyncAgentBay, CreateSessionParams, NetworkResult, ToolError

from .observing import session_directories, shell


@pytest.mark.parametrize("image", ["linux_latest", "code_latest", "browser_latest"])
async def test_a_session_has_the_image_and_its_tools(bay: AsyncAgentBay, image: str) -> None:
    async with bay.session(CreateSessionParams(image_id=image)) as session:
        tools = {tool.name for tool in (await session.list_mcp_tools()).unwrap()}

        assert await shell(session, "echo hello") == "hello\n"
        assert {"shell", "read_file", "get_env", "get_metrics"} <= tools
        (entry,) = [e for e in (await bay.list(image_id=image)).unwrap() if e == session.session_id]
        assert entry.image_id == image


@pytest.mark.engine_only
async def test_a_tool_that_the_image_lacks_fails_and_names_one_that_has_it(
    bay: AsyncAgentBay,
) -> None:
    async with bay.session(CreateSessionParams(image_id="browser_latest")) as session:
        result = await session.call_mcp_tool("run_code", {"code": "1", "language": "python"})

        assert isinstance(result.error, ToolError)
        assert "browser_latest does not have run_code" in result.error_message
        assert "code_latest" in result.error_message


@pytest.mark.engine_only
async def test_a_tool_that_no_image_has_fails_with_the_reason(bay: AsyncAgentBay) -> None:
    async with bay.session() as session:
        result = await session.call_mcp_tool("get_clickable_ui_elements", {})

        assert isinstance(result.error, ToolError)
        assert "get_clickable_ui_elements" in result.error_message


@pytest.mark.engine_only
@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ("windows_latest", "Windows"),
        ("android_12", "Android"),
        ("imgc-0123", "your account"),
        ("linux_2019", "does not know"),
    ],
)
async def test_an_image_that_is_not_here_is_refused_with_the_reason(
    bay: AsyncAgentBay, image: str, reason: str
) -> None:
    before = session_directories()

    result = await bay.create(CreateSessionParams(image_id=image))

    assert result.code == "InvalidImage"
    assert image in result.error_message
    assert reason in result.error_message
    assert "linux_latest" in result.error_message
    assert session_directories() == before


@pytest.mark.engine_only
async def test_networks_are_refused_with_the_reason(bay: AsyncAgentBay) -> None:
    token: NetworkResult = await bay.beta_network.get_network_bind_token()
    session = await bay.create(CreateSessionParams(beta_network_id="net-1"))

    assert not token.success
    assert "network of its own" in token.error_message
    assert not session.success
    assert "NetworkId" in session.error_message


@pytest.mark.engine_only
async def test_without_a_directory_of_skills_there_are_none(bay: AsyncAgentBay) -> None:
    assert (await bay.beta_skills.get_metadata()).skills == []
    result = await bay.create(CreateSessionParams(load_skills=True))
    assert result.code == "Skill.NotFound"
    assert "AGENTBAY_LOCAL_SKILLS" in result.error_message
