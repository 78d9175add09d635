"""Read and write whole files, with as many messages as that takes."""

from __future__ import annotations

import base64
import shlex
import sys
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

from ..errors import AgentBayError, FileError, InvalidInputError, TransportError
from ..protocol.command import Shell
from ..protocol.file_system import BYTES_CHUNK, TEXT_CHUNK, ReadFile, WriteFile, WriteMode
from ._routes import uses_link

if TYPE_CHECKING:
    from .session import AsyncSession

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


async def read(session: AsyncSession, path: str) -> tuple[str, bytes]:
    """Read with one message when the way to the session is wide enough, else in ranges.

    Gives the identifier of the last request, and the content.
    """
    if _is_wide(session, ReadFile.tool):
        try:
            whole = await session._call(ReadFile(path, format="binary"))
        except AgentBayError:
            if _is_wide(session, ReadFile.tool):
                raise
            # There was no connection, and the other way has a limit.
        else:
            return whole.request_id, whole.value
    return await _read_ranges(session, path)


async def write(session: AsyncSession, path: str, content: str | bytes, mode: WriteMode) -> str:
    """Write with one message when the way to the session is wide enough, else with several.

    Gives the identifier of the last request.
    """
    if _is_wide(session, WriteFile.tool):
        try:
            return await _write(session, path, content, mode, sys.maxsize)
        except TransportError as exc:
            if exc.sent:
                raise
            # There was no connection, and the other way has a limit.
    return await _write(session, path, content, mode, TEXT_CHUNK)


def _is_wide(session: AsyncSession, tool: str) -> bool:
    """Whether a message to a tool may have any size."""
    return uses_link(session._data, session._server_of(tool), client=session.get_client())


async def _read_ranges(session: AsyncSession, path: str) -> tuple[str, bytes]:
    """Read ranges until one comes back short; the size is not asked for.

    Files that tell no size (those of /proc) and files that grow read right, too.
    """
    data = bytearray()
    while True:
        reply = await session._call(ReadFile(path, len(data), BYTES_CHUNK, "binary"))
        data += reply.value
        if len(reply.value) < BYTES_CHUNK:
            return reply.request_id, bytes(data)


async def _write(
    session: AsyncSession, path: str, content: str | bytes, mode: WriteMode, limit: int
) -> str:
    """Write with messages of so many bytes at most."""
    text = _as_text(content)
    if text is None:
        chunks = _base64_chunks(content, limit)
        return await _write_staged(session, path, chunks, mode, "base64 -d")
    texts = list(_text_chunks(text, limit))
    if len(texts) > 1:
        return await _write_staged(session, path, texts, mode, "cat")
    return (await session._call(WriteFile(path, text, mode))).request_id


async def _write_staged(
    session: AsyncSession, path: str, chunks: Iterable[str], mode: WriteMode, decoder: str
) -> str:
    """Collect chunks beside the target, then put them in place in one step."""
    WriteFile(path, "")  # refuses a path that can name no file
    part = f"{path}.{uuid.uuid4().hex}.part"
    try:
        for chunk in chunks:
            await session._call(WriteFile(part, chunk, WriteMode.APPEND))
        return await _finish(session, path, part, mode, decoder)
    except BaseException:  # cancelled too: half a file is left
        # What stopped the write counts, not that the session is out of reach.
        with anyio.move_on_after(10, shield=True), suppress(AgentBayError):
            await session._call(Shell(f"rm -f -- {shlex.quote(part)} {shlex.quote(part)}.out"))
        raise


async def _finish(
    session: AsyncSession, path: str, part: str, mode: WriteMode, decoder: str
) -> str:
    script = _FINISH[mode].format(decode=decoder)
    words = (shlex.quote(word) for word in (script, "sh", path, part))
    reply = await session._call(Shell(f"sh -c {' '.join(words)}"))
    if reply.value.exit_code != 0:
        raise FileError(
            f"Failed to write file: {reply.value.stderr.strip()}",
            request_id=reply.request_id,
            tool=WriteFile.tool,
        )
    return reply.request_id


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


def _text_chunks(text: str, limit: int) -> Iterator[str]:
    """Split text so that each part has at most so many bytes as UTF-8."""
    try:
        data = text.encode()
    except UnicodeEncodeError as exc:
        raise InvalidInputError(
            f"content cannot be written as UTF-8 ({exc.reason}): pass bytes instead"
        ) from exc
    start = 0
    while start < len(data) or start == 0:
        end = min(start + limit, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:  # never inside a character
            end -= 1
        yield data[start:end].decode()
        if end == len(data):
            return
        start = end


def _base64_chunks(content: str | bytes, limit: int) -> Iterator[str]:
    data = memoryview(content if not isinstance(content, str) else content.encode())
    size = limit // 4 * 3 if limit > TEXT_CHUNK else BYTES_CHUNK
    for start in range(0, len(data), size):  # a multiple of 3: parts join without padding
        yield base64.b64encode(data[start : start + size]).decode()
