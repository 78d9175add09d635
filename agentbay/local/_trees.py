"""Moving trees between a session and the context store.

The functions block. They run on the socket of a guest operation whose request was sent:
`upload` on "pack", `download` on "unpack". What the guest sends is not trusted.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Container, Iterable, Sequence
from typing import Any, BinaryIO, Literal, cast

import attrs

from ._entries import Entry, parents
from ._errors import EngineError, ToolFailure
from ._store import Store
from .guest.selection import Selection
from .guest.tarstream import CHUNK, END, FAILURE, FILE, Member, Reader, TarError, encode, padding

_LONGEST_REPLY = 1024 * 1024
_MOST_ENTRIES = 1_000_000


@attrs.frozen
class Summary:
    """What a transfer did.

    Attributes:
        exists: Whether the tree was there; if not, an upload changes nothing.
        files: How many files were moved.
        size: Their bytes.
        failures: Paths that could not be read in the session, and why. The context keeps
            what it had under them.
        paths: Every path that both sides have now.
    """

    exists: bool = True
    files: int = 0
    size: int = 0
    failures: dict[str, str] = attrs.field(factory=dict[str, str])
    paths: frozenset[str] = attrs.field(default=frozenset(), eq=False, repr=False)


def upload(
    connection: socket.socket,
    store: Store,
    context_id: str,
    *,
    delete_missing: bool,
    known: Container[str] | None = None,
    include: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
) -> Summary:
    """Bring a context up to date with what "pack" sends, in one commit.

    Args:
        connection: The socket of the operation.
        store: Where the context is.
        context_id: The context.
        delete_missing: Whether a file that the session does not have leaves the context.
        known: Only these paths can leave it: those that the session had. What another
            session brought in meanwhile stays. None stands for all paths.
        include: What the guest was asked for; the rest of the context stays as it is.
        exclude: What the guest was asked to leave out.

    Raises:
        ToolFailure: The guest could not do it: nothing is changed.
        EngineError: The guest sent no proper tree, or the context is gone: nothing is changed.
    """
    selection = Selection(include, exclude)
    with connection.makefile("rb") as stream:
        exists = _reply(stream).get("exists") is True
        try:
            entries, failures = _receive(Reader(stream), store, selection)
        except TarError as exc:
            raise _refused(str(exc)) from exc

    def keep(path: str) -> bool:
        unknown = known is not None and path not in known
        return unknown or not selection.covers(path) or _is_in(path, failures)

    if exists:
        store.commit(context_id, entries, delete_missing=delete_missing, keep=keep)
    return _summary(entries, exists=exists, failures=failures)


def download(connection: socket.socket, store: Store, context_id: str) -> Summary:
    """Send a context to "unpack", and wait until it is written.

    Raises:
        ToolFailure: The guest could not write it.
        EngineError: The context is gone, or a content of it is.
    """
    entries = store.list_entries(context_id)
    # A guest that has closed its side has said why: the reply tells.
    with contextlib.suppress(ConnectionError):
        with connection.makefile("wb") as stream:
            for entry in entries:
                _send(stream, store, entry)
            stream.write(END)
        connection.shutdown(socket.SHUT_WR)
    with connection.makefile("rb") as stream:
        _reply(stream)
    return _summary(entries)


def _receive(
    reader: Reader, store: Store, selection: Selection
) -> tuple[list[Entry], dict[str, str]]:
    entries: dict[str, Entry] = {}
    failures: dict[str, str] = {}
    for member in reader:
        if len(entries) + len(failures) > _MOST_ENTRIES:
            raise TarError(f"more than {_MOST_ENTRIES} entries")
        if member.kind == FAILURE:
            failures[member.name] = member.target
        elif member.name in entries:
            raise TarError(f"{member.name!r} is there twice")
        elif not selection.covers(member.name):
            raise TarError(f"{member.name!r} was not asked for")
        else:
            entries[member.name] = _stored(member, reader, store)
    for path in failures:
        # What came before its failure is not what the file holds.
        entries.pop(path, None)
    return list(entries.values()), failures


def _stored(member: Member, reader: Reader, store: Store) -> Entry:
    blob, size = store.add_blob(reader.chunks()) if member.kind == FILE else (None, 0)
    return Entry(
        member.name,
        cast('Literal["file", "directory", "symlink"]', member.kind),
        member.mode,
        member.mtime_ns,
        size,
        blob,
        member.target or None,
    )


def _send(stream: BinaryIO, store: Store, entry: Entry) -> None:
    stream.write(
        encode(
            Member(
                entry.path,
                entry.kind,
                mode=entry.mode,
                mtime_ns=entry.mtime_ns,
                size=entry.size,
                target=entry.target or "",
            )
        )
    )
    if entry.blob is None:
        return
    left = entry.size
    with store.open_blob(entry.blob) as blob:
        while chunk := blob.read(min(left, CHUNK)):
            stream.write(chunk)
            left -= len(chunk)
    if left:
        raise EngineError(
            "Context.Corrupt", f"the content of {entry.path!r} is cut short", status=500
        )
    stream.write(padding(entry.size))


def _reply(stream: BinaryIO) -> dict[str, Any]:
    line = b""
    # A guest that ends without reading all it was sent resets the connection.
    with contextlib.suppress(ConnectionError):
        line = stream.readline(_LONGEST_REPLY)
    if not line.endswith(b"\n"):
        raise _refused("it ended before it replied")
    try:
        reply: Any = json.loads(line)
    except ValueError as exc:
        raise _refused("its reply is not JSON") from exc
    match reply:
        case {"result": dict()}:
            return cast("dict[str, Any]", reply["result"])
        case {"error": {"message": str(message), "number": int(number)}}:
            raise ToolFailure(message, number=number)
        case _:
            raise _refused("its reply makes no sense")


def _is_in(path: str, failures: dict[str, str]) -> bool:
    """Tell whether a path, or a directory it is in, could not be read."""
    return "" in failures or path in failures or any(parent in failures for parent in parents(path))


def _summary(
    entries: Iterable[Entry], *, exists: bool = True, failures: dict[str, str] | None = None
) -> Summary:
    entries = list(entries)
    sizes = [entry.size for entry in entries if entry.kind == FILE]
    paths = frozenset(entry.path for entry in entries)
    return Summary(exists, len(sizes), sum(sizes), failures or {}, paths)


def _refused(reason: str) -> EngineError:
    return EngineError(
        "Context.SyncFailed", f"the session sent no proper tree: {reason}", status=502
    )
