"""The results of operations on the screen of a mobile device."""

from __future__ import annotations

import attrs

from ..protocol.ui import UIElement
from .base import ApiResponse


@attrs.frozen(eq=False, repr=False)
class UIElementListResult(ApiResponse):
    """What is on the screen.

    Attributes:
        elements: The elements; empty when XML was asked for.
        raw: What the service sent.
        format: ``json`` or ``xml``.
    """

    elements: list[UIElement] = attrs.field(factory=list[UIElement])
    raw: str = attrs.field(default="", kw_only=True, repr=False)
    format: str = attrs.field(default="json", kw_only=True)

    def unwrap(self) -> list[UIElement]:
        """Return the elements, or raise what went wrong."""
        self._check()
        return self.elements
