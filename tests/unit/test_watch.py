"""Changes below a directory: asked for, told by the session, and both when that fails."""

from __future__ import annotations

import itertools
import json
import logging
import threading
import time
import types
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import attrs
import httpx
import pytest

from agentbay import AsyncSession
from agentbay._async import _watch
from agentbay._async._watch_thread import DirectoryWatcher
from agentbay._async.watch import AsyncFileWatch
from agentbay._results.sessions import McpTool
from agentbay.errors import (
    AgentBayError,
    FileError,
    InvalidInputError,
    SessionNotFoundError,
    TransportError,
)
from agentbay.protocol._frames import METHODS
from agentbay.protocol._wire import WireError, encode
from agentbay.protocol.file_changes import FileChanges, SubscribeFileChange, UnsubscribeFileChange
from agentbay.protocol.file_system import FileChangeEvent

from .service import Sent, Service, ok, session_of, tool_says
from .ws_service import Call, WsService, by_method, session_at, until

SERVER = "own_filesystem"
TOOLS = [McpTool("get_file_change", server=SERVER)]
QUICK = 0.01


def event(path: str, kind: str = "create") -> FileChangeEvent:
    return FileChangeEvent(kind, path, "file")


def told(*paths: str) -> httpx.Response:
    return tool_says(json.dumps([encode(event(path)) for path in paths]))


class Session(Service):
    """A session of which each look at the directory finds what is in the next entry."""

    def __init__(self, *looks: Callable[[], httpx.Response]) -> None:
        super().__init__(self._reply)
        self.looks = list(looks)
        self.looked = 0
        self.state: Callable[[], httpx.Response] = lambda: ok({"SessionId": "s-000001"})

    def _reply(self, sent: Sent) -> httpx.Response:
        if sent.action != "CallMcpTool":
            return self.state()
        assert (sent.form["Name"], json.loads(sent.form["Args"])) == (
            "get_file_change",
            {"path": "/w"},
        )
        self.looked += 1
        return self.looks.pop(0)() if self.looks else told()


def finds(*paths: str) -> Callable[[], httpx.Response]:
    return lambda: told(*paths)


def refuses(code: str, message: str = "no") -> Callable[[], httpx.Response]:
    return lambda: ok(Success=False, Code=code, Message=message)


def breaks() -> httpx.Response:
    raise httpx.ReadError("gone for a moment")


async def _take(changes: AsyncFileWatch, count: int) -> list[str]:
    paths: list[str] = []
    with anyio.fail_after(30):
        async for events in changes:
            paths += [found.path for found in events]
            if len(paths) >= count:
                break
    return paths


# -- what travels ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", [SubscribeFileChange, UnsubscribeFileChange])
def test_subscriptions_survive_the_wire(
    kind: type[SubscribeFileChange] | type[UnsubscribeFileChange],
) -> None:
    call = kind("/tmp/watch")
    assert call.data() == {"method": kind.method, "params": {"path": "/tmp/watch"}}
    assert METHODS[kind.method].from_data(call.data()) == call
    assert (call.server, call.tool, call.mode) == ("wuying_filesystem", "get_file_change", "")
    call.parse(call.write(None))
    with pytest.raises(InvalidInputError):
        kind("")


@pytest.mark.parametrize("answer", [{}, None, {"phase": "end"}, {"status": "subscribed"}])
def test_every_end_is_a_subscription(answer: Any) -> None:
    SubscribeFileChange("/w").parse(answer)


def test_another_phase_is_no_subscription() -> None:
    with pytest.raises(WireError):
        SubscribeFileChange("/w").parse({"phase": "event"})


def test_a_push_is_written_as_it_was_recorded() -> None:
    assert encode(FileChanges("/tmp/watch", [event("/tmp/watch/a")])) == {
        "eventType": "file_change", "path": "/tmp/watch",
        "events": [{"eventType": "create", "path": "/tmp/watch/a", "pathType": "file"}],
    }  # fmt: skip


# -- asked for -------------------------------------------------------------------------


async def test_changes_come_as_they_are_found_and_what_was_before_does_not() -> None:
    service = Session(finds("/w/old"), finds(), finds("/w/a", "/w/b"), finds("/w/c"))
    async with session_of(service).file_system.watch("/w", interval=QUICK) as changes:
        assert service.looked == 1
        assert await _take(changes, 3) == ["/w/a", "/w/b", "/w/c"]
    assert service.looked == 4


async def test_there_is_time_between_two_looks() -> None:
    times: list[float] = []

    def look() -> httpx.Response:
        times.append(time.monotonic())
        return told(*["/w/a"] * (len(times) == 4))

    service = Session(*[look] * 4)
    async with session_of(service).file_system.watch("/w", interval=0.1) as changes:
        await anext(changes)
    assert all(after - before > 0.09 for before, after in itertools.pairwise(times))
    assert len(times) == 4


async def test_a_watch_that_was_left_tells_no_more() -> None:
    service = Session()
    async with session_of(service).file_system.watch("/w", interval=QUICK) as changes:
        pass
    assert [events async for events in changes] == []
    assert service.looked == 1


@pytest.mark.parametrize("interval", [0, -1, float("inf"), float("nan")])
async def test_a_time_between_looks_that_is_none_is_refused(interval: float) -> None:
    service = Session()
    files = session_of(service).file_system
    with pytest.raises(InvalidInputError, match="interval"):
        async with files.watch("/w", interval=interval):
            pass
    with pytest.raises(InvalidInputError, match="interval"):
        files.watch_directory("/w", print, interval)
    with pytest.raises(InvalidInputError):
        files.watch_directory("", print)
    assert service.sent == []


async def test_a_directory_that_is_missing_cannot_be_watched() -> None:
    service = Session(lambda: tool_says("No such file", is_error=True))
    with pytest.raises(FileError, match="No such file"):
        async with session_of(service).file_system.watch("/w"):
            pass


async def test_errors_that_pass_are_borne() -> None:
    service = Session(
        finds(), breaks, refuses("Throttling"), lambda: httpx.Response(502, text="x"),
        lambda: tool_says("not right now", is_error=True), lambda: tool_says("{"),
        finds("/w/a"),
    )  # fmt: skip
    async with session_of(service).file_system.watch("/w", interval=QUICK) as changes:
        assert await _take(changes, 1) == ["/w/a"]


async def test_errors_that_do_not_pass_end_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Session(finds(), *[breaks] * 1000)
    clock = types.SimpleNamespace(monotonic=lambda: 10.0 * service.looked)
    monkeypatch.setattr(_watch, "time", clock)
    async with session_of(service).file_system.watch("/w", interval=QUICK) as changes:
        with pytest.raises(TransportError):
            await _take(changes, 1)
        assert service.looked == 6  # the first to fail is the second look
        assert [events async for events in changes] == []


@pytest.mark.parametrize(
    "answer",
    [
        refuses("InvalidMcpSession.NotFound"),
        refuses("NOT_LOGIN"),
        refuses("X", "The session has expired"),
        lambda: tool_says("Invalid session", is_error=True),
    ],
)
async def test_a_session_that_is_gone_ends_the_watch_at_once(
    answer: Callable[[], httpx.Response],
) -> None:
    service = Session(finds(), answer, finds("/w/a"))
    async with session_of(service).file_system.watch("/w", interval=QUICK) as changes:
        with pytest.raises(AgentBayError):
            await _take(changes, 1)
    assert service.looked == 2


# -- told by the session ---------------------------------------------------------------


def _subscribed(call: Call) -> None:
    call.end(status="subscribed")


def _telling(**answers: Callable[[Call], None]) -> WsService:
    return WsService(by_method({"subscribe_file_change": _subscribed, **answers}))


def push(ws: WsService, *paths: str, path: str = "/w", source: str = SERVER, **more: Any) -> None:
    events = [encode(event(found)) for found in paths]
    data = {"eventType": "file_change", "path": path, "events": events, **more}
    ws.push(data, source=source)


async def test_a_session_tells_of_changes_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_watch, "_LEAVE_LIMIT", 30)
    http = Session(finds("/w/old"), finds("/w/meanwhile"))
    with _telling() as ws:
        session = session_at(ws, http, tools=TOOLS)
        async with session.file_system.watch("/w", interval=QUICK) as changes:
            assert await _take(changes, 1) == ["/w/meanwhile"]
            push(ws, "/w/a", "/w/b")
            assert await _take(changes, 2) == ["/w/a", "/w/b"]
            assert http.looked == 2
        await until(lambda: len(ws.frames) == 2)
        assert ws.methods == ["subscribe_file_change", "unsubscribe_file_change"]
        assert [frame["target"] for frame in ws.frames] == [SERVER, SERVER]
        assert [frame["data"]["params"] for frame in ws.frames] == [{"path": "/w"}] * 2
        await session._connections.aclose()


async def test_what_is_told_of_something_else_is_not_heard() -> None:
    with _telling() as ws:
        session = session_at(ws, Session(), tools=TOOLS)
        async with session.file_system.watch("/w") as changes:
            push(ws, "/w/x/a", path="/w/x")
            push(ws, "/w/b", path="/w/")
            push(ws, "/w/c", source="another_server")
            push(ws, "/w/d", eventType="other")
            push(ws)
            push(ws, events="nonsense")
            push(ws, "/w/right")
            assert await _take(changes, 1) == ["/w/right"]
        await session._connections.aclose()


async def test_pushes_that_come_before_anyone_reads_are_kept_in_order() -> None:
    def subscribed(call: Call) -> None:
        call.end()
        for number in range(500):
            data = {"eventType": "file_change", "path": "/w"}
            call.send(data={**data, "events": [encode(event(f"/w/{number}"))]}, invocationId="p")

    with _telling(subscribe_file_change=subscribed) as ws:
        session = session_at(ws, Session(), tools=TOOLS)
        async with session.file_system.watch("/w") as changes:
            await anyio.sleep(0.2)
            assert await _take(changes, 500) == [f"/w/{number}" for number in range(500)]
        await session._connections.aclose()


async def test_a_lost_connection_is_subscribed_again_and_what_was_missed_is_asked_for() -> None:
    http = Session(finds(), finds(), finds("/w/missed"))
    with _telling() as ws:
        session = session_at(ws, http, tools=TOOLS)
        async with session.file_system.watch("/w") as changes:
            push(ws, "/w/a")
            assert await _take(changes, 1) == ["/w/a"]
            ws.drop()
            assert await _take(changes, 1) == ["/w/missed"]
            push(ws, "/w/b")
            assert await _take(changes, 1) == ["/w/b"]
        assert ws.methods[:2] == ["subscribe_file_change"] * 2
        await session._connections.aclose()


async def test_a_connection_that_is_lost_again_at_once_is_subscribed_with_the_next_one() -> None:
    answers = [_subscribed, Call.drop, _subscribed]
    http = Session()
    with _telling(subscribe_file_change=lambda call: answers.pop(0)(call)) as ws:
        session = session_at(ws, http, tools=TOOLS)
        async with session.file_system.watch("/w", interval=QUICK) as changes:
            ws.drop()
            await until(lambda: http.looked == 3)
            push(ws, "/w/a")
            assert await _take(changes, 1) == ["/w/a"]
            assert http.looked == 3
        assert answers == []
        await session._connections.aclose()


def _refused(call: Call) -> None:
    call.send(data={"error": "no such method"})


def _goes_on(call: Call) -> None:
    call.event()


@pytest.mark.parametrize("answer", [_refused, _goes_on, Call.drop])
async def test_a_session_that_does_not_tell_is_asked(answer: Callable[[Call], None]) -> None:
    http = Session(finds(), finds("/w/a"))
    with _telling(subscribe_file_change=answer) as ws:
        session = session_at(ws, http, tools=TOOLS)
        async with session.file_system.watch("/w", interval=QUICK) as changes:
            assert await _take(changes, 1) == ["/w/a"]
        assert "unsubscribe_file_change" not in ws.methods
        await session._connections.aclose()


async def test_a_session_that_does_not_answer_in_time_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_watch, "_SUBSCRIBE_LIMIT", 0.1)
    with _telling(subscribe_file_change=lambda _: None) as ws:
        session = session_at(ws, Session(finds(), finds("/w/a")), tools=TOOLS)
        async with session.file_system.watch("/w", interval=QUICK) as changes:
            assert await _take(changes, 1) == ["/w/a"]
        await session._connections.aclose()


async def test_a_handshake_that_is_refused_leads_to_questions() -> None:
    with _telling() as ws:
        ws.refuse = 403
        session = session_at(ws, Session(finds(), finds("/w/a")), tools=TOOLS)
        async with session.file_system.watch("/w", interval=QUICK) as changes:
            assert await _take(changes, 1) == ["/w/a"]
        await session._connections.aclose()


async def test_a_subscription_that_is_refused_later_leads_to_questions() -> None:
    http = Session(finds(), finds())
    with _telling() as ws:
        session = session_at(ws, http, tools=TOOLS)
        async with session.file_system.watch("/w", interval=QUICK) as changes:
            ws.answer = _refused
            ws.drop()
            http.looks = [finds("/w/a")]
            assert await _take(changes, 1) == ["/w/a"]
        await session._connections.aclose()


async def test_a_connection_that_this_side_closes_leads_to_questions() -> None:
    with _telling() as ws:
        session = session_at(ws, http := Session(), tools=TOOLS)
        async with session.file_system.watch("/w", interval=QUICK) as changes:
            http.looks = [refuses("InvalidMcpSession.NotFound")]
            await session._connections.aclose()
            with pytest.raises(SessionNotFoundError):
                await _take(changes, 1)


@pytest.mark.parametrize("missing", ["server", "token", "ws_url"])
async def test_a_session_without_a_socket_is_asked(missing: str) -> None:
    with _telling() as ws:
        session = session_at(ws, Session(finds(), finds("/w/a")), tools=TOOLS)
        if missing == "server":
            session._mcp_tools = []
        else:
            without: dict[str, Any] = {missing: ""}
            session._data = attrs.evolve(session._data, **without)
        async with session.file_system.watch("/w", interval=QUICK) as changes:
            assert await _take(changes, 1) == ["/w/a"]
        assert ws.handshakes == []


async def test_a_silent_session_is_looked_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_watch, "_QUIET", 0.05)
    http = Session()
    http.state = refuses("InvalidMcpSession.NotFound")
    with _telling() as ws:
        session = session_at(ws, http, tools=TOOLS)
        async with session.file_system.watch("/w") as changes:
            with pytest.raises(SessionNotFoundError):
                await _take(changes, 1)
        await session._connections.aclose()


# -- threads ---------------------------------------------------------------------------


class Heard:
    """A callback that remembers what it was told, and where."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.threads: set[threading.Thread] = set()
        self.first = threading.Event()

    def __call__(self, events: list[FileChangeEvent]) -> None:
        self.paths += [found.path for found in events]
        self.threads.add(threading.current_thread())
        self.first.set()


def _ended(thread: DirectoryWatcher) -> bool:
    thread.stop_event.set()
    thread.join(20)
    return not thread.is_alive()


def test_a_thread_tells_a_function_until_it_is_stopped() -> None:
    service, heard = Session(finds("/w/old"), finds("/w/a")), Heard()
    stop = threading.Event()
    thread = session_of(service).file_system.watch_directory("/w", heard, QUICK, stop)
    assert isinstance(thread, threading.Thread)
    assert (thread.name, thread.daemon, thread.is_alive()) == ("DirectoryWatcher-_w", True, False)
    assert thread.stop_event is stop
    assert not thread.ready_event.is_set()
    assert service.sent == []
    thread.start()
    assert thread.ready_event.wait(30)
    assert heard.first.wait(30)
    assert _ended(thread)
    assert heard.paths == ["/w/a"]
    assert threading.current_thread() not in heard.threads
    assert thread.error is None


def test_a_thread_has_a_stop_event_of_its_own() -> None:
    thread = session_of(Session()).file_system.watch_directory("/w", print)
    other = session_of(Session()).file_system.watch_directory("/w", print)
    thread.start()
    assert thread.stop_event is not other.stop_event
    assert _ended(thread)


def test_a_thread_awaits_a_coroutine_function() -> None:
    heard = Heard()

    async def told(events: list[FileChangeEvent]) -> None:
        await anyio.lowlevel.checkpoint()
        heard(events)

    thread = session_of(Session(finds(), finds("/w/a"))).file_system.watch_directory(
        "/w", told, QUICK
    )
    thread.start()
    assert heard.first.wait(30)
    assert _ended(thread)


def test_a_thread_that_was_stopped_tells_nothing_more() -> None:
    heard: list[str] = []
    looks = [finds(f"/w/{number}") for number in range(1000)]
    thread: DirectoryWatcher

    def told(events: list[FileChangeEvent]) -> None:
        heard.append(events[0].path)
        thread.stop_event.set()

    thread = session_of(Session(*looks)).file_system.watch_directory("/w", told, 0.001)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert heard == ["/w/1"]


def test_an_error_of_the_function_is_logged_and_the_thread_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard = Heard()

    def told(events: list[FileChangeEvent]) -> None:
        if events[0].path == "/w/a":
            raise ValueError("mine")
        heard(events)

    service = Session(finds(), finds("/w/a"), finds("/w/b"))
    thread = session_of(service).file_system.watch_directory("/w", told, QUICK)
    thread.start()
    assert heard.first.wait(30)
    assert _ended(thread)
    assert heard.paths == ["/w/b"]
    assert "mine" in caplog.text


def test_a_thread_that_cannot_watch_ends_with_its_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = Session(lambda: tool_says("No such file", is_error=True))
    thread = session_of(service).file_system.watch_directory("/w", print)
    thread.start()
    assert thread.ready_event.wait(30)
    thread.join(20)
    assert not thread.is_alive()
    assert isinstance(thread.error, FileError)
    assert "No such file" in caplog.text


def test_a_thread_stops_although_the_session_does_not_answer() -> None:
    asked = threading.Event()

    class Stuck(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            asked.set()
            await anyio.sleep_forever()
            raise AssertionError

    thread = session_of(Stuck()).file_system.watch_directory("/w", print)
    thread.start()
    assert asked.wait(30)
    assert _ended(thread)


def test_a_thread_hears_what_the_session_tells_and_leaves_no_connection(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_watch, "_LEAVE_LIMIT", 30)
    caplog.set_level(logging.DEBUG)
    heard = Heard()
    with _telling() as ws:
        session = session_at(ws, Session(), tools=TOOLS)
        thread = session.file_system.watch_directory("/w", heard, QUICK)
        thread.start()
        assert thread.ready_event.wait(30)
        push(ws, "/w/a")
        assert heard.first.wait(30)
        assert _ended(thread)
        anyio.run(until, lambda: ws.open == 0)
        assert ws.methods == ["subscribe_file_change", "unsubscribe_file_change"]
    assert heard.paths == ["/w/a"]
    ours = [r.getMessage() for r in caplog.records if not r.name.startswith("websockets")]
    assert ours
    for secret in ("ws-url-secret", "wst-5b1c9a"):
        assert secret not in " ".join(ours)


async def test_a_thread_works_beside_an_event_loop() -> None:
    heard = Heard()
    session: AsyncSession = session_of(Session(finds(), finds("/w/a")))
    thread = session.file_system.watch_directory("/w", heard, QUICK)
    thread.start()
    assert await anyio.to_thread.run_sync(heard.first.wait, 30)
    assert await anyio.to_thread.run_sync(_ended, thread)
