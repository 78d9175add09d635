"""The WebSocket of a session: calls and streams, on a real socket."""

from __future__ import annotations

import json
import logging
import re
import socket
import threading
from contextlib import suppress
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from agentbay import InvalidInputError
from agentbay._async import _socket, _streams
from agentbay._async._streams import Stream
from agentbay._results.sessions import McpTool
from agentbay.errors import (
    ProtocolError,
    RequestTimeoutError,
    WsCancelledError,
    WsConnectionClosedError,
    WsProtocolError,
    WsRemoteError,
)
from agentbay.protocol.sessions import SessionData

from .ws_methods import (
    SERVER,
    Count,
    Greet,
    Greeting,
    Note,
    answered,
    connect,
    drain,
    drop_sessions,
    greeting,
    service,
)
from .ws_service import (
    SECRET,
    TOKEN,
    Call,
    WsService,
    by_method,
    in_turn,
    session_at,
    silent,
    until,
)

__all__ = ["drop_sessions", "service"]


# -- what is sent ----------------------------------------------------------------------


async def test_the_handshake_carries_the_token_in_a_header_and_nowhere_else(
    service: WsService,
) -> None:
    await (await connect(service)).call(Greet())
    (headers,) = service.handshakes
    assert headers["x-access-token"] == TOKEN
    assert service.paths == [f"/ws/{SECRET}"]
    assert [key for key, value in headers.items() if TOKEN in value] == ["x-access-token"]
    assert not {"authorization", "cookie"} & set(headers)


async def test_a_call_travels_as_an_envelope_of_four_keys(service: WsService) -> None:
    reply = await (await connect(service)).call(Greet("Bo"))
    assert service.frames == [
        {
            "invocationId": reply.request_id,
            "source": "SDK",
            "target": SERVER,
            "data": {"method": "test.greet", "params": {"name": "Bo"}},
        }
    ]
    assert re.fullmatch(r"[0-9a-f]{32}", reply.request_id)
    assert reply.value == Greeting("hello Bo")


async def test_parameters_that_are_none_are_left_out_and_others_are_not(
    service: WsService,
) -> None:
    await (await connect(service)).call(Greet("Bo", "fi"))
    assert service.frames[0]["data"]["params"] == {"name": "Bo", "language": "fi"}


async def test_a_stream_says_that_it_is_one(service: WsService) -> None:
    async with (await connect(service)).stream(Count(), timeout=30) as stream:
        assert [data async for data in stream] == [
            {"phase": "event", "n": 0},
            {"phase": "event", "n": 1},
        ]
    assert service.frames[0]["data"] == {
        "method": "test.count",
        "mode": "stream",
        "params": {"upTo": 2},
    }
    assert stream.invocation_id == service.frames[0]["invocationId"]
    assert stream.end == {"phase": "end", "status": "finished"}


@pytest.mark.parametrize(
    ("tools", "target"),
    [
        ([], SERVER),
        ([McpTool("count", server="own")], "own"),
        ([McpTool("count", server="")], SERVER),
        ([McpTool("other", server="own")], SERVER),
    ],
)
async def test_the_target_is_the_server_behind_the_tool_when_that_is_known(
    service: WsService, tools: list[McpTool], target: str
) -> None:
    connection = await connect(service, tools=tools)
    async with connection.stream(Count(), timeout=30) as stream:
        assert len([data async for data in stream]) == 2
    assert service.frames[0]["target"] == target


async def test_a_message_without_an_answer_is_sent_and_not_waited_for(service: WsService) -> None:
    connection = await connect(service)
    await connection.send(Note("ä"))
    await connection.send_data("other", {"type": "t", "id": 3})
    assert (await service.frame(0))["data"]["params"] == {"text": "ä"}
    frame = await service.frame(1)
    assert (frame["target"], frame["data"]) == ("other", {"type": "t", "id": 3})
    assert set(frame) == {"invocationId", "source", "target", "data"}
    assert frame["invocationId"] != service.frames[0]["invocationId"]


async def test_a_reply_in_a_stream_carries_its_invocation(service: WsService) -> None:
    def ask(call: Call) -> None:
        if call.method == "test.count":
            call.event(question=1)
        else:
            call.end(answer=call.data["answer"])

    service.answer = ask
    async with (await connect(service)).stream(Count(), timeout=30) as stream:
        async for _ in stream:
            await stream.reply({"answer": 42})
        assert stream.end["answer"] == 42
        with pytest.raises(WsConnectionClosedError, match="over"):
            await stream.reply({})
    assert {frame["invocationId"] for frame in service.frames} == {stream.invocation_id}
    assert service.frames[1]["target"] == SERVER


@pytest.mark.parametrize("text", [object(), float("nan"), "\ud800", {1: b""}])
async def test_data_that_is_no_json_is_refused_before_anything_is_sent(
    service: WsService, text: Any
) -> None:
    connection = await connect(service)
    with pytest.raises(InvalidInputError, match="JSON"):
        await connection.send(Note(text))
    with pytest.raises(InvalidInputError, match="JSON"):
        await connection.call(Note(text))
    assert service.handshakes == []


# -- what comes back -------------------------------------------------------------------


@pytest.mark.parametrize(
    "keys",
    [
        {"data": {"result": {"text": "hi"}}},
        {"data": {"result": {"text": "hi"}, "error": None}},
        {"data": {"result": {"text": "hi"}, "error": {"message": "beside a result"}}},
        {"data": {"text": "hi"}},
        {"data": {"text": "hi", "result": None}},
        {"data": json.dumps({"result": {"text": "hi"}})},
        {"data": {"result": {"text": "hi"}}, "target": SERVER},
        {"data": {"result": {"text": "hi"}}, "source": None},
        {"data": {"text": "hi"}, "source": "WEBSOCKET_SERVER", "target": None},
        {"data": {"text": "hi", "result": 7}, "source": "WEBSOCKET_SERVER"},
    ],
)
async def test_every_shape_of_an_answer_is_understood(
    service: WsService, keys: dict[str, Any]
) -> None:
    service.answer = answered(**keys)
    assert (await (await connect(service)).call(Greet())).value == Greeting("hi")


async def test_a_request_id_stands_for_an_invocation_id(service: WsService) -> None:
    service.answer = lambda call: call.send(
        invocationId=None, requestId=call.id, data={"result": {"text": "hi"}}
    )
    assert (await (await connect(service)).call(Greet())).value == Greeting("hi")


@pytest.mark.parametrize(
    ("keys", "text", "code"),
    [
        ({"data": {"error": "no"}}, "no", ""),
        ({"data": {"error": "no", "result": {"text": "hi"}}}, "no", ""),
        ({"data": {"error": {"code": "E1", "message": "no"}}}, "[E1] no", "E1"),
        ({"data": {"error": {"reason": 7}}}, '{"reason": 7}', ""),
        ({"data": {"error": 7}}, '{"error": 7}', ""),
        ({"data": {"phase": "error", "code": "E1", "message": "no"}}, "[E1] no", "E1"),
        ({"source": "WEBSOCKET_SERVER", "error": "no", "data": {}}, "no", ""),
        ({"source": "WEBSOCKET_SERVER", "error": "no", "data": None, "target": None}, "no", ""),
        ({"source": "WEBSOCKET_SERVER", "data": {"error": "no"}}, "no", ""),
    ],
)
async def test_every_shape_of_a_refusal_is_understood(
    service: WsService, keys: dict[str, Any], text: str, code: str
) -> None:
    service.answer = answered(**keys)
    with pytest.raises(WsRemoteError) as caught:
        await (await connect(service)).call(Greet())
    assert (str(caught.value), caught.value.code) == (text, code)
    assert caught.value.data == (keys["data"] or {})
    assert caught.value.request_id == service.frames[0]["invocationId"]


async def test_an_error_beside_the_data_counts_only_from_the_gateway(service: WsService) -> None:
    service.answer = answered(error="ignored", data={"text": "hi"})
    assert (await (await connect(service)).call(Greet())).value == Greeting("hi")


@pytest.mark.parametrize(
    "keys",
    [
        {"data": {"result": {"txt": "hi"}}},
        {"data": {"result": [1]}},
        {"data": None},
        {"data": "no JSON"},
        {"data": "[1]"},
        {"data": [1]},
        {"data": {"text": "hi"}, "target": None},
        {"data": {"text": "hi"}, "target": ""},
    ],
)
async def test_an_answer_that_makes_no_sense_fails_its_call_only(
    service: WsService, keys: dict[str, Any]
) -> None:
    connection = await connect(service)
    service.answer = answered(**keys)
    with pytest.raises(WsProtocolError) as caught:
        await connection.call(Greet())
    assert isinstance(caught.value, ProtocolError)
    assert caught.value.request_id == service.frames[0]["invocationId"]
    service.answer = greeting
    assert (await connection.call(Greet())).value.text == "hello you"
    assert len(service.handshakes) == 1


@pytest.mark.parametrize(
    "keys",
    [
        {"data": {"phase": "other"}},
        {"data": {}},
        {"data": {"phase": None}},
        {"data": {"phase": ["event"]}},
        {"data": {"result": 1}},
        {"data": "[]"},
    ],
)
async def test_a_message_without_a_phase_fails_its_stream_only(
    service: WsService, keys: dict[str, Any]
) -> None:
    def answer(call: Call) -> None:
        call.event(n=1)
        call.send(**keys)
        call.event(n=2)

    service.answer = by_method({"test.count": answer, "test.greet": greeting})
    connection = await connect(service)
    seen: list[Any] = []
    async with connection.stream(Count(), timeout=30) as stream:
        with pytest.raises(WsProtocolError) as caught:
            await drain(stream, seen)
    assert seen == [{"phase": "event", "n": 1}]
    assert caught.value.request_id == stream.invocation_id
    assert (await connection.call(Greet())).value.text == "hello you"


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (
            {"data": {"phase": "error", "code": "E1", "message": "boom", "traceId": "t"}},
            "[E1] boom",
        ),
        ({"data": {"phase": "error", "error": {"message": "boom"}}}, "boom"),
        ({"data": {"phase": "error", "traceId": "t"}}, '{"phase": "error", "traceId": "t"}'),
        ({"data": {"phase": "event", "error": "boom"}}, "boom"),
        ({"source": "WEBSOCKET_SERVER", "data": {"error": "boom"}}, "boom"),
        ({"source": "WEBSOCKET_SERVER", "error": "boom", "data": {}}, "boom"),
    ],
)
async def test_a_stream_that_fails_raises_what_it_was_told(
    service: WsService, keys: dict[str, Any], text: str
) -> None:
    service.answer = answered(**keys)
    async with (await connect(service)).stream(Count(), timeout=30) as stream:
        with pytest.raises(WsRemoteError) as caught:
            await anext(stream)
    assert str(caught.value) == text
    assert caught.value.data == keys["data"]


async def test_an_error_that_is_an_object_is_an_event_like_others(service: WsService) -> None:
    service.answer = in_turn(lambda call: call.event(error={"code": "E"}), Call.end)
    async with (await connect(service)).stream(Count(), timeout=30) as stream:
        assert [data["error"] async for data in stream] == [{"code": "E"}]


async def test_what_comes_behind_the_end_of_a_stream_is_dropped(service: WsService) -> None:
    service.answer = by_method(
        {
            "test.count": in_turn(
                lambda call: call.end(n=1),
                lambda call: call.end(n=2),
                lambda call: call.send(data={"error": "late"}),
            ),
            "test.greet": greeting,
        }
    )
    connection = await connect(service)
    async with connection.stream(Count(), timeout=30) as stream:
        await connection.call(Greet())
        assert [data async for data in stream] == []
        assert stream.end["n"] == 1


async def test_the_gateway_can_end_a_stream(service: WsService) -> None:
    service.answer = answered(source="WEBSOCKET_SERVER", data={"status": "ok"}, target=None)
    async with (await connect(service)).stream(Count(), timeout=30) as stream:
        assert [data async for data in stream] == []
        assert stream.end == {"status": "ok"}


async def test_many_calls_at_once_get_their_own_answers(service: WsService) -> None:
    held: list[Call] = []

    def backwards(call: Call) -> None:
        held.append(call)
        if len(held) == 20:
            for one in reversed(held):
                greeting(one)

    service.answer = backwards
    connection = await connect(service)
    got: dict[str, str] = {}

    async def greet(name: str) -> None:
        got[name] = (await connection.call(Greet(name))).value.text

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(greet, str(number))
    assert got == {str(number): f"hello {number}" for number in range(20)}
    assert len(service.handshakes) == 1


async def test_streams_and_calls_share_the_connection(service: WsService) -> None:
    connection = await connect(service)
    async with (
        connection.stream(Count(3), timeout=30) as first,
        connection.stream(Count(4), timeout=30) as second,
    ):
        assert (await connection.call(Greet())).value.text == "hello you"
        assert len([data async for data in second]) == 4
        assert len([data async for data in first]) == 3
    assert len(service.handshakes) == 1


async def test_a_session_has_one_connection(service: WsService) -> None:
    session = session_at(service)
    assert await session._websocket() is await session._websocket()
    await (await session._websocket()).call(Greet())
    await (await session._websocket()).call(Greet())
    assert len(service.handshakes) == 1


@pytest.mark.parametrize("size", [100_000, 3_000_000])
async def test_long_messages_arrive_whole_in_both_directions(service: WsService, size: int) -> None:
    name = "ä" * size
    assert (await (await connect(service)).call(Greet(name))).value.text == f"hello {name}"


async def test_a_message_in_fragments_arrives_whole(service: WsService) -> None:
    def in_pieces(call: Call) -> None:
        text = json.dumps(
            {"invocationId": call.id, "target": "SDK", "data": {"text": "hä"}}, ensure_ascii=False
        )
        call.peer.send(iter([text[:5], text[5:40], text[40:]]))

    service.answer = in_pieces
    assert (await (await connect(service)).call(Greet())).value.text == "hä"


async def test_a_message_that_is_too_long_ends_the_connection(
    service: WsService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_socket, "LONGEST", 200_000)
    connection = await connect(service)
    for _ in range(3):
        await connection.call(Greet("x" * 190_000))
    service.answer = answered(data={"text": "x" * 500_000})
    with pytest.raises(WsConnectionClosedError, match="200000 bytes"):
        await connection.call(Greet())
    service.answer = greeting
    assert (await connection.call(Greet())).value.text == "hello you"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[]",
        "null",
        "1",
        "{}",
        '{"invocationId": 7}',
        '{"invocationId": ""}',
        '{"invocationId": "x"}',
        '{"invocationId": "x", "target": "SDK"}',
        '{"invocationId": "x", "target": 7, "data": {}}',
        '{"invocationId": "x", "target": "SDK", "data": []}',
        '{"invocationId": "x", "target": "SDK", "data": "["}',
        '{"invocationId": "x", "source": "WEBSOCKET_SERVER"}',
        "[" * 100_000,
        '{"invocationId": "x", "target": "SDK", "data": ' + '{"a":' * 900 + "1" + "}" * 901,
        b"\xff\xfe",
        b'{"binary": true}',
    ],
)
async def test_a_malformed_message_is_ignored(
    service: WsService, text: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    connection = await connect(service)
    await connection.call(Greet())
    service.say(text)
    assert (await connection.call(Greet())).value.text == "hello you"
    assert len(service.handshakes) == 1
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_a_pong_that_nobody_asked_for_is_ignored(service: WsService) -> None:
    connection = await connect(service)
    service.answer = in_turn(lambda call: call.peer.pong(b"alone"), greeting)
    await connection.call(Greet())
    await connection.call(Greet())
    assert len(service.handshakes) == 1


_JSON: SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
_DATA = st.fixed_dictionaries(
    {},
    optional={
        "phase": st.sampled_from(["event", "end", "error", "x"]) | _JSON,
        "error": _JSON,
        "result": _JSON,
        "message": _JSON,
        "code": _JSON,
    },
)
_FRAMES = st.fixed_dictionaries(
    {},
    optional={
        "invocationId": st.just("OWN") | _JSON,
        "requestId": st.just("OWN") | _JSON,
        "source": st.sampled_from(["WEBSOCKET_SERVER", "SDK", SERVER]) | _JSON,
        "target": st.sampled_from(["SDK", SERVER]) | _JSON,
        "data": _DATA | _DATA.map(json.dumps) | _JSON,
        "error": _JSON,
    },
)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@given(st.lists(_FRAMES | _JSON, max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
def test_no_message_breaks_the_connection(backend: str, frames: list[Any]) -> None:
    def answer(call: Call) -> None:
        for frame in frames:
            call.text(json.dumps(frame).replace('"OWN"', json.dumps(call.id)))
        if call.method == "test.greet":
            greeting(call)
        call.end()

    async def main() -> None:
        with WsService(answer) as service:
            connection = await connect(service)
            async with connection.subscribe(SERVER):
                with suppress(WsRemoteError, WsProtocolError):
                    await connection.call(Greet(), timeout=30)
                async with connection.stream(Count(), timeout=30) as stream:
                    with suppress(WsRemoteError, WsProtocolError):
                        assert all([data["phase"] == "event" async for data in stream])
            service.answer = greeting
            assert (await connection.call(Greet())).value.text == "hello you"
            assert len(service.handshakes) == 1
            await connection.aclose()

    anyio.run(main, backend=backend)


# -- limits ----------------------------------------------------------------------------


async def test_a_call_without_an_answer_ends_at_its_limit(service: WsService) -> None:
    connection = await connect(service)
    await connection.call(Greet())
    service.answer = silent
    with pytest.raises(RequestTimeoutError, match=r"test\.greet.* 0\.2 s") as caught:
        await connection.call(Greet(), timeout=0.2)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.request_id == (await service.frame(1))["invocationId"]
    assert caught.value.sent
    assert connection._line.pending == {}


async def test_an_answer_that_comes_late_is_dropped(service: WsService) -> None:
    late: list[Call] = []
    connection = await connect(service)
    await connection.call(Greet())
    service.answer = late.append
    with pytest.raises(RequestTimeoutError):
        await connection.call(Greet(), timeout=0.1)
    await until(lambda: late)
    service.answer = in_turn(lambda _: greeting(late[0]), greeting)
    assert (await connection.call(Greet("me"))).value.text == "hello me"


async def test_a_cancelled_call_leaves_nothing_behind(service: WsService) -> None:
    service.answer = silent
    connection = await connect(service)
    with anyio.move_on_after(0.2) as scope:
        await connection.call(Greet())
    assert scope.cancelled_caught
    assert connection._line.pending == {}
    service.answer = greeting
    assert (await connection.call(Greet())).value.text == "hello you"


async def test_a_handshake_without_an_answer_ends_at_the_limit_of_the_call() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        session = session_at(None)
        url = f"ws://127.0.0.1:{deaf.getsockname()[1]}/{SECRET}"
        session._adopt(SessionData("s", ws_url=url, token=TOKEN))
        connection = await session._websocket()
        with pytest.raises(RequestTimeoutError) as caught:
            await connection.call(Greet(), timeout=0.2)
        assert not caught.value.sent
        with pytest.raises(RequestTimeoutError):
            async with connection.stream(Count(), timeout=0.2):
                pytest.fail("it is not open")
        await connection.aclose()


async def test_a_handshake_has_a_limit_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_socket, "_OPEN_LIMIT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        session = session_at(None)
        url = f"ws://127.0.0.1:{deaf.getsockname()[1]}/{SECRET}"
        session._adopt(SessionData("s", ws_url=url, token=TOKEN))
        with pytest.raises(WsConnectionClosedError, match="TimeoutError") as caught:
            await (await session._websocket()).call(Greet())
        assert not caught.value.sent


def _shorten(stream: Stream, seconds: float = 0.2) -> None:
    """Let the limit of a stream, which has begun well before it, come soon."""
    assert 0 < (stream.remaining() or 0) <= 20
    stream._deadline = anyio.current_time() + seconds


async def test_a_stream_ends_at_its_limit(service: WsService) -> None:
    """Official clients wait for ever."""
    service.answer = lambda call: call.event(n=1)
    connection = await connect(service)
    async with connection.stream(Count(), timeout=20) as stream:
        assert (await anext(stream))["n"] == 1
        _shorten(stream)
        with pytest.raises(RequestTimeoutError, match="20 s") as caught:
            await anext(stream)
        assert caught.value.request_id == stream.invocation_id
        with pytest.raises(RequestTimeoutError):
            await anext(stream)
    assert connection._line.pending == {}


async def test_events_that_were_not_read_in_time_are_too_late(service: WsService) -> None:
    connection = await connect(service)
    await connection.call(Greet())
    async with connection.stream(Count(5), timeout=20) as stream:
        await anext(stream)
        await connection.call(Greet())  # whose answer comes behind all events
        _shorten(stream, 0)
        with pytest.raises(RequestTimeoutError):
            await anext(stream)


async def test_a_stream_that_never_pauses_ends_at_its_limit(service: WsService) -> None:
    gone = threading.Event()

    def flood(call: Call) -> None:
        while not gone.is_set():
            call.event(n=1)

    service.answer = by_method({"test.count": flood, "test.greet": greeting})
    try:
        connection = await connect(service)
        await connection.call(Greet())
        async with connection.stream(Count(), timeout=20) as stream:
            seen = [await anext(stream) for _ in range(11)]
            _shorten(stream)
            with anyio.fail_after(20), pytest.raises(RequestTimeoutError):
                await drain(stream, seen)
    finally:
        gone.set()


async def test_a_cancelled_stream_raises_and_the_session_is_not_told(service: WsService) -> None:
    held: list[Call] = []
    service.answer = in_turn(held.append, lambda call: call.event(n=1))
    connection = await connect(service)
    async with connection.stream(Count(), timeout=None) as stream:
        await anext(stream)
        held[0].event(n=2)
        stream.cancel()
        with pytest.raises(WsCancelledError) as caught:
            await anext(stream)
        assert caught.value.request_id == stream.invocation_id
    held[0].event(n=3)
    service.answer = greeting
    await connection.call(Greet())
    assert service.methods == ["test.count", "test.greet"]


async def test_a_loop_that_is_left_early_leaves_nothing_behind(service: WsService) -> None:
    connection = await connect(service)
    async with connection.stream(Count(1000), timeout=None) as stream:
        async for _ in stream:
            break
    assert connection._line.pending == {}
    assert (await connection.call(Greet())).value.text == "hello you"


async def test_a_slow_reader_fails_its_own_stream_and_disturbs_nobody(
    service: WsService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_streams, "_WAITING", 10_000)
    connection = await connect(service)
    async with connection.stream(Count(1000), timeout=30) as stream:
        await connection.call(Greet())
        seen: list[Any] = []
        with pytest.raises(WsCancelledError, match="too slowly"):
            await drain(stream, seen)
    assert 10 < len(seen) < 1000
    async with connection.stream(Count(50), timeout=30) as stream:
        assert len([data async for data in stream]) == 50


async def test_the_connection_is_kept_alive_with_pings(
    service: WsService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_socket, "_PING_INTERVAL", 0.05)
    monkeypatch.setattr(_socket, "_PONG_LIMIT", 30)
    connection = await connect(service)
    await connection.call(Greet())
    await anyio.sleep(0.3)
    assert connection._line.is_open
    await connection.call(Greet())
    assert len(service.handshakes) == 1


async def test_pings_of_the_session_are_answered(service: WsService) -> None:
    connection = await connect(service)
    answered: list[threading.Event] = []
    service.answer = in_turn(lambda call: answered.append(call.peer.ping()), greeting)
    await connection.call(Greet())
    await until(lambda: answered[0].is_set())


async def test_a_session_without_a_sign_of_life_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_socket, "_PING_INTERVAL", 0.1)
    monkeypatch.setattr(_socket, "_PONG_LIMIT", 0.2)
    stop = threading.Event()

    def wait(_: bytes) -> None:
        stop.wait(5)

    def freeze(call: Call) -> None:
        # While this waits the thread that reads goes on, and answers pings; so it is stopped.
        setattr(call.peer.protocol, "receive_data", wait)  # noqa: B010

    try:
        with WsService(freeze) as service:
            connection = await connect(service)
            with anyio.fail_after(30), pytest.raises(WsConnectionClosedError, match="sign of life"):
                await connection.call(Greet())
            stop.set()
    finally:
        stop.set()
