"""The WebSocket of a session: how it is opened, lost, opened again and closed."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import pytest
import trio
from anyio import to_thread
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection

from agentbay import ConfigError, _background
from agentbay._async import _line, _socket
from agentbay._async._websocket import Connection
from agentbay._transport import ApiClient
from agentbay.errors import (
    SessionError,
    TransportError,
    WsConnectionClosedError,
    WsHandshakeRejectedError,
)
from agentbay.protocol.sessions import SessionData

from .ws_methods import (
    SERVER,
    Count,
    Greet,
    Note,
    connect,
    drain,
    drop_sessions,
    secrets_in,
    service,
)
from .ws_service import SECRET, TOKEN, Call, WsService, in_turn, session_at, silent, until

__all__ = ["drop_sessions", "service"]


# -- the way there ---------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403, 404, 426, 500, 503, 302, 200])
async def test_a_refused_handshake_tells_its_status_and_no_secret(
    service: WsService, status: int
) -> None:
    service.refuse = status
    connection = await connect(service)
    with pytest.raises(WsHandshakeRejectedError, match=f"HTTP {status}") as caught:
        await connection.call(Greet())
    assert caught.value.status_code == status
    assert not caught.value.sent
    assert not secrets_in(caught.value)
    service.refuse = None
    assert (await connection.call(Greet())).value.text == "hello you"


async def test_a_host_without_a_server_is_a_loss_that_sent_nothing() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{taken.getsockname()[1]}/{SECRET}"
        session = session_at(None)
        session._adopt(SessionData("s", ws_url=url, token=TOKEN))
        connection = await session._websocket()
        for attempt in (connection.call(Greet()), connection.send(Note())):
            with pytest.raises(WsConnectionClosedError, match="ConnectError") as caught:
                await attempt
            assert not caught.value.sent
            assert not secrets_in(caught.value)
        with pytest.raises(WsConnectionClosedError):
            async with connection.subscribe(SERVER):
                pytest.fail("it is not open")
    assert connection._line.listeners == []


@pytest.mark.parametrize(
    ("url", "token", "text"),
    [
        ("", TOKEN, "ws_url is not available"),
        ("wss://h/ws", "", "token is not available"),
        ("ws://93.184.216.34/secret", TOKEN, "wss://"),
        ("ws://example.com/secret", TOKEN, "wss://"),
        ("http://127.0.0.1/secret", TOKEN, "wss://"),
        ("https://example.com/secret", TOKEN, "wss://"),
        ("secret", TOKEN, "wss://"),
        ("ws://[secret", TOKEN, "wss://"),
        ("wss://h/sec ret\n", TOKEN, "wss://"),
        ("wss://h/ä", TOKEN, "wss://"),
        ("wss://", TOKEN, "wss://"),
        ("wss://h:secret/", TOKEN, "wss://"),
        ("wss://h/ws", "to\nken", "cannot be sent"),
        ("wss://h/ws", "tökn", "cannot be sent"),
    ],
)
async def test_an_address_that_is_missing_or_unsafe_is_refused_before_anything_is_sent(
    url: str, token: str, text: str
) -> None:
    """Official clients send the token over plain ws://, too."""
    session = session_at(None)
    session._adopt(SessionData("s", ws_url=url, token=token))
    with pytest.raises(SessionError, match=text) as caught:
        await session._websocket()
    assert "sec" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["ws://localhost:1/x", "ws://10.1.2.3/x", "ws://[::1]:1/x", "WSS://h/x", "wss://h:1/x"]
)
async def test_addresses_that_are_safe_are_taken(url: str) -> None:
    session = session_at(None)
    session._adopt(SessionData("s", ws_url=url, token=TOKEN))
    assert repr(await session._websocket()) == "Connection(idle)"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_what_a_websocket_needs_is_not_imported_on_the_event_loop(backend: str) -> None:
    code = f"""
import anyio, sys, threading
from agentbay import AsyncAgentBay, AsyncSession
from agentbay.protocol.sessions import SessionData

class Finder:
    threads = set()
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("httpx_ws", "wsproto"):
            self.threads.add(threading.get_ident())

async def main():
    async with AsyncAgentBay("key", endpoint="service.test") as bay:
        session = AsyncSession(bay, "s")
        session._adopt(SessionData("s", ws_url="wss://service.test/ws", token="token"))
        await session._websocket()
        await session._disconnect()

sys.meta_path.insert(0, Finder())
anyio.run(main, backend={backend!r})
assert "httpx_ws" in sys.modules and Finder.threads
assert threading.get_ident() not in Finder.threads
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


async def test_a_missing_extra_is_named(
    service: WsService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "httpx_ws", None)
    with pytest.raises(ConfigError, match=r"pip install 'agentbay-sdk\[ws\]'"):
        await session_at(service)._websocket()


async def test_a_changed_token_is_used_for_the_next_connection(service: WsService) -> None:
    session = session_at(service)
    connection = await session._websocket()
    await connection.call(Greet())
    service.drop()
    await until(lambda: not connection._line.is_open)
    session._adopt(SessionData("s", ws_url=service.url, token="other"))
    assert await session._websocket() is connection
    await connection.call(Greet())
    assert [headers["x-access-token"] for headers in service.handshakes] == [TOKEN, "other"]


# -- loss ------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connects again without a long pause."""
    monkeypatch.setattr(_line, "_FIRST_PAUSE", 0.02)
    monkeypatch.setattr(_line, "_LAST_PAUSE", 0.1)
    monkeypatch.setattr(_line, "_JITTER", 0.01)


async def test_what_waits_fails_at_once_when_the_connection_is_lost(service: WsService) -> None:
    service.answer = lambda call: call.drop() if call.method == "test.greet" else None
    connection = await connect(service)
    async with connection.stream(Count(), timeout=None) as stream:
        with anyio.fail_after(30), pytest.raises(WsConnectionClosedError) as caught:
            await connection.call(Greet())
        with pytest.raises(WsConnectionClosedError) as of_stream:
            await anext(stream)
    assert isinstance(caught.value, TransportError)
    assert caught.value.sent
    assert caught.value.request_id == service.frames[1]["invocationId"]
    assert of_stream.value.request_id == stream.invocation_id
    assert of_stream.value is not caught.value


async def test_events_before_a_loss_are_read_before_it(service: WsService) -> None:
    service.answer = in_turn(lambda call: call.event(n=1), lambda call: call.event(n=2), Call.drop)
    connection = await connect(service)
    seen: list[Any] = []
    async with connection.stream(Count(), timeout=30) as stream:
        with pytest.raises(WsConnectionClosedError):
            await drain(stream, seen)
    assert [data["n"] for data in seen] == [1, 2]


async def test_the_code_of_a_close_is_told_and_secrets_are_not(service: WsService) -> None:
    service.answer = lambda call: service.close(4401, f"bad {TOKEN}")
    with pytest.raises(WsConnectionClosedError, match=r"\(4401\): bad \*\*\*$") as caught:
        await (await connect(service)).call(Greet())
    assert caught.value.close_code == 4401


async def test_a_lost_connection_without_listeners_is_opened_by_the_next_call(
    service: WsService,
) -> None:
    connection = await connect(service)
    await connection.call(Greet())
    service.drop()
    await until(lambda: not connection._line.is_open and connection._line._scope is None)
    await anyio.sleep(0.7)
    assert len(service.handshakes) == 1
    assert (await connection.call(Greet())).value.text == "hello you"
    assert len(service.handshakes) == 2


async def test_calls_while_it_connects_again_wait_for_it(
    service: WsService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_line, "_FIRST_PAUSE", 60.0)
    connection = await connect(service)
    async with connection.subscribe(SERVER):
        service.drop()
        await until(lambda: not connection._line.is_open)
        # At once, not after the pause.
        assert (await connection.call(Greet(), timeout=20)).value.text == "hello you"
    assert len(service.handshakes) == 2


@pytest.mark.usefixtures("quick")
async def test_listeners_survive_a_loss_and_are_restored(service: WsService) -> None:
    """Official clients never subscribe again, and hear nothing more."""
    connection = await connect(service)
    restored: list[str] = []

    async def restore() -> None:
        restored.append((await connection.call(Greet("again"))).value.text)

    async with connection.subscribe(SERVER, restore=restore) as pushes:
        assert restored == []
        for number in (1, 2, 3):
            service.push({"n": number}, source=SERVER)
            assert (await anext(pushes))["n"] == number
            assert restored == ["hello again"] * (number - 1)
            service.drop()
            await until(lambda number=number: len(restored) == number)  # type: ignore[misc]
    assert len(service.handshakes) == 4


@pytest.mark.usefixtures("quick")
async def test_a_restore_that_fails_is_tried_again(
    service: WsService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("agentbay._async._listeners._PAUSES", (0.01, 0.01))
    connection = await connect(service)
    tries: list[int] = []

    async def restore() -> None:
        tries.append(1)
        raise ValueError(TOKEN)

    async with connection.subscribe(SERVER, restore=restore):
        service.drop()
        await until(lambda: len(tries) == 3)
        await anyio.sleep(0.1)
        assert len(tries) == 3
        assert connection._line.is_open
        service.drop()
        await until(lambda: len(tries) == 6)
    assert "ValueError" in caplog.text
    assert TOKEN not in caplog.text


@pytest.mark.usefixtures("quick")
async def test_attempts_go_on_until_one_succeeds(service: WsService) -> None:
    connection = await connect(service)
    async with connection.subscribe(SERVER) as pushes:
        service.refuse = 503
        service.drop()
        await until(lambda: len(service.handshakes) > 4)
        with pytest.raises(WsHandshakeRejectedError):
            await connection.call(Greet())
        service.refuse = None
        assert (await connection.call(Greet())).value.text == "hello you"
        service.push({"n": 1}, source=SERVER)
        assert (await anext(pushes)) == {"n": 1}


@pytest.mark.usefixtures("quick")
async def test_attempts_end_with_the_last_listener(service: WsService) -> None:
    connection = await connect(service)
    async with connection.subscribe(SERVER):
        service.refuse = 503
        service.drop()
        await until(lambda: len(service.handshakes) > 1)
    begun = len(service.handshakes) + 1  # one may be on its way
    await until(lambda: connection._line._scope is None)
    assert len(service.handshakes) <= begun


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("status", [401, 403, 404])
async def test_who_listens_hears_of_a_session_that_refuses_for_good(
    service: WsService, status: int
) -> None:
    connection = await connect(service)
    told: list[Any] = []

    async def hear(data: dict[str, Any]) -> None:
        told.append(data)

    connection.listen(SERVER, hear, closed=told.append)
    async with connection.subscribe(SERVER) as pushes:
        service.push({"n": 1}, source=SERVER)
        await until(lambda: told == [{"n": 1}])
        service.refuse = status
        service.drop()
        with anyio.fail_after(30):
            assert (await anext(pushes)) == {"n": 1}
            with pytest.raises(WsHandshakeRejectedError) as caught:
                await anext(pushes)
            await until(lambda: len(told) == 2 and connection._line._scope is None)
    assert caught.value.status_code == told[1].status_code == status
    assert len(service.handshakes) == 1 + _line._REFUSALS
    service.refuse = None
    assert (await connection.call(Greet())).value.text == "hello you"


class Moody(WsService):
    """Refuses some of its handshakes, counted from 0."""

    refusals: Mapping[int, int] = {}

    def _shake_hands(self, peer: ServerConnection, request: Request) -> Response | None:
        self.refuse = self.refusals.get(len(self.handshakes))
        return super()._shake_hands(peer, request)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
async def test_who_listens_outlasts_refusals_that_pass(status: int) -> None:
    with Moody() as service:
        passing = dict.fromkeys(range(1, 6), status)
        service.refusals = {**passing, 7: 403, 8: 403, 10: 403, 11: 403}
        connection = await connect(service)
        async with connection.subscribe(SERVER) as pushes:
            for opened in (7, 10, 13):
                service.drop()
                await until(lambda opened=opened: len(service.handshakes) == opened)  # type: ignore[misc]
                await until(lambda: connection._line.is_open)
            service.push({"n": 1}, source=SERVER)
            assert (await anext(pushes)) == {"n": 1}


def test_pauses_between_attempts_grow_to_five_seconds() -> None:
    pauses = [_line._FIRST_PAUSE]
    while pauses[-1] < _line._LAST_PAUSE:
        pauses.append(min(pauses[-1] * _line._GROWTH, _line._LAST_PAUSE))
    assert pauses == [0.5, 0.75, 1.125, 1.6875, 2.53125, 3.796875, 5.0]
    assert _line._JITTER == 0.1


# -- the end ---------------------------------------------------------------------------


async def test_closing_is_final_and_fails_everything_that_waits(service: WsService) -> None:
    service.answer = silent
    connection = await connect(service)
    told: list[str] = []

    async def fails(step: Callable[[], Any]) -> None:
        with pytest.raises(WsConnectionClosedError, match="closed on this side"):
            await step()
        told.append("failed")

    async def hear(data: dict[str, Any]) -> None:
        """Hear nothing."""

    connection.listen(SERVER, hear, closed=lambda error: told.append(type(error).__name__))
    async with (
        connection.stream(Count(), timeout=None) as stream,
        connection.subscribe(SERVER) as pushes,
        anyio.create_task_group() as group,
    ):
        group.start_soon(fails, lambda: connection.call(Greet()))
        group.start_soon(fails, lambda: anext(stream))
        group.start_soon(fails, lambda: anext(pushes))
        await service.frame(1)
        await connection.aclose()
    await until(lambda: len(told) == 4)
    assert sorted(told) == ["WsConnectionClosedError", "failed", "failed", "failed"]
    await until(lambda: service.closes == [1000])
    assert repr(connection) == "Connection(closed)"
    await connection.aclose()
    for step in (connection.call(Greet()), connection.send(Note())):
        with pytest.raises(WsConnectionClosedError) as caught:
            await step
        assert not caught.value.sent
    connection.listen(SERVER, hear, closed=lambda error: told.append("at once"))
    await until(lambda: told[-1] == "at once")
    assert len(service.handshakes) == 1


async def test_closing_while_it_connects_fails_who_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_line, "_CLOSE_LIMIT", 20)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        session = session_at(None)
        url = f"ws://127.0.0.1:{deaf.getsockname()[1]}/"
        session._adopt(SessionData("s", ws_url=url, token=TOKEN))
        connection = await session._websocket()

        async def fails() -> None:
            with pytest.raises(WsConnectionClosedError, match="closed on this side"):
                await connection.call(Greet())

        async with anyio.create_task_group() as group:
            group.start_soon(fails)
            await until(lambda: connection._line._scope)
            await connection.aclose()
            assert connection._line._ended.is_set()


async def test_a_session_connects_anew_after_its_connection_was_closed(
    service: WsService,
) -> None:
    session = session_at(service)
    await (await session._websocket()).call(Greet())
    await session._connections.aclose()
    await until(lambda: service.open == 0)
    await (await session._websocket()).call(Greet())
    assert len(service.handshakes) == 2


async def test_closing_does_not_wait_for_a_session_that_takes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_socket, "_CLOSE_LIMIT", 0.2)
    monkeypatch.setattr(_line, "_CLOSE_LIMIT", 20)
    stop = threading.Event()

    async def fails(connection: Connection) -> None:
        with pytest.raises(WsConnectionClosedError):
            await _send_much(connection)

    with WsService(lambda _: stop.wait(60)) as service:
        connection = await connect(service)
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(fails, connection)
            await _nothing_moves(connection)
            await connection.aclose()
            assert connection._line._ended.is_set()
            stop.set()


async def _nothing_moves(connection: Connection) -> None:
    """Wait until messages wait that the other side does not take."""
    waiting: set[str] = set()
    with anyio.fail_after(30):
        while not waiting or waiting != set(connection._line.pending):
            waiting = set(connection._line.pending)
            await anyio.sleep(0.5)


async def _send_much(connection: Connection) -> None:
    for _ in range(200):
        await connection.send(Note("x" * 1_000_000))


async def test_a_session_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_socket, "_WRITE_LIMIT", 0.3)
    monkeypatch.setattr(_socket, "_CLOSE_LIMIT", 0.1)
    stop = threading.Event()
    with WsService(lambda _: stop.wait(60)) as service:
        connection = await connect(service)
        with anyio.fail_after(30), pytest.raises(WsConnectionClosedError, match="took nothing"):
            await _send_much(connection)
        stop.set()


async def test_a_send_that_is_cancelled_leaves_whole_messages(service: WsService) -> None:
    connection = await connect(service)
    for limit in (0.0, 0.001, 0.01):
        with anyio.move_on_after(limit):
            await connection.send(Note("x" * 5_000_000))
    assert (await connection.call(Greet())).value.text == "hello you"
    assert len(service.handshakes) == 1


async def test_a_dropped_session_closes_its_connection(service: WsService) -> None:
    session = session_at(service)
    await (await session._websocket()).call(Greet())
    del session
    gc.collect()
    await until(lambda: service.open == 0)


async def test_who_listens_keeps_the_connection_of_a_dropped_session(service: WsService) -> None:
    session = session_at(service)
    connection = await session._websocket()
    async with connection.subscribe(SERVER) as pushes:
        del session
        gc.collect()
        await anyio.sleep(0.05)
        service.push({"n": 1}, source=SERVER)
        assert (await anext(pushes)) == {"n": 1}
    gc.collect()
    await until(lambda: service.open == 0)


_SHARED = """
import asyncio, sys, warnings
import anyio, attrs, trio
from agentbay._loop import Task
from agentbay.protocol._frames import Method
from tests.unit.ws_service import WsService, session_at, until

# What trio says of the generators that end clients.
warnings.filterwarnings("ignore", "Async generator", ResourceWarning)

@attrs.frozen
class Greet(Method[None], method="test.greet", server="S"):
    pass

async def hear(data):
    await anyio.sleep_forever()

service = WsService().__enter__()
session = session_at(service)
"""

_LOOPS = """
async def main(how):
    connection = await session._websocket()
    service.refuse = 503 if how == "connecting" else None
    if how != "idle":
        connection.listen("S", hear)
    if how == "connecting":
        await until(lambda: service.handshakes)
        return
    await connection.call(Greet())
    if how == "lost":
        service.refuse = 503
        service.drop()
        await until(lambda: not connection._line.is_open)
    if how == "told":
        service.push({}, source="S")
        await anyio.sleep(0.05)

for how in ("connecting", "idle", "listening", "lost", "told"):
    if sys.argv[1] == "asyncio":
        asyncio.run(main(how))
    else:
        trio.run(main, how)
    print(how)
"""

_BLOCKING = """
async def main():
    connection = await session._websocket()
    connection.listen("S", hear)
    return (await connection.call(Greet())).value

task = Task(main)
task.block(task.start, task.outcome)
print(task.outcome.result())
"""


def _run(program: str, *arguments: str) -> str:
    """Run a program that is to say nothing on stderr."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", _SHARED + program, *arguments],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    # With -X dev asyncio tells of slow steps, such as a first import.
    words = [line for line in done.stderr.splitlines() if not line.startswith("Executing <")]
    assert (words, done.returncode) == ([], 0)
    return done.stdout


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_event_loop_ends_at_once_and_without_a_word(backend: str) -> None:
    assert _run(_LOOPS, backend).split() == ["connecting", "idle", "listening", "lost", "told"]


def test_a_blocking_program_ends_at_once_and_without_a_word() -> None:
    assert _run(_BLOCKING) == "None\n"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_every_loop_has_its_own_connection(service: WsService, backend: str) -> None:
    session = session_at(service)
    found: list[Connection] = []
    both = threading.Barrier(2, timeout=30)

    async def main() -> None:
        connection = await session._websocket()
        assert (await connection.call(Greet())).value.text == "hello you"
        found.append(connection)
        await anyio.to_thread.run_sync(both.wait)

    threads = [
        threading.Thread(target=anyio.run, args=(main,), kwargs={"backend": backend})
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(set(found)) == len(service.handshakes) == 2


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_second_loop_opens_a_connection_of_its_own(service: WsService, backend: str) -> None:
    session = session_at(service)

    async def main() -> None:
        assert (await (await session._websocket()).call(Greet())).value.text == "hello you"

    anyio.run(main, backend=backend)
    anyio.run(main, backend=backend)
    assert len(service.handshakes) == 2


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_deleted_session_closes_the_connections_of_every_loop(
    service: WsService, backend: str
) -> None:
    session = session_at(service)
    listening, told = threading.Event(), list[str]()

    async def elsewhere() -> None:
        connection = await session._websocket()
        async with connection.subscribe(SERVER) as pushes:
            listening.set()
            with anyio.fail_after(30), pytest.raises(WsConnectionClosedError, match="this side"):
                await anext(pushes)
        with pytest.raises(WsConnectionClosedError):
            await (await session._websocket()).call(Greet())
        told.append("ended")

    async def here() -> None:
        await (await session._websocket()).call(Greet())
        assert await to_thread.run_sync(listening.wait, 30)
        await until(lambda: service.open == 2)
        assert (await session.delete()).success
        await until(lambda: service.open == 0)

    thread = threading.Thread(target=anyio.run, args=(elsewhere,), kwargs={"backend": backend})
    thread.start()
    anyio.run(here, backend=backend)
    thread.join(30)
    assert told == ["ended"]


def test_a_loop_that_has_ended_does_not_keep_a_session_from_being_deleted(
    service: WsService,
) -> None:
    session = session_at(service)
    loop = asyncio.new_event_loop()

    async def delete() -> None:
        assert len(session._connections.elsewhere()) == 1
        assert (await session.delete()).success

    # Closed without a word to what ran on it.
    loop.run_until_complete(session._websocket())
    loop.close()
    asyncio.run(delete())


def test_a_task_in_the_background_takes_no_run_with_it(caplog: pytest.LogCaptureFixture) -> None:
    class Odd(BaseException):
        """Something that no `except Exception` catches."""

    async def several() -> None:
        async def fails() -> None:
            raise Odd

        async with anyio.create_task_group() as group:
            group.start_soon(fails)
            await anyio.sleep_forever()

    async def alone() -> None:
        raise Odd

    async def main() -> None:
        _background.start(several)
        _background.start(alone)
        await until(lambda: caplog.text.count("a task in the background failed") == 2)

    trio.run(main)


async def test_a_task_in_the_background_is_not_collected() -> None:
    class Held:
        """Only the task knows of it."""

    held: list[weakref.ref[Held]] = []

    async def waits() -> None:
        own = Held()
        held.append(weakref.ref(own))
        await anyio.Event().wait()
        del own

    _background.start(waits)
    await until(lambda: held)
    gc.collect()
    assert held[0]() is not None


async def test_a_task_in_the_background_tells_the_log_what_it_raises(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fails() -> None:
        raise ValueError("oops")

    _background.start(fails)
    await until(lambda: "ValueError: oops" in caplog.text)


# -- secrets ---------------------------------------------------------------------------


async def test_no_secret_is_in_a_log_or_a_repr(
    service: WsService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    connection = await connect(service)
    await connection.call(Greet("a-secret-name"))
    async with connection.subscribe(SERVER), connection.stream(Count(), timeout=30) as stream:
        assert len([data async for data in stream]) == 2
        service.say(f'{{"invocationId": "{SECRET}"')
        service.refuse = 403
        service.drop()
        await until(lambda: len(service.handshakes) > 1)
    with pytest.raises(WsHandshakeRejectedError) as caught:
        await connection.call(Greet())
    assert not secrets_in(caught.value)
    logged = [r for r in caplog.records if not r.name.startswith("websockets")]  # the service's
    shown = (
        "\n".join(record.getMessage() for record in logged)
        + repr(connection)
        + repr(connection._line.address)
        + repr(vars(connection))
    )
    assert "HTTP Request: GET http://127.0.0.1" in shown
    for secret in (TOKEN, SECRET, "a-secret-name"):
        assert secret not in shown


# -- the HTTP client under it ----------------------------------------------------------


async def test_an_embedded_engine_gets_a_client_without_proxy_and_transport(
    monkeypatch: pytest.MonkeyPatch, service: WsService
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    from agentbay import AsyncAgentBay

    bay = AsyncAgentBay(endpoint="local")
    async with bay.client.websocket_client() as http:
        response = await http.get(f"http://127.0.0.1:{service.port}/")
    assert response.status_code == 426


async def test_the_proxy_of_the_client_is_used() -> None:
    asked: list[bytes] = []
    ready = threading.Event()

    def proxy(listening: socket.socket) -> None:
        ready.set()
        peer, _ = listening.accept()
        with peer:
            asked.append(peer.recv(4096))
            peer.sendall(b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=proxy, args=(listening,))
        thread.start()
        through = f"http://127.0.0.1:{listening.getsockname()[1]}"
        session = session_at(None, None)
        client = ApiClient(session._bay.client._settings, proxy=through)
        connection = Connection(client)
        connection.aim(_socket.Address("https://session.test/x", TOKEN), [], session._connections)
        with pytest.raises(WsConnectionClosedError, match="ProxyError"):
            await connection.call(Greet())
        thread.join(30)
    assert asked[0].startswith(b"CONNECT session.test:443 ")
