"""Moving trees between a session and the context store.

The functions block. They run on the socket of a guest operation whose request was sent:
`upload` on "pack", `download` on "unpack". What the guest sends is not trusted.
"""

from __future__ import annotations

import contextlib
import io
import socket
from collections.abc import Container, Iterable, Mapping
from pathlib import Path

from ..guest.cloning import Incoming
from ..guest.selection import Selection
from ..guest.tarstream import CHUNK, END, Reader, TarError
from .archives import Archiver
from .entries import ARCHIVE, parents
from .receiving import Received
from .sending import Sending, Unpack
from .store import Store
from .tree_replies import Summary, read_reply, refused

__all__ = ["Summary", "Unpack", "download", "shared_device", "upload"]


def upload(
    connection: socket.socket,
    store: Store,
    context_id: str,
    *,
    delete_missing: bool,
    known: Container[str] | None = None,
    selection: Selection | None = None,
    archive_roots: Iterable[str] | None = None,
    unarchived: Iterable[str] = (),
    beside: bool = False,
) -> Summary:
    """Bring a context up to date with what "pack" sends, in one commit.

    Args:
        connection: The socket of the operation.
        store: Where the context is.
        context_id: The context.
        delete_missing: Whether a file that the session does not have leaves the context.
        known: Only these paths can leave it: those that the session had. What another
            session brought in meanwhile stays. None stands for all paths.
        selection: What the guest was asked for; the rest of the context stays as it is.
        archive_roots: Paths that are kept as one archive each. A context that has archives
            goes on with them.
        unarchived: Paths that are in no archive.
        beside: Whether the guest was asked to hand over large files beside the stream.

    Raises:
        ToolFailure: The guest could not do it: nothing is changed.
        EngineError: The guest sent no proper tree, there is no room for it, or the context is
            gone: nothing is changed.
    """
    stored = [entry for entry in store.list_entries(context_id) if entry.origin == ARCHIVE]
    if archive_roots is None and stored:
        archive_roots = [""]
    room = store.room(context_id)
    received = Received(
        store,
        selection or Selection(),
        room,
        None if archive_roots is None else Archiver(store, archive_roots, unarchived, room),
    )

    def keep(path: str) -> bool:
        unknown = not delete_missing or (known is not None and path not in known)
        return unknown or not received.selection.covers(path) or _is_in(path, received.failures)

    try:
        incoming = Incoming(connection)
        with io.BufferedReader(incoming, CHUNK) as stream:
            exists = read_reply(stream).get("exists") is True
            try:
                received.read(Reader(stream, incoming.take if beside else None))
            except TarError as exc:
                raise refused(str(exc)) from exc
        if exists:
            entries = received.finish(stored, keep)
            store.commit(context_id, entries, delete_missing=delete_missing, keep=keep)
        return received.summary(exists=exists)
    finally:
        received.close()


def shared_device(store: Store, context_id: str, directory: Path) -> int | None:
    """The device of files whose blocks a context can share; None when it can share none.

    Args:
        store: Where the context is.
        context_id: The context. What it keeps in archives is not shared with anything.
        directory: Where the files of the session are.
    """
    if any(entry.origin == ARCHIVE for entry in store.list_entries(context_id)):
        return None
    return directory.stat().st_dev if store.can_share_with(directory) else None


def download(
    connection: socket.socket,
    store: Store,
    context_id: str,
    *,
    selection: Selection | None = None,
    unpack: Unpack | None = None,
) -> Summary:
    """Send a context to "unpack", and wait until it is written.

    Args:
        connection: The socket of the operation.
        store: Where the context is.
        context_id: The context.
        selection: Which paths of it; all by default.
        unpack: What happens to archives that somebody put there; nothing by default.

    Raises:
        ToolFailure: The guest could not write it.
        EngineError: The context is gone, or a content of it is.
    """
    sending = Sending(store, selection or Selection())
    try:
        entries = [
            entry
            for entry in store.list_entries(context_id)
            if entry.origin == ARCHIVE or sending.selection.covers(entry.path)
        ]
        if unpack is not None:
            entries = sending.unpack(entries, unpack, store.room(context_id))
    except BaseException:  # whatever stopped it
        # The guest waits for a stream: it is to end, and not to be taken for a complete one.
        connection.shutdown(socket.SHUT_RDWR)
        raise
    # A guest that has closed its side has said why: the reply tells.
    with contextlib.suppress(ConnectionError):
        with connection.makefile("wb") as stream:
            sending.send(stream, entries, connection)
            stream.write(END)
        connection.shutdown(socket.SHUT_WR)
    with connection.makefile("rb") as stream:
        read_reply(stream)
    return sending.summary()


def _is_in(path: str, failures: Mapping[str, str]) -> bool:
    """Tell whether a path, or a directory it is in, could not be read."""
    return "" in failures or path in failures or any(parent in failures for parent in parents(path))
