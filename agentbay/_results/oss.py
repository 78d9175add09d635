"""The results of transfers to and from Object Storage Service."""

from __future__ import annotations

from typing import Any

import attrs

from .base import ApiResponse


@attrs.frozen(eq=False, repr=False)
class OSSClientResult(ApiResponse):
    """The result of setting credentials.

    Attributes:
        client_config: The settings, where the service tells them; else empty. They may hold
            credentials, so the text of the result lacks them.
    """

    client_config: dict[str, Any] = attrs.field(factory=dict[str, Any], repr=False)

    def unwrap(self) -> dict[str, Any]:
        """Return the settings, or raise what went wrong."""
        self._check()
        return self.client_config


@attrs.frozen(eq=False, repr=False)
class OSSUploadResult(ApiResponse):
    """The result of an upload; `content` is what the service says about it."""

    content: str = ""

    def unwrap(self) -> str:
        """Return `content`, or raise what went wrong."""
        self._check()
        return self.content


@attrs.frozen(eq=False, repr=False)
class OSSDownloadResult(ApiResponse):
    """The result of a download; `content` is what the service says about it."""

    content: str = ""

    def unwrap(self) -> str:
        """Return `content`, or raise what went wrong."""
        self._check()
        return self.content
