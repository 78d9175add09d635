"""Hold a new sandbox back until its network namespace is known."""

from __future__ import annotations

import json
import os

import anyio

from .guest_wire import ConnectionLost


class Gate:
    """Holds the first process of a sandbox back."""

    def __init__(self) -> None:
        self._facts, facts_end = os.pipe()
        block_end, self._block = os.pipe()
        self.descriptors = [facts_end, block_end]
        # Not `--json-status-fd`: that one is written to at the end as well, and so kept open.
        self.options = ["--info-fd", str(facts_end), "--block-fd", str(block_end)]

    def started(self) -> None:
        """Leave the other ends to bubblewrap."""
        while self.descriptors:
            os.close(self.descriptors.pop())

    async def child(self) -> int:
        """The host's id of the first process."""
        text = b""
        while True:
            await anyio.wait_readable(self._facts)
            part = os.read(self._facts, 4096)
            if not part:
                break
            text += part
        try:
            return int(json.loads(text)["child-pid"])
        except ValueError as exc:  # it ended instead
            raise ConnectionLost from exc

    def release(self) -> None:
        """Let the process run."""
        if self._block >= 0:
            os.close(self._block)
            self._block = -1

    def close(self) -> None:
        """Close what is left, once bubblewrap has told the process or has ended."""
        if self._facts >= 0:
            os.close(self._facts)
            self._facts = -1
