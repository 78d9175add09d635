"""The event loop that something belongs to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from anyio import RunFinishedError, from_thread
from anyio.lowlevel import current_token


class Home:
    """Remembers the event loop on which it was made."""

    def __init__(self) -> None:
        self._token = current_token()

    def is_here(self) -> bool:
        """Whether the caller runs on that loop."""
        try:
            return current_token() == self._token
        except RuntimeError:  # no event loop runs in this thread
            return False

    def run(self, step: Callable[[], object]) -> None:
        """Call a function on that loop, from wherever; not at all when the loop has ended."""
        if self.is_here():
            step()
            return
        with suppress(RunFinishedError):
            from_thread.run_sync(step, token=self._token)
