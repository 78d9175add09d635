"""The promises of links, with real servers, browsers' clients and hostile ones."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress

import anyio
import anyio.abc
import h11
import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_websocket
from websockets.sync.server import ServerConnection
from websockets.sync.server import serve as serve_websocket

from agentbay.local import _link_exchange, links
from agentbay.local._link_exchange import NO_LINK
from agentbay.local._link_headers import Place, answer_from
from agentbay.local.links import LinkServer

Stream = anyio.abc.ByteStream
Handler = Callable[[Stream, bytes], Awaitable[object]]
Connect = Callable[[], Awaitable[Stream]]

LIMIT = 20.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(autouse=True)
def _clients_have_time_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal arrives only if the client can send its request to the end."""
    monkeypatch.setattr(_link_exchange, "_LINGER_TIME", LIMIT)


# What the tests run against.


async def _describe(request: Request) -> Response:
    return JSONResponse({"path": request.url.path, "query": request.url.query})


async def _echo(request: Request) -> Response:
    return Response(await request.body())


async def _log_in(request: Request) -> Response:
    answer = RedirectResponse(f"http://{request.headers['host']}/who?a=1", 303)
    answer.set_cookie("user", "ann", path="/", domain="localhost")
    return answer


async def _who(request: Request) -> Response:
    return JSONResponse(request.cookies)


async def _status(request: Request) -> Response:
    return Response(status_code=int(request.path_params["code"]), headers={"ETag": '"1"'})


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield  # the server does not run in the main thread


@pytest.fixture(scope="module")
def app_port() -> Generator[int]:
    """A web application, as people run them in sessions."""
    routes = [
        Route("/echo", _echo, methods=["POST"]),
        Route("/login", _log_in, methods=["POST"]),
        Route("/who", _who),
        Route("/status/{code}", _status),
        Route("/{path:path}", _describe),
    ]
    with _listening_socket() as (sock, port):
        config = uvicorn.Config(Starlette(routes=routes), ws="none", log_level="error")
        server = _Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        yield port
        server.should_exit = True
        thread.join(LIMIT)
        assert not thread.is_alive()


@contextmanager
def _listening_socket() -> Generator[tuple[socket.socket, int]]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock, sock.getsockname()[1]


@asynccontextmanager
async def link_server() -> AsyncGenerator[LinkServer]:
    server = LinkServer()
    with anyio.fail_after(3 * LIMIT):
        async with anyio.create_task_group() as group:
            await group.start(server.serve)
            yield server
            group.cancel_scope.cancel()


@asynccontextmanager
async def session_server(handler: Handler) -> AsyncGenerator[Connect]:
    """A server that gets the stream and the head of each request."""

    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            with suppress(anyio.BrokenResourceError, anyio.EndOfStream):
                await handler(stream, await read_until(stream, b"\r\n\r\n"))

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        yield to(listener.extra(anyio.abc.SocketAttribute.local_port))
        group.cancel_scope.cancel()


def to(port: int) -> Connect:
    return lambda: anyio.connect_tcp("127.0.0.1", port)


async def read_until(stream: Stream, end: bytes) -> bytes:
    data = b""
    while end not in data:
        data += await stream.receive()
    return data


async def read_all(stream: Stream) -> bytes:
    data = b""
    with anyio.fail_after(LIMIT), suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        while True:
            data += await stream.receive()
    return data


@asynccontextmanager
async def raw_client(server: LinkServer) -> AsyncGenerator[Stream]:
    async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
        with anyio.fail_after(LIMIT):
            yield stream


def get(server: LinkServer, token: str, *headers: str, method: str = "GET") -> bytes:
    path = f"/request_ai/{token}/path/"
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", *headers, "", ""]
    return "\r\n".join(lines).encode()


def answers(data: bytes) -> Handler:
    async def answer(stream: Stream, _head: bytes) -> None:
        await stream.send(data)

    return answer


@asynccontextmanager
async def link_to(handler: Handler) -> AsyncGenerator[tuple[LinkServer, str]]:
    async with link_server() as server, session_server(handler) as connect:
        yield server, server.add(connect, label="port 30150")


# Requests and answers.


@pytest.mark.parametrize("kind", ["request_ai", "websocket_ai"])
async def test_a_request_reaches_the_server_without_the_prefix(kind: str, app_port: int) -> None:
    async with link_server() as server, httpx.AsyncClient(timeout=LIMIT) as client:
        token = server.add(to(app_port), label="port 30150")
        url = f"http://127.0.0.1:{server.port}/{kind}/{token}/path"
        answer = await client.get(url + "/foo/b%20ar?x=1&y=%2F")
        assert answer.json() == {"path": "/foo/b ar", "query": "x=1&y=%2F"}
        assert (await client.get(server.url(token))).json() == {"path": "/", "query": ""}


@pytest.mark.parametrize("ending", ["", "/", "/path"])
async def test_an_address_without_the_slash_redirects_to_it(ending: str, app_port: int) -> None:
    async with link_server() as server, httpx.AsyncClient(timeout=LIMIT) as client:
        token = server.add(to(app_port), label="port 30150")
        base = f"/request_ai/{token}"
        answer = await client.get(f"http://127.0.0.1:{server.port}{base}{ending}?x=1")
        assert answer.status_code == 308
        assert answer.headers["location"] == f"{base}/path/?x=1"


@pytest.mark.parametrize("sized", [True, False])
async def test_a_large_body_comes_back_whole(sized: bool, app_port: int) -> None:
    body = bytes(range(256)) * (5 * 4096)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 100_000):
            yield body[start : start + 100_000]

    async with link_server() as server, httpx.AsyncClient(timeout=LIMIT) as client:
        token = server.add(to(app_port), label="port 30150")
        content = body if sized else pieces()
        answer = await client.post(server.url(token) + "echo", content=content, timeout=LIMIT)
        assert answer.content == body


async def test_an_event_arrives_before_the_next_one_is_sent() -> None:
    arrived = anyio.Event()

    async def events(stream: Stream, _head: bytes) -> None:
        await stream.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        await arrived.wait()
        await stream.send(b"data: 2\n\n")

    received: list[str] = []
    async with (
        link_to(events) as (server, token),
        httpx.AsyncClient(timeout=LIMIT) as client,
        client.stream("GET", server.url(token)) as answer,
    ):
        async for text in answer.aiter_text():
            received.append(text)
            arrived.set()
    assert received == ["data: 1\n\n", "data: 2\n\n"]


async def test_an_upload_reaches_the_server_while_it_is_being_sent() -> None:
    arrived = anyio.Event()

    async def server_side(stream: Stream, head: bytes) -> None:
        if b"first" not in head:
            await read_until(stream, b"first")
        arrived.set()
        await read_until(stream, b"0\r\n\r\n")
        await stream.send(OK)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        await arrived.wait()
        yield b"second"

    async with link_to(server_side) as (server, token), httpx.AsyncClient(timeout=LIMIT) as client:
        answer = await client.post(server.url(token), content=pieces())
        assert answer.text == "ok"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nuntil the end",
        b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nuntil the end",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nd\r\nuntil the end\r\n0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_every_way_to_end_a_body_works(answer: bytes, version: str) -> None:
    async with link_to(answers(answer)) as (server, token), raw_client(server) as client:
        head = get(server, token, "Connection: close").replace(
            b"HTTP/1.1", f"HTTP/{version}".encode()
        )
        await client.send(head)
        received = await read_all(client)
    http = h11.Connection(h11.CLIENT)
    http.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    http.receive_data(received)
    http.receive_data(b"")
    body = b""
    while not isinstance(event := http.next_event(), h11.EndOfMessage):
        body += event.data if isinstance(event, h11.Data) else b""
    assert body == b"until the end"


@pytest.mark.parametrize(("method", "code"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_an_answer_without_a_body_ends_at_once(method: str, code: int, app_port: int) -> None:
    async with link_server() as server, httpx.AsyncClient(timeout=LIMIT) as client:
        url = server.url(server.add(to(app_port), label="port 30150"))
        answer = await client.request(method, f"{url}status/{code}")
        assert (answer.status_code, answer.content) == (code, b"")
        assert answer.headers["etag"] == '"1"'
        assert (await client.get(url)).status_code == 200


async def test_one_connection_carries_several_requests(app_port: int) -> None:
    async with link_server() as server, raw_client(server) as client:
        token = server.add(to(app_port), label="port 30150")
        await client.send(get(server, token))
        assert b'"path":"/"' in await read_until(client, b"}")
        # Two at once: the second waits until the first is answered.
        await client.send(get(server, token) + get(server, token, "Connection: close"))
        assert (await read_all(client)).count(b"HTTP/1.1 200 OK") == 2


async def test_fifty_requests_run_side_by_side() -> None:
    everyone = anyio.Event()
    waiting = 0

    async def meet(stream: Stream, _head: bytes) -> None:
        nonlocal waiting
        waiting += 1
        if waiting == 50:
            everyone.set()
        await everyone.wait()
        await stream.send(OK)

    async with link_to(meet) as (server, token):
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(limits=limits, timeout=LIMIT) as client:
            bodies: list[str] = []

            async def ask() -> None:
                bodies.append((await client.get(server.url(token))).text)

            async with anyio.create_task_group() as group:
                for _ in range(50):
                    group.start_soon(ask)
    assert bodies == ["ok"] * 50


async def test_the_server_decides_whether_a_body_is_sent() -> None:
    async def server_side(stream: Stream, head: bytes) -> None:
        assert b"Expect: 100-continue" in head
        if b"X-Too-Large" in head:
            await stream.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
            return
        await stream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await read_until(stream, b"body")
        await stream.send(OK)

    async with link_to(server_side) as (server, token):
        expect = ("Expect: 100-continue", "Content-Length: 4")
        async with raw_client(server) as client:
            await client.send(get(server, token, *expect, method="POST"))
            assert (await read_until(client, b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
            await client.send(b"body")
            assert (await read_until(client, b"ok")).startswith(b"HTTP/1.1 200")
        async with raw_client(server) as client:
            await client.send(get(server, token, *expect, "X-Too-Large: yes", method="POST"))
            assert (await read_all(client)).startswith(b"HTTP/1.1 413")


# Heads of messages.


async def test_the_server_reads_where_the_client_sees_it() -> None:
    async def show(stream: Stream, head: bytes) -> None:
        if not head.endswith(b"abc"):
            await read_until(stream, b"abc")
        await stream.send(b"HTTP/1.1 200 OK\r\n\r\n" + head)

    hostile = {
        "X-Forwarded-Host": "evil",
        "X-Forwarded-For": "6.6.6.6",
        "Forwarded": "host=evil",
        "Connection": "X-Private, Content-Length",
        "X-Private": "hop",
        "Proxy-Authorization": "secret",
    }
    async with link_to(show) as (server, token), httpx.AsyncClient(timeout=LIMIT) as client:
        answer = await client.post(server.url(token), headers=hostile, content=b"abc")
        lines = answer.text.lower().splitlines()
        assert f"host: 127.0.0.1:{server.port}" in lines
        assert f"x-forwarded-host: 127.0.0.1:{server.port}" in lines
        assert "x-forwarded-proto: http" in lines
        assert f"x-forwarded-prefix: /request_ai/{token}/path".lower() in lines
        assert "content-length: 3" in lines
        assert "evil" not in answer.text
        assert not any(
            line.startswith(("x-private", "x-forwarded-for", "proxy-")) for line in lines
        )


async def test_redirects_and_cookies_stay_on_the_link(app_port: int) -> None:
    async with (
        link_server() as server,
        httpx.AsyncClient(timeout=LIMIT, follow_redirects=True) as client,
    ):
        mine = server.url(server.add(to(app_port), label="port 30150"))
        other = server.url(server.add(to(app_port), label="port 30150"))
        answer = await client.post(mine + "login")
        assert str(answer.url) == mine + "who?a=1"
        assert answer.json() == {"user": "ann"}
        assert (await client.get(other + "who")).json() == {}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("Location", "/login?next=/", "/p/login?next=/"),
        ("Location", "/p/login", "/p/login"),
        ("Location", "/pa", "/p/pa"),
        ("Location", "next", "next"),
        ("Location", "?a=/b", "?a=/b"),
        ("Location", "http://127.0.0.1:1/x", "/p/x"),
        ("Location", "HTTPS://LocalHost:30150?a", "/p/?a"),
        ("Location", "http://0.0.0.0:30150", "/p/"),
        ("Location", "//127.0.0.1:1/x", "/p/x"),
        ("Location", "//127.0.0.1:1//evil/x", "/p//evil/x"),
        ("Location", "http://localhost:30151/x", "http://localhost:30151/x"),
        ("Location", "https://example.com/x", "https://example.com/x"),
        ("Set-Cookie", "a=b; Path=/; HttpOnly", "a=b; Path=/p; HttpOnly"),
        ("Set-Cookie", "a=b;path=/x; Domain=localhost", "a=b; Path=/p/x"),
        ("Set-Cookie", "a=/; Path=/p/x", "a=/; Path=/p/x"),
        ("Set-Cookie", "a=b", "a=b"),
        ("Service-Worker-Allowed", "/", "/p/"),
    ],
)
def test_an_answer_stays_under_the_prefix(name: str, value: str, expected: str) -> None:
    place = Place(b"/p", b"127.0.0.1:1", 30150)
    answer = answer_from(place, h11.Response(status_code=200, headers=[(name, value)]))
    assert answer.headers.raw_items() == [(name.encode(), expected.encode())]


# WebSockets and other upgrades.


@pytest.fixture(scope="module")
def websocket_port() -> Generator[int]:
    def echo(connection: ServerConnection) -> None:
        connection.send(connection.request.headers["Origin"] if connection.request else "")
        for message in connection:
            if message == "close":
                connection.close(4321, "as asked")
            connection.send(message)

    with serve_websocket(echo, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join(LIMIT)
        assert not thread.is_alive()


@pytest.mark.parametrize("slash", [True, False])
async def test_a_websocket_works_through_a_link(slash: bool, websocket_port: int) -> None:
    def talk(url: str, origin: str) -> tuple[list[str | bytes], int | None, str | None]:
        headers = {"Origin": origin}
        with connect_websocket(url, additional_headers=headers, proxy=None) as peer:
            received = [peer.recv(LIMIT)]
            for message in ("text ü", b"\x00" * 300_000):
                peer.send(message)
                received.append(peer.recv(LIMIT))
            peer.send("close")
            with pytest.raises(ConnectionClosed):
                peer.recv(LIMIT)
            return received, peer.close_code, peer.close_reason

    async with link_server() as server:
        token = server.add(to(websocket_port), label="port 30150")
        url = server.url(token, "ws")
        origin = f"http://127.0.0.1:{server.port}"
        assert url == f"ws://127.0.0.1:{server.port}/websocket_ai/{token}/path/"
        url = url if slash else url.removesuffix("/path/")
        received, code, reason = await anyio.to_thread.run_sync(talk, url, origin)
        assert received == [origin, "text ü", b"\x00" * 300_000]
        assert (code, reason) == (4321, "as asked")


SWITCH = b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n"
UPGRADE = ("Connection: keep-alive, Upgrade", "Upgrade: raw")


async def test_an_upgrade_needs_no_redirect_to_the_slash() -> None:
    async with link_to(answers(SWITCH)) as (server, token), raw_client(server) as client:
        head = get(server, token, *UPGRADE)
        await client.send(head.replace(b"/path/ HTTP", b" HTTP"))
        assert (await read_all(client)).startswith(b"HTTP/1.1 101")


async def test_bytes_next_to_an_upgrade_are_not_lost() -> None:
    async def server_side(stream: Stream, head: bytes) -> None:
        assert b"Upgrade: raw" in head
        await stream.send(SWITCH + b"early ")
        await stream.send(b"heard " + await read_until(stream, b"."))

    async with link_to(server_side) as (server, token), raw_client(server) as client:
        await client.send(get(server, token, *UPGRADE) + b"also early.")
        assert (await read_all(client)).endswith(b"\r\n\r\nearly heard also early.")


async def test_an_end_that_has_no_more_to_say_still_listens() -> None:
    async def server_side(stream: Stream, _head: bytes) -> None:
        await stream.send(SWITCH)
        question = await read_all(stream)
        await stream.send(b"answer to " + question)

    async with link_to(server_side) as (server, token), raw_client(server) as client:
        await client.send(get(server, token, *UPGRADE))
        await read_until(client, b"\r\n\r\n")
        await client.send(b"question")
        await client.send_eof()
        assert await read_all(client) == b"answer to question"


async def test_a_half_closed_connection_does_not_stay_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_link_exchange, "_HALF_CLOSED_TIME", 0.1)

    async def silent(stream: Stream, _head: bytes) -> None:
        await stream.send(SWITCH)
        await anyio.sleep_forever()

    async with link_to(silent) as (server, token), raw_client(server) as client:
        await client.send(get(server, token, *UPGRADE))
        await read_until(client, b"\r\n\r\n")
        await client.send_eof()
        assert await read_all(client) == b""


async def test_a_request_with_a_body_is_no_upgrade() -> None:
    async def server_side(stream: Stream, head: bytes) -> None:
        assert b"upgrade" not in head.lower()
        await stream.send(OK)

    async with link_to(server_side) as (server, token), raw_client(server) as client:
        await client.send(get(server, token, *UPGRADE, "Content-Length: 2", method="POST") + b"ab")
        assert (await read_until(client, b"ok")).startswith(b"HTTP/1.1 200")


# Tokens and pages.


async def test_an_unknown_token_says_nothing_about_others(app_port: int) -> None:
    async with link_server() as server, httpx.AsyncClient(timeout=LIMIT) as client:
        token = server.add(to(app_port), label="port 30150")
        root = f"http://127.0.0.1:{server.port}"
        unknown = [
            "/",
            "/request_ai/",
            "/request_ai/nope",
            "/request_ai/nope/path/",
            "/favicon.ico",
        ]
        near = [f"/request_ai/{token}x/path/", f"/request_ai/{token}/other", f"/{token}/path/"]
        replies = [await client.get(root + path) for path in unknown + near]
        assert {(reply.status_code, reply.text) for reply in replies} == {(404, NO_LINK)}


@pytest.mark.parametrize("switch", [b"HTTP/1.1 200 OK\r\n\r\nfirst", SWITCH + b"first"])
async def test_a_removed_link_ends_its_connections(switch: bytes) -> None:
    ended = anyio.Event()

    async def endless(stream: Stream, _head: bytes) -> None:
        await stream.send(switch)
        await read_all(stream)
        ended.set()

    async with link_to(endless) as (server, token), raw_client(server) as client:
        await client.send(get(server, token, *UPGRADE))
        await read_until(client, b"first")
        server.remove(token)
        assert b"0\r\n\r\n" not in await read_all(client)
        with anyio.fail_after(LIMIT):
            await ended.wait()
        async with raw_client(server) as late:
            await late.send(get(server, token))
            assert (await read_all(late)).startswith(b"HTTP/1.1 404")
        server.remove(token)


async def test_a_request_that_waits_hears_that_its_link_is_gone() -> None:
    asked = anyio.Event()

    async def silent(_stream: Stream, _head: bytes) -> None:
        asked.set()
        await anyio.sleep_forever()

    async with link_to(silent) as (server, token), raw_client(server) as client:
        await client.send(get(server, token))
        await asked.wait()
        server.remove(token)
        assert (await read_all(client)).startswith(b"HTTP/1.1 404")


async def test_tokens_are_in_no_log(caplog: pytest.LogCaptureFixture, app_port: int) -> None:
    caplog.set_level(logging.DEBUG, logger="agentbay")
    async with link_server() as server:
        token = server.add(to(app_port), label="port 30150")
        closed = server.add(to(1), label="port 30151")
        async with raw_client(server) as client:
            await client.send(get(server, token) + get(server, closed))
            await read_all(client)
    assert "port 30150 answered 200" in caplog.text
    assert "port 30151" in caplog.text
    assert token not in caplog.text
    assert closed not in caplog.text


# What goes wrong.


@pytest.fixture
def silent_port() -> Generator[int]:
    """A port that nobody else gets, and on which nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


async def test_a_port_without_a_server_says_what_to_do(silent_port: int) -> None:
    async def refuse() -> Stream:
        raise ConnectionRefusedError

    async with link_server() as server, httpx.AsyncClient(timeout=LIMIT) as client:
        for connect in (refuse, to(silent_port)):
            token = server.add(connect, label="port 30150")
            answer = await client.get(server.url(token))
            assert answer.status_code == 502
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"
            assert answer.text.startswith("nothing listens on port 30150 in this session: start a")
            assert (await client.head(server.url(token))).content == b""


async def test_a_port_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_link_exchange, "_CONNECT_TIME", 0.05)

    async def hang() -> Stream:
        await anyio.sleep_forever()
        raise AssertionError

    async with link_server() as server, httpx.AsyncClient(timeout=LIMIT) as client:
        answer = await client.get(server.url(server.add(hang, label="port 30150")))
        assert answer.status_code == 502
        assert "port 30150 in this session does not answer" in answer.text


@pytest.mark.parametrize(
    "beginning",
    [b"", b"HTTP/1.1 20", b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\nA\x00: b\r\n\r\n"],
)
async def test_a_server_that_does_not_speak_http_is_a_bad_gateway(beginning: bytes) -> None:
    async with (
        link_to(answers(beginning)) as (server, token),
        httpx.AsyncClient(timeout=LIMIT) as client,
    ):
        answer = await client.get(server.url(token))
        assert answer.status_code == 502
        assert "port 30150" in answer.text


@pytest.mark.parametrize(
    "beginning",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\nnonsense\r\n",
    ],
)
async def test_a_body_that_breaks_off_does_not_look_whole(beginning: bytes) -> None:
    async with (
        link_to(answers(beginning)) as (server, token),
        httpx.AsyncClient(timeout=LIMIT) as client,
    ):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(server.url(token))


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 200 OK\r\n\r\nfirst", SWITCH])
async def test_a_client_that_leaves_ends_the_connection_to_the_server(beginning: bytes) -> None:
    asked, ended = anyio.Event(), anyio.Event()

    async def endless(stream: Stream, _head: bytes) -> None:
        await stream.send(beginning)
        asked.set()
        await read_all(stream)
        ended.set()

    async with link_to(endless) as (server, token):
        async with raw_client(server) as client:
            await client.send(get(server, token, *UPGRADE))
            await asked.wait()
        with anyio.fail_after(LIMIT):
            await ended.wait()


async def test_an_upload_that_breaks_off_does_not_look_whole() -> None:
    received: list[bytes] = []
    ended = anyio.Event()

    async def server_side(stream: Stream, head: bytes) -> None:
        received.append(head.partition(b"\r\n\r\n")[2] + await read_all(stream))
        ended.set()

    async with link_to(server_side) as (server, token):
        async with raw_client(server) as client:
            head = get(server, token, "Transfer-Encoding: chunked", method="POST")
            await client.send(head + b"4\r\npart\r\n")
        with anyio.fail_after(LIMIT):
            await ended.wait()
    assert received == [b"4\r\npart\r\n"]


class _Deaf(anyio.abc.ByteStream):
    """A server's end that answers and takes nothing more after the head of the request."""

    def __init__(self) -> None:
        self.answer = [b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"]
        self.heads = 0
        self.refused = anyio.Event()

    async def send(self, item: bytes) -> None:
        self.heads += 1
        if self.heads > 1:
            self.refused.set()
            raise anyio.BrokenResourceError

    async def receive(self, max_bytes: int = 65536) -> bytes:
        await self.refused.wait()
        if self.answer:
            return self.answer.pop()
        raise anyio.EndOfStream

    async def send_eof(self) -> None:
        raise AssertionError

    async def aclose(self) -> None:
        self.answer.clear()


async def test_an_answer_that_comes_before_the_end_of_the_body_arrives() -> None:
    async def connect() -> Stream:
        return _Deaf()

    async with link_server() as server, raw_client(server) as client:
        token = server.add(connect, label="port 30150")
        await client.send(get(server, token, "Content-Length: 9", method="POST") + b"body")
        assert (await read_all(client)).startswith(b"HTTP/1.1 413")


async def test_a_refusal_reaches_a_client_that_is_still_sending() -> None:
    body = b"x" * 16_000_000
    async with link_server() as server, raw_client(server) as client:
        await client.send(get(server, "nope", f"Content-Length: {len(body)}", method="POST") + body)
        assert (await read_all(client)).endswith(NO_LINK.encode())


HOST = b"Host: h\r\n"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET http://127.0.0.1/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"CONNECT 127.0.0.1:22 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"CONNECT /request_ai/TOKEN/path/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A : b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\rEvil: c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\x00\r\n\r\n", 400),
        (b"GET /\x01 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +1\r\n\r\n", 400),
        (
            b"POST /request_ai/TOKEN/path/ HTTP/1.1\r\n"
            + HOST
            + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: x, chunked\r\n\r\n", 501),
        (
            b"POST /request_ai/TOKEN/path/ HTTP/1.1\r\n"
            + HOST
            + b"Transfer-Encoding: chunked\r\n\r\nz\r\n\r\n",
            400,
        ),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"a" * 65_536 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 20_000, 431),
    ],
)
async def test_a_malformed_request_is_refused_and_harms_nobody(head: bytes, status: int) -> None:
    async def patient(stream: Stream, head: bytes) -> None:
        if b"chunked" in head:
            await read_all(stream)
        await stream.send(OK)

    async with link_to(patient) as (server, token):
        async with raw_client(server) as client:
            await client.send(head.replace(b"TOKEN", token.encode()))
            answer = await read_all(client)
            assert answer.startswith(b"HTTP/1.1 %d " % status)
            assert answer.count(b"HTTP/1.1") == 1
        async with raw_client(server) as client:
            await client.send(get(server, token))
            assert (await read_until(client, b"ok")).startswith(b"HTTP/1.1 200")


async def test_a_slow_head_and_a_silent_client_are_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with link_to(answers(OK)) as (server, token):
        async with raw_client(server) as client:
            # A connection that is used waits longer for the first byte of a head than for the rest.
            await client.send(get(server, token))
            await read_until(client, b"ok")
            monkeypatch.setattr(_link_exchange, "_HEAD_TIME", 0.1)
            await client.send(b"GET / HT")
            assert (await read_all(client)).startswith(b"HTTP/1.1 408")
        async with raw_client(server) as client:
            assert await read_all(client) == b""
        monkeypatch.setattr(_link_exchange, "_HEAD_TIME", LIMIT)
        monkeypatch.setattr(_link_exchange, "_IDLE_TIME", 0.1)
        async with raw_client(server) as client:
            await client.send(get(server, token))
            assert (await read_all(client)).endswith(b"\r\n\r\nok")


async def test_a_client_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = anyio.Event()

    async def flood(stream: Stream, _head: bytes) -> None:
        # The head has come through, whatever time that took.
        monkeypatch.setattr(_link_exchange, "_STALL_TIME", 0.2)
        try:
            await stream.send(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                await stream.send(b"x" * 65_536)
        finally:
            ended.set()

    async with link_to(flood) as (server, token), raw_client(server) as client:
        await client.send(get(server, token))
        with anyio.fail_after(LIMIT):
            await ended.wait()


async def test_too_many_connections_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "_MAX_OPEN", 1)
    async with link_to(answers(OK)) as (server, token):
        async with raw_client(server) as first:
            await first.send(get(server, token))
            await read_until(first, b"ok")
            async with raw_client(server) as second:
                assert (await read_all(second)).startswith(b"HTTP/1.1 503")
            await first.send(get(server, token, "Connection: close"))
            assert (await read_all(first)).endswith(b"ok")
        while server._open:  # noqa: ASYNC110 - the server tells nobody
            await anyio.sleep(0.01)
        async with raw_client(server) as third:
            await third.send(get(server, token))
            assert (await read_until(third, b"ok")).startswith(b"HTTP/1.1 200")


class _Exhausted(anyio.abc.Listener[anyio.abc.SocketStream]):
    """A listener of a process that has no file descriptors to spare, once."""

    def __init__(self, error: Exception) -> None:
        self.errors = [error]
        self.recovered = anyio.Event()

    async def serve(self, handler: object, task_group: object = None) -> None:
        if self.errors:
            raise self.errors.pop()
        self.recovered.set()
        await anyio.sleep_forever()

    async def aclose(self) -> None:
        self.errors.clear()


@pytest.mark.parametrize("error", [OSError(24, "too many files"), anyio.BrokenResourceError()])
async def test_a_connection_that_cannot_be_accepted_is_not_the_last(error: Exception) -> None:
    listener = _Exhausted(error)
    with anyio.fail_after(LIMIT):
        async with anyio.create_task_group() as group:
            group.start_soon(LinkServer()._accept, listener, group)
            await listener.recovered.wait()
            group.cancel_scope.cancel()


def test_a_server_that_does_not_listen_has_no_address() -> None:
    with pytest.raises(RuntimeError, match="start serve"):
        LinkServer().url("token")
