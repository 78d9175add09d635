"""Files of contexts without a session, through a session's store, and contexts bound late."""

from __future__ import annotations

import hashlib
import io
import os
import re
import uuid
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from agentbay import (
    AsyncAgentBay,
    AsyncSession,
    ContextNotFoundError,
    ContextSync,
    CreateSessionParams,
)
from agentbay.protocol.context_files import ContextFileEntry
from agentbay.protocol.contexts import Context
from agentbay.protocol.sync_policy import SyncPolicy, UploadPolicy

from .observing import CountingTransport, shell
from .services import Service

WORK = "/home/wuying/work"


@pytest.fixture
async def context(bay: AsyncAgentBay) -> Context:
    return (await bay.context.create(f"context-{uuid.uuid4().hex}")).unwrap()


def params(context: Context) -> CreateSessionParams:
    return CreateSessionParams(context_syncs=[ContextSync(context.id, WORK)])


def web() -> httpx.AsyncClient:
    return httpx.AsyncClient(trust_env=False, timeout=40)


async def put(bay: AsyncAgentBay, context: Context, path: str, data: bytes) -> httpx.Response:
    url = (await bay.context.get_file_upload_url(context.id, path)).unwrap()
    async with web() as http:
        return (await http.put(url, content=data)).raise_for_status()


async def get(bay: AsyncAgentBay, context: Context, path: str, **headers: str) -> httpx.Response:
    url = (await bay.context.get_file_download_url(context.id, path)).unwrap()
    async with web() as http:
        return await http.get(url, headers=headers)


async def listed(bay: AsyncAgentBay, context: Context, folder: str = "/") -> list[ContextFileEntry]:
    return (await bay.context.list_files(context.id, folder)).unwrap()


# -- addresses -------------------------------------------------------------------------


async def test_a_file_goes_in_and_comes_out_through_addresses(
    bay: AsyncAgentBay, context: Context
) -> None:
    stored = await put(bay, context, "/d/é #?%2F.txt", b"directly")
    found = await get(bay, context, "d/é #?%2F.txt")

    assert found.content == b"directly"
    assert found.headers["ETag"] == stored.headers["ETag"]
    assert found.headers["Content-Length"] == "8"
    assert found.headers["Content-Type"] == "application/octet-stream"


async def test_what_is_put_reaches_a_session_and_back(bay: AsyncAgentBay, context: Context) -> None:
    await put(bay, context, "/in.txt", b"from outside")
    async with bay.session(params(context)) as session:
        assert (await session.command.run("cat in.txt", cwd=WORK)).unwrap() == "from outside"
        await shell(session, f"printf inside > {WORK}/out.txt")

    assert (await get(bay, context, "/out.txt")).content == b"inside"


async def test_putting_again_replaces(bay: AsyncAgentBay, context: Context) -> None:
    for content in (b"one", b"two", b""):
        await put(bay, context, "a", content)
        assert (await get(bay, context, "a")).content == content


@pytest.mark.engine_only
async def test_an_address_ends_within_an_hour(bay: AsyncAgentBay, context: Context) -> None:
    for result in (
        await bay.context.get_file_upload_url(context.id, "a"),
        await bay.context.get_file_download_url(context.id, "a"),
    ):
        assert result.url.startswith("http://127.0.0.1:")
        assert result.url not in repr(result)
        assert result.expire_time


async def test_an_address_of_a_file_that_is_not_there_says_so(
    bay: AsyncAgentBay, context: Context
) -> None:
    await put(bay, context, "d/a", b"x")

    for path in ("b", "d"):
        found = await get(bay, context, path)
        assert found.status_code == 404
        assert "no such file" in found.text


async def test_an_address_of_an_unknown_context_is_refused(bay: AsyncAgentBay) -> None:
    for result in (
        await bay.context.get_file_upload_url("SdkCtx-unknown", "a"),
        await bay.context.get_file_download_url("SdkCtx-unknown", "a"),
        await bay.context.delete_file("SdkCtx-unknown", "a"),
        await bay.context.list_files("SdkCtx-unknown", "/"),
        await bay.context.start_clear("SdkCtx-unknown"),
    ):
        assert isinstance(result.error, ContextNotFoundError)


@pytest.mark.parametrize("path", ["../a", "/a/../../b", "x" * 300, "a\0b"])
async def test_a_path_that_leads_elsewhere_has_no_address(
    bay: AsyncAgentBay, context: Context, path: str
) -> None:
    result = await bay.context.get_file_upload_url(context.id, path)

    assert not result.success
    assert result.code in ("InvalidParameter", "")


# -- listing and deleting --------------------------------------------------------------


async def test_a_folder_is_listed(bay: AsyncAgentBay, context: Context) -> None:
    for path in ("b.txt", "d/one", "d/e/two"):
        await put(bay, context, path, b"123")

    first, second = await listed(bay, context)

    assert (first.file_name, first.file_path, first.file_type) == ("b.txt", "/b.txt", "FILE")
    assert first.size == 3
    assert first.file_id
    assert first.gmt_modified
    assert (second.file_name, second.file_path, second.file_type) == ("d", "/d", "FOLDER")
    assert [file.file_path for file in await listed(bay, context, "/d/")] == ["/d/e", "/d/one"]
    assert await listed(bay, context, "nowhere") == []


async def test_a_folder_is_listed_page_by_page(bay: AsyncAgentBay, context: Context) -> None:
    names = [f"f{number}" for number in range(5)]
    for name in names:
        await put(bay, context, name, b"")

    pages = [
        await bay.context.list_files(context.id, "/", page_number=number, page_size=2)
        for number in (1, 2, 3, 4)
    ]
    assert [[f.file_name for f in page.entries] for page in pages] == [
        ["f0", "f1"],
        ["f2", "f3"],
        ["f4"],
        [],
    ]
    assert {page.count for page in pages} == {5}
    first = await bay.context.list_files(context.id, "/", max_results=3)
    rest = await bay.context.list_files(context.id, "/", next_token=first.next_token)
    assert [file.file_name for file in [*first.entries, *rest.entries]] == names
    assert not rest.next_token
    assert not (await bay.context.list_files(context.id, "/", next_token="?")).success


async def test_a_deleted_file_is_gone(bay: AsyncAgentBay, context: Context) -> None:
    await put(bay, context, "d/a", b"x")

    assert (await bay.context.delete_file(context.id, "/d/a")).success

    assert await listed(bay, context) == []
    assert not (await bay.context.delete_file(context.id, "/d/a")).success


async def test_a_folder_is_not_deleted_as_a_file(bay: AsyncAgentBay, context: Context) -> None:
    await put(bay, context, "d/a", b"x")

    result = await bay.context.delete_file(context.id, "d")

    assert "directory" in result.error_message
    assert (await get(bay, context, "d/a")).content == b"x"


async def test_a_cleared_context_is_empty_and_can_be_used(
    bay: AsyncAgentBay, context: Context
) -> None:
    await put(bay, context, "a", b"x")

    result = await bay.context.clear(context.id, poll_interval=0.05)

    assert result.success
    assert result.status == "available"
    assert await listed(bay, context) == []
    await put(bay, context, "b", b"y")
    assert [file.file_name for file in await listed(bay, context)] == ["b"]


async def test_a_path_of_a_session_stands_for_the_file_there(
    bay: AsyncAgentBay, context: Context
) -> None:
    async with bay.session(params(context)) as session:
        await put(bay, context, f"{WORK}/a.txt", b"by its path")
        assert (await session.context.sync(context.id, f"{WORK}/a.txt", "download")).success
        assert (await session.command.run("cat a.txt", cwd=WORK)).unwrap() == "by its path"
        assert [file.file_name for file in await listed(bay, context, WORK)] == ["a.txt"]


async def test_an_archive_that_is_asked_for_by_its_path_is_not_unpacked(
    bay: AsyncAgentBay, context: Context
) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", "alpha")
    async with bay.session(params(context)) as session:
        await put(bay, context, "data.zip", buffer.getvalue())
        assert (await session.context.sync(context.id, f"{WORK}/data.zip", "download")).success
        assert (await session.command.run("ls", cwd=WORK)).unwrap() == "data.zip\n"


# -- one file at a time ----------------------------------------------------------------


async def test_a_file_is_uploaded_into_a_session_and_downloaded(
    bay: AsyncAgentBay, session: AsyncSession, tmp_path: Path
) -> None:
    folder = await session.file_system.get_file_transfer_context_path()
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(bytes(range(256)) * 5000)

    sent = await session.file_system.upload_file(str(source), f"{folder}/sub/up.bin")
    copied = await session.command.run(f"cd {folder}/sub; cp up.bin down.bin; sha256sum up.bin")
    fetched = await session.file_system.download_file(f"{folder}/sub/down.bin", str(target))

    assert sent.success, sent.error_message
    assert sent.bytes_sent == source.stat().st_size
    assert copied.unwrap().startswith(hashlib.sha256(source.read_bytes()).hexdigest())
    assert fetched.success, fetched.error_message
    assert target.read_bytes() == source.read_bytes()


async def test_a_transfer_can_be_repeated_with_other_content(
    session: AsyncSession, tmp_path: Path
) -> None:
    folder = await session.file_system.get_file_transfer_context_path()
    for content in (b"one", b"two"):
        (tmp_path / "f").write_bytes(content)
        (await session.file_system.upload_file(str(tmp_path / "f"), f"{folder}/f")).unwrap()
        (await session.file_system.download_file(f"{folder}/f", str(tmp_path / "g"))).unwrap()
        assert (tmp_path / "g").read_bytes() == content


async def test_an_archive_is_uploaded_as_it_is(session: AsyncSession, tmp_path: Path) -> None:
    folder = await session.file_system.get_file_transfer_context_path()
    (tmp_path / "a.zip").write_bytes(b"PK\x05\x06" + bytes(18))

    (await session.file_system.upload_file(str(tmp_path / "a.zip"), f"{folder}/a.zip")).unwrap()

    assert (await session.command.run(f"ls {folder}")).unwrap() == "a.zip\n"


async def test_a_file_that_the_session_does_not_have_cannot_be_downloaded(
    session: AsyncSession, tmp_path: Path
) -> None:
    folder = await session.file_system.get_file_transfer_context_path()

    result = await session.file_system.download_file(f"{folder}/none", str(tmp_path / "f"))

    assert not result.success
    assert "none" in result.error_message
    assert not (tmp_path / "f").exists()


async def test_a_path_outside_of_the_store_is_refused(
    session: AsyncSession, tmp_path: Path
) -> None:
    (tmp_path / "f").write_bytes(b"x")

    result = await session.file_system.upload_file(str(tmp_path / "f"), "/home/wuying/f")

    assert not result.success
    assert "/home/wuying/f" in result.error_message


async def test_transfers_leave_no_context_behind(bay: AsyncAgentBay, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    async with bay.session() as session:
        folder = await session.file_system.get_file_transfer_context_path()
        (await session.file_system.upload_file(str(tmp_path / "f"), f"{folder}/f")).unwrap()
        kept = session.file_transfer_context_id
        assert kept not in await _listed_contexts(bay)
        assert (await bay.context.get(context_id=kept)).success
        assert (await session.context.info()).unwrap() == []

    assert not (await bay.context.get(context_id=kept)).success


async def _listed_contexts(bay: AsyncAgentBay) -> set[str]:
    page = await bay.context.list(max_results=100)
    seen = {context.id for context in page.unwrap()}
    while page.next_token:
        page = await bay.context.list(max_results=100, next_token=page.next_token)
        seen |= {context.id for context in page.unwrap()}
    return seen


class BreakingTransport(CountingTransport):
    """Breaks each exchange of a file once, in the middle.

    Attributes:
        ranges: What was asked for of the files, with the statuses of the replies.
    """

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.ranges: list[tuple[str, str | None, int]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if request.method in ("GET", "PUT"):
            first = all(request.method != method for method, *_ in self.ranges)
            asked = request.headers.get("range")
            self.ranges.append((request.method, asked, response.status_code))
            if first and request.method == "PUT":
                await response.aclose()
                raise httpx.ReadError("the reply is lost")
            if first:
                response.stream = HalfStream(response.stream)
        return response


class HalfStream(httpx.AsyncByteStream):
    """The first piece of a body."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            yield piece
            raise httpx.ReadError("the connection broke")

    async def aclose(self) -> None:
        await self._stream.aclose()


@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")  # those of httpx, on trio
async def test_a_transfer_that_breaks_is_gone_on_with(service: Service, tmp_path: Path) -> None:
    out, back = tmp_path / "out", tmp_path / "back"
    out.write_bytes(os.urandom(3_000_000))
    transport = BreakingTransport(service)
    async with service.client(transport) as bay, bay.session() as session:
        folder = await session.file_system.get_file_transfer_context_path()
        (await session.file_system.upload_file(out, f"{folder}/f")).unwrap()
        assert (await session.command.run(f"sha256sum < {folder}/f")).unwrap()[:64] == (
            hashlib.sha256(out.read_bytes()).hexdigest()
        )
        (await session.file_system.download_file(f"{folder}/f", back)).unwrap()
    assert back.read_bytes() == out.read_bytes()
    assert [(method, status) for method, _, status in transport.ranges] == [
        ("PUT", 200), ("PUT", 200), ("GET", 200), ("GET", 206),
    ]  # fmt: skip
    assert re.fullmatch(r"bytes=[1-9]\d*-", transport.ranges[-1][1] or "")


# -- contexts of a session that runs ---------------------------------------------------


async def test_a_context_can_be_bound_to_a_session_that_runs(
    bay: AsyncAgentBay, session: AsyncSession, context: Context
) -> None:
    await put(bay, context, "a", b"alpha")

    assert (await session.context.bind(ContextSync(context.id, WORK))).success
    assert (await session.command.run("cat a", cwd=WORK)).unwrap() == "alpha"
    (binding,) = (await session.context.list_bindings()).unwrap()
    assert (binding.context_id, binding.path) == (context.id, WORK)
    assert binding.context_name == context.name
    assert binding.bind_time
    await shell(session, f"touch {WORK}/b")
    await session.delete()

    assert [file.file_name for file in await listed(bay, context)] == ["a", "b"]


async def test_contexts_of_the_creation_are_bindings_too(
    bay: AsyncAgentBay, context: Context
) -> None:
    policy = SyncPolicy(upload_policy=UploadPolicy(auto_upload=False))
    sync = ContextSync(context.id, WORK, policy)
    async with bay.session(CreateSessionParams(context_syncs=[sync])) as session:
        (binding,) = (await session.context.list_bindings()).unwrap()

    assert binding.path == WORK
    assert '"autoUpload": false' in binding.policy


@pytest.mark.parametrize("path", [WORK, f"{WORK}/sub", "/home/wuying", f"{WORK}/x/.."])
async def test_a_path_can_be_bound_once(bay: AsyncAgentBay, context: Context, path: str) -> None:
    other = (await bay.context.create(f"context-{uuid.uuid4().hex}")).unwrap()
    async with bay.session(params(context)) as session:
        result = await session.context.bind(ContextSync(other.id, path))

        assert result.code == "PathAlreadyBound"
        assert len((await session.context.list_bindings()).unwrap()) == 1


async def test_an_unknown_context_cannot_be_bound(session: AsyncSession) -> None:
    result = await session.context.bind(ContextSync("SdkCtx-unknown", WORK))

    assert isinstance(result.error, ContextNotFoundError)
    assert (await session.context.list_bindings()).unwrap() == []


async def test_a_paused_session_is_not_synced(bay: AsyncAgentBay, context: Context) -> None:
    async with bay.session(params(context)) as session:
        (await session.beta_pause()).unwrap()
        with anyio.fail_after(40):
            synced = await session.context.sync()
            bound = await session.context.bind(ContextSync(context.id, "/mnt/other"))
        (await session.beta_resume()).unwrap()
        again = await session.context.sync()

    assert synced.code == bound.code == "SessionPaused"
    assert again.success
