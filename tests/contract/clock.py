"""The time by which sessions end, as a test tells it."""

from __future__ import annotations

import attrs
import pytest

from agentbay.local import _life


@attrs.define
class Clock:
    """A clock that goes on when a test says so.

    Attributes:
        now: What it shows, in seconds.
    """

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def clock_of_sessions(patch: pytest.MonkeyPatch) -> Clock:
    """Give the sessions of the engine in this process a clock, and let it look there often."""
    clock = Clock()
    patch.setattr(_life, "current_time", clock)
    patch.setattr(_life, "_LOOK_INTERVAL", 0.02)
    return clock
