"""Act on the pages of a session's browser in natural language."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

import attrs

from .._params.browser_operator import LIMIT, ActOptions, ExtractOptions, ObserveOptions, T
from .._results.base import raising
from .._results.browser_operator import ActResult, ObserveResult
from .._transport import Reply
from ..errors import APIError, BrowserError, InvalidInputError, ToolError
from ..protocol import browser_operator as tools
from ..protocol._checks import as_dict
from ._page_target import AnyPage, find_page
from ._page_tasks import result_of
from ._resource import Resource

if TYPE_CHECKING:
    from ..protocol._calls import Tool
    from .browser import AsyncBrowser
    from .session import AsyncSession

R = TypeVar("R")

# Seconds for a page to load, to be shown, or to begin with a task.
_CALL_LIMIT = 60.0

# A time limit from here on is meant in milliseconds; programs of the first generation do so.
_MILLISECONDS = 1000

# How often in a row a task may refuse to tell its result. The service is not known to refuse
# while it is busy, but its own clients would not notice.
_REFUSALS = 20


class AsyncBrowserOperator(Resource):
    """Does on the pages of a browser what it is told in plain words.

    The browser has to be initialized before. Where a `page` of Playwright can be given, it is
    the page in front of the browser by default; the object has to be connected to the same
    browser, over `browser.get_endpoint_url`.

    Methods raise `BrowserError` when something cannot be done, and `InvalidInputError` for
    arguments that make no sense, before anything is sent.

    Example:
        ```python
        operator = session.browser.operator
        await operator.navigate("https://example.com")
        result = await operator.act(ActOptions("open the first link"))
        print(result.success, result.message)
        ```
    """

    def __init__(self, session: AsyncSession, browser: AsyncBrowser) -> None:
        super().__init__(session)
        self._browser = browser

    async def navigate(self, url: str) -> str:
        """Open an address.

        Args:
            url: The address.

        Returns:
            What the service says about it.

        Raises:
            BrowserError: The page could not be opened, or there is no browser.

        Example:
            ```python
            await session.browser.operator.navigate("https://example.com")
            ```
        """
        return (await self._ask(tools.Navigate(url))).value

    async def screenshot(
        self,
        page: AnyPage | None = None,
        full_page: bool = True,
        quality: int = 80,
        clip: Mapping[str, float] | None = None,
        timeout: float | None = None,
    ) -> str:
        """Take a picture of a page.

        Args:
            page: Which page.
            full_page: Show all of it, also what is outside of the viewport.
            quality: Quality of the picture from 0 to 100, where its format has any.
            clip: Show this part only: ``x``, ``y``, ``width`` and ``height`` in pixels.
            timeout: How long the service may take, in seconds; passed on as it is.

        Returns:
            A data URL with the picture in base64, or the base64 alone; as the service sends
            it. `screenshot_bytes` gives the picture itself.

        Raises:
            BrowserError: The picture could not be taken, or there is no browser.
        """
        part = None if clip is None else as_dict("clip", clip)
        call = tools.TakePicture(full_page, quality, part, timeout)
        return (await self._ask(await self._placed(call, page), _patience(timeout))).value

    async def screenshot_bytes(
        self,
        page: AnyPage | None = None,
        full_page: bool = True,
        quality: int = 80,
        clip: Mapping[str, float] | None = None,
        timeout: float | None = None,
    ) -> bytes:
        """Take a picture of a page, with the arguments of `screenshot`, and decode it.

        Raises:
            BrowserError: The picture could not be taken, it is none, or there is no browser.

        Example:
            ```python
            picture = await session.browser.operator.screenshot_bytes()
            Path("page.png").write_bytes(picture)
            ```
        """
        text = await self.screenshot(page, full_page, quality, clip, timeout)
        try:
            return base64.b64decode(text.rpartition(",")[2], validate=True)
        except ValueError as exc:
            raise BrowserError(f"the service sent no picture: {exc}") from exc

    async def close(self) -> bool:
        """End the work on the pages; the browser goes on.

        Returns:
            Whether the service did it. False also means that there was nothing to end.

        Raises:
            BrowserError: No answer came back.
        """
        return await self._end()

    async def act(
        self, action_input: ActOptions | ObserveResult, page: AnyPage | None = None
    ) -> ActResult:
        """Do something on a page, and wait until it is done.

        Args:
            action_input: What to do; or one of the results of `observe`, to do just that.
            page: Which page.

        Returns:
            Whether it worked, and the steps that were taken.

        Raises:
            BrowserTimeoutError: It has not ended in time; it may go on.
            BrowserError: It was not begun, or the service does not tell how it ended.

        Example:
            ```python
            options = ActOptions("search for agentbay", timeout=120)
            result = await session.browser.operator.act(options)
            print(result.message)
            ```
        """
        if isinstance(action_input, ObserveResult):
            action_input = ActOptions(action_input.action())
        options = _checked(action_input, ActOptions, "action_input")
        call = await self._placed(_traced(options.call()), page)
        done = await self._finish(call, tools.GetActResult, options.limit)
        state = done.value
        return ActResult(state.success, _steps(state), request_id=done.request_id)

    async def observe(
        self, options: ObserveOptions, page: AnyPage | None = None
    ) -> tuple[bool, list[ObserveResult]]:
        """Look for what can be used on a page.

        Args:
            options: What to look for.
            page: Which page.

        Returns:
            True, and what was found, which may be nothing. A failure is an error.

        Raises:
            BrowserTimeoutError: It has not ended in time.
            BrowserError: It was not begun, or failed.

        Example:
            ```python
            operator = session.browser.operator
            _, found = await operator.observe(ObserveOptions("the search field"))
            if found:
                await operator.act(found[0])
            ```
        """
        options = _checked(options, ObserveOptions, "options")
        if self._knows("page_use_observe") and not self._knows("page_use_observe_async"):
            at_once = await self._placed(options.call_at_once(), page)
            return True, (await self._ask(at_once, options.limit)).value
        call = await self._placed(_traced(options.call()), page)
        done = await self._finish(call, tools.GetObserveResult, options.limit, _REFUSALS)
        return True, done.value

    async def extract(
        self, options: ExtractOptions[T], page: AnyPage | None = None
    ) -> tuple[bool, T]:
        """Read data off a page.

        Args:
            options: What to read, and the shape of the data.
            page: Which page.

        Returns:
            True, and the data: an object of the model class, or what JSON makes of it where
            the shape is a JSON schema. A failure is an error.

        Raises:
            BrowserTimeoutError: It has not ended in time.
            BrowserError: It was not begun, it failed, or the data does not fit the model.

        Example:
            ```python
            schema = {"type": "object", "properties": {"price": {"type": "number"}}}
            options = ExtractOptions("the price of the product", schema)
            _, data = await session.browser.operator.extract(options)
            print(data["price"])
            ```
        """
        wanted: ExtractOptions[T] = _checked(options, ExtractOptions, "options")
        call = await self._placed(_traced(wanted.call()), page)
        done = await self._finish(call, tools.GetExtractResult, wanted.limit, _REFUSALS)
        return True, wanted.made_of(done.value)

    async def login(
        self, login_config: str, page: AnyPage | None = None, use_vision: bool | None = False
    ) -> ActResult:
        """Log in to the site that a page shows.

        Args:
            login_config: JSON text with ``api_key`` and ``skill_id``, as the service gave
                them. It is kept out of logs and errors.
            page: Which page.
            use_vision: Let the service look at the page, not only read it.

        Returns:
            Whether it worked, and what the service says about it.

        Raises:
            BrowserError: No answer came back, or there is no browser.

        Example:
            ```python
            result = await session.browser.operator.login('{"api_key": "k", "skill_id": "s"}')
            print(result.success, result.message)
            ```
        """
        call = tools.Login(login_config, use_vision)
        return await self._log_in(await self._placed(call, page))

    # -- what the methods have in common -----------------------------------------------

    @raising(BrowserError)
    async def _ask(self, call: Tool[R], limit: float = _CALL_LIMIT) -> Reply[R]:
        self._browser._check()
        return await self._call(call, timeout=limit)

    @raising(BrowserError)
    async def _finish(
        self,
        call: Tool[tools.Task],
        question: Callable[[str], Tool[R | None]],
        limit: float,
        refusals: int = 5,
    ) -> Reply[R]:
        """Start a task, and wait for its result."""
        task = (await self._call(call, timeout=_CALL_LIMIT)).value.task_id
        asked = question(task)
        return await result_of(self._session, task, asked, limit=limit, refusals=refusals)

    @raising(BrowserError)
    async def _log_in(self, call: tools.Login) -> ActResult:
        try:
            reply = await self._call(call, timeout=LIMIT)
        except (ToolError, APIError) as exc:
            return ActResult(False, str(exc), request_id=exc.request_id, error=exc)
        return ActResult(True, reply.value, request_id=reply.request_id)

    @raising(BrowserError)
    async def _end(self) -> bool:
        try:
            await self._call(tools.CloseSession(), timeout=_CALL_LIMIT)
        except (ToolError, APIError):
            return False
        return True

    async def _placed(self, call: R, page: AnyPage | None) -> R:
        """The same call, for a page."""
        self._browser._check()
        target = await find_page(page)
        placed: R = attrs.evolve(
            cast("Any", call), page_id=target.page_id, context_id=target.context_id
        )
        return placed

    def _knows(self, tool: str) -> bool:
        return any(known.name == tool for known in self._session._mcp_tools)


def _checked(value: R, kind: type[object], name: str) -> R:
    if not isinstance(value, kind):
        raise InvalidInputError(f"{name} must be {kind.__name__}, not {value!r:.80}")
    return value


def _traced(call: R) -> R:
    """The same call, under a name by which the service can be asked about it."""
    traced: R = attrs.evolve(cast("Any", call), trace_id=uuid.uuid4().hex)
    return traced


def _steps(state: tools.ActState) -> str:
    if isinstance(state.steps, str):
        return state.steps
    return json.dumps(state.steps, ensure_ascii=False) if state.steps else "no step was taken"


def _patience(timeout: float | None) -> float:
    """Seconds to wait for a picture that the service may take some time for."""
    wanted = timeout or 0
    return _CALL_LIMIT + (wanted if wanted < _MILLISECONDS else wanted / 1000)
