"""Reading and writing the contents of one file."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress

from .failure import Failure

LIMIT = 32 * 1024 * 1024
_CHUNK = 1024 * 1024
_TEMPORARY = ".agentbay-temporary-"
# The directory takes no new file (under /proc: ENOENT), or the target is a mount point.
_NOT_REPLACEABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.EBUSY)
_KINDS = {
    stat.S_IFDIR: "directory",
    stat.S_IFIFO: "FIFO",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFSOCK: "socket",
}


def read(
    path: str, offset: int = 0, length: int = 0, *, limit: int = LIMIT
) -> tuple[bytes, int | None]:
    """Return a range of a file (length 0: up to the end) and the file's whole size.

    The size is None where only reading tells it, as under /proc. More than the limit is refused.
    """
    with _opened(path, os.O_RDONLY) as descriptor:
        size = os.fstat(descriptor).st_size
        if offset:
            os.lseek(descriptor, offset, os.SEEK_SET)
        content = _read_at_most(descriptor, min(length or limit + 1, limit + 1))
    if len(content) > limit:
        raise Failure(f"{path}: more than {LIMIT >> 20} MiB at once: read it in ranges")
    if size == 0 and (content or offset):
        return content, None
    return content, size


def read_text(path: str, *, limit: int = LIMIT) -> str:
    """Return a whole file as text, its line ends untouched."""
    try:
        return read(path, limit=limit)[0].decode()
    except UnicodeDecodeError:
        raise Failure(f"{path}: not UTF-8 text") from None


def append(path: str, content: bytes) -> None:
    """Add to the end of a file, which is created with its parents if it is missing."""
    target = _prepared(path)
    with _opened(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT) as descriptor:
        _write(descriptor, content)


def overwrite(path: str, content: bytes) -> None:
    """Set what a file contains; other programs see the old content or the new, never a part.

    A file that cannot be replaced, because of its directory, its owner or its hard links, is
    written in place.
    """
    target = _prepared(path)
    if not _replaced(target, content):
        with _opened(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as descriptor:
            _write(descriptor, content)


def temporary_beside(path: str) -> str:
    """Return an unused name in the directory of a path, for a file on its way there."""
    return os.path.join(os.path.dirname(path), _TEMPORARY + os.urandom(8).hex())


def is_temporary(name: str) -> bool:
    """Tell whether a file name belongs to a file that is only on its way."""
    return name.startswith(_TEMPORARY)


@contextmanager
def _opened(path: str, flags: int) -> Generator[int]:
    # Opening a FIFO, a device or a socket can wait or have effects: look first. The second look,
    # at the file that was opened, is for a path that changed in between.
    with suppress(FileNotFoundError):
        _check_kind(path, os.stat(path))
    flags |= os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    descriptor = os.open(path, flags, 0o666)
    try:
        _check_kind(path, os.fstat(descriptor))
        yield descriptor
    except OSError as exc:
        # Calls that get a descriptor do not know the name.
        raise OSError(exc.errno, exc.strerror, path) from exc
    finally:
        os.close(descriptor)


def _check_kind(path: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "special file")
        raise Failure(f"{path}: Is a {kind}, not a regular file")


def _read_at_most(descriptor: int, size: int) -> bytes:
    chunks: list[bytes] = []
    while size and (chunk := os.read(descriptor, min(size, _CHUNK))):
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)


def _prepared(path: str) -> str:
    # A link is written through, not replaced; the file it leads to need not exist.
    target = os.path.realpath(path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    return target


def _replaced(target: str, content: bytes) -> bool:
    """Put a new file in the place of the old one; False if only writing in place can do."""
    try:
        existing = os.stat(target)
    except FileNotFoundError:
        existing = None
    if existing is not None:
        _check_kind(target, existing)
        if not _replaceable(target, existing):
            return False
    try:
        _write_and_rename(target, content, existing)
    except OSError as exc:
        # Writing in place succeeds, or fails with the error that describes the target.
        if exc.errno in _NOT_REPLACEABLE:
            return False
        # Not the temporary file's name, which nobody knows.
        raise OSError(exc.errno, exc.strerror, target) from exc
    return True


def _replaceable(target: str, existing: os.stat_result) -> bool:
    """Tell whether a new file can stand for the old one and nobody notices."""
    return (
        existing.st_nlink == 1
        and existing.st_uid == os.geteuid()
        # Replacing needs no write permission on the file, but being refused is the promise.
        and os.access(target, os.W_OK)
    )


def _write_and_rename(target: str, content: bytes, existing: os.stat_result | None) -> None:
    temporary = temporary_beside(target)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        try:
            if existing is not None:
                os.fchmod(descriptor, stat.S_IMODE(existing.st_mode) & 0o777)
            _write(descriptor, content)
        finally:
            os.close(descriptor)
        os.replace(temporary, target)
    except BaseException:  # nothing half-written stays, whatever stopped it
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _write(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
