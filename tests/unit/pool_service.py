"""A server on loopback that does what a test tells it, byte by byte."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import contextmanager, suppress

import attrs


@attrs.define
class Talk:
    """One connection, as the server sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int
    service: PoolService

    async def request(self) -> bytes:
        """Read one request: its head, an empty line, and its body, out of any chunks."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.service.heads.append(head)
        fields = head.lower()
        if b"transfer-encoding: chunked" in fields:
            body = b"".join([piece async for piece in self._chunks()])
        else:
            length = fields.partition(b"content-length: ")[2].partition(b"\r")[0]
            body = await self.reader.readexactly(int(length or 0))
        self.service.requests.append(head + body)
        return head + body

    async def _chunks(self) -> AsyncIterator[bytes]:
        while size := int(await self.reader.readline(), 16):
            yield (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readline()

    async def say(self, *pieces: bytes, pause: float = 0.0) -> None:
        """Send bytes."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            if pause:
                await asyncio.sleep(pause)


def reply(body: bytes = b"ok", *headers: str, status: str = "200 OK") -> bytes:
    """A reply with the length of its body."""
    lines = "".join(f"{line}\r\n" for line in (*headers, f"Content-Length: {len(body)}"))
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


Script = Callable[[Talk], Awaitable[None]]


async def answer(talk: Talk) -> None:
    """Answer every request with ``ok``."""
    while True:
        await talk.request()
        await talk.say(reply())


@attrs.define(eq=False)
class PoolService:
    """What the server has seen.

    Attributes:
        requests: All requests that were read whole, in their order.
        heads: The heads of all requests.
        connections: How many connections there were.
        open: How many there are.
        most: How many there were at once.
    """

    script: Script
    scheme: str = "http"
    port: int = 0
    requests: list[bytes] = attrs.field(factory=list[bytes])
    heads: list[bytes] = attrs.field(factory=list[bytes])
    connections: int = 0
    open: int = 0
    most: int = 0
    writers: list[asyncio.StreamWriter] = attrs.field(factory=list[asyncio.StreamWriter])
    tasks: list[asyncio.Task[None]] = attrs.field(factory=list[asyncio.Task[None]])

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{self.scheme}://127.0.0.1:{self.port}/"

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Block the caller, with its loop, until the server has seen something."""
        end = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < end, self
            time.sleep(0.002)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection in a task; not one that might be cancelled before it begins."""
        self.connections += 1
        self.open += 1
        self.most = max(self.most, self.open)
        self.writers.append(writer)
        talk = Talk(reader, writer, self.connections, self)
        self.tasks.append(asyncio.get_running_loop().create_task(self._serve(talk)))

    async def _serve(self, talk: Talk) -> None:
        try:
            await self.script(talk)
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the client is gone, or the test is over
        finally:
            talk.writer.transport.abort()
            # What a client sees: the socket itself is closed in one of the next rounds of the loop.
            with suppress(OSError, asyncio.CancelledError):
                await talk.writer.wait_closed()
            self.open -= 1


@contextmanager
def serving(
    script: Script = answer, tls: ssl.SSLContext | None = None
) -> Generator[PoolService, None, None]:
    """Run a server in a thread of its own, on a loop of its own."""
    service = PoolService(script, "https" if tls else "http")
    loop = asyncio.new_event_loop()
    started = threading.Event()

    async def main() -> None:
        server = await asyncio.start_server(
            service.accept, "127.0.0.1", 0, ssl=tls, backlog=1024, limit=1 << 20
        )
        service.port = server.sockets[0].getsockname()[1]
        started.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        # A server that is closed while it accepts a connection forgets to close that.
        for _ in range(10):
            await asyncio.sleep(0)
        server.close()

    task = loop.create_task(main())

    def run() -> None:
        loop.run_until_complete(task)
        for other in asyncio.all_tasks(loop):
            other.cancel()
        for writer in service.writers:
            writer.transport.abort()
        _turn(loop)  # and what was aborted ends
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert started.wait(30)
        yield service
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(30)
        assert not thread.is_alive()


def _turn(loop: asyncio.AbstractEventLoop) -> None:
    for _ in range(10):
        loop.run_until_complete(asyncio.sleep(0))
