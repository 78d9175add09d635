"""File contents, each kept once under the hash of what it holds."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import stat
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from .._errors import EngineError
from ..guest.cloning import clone
from .quota import check_room

# Contents up to this size are hashed before anything is written: most of a tree is known already.
_SMALL = 1024 * 1024
# An upload that was killed leaves its temporary file; one that runs keeps writing to it.
_ABANDONED = 24 * 3600.0
_CHUNK = 256 * 1024
_SHA = re.compile("[0-9a-f]{64}")


class Blobs:
    """A directory of `aa/<sha256>` files that are written once and never changed.

    `exclusive` makes a context that one thread of one process at a time can be in. Adding a
    blob and removing one both decide and act inside it.
    """

    def __init__(
        self, directory: Path, exclusive: Callable[[], AbstractContextManager[object]]
    ) -> None:
        self._directory = directory
        self._exclusive = exclusive

    def add(self, chunks: Iterable[bytes], limit: int | None = None) -> tuple[str, int]:
        """Keep a content; return its hash and size. Its bytes are on the disk by then.

        That its *name* is on the disk too is what `make_durable` sees to, once for many.

        Raises:
            EngineError: It has more than `limit` bytes.
        """
        chunks = iter(chunks)
        head = bytearray()
        for chunk in chunks:
            head += chunk
            if len(head) > _SMALL:
                break
        else:
            check_room(len(head), limit)
            sha = hashlib.sha256(head).hexdigest()
            with self._exclusive():
                if _make_young(self._path(sha)):
                    return sha, len(head)
        return self._write(chain([bytes(head)], chunks), limit)

    def add_file(self, file: int, limit: int | None = None) -> tuple[str, int]:
        """Keep what an open file holds; its blocks are shared where the file system can do that.

        Raises:
            EngineError: It has more than `limit` bytes.
        """
        with self.writer(limit) as writer:
            writer.take(file)
            return writer.finish()

    def copy(self, sha: str) -> int | None:
        """A descriptor of a file without a name that shares the blocks of a content.

        Whoever gets it can change that file, and not the content. The caller closes it; None
        where the file system cannot share.
        """
        self._incoming().mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._incoming() / secrets.token_hex(16)
        with self.open(sha) as content, path.open("xb+") as file:
            path.unlink()
            return os.dup(file.fileno()) if clone(file.fileno(), content.fileno()) else None

    def can_share_with(self, directory: Path) -> bool:
        """Whether contents can share the blocks of files in another directory."""
        self._incoming().mkdir(mode=0o700, parents=True, exist_ok=True)
        with (
            tempfile.TemporaryFile(dir=self._incoming()) as ours,
            tempfile.TemporaryFile(dir=directory) as theirs,
        ):
            return clone(ours.fileno(), theirs.fileno())

    def open(self, sha: str) -> BinaryIO:
        """Open a content for reading."""
        try:
            return self._path(sha).open("rb")
        except FileNotFoundError as exc:
            raise EngineError("Context.Corrupt", f"content {sha} is missing", status=500) from exc

    def make_durable(self, shas: Iterable[str]) -> None:
        """Return once no power cut can take these contents away."""
        directories = {self._path(sha).parent for sha in shas}
        for directory in [*directories, *([self._directory] if directories else [])]:
            # One that is gone held nothing; whoever refers to its contents finds that out.
            with contextlib.suppress(FileNotFoundError):
                sync_directory(directory)

    def missing(self, shas: Iterable[str]) -> list[str]:
        """Return those of the contents that are not here."""
        return [sha for sha in shas if not self._path(sha).exists()]

    def sweep(self, referenced: Callable[[str], set[str]], *, minimum_age: float) -> int:
        """Remove old contents that nothing refers to; return how many.

        `referenced` gets the first two digits and returns the hashes in use that start so.
        """
        removed = 0
        for directory in self._directory.glob("[0-9a-f][0-9a-f]"):
            with self._exclusive():
                used = referenced(directory.name)
                unused = [path for path in directory.iterdir() if path.name not in used]
                removed += sum(_remove_if_old(path, minimum_age) for path in unused)
        for path in self._incoming().glob("*"):
            _remove_if_old(path, max(minimum_age, _ABANDONED))
        return removed

    def writer(self, limit: int | None = None) -> BlobWriter:
        """Begin a content that is written piece by piece; `limit` bytes at most."""
        self._incoming().mkdir(mode=0o700, parents=True, exist_ok=True)
        return BlobWriter(self._incoming() / secrets.token_hex(16), self._keep, limit)

    def _write(self, chunks: Iterable[bytes], limit: int | None) -> tuple[str, int]:
        with self.writer(limit) as writer:
            for chunk in chunks:
                writer.write(chunk)
            return writer.finish()

    def _keep(self, temporary: Path, sha: str) -> None:
        path = self._path(sha)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._exclusive():
            if not _make_young(path):
                temporary.replace(path)

    def _incoming(self) -> Path:
        return self._directory / "incoming"

    def _path(self, sha: str) -> Path:
        if not _SHA.fullmatch(sha):
            raise EngineError("Context.Corrupt", f"{sha!r} is not a sha256", status=500)
        return self._directory / sha[:2] / sha


class BlobWriter:
    """A content that is being written, in a file of its own. Leaving the block gives it up.

    `keep` gets the file once it is complete and on the disk, and its hash.
    """

    def __init__(self, path: Path, keep: Callable[[Path, str], None], limit: int | None) -> None:
        self._path, self._keep, self._limit = path, keep, limit
        self._digest = hashlib.sha256()
        self._size = 0
        self._file = path.open("xb")

    def write(self, data: bytes) -> int:
        """Add to the content.

        Raises:
            EngineError: It would have more bytes than there is room for.
        """
        check_room(self._size + len(data), self._limit)
        self._digest.update(data)
        self._size += self._file.write(data)
        return len(data)

    def take(self, file: int) -> None:
        """Make the content what a file holds at this moment, or while it is copied.

        Raises:
            EngineError: It has more bytes than there is room for, or is no plain file.
        """
        if not clone(self._file.fileno(), file):
            self._copy(file)
            return
        self._size = os.fstat(self._file.fileno()).st_size
        check_room(self._size, self._limit)
        with self._path.open("rb") as own:
            while chunk := own.read(_CHUNK):
                self._digest.update(chunk)

    def _copy(self, file: int) -> None:
        found, own = os.fstat(file), os.fstat(self._file.fileno())
        # What can be read from others depends on who reads them, as with those of /proc.
        if not stat.S_ISREG(found.st_mode) or found.st_dev != own.st_dev:
            raise EngineError("Context.SyncFailed", "that is no file of the session", status=502)
        check_room(found.st_size, self._limit)
        while self._size < found.st_size:
            chunk = os.pread(file, min(_CHUNK, found.st_size - self._size), self._size)
            if not chunk:
                return
            self.write(chunk)

    def flush(self) -> None:
        """Nothing: `finish` writes what is left."""

    def finish(self) -> tuple[str, int]:
        """Keep the content; return its hash and size."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        sha = self._digest.hexdigest()
        self._keep(self._path, sha)
        return sha, self._size

    def close(self) -> None:
        """Leave no file behind that is not kept."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def sync_directory(directory: Path) -> None:
    """Write a directory's names to the disk."""
    if os.name == "nt":
        return  # Windows has no such call: names are journalled there.
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _make_young(path: Path) -> bool:
    """Keep a content from the next sweeps; tell whether it is there."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _remove_if_old(path: Path, minimum_age: float) -> bool:
    try:
        if time.time() - path.stat().st_mtime < minimum_age:
            return False
        path.unlink()
    except FileNotFoundError:
        return False
    return True
