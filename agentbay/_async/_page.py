"""Pictures of Playwright pages, whichever of its two interfaces a page belongs to."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Generator
from typing import Any, Protocol, cast

from .._deadline import cleaning_up
from ..errors import BrowserError, InvalidInputError

_WIDTH, _MOST = 1920, 10_000
_SCROLLS, _PAUSE_MS, _SETTLE_MS, _LOAD_MS = 8, 1200, 1500, 30_000

# Seconds to put the viewport back when the picture could not be taken.
_CLEAN_UP_LIMIT = 10.0

_SCROLL = """() => {
  const root = document.scrollingElement || document.documentElement;
  window.scrollTo(0, root.scrollHeight);
  return root.scrollHeight;
}"""

_SHOW_LATE_IMAGES = """() => {
  for (const image of document.querySelectorAll("img[data-src]")) {
    if (!image.src) image.src = image.dataset.src;
  }
  for (const node of document.querySelectorAll("[data-bg]")) {
    if (!node.style.backgroundImage) node.style.backgroundImage = `url("${node.dataset.bg}")`;
  }
}"""


class Page(Protocol):
    """What is used of a Playwright page; each method may return its value or an awaitable."""

    @property
    def viewport_size(self) -> Any:
        """Width and height; None when the page has those of its window."""
        ...

    def wait_for_load_state(self, state: Any = ..., *, timeout: float | None = ...) -> Any:
        """Wait until the page has loaded so far."""
        ...

    def wait_for_timeout(self, timeout: float) -> Any:
        """Wait for some milliseconds."""
        ...

    def evaluate(self, expression: str, arg: Any = ...) -> Any:
        """Run JavaScript in the page."""
        ...

    def set_viewport_size(self, viewport_size: Any) -> Any:
        """Change width and height."""
        ...

    def screenshot(self, **options: Any) -> Any:
        """Take the picture."""
        ...


# Each step yields what a method of the page returned, and gets the value that it stands for.
_Steps = Generator[Any, Any, bytes]


def capture(page: Page, *, full_page: bool, options: dict[str, Any]) -> Any:
    """The bytes of a picture, or an awaitable for them if the page is asynchronous.

    Raises:
        InvalidInputError: There is no page.
        BrowserError: The page cannot be shown.
    """
    if cast("object", page) is None:
        raise InvalidInputError("page must be a Playwright page, not None")
    steps = _steps(page, {**_DEFAULTS, "full_page": full_page, **options})
    try:
        value = next(steps)
        while not inspect.isawaitable(value):
            value = steps.send(value)
    except StopIteration as done:
        return done.value
    except page_errors() as exc:
        raise _failed(exc) from exc
    return _finish(steps, value)


_DEFAULTS: dict[str, Any] = {
    "animations": "disabled",
    "caret": "hide",
    "scale": "css",
    "timeout": 60_000,
    "type": "png",
}


def _steps(page: Page, options: dict[str, Any]) -> _Steps:
    yield page.wait_for_load_state("domcontentloaded", timeout=_LOAD_MS)
    height = yield page.evaluate(_SCROLL)
    for _ in range(_SCROLLS):
        yield page.wait_for_timeout(_PAUSE_MS)
        before, height = height, (yield page.evaluate(_SCROLL))
        if height == before:
            break
    yield page.evaluate(_SHOW_LATE_IMAGES)
    yield page.wait_for_timeout(_SETTLE_MS)
    viewport = page.viewport_size
    if viewport is None:  # it follows the window, and could not be told to do so again
        only: bytes = yield page.screenshot(**options)
        return only
    try:
        yield page.set_viewport_size({"width": _WIDTH, "height": max(1, min(int(height), _MOST))})
        picture: bytes = yield page.screenshot(**options)
    except GeneratorExit:  # nobody goes on with the steps, so nothing can be awaited
        raise
    except BaseException:  # whatever stopped it, the page is the user's
        yield page.set_viewport_size(viewport)
        raise
    yield page.set_viewport_size(viewport)
    return picture


async def _finish(steps: _Steps, pending: Awaitable[Any]) -> bytes:
    try:
        while True:
            try:
                value = await pending
            except GeneratorExit:
                raise
            except BaseException as exc:  # cancelled too: the steps clean up
                await _give_up(steps, exc)
                raise
            pending = steps.send(value)
    except StopIteration as done:
        return cast("bytes", done.value)
    except page_errors() as exc:
        raise _failed(exc) from exc


async def _give_up(steps: _Steps, reason: BaseException) -> None:
    """Let the steps clean up, also when the caller is cancelled."""
    with cleaning_up(_CLEAN_UP_LIMIT):
        try:
            await steps.throw(reason)
        except (type(reason), *page_errors()):
            return


def page_errors() -> tuple[type[Exception], ...]:
    """What Playwright raises; it is no dependency, so it is looked for where a page brings it."""
    modules = (sys.modules.get(f"playwright.{name}_api") for name in ("sync", "async"))
    return tuple({module.Error for module in modules if module is not None})


def _failed(exc: BaseException) -> BrowserError:
    return BrowserError(f"the page cannot be shown: {exc}")
