"""Find out which page of a browser a Playwright page is.

A page of Playwright's blocking interface works in the thread that made it and in no other.
The blocking classes do their work on another one, so they look before they go there.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import Any, Protocol, cast

import anyio
import attrs

from .._deadline import cleaning_up
from ..errors import BrowserError, InvalidInputError
from ._page import page_errors

_QUESTION = "Target.getTargetInfo"

# Seconds for a browser to tell, and to be rid of the connection that was asked.
_LIMIT, _CLEAN_UP_LIMIT = 15.0, 5.0


class PlaywrightPage(Protocol):
    """What is used of a Playwright page."""

    @property
    def context(self) -> Any:
        """The context of the browser that the page is in."""
        ...


@attrs.frozen
class PageTarget:
    """Which page of the browser: the one in front when it has no identifier."""

    page_id: str | None = None
    context_id: int = 0


AnyPage = PlaywrightPage | PageTarget


def page_target(page: AnyPage) -> PageTarget:
    """Find a page of the blocking interface; to be called in the thread of the page.

    Raises:
        InvalidInputError: It is no page.
        BrowserError: It is one of the asynchronous interface, or its browser does not tell.
    """
    if isinstance(page, PageTarget):
        return page
    context, asynchronous = _context(page)
    if asynchronous:
        raise BrowserError(
            "the page is one of Playwright's asynchronous interface: await the method whose "
            "name ends in _async, in the event loop of the page"
        )
    try:
        connection = context.new_cdp_session(page)
        try:
            answer = connection.send(_QUESTION)
        finally:
            connection.detach()
        return _target(answer, context)
    except page_errors() as exc:
        raise BrowserError(f"the page cannot be found in the browser: {exc}") from exc
    except _thread_errors() as exc:
        reason = "the page belongs to another thread: use it in the one that made it"
        raise BrowserError(reason) from exc


async def find_page(page: AnyPage | None) -> PageTarget:
    """Find a page of the asynchronous interface; without a page, the one in front.

    Raises:
        InvalidInputError: It is no page.
        BrowserError: It is one of the blocking interface, or its browser does not tell.
    """
    if page is None:
        return PageTarget()
    if isinstance(page, PageTarget):
        return page
    context, asynchronous = _context(page)
    if not asynchronous:
        raise BrowserError(
            "the page is one of Playwright's blocking interface, which cannot be used in an "
            "event loop: use it with the blocking classes of agentbay"
        )
    try:
        with anyio.fail_after(_LIMIT):
            return await _ask(page, context)
    except TimeoutError as exc:
        reason = f"the browser has not told within {_LIMIT:g} s which page it is"
        raise BrowserError(reason) from exc
    except page_errors() as exc:
        raise BrowserError(f"the page cannot be found in the browser: {exc}") from exc


async def _ask(page: PlaywrightPage, context: Any) -> PageTarget:
    connection = await context.new_cdp_session(page)
    try:
        answer = await connection.send(_QUESTION)
    finally:
        with cleaning_up(_CLEAN_UP_LIMIT):
            await connection.detach()
    return _target(answer, context)


def _context(page: PlaywrightPage) -> tuple[Any, bool]:
    """The context of a page, and whether it belongs to the asynchronous interface."""
    context = getattr(page, "context", None)
    connect = getattr(context, "new_cdp_session", None)
    if not callable(connect):
        raise InvalidInputError(f"page must be a Playwright page, not {page!r:.80}")
    return context, inspect.iscoroutinefunction(connect)


def _target(answer: Any, context: Any) -> PageTarget:
    facts = cast("Mapping[str, Any]", answer if isinstance(answer, Mapping) else {})
    page_id = facts.get("targetInfo", {}).get("targetId")
    if not page_id:
        raise BrowserError("the browser does not tell which page it is")
    # A context that was made on its own has no browser that could list it.
    contexts: list[Any] = getattr(getattr(context, "browser", None), "contexts", [])
    return PageTarget(page_id, contexts.index(context) if context in contexts else 0)


def _thread_errors() -> tuple[type[Exception], ...]:
    """What a page of another thread raises; Playwright brings the module."""
    module: Any = sys.modules.get("greenlet")
    return () if module is None else (module.error,)
