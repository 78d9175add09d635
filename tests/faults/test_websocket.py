"""The WebSocket of a session, against everything that can go wrong with it."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import struct
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
import attrs
import pytest

from agentbay import AsyncSession
from agentbay._async._websocket import Connection
from agentbay._loop_local import LoopLocal
from agentbay.errors import (
    AgentBayError,
    RequestTimeoutError,
    WsConnectionClosedError,
    WsHandshakeRejectedError,
    WsProtocolError,
    WsRemoteError,
)
from agentbay.protocol.sessions import SessionData

from ..unit.pool_service import PoolService, Talk
from ..unit.ws_methods import Count, Greet, Note
from .cases import PATH, SECRETS, TOKEN, client_of
from .faulty import Scene, Trouble, given_up, in_scene, reset, says, serving_all, silence
from .test_requests import shown

# Connections that are cancelled in the middle are left to the collector by httpx.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")

_SOON, _HANGS = 0.4, 25.0

# -- a session, byte by byte -----------------------------------------------------------

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


async def _shake_hands(talk: Talk, accept: bytes | None = None) -> None:
    head = await talk.request()
    key = head.lower().partition(b"sec-websocket-key:")[2]
    key = head[len(head) - len(key) :].partition(b"\r")[0].strip()
    made = base64.b64encode(hashlib.sha1(key + _MAGIC).digest())
    await talk.say(
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        b"sec-websocket-accept: " + (accept or made) + b"\r\n\r\n"
    )


async def _receive(talk: Talk) -> dict[str, Any]:
    """The next text of the client; what else it sends is passed over."""
    while True:
        first, second = await talk.reader.readexactly(2)
        size = second & 127
        if size > 125:
            kind = "!H" if size == 126 else "!Q"
            (size,) = struct.unpack(kind, await talk.reader.readexactly(struct.calcsize(kind)))
        mask = await talk.reader.readexactly(4)
        data = await talk.reader.readexactly(size)
        if first & 15 == 1:
            text = bytes(byte ^ mask[n % 4] for n, byte in enumerate(data))
            found: dict[str, Any] = json.loads(text)
            talk.service.requests.append(text)
            return found


def _frame(data: bytes, *, first: int = 0x81) -> bytes:
    size = len(data)
    head = bytes([first, size]) if size < 126 else struct.pack("!BBH", first, 126, size)
    return head + data


def _answer(asked: dict[str, Any], **data: Any) -> bytes:
    message = {"invocationId": asked["invocationId"], "source": asked["target"], "target": "SDK"}
    return _frame(json.dumps({**message, "data": data}).encode())


def _then(*said: bytes | Callable[[dict[str, Any]], bytes], end: str = "") -> Trouble:
    """Open the WebSocket, and say this to what is asked first."""

    async def trouble(talk: Talk, _: Scene) -> None:
        await _shake_hands(talk)
        asked = await _receive(talk)
        for one in said:
            await talk.say(one if isinstance(one, bytes) else one(asked))
        if end == "silence":
            await silence(talk)
        elif end == "reset":
            reset(talk)

    return trouble


def _close(code: int, reason: str = "") -> bytes:
    return _frame(struct.pack("!H", code) + reason.encode(), first=0x88)


def _event(asked: dict[str, Any]) -> bytes:
    return _answer(asked, phase="event", n=0)


async def _wrong_accept(talk: Talk, _: Scene) -> None:
    await _shake_hands(talk, b"d3Jvbmc=")
    await silence(talk)


async def _mute(talk: Talk, _: Scene) -> None:
    await talk.request()
    await silence(talk)


async def _reset_handshake(talk: Talk, _: Scene) -> None:
    await talk.request()
    reset(talk)


async def _elsewhere(talk: Talk, scene: Scene) -> None:
    await says(b"", f"location: {scene.elsewhere}", status="302 Found")(talk, scene)


# -- what goes wrong -------------------------------------------------------------------


@attrs.frozen
class Fault:
    """Something that goes wrong, and what comes of a call and of a stream."""

    trouble: Trouble
    error: type[AgentBayError]


_LOST, _LATE, _REFUSED = WsConnectionClosedError, RequestTimeoutError, WsHandshakeRejectedError

HANDSHAKES: dict[str, Fault] = {
    "reset": Fault(_reset_handshake, _LOST),
    "no answer": Fault(_mute, _LATE),
    "401": Fault(says(b"no " + TOKEN.encode(), status="401 No"), _REFUSED),
    "404": Fault(says(b"no", status="404 No"), _REFUSED),
    "503": Fault(says(b"no", status="503 No"), _REFUSED),
    "200": Fault(says(b"{}"), _REFUSED),
    "302 to another origin": Fault(_elsewhere, _REFUSED),
    "a wrong accept": Fault(_wrong_accept, _REFUSED),
}

MESSAGES: dict[str, Fault] = {
    "reset": Fault(_then(end="reset"), _LOST),
    "an end without goodbye": Fault(_then(), _LOST),
    "silence": Fault(_then(end="silence"), _LATE),
    "closed in order": Fault(_then(_close(1000), end="silence"), _LOST),
    "closed for an error": Fault(
        _then(_close(1011, f"POST /{PATH} {TOKEN}"), end="silence"), _LOST
    ),
    "closed for what is no reason": Fault(_then(_close(1, ""), end="silence"), _LOST),
    "a frame of no kind": Fault(_then(_frame(b"x", first=0x8B), end="silence"), _LOST),
    "a frame with reserved bits": Fault(_then(_frame(b"x", first=0xF1), end="silence"), _LOST),
    "a masked frame": Fault(_then(b"\x81\x81abcdx", end="silence"), _LOST),
    "a continuation of nothing": Fault(_then(_frame(b"x", first=0x80), end="silence"), _LOST),
    "no UTF-8": Fault(_then(_frame(b"\xff\xfe"), end="silence"), _LOST),
    "half a frame": Fault(_then(b"\x81\x7e\x01\x00abc"), _LOST),
    "half a message": Fault(_then(_frame(b'{"a"', first=0x01), end="silence"), _LATE),
    "no JSON": Fault(_then(_frame(b"hello"), end="silence"), _LATE),
    "a binary message": Fault(_then(_frame(b"\0\1", first=0x82), end="silence"), _LATE),
    "the answer to another call": Fault(
        _then(lambda asked: _answer({**asked, "invocationId": "other"}, result={"text": "x"})),
        _LOST,
    ),
    "data of another shape": Fault(
        _then(
            lambda asked: _frame(
                json.dumps(
                    {**asked, "source": asked["target"], "target": "SDK", "data": 7}
                ).encode()
            ),
            end="silence",
        ),
        WsProtocolError,
    ),
    "a refusal": Fault(
        _then(lambda asked: _answer(asked, error="not today"), end="silence"), WsRemoteError
    ),
}


# -- what is done ----------------------------------------------------------------------


async def _session(bay: Any, url: str) -> AsyncSession:
    session = AsyncSession(bay, "s-1")
    session._adopt(SessionData("s-1", ws_url=url, token=TOKEN))
    session._connections = LoopLocal(lambda: Connection(bay.client))
    return session


async def _call(connection: Connection, limit: float) -> None:
    await connection.call(Greet(), timeout=limit)


async def _stream(connection: Connection, limit: float) -> None:
    async with connection.stream(Count(), timeout=limit) as stream:
        async for _ in stream:
            pass


async def _note(connection: Connection, limit: float) -> None:
    await connection.send(Note())


async def _subscribe(connection: Connection, limit: float) -> None:
    with anyio.move_on_after(limit) as scope:
        async with connection.subscribe("x"):
            return
    if scope.cancelled_caught:
        raise RequestTimeoutError("the test has a limit of its own")


Way = Callable[[Connection, float], Awaitable[None]]

WAYS: dict[str, Way] = {
    "call": _call,
    "stream": _stream,
    "note": _note,
    "subscribe": _subscribe,
}


Outcome = tuple[AgentBayError, PoolService, PoolService]


async def outcome(fault: Fault, way: Way, least: int = 2) -> Outcome:
    """What becomes of it, at a server that has this trouble with every connection.

    Args:
        fault: The trouble.
        way: What is done.
        least: How many requests are to arrive at least, the one for the WebSocket included.
    """
    attempt = partial(_outcome, fault, way)
    if fault.error is _LATE:
        return await given_up(attempt, lambda found: len(found[1].requests) < least)
    return await attempt(2 * _HANGS)


async def _outcome(fault: Fault, way: Way, limit: float) -> Outcome:
    with (
        serving_all({"elsewhere": in_scene(says(b"{}"), Scene(b"", ""))}) as others,
        serving_all({"it": in_scene(fault.trouble, Scene(b"", others["elsewhere"].url))}) as them,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr("agentbay._async._websocket._SEND_LIMIT", limit)
        service = them["it"]
        async with client_of(service.url) as bay:
            session = await _session(bay, f"{service.url.replace('http', 'ws')}{PATH}")
            connection = await session._websocket()
            with anyio.fail_after(_HANGS), pytest.raises(AgentBayError) as caught:
                await way(connection, limit)
            with anyio.fail_after(_HANGS):
                await session._disconnect()
        return caught.value, service, others["elsewhere"]


def check(error: AgentBayError, caplog: pytest.LogCaptureFixture) -> None:
    everything = shown(error)
    own = [record for record in caplog.records if not record.name.startswith("httpcore")]
    everything += "\n".join(record.getMessage() + repr(record.args) for record in own)
    assert not [secret for secret in SECRETS if secret in everything]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", HANDSHAKES)
async def test_a_websocket_that_is_not_opened(
    name: str, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fault = HANDSHAKES[name]
    error, service, elsewhere = await outcome(fault, WAYS[way], least=1)
    assert type(error) is fault.error
    if way != "subscribe" and isinstance(error, WsConnectionClosedError | _REFUSED):
        assert not error.sent
    assert service.connections == 1
    assert elsewhere.connections == 0
    check(error, caplog)


@pytest.mark.parametrize("way", ["call", "stream"])
@pytest.mark.parametrize("name", MESSAGES)
async def test_a_websocket_on_which_something_goes_wrong(
    name: str, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fault = MESSAGES[name]
    error, service, _ = await outcome(fault, WAYS[way])
    assert type(error) is fault.error, shown(error)
    assert error.request_id == json.loads(service.requests[1])["invocationId"]
    # What was asked for may have been done, so it is not asked for again.
    assert (service.connections, len(service.requests)) == (1, 2)
    check(error, caplog)


@pytest.mark.parametrize("end", ["reset", ""])
async def test_a_stream_that_breaks_off_is_no_whole_one(end: str) -> None:
    """What came before is delivered, then the loss is told."""
    trouble = _then(_event, _event, end=end)
    found: list[dict[str, Any]] = []

    async def count(connection: Connection, limit: float) -> None:
        async with connection.stream(Count(), timeout=limit) as stream:
            async for event in stream:
                found.append(event)  # noqa: PERF401 - kept when the loop fails

    error, service, _ = await outcome(Fault(trouble, _LOST), count)
    assert type(error) is WsConnectionClosedError
    assert len(service.requests) == 2
    assert len(found) == 2 or end, "a reset may overtake what was sent before it"


async def test_of_two_answers_the_first_one_counts() -> None:
    trouble = _then(
        lambda asked: _answer(asked, result={"text": "first"}),
        lambda asked: _answer(asked, result={"text": "second"}),
        end="silence",
    )
    with serving_all({"it": in_scene(trouble, Scene(b"", ""))}) as services:
        service = services["it"]
        async with client_of(service.url) as bay:
            session = await _session(bay, f"{service.url.replace('http', 'ws')}{PATH}")
            connection = await session._websocket()
            assert (await connection.call(Greet(), timeout=_HANGS)).value.text == "first"
            with pytest.raises(RequestTimeoutError):
                await connection.call(Greet(), timeout=_SOON)
            await session._disconnect()
