"""An engine that runs for a long time holds no more than what its sessions need."""

from __future__ import annotations

import gc
import os
import signal
import socket
import struct
import sys
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from agentbay import AsyncAgentBay
from agentbay.local._life import Life
from agentbay.local._sandbox.guest_wire import Request
from agentbay.local.engine import Engine, EngineOptions
from agentbay.local.sandbox import Sandbox
from agentbay.local.server import Protocol, serve
from agentbay.local.session import LocalSession

from .clients import engine_client
from .sandboxes import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap is for Linux")

_OF_SESSIONS: tuple[type[object], ...] = (LocalSession, Life, Sandbox, Request)


def _held(*kinds: type[object]) -> int:
    gc.collect()
    # Some objects look like another class when they are asked.
    return sum(type(found) in kinds for found in gc.get_objects())


async def _none_held(*kinds: type[object], limit: int) -> bool:
    return _held(*kinds) <= limit


async def _use(bay: AsyncAgentBay) -> None:
    async with bay.session() as session:
        (await session.command.run("echo used")).unwrap()
        (await session.file_system.write_file("/tmp/file", "x" * 100_000)).unwrap()
        (await session.file_system.read_file("/tmp/missing")).code  # noqa: B018 - a failure
        (await session.get_link(port=30150)).unwrap()


def _links(engine: Engine) -> int:
    server = engine._links
    assert server is not None
    return len(server._links) + len(server._services)


async def test_nothing_is_held_of_sessions_that_have_ended(tmp_path: Path) -> None:
    before = _held(*_OF_SESSIONS)  # by tests that ran in this process
    async with engine_client(tmp_path) as place:
        for _ in range(4):
            await _use(place.bay)
        # One that is ready for the next session is no session's.
        await until(partial(_none_held, *_OF_SESSIONS, limit=before + 1))
        assert not place.engine.sessions
        assert _links(place.engine) == 0


def test_nothing_is_held_of_connections_that_were_reset(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        anyio.run(_reset_many, tmp_path, listener)


async def _reset_many(home: Path, listener: socket.socket) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve, EngineOptions(home), listener, "akm-key")
        before = _held(Protocol)
        for _ in range(10):
            await anyio.to_thread.run_sync(_ask_and_reset, listener.getsockname())
        await until(partial(_none_held, Protocol, limit=before))
        os.kill(os.getpid(), signal.SIGTERM)


def _ask_and_reset(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: engine\r\n\r\n")
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
