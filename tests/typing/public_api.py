"""What type checkers see of the public classes. Checked by mypy and pyright, never run."""

from __future__ import annotations

from typing import assert_type

from agentbay import (
    AgentBay,
    AsyncAgentBay,
    AsyncSession,
    BinaryFileContentResult,
    CommandResult,
    FileContentResult,
    OperationResult,
    Session,
    SessionId,
    SessionInfo,
)


def blocking(bay: AgentBay, path: str) -> None:
    session = bay.create().unwrap()
    assert_type(session, Session)
    assert_type(bay.create().session, Session | None)
    assert_type(session.command.run("ls"), CommandResult)
    assert_type(session.command.exec("ls").unwrap(), str)
    assert_type(session.file_system.read_file(path), FileContentResult)
    assert_type(session.file_system.read_file(path, format="bytes"), BinaryFileContentResult)
    assert_type(session.info(), OperationResult[SessionInfo])
    assert_type(session.get_link(port=30100).unwrap(), str)
    assert_type(session.get_labels().unwrap(), dict[str, str])
    assert_type(session.agent_bay, AgentBay)
    for session_id in bay.list_all({"a": "b"}):
        assert_type(session_id, SessionId)
    with bay.session() as other:
        assert_type(other, Session)


async def awaited(bay: AsyncAgentBay, facade: AgentBay, path: str) -> None:
    session = (await bay.create()).unwrap()
    assert_type(session, AsyncSession)
    assert_type(await session.command.run("ls"), CommandResult)
    assert_type(await session.file_system.read(path, format="bytes"), BinaryFileContentResult)
    assert_type((await facade.create_async()).unwrap(), Session)
    async with facade.session_async() as other:
        assert_type(other, Session)
        assert_type((await other.get_link_async(port=30100)).unwrap(), str)
    async for session_id in bay.list_all():
        assert_type(session_id.status, str)
