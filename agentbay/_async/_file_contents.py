"""Read and write whole files, with as many messages as that takes."""

from __future__ import annotations

import base64
import codecs
import io
import shlex
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from .._deadline import cleaning_up
from ..errors import AgentBayError, FileError, InvalidInputError, TransportError
from ..protocol._checks import check_functions
from ..protocol.command import Shell
from ..protocol.file_system import BYTES_CHUNK, TEXT_CHUNK, ReadFile, WriteFile, WriteMode
from ._callbacks import tell
from ._routes import uses_link

if TYPE_CHECKING:
    from .session import AsyncSession

Progress = Callable[[int], object] | None

# Bytes of a file in a message where messages may have any size. Each message is in memory some
# five times on its way.
_WIDE = 8 * 1024 * 1024

# The same where the engine is in this process: more would take more memory, and not less time.
_NEAR = 1024 * 1024

# Characters or bytes that are looked at in one go.
_LOOK = 1024 * 1024

# $1 is the target, $2 the collected chunks, $3 the size of what they stand for. A target that
# is a link stays one, and an existing file keeps its permissions.
_FINISH = {
    WriteMode.OVERWRITE: """\
set -e
{decode} < "$2" > "$2.out"
if [ "$(wc -c < "$2.out")" -ne "$3" ]; then echo "$1: parts of it were lost" >&2; exit 74; fi
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
if [ "$(wc -c < "$2.out")" -ne "$3" ]; then echo "$1: parts of it were lost" >&2; exit 74; fi
cat < "$2.out" >> "$1"
rm -f -- "$2" "$2.out"
""",
}


async def read(session: AsyncSession, path: str, progress: Progress = None) -> tuple[str, bytes]:
    """Read ranges of the file: large ones when the way to the session is wide enough.

    Gives the identifier of the last request, and the content.
    """
    check_functions(progress_cb=progress)
    # Its buffer becomes the result without a copy.
    data = io.BytesIO()
    if _is_wide(session, ReadFile.tool):
        try:
            return await _read_ranges(session, path, data, _WIDE, progress), data.getvalue()
        except AgentBayError:
            if _is_wide(session, ReadFile.tool):
                raise
            # There was no connection, and the other way has a limit.
    size = _narrow(session, BYTES_CHUNK)
    return await _read_ranges(session, path, data, size, progress), data.getvalue()


async def write(
    session: AsyncSession,
    path: str,
    content: str | bytes,
    mode: WriteMode,
    progress: Progress = None,
) -> str:
    """Write with large messages when the way to the session is wide enough, else with short ones.

    Gives the identifier of the last request.
    """
    check_functions(progress_cb=progress)
    source = _Source(content)
    if _is_wide(session, WriteFile.tool):
        try:
            return await _write(session, path, source, mode, _WIDE, progress)
        except TransportError as exc:
            if exc.sent:
                raise
            # There was no connection, and the other way has a limit.
    size = _narrow(session, TEXT_CHUNK)
    return await _write(session, path, source, mode, size, progress)


def _is_wide(session: AsyncSession, tool: str) -> bool:
    """Whether a message to a tool may have any size."""
    return uses_link(session._data, session._server_of(tool), client=session.get_client())


def _narrow(session: AsyncSession, limit: int) -> int:
    """Bytes of a message to a tool where that has a limit; an engine in this process has none."""
    return _NEAR if session.get_agent_bay().endpoint == "local" else limit


async def _read_ranges(
    session: AsyncSession, path: str, data: io.BytesIO, size: int, progress: Progress
) -> str:
    """Read ranges behind what there is until one comes back short; gives the last request.

    The size is not asked for: files that tell none (those of /proc) and files that grow read
    right, too.
    """
    while True:
        reply = await session._call(ReadFile(path, data.tell(), size, "binary"))
        data.write(reply.value)
        if progress is not None:
            await tell(progress, data.tell())
        if len(reply.value) < size:
            return reply.request_id


async def _write(
    session: AsyncSession,
    path: str,
    source: _Source,
    mode: WriteMode,
    limit: int,
    progress: Progress,
) -> str:
    """Write with messages of so many bytes at most."""
    if not source.is_text or source.size > limit:
        return await _write_staged(session, path, source, mode, limit, progress)
    whole = "".join(text for text, _ in source.messages(limit))
    reply = await session._call(WriteFile(path, whole, mode))
    if progress is not None:
        await tell(progress, source.size)
    return reply.request_id


async def _write_staged(
    session: AsyncSession,
    path: str,
    source: _Source,
    mode: WriteMode,
    limit: int,
    progress: Progress,
) -> str:
    """Collect chunks beside the target, then put them in place in one step."""
    WriteFile(path, "")  # refuses a path that can name no file
    part, done = f"{path}.{uuid.uuid4().hex}.part", 0
    try:
        for text, size in source.messages(limit):
            await session._call(WriteFile(part, text, WriteMode.APPEND))
            done += size
            if progress is not None:
                await tell(progress, done)
        return await _finish(session, path, part, mode, source)
    except BaseException:  # cancelled too: half a file is left
        # What stopped the write counts, not that the session is out of reach.
        with cleaning_up(10), suppress(AgentBayError):
            await session._call(Shell(f"rm -f -- {shlex.quote(part)} {shlex.quote(part)}.out"))
        raise


async def _finish(
    session: AsyncSession, path: str, part: str, mode: WriteMode, source: _Source
) -> str:
    script = _FINISH[mode].format(decode="cat" if source.is_text else "base64 -d")
    words = (shlex.quote(word) for word in (script, "sh", path, part, str(source.size)))
    reply = await session._call(Shell(f"sh -c {' '.join(words)}"))
    if reply.value.exit_code != 0:
        raise FileError(
            f"Failed to write file: {reply.value.stderr.strip()}",
            request_id=reply.request_id,
            tool=WriteFile.tool,
        )
    return reply.request_id


class _Source:
    """What is to be written; it is cut without a copy of the whole.

    Attributes:
        is_text: Whether it travels as it is; bytes that are not UTF-8 travel as base64.
        size: How many bytes it is.
    """

    def __init__(self, content: str | bytes) -> None:
        self._content: str | memoryview
        if isinstance(content, str):
            self._content, self.is_text, self.size = content, True, _utf8_size(content)
        elif isinstance(content, bytes | bytearray | memoryview):  # pyright: ignore[reportUnnecessaryIsInstance]
            self._content = memoryview(content).cast("B")
            self.is_text, self.size = _is_utf8(self._content), self._content.nbytes
        else:
            raise InvalidInputError(f"content must be text or bytes, not {type(content).__name__}")

    def messages(self, limit: int) -> Iterator[tuple[str, int]]:
        """The texts that travel, of so many bytes at most, and how much of it each one holds."""
        if isinstance(self._content, str):
            return _texts(self._content, limit)
        return _decoded(self._content, limit) if self.is_text else _base64(self._content, limit)


def _utf8_size(text: str) -> int:
    if text.isascii():
        return len(text)
    try:
        return sum(len(text[at : at + _LOOK].encode()) for at in range(0, len(text), _LOOK))
    except UnicodeEncodeError as exc:
        raise InvalidInputError(
            f"content cannot be written as UTF-8 ({exc.reason}): pass bytes instead"
        ) from exc


def _is_utf8(data: memoryview) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), _LOOK):
            decoder.decode(data[start : start + _LOOK])
        decoder.decode(b"", True)
    except UnicodeDecodeError:
        return False
    return True


def _texts(text: str, limit: int) -> Iterator[tuple[str, int]]:
    start = 0
    while start < len(text):
        # No character is less than a byte.
        some = memoryview(text[start : start + limit].encode())
        part, size = next(_decoded(some, limit))
        yield part, size
        start += len(part)


def _decoded(data: memoryview, limit: int) -> Iterator[tuple[str, int]]:
    start = 0
    while start < len(data):
        end = min(start + limit, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:  # never inside a character
            end -= 1
        yield str(data[start:end], "utf-8"), end - start
        start = end


def _base64(data: memoryview, limit: int) -> Iterator[tuple[str, int]]:
    size = BYTES_CHUNK if limit == TEXT_CHUNK else limit // 4 * 3
    for start in range(0, len(data), size):  # a multiple of 3: parts join without padding
        chunk = data[start : start + size]
        yield base64.b64encode(chunk).decode(), len(chunk)
