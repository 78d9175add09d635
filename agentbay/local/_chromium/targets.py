"""Every page and worker of a browser gets its overrides before its first script runs."""

from __future__ import annotations

import logging
from typing import Any, cast

import anyio

from .._errors import ToolFailure
from .cdp import BrowserLost, Cdp, CdpRefused, Event
from .looks import Look

_log = logging.getLogger(__name__)

_ATTACH = {"autoAttach": True, "waitForDebuggerOnStart": True, "flatten": True}

# What runs scripts. The rest, such as the browser itself, needs nothing.
_KINDS = ("page", "iframe", "worker", "shared_worker", "service_worker")


class Targets:
    """The pages and workers of one browser, and what they are to look like.

    Attributes:
        ready: Set once those that were there first look like that, or cannot.
        failure: Why they cannot; empty when they do.
    """

    def __init__(self, cdp: Cdp, look: Look) -> None:
        self.ready: anyio.Event = anyio.Event()
        self.failure: str = ""
        self._cdp, self._look = cdp, look

    async def keep(self) -> None:
        """Do that until the browser ends."""
        try:
            with self._cdp.events("Target.attachedToTarget") as events:
                await self._cdp.send("Target.setAutoAttach", _ATTACH)
                pages = await self._present()
                if not pages:
                    self.ready.set()
                async for event in events:
                    session_id, target = attached(event)
                    await self._take(
                        session_id, target, bool(event.params.get("waitingForDebugger"))
                    )
                    pages.discard(str(target.get("targetId")))
                    if not pages:
                        self.ready.set()
        except BrowserLost:
            pass
        except ToolFailure as exc:
            self.failure = str(exc)
            # Until the pages are ready, the client is told that the browser cannot be as asked.
            level = logging.WARNING if self.ready.is_set() else logging.DEBUG
            _log.log(level, "pages of a browser look different than they should: %s", exc)
        finally:
            self.ready.set()

    async def _present(self) -> set[str]:
        """The pages that are there already; events tell of them as well."""
        found = (await self._cdp.send("Target.getTargets")).get("targetInfos", [])
        return {str(info["targetId"]) for info in found if info.get("type") == "page"}

    async def _take(self, session_id: str, target: dict[str, Any], waits: bool) -> None:
        kind = str(target.get("type", ""))
        try:
            if kind in _KINDS:
                # Frames of other sites and workers are targets of their page.
                await self._cdp.tell("Target.setAutoAttach", _ATTACH, session_id=session_id)
                await self._dress(session_id, kind)
        finally:
            if waits:
                await self._cdp.tell("Runtime.runIfWaitingForDebugger", session_id=session_id)

    async def _dress(self, session_id: str, kind: str) -> None:
        for method, params in self._look.overrides(kind):
            if self.ready.is_set():
                # Answers are not waited for: a page that closes meanwhile gives none.
                await self._cdp.tell(method, params, session_id=session_id)
                continue
            try:
                await self._cdp.send(method, params, session_id=session_id)
            except CdpRefused as exc:
                if kind == "page":
                    raise
                _log.debug("a %s has no %s: %s", kind, method, exc.reason)


def attached(event: Event) -> tuple[str, dict[str, Any]]:
    """The session and the target that an event of `Target.attachedToTarget` tells of."""
    info = event.params.get("targetInfo")
    target = cast("dict[str, Any]", info) if isinstance(info, dict) else {}
    return str(event.params.get("sessionId", "")), target
