"""Links to servers that run in sessions, as a user of the client sees them."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import anyio
import anyio.to_thread
import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from agentbay import AsyncAgentBay, AsyncSession

from ..local.sandboxes import until
from .observing import shell

PORT = 30150

# Echoes text messages of less than 126 bytes, with nothing but the standard library.
ECHO = """
import base64, hashlib, http.server

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        self.close_connection = True
        while True:
            first, second = self.rfile.read(2)
            mask, size = self.rfile.read(4), second & 127
            data = bytes(b ^ mask[i % 4] for i, b in enumerate(self.rfile.read(size)))
            self.wfile.write(bytes([first, size]) + data)
            if first & 15 == 8:
                return

http.server.ThreadingHTTPServer(("127.0.0.1", 30150), Handler).serve_forever()
"""


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient, None]:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        yield client


async def _serve(session: AsyncSession, page: str) -> str:
    """Start a web server in the session and wait for it; returns its link."""
    await session.file_system.write_file("/tmp/site/index.html", page)
    await shell(session, f"cd /tmp/site && python3 -m http.server {PORT} --bind 127.0.0.1 &")
    await _listening(session)
    return (await session.get_link(port=PORT)).unwrap()


async def _listening(session: AsyncSession) -> None:
    probe = f"import socket; socket.create_connection(('127.0.0.1', {PORT}))"

    async def answers() -> bool:
        return (await session.command.run(f'python3 -c "{probe}"')).success

    await until(answers, 30)


async def test_a_server_in_the_session_answers_through_its_link(
    session: AsyncSession, http: httpx.AsyncClient
) -> None:
    link = await _serve(session, "<h1>hello from the session</h1>")
    await session.file_system.write_file("/tmp/site/sub/größe.txt", "deep")

    page = await http.get(link)
    deep = await http.get(f"{link}sub/größe.txt", params={"q": "1"})
    missing = await http.get(f"{link}missing")

    assert (page.status_code, page.text) == (200, "<h1>hello from the session</h1>")
    assert page.headers["content-type"] == "text/html"
    assert (deep.status_code, deep.text) == (200, "deep")
    assert missing.status_code == 404


async def test_a_link_is_the_same_each_time_and_differs_by_port(session: AsyncSession) -> None:
    first = (await session.get_link(port=PORT)).unwrap()

    assert (await session.get_link("https", PORT)).unwrap() == first
    assert (await session.get_link(port=PORT + 1)).unwrap() != first


async def test_a_port_without_a_server_is_named(
    session: AsyncSession, http: httpx.AsyncClient
) -> None:
    link = (await session.get_link(port=PORT)).unwrap()

    answer = await http.get(link)

    assert answer.status_code == 502
    assert str(PORT) in answer.text


async def test_a_link_works_as_soon_as_the_server_listens(
    session: AsyncSession, http: httpx.AsyncClient
) -> None:
    link = (await session.get_link(port=PORT)).unwrap()
    assert (await http.get(link)).status_code == 502

    await _serve(session, "late")

    assert (await http.get(link)).text == "late"


async def test_two_sessions_serve_on_the_same_port(
    bay: AsyncAgentBay, http: httpx.AsyncClient
) -> None:
    async with bay.session() as one, bay.session() as other:
        links = [await _serve(one, "page of one"), await _serve(other, "page of other")]

        pages = [(await http.get(link)).text for link in links]

    assert pages == ["page of one", "page of other"]


async def test_a_link_that_was_not_given_out_leads_nowhere(
    session: AsyncSession, http: httpx.AsyncClient
) -> None:
    link = await _serve(session, "hello")
    base, token, rest = link.rpartition("/request_ai/")[0], link.split("/")[4], "/path/"
    guess = token[:-1] + ("a" if token[-1] != "a" else "b")

    assert (await http.get(f"{base}/request_ai/{guess}{rest}")).status_code == 404
    assert (await http.get(base + "/")).status_code == 404


@pytest.mark.engine_only
async def test_a_web_socket_goes_through_a_link(session: AsyncSession) -> None:
    await session.file_system.write_file("/tmp/echo.py", ECHO)
    await shell(session, "python3 /tmp/echo.py 2> /tmp/echo.log &")
    await _listening(session)
    link = (await session.get_link("wss", PORT)).unwrap()

    def talk() -> list[str | bytes]:
        with connect(link, proxy=None, open_timeout=30, close_timeout=30) as socket:
            answers: list[str | bytes] = []
            for message in ("one", "žluť 📏", b"\x00\xff"):
                socket.send(message)
                answers.append(socket.recv(timeout=30))
            return answers

    assert link.startswith("ws://")
    assert await anyio.to_thread.run_sync(talk) == ["one", "žluť 📏", b"\x00\xff"]


async def test_a_web_socket_to_a_port_without_a_server_is_refused(session: AsyncSession) -> None:
    link = (await session.get_link("wss", PORT)).unwrap()

    def talk() -> None:
        with connect(link, proxy=None, open_timeout=30):
            pytest.fail("nothing listens there")

    with pytest.raises(InvalidStatus) as caught:
        await anyio.to_thread.run_sync(talk)
    assert caught.value.response.status_code == 502


async def test_a_link_is_dead_after_its_session_is_deleted(
    bay: AsyncAgentBay, http: httpx.AsyncClient
) -> None:
    async with bay.session() as session:
        link = await _serve(session, "hello")
        page = session.resource_url
        assert (await http.get(link)).status_code == 200
        assert (await http.get(page)).status_code == 200

    assert (await http.get(link)).status_code == 404
    assert (await http.get(page)).status_code == 404
