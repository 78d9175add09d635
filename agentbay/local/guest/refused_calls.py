"""System calls that nothing in a session may make, by a filter that the kernel keeps.

The kernel's keys belong to users, not to sandboxes: sessions of one engine could read each
other's, and those of the user who runs it. The others have been ways out of sandboxes before,
and programs go on without them.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

# add_key, request_key, keyctl; then perf_event_open, bpf, userfaultfd, io_uring_*.
_X86_64 = (248, 249, 250, 298, 321, 323, 425, 426, 427)
_I386 = (286, 287, 288, 336, 357, 374, 425, 426, 427)
_AARCH64 = (217, 218, 219, 241, 280, 282, 425, 426, 427)
_ARM = (309, 310, 311, 364, 386, 388, 425, 426, 427)

# By machine: the number of each architecture whose calls its kernel takes.
_ARCHITECTURES = {
    "x86_64": {0xC000003E: _X86_64, 0x40000003: _I386},
    "aarch64": {0xC00000B7: _AARCH64, 0x40000028: _ARM},
}
# On x86_64, calls from here on are those of a third architecture, which nobody uses.
_X32 = 0x40000000

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE = 0, 4
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def refuse() -> bool:
    """Set the filter for this thread and all that it starts; whether that worked."""
    code = _code(os.uname().machine)
    if not code:
        return False
    control = ctypes.CDLL(None).prctl
    control(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    program = _Program(len(code) // 8, code)
    return bool(control(_SET_SECCOMP, _FILTER, ctypes.byref(program)) == 0)


def _code(machine: str) -> bytes:
    """The filter; empty for a machine that is not known."""
    architectures = _ARCHITECTURES.get(machine)
    if architectures is None:
        return b""
    code = _step(_LOAD, _ARCHITECTURE)
    for architecture, numbers in architectures.items():
        tests = [(_EQUAL, number) for number in numbers]
        tests += [(_AT_LEAST, _X32)] if numbers is _X86_64 else []
        # A step for each test, one that loads what they look at, and the two answers.
        code += _step(_EQUAL, architecture, no=len(tests) + 3)
        code += _step(_LOAD, _NUMBER)
        for place, (test, number) in enumerate(tests):
            code += _step(test, number, yes=len(tests) - place)
        code += _step(_RETURN, _ALLOW) + _step(_RETURN, _REFUSE)
    return code + _step(_RETURN, _REFUSE)


def _step(operation: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    """One step; `yes` and `no` are how many to leave out after a test."""
    return struct.pack("=HBBI", operation, yes, no, value)
