"""What tests of behaviour see from outside: requests and directories."""

from __future__ import annotations

import os
from pathlib import Path

import httpx

from agentbay import AsyncSession
from agentbay.local.transport import embedded_transport


class CountingTransport(httpx.AsyncBaseTransport):
    """Leads to the embedded engine, and remembers the actions that were sent."""

    def __init__(self) -> None:
        self._engine = embedded_transport()
        self.actions: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.actions.append(request.headers["x-acs-action"])
        return await self._engine.handle_async_request(request)


async def shell(session: AsyncSession, command: str) -> str:
    """What a command prints; it must succeed."""
    return (await session.command.run(command)).unwrap()


def session_directories() -> set[str]:
    """The names of the directories in which the engines of this run keep sessions."""
    home = Path(os.environ["AGENTBAY_LOCAL_HOME"])
    return {path.name for path in home.glob("engines/*/session-*")}
