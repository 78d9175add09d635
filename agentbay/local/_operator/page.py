"""One page of a session's browser, with its frames and elements."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import anyio
import attrs

from ...errors import AgentBayError
from .._chromium.cdp import Cdp, CdpRefused
from .._errors import ToolFailure
from . import scripts

# The name of the world in which scripts of the operator run.
_WORLD = "agentbay"

# Between the parts of a selector: what comes before is an embedded page or has a shadow root.
BETWEEN = " >>> "


@attrs.frozen
class Frame:
    """A document of a page: that of the page itself, or an embedded one.

    Attributes:
        session_id: Of the commands that it takes; pages of other sites have their own.
        frame_id: Which one it is.
        owners: The elements that it is embedded with, the outermost first.
    """

    session_id: str
    frame_id: str
    owners: tuple[Element, ...] = ()


@attrs.frozen
class Element:
    """An element of a frame, as long as its document is there."""

    frame: Frame
    object_id: str


class Page:
    """What is done on one page, over one connection to the browser.

    Attributes:
        closed: Set when the page is gone: the browser answers nothing about it after that.
    """

    def __init__(self, cdp: Cdp, target_id: str, session_id: str) -> None:
        self.cdp = cdp
        self.target_id = target_id
        self.session_id = session_id
        self.closed: anyio.Event = anyio.Event()
        self._attached: dict[str, str] = {}

    async def send(
        self, method: str, params: Mapping[str, Any] | None = None, *, frame: Frame | None = None
    ) -> dict[str, Any]:
        """Give the page, or one of its frames, a command."""
        session_id = self.session_id if frame is None else frame.session_id
        return await self.cdp.send(method, params, session_id=session_id)

    async def until_closed(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do something that also ends, without an error, when the page is closed."""
        failures = list[AgentBayError]()

        async def stop(scope: anyio.CancelScope) -> None:
            await self.closed.wait()
            scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop, tasks.cancel_scope)
            try:
                await work()
            except AgentBayError as exc:
                failures.append(exc)  # raised below, as it is: not in the group's ExceptionGroup
            tasks.cancel_scope.cancel()
        if failures and not self.closed.is_set():
            raise failures[0]

    async def main_frame(self) -> Frame:
        """The document of the page itself."""
        tree = await self.send("Page.getFrameTree")
        return Frame(self.session_id, str(_part(tree, "frameTree", "frame").get("id", "")))

    async def run(self, frame: Frame, function: str, *values: Any) -> Any:
        """Call a function of JavaScript in a frame; returns what it returns, as JSON."""
        place = {"executionContextId": await self._world(frame)}
        return (await self._call(frame, place, function, values, by_value=True)).get("value")

    async def ask(self, element: Element, function: str, *values: Any) -> Any:
        """Call a function of JavaScript with an element as `this`."""
        place = {"objectId": element.object_id}
        return (await self._call(element.frame, place, function, values, by_value=True)).get(
            "value"
        )

    async def find(self, selector: str) -> Element | None:
        """The element that a selector names, one that can be seen if there are several.

        Raises:
            ToolFailure: The selector makes no sense.
        """
        frame, inside = await self.main_frame(), None
        for part in selector.split(BETWEEN):
            if inside is not None and (inner := await self.frame_in(inside)):
                frame, inside = inner, None
            inside = await self._query(frame, inside, part.strip())
            if inside is None:
                return None
        return inside

    async def frame_in(self, owner: Element) -> Frame | None:
        """The document that an element embeds; None when it embeds none."""
        params = {"objectId": owner.object_id}
        described = await self.send("DOM.describeNode", params, frame=owner.frame)
        node = _part(described, "node")
        frame_id = node.get("frameId")
        if not isinstance(frame_id, str) or node.get("nodeName") not in ("IFRAME", "FRAME"):
            return None
        owners = (*owner.frame.owners, owner)
        return Frame(await self._session_of(frame_id, owner.frame), frame_id, owners)

    async def element_of(self, frame: Frame, node: int) -> Element:
        """The element that is, or holds, a node of the browser's own numbering."""
        world = await self._world(frame)
        params = {"backendNodeId": node, "executionContextId": world}
        found = _part(await self.send("DOM.resolveNode", params, frame=frame), "object")
        place = {"objectId": found.get("objectId")}
        element = await self._call(frame, place, scripts.ELEMENT, (), by_value=False)
        return Element(frame, str(element.get("objectId", "")))

    async def selector_of(self, element: Element) -> str:
        """A selector that names an element."""
        parts = list[str]()
        for one in (*element.frame.owners, element):
            parts += map(str, await self.ask(one, scripts.SELECTOR))
        return BETWEEN.join(parts)

    async def _query(self, frame: Frame, inside: Element | None, part: str) -> Element | None:
        if not part:
            raise ToolFailure(f"a selector is empty, or a part of it between {BETWEEN.strip()}")
        place = (
            {"executionContextId": await self._world(frame)}
            if inside is None
            else {"objectId": inside.object_id}
        )
        found = await self._call(frame, place, scripts.QUERY, (part,), by_value=False)
        object_id = found.get("objectId")
        return Element(frame, object_id) if isinstance(object_id, str) else None

    async def _session_of(self, frame_id: str, around: Frame) -> str:
        """The session that takes the commands of a frame."""
        if frame_id in self._attached:
            return self._attached[frame_id]
        try:
            await self._world(Frame(around.session_id, frame_id))
        except CdpRefused:  # a page of another site is a target of its own
            self._attached[frame_id] = await self.cdp.attach(frame_id)
            return self._attached[frame_id]
        return around.session_id

    async def _world(self, frame: Frame) -> int:
        params = {"frameId": frame.frame_id, "worldName": _WORLD}
        made = await self.send("Page.createIsolatedWorld", params, frame=frame)
        return int(made.get("executionContextId", 0))

    async def _call(
        self,
        frame: Frame,
        place: Mapping[str, Any],
        function: str,
        values: tuple[Any, ...],
        *,
        by_value: bool,
    ) -> dict[str, Any]:
        params = {
            **place,
            "functionDeclaration": function,
            "arguments": [{"value": value} for value in values],
            "awaitPromise": True,
            "returnByValue": by_value,
        }
        reply = await self.send("Runtime.callFunctionOn", params, frame=frame)
        failure = _part(reply, "exceptionDetails", "exception")
        if failure:
            said = str(failure.get("description", "a script failed"))
            raise ToolFailure(_first_line(said).removeprefix("SyntaxError: "), number=-1)
        return _part(reply, "result")


def _part(data: Any, *names: str) -> dict[str, Any]:
    """A part of an answer; empty when it is not there."""
    for name in names:
        data = cast("dict[str, Any]", data).get(name) if isinstance(data, dict) else None
    return cast("dict[str, Any]", data) if isinstance(data, dict) else {}


def _first_line(text: str) -> str:
    return text.splitlines()[0][:300] if text else text
