"""Files and directories."""

from __future__ import annotations

import builtins
import os
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Literal, overload

from .._deferred import hint
from .._results.base import reported
from .._results.file_system import (
    BinaryFileContentResult,
    BoolResult,
    DirectoryListResult,
    DownloadResult,
    EditResult,
    FileChangeResult,
    FileContentResult,
    FileInfoResult,
    FileSearchResult,
    MultipleFileContentResult,
    UploadResult,
)
from ..errors import ContextNotFoundError, FileError, InvalidInputError
from ..protocol import file_system as tools
from ..protocol._checks import as_dict, as_texts, check_functions
from ..protocol.file_system import Edit, FileChangeEvent, check_interval, write_mode
from . import _file_contents as contents
from ._resource import Resource

if TYPE_CHECKING:
    from ._watch_thread import DirectoryWatcher
    from .file_transfer import AsyncFileTransfer
    from .watch import AsyncFileWatch
else:
    DirectoryWatcher = hint("agentbay._async._watch_thread", "DirectoryWatcher")
    AsyncFileWatch = hint("agentbay._async.watch", "AsyncFileWatch")


class AsyncFileSystem(Resource):
    """Reads and writes the files of a session.

    Paths are paths of the session; a relative one begins at the home directory.
    """

    @reported(BoolResult)
    async def create_directory(self, path: str) -> BoolResult:
        """Create a directory and its parents; one that exists is fine."""
        reply = await self._call(tools.CreateDirectory(path))
        return BoolResult(reply.request_id, True, True)

    @reported(BoolResult)
    async def delete_file(self, path: str) -> BoolResult:
        """Delete a file. A directory is refused."""
        reply = await self._call(tools.DeleteFile(path))
        return BoolResult(reply.request_id, True, True)

    @reported(EditResult)
    async def edit_file(
        self, path: str, edits: Sequence[Mapping[str, str]], dry_run: bool = False
    ) -> EditResult:
        """Replace texts in a file, one after the other, and tell the difference.

        Args:
            path: The file; it must hold UTF-8 text.
            edits: Each has ``oldText``, of which the first occurrence is replaced, and
                ``newText``. When one is not found, the file stays as it is.
            dry_run: Leave the file as it is, and only tell what would differ.

        Example:
            ```python
            edits = [{"oldText": "red", "newText": "green"}]
            print((await session.file_system.edit_file("/tmp/a.txt", edits, dry_run=True)).diff)
            ```
        """
        if isinstance(edits, str | Mapping) or not isinstance(edits, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(f"edits must be a list of edits, not {edits!r:.80}")
        call = tools.EditFile(path, [_edit(edit) for edit in edits], dry_run)
        reply = await self._call(call)
        return EditResult(reply.request_id, True, True, diff=reply.value)

    @reported(FileInfoResult)
    async def get_file_info(self, path: str) -> FileInfoResult:
        """Tell size in bytes, kind, times and permissions of a file or directory."""
        reply = await self._call(tools.GetFileInfo(path))
        return FileInfoResult(reply.request_id, True, reply.value)

    @reported(DirectoryListResult)
    async def list_directory(self, path: str) -> DirectoryListResult:
        """List the entries of a directory."""
        reply = await self._call(tools.ListDirectory(path))
        return DirectoryListResult(reply.request_id, True, entries=reply.value)

    @reported(BoolResult)
    async def move_file(self, source: str, destination: str) -> BoolResult:
        """Move or rename a file or directory.

        Args:
            source: What to move.
            destination: Its path afterwards, which must not exist.
        """
        reply = await self._call(tools.MoveFile(source, destination))
        return BoolResult(reply.request_id, True, True)

    @overload
    async def read_file(
        self,
        path: str,
        *,
        progress_cb: Callable[[int], Awaitable[object] | None] | None = None,
    ) -> FileContentResult: ...
    @overload
    async def read_file(
        self,
        path: str,
        *,
        format: Literal["text"],
        progress_cb: Callable[[int], Awaitable[object] | None] | None = None,
    ) -> FileContentResult: ...
    @overload
    async def read_file(
        self,
        path: str,
        *,
        format: Literal["bytes"],
        progress_cb: Callable[[int], Awaitable[object] | None] | None = None,
    ) -> BinaryFileContentResult: ...
    async def read_file(
        self,
        path: str,
        *,
        format: Literal["text", "bytes"] = "text",
        progress_cb: Callable[[int], Awaitable[object] | None] | None = None,
    ) -> FileContentResult | BinaryFileContentResult:
        """Read a whole file.

        Args:
            path: The file.
            format: ``"text"`` for a UTF-8 text, ``"bytes"`` for anything else. Reading a
                file as text that is not UTF-8 fails rather than change its content.
            progress_cb: Told how many bytes have arrived so far, after each message.

        Example:
            ```python
            text = (await session.file_system.read_file("/tmp/a.txt")).unwrap()
            data = (await session.file_system.read_file("/tmp/a.png", format="bytes")).unwrap()
            ```
        """
        if format == "bytes":
            return await self._read_bytes(path, progress_cb)
        return await self._read_text(path, format, progress_cb)

    @reported(MultipleFileContentResult)
    async def read_multiple_files(self, paths: Sequence[str]) -> MultipleFileContentResult:
        """Read several text files with one call.

        A file that cannot be read does not fail the others: its text begins with
        ``Error - ``.
        """
        reply = await self._call(tools.ReadMultipleFiles(as_texts("paths", paths)))
        return MultipleFileContentResult(reply.request_id, True, reply.value)

    @reported(FileSearchResult)
    async def search_files(
        self, path: str, pattern: str, exclude_patterns: Sequence[str] | None = None
    ) -> FileSearchResult:
        """Find files and directories by name.

        Args:
            path: Where to search, with everything below.
            pattern: Part of a name, or a pattern with ``*`` and ``?``.
            exclude_patterns: Names or patterns to leave out.
        """
        excluded = ",".join(as_texts("exclude_patterns", exclude_patterns or ())) or None
        reply = await self._call(tools.SearchFiles(path, pattern, excluded))
        return FileSearchResult(reply.request_id, True, reply.value)

    @reported(BoolResult)
    async def write_file(
        self,
        path: str,
        content: str | bytes,
        mode: str = "overwrite",
        *,
        progress_cb: Callable[[int], Awaitable[object] | None] | None = None,
    ) -> BoolResult:
        """Write a file; its parent directories are created.

        What does not fit into one message is collected in a temporary file beside the
        target first, so that the target is never seen half-written.

        Args:
            path: The file.
            content: Text, written as UTF-8, or bytes.
            mode: ``"overwrite"`` or ``"append"``.
            progress_cb: Told how many bytes have arrived so far, after each message.
        """
        request_id = await contents.write(
            self._session, path, content, write_mode(mode), progress_cb
        )
        return BoolResult(request_id, True, True)

    @reported(FileChangeResult)
    async def get_file_change(self, path: str) -> FileChangeResult:
        """Tell what changed below a directory since the last time this was asked.

        The first call for a directory only remembers how it looks.
        """
        reply = await self._call(tools.GetFileChange(path))
        return FileChangeResult(reply.request_id, True, reply.value)

    async def upload_file(
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
        """Send a file of the local machine to the session.

        It is read and sent piece by piece, so it may be larger than the memory. An exchange
        is given up when nothing moved for 60 seconds, and begins again, as often as the policy
        of the client says, after a failure that may pass.

        Args:
            local_path: The file to send.
            remote_path: Where it is to be in the session; the service may move files below
                `get_file_transfer_context_path` only.
            content_type: Media type to keep with the file in the store that it passes.
            wait: Wait until the session has the file, and not only the store.
            wait_timeout: Seconds for that wait.
            poll_interval: Longest time between two looks at it, in seconds.
            progress_cb: Told how many bytes were sent so far, after each piece; fewer than
                before when the file is sent again.

        Example:
            ```python
            folder = await session.file_system.get_file_transfer_context_path()
            result = await session.file_system.upload_file("data.csv", f"{folder}/data.csv")
            print(result.bytes_sent)
            ```
        """
        return await self._transfer.upload(
            local_path,
            remote_path,
            content_type=content_type,
            wait=wait,
            wait_timeout=wait_timeout,
            poll_interval=poll_interval,
            progress_cb=progress_cb,
        )

    async def download_file(
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
        """Fetch a file of the session to the local machine.

        It takes its place when it is whole: after a failure, what was there before still is.
        What breaks half-way is gone on with, or begins again when it is another file by then, as
        often as the policy of the client says; length and hash are checked as far as the store
        tells them. An exchange is given up when nothing moved for 60 seconds.

        Args:
            remote_path: The file; the service may move files below
                `get_file_transfer_context_path` only.
            local_path: Where it is to be; missing directories are made.
            overwrite: Replace a file that is there.
            wait: Wait until the store that it passes has the file as it is; otherwise what
                arrives may be an earlier state of it.
            wait_timeout: Seconds for that wait.
            poll_interval: Longest time between two looks at it, in seconds.
            progress_cb: Told how many bytes have arrived so far, after each piece; fewer than
                before when the file begins again.

        Example:
            ```python
            folder = await session.file_system.get_file_transfer_context_path()
            result = await session.file_system.download_file(f"{folder}/out.csv", "out.csv")
            print(result.local_path, result.bytes_received)
            ```
        """
        return await self._transfer.download(
            remote_path,
            local_path,
            overwrite=overwrite,
            wait=wait,
            wait_timeout=wait_timeout,
            poll_interval=poll_interval,
            progress_cb=progress_cb,
        )

    async def get_file_transfer_context_path(self) -> str | None:
        """Tell below which directory of the session files can be uploaded and downloaded.

        Returns:
            The directory; None when the service keeps no store for the session.

        Raises:
            AgentBayError: The service did not say.
        """
        try:
            return (await self._transfer.context()).context_path
        except ContextNotFoundError:
            return None

    read = read_file
    write = write_file
    list = list_directory
    ls = list_directory
    delete = delete_file
    remove = delete_file
    rm = delete_file

    @asynccontextmanager
    async def watch(
        self, path: str, *, interval: float = 0.5
    ) -> AsyncGenerator[AsyncFileWatch, None]:
        """Watch a directory and everything below it, for the length of a block.

        Where the session can tell of changes by itself, it does; else it is asked.

        Args:
            path: The directory.
            interval: Seconds between two questions, where the session is asked.

        Raises:
            AgentBayError: The directory cannot be watched.

        Example:
            ```python
            async with session.file_system.watch("/tmp/results") as changes:
                async for events in changes:
                    print([event.path for event in events])
            ```
        """
        from .watch import AsyncFileWatch

        changes = AsyncFileWatch(self._session, path, interval)
        await changes._begin()
        try:
            yield changes
        finally:
            await changes._end()

    def watch_directory(
        self,
        path: str,
        callback: Callable[[builtins.list[FileChangeEvent]], Awaitable[object] | None],
        interval: float = 0.5,
        stop_event: threading.Event | None = None,
    ) -> DirectoryWatcher:
        """Make a thread that tells a function of the changes below a directory.

        The thread has to be started, and has an event loop of its own. An error of the
        function is logged and ends nothing. In programs with an event loop, `watch` is
        simpler.

        Args:
            path: The directory.
            callback: Told of the changes, some at a time.
            interval: Seconds between two questions for changes.
            stop_event: Ends the thread when it is set; the thread makes one by default.

        Example:
            ```python
            thread = session.file_system.watch_directory("/tmp/results", print)
            thread.start()
            thread.ready_event.wait(10)
            await session.file_system.write_file("/tmp/results/a.txt", "hello")
            thread.stop_event.set()
            thread.join()
            ```
        """
        from ._watch_thread import DirectoryWatcher

        check_interval(interval)
        check_functions(callback=callback)
        tools.GetFileChange(path)  # refuses a path that is none
        return DirectoryWatcher(self, path, callback, interval, stop_event)

    @cached_property
    def _transfer(self) -> AsyncFileTransfer:
        from .file_transfer import AsyncFileTransfer

        return AsyncFileTransfer(self._session)

    @reported(BinaryFileContentResult)
    async def _read_bytes(self, path: str, progress: contents.Progress) -> BinaryFileContentResult:
        request_id, data = await contents.read(self._session, path, progress)
        return BinaryFileContentResult(request_id, True, data)

    @reported(FileContentResult)
    async def _read_text(
        self, path: str, format: str, progress: contents.Progress
    ) -> FileContentResult:
        if format != "text":
            raise InvalidInputError(f"format must be 'text' or 'bytes', not {format!r}")
        request_id, data = await contents.read(self._session, path, progress)
        try:
            return FileContentResult(request_id, True, data.decode())
        except UnicodeDecodeError as exc:
            raise FileError(
                f"{path} is not UTF-8 text (byte {exc.start} of {len(data)}): "
                "read it with format='bytes'",
                request_id=request_id,
                tool=tools.ReadFile.tool,
            ) from exc


def _edit(edit: Mapping[str, str]) -> Edit:
    edit = as_dict("an edit", edit)
    old, new = edit.get("oldText"), edit.get("newText")
    if not isinstance(old, str) or not isinstance(new, str) or not old:
        raise InvalidInputError(
            f"an edit needs oldText, which must not be empty, and newText: {dict(edit)!r:.200}"
        )
    return Edit(old, new)
