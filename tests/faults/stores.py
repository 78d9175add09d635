"""What the store of a session can do wrong with a file, and what is to come of it."""

from __future__ import annotations

import asyncio
import hashlib
import re

import attrs

from agentbay.errors import (
    AgentBayError,
    APIError,
    FileTransferError,
    RequestTimeoutError,
    TransportError,
)

from ..unit.pool_service import Talk, reply
from .cases import KEY, envelope
from .faulty import Scene, Trouble, always, reset, says, silence

# A file of a few pieces, and the credential in the address of its place in the store.
CONTENT = bytes(range(256)) * 1_200
SIGNATURE = "sig-88c1-secret-of-the-file"
PLACE = "bucket-3f77-secret/report.csv"
FAR = "/temp/file-transfer/report.csv"
SECRETS = (KEY, SIGNATURE, "bucket-3f77")


def tag_of(content: bytes) -> str:
    """The header in which a store tells the hash of a file."""
    return f'ETag: "{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


TAG = tag_of(CONTENT)
_OTHER_TAG = tag_of(b"another file")
_HALF = CONTENT[: len(CONTENT) // 2]
_HEAD = f"HTTP/1.1 200 OK\r\n{TAG}\r\nContent-Length: {len(CONTENT)}\r\n\r\n".encode()


@attrs.frozen
class StoreFault:
    """Something that goes wrong with a file on its way.

    Attributes:
        trouble: What the store does with a connection.
        error: The class of the error; None where the transfer is to succeed.
        again: Whether it may pass, so that the file is sent or asked for again.
        status: The HTTP status that the store told.
        requests: How many requests the store gets where it is not one for each attempt.
    """

    trouble: Trouble
    error: type[AgentBayError] | None
    again: bool = False
    status: int = 0
    requests: int = 1


# -- a store that does what it should ----------------------------------------------------


async def sound(talk: Talk, _: Scene) -> None:
    """Take files, and give them from where it is asked to."""
    while True:
        request = await talk.request()
        if request.startswith(b"PUT"):
            await talk.say(reply(b"", tag_of(request.partition(b"\r\n\r\n")[2])))
            continue
        asked = re.search(rb"\r\nrange: bytes=(\d+)-\r\n", request, re.IGNORECASE)
        if asked is None or TAG[6:].encode() not in request:
            await talk.say(_HEAD + CONTENT)
            continue
        first, size = int(asked[1]), len(CONTENT)
        told = f"Content-Range: bytes {first}-{size - 1}/{size}"
        await talk.say(reply(CONTENT[first:], TAG, told, status="206 Partial Content"))


class _PassedError(Exception):
    """The trouble is over."""


@attrs.define
class _Once(Talk):
    """A connection on which one request is read, and no other."""

    async def request(self) -> bytes:
        """Read the first request of all."""
        if self.service.heads:
            raise _PassedError
        return await super().request()


def first(trouble: Trouble) -> Trouble:
    """Have a trouble with the first request, and none with those that follow."""

    async def script(talk: Talk, scene: Scene) -> None:
        once = _Once(talk.reader, talk.writer, talk.number, talk.service)
        try:
            await (trouble(once, scene) if talk.number == 1 else sound(talk, scene))
        except _PassedError:
            await sound(talk, scene)

    return script


def control_plane(url: str) -> Trouble:
    """A service without faults, which keeps the file at some address."""
    store = {"ContextId": "ctx-1", "ContextPath": "/temp/file-transfer", "ContextType": ""}
    replies = {
        b"GetAndLoadInternalContext": [store],
        b"GetContextFileUploadUrl": {"Url": url, "ExpireTime": 1},
        b"GetContextFileDownloadUrl": {"Url": url, "ExpireTime": 1},
    }

    async def script(talk: Talk, _: Scene) -> None:
        while True:
            request = await talk.request()
            action = request.partition(b"Action=")[2].partition(b"&")[0]
            await talk.say(reply(envelope(Data=replies.get(action, {}))))

    return script


# -- both ways -----------------------------------------------------------------------------


async def _reset_before_the_request(talk: Talk, _: Scene) -> None:
    await talk.reader.read(1)
    reset(talk)


async def _reset_after_the_request(talk: Talk, _: Scene) -> None:
    await talk.request()
    reset(talk)


async def _closed_without_a_reply(talk: Talk, _: Scene) -> None:
    await talk.request()


async def _reset_in_the_head(talk: Talk, _: Scene) -> None:
    await talk.request()
    await talk.say(_HEAD[:25])
    reset(talk)


async def _never_a_reply(talk: Talk, _: Scene) -> None:
    await talk.request()
    await silence(talk)


async def _drips(talk: Talk, begin: bytes, drop: bytes) -> None:
    await talk.request()
    await talk.say(begin)
    while True:
        await talk.say(drop, pause=0.02)


async def _slow_head(talk: Talk, _: Scene) -> None:
    await _drips(talk, b"HTTP/1.1 200 OK\r\n", b"x-a: b\r\n")


async def _interim_for_ever(talk: Talk, _: Scene) -> None:
    await _drips(talk, b"", b"HTTP/1.1 100 Continue\r\n\r\n")


async def _repeats(talk: Talk, _: Scene) -> None:
    """Refuse, and show the address that was asked for, as stores do."""
    while True:
        first_line = (await talk.request()).partition(b"\r\n")[0]
        told = f"x-sent: {first_line.decode()}"
        await talk.say(reply(first_line, told, status="403 Forbidden"))


async def _early_refusal(talk: Talk, _: Scene) -> None:
    """Refuse a file before it is read."""
    talk.service.heads.append(await talk.reader.readuntil(b"\r\n\r\n"))
    await talk.say(reply(b"expired", status="403 Forbidden"))
    await silence(talk)


def _redirect(target: str) -> Trouble:
    async def trouble(talk: Talk, scene: Scene) -> None:
        location = f"Location: {target.format(elsewhere=scene.elsewhere)}"
        await always(reply(b"moved", location, status="307 Temporary Redirect"))(talk, scene)

    return trouble


def _page(status: str, *headers: str, again: bool = False) -> StoreFault:
    body = f"<Error><Message>{SIGNATURE} {PLACE}</Message></Error>".encode()
    return StoreFault(says(body, *headers, status=status), APIError, again, status=int(status[:3]))


_BOTH: dict[str, StoreFault] = {
    "reset before the request is read": StoreFault(_reset_before_the_request, TransportError, True),
    "reset after the request": StoreFault(_reset_after_the_request, TransportError, True),
    "reset in the head": StoreFault(_reset_in_the_head, TransportError, True),
    "closed without a reply": StoreFault(_closed_without_a_reply, TransportError, True),
    "no HTTP": StoreFault(says(b"", status="SSH-2.0"), TransportError, True),
    "400": _page("400 Bad Request"),
    "403 expired": _page("403 Forbidden"),
    "403 that repeats the request": StoreFault(_repeats, APIError, status=403),
    "404": _page("404 Not Found"),
    "429": _page("429 Too Many Requests", again=True),
    "500": _page("500 Internal Server Error", again=True),
    "502": _page("502 Bad Gateway", again=True),
    "503": _page("503 Service Unavailable", again=True),
    "504": _page("504 Gateway Timeout", again=True),
    "206 that nobody asked for": _page("206 Partial Content", "Content-Range: bytes 0-9/10"),
    "304": StoreFault(always(b"HTTP/1.1 304 Not Modified\r\n\r\n"), APIError, status=304),
    "redirected in a circle": StoreFault(_redirect("/other?sig=1"), APIError, requests=6),
    "redirected to nowhere": StoreFault(_redirect(""), APIError, requests=6),
    "redirected to another origin": StoreFault(_redirect("{elsewhere}"), None),
    "redirected to an address that is none": StoreFault(
        _redirect("http://[127.0.0.1/x"), APIError, status=307
    ),
}

_STALLS_BOTH: dict[str, StoreFault] = {
    "never a reply": StoreFault(_never_a_reply, RequestTimeoutError),
    "slow head": StoreFault(_slow_head, RequestTimeoutError),
    "always to be continued": StoreFault(_interim_for_ever, RequestTimeoutError),
}

# -- into the store ------------------------------------------------------------------------


async def _half_of_the_request(talk: Talk) -> None:
    talk.service.heads.append(await talk.reader.readuntil(b"\r\n\r\n"))
    await talk.reader.readexactly(len(_HALF))


async def _reset_in_the_request(talk: Talk, _: Scene) -> None:
    await _half_of_the_request(talk)
    reset(talk)


async def _closed_in_the_request(talk: Talk, _: Scene) -> None:
    await _half_of_the_request(talk)


async def _reads_half_and_waits(talk: Talk, _: Scene) -> None:
    await _half_of_the_request(talk)
    await asyncio.Event().wait()


UPLOADS: dict[str, StoreFault] = {
    **_BOTH,
    "reset in the middle of the file": StoreFault(_reset_in_the_request, TransportError, True),
    "closed in the middle of the file": StoreFault(_closed_in_the_request, TransportError, True),
    "refused before it is read": StoreFault(_early_refusal, APIError, status=403),
    "another hash": StoreFault(says(b"", _OTHER_TAG), FileTransferError),
    "202": _page("202 Accepted"),
}

UPLOADS_THAT_STALL: dict[str, StoreFault] = {
    **_STALLS_BOTH,
    "half of the file is read": StoreFault(_reads_half_and_waits, RequestTimeoutError),
}

# -- out of the store ----------------------------------------------------------------------


async def _half(talk: Talk, head: bytes = _HEAD) -> None:
    await talk.request()
    await talk.say(head, _HALF)


async def _half_a_file(talk: Talk, _: Scene) -> None:
    await _half(talk)


async def _half_a_file_and_a_reset(talk: Talk, _: Scene) -> None:
    await _half(talk)
    reset(talk)


async def _half_a_file_and_silence(talk: Talk, _: Scene) -> None:
    await _half(talk)
    await silence(talk)


async def _half_a_file_without_a_tag(talk: Talk, _: Scene) -> None:
    await _half(talk, _HEAD.replace(TAG.encode(), b"x-a: b"))


async def _chunks_cut_off(talk: Talk, _: Scene) -> None:
    await _half(
        talk,
        f"HTTP/1.1 200 OK\r\n{TAG}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        + b"%x\r\n" % len(_HALF),
    )


async def _until_the_end(talk: Talk, _: Scene) -> None:
    """Half a file whose end nothing tells but its hash."""
    await _half(talk, f"HTTP/1.1 200 OK\r\n{TAG}\r\n\r\n".encode())


async def _drips_a_file(talk: Talk, _: Scene) -> None:
    await _drips(talk, _HEAD, b"x")


DOWNLOADS: dict[str, StoreFault] = {
    **_BOTH,
    "half a file": StoreFault(_half_a_file, TransportError, True),
    "half a file and a reset": StoreFault(_half_a_file_and_a_reset, TransportError, True),
    "half a file without a tag": StoreFault(_half_a_file_without_a_tag, TransportError, True),
    "chunks cut off": StoreFault(_chunks_cut_off, TransportError, True),
    "half a file of no length": StoreFault(_until_the_end, FileTransferError),
    "a page in its place": StoreFault(says(b"<h1>Log in</h1>", TAG), FileTransferError),
    "another hash": StoreFault(says(CONTENT, _OTHER_TAG), FileTransferError),
    "another hash of the message": StoreFault(
        says(CONTENT, "Content-MD5: AAAAAAAAAAAAAAAAAAAAAA=="), FileTransferError
    ),
    "more than announced": StoreFault(
        always(_HEAD.replace(b"%d" % len(CONTENT), b"%d" % len(_HALF)) + CONTENT),
        FileTransferError,
    ),
    "two lengths": StoreFault(
        always(_HEAD[:-2] + b"Content-Length: 7\r\n\r\n" + CONTENT), TransportError, True
    ),
    "no gzip": StoreFault(says(b"no", "Content-Encoding: gzip"), TransportError, True),
    "204": StoreFault(always(b"HTTP/1.1 204 No Content\r\n\r\n"), APIError, status=204),
}

DOWNLOADS_THAT_STALL: dict[str, StoreFault] = {
    **_STALLS_BOTH,
    "half a file and silence": StoreFault(_half_a_file_and_silence, RequestTimeoutError),
    "a file in drops": StoreFault(_drips_a_file, RequestTimeoutError),
}
