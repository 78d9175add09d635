"""The results of operations on environment variables."""

from __future__ import annotations

import attrs

from .base import ApiResponse


@attrs.frozen(eq=False, repr=False)
class EnvResult(ApiResponse):
    """Environment variables; a name that was asked for and is not set is left out.

    Attributes:
        envs: Names and values. They may be secrets, so the text of the result lacks them.
    """

    envs: dict[str, str] = attrs.field(factory=dict[str, str], repr=False)

    def unwrap(self) -> dict[str, str]:
        """Return the variables, or raise what went wrong."""
        self._check()
        return self.envs
