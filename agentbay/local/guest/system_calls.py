"""Two Linux system calls that the standard library does not offer."""

from __future__ import annotations

import errno
import os

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_STATX_BTIME = 0x800
_STATX_SIZE = 256
_STATX_BTIME_OFFSET = 80


def rename_exclusively(source: str, destination: str) -> None:
    """Rename a file or directory; FileExistsError if the new name is taken."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    number = errno.ENOSYS
    if hasattr(library, "renameat2"):
        old, new = os.fsencode(source), os.fsencode(destination)
        if library.renameat2(_AT_FDCWD, old, _AT_FDCWD, new, _RENAME_NOREPLACE) == 0:
            return
        number = ctypes.get_errno()
    # EINVAL is also the answer of a file system that cannot rename exclusively.
    if number not in (errno.ENOSYS, errno.EINVAL):
        raise OSError(number, os.strerror(number), destination)
    if os.path.lexists(destination):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), destination)
    os.rename(source, destination)


def birth_time(path: str) -> int | None:
    """Return when a file was created, in seconds, or None where nobody recorded it."""
    import ctypes

    library = ctypes.CDLL(None)
    buffer = ctypes.create_string_buffer(_STATX_SIZE)
    if not hasattr(library, "statx"):
        return None
    if library.statx(_AT_FDCWD, os.fsencode(path), 0, _STATX_BTIME, buffer) != 0:
        return None
    filled = ctypes.c_uint32.from_buffer(buffer).value
    if not filled & _STATX_BTIME:
        return None
    # File systems made by image builders say 0.
    return ctypes.c_int64.from_buffer(buffer, _STATX_BTIME_OFFSET).value or None
