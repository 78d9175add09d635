"""How requests reach the engine in this process, and what becomes of those that it breaks off."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Generator
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from agentbay.local import transport
from agentbay.local.host import Message
from agentbay.local.transport import LocalTransport

Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]

_HEAD: dict[str, Any] = {
    "type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")],
}  # fmt: skip


@pytest.fixture
def portal() -> Generator[BlockingPortal, None, None]:
    """Leads to a loop of another thread, as the engine has one."""
    with start_blocking_portal() as found:
        yield found


@pytest.fixture
def serve(portal: BlockingPortal, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Puts an application in the place of the engine."""

    def use(app: Any) -> None:
        host = SimpleNamespace(app=app, portal=portal)
        monkeypatch.setattr(transport, "running_host", lambda: host)

    return use


async def _post() -> httpx.Response:
    async with httpx.AsyncClient(transport=LocalTransport()) as http:
        return await http.post("http://engine.invalid/", content=b"question")


async def test_the_pieces_of_a_reply_are_put_together(serve: Callable[[Any], None]) -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        await send(_HEAD)
        for piece in (b"what: ", body):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    serve(app)
    reply = await _post()
    assert (reply.status_code, reply.text) == (200, "what: question")
    assert reply.headers["content-type"] == "text/plain"


@pytest.mark.parametrize("sent", [0, 1, 2])
async def test_a_reply_that_is_broken_off_is_no_reply(
    sent: int, serve: Callable[[Any], None]
) -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        part = {"type": "http.response.body", "body": b"half", "more_body": True}
        for message in [_HEAD, part][:sent]:
            await send(message)
        raise ValueError("a defect")

    serve(app)
    with pytest.raises(httpx.RemoteProtocolError, match="broke off"):
        await _post()


async def test_who_leaves_is_told_to_the_application(serve: Callable[[Any], None]) -> None:
    begun, told = anyio.Event(), anyio.Event()
    here = anyio.lowlevel.current_token().native_token
    soon = getattr(here, "call_soon_threadsafe", None) or here.run_sync_soon  # type: ignore[attr-defined]

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        soon(begun.set)
        assert (await receive())["type"] == "http.disconnect"
        soon(told.set)

    serve(app)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_post)
            await begun.wait()
            tasks.cancel_scope.cancel()
        await told.wait()


def test_an_engine_that_answers_too_late_finds_no_loop_and_does_not_mind(
    portal: BlockingPortal, serve: Callable[[Any], None], caplog: pytest.LogCaptureFixture
) -> None:
    begun = threading.Event()
    left, done = portal.call(anyio.Event), portal.call(anyio.Event)

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        begun.set()
        assert (await receive())["type"] == "http.disconnect"
        await left.wait()
        done.set()

    async def leave() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_post)
            assert await anyio.to_thread.run_sync(begun.wait, 30)
            tasks.cancel_scope.cancel()

    async def until_done() -> None:
        left.set()
        with anyio.fail_after(30):
            await done.wait()

    serve(app)
    anyio.run(leave)
    portal.call(until_done)
    portal.call(anyio.lowlevel.checkpoint)
    assert caplog.records == []


async def test_an_engine_that_has_stopped_is_a_connection_that_fails(
    serve: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with start_blocking_portal() as ended:
        pass
    host = SimpleNamespace(app=None, portal=ended)
    monkeypatch.setattr(transport, "running_host", lambda: host)
    with pytest.raises(httpx.ConnectError, match="has stopped"):
        await _post()


def test_the_engine_is_not_loaded_by_the_thread_of_an_event_loop() -> None:
    code = """
import sys, threading, anyio, agentbay
loaded = []
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "agentbay.local.host":
            loaded.append(threading.current_thread() is threading.main_thread())
sys.meta_path.insert(0, Watch())
async def main():
    async with agentbay.AsyncAgentBay(endpoint="local") as bay:
        assert (await bay.list()).success
anyio.run(main)
assert loaded == [False], loaded
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_missing_part_of_the_engine_is_named_with_what_to_install() -> None:
    code = """
import sys, agentbay
sys.modules["starlette"] = None
result = agentbay.AgentBay(endpoint="local").list()
assert "pip install 'agentbay-sdk[local]'" in result.error_message, result
assert isinstance(result.error, agentbay.ConfigError), result.error
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
