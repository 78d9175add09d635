"""What the groups of operations on a screen have in common."""

from __future__ import annotations

from .._results.application import (
    AppOperationResult,
    InstalledAppListResult,
    ProcessListResult,
)
from .._results.computer import ScreenshotResult
from .._results.file_system import BoolResult
from .._results.window import WindowInfoResult, WindowListResult
from ..protocol._calls import Tool
from ..protocol._images import Image
from ..protocol.application import InstalledApp, Process
from ..protocol.window import Window
from ._resource import Resource

# A window is asked for with a time limit of its own. The client's covers it up to here; past
# it, the service may need this much on top. In seconds.
_USUAL, _MARGIN = 30.0, 15.0


def waiting(timeout_ms: int | None) -> float | None:
    """Seconds to wait for a tool that has a time limit; None for the client's limit."""
    if not isinstance(timeout_ms, int | float) or timeout_ms / 1000 <= _USUAL:
        return None
    return timeout_ms / 1000 + _MARGIN


class Desktop(Resource):
    """A group of operations that look at a screen or change what is on it."""

    async def _done(self, call: Tool[None]) -> BoolResult:
        reply = await self._call(call)
        return BoolResult(reply.request_id, True, True)

    async def _stopped(self, call: Tool[None]) -> AppOperationResult:
        reply = await self._call(call)
        return AppOperationResult(reply.request_id, True)

    async def _apps(self, call: Tool[list[InstalledApp]]) -> InstalledAppListResult:
        reply = await self._call(call)
        return InstalledAppListResult(reply.request_id, True, reply.value)

    async def _processes(self, call: Tool[list[Process]]) -> ProcessListResult:
        reply = await self._call(call)
        return ProcessListResult(reply.request_id, True, reply.value)

    async def _windows(self, call: Tool[list[Window]], timeout_ms: int) -> WindowListResult:
        reply = await self._call(call, timeout=waiting(timeout_ms))
        return WindowListResult(reply.request_id, True, reply.value)

    async def _window(
        self, call: Tool[Window | None], timeout_ms: int | None = None
    ) -> WindowInfoResult:
        reply = await self._call(call, timeout=waiting(timeout_ms))
        return WindowInfoResult(reply.request_id, True, reply.value)

    async def _picture(self, call: Tool[Image]) -> ScreenshotResult:
        reply = await self._call(call)
        image = reply.value
        return ScreenshotResult(
            reply.request_id,
            True,
            image.type,
            image.data,
            image.mime_type,
            image.width,
            image.height,
        )
