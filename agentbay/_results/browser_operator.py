"""The results of acting on pages in natural language."""

from __future__ import annotations

import attrs

from .._value import Value
from ..errors import AgentBayError
from ..protocol.browser_operator import ObserveResult as ObserveResult


@attrs.frozen(eq=False, repr=False)
class ActResult(Value):
    """How an action on a page ended.

    Attributes:
        success: Whether it did what it should.
        message: The steps that were taken, as JSON if the service lists them; or why not.
        request_id: Identifier of the API request that told; empty when none did.
        error: The exception behind a failure, where there was one.
    """

    success: bool
    message: str
    request_id: str = attrs.field(default="", kw_only=True, eq=False)
    error: AgentBayError | None = attrs.field(default=None, kw_only=True, eq=False, repr=False)
