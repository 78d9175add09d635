"""What is said of a session that was deleted."""

from __future__ import annotations

import pytest

from agentbay import AsyncAgentBay, AsyncSession, SessionNotFoundError
from agentbay.errors import WsHandshakeRejectedError


@pytest.fixture
async def ended() -> AsyncSession:
    async with AsyncAgentBay(endpoint="local") as bay, bay.session() as session:
        session.browser.attach()
    return session


async def test_no_browser_is_started_in_it(ended: AsyncSession) -> None:
    assert not ended.browser.is_initialized()
    assert not await ended.browser.initialize()
    assert isinstance(ended.browser.error, SessionNotFoundError)


async def test_a_terminal_is_refused_with_the_reason(ended: AsyncSession) -> None:
    with pytest.raises(WsHandshakeRejectedError, match="has ended"):
        await ended.pty.create()
