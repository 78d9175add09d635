"""Files and directories."""

from __future__ import annotations

import base64
import shlex
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Literal, overload

import anyio

from .._results.base import reported
from .._results.file_system import (
    BinaryFileContentResult,
    BoolResult,
    DirectoryListResult,
    FileChangeResult,
    FileContentResult,
    FileInfoResult,
    FileSearchResult,
    MultipleFileContentResult,
)
from ..errors import AgentBayError, FileError, InvalidInputError
from ..protocol import file_system as tools
from ..protocol.command import Shell
from ..protocol.file_system import BYTES_CHUNK, TEXT_CHUNK, Edit, WriteMode, write_mode
from ._resource import Resource


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

    @reported(BoolResult)
    async def edit_file(
        self, path: str, edits: Sequence[Mapping[str, str]], dry_run: bool = False
    ) -> BoolResult:
        """Replace texts in a file, one after the other.

        Args:
            path: The file; it must hold UTF-8 text.
            edits: Each has ``oldText``, of which the first occurrence is replaced, and
                ``newText``. When one is not found, the file stays as it is.
            dry_run: Only check that the edits apply.

        Example:
            await session.file_system.edit_file(
                "/tmp/a.txt", [{"oldText": "red", "newText": "green"}]
            )
        """
        call = tools.EditFile(path, [_edit(edit) for edit in edits], dry_run)
        reply = await self._call(call)
        return BoolResult(reply.request_id, True, True)

    @reported(FileInfoResult)
    async def get_file_info(self, path: str) -> FileInfoResult:
        """Tell size, kind, times and permissions of a file or directory."""
        reply = await self._call(tools.GetFileInfo(path))
        return FileInfoResult(reply.request_id, True, reply.value)

    @reported(DirectoryListResult)
    async def list_directory(self, path: str) -> DirectoryListResult:
        """List the entries of a directory."""
        reply = await self._call(tools.ListDirectory(path))
        return DirectoryListResult(reply.request_id, True, entries=reply.value)

    @reported(BoolResult)
    async def move_file(self, source: str, destination: str) -> BoolResult:
        """Move or rename a file or directory. The destination must not exist."""
        reply = await self._call(tools.MoveFile(source, destination))
        return BoolResult(reply.request_id, True, True)

    @overload
    async def read_file(self, path: str) -> FileContentResult: ...
    @overload
    async def read_file(self, path: str, *, format: Literal["text"]) -> FileContentResult: ...
    @overload
    async def read_file(
        self, path: str, *, format: Literal["bytes"]
    ) -> BinaryFileContentResult: ...
    async def read_file(
        self, path: str, *, format: Literal["text", "bytes"] = "text"
    ) -> FileContentResult | BinaryFileContentResult:
        """Read a whole file.

        Args:
            path: The file.
            format: ``"text"`` for a UTF-8 text, ``"bytes"`` for anything else. Reading a
                file as text that is not UTF-8 fails rather than change its content.

        Example:
            text = (await session.file_system.read_file("/tmp/a.txt")).unwrap()
            data = (await session.file_system.read_file("/tmp/a.png", format="bytes")).unwrap()
        """
        if format == "bytes":
            return await self._read_bytes(path)
        return await self._read_text(path, format)

    @reported(MultipleFileContentResult)
    async def read_multiple_files(self, paths: Sequence[str]) -> MultipleFileContentResult:
        """Read several text files with one call.

        A file that cannot be read does not fail the others: its text begins with
        ``Error - ``.
        """
        reply = await self._call(tools.ReadMultipleFiles(_texts("paths", paths)))
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
        excluded = ",".join(_texts("exclude_patterns", exclude_patterns or [])) or None
        reply = await self._call(tools.SearchFiles(path, pattern, excluded))
        return FileSearchResult(reply.request_id, True, reply.value)

    @reported(BoolResult)
    async def write_file(
        self, path: str, content: str | bytes, mode: str = "overwrite"
    ) -> BoolResult:
        """Write a file; its parent directories are created.

        What does not fit into one message is collected in a temporary file beside the
        target first, so that the target is never seen half-written.

        Args:
            path: The file.
            content: Text, written as UTF-8, or bytes.
            mode: ``"overwrite"`` or ``"append"``.
        """
        how = write_mode(mode)
        text = _as_text(content)
        if text is None:
            return await self._write_staged(path, _base64_chunks(content), how, "base64 -d")
        chunks = list(_text_chunks(text))
        if len(chunks) > 1:
            return await self._write_staged(path, chunks, how, "cat")
        reply = await self._call(tools.WriteFile(path, text, how))
        return BoolResult(reply.request_id, True, True)

    @reported(FileChangeResult)
    async def get_file_change(self, path: str) -> FileChangeResult:
        """Tell what changed below a directory since the last time this was asked.

        The first call for a directory only remembers how it looks.
        """
        reply = await self._call(tools.GetFileChange(path))
        return FileChangeResult(reply.request_id, True, reply.value)

    read = read_file
    write = write_file
    list = list_directory
    ls = list_directory
    delete = delete_file
    remove = delete_file
    rm = delete_file

    @reported(BinaryFileContentResult)
    async def _read_bytes(self, path: str) -> BinaryFileContentResult:
        request_id, data = await self._read(path)
        return BinaryFileContentResult(request_id, True, data)

    @reported(FileContentResult)
    async def _read_text(self, path: str, format: str) -> FileContentResult:
        if format != "text":
            raise InvalidInputError(f"format must be 'text' or 'bytes', not {format!r}")
        request_id, data = await self._read(path)
        try:
            return FileContentResult(request_id, True, data.decode())
        except UnicodeDecodeError as exc:
            raise FileError(
                f"{path} is not UTF-8 text (byte {exc.start} of {len(data)}): "
                "read it with format='bytes'",
                request_id=request_id,
                tool=tools.ReadFile.tool,
            ) from exc

    async def _read(self, path: str) -> tuple[str, bytes]:
        """Read ranges until one comes back short; the size is not asked for.

        Files that tell no size (those of /proc) and files that grow read right, too.
        """
        data = bytearray()
        while True:
            call = tools.ReadFile(path, len(data), BYTES_CHUNK, "binary")
            reply = await self._call(call)
            data += reply.value
            if len(reply.value) < BYTES_CHUNK:
                return reply.request_id, bytes(data)

    async def _write_staged(
        self, path: str, chunks: Iterable[str], mode: WriteMode, decoder: str
    ) -> BoolResult:
        """Collect chunks beside the target, then put them in place in one step."""
        tools.WriteFile(path, "")  # refuses a path that can name no file
        part = f"{path}.{uuid.uuid4().hex}.part"
        try:
            for chunk in chunks:
                await self._call(tools.WriteFile(part, chunk, WriteMode.APPEND))
            return await self._finish(path, part, mode, decoder)
        except BaseException:
            # What stopped the write counts, not that the session is out of reach.
            with anyio.move_on_after(10, shield=True), suppress(AgentBayError):
                await self._call(Shell(f"rm -f -- {shlex.quote(part)} {shlex.quote(part)}.out"))
            raise

    async def _finish(self, path: str, part: str, mode: WriteMode, decoder: str) -> BoolResult:
        script = _FINISH[mode].format(decode=decoder)
        words = (shlex.quote(word) for word in (script, "sh", path, part))
        reply = await self._call(Shell(f"sh -c {' '.join(words)}"))
        if reply.value.exit_code != 0:
            raise FileError(
                f"Failed to write file: {reply.value.stderr.strip()}",
                request_id=reply.request_id,
                tool=tools.WriteFile.tool,
            )
        return BoolResult(reply.request_id, True, True)


# $1 is the target, $2 the collected chunks. A target that is a link stays one, and an
# existing file keeps its permissions.
_FINISH = {
    WriteMode.OVERWRITE: """\
set -e
{decode} < "$2" > "$2.out"
target=$(readlink -v -f -- "$1")
if [ -d "$target" ]; then echo "$1: Is a directory" >&2; exit 21; fi
if [ -e "$target" ]; then
  if [ ! -w "$target" ]; then echo "$1: Permission denied" >&2; exit 13; fi
  chmod --reference="$target" -- "$2.out" 2>/dev/null || true
fi
mv -f -- "$2.out" "$target"
rm -f -- "$2"
""",
    WriteMode.APPEND: """\
set -e
{decode} < "$2" > "$2.out"
cat < "$2.out" >> "$1"
rm -f -- "$2" "$2.out"
""",
}


def _texts(name: str, values: Sequence[str]) -> list[str]:
    # One text is a sequence of texts too, which is never meant.
    if isinstance(values, str):
        raise InvalidInputError(f"{name} must be a list of texts, not {values!r:.80}")
    return list(values)


def _edit(edit: Mapping[str, str]) -> Edit:
    old, new = edit.get("oldText"), edit.get("newText")
    if not isinstance(old, str) or not isinstance(new, str) or not old:
        raise InvalidInputError(
            f"an edit needs oldText, which must not be empty, and newText: {dict(edit)!r:.200}"
        )
    return Edit(old, new)


def _as_text(content: str | bytes) -> str | None:
    """The content as text that can travel as it is; None for bytes that are not UTF-8."""
    if isinstance(content, str):
        return content
    if not isinstance(content, bytes | bytearray | memoryview):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidInputError(f"content must be text or bytes, not {type(content).__name__}")
    try:
        return bytes(content).decode()
    except UnicodeDecodeError:
        return None


def _text_chunks(text: str) -> Iterator[str]:
    """Split text so that each part has at most `TEXT_CHUNK` bytes as UTF-8."""
    try:
        data = text.encode()
    except UnicodeEncodeError as exc:
        raise InvalidInputError(
            f"content cannot be written as UTF-8 ({exc.reason}): pass bytes instead"
        ) from exc
    start = 0
    while start < len(data) or start == 0:
        end = min(start + TEXT_CHUNK, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:  # never inside a character
            end -= 1
        yield data[start:end].decode()
        if end == len(data):
            return
        start = end


def _base64_chunks(content: str | bytes) -> Iterator[str]:
    data = memoryview(content if not isinstance(content, str) else content.encode())
    for start in range(0, len(data), BYTES_CHUNK):  # a multiple of 3: parts join without padding
        yield base64.b64encode(data[start : start + BYTES_CHUNK]).decode()
