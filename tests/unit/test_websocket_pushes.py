"""What a session tells without being asked."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from agentbay._async import _streams
from agentbay.errors import (
    WsCancelledError,
)

from .ws_methods import (
    SERVER,
    Greet,
    connect,
    drain,
    drop_sessions,
    greeting,
    service,
)
from .ws_service import Call, WsService, until

__all__ = ["drop_sessions", "service"]


@pytest.mark.parametrize(
    "keys",
    [
        {"source": SERVER, "target": "SDK"},
        {"source": SERVER, "target": SERVER},
        {"source": "other", "target": SERVER},
    ],
)
async def test_pushes_go_by_target_or_else_by_source(
    service: WsService, keys: dict[str, str]
) -> None:
    connection = await connect(service)
    async with connection.subscribe(SERVER) as pushes, connection.subscribe("third") as third:
        service.push({"n": 0}, source="elsewhere")
        service.push({"n": 1}, **keys)
        service.push({"n": 2}, source="third")
        assert (await anext(pushes)) == {"n": 1}
        assert (await anext(third)) == {"n": 2}


async def test_only_what_matches_is_heard(service: WsService) -> None:
    connection = await connect(service)
    async with (
        connection.subscribe(SERVER, matches=lambda data: data["n"] > 1) as some,
        connection.subscribe(SERVER) as everything,
    ):
        for n in (1, 2):
            service.push({"n": n}, source=SERVER)
        assert (await anext(some)) == {"n": 2}
        assert [(await anext(everything))["n"] for _ in range(2)] == [1, 2]


async def test_what_was_read_makes_room_for_more(
    service: WsService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_streams, "_WAITING", 1000)
    connection = await connect(service)
    async with connection.subscribe(SERVER) as pushes:
        service.push({"n": 0}, source=SERVER)
        for n in range(30):
            service.push({"n": n + 1}, source=SERVER)
            await connection.call(Greet())
            assert (await anext(pushes)) == {"n": n}


async def test_a_filter_that_fails_loses_one_message_only(
    service: WsService, caplog: pytest.LogCaptureFixture
) -> None:
    connection = await connect(service)
    async with connection.subscribe(SERVER, matches=lambda data: data["n"] > 1) as pushes:
        service.push({}, source=SERVER)
        service.push({"n": 2}, source=SERVER)
        assert (await anext(pushes)) == {"n": 2}
    assert "could not be filtered" in caplog.text


async def test_who_listens_before_the_call_hears_what_comes_right_behind_its_answer(
    service: WsService,
) -> None:
    """Official clients lose the prompt of a terminal."""

    def both(call: Call) -> None:
        service.push({"n": 0}, source=SERVER)
        greeting(call)
        service.push({"n": 1}, source=SERVER)

    service.answer = both
    connection = await connect(service)
    async with connection.subscribe(SERVER) as pushes:
        await connection.call(Greet())
        assert [(await anext(pushes))["n"] for _ in range(2)] == [0, 1]


async def test_a_listener_gets_messages_in_order_while_nobody_waits(service: WsService) -> None:
    connection = await connect(service)
    heard: list[int] = []

    async def hear(data: dict[str, Any]) -> None:
        await anyio.sleep(0.01 if data["n"] == 0 else 0)
        heard.append(data["n"])

    stop = connection.listen(SERVER, hear)
    await until(lambda: service.open)
    for n in range(5):
        service.push({"n": n}, source=SERVER)
    await until(lambda: len(heard) == 5)
    stop()
    stop()
    service.push({"n": 9}, source=SERVER)
    await connection.call(Greet())
    assert heard == [0, 1, 2, 3, 4]
    assert len(service.handshakes) == 1


async def test_a_callback_that_raises_gets_the_next_message(
    service: WsService, caplog: pytest.LogCaptureFixture
) -> None:
    """The reader of official clients ends with it."""
    connection = await connect(service)
    heard: list[int] = []

    async def hear(data: dict[str, Any]) -> None:
        heard.append(data["n"])
        raise KeyError("oops")

    connection.listen(SERVER, hear)
    await until(lambda: service.open)
    for n in range(2):
        service.push({"n": n}, source=SERVER)
    await until(lambda: heard == [0, 1])
    assert (await connection.call(Greet())).value.text == "hello you"
    assert caplog.text.count("KeyError: 'oops'") == 2


async def test_a_callback_that_blocks_holds_up_nobody_else(service: WsService) -> None:
    connection = await connect(service)
    entered = anyio.Event()

    async def hear(data: dict[str, Any]) -> None:
        entered.set()
        await anyio.sleep_forever()

    stop = connection.listen(SERVER, hear)
    async with connection.subscribe(SERVER) as pushes:
        service.push({"n": 1}, source=SERVER)
        await entered.wait()
        assert (await connection.call(Greet())).value.text == "hello you"
        assert (await anext(pushes)) == {"n": 1}
    stop()


async def test_a_callback_may_stop_its_own_listener_and_call(service: WsService) -> None:
    connection = await connect(service)
    heard: list[str] = []

    async def hear(data: dict[str, Any]) -> None:
        stop()
        heard.append((await connection.call(Greet(data["name"]))).value.text)

    stop = connection.listen(SERVER, hear)
    await until(lambda: service.open)
    service.push({"name": "a"}, source=SERVER)
    service.push({"name": "b"}, source=SERVER)
    await until(lambda: heard)
    await anyio.sleep(0.05)
    assert heard == ["hello a"]


async def test_ending_one_listener_leaves_the_connection_to_the_others(
    service: WsService,
) -> None:
    """Official clients close the WebSocket of the whole session."""
    connection = await connect(service)

    async def hear(data: dict[str, Any]) -> None:
        """Hear nothing."""

    async with connection.subscribe(SERVER) as pushes:
        connection.listen(SERVER, hear)()
        async with connection.subscribe(SERVER):
            pass
        service.push({"n": 1}, source=SERVER)
        assert (await anext(pushes)) == {"n": 1}
        assert (await connection.call(Greet())).value.text == "hello you"
    assert len(service.handshakes) == 1


async def test_a_slow_subscriber_fails_alone(
    service: WsService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_streams, "_WAITING", 1000)
    connection = await connect(service)
    heard: list[int] = []
    go_on = anyio.Event()

    async def hear(data: dict[str, Any]) -> None:
        heard.append(data["n"])
        await go_on.wait()

    connection.listen(SERVER, hear)
    async with connection.subscribe(SERVER) as pushes:
        for n in range(100):
            service.push({"n": n}, source=SERVER)
        await connection.call(Greet())
        with pytest.raises(WsCancelledError, match="too slowly"):
            await drain(pushes, [])
        go_on.set()
        await until(lambda: len(heard) > 5)
        await connection.call(Greet())
        assert heard == list(range(len(heard)))
        assert len(heard) < 100
    assert caplog.text.count("dropped") == 1
