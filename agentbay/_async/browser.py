"""The browser of a session."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from .._results.base import raising
from ..errors import AgentBayError, APIError, BrowserError, InvalidInputError, UnavailableError
from ..protocol.browser import (
    BrowserNotifyMessage,
    BrowserOption,
    GetCdpLink,
    InitBrowser,
    StopChrome,
)
from ..protocol.sessions import GetLink, LinkData
from ._page import Page, capture
from ._resource import Resource

# Seconds: a browser starts, and what its contexts hold is brought to it, before the answer.
_START_LIMIT = 120.0

# What the gateway of a region answers to actions that it does not have.
_NOT_OFFERED = "InvalidAction.NotFound"

_BEHAVIOR = "AGENTBAY_BROWSER_BEHAVIOR_SIMULATE"


class AsyncBrowser(Resource):
    """Starts the browser of a session, and tells where it takes DevTools commands.

    Example:
        if not await session.browser.initialize():
            raise session.browser.error
        url = await session.browser.get_endpoint_url()
        browser = await playwright.chromium.connect_over_cdp(url)
    """

    _option: BrowserOption | None = None
    _initialized: bool = False
    _port: int | None = None
    _error: AgentBayError | None = None

    async def initialize(self, option: BrowserOption | None = None) -> bool:
        """Start the browser. One that is started already is left as it is.

        Args:
            option: How it is to be; `BrowserOption()` by default.

        Returns:
            Whether it runs. When it does not, `error` says why.

        Raises:
            InvalidInputError: `option` is no `BrowserOption`.
        """
        wanted = BrowserOption() if option is None else option
        if not isinstance(wanted, BrowserOption):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(f"option must be a BrowserOption, not {wanted!r:.80}")
        if self._initialized:
            return True
        try:
            await self._start(wanted)
        except AgentBayError as exc:
            self._error = exc
            return False
        return True

    init = initialize

    def attach(self, option: BrowserOption | None = None, *, port: int | None = None) -> None:
        """Use a browser that was started before, such as by the program that made the session.

        Args:
            option: What `get_option` is to tell.
            port: Where it listens inside the session; needed in a private network only.
        """
        self._option, self._port = option, port
        self._initialized, self._error = True, None

    @raising(BrowserError)
    async def destroy(self) -> None:
        """Stop the browser. It can be initialized again after that.

        Raises:
            BrowserError: There is no browser, or it could not be stopped.
        """
        self._check()
        await self._call(StopChrome())
        self._initialized, self._option, self._port = False, None, None

    @raising(BrowserError)
    async def get_endpoint_url(self) -> str:
        """Tell where the browser takes DevTools commands.

        The address holds a credential that expires, so ask for it shortly before it is used.

        Raises:
            BrowserError: There is no browser, or the service gives no address.

        Example:
            browser = await playwright.chromium.connect_over_cdp(
                await session.browser.get_endpoint_url()
            )
        """
        self._check()
        address = self._session.network_interface_ip
        if self._session.is_vpc and address and self._port is not None:
            return f"ws://{address}:{self._port}"
        return (await self._link()).url

    def get_option(self) -> BrowserOption | None:
        """The option that the browser was started with; None while there is no browser."""
        return self._option

    def is_initialized(self) -> bool:
        """Whether the browser was started, or attached to, through this object."""
        return self._initialized

    @property
    def error(self) -> AgentBayError | None:
        """Why the browser did not start; None when it did, or was not asked to."""
        return self._error

    @property
    def endpoint_router_port(self) -> int | None:
        """The port on which the browser listens in the session; None when there is none."""
        return self._port

    def screenshot(self, page: Page, full_page: bool = False, **options: Any) -> Any:
        """Take a picture of a Playwright page, after its late parts have loaded.

        The page is scrolled to its end, so that what loads on the way does. While the
        picture is taken, the viewport is 1920 wide and as high as the page (10000 at most).

        Args:
            page: A page of Playwright, of its blocking or its asynchronous interface.
            full_page: Show the whole page, also what is outside of the viewport.
            options: Passed on to the page's own `screenshot`; they win over our choices.

        Returns:
            The bytes of the picture; for an asynchronous page, an awaitable for them.

        Raises:
            InvalidInputError: No page was given.
            BrowserError: There is no browser, or the page cannot be shown.

        Example:
            picture = await session.browser.screenshot(page, full_page=True)
        """
        self._check()
        return capture(page, full_page=full_page, options=options)

    @property
    def operator(self) -> NoReturn:
        """Not in this release: acting on pages in natural language."""
        raise _later("browser.operator", "acting on pages in natural language")

    @property
    def agent(self) -> NoReturn:
        """Not in this release: acting on pages in natural language."""
        raise _later("browser.agent", "acting on pages in natural language")

    async def register_callback(
        self, callback: Callable[[BrowserNotifyMessage], Awaitable[object]]
    ) -> bool:
        """Not in this release: messages of the browser come with the WebSocket connection."""
        raise _later("browser.register_callback", "messages of the browser")

    async def unregister_callback(self) -> None:
        """Not in this release: messages of the browser come with the WebSocket connection."""
        raise _later("browser.unregister_callback", "messages of the browser")

    async def send_notify_message(self, notify_message: BrowserNotifyMessage) -> bool:
        """Not in this release: messages to the browser come with the WebSocket connection."""
        raise _later("browser.send_notify_message", "messages to the browser")

    async def send_takeover_done(self, notify_id: int) -> bool:
        """Not in this release: messages to the browser come with the WebSocket connection."""
        raise _later("browser.send_takeover_done", "messages to the browser")

    async def _start(self, option: BrowserOption) -> None:
        values = {**option.to_map(), **self._surroundings()}
        call = InitBrowser(self._session.session_id, values)
        reply = await self._session.get_client().send(call, timeout=_START_LIMIT)
        self.attach(option, port=reply.value.port)

    def _surroundings(self) -> dict[str, bool]:
        """What the service is told that is no part of the option."""
        values: dict[str, bool] = {}
        if _BEHAVIOR in os.environ:
            values["behaviorSimulate"] = os.environ[_BEHAVIOR] != "0"
        if self._session.enableBrowserReplay:
            values["enableRecord"] = True
        return values

    async def _link(self) -> LinkData:
        client, session_id = self._session.get_client(), self._session.session_id
        try:
            return (await client.send(GetCdpLink(session_id))).value
        except APIError as exc:
            if exc.code != _NOT_OFFERED:
                raise
        # The first generation of the service: a link to nothing else is one to the browser.
        return (await client.send(GetLink(session_id))).value

    def _check(self) -> None:
        if not self._initialized:
            raise BrowserError("there is no browser: call initialize() first")


def _later(name: str, what: str) -> UnavailableError:
    return UnavailableError(
        f"{name} is not in this release of agentbay: {what} comes with the WebSocket connection"
    )
