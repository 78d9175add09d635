"""One client for many event loops: at once, one after the other, cancelled or dropped."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio
import httpx
import pytest
import respx
from anyio.lowlevel import checkpoint

from agentbay import (
    AsyncAgentBay,
    AsyncSession,
    ConfigError,
    RequestTimeoutError,
    SessionError,
)
from agentbay._loop_local import LoopLocal

from .service import KEY, Service, always, client, ok, session_of

BACKENDS = ["asyncio", "trio"]
each_backend = pytest.mark.parametrize("backend", BACKENDS)


class _Handler(BaseHTTPRequestHandler):
    """Answers each POST with a label and says which path, or which URL, was asked for."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        asked_for = self.path.partition("?")[0]
        body = f'{{"RequestId": "{asked_for}", "Data": {{"Labels": "{{}}"}}}}'.encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def _server() -> Generator[str]:
    """A service on a real socket; gives its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(30)


def _session_at(url: str) -> AsyncSession:
    return AsyncSession(AsyncAgentBay(KEY, endpoint=url), "s-1")


class _Slow(httpx.AsyncBaseTransport):
    """Begins an exchange and never ends it; counts how often it is closed."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.cancelled = 0
        self.closed = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.begun.set()
        try:
            await anyio.sleep(60)
        except BaseException:
            self.cancelled += 1
            raise
        raise AssertionError("the test waited for the whole minute")

    async def aclose(self) -> None:
        await checkpoint()  # like a real one, it gives way while it closes
        self.closed += 1


class _Counting(Service):
    """A service that counts how often its connections are closed."""

    def __init__(self) -> None:
        super().__init__(always(lambda: ok({"Labels": "{}"})))
        self.closed = 0

    async def aclose(self) -> None:
        await checkpoint()
        self.closed += 1


async def _until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(30):
        while not condition():  # noqa: ASYNC110 - it may come true in another thread
            await anyio.sleep(0.005)


# -- one object, many loops ------------------------------------------------------------


@each_backend
def test_one_object_serves_loops_one_after_the_other_and_leaves_nothing(backend: str) -> None:
    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(session.get_labels)

    with _server() as url, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        session = _session_at(url)
        for _ in range(4):
            anyio.run(main, backend=backend)
        gc.collect()
    assert [str(item.message) for item in caught] == []


def test_one_object_serves_loops_of_both_kinds_at_once() -> None:
    failures: list[BaseException] = []
    together = threading.Barrier(4, timeout=30)

    async def main() -> None:
        for _ in range(20):
            assert (await session.get_labels()).data == {}

    def work(backend: str) -> None:
        try:
            together.wait()
            anyio.run(main, backend=backend)
        except BaseException as exc:  # noqa: BLE001 - handed over to the test's own thread
            failures.append(exc)

    with _server() as url:
        session = _session_at(url)
        threads = [threading.Thread(target=work, args=(name,)) for name in BACKENDS * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)
    assert failures == []


def test_a_loop_that_is_closed_without_ceremony_does_not_stay_in_the_way() -> None:
    made: list[httpx.AsyncClient] = []

    def factory() -> httpx.AsyncClient:
        made.append(httpx.AsyncClient(transport=httpx.MockTransport(lambda _: ok())))
        return made[-1]

    clients = LoopLocal(factory)
    for _ in range(3):
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(clients.get()) is made[-1]
        loop.close()
    assert len(made) == 3  # a client of a dead loop is never handed out
    assert len(clients._leases) == 1  # nor kept: only that of the last loop is left


@each_backend
def test_the_end_of_a_loop_closes_its_client(backend: str) -> None:
    service = _Counting()
    session = session_of(service)
    anyio.run(session.get_labels, backend=backend)
    assert service.closed == 1


@each_backend
def test_a_cancelled_run_closes_its_client(backend: str) -> None:
    slow = _Slow()
    session = session_of(slow)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.get_labels)
            await _until(slow.begun.is_set)
            tasks.cancel_scope.cancel()

    anyio.run(main, backend=backend)
    assert (slow.cancelled, slow.closed) == (1, 1)


async def test_an_object_that_is_dropped_closes_its_client() -> None:
    service = _Counting()
    await session_of(service).get_labels()
    gc.collect()
    await _until(lambda: service.closed == 1)


@pytest.mark.parametrize("place", ["in a cycle", "in another thread", "at the end of the loop"])
def test_what_is_dropped_on_trio_closes_its_client_without_a_warning(place: str) -> None:
    service = _Counting()

    async def main() -> None:
        session = session_of(service)
        await session.get_labels()
        held: list[object] = [session]
        del session
        if place == "in a cycle":
            held.append(held)
            del held
            gc.collect()
        elif place == "in another thread":
            thread = threading.Thread(target=held.clear)
            thread.start()
            thread.join()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(20):
            anyio.run(main, backend="trio")
    gc.collect()
    assert service.closed == 20


async def test_a_closed_object_can_be_used_again() -> None:
    service = _Counting()
    bay = client(service)
    session = AsyncSession(bay, "s-1")
    for times in (1, 2):
        await session.get_labels()
        await bay.aclose()
        assert service.closed == times
    await bay.aclose()
    assert service.closed == 2


async def test_leaving_the_block_of_a_client_closes_it() -> None:
    service = _Counting()
    async with client(service) as bay:
        await AsyncSession(bay, "s-1").get_labels()
        assert service.closed == 0
    assert service.closed == 1


async def test_first_use_by_many_tasks_makes_one_client() -> None:
    made: list[httpx.AsyncClient] = []

    def factory() -> httpx.AsyncClient:
        made.append(httpx.AsyncClient(transport=httpx.MockTransport(lambda _: ok())))
        return made[-1]

    clients = LoopLocal(factory)
    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(clients.get)
    assert len(made) == 1
    await clients.aclose()
    assert made[0].is_closed


# -- where requests go -----------------------------------------------------------------


@respx.mock
async def test_respx_intercepts_our_calls() -> None:
    route = respx.post("https://service.test/", data__contains={"SessionId": "s-1"})
    route.respond(json={"RequestId": "mocked", "Data": {"Url": "https://x"}})
    bay = AsyncAgentBay(KEY, endpoint="service.test")
    assert (await AsyncSession(bay, "s-1").get_link()).request_id == "mocked"
    assert route.call_count == 1


async def test_a_transport_of_the_user_carries_every_call() -> None:
    service = Service(always(lambda: ok({"Labels": '{"a": "b"}'})))
    assert (await session_of(service).get_labels()).data == {"a": "b"}
    assert service.actions == ["GetLabel"]


async def test_a_transport_of_the_user_stands_in_for_the_local_engine() -> None:
    service = Service(always(lambda: ok({"Labels": "{}"})))
    session = AsyncSession(AsyncAgentBay(endpoint="local", transport=service), "s-1")
    await session.get_labels()
    assert service.actions == ["GetLabel"]


async def test_a_proxy_is_asked_for_the_service() -> None:
    with _server() as proxy:
        bay = AsyncAgentBay(KEY, endpoint="http://service.invalid", proxy=proxy)
        async with bay:
            result = await AsyncSession(bay, "s-1").get_labels()
    assert result.request_id == "http://service.invalid/"


def test_a_proxy_that_makes_no_sense_is_refused_without_its_password() -> None:
    with pytest.raises(ConfigError) as caught:
        AsyncAgentBay(KEY, endpoint="service.test", proxy="gopher://user:pass-1234@proxy")
    assert "pass-1234" not in str(caught.value)


async def test_the_path_of_an_endpoint_is_kept() -> None:
    with _server() as url:
        bay = AsyncAgentBay(KEY, endpoint=f"{url}/base")
        async with bay:
            result = await AsyncSession(bay, "s-1").get_labels()
    assert result.request_id == "/base"


# -- time ------------------------------------------------------------------------------


async def test_a_service_that_does_not_answer_is_given_up() -> None:
    slow = _Slow()
    with anyio.fail_after(30), pytest.raises(SessionError) as caught:
        await session_of(slow, timeout=0.05).get_labels()
    assert isinstance(caught.value.__cause__, RequestTimeoutError)
    assert slow.cancelled == 1


async def test_an_answer_that_trickles_is_given_up() -> None:
    # Every read ends in time; only the whole takes too long.
    class Trickle(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                yield b" "
                await anyio.sleep(0.005)

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Trickle())

    session = session_of(httpx.MockTransport(answer), timeout=0.1)
    with anyio.fail_after(30):
        result = await session.call_mcp_tool("x", {})
    assert isinstance(result.error, RequestTimeoutError)
    assert "0.1 s" in result.error_message


async def test_a_call_can_have_a_limit_of_its_own() -> None:
    slow = _Slow()
    with anyio.fail_after(30):
        result = await session_of(slow).call_mcp_tool("x", {}, read_timeout=0.05)
    assert isinstance(result.error, TimeoutError)
    assert "0.05 s" in result.error_message


async def test_a_caller_that_is_cancelled_is_not_told_of_a_timeout() -> None:
    slow = _Slow()
    with anyio.move_on_after(0.05) as scope:
        await session_of(slow).call_mcp_tool("x", {})
    assert scope.cancelled_caught


async def test_a_connection_has_the_limit_that_the_call_gives_it() -> None:
    seen: list[float | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.extensions["timeout"]["connect"])
        raise httpx.ConnectTimeout("too slow", request=request)

    session = session_of(httpx.MockTransport(answer), timeout=7)
    limited = await session.call_mcp_tool("x", {}, connect_timeout=0.25)
    unlimited = await session.call_mcp_tool("x", {})
    assert seen == [0.25] * 3 + [None] * 3  # each is tried three times
    assert "0.25 s" in limited.error_message
    assert isinstance(unlimited.error, RequestTimeoutError)


async def test_a_service_that_is_not_there_is_named() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with AsyncAgentBay(KEY, endpoint=url) as bay:
            result = await bay.list()
    assert not result.success
    assert url in result.error_message
    assert isinstance(result.error and result.error.__cause__, httpx.ConnectError)
