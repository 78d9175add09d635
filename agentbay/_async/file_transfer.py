"""Files on their way between the local machine and a session.

Both ways lead through a store: a context that the service keeps for the session. A file that
goes into the session is put there, and then the service is asked to bring it over; a file
that comes out takes the same way back.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing, contextmanager
from functools import partial
from typing import Any, BinaryIO, TypeVar

import attrs

from .._results.base import ApiResponse
from .._results.file_system import DownloadResult, UploadResult
from ..errors import AgentBayError, APIError
from ..protocol import context_files as actions
from ..protocol._calls import check_path
from ..protocol._checks import check_limits
from ..protocol.bindings import InternalContext
from . import _local_files as local_files
from ._callbacks import tell
from ._resource import Resource
from ._sync_wait import SyncTask

R = TypeVar("R", bound=ApiResponse)

_Progress = Callable[[int], object] | None


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
        path = os.fspath(local_path)
        try:
            check_limits(wait_timeout=wait_timeout, poll_interval=poll_interval)
            check_path("remote_path", remote_path)
            await self._put_file(path, remote_path, content_type, progress_cb, facts)
            await self._sync(remote_path, "download", wait, wait_timeout, poll_interval, facts)
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
        facts: dict[str, Any] = {"path": remote_path, "local_path": os.fspath(local_path)}
        try:
            check_limits(wait_timeout=wait_timeout, poll_interval=poll_interval)
            check_path("remote_path", remote_path)
            await local_files.check_target(facts["local_path"], overwrite)
            await self._sync(remote_path, "upload", wait, wait_timeout, poll_interval, facts)
            await self._get_file(overwrite, progress_cb, facts)
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

    async def _put_file(
        self,
        path: str,
        remote_path: str,
        content_type: str | None,
        progress: _Progress,
        facts: dict[str, Any],
    ) -> None:
        size = await local_files.size_of(path)
        async with local_files.opened(path) as file:
            chunks = partial(_told, file, size, progress)
            await self._put(remote_path, chunks, size, content_type, facts)

    async def _put(
        self,
        remote_path: str,
        chunks: Callable[[], AsyncGenerator[bytes, None]],
        size: int,
        content_type: str | None,
        facts: dict[str, Any],
    ) -> None:
        context, client = await self.context(), self._session.get_client()
        reply = await client.send(actions.GetUploadUrl(context.context_id, remote_path))
        facts["request_id_upload_url"] = facts["request_id"] = reply.request_id
        with _status_kept(facts):
            stored = await client.put_file(reply.value.url, chunks, size, content_type=content_type)
        facts |= {"http_status": stored.status, "etag": stored.etag or None, "bytes_sent": size}

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

    async def _get_file(self, overwrite: bool, progress: _Progress, facts: dict[str, Any]) -> None:
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

        with _status_kept(facts):
            facts["http_status"] = await self._session.get_client().get_file(url, write)


async def _told(file: BinaryIO, size: int, progress: _Progress) -> AsyncGenerator[bytes, None]:
    """The pieces of a file; the callback hears of each when the next one is asked for."""
    sent = 0
    async with aclosing(local_files.pieces(file, size)) as pieces:
        async for piece in pieces:
            yield piece
            sent += len(piece)
            if progress is not None:
                await tell(progress, sent)


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
