"""The end of a process that the engine has started."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio

from .._threads import in_thread


async def ended(process: subprocess.Popen[bytes], limit: float) -> bool:
    """Wait for a process, `limit` seconds at most; whether it has ended."""
    if process.poll() is not None:
        return True
    try:
        descriptor = _descriptor(process)
    except OSError:  # the kernel has no such thing, and `wait` looks again and again
        with contextlib.suppress(subprocess.TimeoutExpired):
            await in_thread(process.wait, limit)
        return process.returncode is not None
    try:
        with anyio.move_on_after(limit):
            await anyio.wait_readable(descriptor)
    finally:
        os.close(descriptor)
    return process.poll() is not None


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that is not reaped yet, after its children."""
    # bubblewrap's child does not follow its parent yet while it is being set up.
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        for child in children.split():
            os.kill(int(child), signal.SIGKILL)
    process.kill()


def _descriptor(process: subprocess.Popen[bytes]) -> int:
    """What is readable once the process has ended; it is not reaped yet."""
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    return os.pidfd_open(process.pid)
