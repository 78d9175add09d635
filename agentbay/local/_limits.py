"""How much of the machine one session may use."""

from __future__ import annotations

import contextlib
import os
import re

import attrs

from ..errors import ConfigError

_GIB = 1 << 30
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": _GIB}
_MEMORY, _PROCESSES = "AGENTBAY_LOCAL_MEMORY", "AGENTBAY_LOCAL_PROCESSES"


def _default_memory() -> int:
    """8 GiB, or three quarters of a machine that has less."""
    with contextlib.suppress(OSError, ValueError):
        return min(8 * _GIB, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 3 // 4)
    return 8 * _GIB


@attrs.frozen
class Limits:
    """What the programs of one session may use together.

    The guest of the session sees to it, with resource limits of the kernel and a watch over
    the sum; it needs no control groups, which ordinary users rarely may change. Beyond that,
    the kernel ends programs of sessions before others when memory runs out.

    Attributes:
        memory: Bytes. A single process is refused more; when all of them together have more,
            the largest one is ended. Files in ``/dev/shm`` are not part of it: that file
            system has 1 GiB.
        processes: Processes and threads. When the engine runs as root the sessions share
            this number, because they share a user.
    """

    memory: int = attrs.field(factory=_default_memory)
    processes: int = 4096

    @classmethod
    def from_environment(cls) -> Limits:
        """Read ``AGENTBAY_LOCAL_MEMORY``, such as ``512M`` or ``4G``, and ``..._PROCESSES``.

        Raises:
            ConfigError: One of them is no size or number above zero.
        """
        given = {
            "memory": size_from_environment(_MEMORY),
            "processes": size_from_environment(_PROCESSES),
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
