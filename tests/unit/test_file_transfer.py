"""Files between the local machine and a session: every step, every failure, and no traces."""

from __future__ import annotations

import base64
import filecmp
import hashlib
import itertools
import json
import logging
import math
import os
import shutil
import threading
import time
import tracemalloc
import types
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import anyio
import anyio.lowlevel
import httpx
import pytest

from agentbay import AsyncAgentBay, AsyncSession, RetryPolicy, _deadline
from agentbay._async import _local_files, _sync_wait
from agentbay._results.file_system import DownloadResult, UploadResult
from agentbay._transport import Stored
from agentbay.errors import (
    AgentBayError,
    APIError,
    ContextNotFoundError,
    FileTransferError,
    FileTransferTimeoutError,
    InvalidInputError,
    RequestTimeoutError,
    SessionNotFoundError,
    TransportError,
)

from .samples import NAMES, Request, read
from .service import KEY, Sent, Service, ok, session_of

STORE = "https://oss.test/oss/bucket/obj?Expires=1&OSSAccessKeyId=AK&Signature=sig%3D"
FAR = "/temp/file-transfer/up.txt"
CONTEXT = {"ContextId": "ctx-ft", "ContextPath": "/temp/file-transfer", "ContextType": ""}
QUICK: dict[str, Any] = {"wait_timeout": 30, "poll_interval": 0.01}
AT_ONCE = RetryPolicy(attempts=3, first_delay=0)


def transfers(*rows: dict[str, Any]) -> httpx.Response:
    groups = [{"type": "data", "data": json.dumps(rows)}]
    return ok({"ContextStatus": json.dumps(groups)})


def row(kind: str, status: str = "Success", **more: Any) -> dict[str, Any]:
    fixed = {"contextId": "ctx-ft", "path": FAR, "taskType": kind, "errorMessage": ""}
    return {**fixed, "status": status, "startTime": 0, "finishTime": 0, **more}


Look = Callable[[str, int], list[dict[str, Any]]]


class Cloud(Service):
    """A control plane with a store; `synced` says how often the session was synced."""

    def __init__(self, look: Look | None = None, **replies: Callable[[], httpx.Response]) -> None:
        super().__init__(self._reply)
        self.look: Look = look or (lambda kind, synced: [row(kind)] if synced else [])
        self.replies = replies
        self.store: Callable[[httpx.Request], httpx.Response] = self._store
        self.content = b"content"
        self.synced = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if "x-acs-action" in request.headers:
            return await super().handle_async_request(request)
        await request.aread()
        self.requests.append(request)
        self.sent.append(Sent(request.method, {}, {}))
        return self.store(request)

    def _reply(self, sent: Sent) -> httpx.Response:
        if sent.action in self.replies:
            return self.replies[sent.action]()
        if sent.action == "SyncContext":
            self.synced += 1
            return ok(RequestId="r-sync")
        if sent.action == "GetContextInfo":
            return transfers(*self.look(sent.form["TaskType"], self.synced))
        if sent.action == "GetAndLoadInternalContext":
            return ok([CONTEXT])
        return ok({"Url": STORE, "ExpireTime": 1}, RequestId="r-url")

    def _store(self, request: httpx.Request) -> httpx.Response:
        if request.method == "PUT":
            self.content = request.content
            return httpx.Response(200, headers={"etag": '"e1"'})
        return httpx.Response(200, content=self.content)


@pytest.fixture
def local(tmp_path: Path) -> Path:
    path = tmp_path / "up.txt"
    path.write_bytes(b"payload-123")
    return path


def _names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def _content(path: Path) -> bytes:
    return path.read_bytes()


async def _up(cloud: Cloud, local: Any, **options: Any) -> UploadResult:
    files = session_of(cloud, retry=AT_ONCE).file_system
    return await files.upload_file(local, FAR, **{**QUICK, **options})


async def _down(cloud: Cloud, local: Any, **options: Any) -> DownloadResult:
    files = session_of(cloud, retry=AT_ONCE).file_system
    return await files.download_file(FAR, local, **{**QUICK, **options})


# -- what is sent ----------------------------------------------------------------------


async def test_an_upload_takes_the_recorded_steps_and_syncs_once(local: Path) -> None:
    cloud = Cloud()
    result = await _up(cloud, str(local), content_type="text/plain")
    assert result.success, result.error_message
    assert cloud.actions == [
        "GetAndLoadInternalContext", "GetContextFileUploadUrl", "PUT",
        "GetContextInfo", "SyncContext", "GetContextInfo",
    ]  # fmt: skip
    assert cloud.sent[0].parameters == {
        "SessionId": "s-000001", "ContextTypes.1": "file_transfer",
    }  # fmt: skip
    assert cloud.sent[1].parameters == {"ContextId": "ctx-ft", "FilePath": FAR}
    assert cloud.sent[4].parameters == {
        "SessionId": "s-000001", "ContextId": "ctx-ft", "Path": FAR, "Mode": "download",
    }  # fmt: skip
    assert cloud.sent[5].parameters == {
        "SessionId": "s-000001", "ContextId": "ctx-ft", "Path": FAR, "TaskType": "download",
    }  # fmt: skip
    assert result == UploadResult(
        "r-sync",
        True,
        request_id_upload_url="r-url",
        request_id_sync="r-sync",
        http_status=200,
        etag='"e1"',
        bytes_sent=11,
        path=FAR,
    )
    assert (result.error, result.error_message) == (None, "")
    assert result.unwrap() == FAR


async def test_a_download_takes_the_recorded_steps_and_syncs_once(tmp_path: Path) -> None:
    cloud = Cloud()
    target = tmp_path / "deep" / "down.txt"
    result = await _down(cloud, str(target))
    assert result.success, result.error_message
    assert cloud.actions == [
        "GetAndLoadInternalContext", "GetContextInfo", "SyncContext", "GetContextInfo",
        "GetContextFileDownloadUrl", "GET",
    ]  # fmt: skip
    assert cloud.sent[2].form["Mode"] == "upload"
    assert cloud.sent[3].form["TaskType"] == "upload"
    assert cloud.sent[4].parameters == {"ContextId": "ctx-ft", "FilePath": FAR}
    assert _content(target) == b"content"
    assert result == DownloadResult(
        "r-url",
        True,
        request_id_download_url="r-url",
        request_id_sync="r-sync",
        http_status=200,
        bytes_received=7,
        path=FAR,
        local_path=str(target),
    )
    assert (result.error, result.error_message) == (None, "")
    assert result.unwrap() == str(target)


# What is recorded, less what other clients ask for twice and one question without a kind.
_RECORDED = {
    "0.22-async": ["070", "071", "072", "073", "075", "076", "078", "079", "080"],
    "0.22-sync": ["014", "015", "016", "017", "021", "022", "026", "027", "028"],
}


@pytest.mark.parametrize("directory", _RECORDED)
async def test_the_requests_are_the_recorded_ones(directory: str, local: Path) -> None:
    cloud = Cloud()
    files = session_of(cloud).file_system
    kind = "text/plain" if directory == "0.22-async" else None
    assert (await files.upload_file(local, FAR, content_type=kind, **QUICK)).success
    assert (await files.download_file(FAR, local, **QUICK)).success
    before = {"GetContextInfo": iter([True, False, True, False])}
    # Each sync comes after a look at what is told of earlier ones.
    ours = [
        Request.of(request)
        for sent, request in zip(cloud.sent, cloud.requests, strict=True)
        if not next(before.get(sent.action, iter([False])))
    ]
    names = [name for name in NAMES if name.startswith(f"{directory}/")]
    recorded = [
        read(next(name for name in names if name.startswith(f"{directory}/{number}")))
        for number in _RECORDED[directory]
    ]
    assert [_essence(request) for request in ours] == [_essence(other) for other in recorded]


def _essence(request: Request) -> tuple[Any, ...]:
    # The key of a sync travels in the URL of recorded clients, where every proxy sees it.
    told = request.without("Authorization", "SignatureNonce", "Timestamp")
    return told.method, told.path, told.action, told.parameters, told.headers, told.body


async def test_every_session_has_a_store_of_its_own(local: Path) -> None:
    cloud = Cloud(lambda kind, _: [row(kind), row(kind, contextId="ctx-2")])
    stores = iter(["ctx-ft", "ctx-2"])
    cloud.replies["GetAndLoadInternalContext"] = lambda: ok(
        [{**CONTEXT, "ContextId": next(stores)}]
    )
    first, second = session_of(cloud), session_of(cloud)
    for session in (first, second, first):
        assert (await session.file_system.upload_file(local, FAR, **QUICK)).success
    asked = [sent for sent in cloud.sent if sent.action == "GetContextFileUploadUrl"]
    assert [sent.form["ContextId"] for sent in asked] == ["ctx-ft", "ctx-2", "ctx-ft"]
    assert "GetContext" not in cloud.actions


async def test_the_key_travels_in_the_body_of_a_sync_and_never_to_the_store(local: Path) -> None:
    cloud = Cloud()
    await _up(cloud, local)
    await _down(cloud, local)
    for sent, request in zip(cloud.sent, cloud.requests, strict=True):
        if sent.action in ("PUT", "GET"):
            assert KEY not in str(request.headers.raw)
            assert KEY.encode() not in request.content
        else:
            assert KEY not in str(request.url)
            assert sent.form["Authorization"] == f"Bearer {KEY}"


async def test_the_store_gets_the_file_with_its_length_and_no_type_by_itself(local: Path) -> None:
    cloud = Cloud()
    await _up(cloud, local)
    put = next(request for request in cloud.requests if request.method == "PUT")
    assert put.content == b"payload-123"
    assert put.headers["content-length"] == "11"
    assert "transfer-encoding" not in put.headers
    assert "content-type" not in put.headers
    assert httpx.URL.__str__(put.url) == STORE
    await _up(cloud, local, content_type="text/plain")
    puts = [request for request in cloud.requests if request.method == "PUT"]
    assert puts[1].headers["content-type"] == "text/plain"


async def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    cloud, empty = Cloud(), tmp_path / "empty"
    empty.touch()
    sent = await _up(cloud, empty)
    assert (sent.success, sent.bytes_sent, cloud.content) == (True, 0, b"")
    received = await _down(cloud, tmp_path / "back")
    assert (received.success, received.bytes_received) == (True, 0)
    assert _content(tmp_path / "back") == b""


async def test_the_store_of_a_session_is_asked_for_once(local: Path) -> None:
    cloud = Cloud()
    session = session_of(cloud)
    assert session.file_transfer_context_id is None
    assert await session.file_system.get_file_transfer_context_path() == "/temp/file-transfer"
    await session.file_system.upload_file(local, FAR, **QUICK)
    assert cloud.actions.count("GetAndLoadInternalContext") == 1
    assert session.file_transfer_context_id == "ctx-ft"


async def test_a_session_of_the_first_generation_uses_the_context_it_was_made_with(
    local: Path,
) -> None:
    cloud = Cloud(lambda kind, _: [row(kind, contextId="c-10")])
    session = session_of(cloud)
    session._file_transfer_context_id = "c-10"
    result = await session.file_system.upload_file(local, FAR, **QUICK)
    assert result.success, result.error_message
    assert cloud.actions[0] == "GetContextFileUploadUrl"
    assert cloud.sent[0].form["ContextId"] == "c-10"
    assert await session.file_system.get_file_transfer_context_path() == "/temp/file-transfer"


async def test_the_first_store_with_id_and_path_wins() -> None:
    found = [{**CONTEXT, "ContextPath": ""}, {**CONTEXT, "ContextId": ""}, CONTEXT]
    cloud = Cloud(GetAndLoadInternalContext=lambda: ok(found))
    files = session_of(cloud).file_system
    assert await files.get_file_transfer_context_path() == "/temp/file-transfer"


async def test_a_session_without_a_store_says_so(local: Path) -> None:
    cloud = Cloud(GetAndLoadInternalContext=lambda: ok())
    assert await session_of(cloud).file_system.get_file_transfer_context_path() is None
    result = await _up(cloud, local)
    assert isinstance(result.error, ContextNotFoundError)
    assert "file_transfer" in result.error_message


async def test_a_refusal_to_name_the_store_is_an_error(local: Path, tmp_path: Path) -> None:
    no = ok(Success=False, Code="Nope", Message="not for you", RequestId="r-no")
    cloud = Cloud(GetAndLoadInternalContext=lambda: no)
    with pytest.raises(APIError, match="not for you"):
        await session_of(cloud).file_system.get_file_transfer_context_path()
    for result in (await _up(cloud, local), await _down(cloud, tmp_path / "x")):
        assert (result.success, result.code, result.request_id) == (False, "Nope", "r-no")
        assert "not for you" in result.error_message


# -- refused before anything is sent ---------------------------------------------------


@pytest.mark.parametrize("name", ["missing", "", "directory", "a\0b"])
async def test_what_is_no_local_file_is_not_sent(name: str, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    cloud = Cloud()
    result = await _up(cloud, f"{tmp_path}/{name}")
    assert isinstance(result.error, InvalidInputError)
    assert cloud.sent == []


@pytest.mark.parametrize("options", [{"wait_timeout": 0}, {"poll_interval": -1}])
async def test_times_that_nobody_can_wait_are_refused(options: dict[str, Any], local: Path) -> None:
    cloud = Cloud()
    for result in (await _up(cloud, local, **options), await _down(cloud, local, **options)):
        assert isinstance(result.error, InvalidInputError)
        assert next(iter(options)) in result.error_message
    assert cloud.sent == []


@pytest.mark.parametrize("path", ["", "a\0b"])
async def test_a_remote_path_that_is_none_is_refused(path: str, local: Path) -> None:
    cloud = Cloud()
    files = session_of(cloud).file_system
    for result in (
        await files.upload_file(local, path),
        await files.download_file(path, local),
    ):
        assert isinstance(result.error, InvalidInputError)
    assert cloud.sent == []


async def test_a_file_that_is_there_is_kept_unless_it_may_be_overwritten(local: Path) -> None:
    cloud = Cloud()
    result = await _down(cloud, local, overwrite=False)
    assert isinstance(result.error, InvalidInputError)
    assert "overwrite" in result.error_message
    assert cloud.sent == []
    assert _content(local) == b"payload-123"
    assert (await _down(cloud, local)).success
    assert _content(local) == b"content"


async def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    cloud, target = Cloud(), tmp_path / "down.txt"

    def store(_: httpx.Request) -> httpx.Response:
        target.write_bytes(b"of another")
        return httpx.Response(200, content=b"content")

    cloud.store = store
    result = await _down(cloud, target, overwrite=False)
    assert isinstance(result.error, FileTransferError)
    assert "exists" in result.error_message
    assert _content(target) == b"of another"
    assert _names(tmp_path) == ["down.txt"]


async def test_a_directory_is_not_replaced(tmp_path: Path) -> None:
    cloud = Cloud()
    result = await _down(cloud, tmp_path)
    assert isinstance(result.error, InvalidInputError)
    assert cloud.sent == []


async def test_a_link_stays_one_and_a_file_keeps_its_permissions(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    assert (await _down(Cloud(), link)).success
    assert link.is_symlink()
    assert _content(real) == b"content"
    assert real.stat().st_mode & 0o777 == 0o640


# -- waiting ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word", ["Success", "successful", "OK", "finished", "Done", "completed", "complete"]
)
async def test_every_word_for_success_ends_the_wait(word: str, local: Path) -> None:
    cloud = Cloud(lambda kind, synced: [row(kind, word)] if synced else [])
    assert (await _up(cloud, local)).success


async def test_the_wait_goes_on_until_the_transfer_has_ended(local: Path) -> None:
    states = iter(["", "Pending", "Running", "Success"])

    def look(kind: str, synced: int) -> list[dict[str, Any]]:
        state = next(states) if synced else ""
        return [row(kind, state)] if state else []

    cloud = Cloud(look)
    assert (await _up(cloud, local)).success
    assert cloud.actions.count("GetContextInfo") == 5


@pytest.mark.parametrize(
    "other", [{"contextId": "ctx-2"}, {"path": FAR + "/"}, {"taskType": "upload"}]
)
async def test_a_transfer_of_something_else_does_not_end_the_wait(
    other: dict[str, Any], local: Path
) -> None:
    cloud = Cloud(lambda kind, _: [{**row(kind), **other}])
    result = await _up(cloud, local, wait_timeout=0.1)
    assert isinstance(result.error, FileTransferTimeoutError)
    assert isinstance(result.error, TimeoutError)
    assert result.request_id_sync == "r-sync"
    assert result.bytes_sent == 11


@pytest.mark.parametrize(
    "failure", [{"status": "Failed", "errorMessage": "disk full"}, {"errorMessage": "disk full"}]
)
async def test_a_failed_transfer_ends_at_once_with_its_message(
    failure: dict[str, str], local: Path, tmp_path: Path
) -> None:
    cloud = Cloud(lambda kind, synced: [{**row(kind, "Running"), **failure}] if synced else [])
    for result in (await _up(cloud, local, wait_timeout=60), await _down(cloud, tmp_path / "x")):
        assert isinstance(result.error, FileTransferError)
        assert "disk full" in result.error_message
    assert not (tmp_path / "x").exists()
    assert cloud.actions.count("GetContextInfo") == 4


async def test_a_transfer_that_failed_without_a_message_ends_at_once(local: Path) -> None:
    cloud = Cloud(lambda kind, synced: [row(kind, "Failed")] if synced else [])
    result = await _up(cloud, local, wait_timeout=60)
    assert isinstance(result.error, FileTransferError)
    assert "no reason" in result.error_message


@pytest.mark.parametrize("unit", [1, 1000], ids=["seconds", "milliseconds"])
@pytest.mark.parametrize("status", ["Success", "Failed"])
async def test_the_end_of_an_earlier_transfer_is_not_the_end_of_this_one(
    status: str, unit: int, local: Path
) -> None:
    long_ago = 1_600_000_000 * unit
    looks = 0

    def look(kind: str, synced: int) -> list[dict[str, Any]]:
        nonlocal looks
        looks += 1
        now = int(time.time()) * unit
        times = {"startTime": now, "finishTime": now} if looks > 4 else {"startTime": long_ago}
        return [row(kind, "Success" if looks > 4 else status, **times)]

    assert (await _up(Cloud(look), local)).success
    assert looks == 5


async def test_an_earlier_success_alone_is_a_timeout_that_says_so(local: Path) -> None:
    cloud = Cloud(lambda kind, _: [row(kind, startTime=1_600_000_000, finishTime=1_600_000_001)])
    result = await _up(cloud, local, wait_timeout=0.1)
    assert isinstance(result.error, FileTransferTimeoutError)
    assert "earlier" in result.error_message


async def test_a_success_within_the_same_second_counts(
    local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_700_000_000

    def look(kind: str, _: int) -> list[dict[str, Any]]:
        return [row(kind, startTime=now, finishTime=now)]

    monkeypatch.setattr(_sync_wait, "time", types.SimpleNamespace(time=lambda: now + 0.9))
    assert (await _up(Cloud(look), local)).success


@pytest.mark.parametrize("when", [0, 1])
async def test_a_success_without_a_time_counts(when: int, local: Path) -> None:
    cloud = Cloud(lambda kind, _: [row(kind, startTime=when, finishTime=when)])
    assert (await _up(cloud, local)).success


async def test_nobody_waits_who_does_not_want_to(local: Path, tmp_path: Path) -> None:
    cloud = Cloud(lambda _kind, _synced: [])
    assert (await _up(cloud, local, wait=False)).success
    assert cloud.actions[-2:] == ["PUT", "SyncContext"]
    assert (await _down(cloud, tmp_path / "x", wait=False)).success
    assert "GetContextInfo" not in cloud.actions


async def test_the_wait_has_the_limit_that_was_asked_for(local: Path) -> None:
    cloud = Cloud(lambda kind, synced: [row(kind, "Running")] if synced else [])
    with anyio.fail_after(30):
        result = await _up(cloud, local, wait_timeout=0.2, poll_interval=60)
    assert "0.2 s" in result.error_message
    assert "Running" in result.error_message


async def test_a_path_outside_of_the_store_is_named_when_nothing_comes(local: Path) -> None:
    files = session_of(Cloud(lambda _kind, _synced: [])).file_system
    result = await files.upload_file(local, "/etc/a", wait_timeout=0.1, poll_interval=0.01)
    assert "/temp/file-transfer" in result.error_message


async def test_a_look_that_fails_for_a_moment_does_not_end_the_wait(local: Path) -> None:
    looks = 0

    def info() -> httpx.Response:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise httpx.ReadError("gone for a moment")
        if looks == 3:
            return httpx.Response(503, text="busy")
        return transfers(*([row("download")] if looks > 3 else []))

    assert (await _up(Cloud(GetContextInfo=info), local)).success
    assert looks == 4


async def test_a_session_that_is_gone_ends_the_wait(local: Path) -> None:
    gone = ok(Success=False, Code="InvalidMcpSession.NotFound", Message="gone")
    looks = iter([transfers(), gone])
    result = await _up(Cloud(GetContextInfo=lambda: next(looks)), local, wait_timeout=60)
    assert isinstance(result.error, SessionNotFoundError)


async def test_an_earlier_state_that_cannot_be_told_is_no_failure(local: Path) -> None:
    looks = iter([ok(Success=False, Code="X", Message="x"), transfers(row("download"))])
    assert (await _up(Cloud(GetContextInfo=lambda: next(looks)), local)).success


# -- failures of the steps -------------------------------------------------------------


@pytest.mark.parametrize(
    "action", ["GetContextFileUploadUrl", "SyncContext", "GetContextFileDownloadUrl"]
)
async def test_a_step_that_is_refused_is_the_error(
    action: str, local: Path, tmp_path: Path
) -> None:
    no = ok(Success=False, Code="Nope", Message="not for you", RequestId="r-no")
    cloud = Cloud()
    cloud.replies[action] = lambda: no
    result: UploadResult | DownloadResult
    if action == "GetContextFileDownloadUrl":
        result = await _down(cloud, tmp_path / "x")
        assert result.request_id_sync == "r-sync"
    else:
        result = await _up(cloud, local)
    assert (result.success, result.code, result.request_id) == (False, "Nope", "r-no")
    assert "not for you" in result.error_message
    assert str(result.error) == result.error_message
    with pytest.raises(APIError):
        result.unwrap()


@pytest.mark.parametrize("status", [200, 201, 204])
async def test_every_status_that_says_stored_is_one(status: int, local: Path) -> None:
    cloud = Cloud()
    cloud.store = lambda _: httpx.Response(status)
    result = await _up(cloud, local)
    assert (result.success, result.http_status, result.etag) == (True, status, None)


@pytest.mark.parametrize("status", [202, 206, 303, 400, 403, 500])
async def test_a_store_that_refuses_is_an_error_with_its_status(
    status: int, local: Path, tmp_path: Path
) -> None:
    cloud = Cloud()
    cloud.store = lambda _: httpx.Response(status, text="Signature=sig")
    sent, received = await _up(cloud, local), await _down(cloud, tmp_path / "x")
    for result in (sent, received):
        assert isinstance(result.error, APIError)
        assert result.http_status == status
        assert str(status) in result.error_message
        assert "sig" not in result.error_message
    assert "SyncContext" not in cloud.actions[: cloud.actions.index("GetContextInfo")]
    assert sent.request_id_upload_url == received.request_id_download_url == "r-url"
    assert (sent.bytes_sent, received.bytes_received) == (0, 0)
    assert _names(tmp_path) == ["up.txt"]


async def test_a_store_that_cannot_be_reached_is_an_error_without_its_address(
    local: Path, tmp_path: Path
) -> None:
    def broken(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"no way to {STORE}")

    cloud = Cloud()
    cloud.store = broken
    for result in (await _up(cloud, local), await _down(cloud, tmp_path / "x")):
        assert isinstance(result.error, TransportError)
        assert not result.error.sent
        assert "Signature" not in result.error_message
        assert result.http_status is None


class Broken(httpx.AsyncByteStream):
    """A body that stops in the middle."""

    def __init__(self, rest: Callable[[], Any]) -> None:
        self.rest = rest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"half"
        await self.rest()


async def _breaks() -> None:
    raise httpx.RemoteProtocolError("peer closed the connection")


@pytest.mark.parametrize("existing", [True, False])
async def test_a_file_that_arrives_in_part_leaves_what_was_there(
    existing: bool, tmp_path: Path
) -> None:
    cloud, target = Cloud(), tmp_path / "down.txt"
    if existing:
        target.write_bytes(b"old")
    cloud.store = lambda _: httpx.Response(200, stream=Broken(_breaks))
    result = await _down(cloud, target)
    assert isinstance(result.error, TransportError)
    assert result.bytes_received == 4
    assert _names(tmp_path) == ["down.txt"] * existing
    assert not existing or _content(target) == b"old"


async def test_a_cancelled_download_leaves_nothing(tmp_path: Path) -> None:
    cloud = Cloud()
    cloud.store = lambda _: httpx.Response(200, stream=Broken(anyio.sleep_forever))
    seen: list[int] = []

    def told(_: int) -> None:
        seen.append(len(_names(tmp_path)))
        scope.cancel()

    with anyio.CancelScope() as scope:
        await _down(cloud, tmp_path / "x", progress_cb=told)
    assert scope.cancelled_caught
    assert seen == [1]
    assert _names(tmp_path) == []


async def test_a_directory_that_cannot_be_written_is_a_failed_result(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    result = await _down(Cloud(), tmp_path / "file" / "x")
    assert isinstance(result.error, AgentBayError)
    assert "file" in result.error_message


async def test_a_file_that_gets_shorter_meanwhile_is_an_error(
    local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_local_files, "_PIECE", 40_000)
    os.truncate(local, 100_000)

    def told(_: int) -> None:
        os.truncate(local, 4)

    result = await _up(Cloud(), local, progress_cb=told)
    assert isinstance(result.error, FileTransferError)
    assert "shorter" in result.error_message


# -- progress --------------------------------------------------------------------------


async def test_progress_is_told_in_bytes_so_far(
    local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_local_files, "_PIECE", 4)
    sent: list[int] = []
    assert (await _up(Cloud(), local, progress_cb=sent.append)).success
    assert sent == [4, 8, 11]

    received: list[int] = []

    async def told(size: int) -> None:
        await anyio.lowlevel.checkpoint()
        received.append(size)

    assert (await _down(Cloud(), tmp_path / "x", progress_cb=told)).success
    assert received == [7]


# httpx leaves generators behind when its reader stops, which trio reports.
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
@pytest.mark.parametrize("error", [ValueError, httpx.ConnectError, TimeoutError, OSError])
async def test_an_error_of_the_callback_ends_the_transfer_and_is_raised(
    error: type[Exception], local: Path, tmp_path: Path
) -> None:
    def fails(_: int) -> None:
        raise error("mine")

    cloud = Cloud()
    with pytest.raises(error, match="mine"):
        await _up(cloud, local, progress_cb=fails)
    with pytest.raises(error, match="mine"):
        await _down(cloud, tmp_path / "x", progress_cb=fails)
    assert _names(tmp_path) == ["up.txt"]


# -- again, and on -----------------------------------------------------------------------


class Shaky:
    """A store that gives up on a file after each of so many bytes; then it gives the rest.

    Attributes:
        asked: The range and the condition of each request for the file.
    """

    def __init__(self, cloud: Cloud, *cuts: int, **headers: str) -> None:
        self.content = b"0123456789"
        self.headers = {"etag": '"one"', **headers}
        self.asked: list[tuple[str | None, str | None]] = []
        self._cuts = iter(cuts)
        cloud.store = self.give

    def give(self, request: httpx.Request) -> httpx.Response:
        asked, condition = request.headers.get("range"), request.headers.get("if-range")
        self.asked.append((asked, condition))
        if asked is None or condition != self.headers["etag"]:
            return self._reply(200, 0)
        return self._reply(206, int(asked.removeprefix("bytes=").removesuffix("-")))

    def _reply(self, status: int, first: int) -> httpx.Response:
        size = len(self.content)
        headers = {**self.headers, "content-length": str(size - first)}
        if status == 206:
            headers["content-range"] = f"bytes {first}-{size - 1}/{size}"
        cut = next(self._cuts, None)
        return httpx.Response(status, headers=headers, stream=Part(self.content[first:], cut))


class Part(httpx.AsyncByteStream):
    """A body that breaks after so many bytes; None for one that does not."""

    def __init__(self, content: bytes, cut: int | None) -> None:
        self.content, self.cut = content, cut

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.content[: self.cut]
        if self.cut is not None:
            raise httpx.ReadError("the connection broke")


async def test_a_download_that_breaks_is_gone_on_with(tmp_path: Path) -> None:
    cloud, seen = Cloud(), list[int]()
    store = Shaky(cloud, 3, 4)
    result = await _down(cloud, tmp_path / "x", progress_cb=seen.append)
    assert result.success, result.error_message
    assert store.asked == [(None, None), ("bytes=3-", '"one"'), ("bytes=7-", '"one"')]
    assert _content(tmp_path / "x") == b"0123456789"
    assert (result.http_status, result.bytes_received, seen) == (206, 10, [3, 7, 10])
    assert _names(tmp_path) == ["x"]


@pytest.mark.parametrize(
    "headers", [{"etag": 'W/"one"'}, {"etag": ""}, {"accept-ranges": "none"}], ids=str
)
async def test_a_download_that_cannot_be_gone_on_with_begins_again(
    headers: dict[str, str], tmp_path: Path
) -> None:
    cloud, seen = Cloud(), list[int]()
    store = Shaky(cloud, 8, **headers)
    result = await _down(cloud, tmp_path / "x", progress_cb=seen.append)
    assert result.success, result.error_message
    assert store.asked == [(None, None)] * 2
    assert _content(tmp_path / "x") == b"0123456789"
    assert (result.bytes_received, seen) == (10, [8, 10])


async def test_a_file_that_is_another_one_by_then_begins_again(tmp_path: Path) -> None:
    cloud = Cloud()
    store = Shaky(cloud, 8)

    def told(_: int) -> None:
        store.headers["etag"], store.content = '"two"', b"abcde"

    result = await _down(cloud, tmp_path / "x", progress_cb=told)
    assert result.success, result.error_message
    assert (result.bytes_received, _content(tmp_path / "x")) == (5, b"abcde")


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (206, {"content-range": "bytes 3-9/10", "etag": '"two"'}),
        (206, {"content-range": "bytes 3-9/10"}),
        (206, {"content-range": "bytes 4-9/10", "etag": '"one"'}),
        (206, {"content-range": "bytes 3-9/11", "etag": '"one"'}),
        (206, {"content-range": "3", "etag": '"one"'}),
        (206, {"etag": '"one"'}),
        (416, {"content-range": "bytes */2", "etag": '"two"'}),
    ],
)
async def test_a_part_of_another_file_is_not_taken(
    status: int, headers: dict[str, str], tmp_path: Path
) -> None:
    cloud = Cloud()
    store, other = Shaky(cloud, 3), iter([httpx.Response(status, headers=headers, content=b"XX")])
    cloud.store = lambda r: next(other, None) or store.give(r) if store.asked else store.give(r)
    result = await _down(cloud, tmp_path / "x")
    assert result.success, result.error_message
    assert store.asked == [(None, None)] * 2
    assert _content(tmp_path / "x") == b"0123456789"


async def test_a_download_is_tried_as_often_as_the_policy_says(tmp_path: Path) -> None:
    cloud = Cloud()
    store = Shaky(cloud, 1, 1, 1, 1)
    result = await _down(cloud, tmp_path / "x")
    assert isinstance(result.error, TransportError)
    assert len(result.error.attempts) == len(store.asked) == 3
    assert result.bytes_received == 3
    assert _names(tmp_path) == []


async def test_what_cannot_be_dropped_does_not_begin_again() -> None:
    cloud, taken = Cloud(), bytearray()
    Shaky(cloud, 8, etag="")

    async def write(piece: bytes) -> None:
        taken.extend(piece)

    client = session_of(cloud, retry=AT_ONCE).get_client()
    with pytest.raises(FileTransferError, match="cannot be dropped"):
        await client.get_file(STORE, write)
    assert taken == b"01234567"


@pytest.mark.parametrize(
    "trouble",
    [httpx.ReadError("reset"), httpx.ConnectError("refused"), 503, 429, 500],
    ids=lambda trouble: trouble if isinstance(trouble, int) else type(trouble).__name__,
)
async def test_an_upload_that_fails_for_a_moment_is_sent_again_whole(
    trouble: Exception | int, local: Path
) -> None:
    cloud, seen = Cloud(), list[int]()
    troubles = iter([trouble])
    tag = hashlib.md5(b"payload-123", usedforsecurity=False).hexdigest()  # of one attempt only

    def store(request: httpx.Request) -> httpx.Response:
        match next(troubles, None):
            case None:
                cloud.content = request.content
                return httpx.Response(200, headers={"etag": f'"{tag}"'})
            case int(status):
                return httpx.Response(status)
            case error:
                raise error

    cloud.store = store
    result = await _up(cloud, local, progress_cb=seen.append)
    assert result.success, result.error_message
    assert (cloud.content, result.bytes_sent) == (b"payload-123", 11)
    assert seen == [11, 11]
    assert cloud.actions.count("PUT") == 2


async def test_what_a_store_refuses_for_good_is_asked_for_once(local: Path, tmp_path: Path) -> None:
    cloud = Cloud()
    cloud.store = lambda _: httpx.Response(403)
    assert not (await _up(cloud, local)).success
    assert not (await _down(cloud, tmp_path / "x")).success
    assert (cloud.actions.count("PUT"), cloud.actions.count("GET")) == (1, 1)


async def test_a_file_of_the_wrong_length_is_an_error(tmp_path: Path) -> None:
    cloud = Cloud()
    cloud.store = lambda _: httpx.Response(
        200, headers={"content-length": "9"}, stream=Part(b"content", None)
    )
    result = await _down(cloud, tmp_path / "x")
    assert isinstance(result.error, TransportError)
    assert "7 of 9" in result.error_message
    assert _names(tmp_path) == []


_MD5 = hashlib.md5(b"content", usedforsecurity=False)
_SHA256 = base64.b64encode(hashlib.sha256(b"content").digest()).decode()
_GOOD = [
    {"etag": f'"{_MD5.hexdigest()}"'},
    {"etag": f'"{_MD5.hexdigest().upper()}"', "x-oss-object-type": "Normal"},
    {"content-md5": base64.b64encode(_MD5.digest()).decode()},
    {"repr-digest": f"sha-512=:xx:, sha-256=:{_SHA256}:"},
]
_BAD: list[dict[str, str]] = [
    {"etag": f'"{"0" * 32}"'},
    {"etag": f'"{"0" * 32}"', "x-oss-server-side-encryption": "AES256"},
    {"content-md5": base64.b64encode(bytes(16)).decode()},
    {"repr-digest": f"sha-256=:{base64.b64encode(bytes(32)).decode()}:"},
]
_NO_HASH = [
    {"etag": f'"{"0" * 32}-2"'},
    {"etag": f'W/"{"0" * 32}"'},
    {"etag": f'"{"0" * 32}"', "x-oss-server-side-encryption": "KMS"},
    {"etag": f'"{"0" * 32}"', "x-oss-object-type": "Appendable"},
    {"content-md5": "no base64"},
]


@pytest.mark.parametrize("headers", [*_GOOD, *_NO_HASH], ids=str)
async def test_a_download_with_its_hash_or_none_is_whole(
    headers: dict[str, str], tmp_path: Path
) -> None:
    cloud = Cloud()
    cloud.store = lambda _: httpx.Response(200, headers=headers, content=b"content")
    result = await _down(cloud, tmp_path / "x")
    assert result.success, result.error_message


@pytest.mark.parametrize("headers", _BAD, ids=str)
async def test_a_download_with_another_hash_is_an_error_and_leaves_what_was_there(
    headers: dict[str, str], tmp_path: Path
) -> None:
    cloud = Cloud()
    (tmp_path / "x").write_bytes(b"old")
    cloud.store = lambda _: httpx.Response(200, headers=headers, content=b"content")
    result = await _down(cloud, tmp_path / "x")
    assert isinstance(result.error, FileTransferError)
    assert "damaged" in result.error_message
    assert _names(tmp_path) == ["x"]
    assert _content(tmp_path / "x") == b"old"


async def test_the_hash_is_that_of_all_parts_of_a_download(tmp_path: Path) -> None:
    cloud = Cloud()
    good = hashlib.md5(b"0123456789", usedforsecurity=False).hexdigest()
    Shaky(cloud, 3, 4, etag=f'"{good}"')
    assert (await _down(cloud, tmp_path / "x")).success
    Shaky(cloud, 3, etag=f'"{"0" * 32}"')
    assert isinstance((await _down(cloud, tmp_path / "y")).error, FileTransferError)


async def test_an_upload_that_is_stored_with_another_hash_is_an_error(local: Path) -> None:
    cloud = Cloud()
    good = hashlib.md5(b"payload-123", usedforsecurity=False).hexdigest()
    tags = iter([f'"{good}"', f'"{"0" * 32}"'])
    # The MD5 of the empty reply is none of the file.
    empty = {"content-md5": "1B2M2Y8AsgTpgAmY7PhCfg=="}
    cloud.store = lambda _: httpx.Response(200, headers={"etag": next(tags), **empty})
    assert (await _up(cloud, local)).success
    result = await _up(cloud, local)
    assert isinstance(result.error, FileTransferError)
    assert "damaged" in result.error_message
    assert cloud.actions.count("SyncContext") == 1  # the session does not get it


class Hasty(httpx.AsyncBaseTransport):
    """A store that says yes when it has read so many pieces."""

    def __init__(self, pieces: int) -> None:
        self.pieces = pieces
        self.cloud = Cloud()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if "x-acs-action" in request.headers:
            return await self.cloud.handle_async_request(request)
        assert isinstance(request.stream, httpx.AsyncByteStream)
        pieces = aiter(request.stream)
        for _ in range(self.pieces):
            await anext(pieces, b"")
        return httpx.Response(200)


# httpx leaves generators behind when a reply comes early, which trio reports.
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
@pytest.mark.parametrize("pieces", [0, 1, 2])
async def test_a_store_that_says_yes_before_it_has_the_file_is_not_believed(
    pieces: int, local: Path
) -> None:
    hasty = Hasty(pieces)
    files = session_of(hasty, retry=AT_ONCE).file_system
    result = await files.upload_file(local, FAR, **QUICK)
    assert result.success is (pieces == 2)  # the second is the end
    assert (type(result.error), result.bytes_sent) == (
        (type(None), 11) if pieces == 2 else (FileTransferError, 0)
    )
    assert ("SyncContext" in hasty.cloud.actions) is (pieces == 2)


class Stuck(httpx.AsyncBaseTransport):
    """A store that never answers.

    Attributes:
        asked: What the control plane was asked.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if "x-acs-action" in request.headers:
            self.asked.append(request.headers["x-acs-action"])
            return await Cloud().handle_async_request(request)
        await anyio.sleep_forever()
        raise AssertionError


async def test_a_transfer_ends_at_the_deadline(
    local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = Stuck()
    clock = types.SimpleNamespace(monotonic=lambda: 59.8 if len(stuck.asked) > 1 else 0.0)
    monkeypatch.setattr(_deadline, "time", clock)
    session = session_of(stuck, retry=AT_ONCE)
    with anyio.fail_after(30), session.get_agent_bay().deadline(60):
        result = await session.file_system.upload_file(local, FAR)
    assert isinstance(result.error, RequestTimeoutError)
    assert result.request_id_upload_url == "r-url"

    async def write(_: bytes) -> None:
        """Take it."""

    late = pytest.raises(RequestTimeoutError, match="not done within")
    with anyio.fail_after(30), session.get_agent_bay().deadline(0.2), late:
        await session.get_client().get_file(STORE, write)


# -- redirects, limits, traces ---------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_followed_with_nothing_but_the_file(
    status: int, local: Path, tmp_path: Path
) -> None:
    cloud = Cloud()
    plain = cloud.store

    def store(request: httpx.Request) -> httpx.Response:
        if request.url.host == "oss.test":
            return httpx.Response(status, headers={"location": "https://other.test/obj?sig=2"})
        return plain(request)

    cloud.store = store
    assert (await _up(cloud, local)).success
    assert cloud.content == b"payload-123"
    assert (await _down(cloud, tmp_path / "x")).success
    assert _content(tmp_path / "x") == b"payload-123"
    moved = [request for request in cloud.requests if request.url.host == "other.test"]
    assert [request.method for request in moved] == ["PUT", "GET"]
    assert KEY not in "".join(str(request.headers.raw) for request in moved)


async def test_a_relative_redirect_is_followed(local: Path) -> None:
    cloud = Cloud()
    plain = cloud.store
    cloud.store = lambda r: (
        httpx.Response(307, headers={"location": "../../there"})
        if r.url.path == "/oss/bucket/obj"
        else plain(r)
    )
    assert (await _up(cloud, local)).success
    assert cloud.requests[3].url.path == "/there"


@pytest.mark.parametrize(
    "location", ["http://oss.test/plain", "https://oss.test/again", "ftp://x", "https://[bad", ""]
)
async def test_a_redirect_that_must_not_be_followed_ends_the_transfer(
    location: str, local: Path
) -> None:
    cloud = Cloud()
    cloud.store = lambda _: httpx.Response(307, headers={"location": location})
    result = await _up(cloud, local)
    assert isinstance(result.error, APIError)
    assert cloud.actions.count("PUT") == (6 if location in ("https://oss.test/again", "") else 1)


async def test_the_address_of_the_store_is_in_no_log_and_no_text(
    local: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    results = [await _up(Cloud(), local), await _down(Cloud(), tmp_path / "x")]
    cloud = Cloud()
    cloud.store = lambda _: httpx.Response(307, headers={"location": "https://b.test/?sig=2"})
    results += [await _up(cloud, local), await _down(cloud, tmp_path / "x")]
    seen = caplog.text + repr(results) + "".join(result.error_message for result in results)
    assert "oss.test" in seen  # httpx tells in its log whom it asked
    for secret in ("Signature=", "sig=", "AccessKey", KEY):
        assert secret not in seen


async def _put(session: AsyncSession, chunks: Any, idle: float) -> Stored:
    return await session.get_client().put_file(STORE, chunks, 4, idle=idle)


async def test_an_exchange_in_which_nothing_moves_is_given_up() -> None:
    async def chunks() -> AsyncGenerator[bytes, None]:
        yield b"abcd"

    async def write(_: bytes) -> None:
        """Take it."""

    session = session_of(Stuck())
    with anyio.fail_after(30):
        with pytest.raises(RequestTimeoutError, match="no progress"):
            await _put(session, chunks, 0.05)
        with pytest.raises(RequestTimeoutError, match="no progress"):
            await session.get_client().get_file(STORE, write, idle=0.05)


async def test_an_exchange_in_which_something_moves_has_all_the_time() -> None:
    async def chunks() -> AsyncGenerator[bytes, None]:
        for letter in b"abcd":
            yield bytes([letter])

    ends: list[float] = []

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            assert isinstance(request.stream, httpx.AsyncByteStream)
            async for _ in request.stream:
                ends.append(anyio.current_effective_deadline())
                await anyio.sleep(0.1)
            return httpx.Response(200)

    assert (await _put(session_of(Slow()), chunks, 30)).status == 200
    assert len(ends) == 4
    assert all(later - end > 0.09 for end, later in itertools.pairwise(ends))


async def test_the_time_that_a_callback_takes_is_not_counted() -> None:
    async def chunks() -> AsyncGenerator[bytes, None]:
        yield b"abcd"
        ends.append(anyio.current_effective_deadline())  # in a callback, or of a slow disk

    class Taking(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await request.aread()
            return httpx.Response(200)

    ends: list[float] = []
    assert (await _put(session_of(Taking()), chunks, 30)).status == 200
    assert ends == [math.inf]


# -- a real socket, and memory ---------------------------------------------------------


class _Store(BaseHTTPRequestHandler):
    """Keeps one file on the disk, and reads and sends it in pieces."""

    protocol_version = "HTTP/1.1"
    kept: ClassVar[Path]

    def do_PUT(self) -> None:
        left = int(self.headers["content-length"])
        with self.kept.open("wb") as file:
            while left:
                left -= file.write(self.rfile.read(min(left, 65_536)))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        size, asked = self.kept.stat().st_size, self.headers.get("range")
        first = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("content-length", str(size - first))
        self.send_header("etag", '"kept"')
        if asked:
            self.send_header("content-range", f"bytes {first}-{size - 1}/{size}")
        self.end_headers()
        with self.kept.open("rb") as file:
            file.seek(first)
            if asked:
                shutil.copyfileobj(file, self.wfile)
            else:  # and no more
                left = size // 2
                while left:
                    left -= self.wfile.write(file.read(min(left, 65_536)))
                self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def _store(kept: Path) -> Generator[str]:
    handler = type("Handler", (_Store,), {"kept": kept})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/obj?sig=1"
        finally:
            server.shutdown()
            thread.join(30)


async def test_a_large_file_goes_both_ways_with_a_break_in_little_memory(tmp_path: Path) -> None:
    big, back = tmp_path / "big", tmp_path / "back"
    big.write_bytes(b"0123456789abcdef" * 4_000_000)

    async def chunks() -> AsyncGenerator[bytes, None]:
        async with _local_files.opened(str(big)) as file:
            async for piece in _local_files.pieces(file, 64_000_000):
                yield piece

    async with AsyncAgentBay(KEY, endpoint="https://unused.test") as bay:
        with _store(tmp_path / "kept") as url:
            tracemalloc.start()
            try:
                assert (await bay.client.put_file(url, chunks, 64_000_000)).status == 200
                async with _local_files.replacing(str(back), True) as file:
                    write = partial(_local_files.in_thread, file.write)
                    assert await bay.client.get_file(url, write) == 206
                assert tracemalloc.get_traced_memory()[1] < 5_000_000
            finally:
                tracemalloc.stop()
    assert filecmp.cmp(big, back, shallow=False)
