"""Files that are handed over whole: as descriptors beside a stream, and as shared blocks.

Some file systems (btrfs, XFS) can let two files share what they hold until one of them changes.
A large file is then passed on in no time, and takes no space a second time. Engine and guest
both import this module.
"""

from __future__ import annotations

import fcntl
import io
import os
import socket
from collections import deque

# Bytes from which on a file is worth a descriptor of its own.
LARGE = 128 * 1024

_CHUNK = 256 * 1024
# The number of the request on all machines but a few old ones; Python knows it from 3.12 on.
_FICLONE: int = getattr(fcntl, "FICLONE", 0x40049409)


def clone(target: int, source: int) -> bool:
    """Let an empty file hold what another one does; False where the file system cannot."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def copy(target: int, source: int) -> int:
    """Copy a file to an empty one, from its start; returns how many bytes that were."""
    offset = 0
    while chunk := os.pread(source, _CHUNK, offset):
        view = memoryview(chunk)
        while view:
            written = os.write(target, view)
            offset += written
            view = view[written:]
    return offset


def send(connection: socket.socket, data: bytes, descriptor: int) -> None:
    """Send data, and a descriptor beside its first byte."""
    sent = socket.send_fds(connection, [data], [descriptor])
    if sent < len(data):
        connection.sendall(data[sent:])


class Incoming(io.RawIOBase):
    """What arrives on a socket: a stream, and the descriptors beside it, in their order."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._found: deque[int] = deque()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        """Read what there is; descriptors that come with it are kept for `take`."""
        view = memoryview(buffer)  # type: ignore[arg-type]  # whatever can be read into
        flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
        data, descriptors, _, _ = socket.recv_fds(self._connection, len(view), 1, flags)
        self._found.extend(descriptors)
        view[: len(data)] = data
        return len(data)

    def take(self) -> int | None:
        """The next descriptor, which belongs to the caller; None when there is none."""
        return self._found.popleft() if self._found else None

    def close(self) -> None:
        """Close the descriptors that nobody took. The socket stays open."""
        while self._found:
            os.close(self._found.popleft())
        super().close()
