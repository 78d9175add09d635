"""What we say over a WebSocket against what was recorded: the handshake, and every frame.

The session of a test gives the recorded answers, under the identifiers that ours have.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest

from agentbay import AsyncSession, BrowserNotifyMessage
from agentbay._results.sessions import McpTool

from .samples import FILES, SAMPLES, text_of
from .service import Service, always, tool_says
from .ws_service import LIMIT, TOKEN, Call, WsService, session_at, until

Frame = dict[str, Any]


def _conversations() -> dict[str, list[Frame]]:
    """The lines of a recording by what was done, such as ``0.22-async/ws-pty``."""
    found: dict[str, list[Frame]] = {}
    for name in FILES:
        if not name.endswith("ws-frames.jsonl"):
            continue
        for line in (SAMPLES / name).read_text("utf-8").splitlines():
            entry = json.loads(line)
            found.setdefault(f"{name.partition('/')[0]}/{entry['step']}", []).append(entry)
    return found


_CONVERSATIONS = _conversations()
_CLOSES = [name for name, lines in _CONVERSATIONS.items() if "control" in lines[0]]


class Recording:
    """Answers each frame with what came between it and the next one when it was recorded."""

    def __init__(self, conversation: str) -> None:
        self.asked: list[Frame] = []
        self._answers: list[list[Frame]] = []
        for line in _CONVERSATIONS[conversation]:
            frame = json.loads(line["text"])
            if line["dir"] == "client->server":
                self.asked.append(frame)
                self._answers.append([])
            else:
                self._answers[-1].append(frame)
        self._next = iter(zip(self.asked, self._answers, strict=True))
        self._ids: dict[str, str] = {}

    def __call__(self, call: Call) -> None:
        asked, answers = next(self._next)
        known = self._ids.setdefault(asked["invocationId"], call.id)
        assert known == call.id
        for frame in answers:
            ours = self._ids.get(frame.get("invocationId", ""))
            call.text(json.dumps({**frame, "invocationId": ours} if ours else frame))

    def ours(self, frames: list[Frame]) -> list[Frame]:
        """Frames of ours under the identifiers of the recording."""
        recorded = {ours: theirs for theirs, ours in self._ids.items()}
        return [{**frame, "invocationId": recorded[frame["invocationId"]]} for frame in frames]


# -- what a program did ----------------------------------------------------------------


async def _code(session: AsyncSession, code: str) -> Any:
    return await session.code.run_code(code, "python", stream_beta=True)


async def _runs(session: AsyncSession) -> None:
    assert (await _code(session, 'print("hello")')).unwrap() == "2"


async def _runs_nowhere(session: AsyncSession) -> None:
    assert "target not found" in (await _code(session, "WSERR")).error_message


async def _breaks(session: AsyncSession) -> None:
    assert "boom" in (await _code(session, "PHASEERR")).error_message


async def _gives_up(session: AsyncSession) -> None:
    with anyio.move_on_after(LIMIT):
        async for event in session.code.run_code_stream("HANG", "python", 1):
            assert event.chunk == "x"
            break


async def _asks_a_human(session: AsyncSession) -> None:
    heard: list[object] = []
    result = await session.agent.mobile.execute_task_and_wait(
        "do it", 30, 7, heard.append, heard.append, on_call_for_user=lambda _: "1234"
    )
    assert (result.success, result.task_result) == (True, "all done")
    assert len(heard) > 1


async def _uses_a_terminal(session: AsyncSession) -> None:
    handle = await session.pty.create(100, 30, "/tmp", {"X": "1"}, "/bin/bash")
    await handle.send_input(b"ls\n")
    await handle.send_input(b"\xff\xfe")
    await handle.resize(120, 40)
    assert len(await session.pty.list()) == 1
    await session.pty.connect("pty-1")
    await handle.kill()
    assert await handle.wait() == 137


async def _uses_the_usual_terminal(session: AsyncSession) -> None:
    handle = await session.pty.create()
    await handle.send_input(b"ls\n")
    await handle.kill()
    assert await handle.wait() == 137


async def _watches(session: AsyncSession) -> None:
    async with session.file_system.watch("/tmp/watch") as changes:
        assert [change.path for change in await anext(changes)] == ["/tmp/watch/a"]


async def _tells_the_browser(session: AsyncSession) -> None:
    assert await session.browser.send_takeover_done(3)
    message = BrowserNotifyMessage("t", 1, 2, "m", "a", {"k": 1})
    assert await session.browser.send_notify_message(message)


_PROGRAMS: dict[str, Callable[[AsyncSession], Awaitable[None]]] = {
    "ws-run-code": _runs,
    "ws-run-code-servererr": _runs_nowhere,
    "ws-run-code-phaseerr": _breaks,
    "ws-cancel": _gives_up,
    "ws-agent-mobile": _asks_a_human,
    "ws-watch": _watches,
    "ws-browser-notify": _tells_the_browser,
}


def _program(conversation: str) -> Callable[[AsyncSession], Awaitable[None]]:
    directory, _, step = conversation.partition("/")
    if step == "ws-pty":
        return _uses_the_usual_terminal if "sync" in directory.split("-") else _uses_a_terminal
    return _PROGRAMS[step]


def _session(service: WsService) -> AsyncSession:
    tools = [McpTool("get_file_change", server="wuying_filesystem")]
    return session_at(service, Service(always(lambda: tool_says("[]"))), tools=tools)


# One program leaves its loop over the events, which trio reports.
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
@pytest.mark.parametrize("conversation", [name for name in _CONVERSATIONS if name not in _CLOSES])
async def test_a_program_says_what_was_recorded(conversation: str) -> None:
    recording = Recording(conversation)
    with WsService(recording) as service:
        session = _session(service)
        with anyio.fail_after(LIMIT):
            await _program(conversation)(session)
        await until(lambda: len(service.frames) >= len(recording.asked))
        await session._connections.aclose()
        await until(lambda: not service.open)
        assert recording.ours(service.frames) == recording.asked
        assert len(service.handshakes) == 1


@pytest.mark.parametrize("conversation", _CLOSES)
async def test_a_session_that_is_deleted_closes_as_recorded(conversation: str) -> None:
    controls = [line["control"] for line in _CONVERSATIONS[conversation]]
    assert controls == ["close", "close"]
    with WsService() as service:
        session = _session(service)
        assert await session.pty.list() == []
        assert (await session.delete()).success
        await until(lambda: service.closes)
        assert service.closes == [1000]


# -- how it is opened ------------------------------------------------------------------

# Headers of a handshake that are not the recorded ones, and why.
_HEADERS = {
    "host": "the session of a test",
    "x-access-token": "the token of a test",
    "sec-websocket-key": "random",
    "sec-websocket-extensions": "frames are not compressed: what is compressed tells its length",
    "user-agent": "the HTTP library, as in every other request",
    "accept": "of the HTTP library, as in every other request",
    "accept-encoding": "of the HTTP library, as in every other request",
}


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith("WsHandshake.http")])
async def test_a_connection_is_opened_as_recorded(name: str) -> None:
    head, body = text_of(name)
    line, *lines = head.split("\r\n")
    pairs = [header.partition(": ") for header in lines]
    recorded = {key.lower(): value for key, _, value in pairs}
    recorded["connection"] = recorded["connection"].lower()
    with WsService() as service:
        session = _session(service)
        with suppress(AssertionError):
            await session.pty.list()
        await session._connections.aclose()
        (ours,) = service.handshakes
        ours["connection"] = ours["connection"].lower()
    assert (line, body) == ("GET /ws HTTP/1.1", "")
    differ = {key for key in {*ours, *recorded} if ours.get(key) != recorded.get(key)}
    assert {key.lower() for key in differ} == set(_HEADERS)
    assert (recorded["x-access-token"], ours["x-access-token"]) == ("tok-123", TOKEN)
    assert recorded["upgrade"] == ours["upgrade"] == "websocket"
