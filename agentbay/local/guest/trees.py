"""Whole trees of files, to and from the engine."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import stat

from . import cloning, file_arguments
from .failure import Failure
from .selection import Selection
from .tarstream import (
    CHUNK,
    DIRECTORY,
    END,
    FAILURE,
    FILE,
    SYMLINK,
    Member,
    Reader,
    TarError,
    encode,
    is_tree_path,
    padding,
)

# Type checkers take this name for true; importing `typing` would slow every session's start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from typing import Any, BinaryIO

_MOST_TIME = 2**63 - 1


# --- pack ----------------------------------------------------------------------------------


def pack(arguments: dict[str, Any], connection: socket.socket) -> None:
    """Send the tree at `path`: a reply line, then a tar stream.

    A path that does not exist is an empty tree, told by `exists`. What large files on the device
    `beside` hold is handed over beside the stream. What the session sees of the machine below
    `path`, such as the interpreter of the engine, is no part of the tree.
    """
    path = file_arguments.path(arguments)
    selection = _selection(arguments)
    exists = _is_directory(path)
    with connection.makefile("wb") as stream:
        out = _Out(stream, connection, arguments.get("beside"))
        out.write(_line({"result": {"exists": exists}, "size": None}))
        if exists:
            _pack_tree(out, path, selection)
        out.write(END)


class _Out:
    """Where a tree is sent to. Large files on `device` go beside the stream."""

    def __init__(self, stream: BinaryIO, connection: socket.socket, device: int | None) -> None:
        self._stream, self._connection, self._device = stream, connection, device
        self.write = stream.write

    def hand_over(self, member: Member, file: int) -> bool:
        """Send a file beside the stream; False when its content has to be sent instead."""
        if member.size < cloning.LARGE or os.fstat(file).st_dev != self._device:
            return False
        member.beside = file
        self._stream.flush()
        try:
            cloning.send(self._connection, encode(member), file)
        except OSError as exc:
            if exc.errno != errno.ETOOMANYREFS:
                raise
            member.beside = None
            return False
        return True


def _selection(arguments: dict[str, Any]) -> Selection:
    include = arguments.get("include")
    return Selection(
        None if include is None else file_arguments.texts(arguments, "include"),
        file_arguments.texts(arguments, "exclude"),
        include_patterns=file_arguments.texts(arguments, "include_patterns"),
        exclude_patterns=file_arguments.texts(arguments, "exclude_patterns"),
        below=arguments.get("below") or "",
    )


def _is_directory(path: str) -> bool:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return False
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    return True


def _pack_tree(out: _Out, root: str, selection: Selection) -> None:
    waiting, machine = [""], _seen_of_the_machine(os.path.realpath(root) + "/")
    while waiting:
        directory = waiting.pop()
        for name, found in _listing(out, root, directory):
            path = f"{directory}/{name}" if directory else name
            if path in machine:
                continue
            if selection.covers(path):
                if not is_tree_path(path):
                    _report(out, path, OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG)))
                    continue
                _pack_one(out, os.path.join(root, path), path, found)
            if stat.S_ISDIR(found.st_mode) and selection.leads_to(path):
                waiting.append(path)


def _seen_of_the_machine(root: str) -> set[str]:
    """The paths below `root` at which something is mounted that cannot be written."""
    rows: list[list[str]] = []
    with (
        contextlib.suppress(FileNotFoundError),  # not Linux: nothing of it is mounted
        open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts,
    ):
        rows = [line.split(" ", 6) for line in mounts]
    places = {
        place.replace("\\040", " ")
        for _, _, _, _, place, options, _ in rows
        if "ro" in options.split(",")
    }
    return {place.removeprefix(root) for place in places if place.startswith(root)}


def _listing(out: _Out, root: str, directory: str) -> Iterator[tuple[str, os.stat_result]]:
    try:
        with os.scandir(os.path.join(root, directory)) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as exc:
        _report(out, directory, exc)
        return
    for entry in entries:
        try:
            yield entry.name, entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        except OSError as exc:
            _report(out, f"{directory}/{entry.name}" if directory else entry.name, exc)


def _pack_one(out: _Out, full: str, path: str, found: os.stat_result) -> None:
    """Send one entry of a directory; one that is gone by now is as good as never seen."""
    try:
        if stat.S_ISDIR(found.st_mode):
            out.write(encode(_member(path, DIRECTORY, found)))
        elif stat.S_ISLNK(found.st_mode):
            out.write(encode(_member(path, SYMLINK, found, target=os.readlink(full))))
        elif stat.S_ISREG(found.st_mode):
            # Another process may have put a FIFO or a link there since: wait for neither.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with open(os.open(full, flags), "rb", buffering=0) as file:
                _pack_file(out, file, path)
    except FileNotFoundError:
        return
    except ConnectionError:
        raise
    except OSError as exc:
        _report(out, path, exc)


def _pack_file(out: _Out, file: Any, path: str) -> None:
    """Send as many bytes as were announced, whatever happens to the file meanwhile."""
    before = os.fstat(file.fileno())
    if not stat.S_ISREG(before.st_mode):
        return
    member = _member(path, FILE, before)
    if out.hand_over(member, file.fileno()):
        return
    out.write(encode(member))
    left = before.st_size
    reason = ""
    while left:
        try:
            chunk = file.read(min(left, CHUNK))
        except OSError as exc:
            chunk, reason = b"", exc.strerror or str(exc)
        if not chunk:
            break
        out.write(chunk)
        left -= len(chunk)
    while left:
        zeros = bytes(min(left, CHUNK))
        out.write(zeros)
        left -= len(zeros)
    out.write(padding(before.st_size))
    after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        reason = reason or "changed while it was read"
    if reason:
        out.write(encode(Member(path, FAILURE, target=reason)))


def _member(path: str, kind: str, found: os.stat_result, target: str = "") -> Member:
    return Member(
        path,
        kind,
        mode=stat.S_IMODE(found.st_mode) & 0o777,
        # File systems keep times that 64 bits of nanoseconds cannot.
        mtime_ns=max(-_MOST_TIME, min(found.st_mtime_ns, _MOST_TIME)),
        size=found.st_size if kind == FILE else 0,
        target=target,
    )


def _report(out: _Out, path: str, error: OSError) -> None:
    out.write(encode(Member(path, FAILURE, target=error.strerror or str(error))))


# --- unpack --------------------------------------------------------------------------------


def unpack(arguments: dict[str, Any], connection: socket.socket) -> None:
    """Write the tree that a tar stream describes under `path`, then reply with one line."""
    path = file_arguments.path(arguments)
    incoming = cloning.Incoming(connection)
    with io.BufferedReader(incoming, CHUNK) as stream:
        try:
            files = _unpack_tree(Reader(stream, incoming.take), path)
        except TarError as exc:
            raise Failure(str(exc)) from exc
    connection.sendall(_line({"result": {"files": files}, "size": 0}))


def _unpack_tree(reader: Reader, root: str) -> int:
    tree = _Tree(root)
    files = 0
    for member in reader:
        if member.kind == DIRECTORY:
            tree.add_directory(member)
        elif member.kind == SYMLINK:
            tree.add_symlink(member)
        elif member.kind == FILE:
            tree.add_file(member, reader.chunks())
            files += 1
    tree.finish()
    return files


class _Tree:
    """A directory that members are written into."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._temporary = ".agentbay-" + os.urandom(8).hex()
        self._made = {""}
        self._directories: list[Member] = []
        if os.path.lexists(root):
            if not _is_directory(root):
                raise FileNotFoundError(errno.ENOENT, "dangling symlink", root)
        else:
            os.makedirs(root)

    def add_directory(self, member: Member) -> None:
        self._make_directories(member.name)
        # Its own mode may forbid what is to come: `finish` sets it.
        os.chmod(self._full(member.name), member.mode | 0o700)
        self._directories.append(member)

    def add_symlink(self, member: Member) -> None:
        def make(path: str) -> None:
            os.symlink(member.target, path)
            os.utime(path, ns=(member.mtime_ns, member.mtime_ns), follow_symlinks=False)

        self._put(member.name, make)

    def add_file(self, member: Member, chunks: Iterator[bytes]) -> None:
        def make(path: str) -> None:
            with open(path, "xb") as file:
                for chunk in chunks:
                    file.write(chunk)
                file.flush()
                if member.beside is not None and not cloning.clone(file.fileno(), member.beside):
                    cloning.copy(file.fileno(), member.beside)
                os.fchmod(file.fileno(), member.mode)
                os.utime(file.fileno(), ns=(member.mtime_ns, member.mtime_ns))

        self._put(member.name, make)

    def finish(self) -> None:
        """Set modes and times of directories, once nothing more is written into them."""
        for member in reversed(self._directories):
            os.utime(self._full(member.name), ns=(member.mtime_ns, member.mtime_ns))
            os.chmod(self._full(member.name), member.mode)

    def _put(self, name: str, make: Callable[[str], None]) -> None:
        parent = name.rpartition("/")[0]
        self._make_directories(parent)
        temporary = os.path.join(self._full(parent), self._temporary)
        try:
            make(temporary)
            _move(temporary, self._full(name))
        except BaseException:  # nothing half-made stays, whatever stopped it
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise

    def _make_directories(self, name: str) -> None:
        if name in self._made:
            return
        parts = name.split("/")
        for depth in range(1, len(parts) + 1):
            self._make_directory("/".join(parts[:depth]))

    def _make_directory(self, name: str) -> None:
        if name in self._made:
            return
        full = self._full(name)
        # What the tree has as a directory must be one, not a link to somewhere else.
        if os.path.lexists(full) and not stat.S_ISDIR(os.lstat(full).st_mode):
            os.unlink(full)
        with contextlib.suppress(FileExistsError):
            os.mkdir(full)
        self._made.add(name)

    def _full(self, name: str) -> str:
        return os.path.join(self._root, name)


def _move(temporary: str, path: str) -> None:
    try:
        os.replace(temporary, path)
    except IsADirectoryError:
        # A directory that holds something is not ours to throw away: this fails then.
        os.rmdir(path)
        os.replace(temporary, path)


def _line(reply: dict[str, Any]) -> bytes:
    return json.dumps(reply).encode() + b"\n"


STREAMING = {"pack": pack, "unpack": unpack}
