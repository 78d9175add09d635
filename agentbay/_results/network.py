"""The results of operations on networks."""

from __future__ import annotations

import attrs

from .base import ApiResponse


@attrs.frozen(eq=False, repr=False)
class NetworkResult(ApiResponse):
    """A network, and the credential with which a machine joins it."""

    network_id: str = ""
    network_token: str = attrs.field(default="", repr=False)

    def unwrap(self) -> str:
        """Return the credential, or raise what went wrong."""
        self._check()
        return self.network_token


@attrs.frozen(eq=False, repr=False)
class NetworkStatusResult(ApiResponse):
    """Whether a machine is joined to a network."""

    online: bool = False

    def unwrap(self) -> bool:
        """Return whether one is, or raise what went wrong."""
        self._check()
        return self.online
