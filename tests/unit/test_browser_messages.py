"""What a browser and its user tell each other, over a real WebSocket."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import anyio
import pytest
from anyio import to_thread

from agentbay import AsyncSession, InvalidInputError, SessionError
from agentbay._async.browser import AsyncBrowser
from agentbay._async.pty import AsyncPty
from agentbay.errors import WsHandshakeRejectedError
from agentbay.protocol.browser import BrowserNotifyMessage

from .samples import SAMPLES
from .ws_service import SECRET, TOKEN, WsService, session_at, silent, until

SERVER = "wuying_cdp_mcp_server"

ASKS: dict[str, Any] = {
    "type": "call-for-user",
    "id": 7,
    "code": 101,
    "message": "captcha request",
    "action": "takeover",
    "extraParams": {"max_wait_time": 180},
}


@pytest.fixture
def service() -> Iterator[WsService]:
    with WsService(silent) as running:
        yield running


@pytest.fixture
async def session(service: WsService) -> AsyncIterator[AsyncSession]:
    one = session_at(service)
    yield one
    await one._connections.aclose()


@pytest.fixture
def browser(session: AsyncSession) -> AsyncBrowser:
    return AsyncBrowser(session)


async def test_what_the_browser_tells_is_passed_on(
    service: WsService, browser: AsyncBrowser
) -> None:
    heard: list[BrowserNotifyMessage] = []
    assert await browser.register_callback(heard.append)
    service.push(ASKS, source=SERVER)
    service.push({**ASKS, "action": "resume"}, source="another_server")
    service.push({"action": "pause", "code": 201}, source=SERVER, target=SERVER)
    await until(lambda: len(heard) == 2)
    assert heard[0] == BrowserNotifyMessage(
        "call-for-user", 7, 101, "captcha request", "takeover", {"max_wait_time": 180}
    )
    assert heard[1] == BrowserNotifyMessage(code=201, action="pause")
    assert service.frames == []


async def test_a_coroutine_function_is_awaited_and_may_answer(
    service: WsService, browser: AsyncBrowser
) -> None:
    # Recorded clients drop the coroutine, or wait for themselves.
    async def answer(message: BrowserNotifyMessage) -> None:
        assert message.id is not None
        assert await browser.send_takeover_done(message.id)

    assert await browser.register_callback(answer)
    service.push(ASKS, source=SERVER)
    frame = await service.frame(0)
    assert (frame["source"], frame["target"]) == ("SDK", SERVER)
    assert frame["data"] == {
        "type": "call-for-user",
        "id": 7,
        "code": 199,
        "message": "user handle done",
        "action": "takeoverdone",
    }


async def test_a_message_is_sent_as_it_is(service: WsService, browser: AsyncBrowser) -> None:
    assert await browser.send_notify_message(BrowserNotifyMessage("t", 1, 2, "m", "a", {"k": 1}))
    assert await browser.send_notify_message(BrowserNotifyMessage(id=1))
    data = {"type": "t", "id": 1, "code": 2, "message": "m", "action": "a"}
    assert (await service.frame(0))["data"] == {**data, "extraParams": {"k": 1}}
    assert (await service.frame(1))["data"] == {"id": 1}


async def test_what_is_sent_was_recorded_so(service: WsService, browser: AsyncBrowser) -> None:
    assert await browser.send_takeover_done(3)
    assert await browser.send_notify_message(BrowserNotifyMessage("t", 1, 2, "m", "a", {"k": 1}))
    await service.frame(1)
    lines = (SAMPLES / "0.22-async/ws-frames.jsonl").read_text().splitlines()
    recorded = [json.loads(line)["text"] for line in lines if '"ws-browser-notify"' in line]
    for frame, other in zip(service.frames, map(json.loads, recorded), strict=True):
        assert {**frame, "invocationId": ""} == {**other, "invocationId": ""}


async def test_a_callback_takes_the_place_of_the_one_before(
    service: WsService, browser: AsyncBrowser
) -> None:
    first: list[BrowserNotifyMessage] = []
    second: list[BrowserNotifyMessage] = []
    assert await browser.register_callback(first.append)
    assert await browser.register_callback(second.append)
    service.push(ASKS, source=SERVER)
    await until(lambda: second)
    assert (first, len(second), len(service.handshakes)) == ([], 1, 1)


async def test_unregistering_does_not_close_the_connection(
    service: WsService, session: AsyncSession, browser: AsyncBrowser
) -> None:
    # Recorded clients can do nothing over it after that.
    heard: list[BrowserNotifyMessage] = []
    assert await browser.register_callback(heard.append)
    await browser.unregister_callback()
    await browser.unregister_callback()
    service.push(ASKS, source=SERVER)
    service.answer = lambda call: call.result({"ptySessionIds": ["pty-1"]})
    assert len(await AsyncPty(session).list()) == 1
    assert heard == []
    assert await browser.register_callback(heard.append)
    service.push(ASKS, source=SERVER)
    await until(lambda: heard)
    assert (len(heard), len(service.handshakes)) == (1, 1)


async def test_a_callback_that_raises_is_logged_and_called_again(
    service: WsService, browser: AsyncBrowser, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[int | None] = []

    def fail(message: BrowserNotifyMessage) -> None:
        heard.append(message.id)
        raise LookupError("mine")

    def logged() -> list[str]:
        return [record.name for record in caplog.records if record.levelno >= logging.WARNING]

    assert await browser.register_callback(fail)
    service.push(ASKS, source=SERVER)
    service.push({**ASKS, "id": 8}, source=SERVER)
    await until(lambda: len(logged()) == 2)
    assert set(logged()) == {"agentbay._async._notifications"}
    assert heard == [7, 8]


@pytest.mark.parametrize("data", [{}, {"id": "x"}, {"extraParams": "x"}, {"code": {"a": 1}}])
async def test_a_message_that_makes_no_sense_is_left_out(
    service: WsService, browser: AsyncBrowser, data: Any
) -> None:
    heard: list[BrowserNotifyMessage] = []
    assert await browser.register_callback(heard.append)
    service.push(data, source=SERVER)
    service.push(ASKS, source=SERVER)
    await until(lambda: heard)
    assert [message.id for message in heard] == [7]


async def test_messages_go_on_after_the_connection_was_lost(
    service: WsService, browser: AsyncBrowser
) -> None:
    heard: list[BrowserNotifyMessage] = []
    assert await browser.register_callback(heard.append)
    service.drop()
    await until(lambda: len(service.handshakes) == 2)
    service.push(ASKS, source=SERVER)
    await until(lambda: heard)


_CALLS: list[Callable[[AsyncBrowser], Awaitable[bool]]] = [
    lambda browser: browser.register_callback(print),
    lambda browser: browser.send_takeover_done(1),
    lambda browser: browser.send_notify_message(BrowserNotifyMessage(id=1)),
]


@pytest.mark.parametrize("call", _CALLS)
async def test_without_a_connection_the_answer_is_false_with_a_reason(
    service: WsService, call: Callable[[AsyncBrowser], Awaitable[bool]]
) -> None:
    alone = AsyncBrowser(session_at(None))
    assert not await call(alone)
    assert isinstance(alone.error, SessionError)
    service.refuse = 403
    refused = AsyncBrowser(session_at(service))
    assert not await call(refused)
    assert isinstance(refused.error, WsHandshakeRejectedError)
    assert SECRET not in str(refused.error)
    assert TOKEN not in str(refused.error)


_BAD: list[Callable[[Any], Awaitable[bool]]] = [
    lambda browser: browser.register_callback(None),
    lambda browser: browser.send_notify_message({"id": 1}),
    lambda browser: browser.send_takeover_done("1"),
    lambda browser: browser.send_takeover_done(True),
]


@pytest.mark.parametrize("call", _BAD)
async def test_what_makes_no_sense_is_refused_before_anything_is_sent(
    service: WsService, browser: AsyncBrowser, call: Callable[[Any], Awaitable[bool]]
) -> None:
    with pytest.raises(InvalidInputError):
        await call(browser)
    assert service.handshakes == []


async def test_a_callback_is_unregistered_from_another_event_loop(
    service: WsService, session: AsyncSession, browser: AsyncBrowser
) -> None:
    heard: list[BrowserNotifyMessage] = []
    assert await browser.register_callback(heard.append)
    await to_thread.run_sync(anyio.run, browser.unregister_callback)
    service.push(ASKS, source=SERVER)
    service.answer = lambda call: call.result({})
    await AsyncPty(session).list()
    assert heard == []
