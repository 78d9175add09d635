"""The mouse and the keyboard of a page, and elements that are ready for them."""

from __future__ import annotations

from typing import Any, cast

import anyio
import attrs

from .._chromium.cdp import BrowserLost, CdpRefused
from .._errors import ToolFailure
from . import scripts
from .keys import Key, keys_of, written_with
from .page import Element, Page

# Seconds between two looks at an element that is not ready.
_PAUSE = 0.1


@attrs.frozen
class Place:
    """What is acted on: a selector, or an element that was found before."""

    selector: str = ""
    element: Element | None = None

    def __str__(self) -> str:
        return self.selector or "the element"


@attrs.frozen
class Spot:
    """An element that is ready, and where it is in the view of the page."""

    element: Element
    x: float
    y: float


async def ready(
    page: Page,
    place: Place,
    limit: float,
    *,
    enabled: bool = True,
    editable: bool = False,
    reachable: bool = True,
) -> Spot:
    """Wait until an element is there, can be seen, and is at rest; brings it into view.

    Args:
        page: Where it is.
        place: Which one.
        limit: Seconds to wait.
        enabled: It must not be disabled.
        editable: It must not be read-only.
        reachable: Nothing may cover it.

    Raises:
        ToolFailure: It has not become so in time; says why.
    """
    needed = {"enabled": enabled, "editable": editable, "reachable": reachable}
    # Looks are not cancelled when time is up: half a command ends the connection.
    deadline = anyio.current_time() + limit
    while isinstance(found := await _look(page, place, needed), str):
        if anyio.current_time() >= deadline:
            raise ToolFailure(f"{place} {found} (waited {limit:g} seconds)", number=-1)
        await anyio.sleep(_PAUSE)
    return found


async def _look(page: Page, place: Place, needed: dict[str, bool]) -> Spot | str:
    """The spot of an element, or why there is none."""
    try:
        element = place.element or await page.find(place.selector)
        if element is None:
            return "matches no element of the page"
        for owner in element.frame.owners:
            await page.ask(owner, scripts.SCROLL_TO)
        spot = await page.ask(element, scripts.SPOT, needed)
        for owner in reversed(element.frame.owners):
            if "why" in spot:
                break
            spot = await page.ask(owner, scripts.THROUGH, spot["x"], spot["y"], needed["reachable"])
    except CdpRefused:  # its document has gone meanwhile
        return "is not in the page any more"
    facts = cast("dict[str, Any]", spot if isinstance(spot, dict) else {})
    x, y = facts.get("x"), facts.get("y")
    if isinstance(x, int | float) and isinstance(y, int | float):
        return Spot(element, x, y)
    return str(facts.get("why", "cannot be used"))[:200]


class Mouse:
    """Moves and clicks, at points of the view."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def move(self, x: float, y: float) -> None:
        """Go to a point."""
        await self._send("mouseMoved", x, y)

    async def click(self, x: float, y: float, *, button: str = "left", times: int = 1) -> None:
        """Press and release a button, so many times in a row."""
        await self.move(x, y)
        for count in range(1, times + 1):
            facts = {"button": button, "clickCount": count}
            pressed = {"left": 1, "right": 2, "middle": 4}[button]
            await self._send("mousePressed", x, y, **facts, buttons=pressed)
            await self._send("mouseReleased", x, y, **facts)

    async def drag(self, start: Spot, end: Spot) -> None:
        """Press at one point, and release at another."""
        await self.move(start.x, start.y)
        await self._send("mousePressed", start.x, start.y, button="left", clickCount=1, buttons=1)
        for part in (0.3, 0.6, 1.0):
            x, y = start.x + (end.x - start.x) * part, start.y + (end.y - start.y) * part
            await self._send("mouseMoved", x, y, button="left", buttons=1)
        await self._send("mouseReleased", end.x, end.y, button="left", clickCount=1)

    async def wheel(self, x: float, y: float, *, right: float, down: float) -> None:
        """Turn the wheel at a point, by so many pixels."""
        await self._send("mouseWheel", x, y, deltaX=right, deltaY=down)

    async def _send(self, kind: str, x: float, y: float, **facts: Any) -> None:
        await self._page.send("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, **facts})


class Keyboard:
    """Presses keys, for what has the focus."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def press(self, combination: str) -> None:
        """Press keys together, such as ``Control+a``.

        Raises:
            ToolFailure: There is no such key.
        """
        keys = keys_of(combination)
        held = list[Key]()
        try:
            for key in keys:
                await self._down(key, held)
                held.append(key)
        finally:
            with anyio.CancelScope(shield=True):
                await self._release(held)

    async def write(self, text: str) -> None:
        """Type text; characters that no key has arrive as from an input method."""
        for character in text.replace("\r\n", "\n"):
            key = written_with(character)
            if key is None:
                await self.insert(character)
                continue
            await self._down(key, [])
            await self._up(key, [])

    async def insert(self, text: str) -> None:
        """Put in text at once."""
        await self._page.send("Input.insertText", {"text": text})

    async def _release(self, held: list[Key]) -> None:
        while held:
            key = held.pop()
            try:
                await self._up(key, held)
            except (BrowserLost, CdpRefused):  # the keys went with the page
                return

    async def _down(self, key: Key, held: list[Key]) -> None:
        bits = _bits(held)
        # With other modifiers than shift a key is a command, and writes nothing.
        text = "" if bits & ~8 else key.text
        kind = "keyDown" if text else "rawKeyDown"
        await self._send(kind, key, bits | key.bit, text=text)

    async def _up(self, key: Key, held: list[Key]) -> None:
        await self._send("keyUp", key, _bits(held))

    async def _send(self, kind: str, key: Key, bits: int, **facts: Any) -> None:
        code = {"key": key.key, "code": key.code, "windowsVirtualKeyCode": key.number}
        params = {"type": kind, **code, "modifiers": bits, **facts}
        await self._page.send("Input.dispatchKeyEvent", params)


def _bits(keys: list[Key]) -> int:
    bits = 0
    for key in keys:
        bits |= key.bit
    return bits
