"""Whole files over the link of a session, in one message; and what happens without it."""

from __future__ import annotations

import base64
import json
import subprocess
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentbay import AsyncSession
from agentbay._async import _file_contents
from agentbay._async._file_contents import _WIDE as WIDE
from agentbay._results.sessions import McpTool
from agentbay.errors import FileError, RequestTimeoutError, TransportError
from agentbay.protocol.file_system import BYTES_CHUNK, TEXT_CHUNK, WriteMode
from agentbay.protocol.sessions import SessionData

from .service import ENDPOINT, client, tool_says

SERVERS = {
    "read_file": "wuying_filesystem", "write_file": "wuying_filesystem", "shell": "wuying_shell",
}  # fmt: skip
LARGE = "aé€📏" * 40_000
BINARY = bytes(range(256)) * 2_000


@attrs.define
class Message:
    """One message to a tool, and the way that it took."""

    host: str
    tool: str
    arguments: dict[str, Any]


class Machine(httpx.AsyncBaseTransport):
    """A session with a link; it has one file, `content`."""

    def __init__(self, content: bytes = b"") -> None:
        self.content = content
        self.messages: list[Message] = []
        self.link: Exception | str = ""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        if request.url.host == ENDPOINT:
            form = dict(httpx.QueryParams(body.decode()))
            text = self._answer(ENDPOINT, form["Name"], json.loads(form["Args"]))
            return tool_says(*text[:1], is_error=text[1])
        if isinstance(self.link, Exception):
            raise self.link
        sent = json.loads(body)
        text = self._answer("link", sent["tool"], sent["args"])
        content = [{"type": "text", "text": self.link or text[0]}]
        result = {"content": content, "isError": bool(self.link) or text[1]}
        return httpx.Response(200, json={"data": json.dumps({"result": result})})

    def _answer(self, host: str, tool: str, arguments: dict[str, Any]) -> tuple[str, bool]:
        self.messages.append(Message(host, tool, arguments))
        if tool == "read_file":
            offset, length = arguments["offset"], arguments["length"]
            part = self.content[offset : offset + length] if length else self.content[offset:]
            if host == ENDPOINT and len(part) > BYTES_CHUNK:
                return "the message is too long", True
            return base64.b64encode(part).decode(), False
        return '{"stdout": "", "stderr": "", "exit_code": 0}', False

    @property
    def ways(self) -> list[tuple[str, str]]:
        return [(message.host, message.tool) for message in self.messages]


def session_of(machine: Machine, **missing: str) -> AsyncSession:
    session = AsyncSession(client(machine), "s-000001")
    data: dict[str, Any] = {"token": "tok", "link_url": "https://link.test/x", **missing}
    session._adopt(SessionData("s-000001", **data))
    session._mcp_tools = [McpTool(tool, server=server) for tool, server in SERVERS.items()]
    return session


@pytest.mark.parametrize("text", ["", "hello", LARGE])
async def test_a_file_is_read_with_one_message_over_the_link(text: str) -> None:
    machine = Machine(text.encode())
    result = await session_of(machine).file_system.read_file("/a")
    assert result.unwrap() == text
    assert result.request_id.startswith("link-")
    arguments = {"path": "/a", "offset": 0, "length": WIDE, "format": "binary"}
    assert machine.messages == [Message("link", "read_file", arguments)]


async def test_bytes_are_read_with_one_message_over_the_link() -> None:
    machine = Machine(BINARY)
    result = await session_of(machine).file_system.read_file("/a", format="bytes")
    assert result.unwrap() == BINARY
    assert machine.ways == [("link", "read_file")]


@pytest.mark.parametrize("content", ["", "hello", LARGE, LARGE.encode()])
async def test_text_is_written_with_one_message_over_the_link(content: str | bytes) -> None:
    machine = Machine()
    result = await session_of(machine).file_system.write_file("/a", content, "append")
    assert result.unwrap() is True
    text = content if isinstance(content, str) else content.decode()
    arguments = {"path": "/a", "content": text, "mode": "append"}
    assert machine.messages == [Message("link", "write_file", arguments)]


async def test_bytes_are_written_with_one_message_and_put_in_place() -> None:
    machine = Machine()
    assert (await session_of(machine).file_system.write_file("/a", BINARY)).success
    assert machine.ways == [("link", "write_file"), ("link", "shell")]
    assert base64.b64decode(machine.messages[0].arguments["content"]) == BINARY


@pytest.mark.parametrize("missing", ["token", "link_url", "server"])
async def test_without_a_link_the_messages_are_short(missing: str) -> None:
    machine = Machine(LARGE.encode())
    session = session_of(machine, **({} if missing == "server" else {missing: ""}))
    if missing == "server":
        session._mcp_tools = []
    assert (await session.file_system.read_file("/a")).unwrap() == LARGE
    assert (await session.file_system.write_file("/a", LARGE)).success
    reads = [m.arguments["length"] for m in machine.messages if m.tool == "read_file"]
    assert set(reads) == {BYTES_CHUNK}
    texts = [m.arguments["content"] for m in machine.messages if m.tool == "write_file"]
    assert max(len(text.encode()) for text in texts) <= TEXT_CHUNK
    assert "".join(texts) == LARGE
    assert {host for host, _ in machine.ways} == {ENDPOINT}


@pytest.mark.parametrize("content", ["hello", LARGE, BINARY], ids=["short", "text", "bytes"])
async def test_a_link_without_a_connection_is_left_for_short_messages(
    content: str | bytes,
) -> None:
    data = content.encode() if isinstance(content, str) else content
    machine = Machine(data)
    machine.link = httpx.ConnectError("no way")
    read = await session_of(machine).file_system.read_file("/a", format="bytes")
    assert read.unwrap() == data
    assert {host for host, _ in machine.ways} == {ENDPOINT}

    machine.messages.clear()
    assert (await session_of(machine).file_system.write_file("/a", content)).success
    texts = [m.arguments["content"] for m in machine.messages if m.tool == "write_file"]
    if isinstance(content, str):
        assert "".join(texts) == content
    else:
        assert base64.b64decode("".join(texts)) == content


async def test_what_the_session_refuses_is_not_tried_in_another_way() -> None:
    machine = Machine(b"x")
    machine.link = "Permission denied"
    files = session_of(machine).file_system
    for result in (await files.read_file("/a"), await files.write_file("/a", "x")):
        assert isinstance(result.error, FileError)
    assert machine.ways == [("link", "read_file"), ("link", "write_file")]


async def test_what_may_have_arrived_is_not_sent_again() -> None:
    machine = Machine(b"x")
    machine.link = httpx.ReadTimeout("late")
    files = session_of(machine).file_system
    for result in (await files.read_file("/a"), await files.write_file("/a", LARGE)):
        assert isinstance(result.error, TransportError | RequestTimeoutError)
        assert result.error.sent
    assert machine.messages == []


# -- pieces, progress, memory ----------------------------------------------------------


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> int:
    """Messages over the link hold little."""
    monkeypatch.setattr(_file_contents, "_WIDE", 1_000)
    return 1_000


async def test_a_file_of_any_size_is_read_in_pieces_over_the_link(narrow: int) -> None:
    machine, seen = Machine(BINARY[:2_500]), list[int]()
    files = session_of(machine).file_system
    read = await files.read_file("/a", format="bytes", progress_cb=seen.append)
    assert read.unwrap() == BINARY[:2_500]
    assert [m.arguments["offset"] for m in machine.messages] == [0, 1_000, 2_000]
    assert seen == [1_000, 2_000, 2_500]


@pytest.mark.parametrize("content", [LARGE[:900], LARGE[:900].encode(), BINARY[:2_500]])
async def test_a_file_of_any_size_is_written_in_pieces_over_the_link(
    content: str | bytes, narrow: int
) -> None:
    machine, seen = Machine(), list[int]()

    async def told(size: int) -> None:
        seen.append(size)

    files = session_of(machine).file_system
    assert (await files.write_file("/a", content, progress_cb=told)).success
    texts = [m.arguments["content"] for m in machine.messages if m.tool == "write_file"]
    data = content.encode() if isinstance(content, str) else content
    assert len(texts) == len(seen) > 2
    assert max(len(text.encode()) for text in texts) <= narrow
    assert "".join(texts).encode() in (data, base64.b64encode(data))
    assert (seen[-1], seen) == (len(data), sorted(seen))
    assert machine.ways[-1] == ("link", "shell")


async def test_progress_of_a_short_write_is_told_at_its_end() -> None:
    seen: list[int] = []
    files = session_of(Machine()).file_system
    assert (await files.write_file("/a", "é", progress_cb=seen.append)).success
    assert seen == [2]


async def test_a_link_that_is_lost_half_way_is_gone_on_with_in_short_messages(narrow: int) -> None:
    machine = Machine(BINARY[:2_500])

    def told(size: int) -> None:
        if size == 2_000:
            machine.link = httpx.ConnectError("no way")

    files = session_of(machine).file_system
    read = await files.read_file("/a", format="bytes", progress_cb=told)
    assert read.unwrap() == BINARY[:2_500]
    asked = [(m.host, m.arguments["offset"]) for m in machine.messages]
    assert asked[:2] == [("link", 0), ("link", 1_000)]
    assert {offset for host, offset in asked if host == ENDPOINT} == {2_000}


@given(st.text() | st.binary(), st.integers(4, 40))
def test_what_is_cut_is_the_whole(content: str | bytes, limit: int) -> None:
    source = _file_contents._Source(content)
    data = content.encode() if isinstance(content, str) else content
    messages = list(source.messages(limit))
    texts = [text for text, _ in messages]
    if source.is_text:
        assert "".join(texts).encode() == data
        assert all(0 < len(text.encode()) == size <= limit for text, size in messages)
    else:
        assert base64.b64decode("".join(texts)) == data
    assert sum(size for _, size in messages) == source.size == len(data)


# Counting takes its time, and the loop makes no difference to memory.
@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("kind", ["ascii", "text", "utf-8", "binary"])
async def test_a_large_write_takes_little_memory(kind: str) -> None:
    made: dict[str, Callable[[], str | bytes]] = {
        "ascii": lambda: "0123456789abcdef" * 4_000_000,
        "text": lambda: "é" * 32_000_000,
        "utf-8": lambda: "é".encode() * 32_000_000,
        "binary": lambda: b"\xff" * 64_000_000,
    }

    class Forgetful(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await request.aread()
            return tool_says('{"stdout": "", "stderr": "", "exit_code": 0}')

    content, session = made[kind](), AsyncSession(client(Forgetful()), "s-000001")
    (await session.file_system.write_file("/a", b"\xff" * BYTES_CHUNK * 2)).unwrap()
    tracemalloc.start()
    try:
        (await session.file_system.write_file("/a", content)).unwrap()
        # Some of it are requests that wait for the collector.
        assert tracemalloc.get_traced_memory()[1] < 32_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("mode", WriteMode)
@pytest.mark.parametrize("size", [3, 2, 4])
def test_a_part_that_was_lost_or_came_twice_leaves_what_was_there(
    mode: WriteMode, size: int, tmp_path: Path
) -> None:
    target, part = tmp_path / "a", tmp_path / "part"
    target.write_text("old")
    part.write_text("new")
    script = _file_contents._FINISH[mode].format(decode="cat")
    done = subprocess.run(
        ["sh", "-c", script, "sh", str(target), str(part), str(size)], capture_output=True
    )
    whole = {WriteMode.OVERWRITE: "new", WriteMode.APPEND: "oldnew"}[mode]
    assert target.read_text() == (whole if size == 3 else "old")
    assert (done.returncode == 0) == (size == 3)
    assert size == 3 or b"parts of it were lost" in done.stderr
