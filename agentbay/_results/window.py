"""The results of operations on windows."""

from __future__ import annotations

import attrs

from ..protocol.window import Window
from .base import ApiResponse


@attrs.frozen(eq=False, repr=False)
class WindowListResult(ApiResponse):
    """Windows of a desktop."""

    windows: list[Window] = attrs.field(factory=list[Window])

    def unwrap(self) -> list[Window]:
        """Return the windows, or raise what went wrong."""
        self._check()
        return self.windows


@attrs.frozen(eq=False, repr=False)
class WindowInfoResult(ApiResponse):
    """One window; None when there is no such window."""

    window: Window | None = None

    def unwrap(self) -> Window | None:
        """Return the window, or raise what went wrong."""
        self._check()
        return self.window
