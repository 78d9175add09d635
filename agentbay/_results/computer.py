"""The results of operations on a desktop."""

from __future__ import annotations

import attrs

from .base import ApiResponse


@attrs.frozen(eq=False, repr=False)
class ScreenshotResult(ApiResponse):
    """A picture of the screen.

    Attributes:
        type: What the service calls it; ``image``.
        data: The bytes of the picture.
        mime_type: Such as ``image/png``.
        width: In pixels; None when the service does not tell.
        height: In pixels; None when the service does not tell.
    """

    type: str = ""
    data: bytes = attrs.field(default=b"", repr=False)
    mime_type: str = ""
    width: int | None = None
    height: int | None = None

    @property
    def size(self) -> int:
        """How many bytes the picture has."""
        return len(self.data)

    def unwrap(self) -> bytes:
        """Return the bytes of the picture, or raise what went wrong."""
        self._check()
        return self.data
