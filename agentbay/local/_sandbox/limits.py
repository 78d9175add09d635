"""How much of the machine one session may use."""

from __future__ import annotations

import contextlib
import os
import re

import attrs

from ...errors import ConfigError

_GIB = 1 << 30
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": _GIB}
_MEMORY, _PROCESSES = "AGENTBAY_LOCAL_MEMORY", "AGENTBAY_LOCAL_PROCESSES"
_DISK, _RESERVE = "AGENTBAY_LOCAL_DISK", "AGENTBAY_LOCAL_DISK_RESERVE"


def _default_memory() -> int:
    """8 GiB, or three quarters of a machine that has less."""
    with contextlib.suppress(OSError, ValueError):
        return min(8 * _GIB, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 3 // 4)
    return 8 * _GIB


@attrs.frozen
class Limits:
    """What the programs of one session may use together.

    The guest of the session sees to it, with resource limits of the kernel and a watch over
    the sum (that of files is the engine's); it needs no control groups and no quotas, which
    ordinary users rarely may change. Beyond that, the kernel ends programs of sessions before
    others when memory runs out.

    Attributes:
        memory: Bytes. A single process is refused more; when all of them together have more,
            the largest one is ended. Files in ``/dev/shm`` are not part of it: that file
            system has 1 GiB.
        processes: Processes and threads.
        disk: Bytes of files, in ``/`` of the session. A single file cannot become larger. When
            all of them have more, no program can write to a file until there is less; that is
            noticed within a second or two, and a fast program has written more by then. Files
            can still be deleted. What programs write in spite of that, as through memory that
            is mapped to a file, ends all programs of the session. Without a sandbox only the
            session's own directory counts. When the engine is not root, what a program hides
            in directories that it makes unreadable is not seen.
        disk_reserve: Bytes that stay free on the disk of the machine: below that, no session
            can write.
    """

    memory: int = attrs.field(factory=_default_memory)
    processes: int = 4096
    disk: int = 32 * _GIB
    disk_reserve: int = _GIB // 4

    @classmethod
    def from_environment(cls) -> Limits:
        """Read ``AGENTBAY_LOCAL_MEMORY``, such as ``512M`` or ``4G``, and the others.

        They are ``..._PROCESSES``, ``..._DISK`` and ``..._DISK_RESERVE``.

        Raises:
            ConfigError: One of them is no size or number above zero.
        """
        given = {
            "memory": size_from_environment(_MEMORY),
            "processes": size_from_environment(_PROCESSES),
            "disk": size_from_environment(_DISK),
            "disk_reserve": size_from_environment(_RESERVE),
        }
        return cls(**{name: value for name, value in given.items() if value is not None})


def size_from_environment(name: str) -> int | None:
    """Read a variable that holds a size or a number; None when it is not set.

    Raises:
        ConfigError: It is no size or number above zero.
    """
    text = os.environ.get(name, "").strip()
    if not text:
        return None
    match = re.fullmatch(r"([1-9]\d{0,14})([KMG]?)i?B?", text, re.IGNORECASE)
    if match is None:
        raise ConfigError(f"{name} must be a number such as 512M or 4G, not {text!r}")
    return int(match[1]) * _UNITS[match[2].upper()]
