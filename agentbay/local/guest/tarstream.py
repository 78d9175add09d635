"""Trees on a stream: the strict subset of PAX tar that engine and guest exchange.

Engine and guest both import this module, so it depends on nothing. It is not `tarfile`, which
loses nanoseconds, reads a header of any size into memory, and takes a stream that was cut
between two members for a complete one.

A stream holds regular files, directories and symlinks. A path that could not be read is told
by a global header with the records AGENTBAY.path and AGENTBAY.failure; it may come after the
member of that name, whose content is then not to be trusted. The content of a file with the
record AGENTBAY.beside is not in the stream: a descriptor of it comes beside its header.
"""

from __future__ import annotations

import os
import struct

# Type checkers take this name for true; importing `typing` would slow every session's start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

FILE = "file"
DIRECTORY = "directory"
SYMLINK = "symlink"
FAILURE = "failure"

CHUNK = 256 * 1024
BLOCK = 512
END = bytes(2 * BLOCK)
_ZEROS = bytes(BLOCK)

_TYPES = {FILE: b"0", DIRECTORY: b"5", SYMLINK: b"2"}
_KINDS = {type_flag: kind for kind, type_flag in _TYPES.items()}
# name mode uid gid size mtime checksum type linkname magic owner group device prefix
_LAYOUT = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s16s155s12x")
_MOST_OCTAL = 8**11 - 1
_MOST_INTEGER = 2**63 - 1
_MOST_RECORDS = 64 * 1024
_LONGEST_NAME = 255
_LONGEST_PATH = 4000


class TarError(Exception):
    """The stream is cut, malformed, or holds something that has no place in a tree."""


class Member:
    """One file, directory or symlink of a tree, or one path that could not be read.

    `target` is where a symlink points to, or the reason of a failure. `beside` is a descriptor
    of the content, when that is not in the stream; it is the reader's to close.
    """

    __slots__ = ("beside", "kind", "mode", "mtime_ns", "name", "size", "target")

    def __init__(
        self,
        name: str,
        kind: str,
        *,
        mode: int = 0,
        mtime_ns: int = 0,
        size: int = 0,
        target: str = "",
        beside: int | None = None,
    ) -> None:
        self.name: str = name
        self.kind: str = kind
        self.mode: int = mode
        self.mtime_ns: int = mtime_ns
        self.size: int = size
        self.target: str = target
        self.beside: int | None = beside


def is_tree_path(path: str) -> bool:
    """Tell whether a path stays inside its tree and can exist on a file system."""
    try:
        raw = encode_text(path)
    except UnicodeEncodeError:
        return False
    if len(raw) > _LONGEST_PATH or b"\0" in raw:
        return False
    return all(
        part not in (b"", b".", b"..") and len(part) <= _LONGEST_NAME for part in raw.split(b"/")
    )


def encode_text(text: str) -> bytes:
    """Turn a path into the bytes that the file system knows."""
    return text.encode("utf-8", "surrogateescape")


def decode_text(raw: bytes) -> str:
    """Turn the bytes of a path into text, whatever they are."""
    return raw.decode("utf-8", "surrogateescape")


# --- writing -------------------------------------------------------------------------------


def encode(member: Member) -> bytes:
    """Make the blocks that announce a member. The content follows, then `padding(size)`.

    Nothing follows when the content is beside the stream.
    """
    if member.kind == FAILURE:
        return _extension(b"g", {"AGENTBAY.path": member.name, "AGENTBAY.failure": member.target})
    records = {"path": member.name, "mtime": _decimal(member.mtime_ns)}
    if member.target:
        records["linkpath"] = member.target
    if member.beside is not None:
        records["AGENTBAY.beside"] = "1"
    if member.size > _MOST_OCTAL:
        records["size"] = str(member.size)
    return _extension(b"x", records) + _header(member, _TYPES[member.kind])


def padding(size: int) -> bytes:
    """Make the zeros between content of this size and the next block."""
    return bytes(-size % BLOCK)


def _extension(type_flag: bytes, records: dict[str, str]) -> bytes:
    data = b"".join(_record(key, encode_text(value)) for key, value in records.items())
    header = _header(Member("PaxHeaders", FILE, mode=0o644, size=len(data)), type_flag)
    return header + data + padding(len(data))


def _record(key: str, value: bytes) -> bytes:
    body = b" " + key.encode() + b"=" + value + b"\n"
    # The length counts its own digits, and may gain one by doing so.
    length = len(body) + len(str(len(body)))
    length = len(body) + len(str(length))
    return str(length).encode() + body


def _header(member: Member, type_flag: bytes) -> bytes:
    def pack(checksum: bytes) -> bytes:
        return _LAYOUT.pack(
            encode_text(member.name)[:100],
            b"%07o" % (member.mode & 0o777),
            b"%07o" % 0,
            b"%07o" % 0,
            b"%011o" % (member.size if member.size <= _MOST_OCTAL else 0),
            b"%011o" % max(0, min(member.mtime_ns // 10**9, _MOST_OCTAL)),
            checksum,
            type_flag,
            encode_text(member.target)[:100],
            b"ustar\00000",
            b"",
            b"",
            b"",
            b"",
        )

    return pack(b"%06o\0 " % sum(pack(b" " * 8)))


def _decimal(nanoseconds: int) -> str:
    seconds, rest = divmod(abs(nanoseconds), 10**9)
    return f"{'-' if nanoseconds < 0 else ''}{seconds}.{rest:09d}"


# --- reading -------------------------------------------------------------------------------


class Reader:
    """The members of a stream, in order; a stream that says anything odd is refused.

    Iterate over it, and take the content of a file with `chunks` before the next step;
    content that nobody takes is skipped. The stream is read to its end marker.

    `take` gives the next descriptor that came beside the stream. Without it, none may come.
    """

    def __init__(self, stream: BinaryIO, take: Callable[[], int | None] | None = None) -> None:
        self._stream = stream
        self._take = take
        self._beside: int | None = None
        self._left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[Member]:
        try:
            while (member := self._next()) is not None:
                yield member
        finally:
            self._forget()

    def chunks(self) -> Iterator[bytes]:
        """Yield the content of the file that was announced last."""
        while self._left:
            chunk = self._exactly(min(self._left, CHUNK))
            self._left -= len(chunk)
            yield chunk
        self._exactly(self._padding)
        self._padding = 0

    def _next(self) -> Member | None:
        for _ in self.chunks():
            pass
        self._forget()
        block = self._exactly(BLOCK)
        records: dict[str, bytes] = {}
        if block[156:157] in (b"x", b"g"):
            is_failure = block[156:157] == b"g"
            records = self._records(block)
            if is_failure:
                return _failure(records)
            block = self._exactly(BLOCK)
        if block == _ZEROS:
            if records or self._exactly(BLOCK) != _ZEROS:
                raise TarError("data after the end marker")
            return None
        member = _member(_fields(block), records)
        if "AGENTBAY.beside" in records:
            self._beside = member.beside = self._taken(member)
        else:
            self._left, self._padding = member.size, -member.size % BLOCK
        return member

    def _taken(self, member: Member) -> int:
        found = self._take() if self._take is not None and member.kind == FILE else None
        if found is None:
            raise TarError(f"the content of {member.name!r} is not beside the stream")
        return found

    def _forget(self) -> None:
        """Close what came beside the stream last."""
        if self._beside is not None:
            os.close(self._beside)
            self._beside = None

    def _records(self, block: bytes) -> dict[str, bytes]:
        size = _octal(_fields(block)[4])
        if size > _MOST_RECORDS:
            raise TarError(f"an extended header of {size} bytes")
        data = self._exactly(size)
        self._exactly(-size % BLOCK)
        return _parse_records(data)

    def _exactly(self, size: int) -> bytes:
        data = self._stream.read(size) if size else b""
        if len(data) < size:
            raise TarError("the stream ends too early")
        return data


def _fields(block: bytes) -> tuple[bytes, ...]:
    fields: tuple[bytes, ...] = _LAYOUT.unpack(block)
    if _octal(fields[6]) != sum(block) - sum(fields[6]) + 8 * ord(" "):
        raise TarError("a header with a wrong checksum")
    return fields


def _member(fields: tuple[bytes, ...], records: dict[str, bytes]) -> Member:
    name = decode_text(records.get("path") or _plain_name(fields)).removesuffix("/")
    kind = _KINDS.get(fields[7])
    if kind is None:
        raise TarError(f"{name!r} is of type {fields[7]!r}: not a file, directory or symlink")
    if not is_tree_path(name):
        raise TarError(f"{name!r} is not a path inside the tree")
    size = _integer(records["size"]) if "size" in records else _octal(fields[4])
    if not 0 <= size <= _MOST_INTEGER or (size and kind != FILE):
        raise TarError(f"{name!r} has an impossible size")
    target = records.get("linkpath") or _text(fields[8]) if kind == SYMLINK else b""
    if (kind == SYMLINK and not target) or b"\0" in target or len(target) > _LONGEST_PATH:
        raise TarError(f"{name!r} has an impossible target")
    return Member(
        name,
        kind,
        mode=_octal(fields[1]) & 0o777,
        mtime_ns=_mtime(records["mtime"]) if "mtime" in records else _octal(fields[5]) * 10**9,
        size=size,
        target=decode_text(target),
    )


def _failure(records: dict[str, bytes]) -> Member:
    path, reason = records.get("AGENTBAY.path"), records.get("AGENTBAY.failure")
    if path is None or reason is None:
        raise TarError("a global header that is not about a failure")
    return Member(decode_text(path), FAILURE, target=decode_text(reason))


def _parse_records(data: bytes) -> dict[str, bytes]:
    records: dict[str, bytes] = {}
    start = 0
    while start < len(data):
        space = data.find(b" ", start, start + 8)
        end = start + _integer(data[start : max(space, start)])
        record = data[space + 1 : end]
        key, equals, value = record[:-1].partition(b"=")
        if end > len(data) or not equals or not record.endswith(b"\n"):
            raise TarError("a malformed extended header")
        records[decode_text(key)] = value
        start = end
    return records


def _plain_name(fields: tuple[bytes, ...]) -> bytes:
    prefix, name = _text(fields[13]), _text(fields[0])
    return prefix + b"/" + name if prefix else name


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    if digits.strip(b"01234567"):
        raise TarError("a number that is not octal")
    return int(digits or b"0", 8)


def _integer(text: bytes) -> int:
    if not text.removeprefix(b"-").isdigit() or len(text) > 20:
        raise TarError("a malformed number")
    return int(text)


def _mtime(text: bytes) -> int:
    whole, _, fraction = text.partition(b".")
    nanoseconds = _integer(whole + fraction[:9].ljust(9, b"0")) if len(whole) <= 11 else 2**63
    if abs(nanoseconds) > _MOST_INTEGER:
        raise TarError("an impossible time")
    return nanoseconds
