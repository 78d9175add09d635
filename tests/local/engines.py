"""An engine of a test's own, and requests to it as other clients send them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from agentbay.local.app import create_app
from agentbay.local.engine import Engine, EngineOptions, engine_running


class Requests:
    """Sends actions with plain parameters to an engine."""

    def __init__(self, engine: Engine, http: httpx.AsyncClient) -> None:
        self.engine = engine
        self._http = http

    async def __call__(self, action: str, **parameters: str) -> dict[str, Any]:
        """The whole reply."""
        reply = await self._http.post("/", params={"Action": action}, data=parameters)
        found: dict[str, Any] = reply.json()
        assert found["Success"] is (reply.status_code == 200)
        return found

    async def data(self, action: str, **parameters: str) -> Any:
        """What a reply that says yes holds."""
        reply = await self(action, **parameters)
        assert reply["Success"], reply
        return reply.get("Data")


@asynccontextmanager
async def engine_requests(options: EngineOptions) -> AsyncGenerator[Requests, None]:
    """Requests to an engine that runs for the length of a block."""
    async with engine_running(options) as engine:
        transport = httpx.ASGITransport(create_app(engine))
        async with httpx.AsyncClient(transport=transport, base_url="http://engine") as http:
            yield Requests(engine, http)
