"""Everything that a server and the network before it can do wrong, and what is to come of it."""

from __future__ import annotations

import gzip
import json

import attrs

from agentbay.errors import (
    AgentBayError,
    APIError,
    AuthenticationError,
    ProtocolError,
    RateLimitError,
    RequestTimeoutError,
    SessionNotFoundError,
    TransportError,
)

from ..unit.pool_service import Talk, reply
from .cases import REQUEST_ID, envelope
from .faulty import Scene, Trouble, always, reset, says, silence


@attrs.frozen
class Fault:
    """Something that goes wrong, and what the caller is told of it.

    Attributes:
        trouble: What the server does.
        error: The class of the error.
        again: Whether it may pass, so that a request that does no harm is sent again.
        stalls: Whether it takes forever.
        code: The error code that the service told.
        status: The HTTP status that the service told.
        told: Whether the service told the identifier of the request.
        retry_after: Seconds that the service asked to wait.
    """

    trouble: Trouble
    error: type[AgentBayError]
    again: bool = False
    stalls: bool = False
    code: str = ""
    status: int = 0
    told: bool = False
    retry_after: float | None = None


# -- the connection --------------------------------------------------------------------


async def _reset_before_the_request(talk: Talk, _: Scene) -> None:
    await talk.reader.read(1)
    reset(talk)


async def _reset_after_the_request(talk: Talk, _: Scene) -> None:
    await talk.request()
    reset(talk)


async def _closed_without_a_reply(talk: Talk, _: Scene) -> None:
    await talk.request()


async def _reset_in_the_head(talk: Talk, scene: Scene) -> None:
    await talk.request()
    await talk.say(reply(scene.good)[:25])
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


async def _slow_body(talk: Talk, _: Scene) -> None:
    await _drips(talk, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\n \r\n")


async def _promised(talk: Talk, scene: Scene, missing: int, cut: int) -> None:
    """Announce a body that is longer than what comes of it."""
    await talk.request()
    body = scene.good[: len(scene.good) - cut]
    length = len(body) + missing
    await talk.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % length, body)


async def _half_a_body_and_silence(talk: Talk, scene: Scene) -> None:
    await _promised(talk, scene, 20, 20)
    await silence(talk)


async def _half_a_body(talk: Talk, scene: Scene) -> None:
    await _promised(talk, scene, 20, 20)


async def _half_a_body_and_a_reset(talk: Talk, scene: Scene) -> None:
    await _promised(talk, scene, 20, 20)
    reset(talk)


async def _a_whole_body_that_should_be_longer(talk: Talk, scene: Scene) -> None:
    """What came is valid JSON that says yes, and yet it is not the reply."""
    await _promised(talk, scene, 1, 0)


async def _a_body_that_is_longer_than_it_says(talk: Talk, scene: Scene) -> None:
    await _promised(talk, scene, -10, 0)


def _chunks(end: bytes) -> Trouble:
    async def trouble(talk: Talk, scene: Scene) -> None:
        await talk.request()
        await talk.say(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            b"%x\r\n%b\r\n" % (len(scene.good), scene.good),
            end,
        )

    return trouble


def _raw(*pieces: bytes) -> Trouble:
    async def trouble(talk: Talk, _: Scene) -> None:
        await talk.request()
        await talk.say(*pieces)

    return trouble


async def _interim_for_ever(talk: Talk, _: Scene) -> None:
    await _drips(talk, b"", b"HTTP/1.1 100 Continue\r\n\r\n")


CONNECTION: dict[str, Fault] = {
    "reset before the request is read": Fault(
        _reset_before_the_request, TransportError, again=True
    ),
    "reset after the request": Fault(_reset_after_the_request, TransportError, again=True),
    "reset in the head": Fault(_reset_in_the_head, TransportError, again=True),
    "closed without a reply": Fault(_closed_without_a_reply, TransportError, again=True),
    "never a reply": Fault(_never_a_reply, RequestTimeoutError, stalls=True),
    "slow head": Fault(_slow_head, RequestTimeoutError, stalls=True),
    "slow body": Fault(_slow_body, RequestTimeoutError, stalls=True),
    "half a body and silence": Fault(_half_a_body_and_silence, RequestTimeoutError, stalls=True),
    "half a body": Fault(_half_a_body, TransportError, again=True),
    "half a body and a reset": Fault(_half_a_body_and_a_reset, TransportError, again=True),
    "a byte less than announced": Fault(
        _a_whole_body_that_should_be_longer, TransportError, again=True
    ),
    "more than announced": Fault(_a_body_that_is_longer_than_it_says, ProtocolError),
    "chunks cut off": Fault(_chunks(b""), TransportError, again=True),
    "chunks of no size": Fault(_chunks(b"zz\r\n"), TransportError, again=True),
    "no HTTP": Fault(_raw(b"\x16\x03\x01\x00\xff" * 9 + b"\r\n\r\n"), TransportError, again=True),
    "another protocol": Fault(_raw(b"SSH-2.0-OpenSSH_9.6\r\n"), TransportError, again=True),
    "two lengths": Fault(
        _raw(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}"),
        TransportError,
        again=True,
    ),
    "a head without end": Fault(
        _raw(b"HTTP/1.1 200 OK\r\nx: ", b"a" * 200_000), TransportError, again=True
    ),
    "switched to another protocol": Fault(
        _raw(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
        TransportError,
        again=True,
    ),
    "always to be continued": Fault(_interim_for_ever, RequestTimeoutError, stalls=True),
    "no gzip": Fault(says(b"{}", "content-encoding: gzip"), TransportError, again=True),
    "half a gzip": Fault(
        says(gzip.compress(b'{"Data": 1}' * 99)[:-12], "content-encoding: gzip"), ProtocolError
    ),
}

# -- what the body says ----------------------------------------------------------------

_DEEP = b"[" * 100_000

BODIES: dict[str, Fault] = {
    name: Fault(says(body), ProtocolError)
    for name, body in {
        "a page": b"<!doctype html><title>Welcome</title>",
        "nothing": b"",
        "half of JSON": envelope(Data={"Url": "https://x"})[:-3],
        "too deep": _DEEP,
        "no UTF-8": b'{"RequestId": "\xff\xfe"}',
        "null": b"null",
        "a list": b"[]",
        "a list of replies": b"[%b]" % envelope(),
        "a text": b'"ok"',
        "a number": b"200",
        "an object that tells nothing": b"{}",
        "an object of somebody else": b'{"status": "healthy", "uptime": 12}',
    }.items()
} | {
    "no body": Fault(says(b"", status="204 No Content"), ProtocolError),
    "a verdict that is none": Fault(
        says(json.dumps({"RequestId": REQUEST_ID, "Success": ["no"]}).encode()),
        ProtocolError,
        told=True,
    ),
}

# -- what the service refuses ----------------------------------------------------------


def _no(
    status: str, code: str, error: type[APIError], *headers: str, again: bool = False, **more: float
) -> Fault:
    body = {"RequestId": REQUEST_ID, "Success": False, "Code": code, "Message": "no"}
    trouble = says(json.dumps(body).encode(), *headers, status=status)
    after = more.get("retry_after")
    number = int(status[:3])
    return Fault(trouble, error, again, False, code, number, told=True, retry_after=after)


def _page(
    status: str, error: type[APIError], *headers: str, again: bool = False, **more: float
) -> Fault:
    trouble = says(b"<html>no</html>", *headers, status=status)
    after = more.get("retry_after")
    return Fault(trouble, error, again, status=int(status[:3]), retry_after=after)


REFUSALS: dict[str, Fault] = {
    "200 that says no": _no("200 OK", "Forbidden.Other", APIError),
    "200 throttled": _no("200 OK", "Throttling.User", RateLimitError, again=True),
    "200 not available": _no("200 OK", "ServiceUnavailable", APIError, again=True),
    "400 with a code": _no("400 Bad Request", "InvalidParameter", APIError),
    "400 without": _page("400 Bad Request", APIError),
    "401 expired": _no("401 Unauthorized", "NOT_LOGIN", AuthenticationError),
    "401 without a code": _page("401 Unauthorized", AuthenticationError),
    "403 without a code": _page("403 Forbidden", APIError),
    "404 no session": _no("404 Not Found", "InvalidMcpSession.NotFound", SessionNotFoundError),
    "404 without a code": _page("404 Not Found", APIError),
    "408 without a code": _page("408 Request Timeout", APIError),
    "413 without a code": _page("413 Content Too Large", APIError),
    "429 with a code": _no("429 Too Many Requests", "Throttling", RateLimitError, again=True),
    "429 wait a moment": _page(
        "429 Slow", RateLimitError, "x-acs-retry-after: 20", again=True, retry_after=0.02
    ),
    "429 wait an hour": _page("429 Slow", RateLimitError, "retry-after: 3600", retry_after=3600),
    "500 with a code": _no("500 Oops", "InternalError", APIError, again=True),
    "500 without": _page("500 Oops", APIError, again=True),
    "501 without": _page("501 Not Implemented", APIError),
    "502 without": _page("502 Bad Gateway", APIError, again=True),
    "503 with a code": _no(
        "503 Busy", "Busy", APIError, "retry-after: 0", again=True, retry_after=0
    ),
    "503 wait an hour": _page("503 Busy", APIError, "retry-after: 3600", retry_after=3600),
    "504 without": _page("504 Gateway Timeout", APIError, again=True),
}

# -- where the service sends the client ------------------------------------------------


def _redirect(status: str, target: str) -> Fault:
    async def trouble(talk: Talk, scene: Scene) -> None:
        location = f"Location: {target.format(elsewhere=scene.elsewhere)}"
        await always(reply(b"moved", location, status=status))(talk, scene)

    return Fault(trouble, APIError, status=int(status[:3]))


REDIRECTS: dict[str, Fault] = {
    f"{status} to {where}": _redirect(status, target)
    for status in ("301 Moved", "302 Found", "307 Temporary", "308 Permanent")
    for where, target in {
        "the same origin": "/other",
        "another origin": "{elsewhere}",
        "nowhere": "",
    }.items()
}

# -- what the service repeats ----------------------------------------------------------


def _repeats(*, status: str = "400 Bad Request", message: bool = False) -> Trouble:
    """Send back what was sent, with the credentials in it."""

    async def trouble(talk: Talk, _: Scene) -> None:
        while True:
            sent = (await talk.request()).decode()
            body = {"RequestId": REQUEST_ID, "Success": False, "Code": "Bad", "Message": sent}
            text = json.dumps(body) if message else sent
            first = sent.partition("\r\n")[0]
            await talk.say(reply(text.encode(), f"x-sent: {first}", status=status))

    return trouble


ECHOES: dict[str, Fault] = {
    "a refusal that repeats the request": Fault(
        _repeats(message=True), APIError, code="Bad", status=400, told=True
    ),
    "a page that repeats the request": Fault(_repeats(), APIError, status=400),
    "a 200 that repeats the request": Fault(_repeats(status="200 OK"), ProtocolError),
}

FAULTS: dict[str, Fault] = {**CONNECTION, **BODIES, **REFUSALS, **REDIRECTS, **ECHOES}
