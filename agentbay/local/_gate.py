"""Hold a new sandbox back while something is attached to it."""

from __future__ import annotations

import json
import os

import anyio

from ._guest_wire import ConnectionLost


class Gate:
    """Holds the first process of a sandbox back until its network is attached."""

    def __init__(self) -> None:
        self._status, status_end = os.pipe()
        block_end, self._block = os.pipe()
        self.descriptors = [status_end, block_end]
        self.options = ["--json-status-fd", str(status_end), "--block-fd", str(block_end)]

    def started(self) -> None:
        """Leave the other ends to bubblewrap."""
        while self.descriptors:
            os.close(self.descriptors.pop())

    async def child(self) -> int:
        """The host's id of the first process."""
        line = b""
        while not line.endswith(b"\n"):
            await anyio.wait_readable(self._status)
            part = os.read(self._status, 4096)
            if not part:
                raise ConnectionLost
            line += part
        return int(json.loads(line)["child-pid"])

    def release(self) -> None:
        """Let the process run."""
        if self._block >= 0:
            os.close(self._block)
            self._block = -1

    def close(self) -> None:
        """Close what is left; bubblewrap dies of a status that nobody can read."""
        os.close(self._status)
