"""Addresses of single files: what they allow, what they refuse, and what a broken transfer does."""

from __future__ import annotations

import base64
import errno
import hashlib
import logging
import os
import socket
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import httpx
import pytest

from agentbay.local import _file_links, _link_exchange
from agentbay.local._file_links import PREFIX, FileLinks, Method
from agentbay.local._storage.quota import Quota
from agentbay.local._storage.store import Store
from agentbay.local.links import LinkServer

CONTENT = bytes(range(256)) * 16
LIMIT = 30.0


class Served:
    """A store whose files have addresses."""

    def __init__(self, store: Store, links: FileLinks, server: LinkServer) -> None:
        self.store, self._links, self._server = store, links, server
        self.context = store.create_context("a").id
        self.http = httpx.AsyncClient(trust_env=False, timeout=LIMIT)

    def url(self, method: Method, path: str = "d/file") -> str:
        return self._server.origin + self._links.sign(method, self.context, path)[0]

    async def put(self, content: bytes = CONTENT, path: str = "d/file") -> httpx.Response:
        return await self.http.put(self.url("PUT", path), content=content)

    async def get(self, path: str = "d/file", **headers: str) -> httpx.Response:
        return await self.http.get(self.url("GET", path), headers=headers)

    def paths(self) -> list[str]:
        return [entry.path for entry in self.store.list_entries(self.context)]


@asynccontextmanager
async def serving(home: Path, quota: Quota | None = None) -> AsyncGenerator[Served, None]:
    with Store(home, quota) as store:
        server, links = LinkServer(), FileLinks(store)
        server.mount(PREFIX, links.serve)
        async with anyio.create_task_group() as tasks:
            await tasks.start(server.serve)
            served = Served(store, links, server)
            async with served.http:
                yield served
            tasks.cancel_scope.cancel()


@pytest.fixture(autouse=True)
def _clients_have_time_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal arrives only if the client can send its request to the end."""
    monkeypatch.setattr(_link_exchange, "_LINGER_TIME", LIMIT)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncGenerator[Served, None]:
    async with serving(tmp_path / "home") as found:
        yield found


# --- reading -------------------------------------------------------------------------------


async def test_a_file_comes_back_with_what_clients_ask_for(served: Served) -> None:
    stored = await served.put()
    found = await served.get()

    assert stored.status_code == found.status_code == 200
    assert found.content == CONTENT
    sha = hashlib.sha256(CONTENT).hexdigest()
    assert found.headers["ETag"] == stored.headers["ETag"] == f'"{sha}"'
    assert found.headers["Content-Length"] == str(len(CONTENT))
    digest = base64.b64encode(bytes.fromhex(sha)).decode()
    assert found.headers["Repr-Digest"] == f"sha-256=:{digest}:"
    assert found.headers["Accept-Ranges"] == "bytes"
    assert found.headers["Last-Modified"].endswith(" GMT")
    assert found.headers["X-Content-Type-Options"] == "nosniff"


async def test_head_tells_the_same_without_the_content(served: Served) -> None:
    await served.put()
    head = await served.http.head(served.url("GET"))

    assert head.status_code == 200
    assert head.headers["Content-Length"] == str(len(CONTENT))
    assert head.content == b""
    assert (await served.get()).content == CONTENT


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=4000-", 4000, 4095),
        ("bytes=4000-999999", 4000, 4095),
        ("bytes=-5", 4091, 4095),
    ],
)
async def test_a_range_is_sent_alone(served: Served, asked: str, first: int, last: int) -> None:
    await served.put()
    found = await served.get(Range=asked)

    assert found.status_code == 206
    assert found.content == CONTENT[first : last + 1]
    assert found.headers["Content-Range"] == f"bytes {first}-{last}/4096"
    assert found.headers["Content-Length"] == str(last + 1 - first)


@pytest.mark.parametrize(
    "asked", ["bytes=0-4095", "bytes=0-1,5-6", "lines=1-2", "bytes=-", "bytes=9-3", "bytes=-9999"]
)
async def test_a_range_that_says_nothing_brings_the_whole_file(served: Served, asked: str) -> None:
    await served.put()
    found = await served.get(Range=asked)

    assert found.status_code == 200
    assert found.content == CONTENT
    assert "Content-Range" not in found.headers


@pytest.mark.parametrize("asked", ["bytes=4096-", "bytes=5000-6000", "bytes=-0"])
async def test_a_range_outside_of_the_file_is_refused(served: Served, asked: str) -> None:
    await served.put()
    found = await served.get(Range=asked)

    assert found.status_code == 416
    assert "4096 bytes" in found.text


async def test_a_range_of_another_state_brings_the_whole_file(served: Served) -> None:
    etag = (await served.put()).headers["ETag"]
    same = await served.get(**{"Range": "bytes=0-9", "If-Range": etag})
    other = await served.get(**{"Range": "bytes=0-9", "If-Range": '"other"'})

    assert (same.status_code, other.status_code) == (206, 200)


async def test_an_empty_file_can_be_moved(served: Served) -> None:
    await served.put(b"")
    found = await served.get()

    assert found.status_code == 200
    assert found.content == b""
    assert (await served.get(Range="bytes=0-")).status_code == 416


# --- what an address is good for -----------------------------------------------------------


async def test_an_address_is_good_for_one_method(served: Served) -> None:
    await served.put()
    for method, kind in (("PUT", "GET"), ("DELETE", "GET"), ("POST", "GET")):
        refused = await served.http.request(method, served.url(kind), content=b"x")  # type: ignore[arg-type]  # one of the two
        assert refused.status_code == 405
    for method in ("GET", "HEAD", "DELETE"):
        assert (await served.http.request(method, served.url("PUT"))).status_code == 405
    assert (await served.get()).content == CONTENT


async def test_an_address_is_good_for_one_file(served: Served) -> None:
    await served.put()
    other = served.store.create_context("b").id
    url = served.url("GET")
    for changed in (
        url.replace("/file?", "/fila?"),
        url.replace("/d/file?", "/d%2F..%2Fd/file?"),
        url.replace(served.context, other),
        url.replace("Method=GET", "Method=PUT"),
        url.replace("Expires=", "Expires=9"),
        url.replace("/file?", "/%ff%00?"),
        url.replace("Expires=", "Expires=%D9%A1"),
        url[:-1] + ("0" if url[-1] != "0" else "1"),
        url[: url.index("&Signature")],
        url.partition("?")[0],
    ):
        refused = await served.http.get(changed)
        assert refused.status_code in (403, 404)
        assert CONTENT[:9] not in refused.content


async def test_an_address_ends(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    await served.put()
    monkeypatch.setattr(_file_links, "_VALIDITY", -1)
    for refused in (await served.put(b"late"), await served.get()):
        assert refused.status_code == 403
        assert "not valid any more" in refused.text
    monkeypatch.undo()
    assert (await served.get()).content == CONTENT


async def test_an_address_of_another_engine_is_refused(served: Served) -> None:
    target, _ = FileLinks(served.store).sign("PUT", served.context, "a")
    parts = urlsplit(served.url("PUT"))

    assert (await served.http.put(f"http://{parts.netloc}{target}")).status_code == 403


async def test_addresses_are_not_logged(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "agentbay")
    await served.put()
    await served.get("nothing")

    # What httpx logs of the test's own requests is no matter of the engine's.
    logged = [record.getMessage() for record in caplog.records if record.name != "httpx"]
    assert not [line for line in logged if "Signature" in line]


# --- writing -------------------------------------------------------------------------------


async def body(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_a_body_without_a_length_is_taken(served: Served) -> None:
    reply = await served.http.put(served.url("PUT"), content=body(b"one ", b"two"))

    assert reply.status_code == 200
    assert (await served.get()).content == b"one two"


async def test_a_client_that_asks_first_is_told_to_go_on(served: Served) -> None:
    parts = urlsplit(served.url("PUT"))
    head = f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
    with anyio.fail_after(LIMIT):
        stream = await anyio.connect_tcp("127.0.0.1", parts.port or 0)
        async with stream:
            await stream.send(f"{head}Expect: 100-continue\r\n\r\n".encode())
            assert (await stream.receive()).startswith(b"HTTP/1.1 100")
            await stream.send(b"ok")
            assert (await stream.receive()).startswith(b"HTTP/1.1 200")
    assert (await served.get()).content == b"ok"


@pytest.mark.parametrize("sent", [b"", b"half of it"])
async def test_a_body_that_is_cut_changes_nothing(
    served: Served, sent: bytes, tmp_path: Path
) -> None:
    await served.put(b"before")
    parts = urlsplit(served.url("PUT"))
    head = f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n"
    with anyio.fail_after(LIMIT):
        async with await anyio.connect_tcp("127.0.0.1", parts.port or 0) as stream:
            await stream.send(head.encode() + sent)
        incoming = tmp_path / "home" / "blobs" / "incoming"
        assert (await served.get()).content == b"before"
        while list(incoming.iterdir()):  # noqa: ASYNC110 - the engine tells nobody
            await anyio.sleep(0.01)
    assert (await served.get()).content == b"before"


async def test_nothing_is_seen_of_a_file_that_is_not_complete(served: Served) -> None:
    arrived, go_on = anyio.Event(), anyio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield bytes(1 << 20)
        arrived.set()
        await go_on.wait()
        yield b"end"

    async with anyio.create_task_group() as tasks:
        url = served.url("PUT")
        tasks.start_soon(lambda: served.http.put(url, content=slow()))
        await arrived.wait()
        assert (await served.get()).status_code == 404
        assert served.paths() == []
        go_on.set()
    assert len((await served.get()).content) == (1 << 20) + 3


async def test_a_place_where_no_file_can_be_is_refused(served: Served) -> None:
    await served.put()

    for path in ("d", "d/file/below"):
        refused = await served.put(b"x", path)
        assert refused.status_code == 400
        assert "directory" in refused.text
    assert served.paths() == ["d/file"]


async def test_a_context_that_is_gone_is_told(served: Served) -> None:
    read, write = served.url("GET"), served.url("PUT")
    served.store.delete_context(served.context)

    assert (await served.http.get(read)).status_code == 404
    assert (await served.http.put(write, content=b"x")).status_code == 404


@pytest.mark.parametrize("told", [True, False])
async def test_a_file_past_the_quota_is_refused(tmp_path: Path, told: bool) -> None:
    async with serving(tmp_path, Quota(total=1000)) as served:
        assert (await served.put(bytes(1000))).status_code == 200
        content = bytes(1001) if told else body(bytes(600), bytes(401))
        refused = await served.http.put(served.url("PUT"), content=content)
        assert refused.status_code == 413
        assert "1000 bytes" in refused.text
        assert (await served.get()).content == bytes(1000)


async def test_a_disk_that_refuses_is_told(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        refused = await served.put()
    assert refused.status_code == 507
    assert "No space left" in refused.text
    assert (await served.put()).status_code == 200


async def test_large_files_pass_in_little_memory(served: Served) -> None:
    piece = bytes(1 << 20)
    tracemalloc.start()
    try:
        reply = await served.http.put(served.url("PUT"), content=body(*[piece] * 64))
        size = 0
        async with served.http.stream("GET", served.url("GET")) as found:
            async for chunk in found.aiter_raw():
                size += len(chunk)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert reply.status_code == 200
    assert size == 64 << 20
    assert peak < 16 << 20


async def test_many_files_are_moved_at_once(served: Served) -> None:
    async def move(number: int) -> None:
        content = b"%d" % number * 10_000
        assert (await served.put(content, f"f{number}")).status_code == 200
        assert (await served.get(f"f{number}")).content == content

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(move, number)
    assert len(served.paths()) == 20


async def test_a_client_that_leaves_does_not_stop_the_others(served: Served) -> None:
    await served.put(bytes(8 << 20))
    parts = urlsplit(served.url("GET"))
    with socket.create_connection(("127.0.0.1", parts.port or 0)) as hasty:
        hasty.sendall(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert len((await served.get()).content) == 8 << 20
