"""How long to wait between two looks at something that takes its time."""

from __future__ import annotations

from collections.abc import Iterator

_GROWTH = 1.5


def pauses(first: float, longest: float) -> Iterator[float]:
    """Seconds between two looks: few at first, and half as many again each time.

    Args:
        first: The first pause; not longer than the longest one.
        longest: What the pauses grow to.
    """
    pause = min(first, longest)
    while True:
        yield pause
        pause = min(pause * _GROWTH, longest)
