"""Which page of the list of sessions."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from .._value import Value
from ..protocol._checks import check_labels


def _labels(value: Mapping[str, str] | None) -> dict[str, str]:
    return check_labels(value or {})


@attrs.define(eq=False, repr=False)
class ListSessionParams(Value):
    """Which page of the list of sessions `list_by_labels` reads.

    Attributes:
        max_results: How many entries a page may have; 10 by default.
        next_token: Where the page begins: `next_token` of the page before.
        labels: Only sessions with all of these labels.
    """

    max_results: int = 10
    next_token: str = ""
    labels: dict[str, str] = attrs.field(default=None, converter=_labels)
