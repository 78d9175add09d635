"""What tests of behaviour see from outside: requests and directories."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import httpx

from agentbay import AsyncSession

from .services import Service


class CountingTransport(httpx.AsyncBaseTransport):
    """Leads to a service, and remembers what was sent.

    Attributes:
        actions: The names of actions, or else paths.
        moments: When each of them was sent, in seconds.
    """

    def __init__(self, service: Service) -> None:
        self._way = service.transport()
        self.actions: list[str] = []
        self.moments: list[float] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.actions.append(request.headers.get("x-acs-action", request.url.path))
        self.moments.append(time.monotonic())
        return await self._way.handle_async_request(request)

    async def aclose(self) -> None:
        await self._way.aclose()


async def shell(session: AsyncSession, command: str) -> str:
    """What a command prints; it must succeed."""
    return (await session.command.run(command)).unwrap()


def session_directories() -> set[str]:
    """The names of the directories in which the engines of this run keep sessions."""
    home = Path(os.environ["AGENTBAY_LOCAL_HOME"])
    return {path.name for path in home.glob("engines/*/session-*")}


def session_processes() -> list[int]:
    """The processes of sessions; what is kept ready for the next session is not one's."""
    home = Path(os.environ["AGENTBAY_LOCAL_HOME"])
    lines: dict[int, str] = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines[int(path.parent.name)] = os.fsdecode(path.read_bytes())
    # The directory of a session that got what was ready is called otherwise than before.
    ready = [path.name for path in home.glob("engines/*/spare-*")]
    ours = {pid: line for pid, line in lines.items() if str(home) in line}
    return [pid for pid, line in ours.items() if not any(name in line for name in ready)]
