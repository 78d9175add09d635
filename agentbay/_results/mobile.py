"""The results of operations on mobile devices."""

from __future__ import annotations

import attrs

from .base import ApiResponse
from .sessions import OperationResult


@attrs.frozen(eq=False, repr=False)
class AdbUrlResult(OperationResult[str]):
    """The result of asking for adb; its `data` is the command that connects it."""

    @property
    def url(self) -> str | None:
        """The same as `data`."""
        return self.data


@attrs.frozen(eq=False, repr=False)
class MobileSimulateUploadResult(ApiResponse):
    """The result of uploading the facts about a device.

    Attributes:
        mobile_simulate_context_id: The context that holds them.
    """

    mobile_simulate_context_id: str = ""

    def unwrap(self) -> str:
        """Return the identifier of the context, or raise what went wrong."""
        self._check()
        return self.mobile_simulate_context_id
