"""Which page of a browser a page of Playwright is, whichever interface it belongs to."""

from __future__ import annotations

import json
import sys
import types
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from agentbay._async import _page_target
from agentbay._async._page_target import PageTarget, find_page, page_target
from agentbay._async.browser import AsyncBrowser
from agentbay._async.browser_operator import AsyncBrowserOperator
from agentbay.errors import BrowserError

from .service import Service, session_of, tool_says


def _operator() -> tuple[Service, AsyncBrowserOperator]:
    service = Service(lambda _: tool_says("cGljdHVyZQ=="))
    browser = AsyncBrowser(session_of(service))
    browser.attach()
    return service, AsyncBrowserOperator(browser._session, browser)


class Connection:
    """The DevTools connection of a page of either interface."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.detached = answer, 0

    def send(self, method: str) -> Any:
        assert method == "Target.getTargetInfo"
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def detach(self) -> None:
        self.detached += 1


class AsyncConnection:
    """The same, for those who await."""

    def __init__(self, connection: Connection, delay: float = 0) -> None:
        self.connection, self.delay = connection, delay

    async def send(self, method: str) -> Any:
        await anyio.sleep(self.delay)
        return self.connection.send(method)

    async def detach(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.connection.detach()


def page_of(connection: Any, *, place: int = 0, browser: bool = True) -> Any:
    """A page as Playwright makes them; asynchronous when its connection is."""
    page = types.SimpleNamespace()

    async def connect(asked: object) -> Any:
        await anyio.lowlevel.checkpoint()
        assert asked is page
        return connection

    def connect_now(asked: object) -> Any:
        assert asked is page
        return connection

    context = types.SimpleNamespace(browser=None)
    blocking = isinstance(connection, Connection)
    context.new_cdp_session = connect_now if blocking else connect
    if browser:
        others = [types.SimpleNamespace() for _ in range(place)]
        context.browser = types.SimpleNamespace(contexts=[*others, context])
    page.context = context
    return page


TARGET = {"targetInfo": {"targetId": "TT", "type": "page"}}


async def test_a_page_is_named_by_what_its_browser_calls_it() -> None:
    connection = Connection(TARGET)
    service, operator = _operator()
    await operator.screenshot(page_of(AsyncConnection(connection), place=2))
    (sent,) = service.sent
    arguments = json.loads(sent.form["Args"])
    assert (arguments["page_id"], arguments["context_id"]) == ("TT", 2)
    assert connection.detached == 1


@pytest.mark.parametrize("browser", [True, False])
def test_a_page_of_the_blocking_interface_is_found_in_its_own_thread(browser: bool) -> None:
    connection = Connection(TARGET)
    found = page_target(page_of(connection, place=1, browser=browser))
    assert found == PageTarget("TT", 1 if browser else 0)
    assert connection.detached == 1
    assert page_target(found) is found


@pytest.mark.parametrize("answer", [{}, {"targetInfo": {}}, None])
async def test_a_browser_that_does_not_tell_is_an_error(answer: Any) -> None:
    service, operator = _operator()
    with pytest.raises(BrowserError, match="which page"):
        page_target(page_of(Connection(answer)))
    with pytest.raises(BrowserError, match="which page"):
        await operator.screenshot(page_of(AsyncConnection(Connection(answer))))
    assert service.sent == []


async def test_a_browser_that_says_nothing_is_waited_for_some_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_page_target, "_LIMIT", 0.05)
    connection = Connection(TARGET)
    with anyio.fail_after(30), pytest.raises(BrowserError, match=r"0\.05 s"):
        await find_page(page_of(AsyncConnection(connection, 60)))
    assert connection.detached == 1


async def test_what_playwright_raises_is_a_browser_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class ClosedError(Exception):
        pass

    api: Any = types.SimpleNamespace(Error=ClosedError)
    monkeypatch.setitem(sys.modules, "playwright.async_api", api)
    connection = Connection(ClosedError("page closed"))
    with pytest.raises(BrowserError, match="page closed"):
        await find_page(page_of(AsyncConnection(connection)))
    with pytest.raises(BrowserError, match="page closed"):
        page_target(page_of(connection))
    assert connection.detached == 2


def test_a_page_of_another_thread_is_a_browser_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class SwitchError(Exception):
        pass

    greenlet: Any = types.SimpleNamespace(error=SwitchError)
    monkeypatch.setitem(sys.modules, "greenlet", greenlet)
    with pytest.raises(BrowserError, match="another thread"):
        page_target(page_of(Connection(SwitchError("cannot switch to a different thread"))))


async def test_a_page_of_the_wrong_interface_is_refused_rather_than_waited_for() -> None:
    service, operator = _operator()
    with pytest.raises(BrowserError, match="blocking interface"):
        await operator.screenshot(page_of(Connection(TARGET)))
    with pytest.raises(BrowserError, match="asynchronous interface"):
        page_target(page_of(AsyncConnection(Connection(TARGET))))
    assert service.sent == []
