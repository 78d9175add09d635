"""Addresses of single files of contexts, which hold the right to read or to write that file.

An address is good for one method, one file and a limited time; a keyed hash vouches for all
three. Whoever has it needs no API key, so it is a secret.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
import sqlite3
import time
from base64 import b64encode
from collections.abc import Callable
from email.utils import formatdate
from typing import BinaryIO, Literal, ParamSpec, TypeVar
from urllib.parse import parse_qs, quote, unquote

import anyio
import attrs
import h11

from ._errors import EngineError
from ._link_exchange import Client, RefusedError
from ._link_headers import Headers
from ._storage.blobs import BlobWriter
from ._storage.entries import Entry
from ._storage.store import Store
from ._threads import in_thread
from .guest.tarstream import CHUNK, FILE

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger(__name__)

Method = Literal["GET", "PUT"]

PREFIX = "context_files"

# Seconds for which an address works.
_VALIDITY = 3600
# Seconds in which something has to arrive of a body that is being sent.
_STALL_TIME = 300.0

_PATH = re.compile(r"/context_files/(?P<context>[A-Za-z0-9-]+)/(?P<path>[^?]+)\?(?P<query>.*)")
_RANGE = re.compile(r"bytes=(?P<first>\d{0,18})-(?P<last>\d{0,18})")


@attrs.frozen
class _Object:
    """One file of a context, which may not exist."""

    context_id: str
    path: str


class FileLinks:
    """Makes addresses of files, and serves what they lead to.

    The addresses end with the engine: so does the key.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._key = secrets.token_bytes(32)

    def sign(self, method: Method, context_id: str, path: str) -> tuple[str, int]:
        """Return the address of a file, from its "/" on, and until when it works.

        The time is in seconds since 1970.
        """
        expires = int(time.time()) + _VALIDITY
        signature = self._signature(method, _Object(context_id, path), str(expires))
        query = f"Method={method}&Expires={expires}&Signature={signature}"
        return f"/{PREFIX}/{context_id}/{quote(path, safe='/')}?{query}", expires

    async def serve(self, client: Client, request: h11.Request) -> None:
        """Answer a request to an address.

        Raises:
            RefusedError: The address is not good, or what it leads to is not there.
        """
        wanted, method = self._verified(request)
        try:
            if method == "PUT":
                await self._receive(client, request, wanted)
            else:
                await self._send(client, request, wanted)
        except EngineError as exc:
            raise RefusedError(exc.status, f"{exc}\n") from exc
        except sqlite3.Error as exc:
            _log.warning("the context store failed: %s", exc)
            raise RefusedError(500, "the context store failed\n") from exc

    def _verified(self, request: h11.Request) -> tuple[_Object, Method]:
        target = _PATH.fullmatch(request.target.decode("latin-1"))
        query = parse_qs(target["query"]) if target else {}
        method = query.get("Method", [""])[0]
        expires, given = query.get("Expires", [""])[0], query.get("Signature", [""])[0]
        if target is None or method not in ("GET", "PUT") or not re.fullmatch(r"\d{1,12}", expires):
            raise RefusedError(403, "this is not an address of a file\n")
        wanted = _Object(target["context"], unquote(target["path"]))
        signature = self._signature(method, wanted, expires)
        if not hmac.compare_digest(signature.encode(), given.encode()):
            raise RefusedError(403, "this is not an address of a file\n")
        if int(expires) < time.time():
            raise RefusedError(403, "the address is not valid any more: ask for another one\n")
        allowed = (b"GET", b"HEAD") if method == "GET" else (b"PUT",)
        if request.method not in allowed:
            raise RefusedError(405, f"this address is for {method}\n")
        return wanted, "GET" if method == "GET" else "PUT"

    def _signature(self, method: str, wanted: _Object, expires: str) -> str:
        # The path comes last: nothing else can hold a line break.
        text = "\n".join((method, wanted.context_id, expires, wanted.path))
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    # --- writing ---------------------------------------------------------------------------

    async def _receive(self, client: Client, request: h11.Request, wanted: _Object) -> None:
        room = await in_thread(self._store.room, wanted.context_id)
        await _check_length(request, room)
        if client.http.they_are_waiting_for_100_continue:
            await client.send(h11.InformationalResponse(status_code=100, headers=[]))
        writer = await _on_disk(self._store.new_blob, room)
        try:
            await _write_body(client, writer)
            sha, size = await _on_disk(writer.finish)
            await _on_disk(self._store.put_file, wanted.context_id, wanted.path, sha, size)
        finally:
            with anyio.CancelScope(shield=True):
                await in_thread(writer.close)
        headers = [*_PLAIN, (b"ETag", _etag(sha)), (b"Content-Length", b"0")]
        await client.send(h11.Response(status_code=200, headers=headers), h11.EndOfMessage())

    # --- reading ---------------------------------------------------------------------------

    async def _send(self, client: Client, request: h11.Request, wanted: _Object) -> None:
        await _skip_body(client)
        entry = await in_thread(self._store.find_entry, wanted.context_id, wanted.path)
        if entry is None or entry.kind != FILE or entry.blob is None:
            raise RefusedError(404, "the context has no such file\n")
        asked = dict(request.headers)
        first, last = _range(asked, entry)
        blob = await in_thread(self._store.open_blob, entry.blob)
        try:
            await in_thread(blob.seek, first)
            await client.send(_head(entry, first, last))
            if request.method != b"HEAD":
                await _send_body(client, blob, last + 1 - first)
            await client.send(h11.EndOfMessage())
        finally:
            with anyio.CancelScope(shield=True):
                await in_thread(blob.close)


_PLAIN: Headers = [
    (b"Cache-Control", b"no-store"),
    (b"X-Content-Type-Options", b"nosniff"),
    # Links share this origin: a page that was stored here is not to run in it.
    (b"Content-Security-Policy", b"sandbox"),
]


async def _check_length(request: h11.Request, room: int | None) -> None:
    length = int(dict(request.headers).get(b"content-length", b"0"))
    if room is not None and length > room:
        raise RefusedError(413, f"contexts have room for {room} bytes here\n")


async def _write_body(client: Client, writer: BlobWriter) -> None:
    waiting = bytearray()
    while True:
        with anyio.fail_after(_STALL_TIME):
            event = await client.event()
        if isinstance(event, h11.Data):
            waiting += event.data
        # Each hop to a thread costs more than the writing of a few bytes.
        if len(waiting) >= CHUNK or isinstance(event, h11.EndOfMessage):
            await _on_disk(writer.write, bytes(waiting))
            waiting.clear()
        if isinstance(event, h11.EndOfMessage):
            return
        if not isinstance(event, h11.Data):
            raise RefusedError(400, "the body is not complete\n")


async def _on_disk(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Write in a thread; tells what the disk refuses from what the network does."""
    try:
        return await in_thread(work, *args, **kwargs)
    except OSError as exc:
        raise RefusedError(507, f"the file cannot be kept: {exc.strerror}\n") from exc


async def _skip_body(client: Client) -> None:
    """Read a request to its end, so that another one can follow."""
    with anyio.fail_after(_STALL_TIME):
        while isinstance(await client.event(), h11.Data):
            pass


async def _send_body(client: Client, blob: BinaryIO, left: int) -> None:
    while left:
        chunk = await in_thread(blob.read, min(left, CHUNK))
        if not chunk:
            raise OSError("the content is cut short")
        left -= len(chunk)
        await client.send(h11.Data(data=chunk))


def _range(asked: dict[bytes, bytes], entry: Entry) -> tuple[int, int]:
    """The first and the last byte that a request wants; all of them for what it cannot say."""
    match = _RANGE.fullmatch(asked.get(b"range", b"").decode("latin-1"))
    is_other = asked.get(b"if-range", _etag(entry.blob or "")) != _etag(entry.blob or "")
    if match is None or is_other or not (match["first"] or match["last"]):
        return 0, entry.size - 1
    if not match["first"]:
        first, last = max(0, entry.size - int(match["last"])), entry.size - 1
    else:
        first = int(match["first"])
        last = min(int(match["last"] or entry.size), entry.size - 1)
        if match["last"] and int(match["last"]) < first:
            return 0, entry.size - 1
    if first > last:
        raise RefusedError(416, f"the file has {entry.size} bytes\n")
    return first, last


def _head(entry: Entry, first: int, last: int) -> h11.Response:
    whole = last + 1 - first == entry.size
    headers = [
        *_PLAIN,
        (b"Content-Type", b"application/octet-stream"),
        (b"Content-Length", str(last + 1 - first).encode()),
        (b"Accept-Ranges", b"bytes"),
        (b"ETag", _etag(entry.blob or "")),
        # Of the whole file, also where a part of it is sent.
        (b"Repr-Digest", b"sha-256=:%b:" % b64encode(bytes.fromhex(entry.blob or ""))),
        (b"Last-Modified", formatdate(entry.changed, usegmt=True).encode()),
    ]
    if not whole:
        headers.append((b"Content-Range", f"bytes {first}-{last}/{entry.size}".encode()))
    return h11.Response(status_code=200 if whole else 206, headers=headers)


def _etag(sha: str) -> bytes:
    return f'"{sha}"'.encode()
