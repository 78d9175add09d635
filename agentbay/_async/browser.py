"""The browser of a session."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Coroutine
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .._results.base import raising
from ..errors import AgentBayError, APIError, BrowserError, InvalidInputError
from ..protocol._checks import as_kind
from ..protocol.browser import (
    BrowserNotifyMessage,
    BrowserOption,
    GetCdpLink,
    InitBrowser,
    StopChrome,
)
from ..protocol.session_details import GetLink, LinkData
from ._notifications import SERVER as NOTIFICATIONS
from ._notifications import Notifications, takeover_done
from ._page import Page, capture
from ._resource import Resource

if TYPE_CHECKING:
    from .browser_operator import AsyncBrowserOperator

# Seconds: a browser starts, and what its contexts hold is brought to it, before the answer.
_START_LIMIT = 120.0

# What the gateway of a region answers to actions that it does not have.
_NOT_OFFERED = "InvalidAction.NotFound"

# What the service says when the browser has ended by itself, or never was started.
_ENDED = ("BrowserEnded", "BrowserNotStarted")

_BEHAVIOR = "AGENTBAY_BROWSER_BEHAVIOR_SIMULATE"


class AsyncBrowser(Resource):
    """Starts the browser of a session, and tells where it takes DevTools commands.

    Example:
        ```python
        if not await session.browser.initialize():
            raise session.browser.error
        url = await session.browser.get_endpoint_url()
        browser = await playwright.chromium.connect_over_cdp(url)
        ```
    """

    _option: BrowserOption | None = None
    _initialized: bool = False
    _gone: bool = False
    _port: int | None = None
    _error: AgentBayError | None = None
    _notifications: Notifications | None = None

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
        return self.is_initialized() or await self._worked(self._start(wanted))

    init = initialize

    def attach(self, option: BrowserOption | None = None, *, port: int | None = None) -> None:
        """Use a browser that was started before, such as by the program that made the session.

        Args:
            option: What `get_option` is to tell.
            port: Where it listens inside the session; needed in a private network only.
        """
        self._option = None if option is None else as_kind("option", option, BrowserOption)
        self._port = port
        self._initialized, self._gone, self._error = True, False, None

    @raising(BrowserError)
    async def destroy(self) -> None:
        """Stop the browser. It can be initialized again after that.

        Raises:
            BrowserError: There is no browser, or it could not be stopped.
        """
        self._check()
        await self._call(StopChrome())
        self._ended()

    @raising(BrowserError)
    async def get_endpoint_url(self) -> str:
        """Tell where the browser takes DevTools commands.

        The address holds a credential that expires, so ask for it shortly before it is used.

        Raises:
            BrowserError: There is no browser, or the service gives no address. A browser that
                has ended by itself can be initialized again after that.

        Example:
            ```python
            browser = await playwright.chromium.connect_over_cdp(
                await session.browser.get_endpoint_url()
            )
            ```
        """
        self._check()
        address = self._session.network_interface_ip
        if self._session.is_vpc and address and self._port is not None:
            return f"ws://{address}:{self._port}"
        return (await self._link()).url

    def _ended(self) -> None:
        self._initialized, self._option, self._port = False, None, None

    def get_option(self) -> BrowserOption | None:
        """The option that the browser was started with; None while there is no browser."""
        return self._option

    def is_initialized(self) -> bool:
        """Whether the browser was started, or attached to, and is not known to have ended."""
        return self._initialized and not self._gone

    @property
    def error(self) -> AgentBayError | None:
        """Why the browser did not start, or what else answered False; None before that."""
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
            ```python
            picture = await session.browser.screenshot(page, full_page=True)
            ```
        """
        self._check()
        return capture(page, full_page=full_page, options=options)

    @cached_property
    def operator(self) -> AsyncBrowserOperator:
        """Act on pages in natural language."""
        from .browser_operator import AsyncBrowserOperator

        return AsyncBrowserOperator(self._session, self)

    @property
    def agent(self) -> AsyncBrowserOperator:
        """Same as `operator`."""
        return self.operator

    async def register_callback(
        self, callback: Callable[[BrowserNotifyMessage], Awaitable[object] | None]
    ) -> bool:
        """Be told when the browser needs its user, or needs them no longer.

        Replaces the callback that was registered before. When it raises, that is logged, and
        it is called for the next message all the same.

        Args:
            callback: Receives each message. It may answer with `send_takeover_done`.

        Returns:
            Whether the session can tell. When it cannot, `error` says why.

        Raises:
            InvalidInputError: `callback` cannot be called.

        Example:
            ```python
            async def help(message: BrowserNotifyMessage) -> None:
                if message.action == "takeover":
                    await solve_captcha()
                    await session.browser.send_takeover_done(message.id)

            await session.browser.register_callback(help)
            ```
        """
        if not callable(callback):
            raise InvalidInputError(f"callback must be a function, not {callback!r:.80}")
        return await self._worked(self._hear(callback))

    async def unregister_callback(self) -> None:
        """Be told nothing more. What else uses the session's connection is not disturbed."""
        notifications, self._notifications = self._notifications, None
        if notifications is not None:
            notifications.stop()

    async def send_notify_message(self, notify_message: BrowserNotifyMessage) -> bool:
        """Tell the browser something about its user.

        Args:
            notify_message: What to tell.

        Returns:
            Whether it was sent. When it was not, `error` says why.

        Raises:
            InvalidInputError: `notify_message` is no `BrowserNotifyMessage`.
        """
        if not isinstance(notify_message, BrowserNotifyMessage):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(
                f"notify_message must be a BrowserNotifyMessage, not {notify_message!r:.80}"
            )
        return await self._worked(self._tell(notify_message))

    async def send_takeover_done(self, notify_id: int) -> bool:
        """Tell the browser that its user did what it asked for.

        Args:
            notify_id: The `id` of the message that asked.

        Returns:
            Whether it was sent. When it was not, `error` says why.

        Raises:
            InvalidInputError: `notify_id` is no whole number.
        """
        if not isinstance(notify_id, int) or isinstance(notify_id, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(f"notify_id must be a whole number, not {notify_id!r:.80}")
        return await self.send_notify_message(takeover_done(notify_id))

    async def _worked(self, work: Coroutine[Any, Any, None]) -> bool:
        """Whether something worked; if not, `error` says why."""
        try:
            await work
        except AgentBayError as exc:
            self._error = exc
            return False
        return True

    async def _hear(
        self, callback: Callable[[BrowserNotifyMessage], Awaitable[object] | None]
    ) -> None:
        connection = await self._session._websocket()
        async with connection.subscribe(NOTIFICATIONS):  # opens it
            await self.unregister_callback()
            self._notifications = Notifications(connection, callback)

    async def _tell(self, message: BrowserNotifyMessage) -> None:
        connection = await self._session._websocket()
        await connection.send_data(NOTIFICATIONS, message.to_map())

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
            if exc.code in _ENDED:
                self._gone = True
            if exc.code != _NOT_OFFERED:
                raise
        # The first generation of the service: a link to nothing else is one to the browser.
        return (await client.send(GetLink(session_id))).value

    def _check(self) -> None:
        if not self._initialized:
            raise BrowserError("there is no browser: call initialize() first")
