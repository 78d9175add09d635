"""The pages of a session's browser: which one is meant, and what comes and goes with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast

import anyio
import attrs

from ...errors import AgentBayError
from .._chromium.cdp import BrowserLost, Cdp, CdpRefused, Events
from .._errors import ToolFailure
from ..sandbox import Sandbox
from . import scripts
from .page import Page

T = TypeVar("T")

# Seconds for a page to load, to come to rest, and to tell whether it is in front.
LOAD_LIMIT, _REST_LIMIT, _LOOK_LIMIT = 30.0, 3.0, 5.0
# Seconds for the browser to show a page, or to close it, after it said that it would.
_CHANGE_LIMIT = 5.0
_PAUSE = 0.05

# Seconds for an event that has been told already to be read.
_NOTICE_LIMIT = 0.02

# Seconds for the end of what has closed the page that it worked on.
_GRACE = 5.0

_BOX, _GONE = "Page.javascriptDialogOpening", "Target.detachedFromTarget"

_BLANK = "about:blank"
_SCHEMES = ("about", "blob", "chrome", "data", "file", "http", "https", "view-source")


@attrs.frozen
class Tab:
    """A page, as the browser lists it."""

    page_id: str
    title: str
    url: str


async def on_page(sandbox: Sandbox, page_id: str | None, work: Callable[[Page], Awaitable[T]]) -> T:
    """Do something on a page; boxes that its scripts open meanwhile are closed.

    Args:
        sandbox: The session whose browser it is.
        page_id: Which page; the one in front when it is None.
        work: What to do.

    Raises:
        ToolFailure: There is no such page, or no browser, or the work failed.
        EngineError: The session is gone.
    """
    async with Cdp.connect(sandbox) as cdp:
        target_id = await _target(cdp, page_id)
        page = Page(cdp, target_id, await cdp.attach(target_id))
        return await _attended(page, work)


async def _attended(page: Page, work: Callable[[Page], Awaitable[T]]) -> T:
    results, failures = list[T](), list[AgentBayError]()
    with page.cdp.events(_BOX, _GONE) as told:
        await page.send("Page.enable")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_attend, page, told, tasks.cancel_scope)
            try:
                results.append(await work(page))
            except AgentBayError as exc:
                failures.append(exc)  # raised below, as it is: not in the group's ExceptionGroup
            tasks.cancel_scope.cancel()
    if failures:
        raise failures[0]
    if not results:
        raise ToolFailure("the page was closed meanwhile", number=-1)
    return results[0]


async def _attend(page: Page, told: Events, scope: anyio.CancelScope) -> None:
    """Close the boxes of a page; end the work on it when it is gone."""
    try:
        async for event in told:
            if event.method == _BOX and event.session_id == page.session_id:
                # A page that is left may not keep its visitor.
                answer = {"accept": event.params.get("type") in ("beforeunload", "alert")}
                await page.cdp.tell(
                    "Page.handleJavaScriptDialog", answer, session_id=page.session_id
                )
            elif event.method == _GONE and event.params.get("sessionId") == page.session_id:
                page.closed.set()
                # Who has closed it gets to tell so.
                await anyio.sleep(_GRACE)
                scope.cancel()
    except BrowserLost:
        return  # the work notices as well


async def tabs(cdp: Cdp) -> list[Tab]:
    """The pages that are open, in no order that lasts."""
    found = (await cdp.send("Target.getTargets")).get("targetInfos")
    infos = cast("list[Mapping[str, Any]]", found if isinstance(found, list) else [])
    pages = [info for info in infos if info.get("type") == "page"]
    return [
        Tab(str(info.get("targetId")), str(info.get("title")), str(info.get("url")))
        for info in pages
        if not str(info.get("url")).startswith("devtools://")
    ]


async def open_tab(cdp: Cdp) -> str:
    """Open an empty page in front of the others; returns its id."""
    made = await cdp.send("Target.createTarget", {"url": _BLANK})
    page_id = str(made.get("targetId", ""))
    await _until_front(cdp, page_id)
    return page_id


async def switch_tab(cdp: Cdp, page_id: str) -> None:
    """Bring a page in front of the others."""
    await cdp.send("Target.activateTarget", {"targetId": page_id})
    await _until_front(cdp, page_id)


async def close_tab(cdp: Cdp, page_id: str) -> None:
    """Close a page.

    Raises:
        ToolFailure: It stays open.
    """
    await cdp.send("Target.closeTarget", {"targetId": page_id})
    deadline = anyio.current_time() + _CHANGE_LIMIT
    while page_id in [tab.page_id for tab in await tabs(cdp)]:
        if anyio.current_time() > deadline:
            raise ToolFailure(f"tab {page_id} is still open: its page may ask whether to leave")
        await anyio.sleep(_PAUSE)


async def _until_front(cdp: Cdp, page_id: str) -> None:
    """Wait until a page is in front; in a window that nobody sees none is, until a limit."""
    deadline = anyio.current_time() + _CHANGE_LIMIT
    while anyio.current_time() < deadline:
        found = [tab.page_id for tab in await tabs(cdp)]
        if page_id in found and await _front(cdp, found) == page_id:
            return
        await anyio.sleep(_PAUSE)


async def navigate(page: Page, url: str) -> str:
    """Open an address in a page and wait until it has loaded; returns what came of it.

    Raises:
        ToolFailure: It cannot be opened; says why.
    """
    check_address(url)
    reply = await page.cdp.send(
        "Page.navigate", {"url": url}, session_id=page.session_id, limit=LOAD_LIMIT + 5
    )
    if reply.get("isDownload"):
        return f"{url} is downloaded"
    if reason := reply.get("errorText"):
        raise ToolFailure(f"Navigation failed: {reason} at {url}", number=-1)
    if not await loaded(page):
        return f"opened {url}, which has not loaded within {LOAD_LIMIT:g} seconds"
    return f"opened {url}"


def check_address(url: str) -> None:
    """Refuse what is no address of a page.

    Raises:
        ToolFailure: It is none; says what is missing.
    """
    scheme, colon, rest = url.strip().partition(":")
    if not colon or not rest or scheme.lower() not in _SCHEMES:
        raise ToolFailure(f"{url!r:.100} is no address: one begins with https://, for example")


async def loaded(page: Page, limit: float = LOAD_LIMIT) -> bool:
    """Wait until the document of a page is complete; False when it is not in time."""
    deadline = anyio.current_time() + limit
    while anyio.current_time() < deadline:
        try:
            if await page.run(await page.main_frame(), scripts.READY) == "complete":
                return True
        except CdpRefused:  # one document makes room for the next one
            pass
        await anyio.sleep(_PAUSE)
    return False


async def at_rest(page: Page, limit: float = _REST_LIMIT) -> None:
    """Wait until a page comes to rest after something was done on it, within a limit."""
    deadline = anyio.current_time() + limit
    while (left := deadline - anyio.current_time()) > 0:
        try:
            await page.run(await page.main_frame(), scripts.REST, round(left * 1000))
        except CdpRefused:  # it has gone on to another document
            await anyio.sleep(_PAUSE)
            continue
        return


async def settled(page: Page, work: Callable[[], Awaitable[T]]) -> T | None:
    """Do something on a page, and wait until what it set off has come to rest.

    Returns:
        What it returned; None when the page was closed by it.
    """
    results = list[T]()
    names = ("Page.frameStartedNavigating", "Page.frameStoppedLoading")
    with page.cdp.events(*names, session_id=page.session_id) as events:

        async def all_of_it() -> None:
            results.append(await work())
            await at_rest(page)
            if await _leaves(page, events):
                await at_rest(page)

        await page.until_closed(all_of_it)
    return results[0] if results else None


async def _leaves(page: Page, events: Events) -> bool:
    """Whether a page goes to another document; waits until that has loaded, within a limit."""
    main = (await page.main_frame()).frame_id
    leaves, limit = False, _NOTICE_LIMIT
    deadline = anyio.current_time() + LOAD_LIMIT
    while anyio.current_time() < deadline:
        try:
            event = await events.next(limit)
        except BrowserLost:
            raise
        except ToolFailure:  # nothing more has been told
            break
        if event.params.get("frameId") == main:
            begins = event.method == "Page.frameStartedNavigating"
            leaves, limit = leaves or begins, LOAD_LIMIT if begins else _NOTICE_LIMIT
    return leaves


async def _target(cdp: Cdp, page_id: str | None) -> str:
    """The page that is meant; one is opened when there is none at all."""
    found = [tab.page_id for tab in await tabs(cdp)]
    if page_id is not None:
        if page_id not in found:
            raise ToolFailure(f"there is no page {page_id!r:.60}: it may have been closed")
        return page_id
    if not found:
        return await open_tab(cdp)
    return await _front(cdp, found)


async def _front(cdp: Cdp, page_ids: list[str]) -> str:
    """The page that is in front of the others; the first one when none is."""
    for page_id in page_ids:
        if len(page_ids) == 1 or await _in_front(cdp, page_id):
            return page_id
    return page_ids[0]


async def _in_front(cdp: Cdp, target_id: str) -> bool:
    """Whether a page is shown, rather than behind another one."""
    question = {"expression": f"({scripts.IN_FRONT})()", "returnByValue": True}
    try:
        session_id = await cdp.attach(target_id)
        reply = await cdp.send(
            "Runtime.evaluate", question, session_id=session_id, limit=_LOOK_LIMIT
        )
        await cdp.tell("Target.detachFromTarget", {"sessionId": session_id})
    except BrowserLost:
        raise
    except ToolFailure:  # it has been closed, or is stuck
        return False
    return cast("dict[str, Any]", reply.get("result", {})).get("value") is True
