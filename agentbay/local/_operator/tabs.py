"""What is done to whole pages: where they go, and which of them are open."""

from __future__ import annotations

from typing import Any, cast

import attrs

from ...protocol._wire import named, to_json
from .._errors import ToolFailure
from .methods import Nothing, Step, method
from .page import Page
from .pages import check_address, close_tab, navigate, open_tab, switch_tab, tabs


@attrs.frozen
class _Address:
    url: str


@attrs.frozen
class _NewTab:
    url: str | None = None


@attrs.frozen
class _Tab:
    """A tab; the page itself when none is named."""

    page_id: str = named(also=("tab",), default="")


@method(_Address, "navigate", "goto", "go_to", settles=False)
async def _navigate(step: Step, call: _Address) -> str:
    return await navigate(step.page, call.url)


@method(Nothing, "back", "go_back")
async def _back(step: Step, _: Nothing) -> str:
    return await _go(step, -1)


@method(Nothing, "forward", "go_forward")
async def _forward(step: Step, _: Nothing) -> str:
    return await _go(step, 1)


async def _go(step: Step, distance: int) -> str:
    history = await step.page.send("Page.getNavigationHistory")
    entries = cast("list[dict[str, Any]]", history.get("entries", []))
    index = int(history.get("currentIndex", 0)) + distance
    if not 0 <= index < len(entries):
        raise ToolFailure("there is no page to go to", number=-1)
    await step.page.send("Page.navigateToHistoryEntry", {"entryId": entries[index].get("id")})
    return f"went to {entries[index].get('url')}"


@method(Nothing, "reload", "refresh")
async def _reload(step: Step, _: Nothing) -> str:
    await step.page.send("Page.reload")
    return "loaded the page again"


@method(Nothing, "list_tabs", "tabs", settles=False)
async def _list_tabs(step: Step, _: Nothing) -> str:
    found = await tabs(step.page.cdp)
    here = step.page.target_id
    return to_json([{**attrs.asdict(tab), "in_front": tab.page_id == here} for tab in found])


@method(_NewTab, "open_tab", "new_tab", "new_page", settles=False)
async def _open_tab(step: Step, call: _NewTab) -> str:
    if call.url:
        check_address(call.url)
    cdp = step.page.cdp
    page_id = await open_tab(cdp)
    if call.url:
        await navigate(Page(cdp, page_id, await cdp.attach(page_id)), call.url)
    return f"opened tab {page_id}"


@method(_Tab, "switch_tab", "activate_tab", settles=False)
async def _switch_tab(step: Step, call: _Tab) -> str:
    page_id = await _tab(step, call.page_id)
    await switch_tab(step.page.cdp, page_id)
    return f"switched to tab {page_id}"


@method(_Tab, "close_tab", "close_page", settles=False)
async def _close_tab(step: Step, call: _Tab) -> str:
    page_id = await _tab(step, call.page_id)
    if len(await tabs(step.page.cdp)) == 1:
        await open_tab(step.page.cdp)  # the browser ends with its last page
    await close_tab(step.page.cdp, page_id)
    return f"closed tab {page_id}"


async def _tab(step: Step, page_id: str) -> str:
    """The page id of a tab that is open; that of the page itself when none is named."""
    ids = [tab.page_id for tab in await tabs(step.page.cdp)]
    if page_id and page_id not in ids:
        raise ToolFailure(f"there is no tab {page_id!r:.60}: list_tabs tells the page ids")
    return page_id or step.page.target_id
