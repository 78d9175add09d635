"""Our own client at an engine of a test's own, on the event loop of the test."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import attrs
import httpx
from httpx_ws import AsyncWebSocketSession, aconnect_ws

from agentbay import AsyncAgentBay, AsyncSession
from agentbay.local.app import create_app
from agentbay.local.engine import Engine, EngineOptions, engine_running
from agentbay.local.session import LocalSession
from agentbay.protocol._frames import CLIENT

ENDPOINT = "http://engine.invalid"


class Ways(httpx.AsyncBaseTransport):
    """Leads to an engine, or to its real port; remembers what went there."""

    def __init__(self, engine: Engine) -> None:
        self._engine = httpx.ASGITransport(create_app(engine))
        self._network = httpx.AsyncHTTPTransport()
        self.direct: list[httpx.Request] = []
        self.actions: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host.endswith(".invalid"):
            self.actions.append(request.headers["x-acs-action"])
            return await self._engine.handle_async_request(request)
        self.direct.append(request)
        return await self._network.handle_async_request(request)

    async def aclose(self) -> None:
        await self._network.aclose()


@attrs.frozen
class Place:
    """An engine, and a client of it."""

    engine: Engine
    bay: AsyncAgentBay
    ways: Ways

    def local(self, session: AsyncSession) -> LocalSession:
        """The engine's side of a session."""
        return self.engine.sessions[session.session_id]


@asynccontextmanager
async def engine_client(home: Path, *, tells_links: bool = False) -> AsyncGenerator[Place, None]:
    """An engine and a client of it, for the length of a block."""
    async with engine_running(EngineOptions(home, tells_links=tells_links)) as engine:
        ways = Ways(engine)
        async with AsyncAgentBay("akm-test", endpoint=ENDPOINT, transport=ways) as bay:
            yield Place(engine, bay, ways)


class RawSocket:
    """A WebSocket of a session, frame by frame."""

    def __init__(self, session: AsyncWebSocketSession) -> None:
        self.session = session

    async def send(self, target: str, data: Any, id: str = "i-1") -> None:
        frame = {"invocationId": id, "source": CLIENT, "target": target, "data": data}
        await self.session.send_text(json.dumps(frame))

    async def receive(self) -> dict[str, Any]:
        with anyio.fail_after(30):
            found: dict[str, Any] = json.loads(await self.session.receive_text())
        return found

    async def ask(self, target: str, method: str, id: str = "i-1", **params: Any) -> dict[str, Any]:
        """What the next frame of the invocation says; others are left out."""
        await self.send(target, {"method": method, "params": params}, id)
        while True:
            frame = await self.receive()
            if frame["invocationId"] == id:
                data: dict[str, Any] = frame["data"]
                return data


@asynccontextmanager
async def raw_socket(url: str, token: str) -> AsyncGenerator[RawSocket, None]:
    """A WebSocket without our client."""
    headers = {"X-Access-Token": token}
    found: AsyncWebSocketSession
    async with (
        httpx.AsyncClient() as http,
        aconnect_ws(url, http, headers=headers, keepalive_ping_interval_seconds=None) as found,
    ):
        yield RawSocket(found)
