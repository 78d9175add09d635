"""What is on a page, in the words that browsers have for people who do not see it.

Each line of the text is something on the page. What can be used has a number in front, by
which `Snapshot.elements` knows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import attrs

from .._chromium.cdp import CdpRefused
from .._errors import ToolFailure
from .page import Element, Frame, Page

# Characters of the text, of a name and an address in it; embedded pages inside of each other.
_LONGEST, _LONGEST_NAME, _LONGEST_URL, _DEEPEST = 60_000, 300, 200, 5

# Seconds for the browser to tell: pages of ten thousands of elements take long.
_LIMIT = 60.0

CUT = "[the rest of the page is left out]"

_USABLE = frozenset(
    (
        *("button", "checkbox", "combobox", "link", "listbox", "option", "radio", "searchbox"),
        *("menuitem", "menuitemcheckbox", "menuitemradio", "slider", "spinbutton", "switch"),
        *("tab", "textbox", "treeitem", "DisclosureTriangle"),
        *("ColorWell", "Date", "DateTime", "InputTime"),
    )
)

# What only holds other things, and what is part of something that is told already.
_SILENT = frozenset(
    ("generic", "none", "LabelText", "RootWebArea", "paragraph", "Section", "MenuListPopup")
)
_LEFT_OUT = frozenset(("InlineTextBox", "ListMarker", "LineBreak"))

_NAMED_BY_TEXT = frozenset(
    ("button", "heading", "link", "menuitem", "option", "searchbox", "tab", "textbox")
)

_STATES = ("checked", "disabled", "expanded", "selected", "pressed", "required", "readonly")


@attrs.frozen
class Numbered:
    """Something on the page that can be used.

    Attributes:
        frame: The document that it is in.
        node: The number that the browser has for it.
        role: What it is, such as ``button``.
        name: What it is called.
    """

    frame: Frame
    node: int
    role: str
    name: str

    async def element(self, page: Page) -> Element:
        """The element itself.

        Raises:
            ToolFailure: It has gone.
        """
        try:
            return await page.element_of(self.frame, self.node)
        except CdpRefused as exc:
            gone = f"the {self.role} {self.name!r:.60} is not in the page any more"
            raise ToolFailure(gone, number=-1) from exc


class Snapshot:
    """A page at one moment."""

    def __init__(self) -> None:
        self.elements: dict[int, Numbered] = {}
        self._lines: list[str] = []
        self._size = 0

    @property
    def text(self) -> str:
        """What is on the page, line by line."""
        return "\n".join([*self._lines, CUT] if self.full else self._lines)

    @property
    def full(self) -> bool:
        """Whether nothing more fits in."""
        return self._size >= _LONGEST

    def add(self, depth: int, words: str, element: Numbered | None) -> None:
        """Add a line, with a number if it is about something that can be used."""
        if self.full:
            return
        if element is not None:
            number = len(self.elements) + 1
            self.elements[number] = element
            words = f"[{number}] {words}"
        line = "  " * min(depth, 12) + words
        self._lines.append(line)
        self._size += len(line) + 1


async def take_snapshot(
    page: Page, selector: str | None = None, *, frames: bool = True
) -> Snapshot:
    """Look at a page, or at the part of it that a selector names.

    Args:
        page: The page.
        selector: The part.
        frames: Look into embedded pages, too.

    Raises:
        ToolFailure: Nothing has that selector.
    """
    snapshot = Snapshot()
    frame, root = await page.main_frame(), None
    if selector:
        inside = await page.find(selector)
        if inside is None:
            raise ToolFailure(f"{selector} matches no element of the page", number=-1)
        frame, root = inside.frame, await _node_of(page, inside)
    await _Walk(page, snapshot, frames=frames).frame(frame, root, 0)
    return snapshot


async def _node_of(page: Page, element: Element) -> int:
    params = {"objectId": element.object_id}
    described = await page.send("DOM.describeNode", params, frame=element.frame)
    node = cast("dict[str, Any]", described.get("node", {}))
    return int(node.get("backendNodeId", 0))


class _Walk:
    def __init__(self, page: Page, snapshot: Snapshot, *, frames: bool) -> None:
        self._page, self._snapshot = page, snapshot
        self._most_frames = _DEEPEST if frames else 0

    async def frame(self, frame: Frame, root: int | None, depth: int) -> None:
        """Tell what is in a document, or in one element of it."""
        params = {"frameId": frame.frame_id}
        reply = await self._page.cdp.send(
            "Accessibility.getFullAXTree", params, session_id=frame.session_id, limit=_LIMIT
        )
        listed = cast("list[dict[str, Any]]", reply.get("nodes", []))
        nodes = {str(node.get("nodeId")): node for node in listed}
        first = next((n for n in listed if _is_root(n, root)), None)
        if first is None:
            return
        for level, node in _in_order(nodes, first, depth):
            if self._snapshot.full:
                return
            await self._tell(frame, node, level)

    async def _tell(self, frame: Frame, node: dict[str, Any], depth: int) -> None:
        role, name = _value(node, "role"), _value(node, "name")
        number = node.get("backendDOMNodeId")
        usable = role in _USABLE or role == "StaticText"
        if isinstance(number, int) and role == "Iframe":
            await self._embedded(frame, number, depth)
        elif isinstance(number, int) and (usable or _is_shown(node, role, name)):
            words = f'"{name}"' if role == "StaticText" else _words(node, role, name)
            element = Numbered(frame, number, role, name) if usable else None
            self._snapshot.add(depth, words, element)

    async def _embedded(self, frame: Frame, number: int, depth: int) -> None:
        if len(frame.owners) >= self._most_frames:
            return
        try:
            owner = await self._page.element_of(frame, number)
            inner = await self._page.frame_in(owner)
            if inner is not None:
                self._snapshot.add(depth, "embedded page", None)
                await self.frame(inner, None, depth + 1)
        except CdpRefused:  # it has gone, or does not load
            return


def _is_root(node: dict[str, Any], wanted: int | None) -> bool:
    if wanted is None:
        return node.get("parentId") is None
    return node.get("backendDOMNodeId") == wanted


def _in_order(
    nodes: dict[str, dict[str, Any]], first: dict[str, Any], depth: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The nodes below one, as they are read, and how deep each is among those that are told."""
    waiting, seen = [(first, depth, False)], set[str]()
    while waiting:
        node, depth, named = waiting.pop()
        key, role = str(node.get("nodeId")), _value(node, "role")
        # The text of a link or a heading is its name, which is told already.
        if key in seen or role in _LEFT_OUT or (named and role == "StaticText"):
            continue
        seen.add(key)
        told = not node.get("ignored") and role not in _SILENT
        if told:
            yield depth, node
        below, named = depth + told, named or (told and role in _NAMED_BY_TEXT)
        inner = [nodes[child] for child in _children(node) if child in nodes]
        waiting += [(child, below, named) for child in reversed(inner)]


def _children(node: dict[str, Any]) -> list[str]:
    found = node.get("childIds")
    return [str(child) for child in cast("list[object]", found)] if isinstance(found, list) else []


def _is_shown(node: dict[str, Any], role: str, name: str) -> bool:
    return bool(name) or bool(_children(node)) or role in ("image", "img", "separator")


def _words(node: dict[str, Any], role: str, name: str) -> str:
    words = [role, f'"{name}"'] if name else [role]
    if value := _value(node, "value"):
        words.append(f'value="{value}"')
    facts = {
        str(fact.get("name")): _value(fact, "value")
        for fact in cast("list[dict[str, Any]]", node.get("properties", []))
    }
    words += [
        state if facts[state] == "True" else f"{state}={facts[state].lower()}"
        for state in _STATES
        if facts.get(state, "False") not in ("False", "")
    ]
    if role == "link" and facts.get("url"):
        words.append(facts["url"][:_LONGEST_URL])
    return " ".join(words)


def _value(node: dict[str, Any], name: str) -> str:
    found: Any = node.get(name)
    value = cast("dict[str, Any]", found).get("value") if isinstance(found, dict) else None
    return "" if value is None else " ".join(str(value).split())[:_LONGEST_NAME]
