"""Files on their way between the local machine and a session.

Both ways lead through a store: a context that the service keeps for the session. A file that
goes into the session is put there, and then the service is asked to bring it over; a file
that comes out takes the same way back.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing, contextmanager
from functools import partial
from typing import Any, BinaryIO, TypeVar

import attrs

from .._deadline import in_time
from .._results.base import ApiResponse
from .._results.file_system import DownloadResult, UploadResult
from ..errors import AgentBayError, APIError, FileTransferError
from ..protocol import context_files as actions
from ..protocol._calls import check_path
from ..protocol._checks import as_path, check_functions, check_times
from ..protocol.bindings import InternalContext
from . import _local_files as local_files
from ._callbacks import tell
from ._resource import Resource
from ._sync_wait import SyncTask

R = TypeVar("R", bound=ApiResponse)

_Progress = Callable[[int], object] | None
_Sync = Callable[[dict[str, Any]], Awaitable[None]]


class AsyncFileTransfer(Resource):
    """Moves files between the local machine and a session, through the session's store."""

    _kept: InternalContext | None = None

    async def upload(
        self,
        local_path: str | os.PathLike[str],
        remote_path: str,
        *,
        content_type: str | None = None,
        wait: bool = True,
        wait_timeout: float = 30.0,
        poll_interval: float = 1.5,
        progress_cb: Callable[[int], Awaitable[object] | None] | None = None,
    ) -> UploadResult:
        """Send a file; `AsyncFileSystem.upload_file` says what each argument means."""
        facts: dict[str, Any] = {"path": remote_path}
        try:
            path = as_path("local_path", local_path)
            check_times(wait_timeout=wait_timeout, poll_interval=poll_interval)
            check_functions(progress_cb=progress_cb)
            check_path("remote_path", remote_path)
            sync = partial(self._sync, remote_path, "download", wait, wait_timeout, poll_interval)
            await in_time(self._up(path, content_type, progress_cb, sync, facts))
        except AgentBayError as exc:
            return _failed(UploadResult, exc, facts)
        return UploadResult(success=True, **facts)

    async def download(
        self,
        remote_path: str,
        local_path: str | os.PathLike[str],
        *,
        overwrite: bool = True,
        wait: bool = True,
        wait_timeout: float = 30.0,
        poll_interval: float = 1.5,
        progress_cb: Callable[[int], Awaitable[object] | None] | None = None,
    ) -> DownloadResult:
        """Fetch a file; `AsyncFileSystem.download_file` says what each argument means."""
        facts: dict[str, Any] = {"path": remote_path, "local_path": ""}
        try:
            facts["local_path"] = as_path("local_path", local_path)
            check_times(wait_timeout=wait_timeout, poll_interval=poll_interval)
            check_functions(progress_cb=progress_cb)
            check_path("remote_path", remote_path)
            await local_files.check_target(facts["local_path"], overwrite)
            sync = partial(self._sync, remote_path, "upload", wait, wait_timeout, poll_interval)
            await in_time(self._down(overwrite, progress_cb, sync, facts))
        except AgentBayError as exc:
            return _failed(DownloadResult, exc, facts)
        return DownloadResult(success=True, **facts)

    async def context(self) -> InternalContext:
        """Find the store of the session; the service is asked once.

        Raises:
            AgentBayError: The service keeps none.
        """
        if self._kept is None:
            session, made = self._session, self._session.file_transfer_context_id
            if made:
                self._kept = InternalContext(made, session._file_transfer_path, "file_transfer")
            else:
                found = self._kept = await session.context._internal("file_transfer")
                session._file_transfer_context_id = found.context_id
                session._file_transfer_path = found.context_path
        return self._kept

    async def _up(
        self,
        path: str,
        content_type: str | None,
        progress: _Progress,
        sync: _Sync,
        facts: dict[str, Any],
    ) -> None:
        size = await local_files.size_of(path)
        async with local_files.opened(path) as file:
            await self._put(_Sending(file, size, progress), content_type, facts)
        await sync(facts)

    async def _put(
        self, sending: _Sending, content_type: str | None, facts: dict[str, Any]
    ) -> None:
        context, client = await self.context(), self._session.get_client()
        reply = await client.send(actions.GetUploadUrl(context.context_id, facts["path"]))
        facts["request_id_upload_url"] = facts["request_id"] = reply.request_id
        with _status_kept(facts):
            stored = await client.put_file(
                reply.value.url, sending.chunks, sending.size, content_type=content_type
            )
        facts |= {"http_status": stored.status, "etag": stored.etag or None}
        if not sending.is_over:
            raise FileTransferError("the store answered before it had the whole upload")
        facts["bytes_sent"] = sending.size
        if stored.told is not None:
            stored.told.check(sending.digest(), "the upload")

    async def _sync(
        self,
        remote_path: str,
        mode: str,
        wait: bool,
        wait_timeout: float,
        poll_interval: float,
        facts: dict[str, Any],
    ) -> None:
        task = SyncTask(self._session, await self.context(), remote_path, mode)
        request_id = await task.begin(watched=wait)
        facts["request_id_sync"] = facts["request_id"] = request_id
        if wait:
            await task.finish(wait_timeout, poll_interval)

    async def _download_url(self, remote_path: str, facts: dict[str, Any]) -> str:
        call = actions.GetDownloadUrl((await self.context()).context_id, remote_path)
        reply = await self._session.get_client().send(call)
        facts["request_id_download_url"] = facts["request_id"] = reply.request_id
        return reply.value.url

    async def _down(
        self, overwrite: bool, progress: _Progress, sync: _Sync, facts: dict[str, Any]
    ) -> None:
        await sync(facts)
        url = await self._download_url(facts["path"], facts)
        async with local_files.replacing(facts["local_path"], overwrite) as file:
            await self._get(url, file, progress, facts)

    async def _get(
        self, url: str, file: BinaryIO, progress: _Progress, facts: dict[str, Any]
    ) -> None:
        facts["bytes_received"] = 0

        async def write(piece: bytes) -> None:
            await local_files.in_thread(file.write, piece)
            facts["bytes_received"] += len(piece)
            if progress is not None:
                await tell(progress, facts["bytes_received"])

        async def rewind() -> None:
            await local_files.empty(file)
            facts["bytes_received"] = 0

        with _status_kept(facts):
            client = self._session.get_client()
            facts["http_status"] = await client.get_file(url, write, rewind)


class _Sending:
    """A file on its way out, once or more often.

    Attributes:
        size: How many bytes it is.
        is_over: Whether all of them were taken.
    """

    def __init__(self, file: BinaryIO, size: int, progress: _Progress) -> None:
        self.size, self.is_over = size, False
        self._file, self._progress = file, progress
        self._md5 = _md5()

    def digest(self) -> bytes:
        """The MD5 of what was sent the last time."""
        return self._md5.digest()

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The pieces of the file; the callback hears of each when the next one is asked for."""
        sent, self.is_over, self._md5 = 0, False, _md5()
        async with aclosing(local_files.pieces(self._file, self.size, self._md5)) as pieces:
            async for piece in pieces:
                yield piece
                sent += len(piece)
                if self._progress is not None:
                    await tell(self._progress, sent)
        self.is_over = True


def _md5() -> hashlib._Hash:
    return hashlib.md5(usedforsecurity=False)  # what stores tell


@contextmanager
def _status_kept(facts: dict[str, Any]) -> Generator[None]:
    try:
        yield
    except APIError as exc:
        facts["http_status"] = exc.status_code or None
        raise


def _failed(kind: type[R], exc: AgentBayError, facts: dict[str, Any]) -> R:
    """The result of a failure, with what is known about the steps before it."""
    known = {**facts, "request_id": exc.request_id or facts.get("request_id", "")}
    return attrs.evolve(kind.failed(exc), **known)
