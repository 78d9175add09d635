"""A watch over what sessions write, so that none of them fills the disk of the machine.

Quotas of file systems and of control groups need rights that an ordinary user rarely has. So
what a session has is measured from outside, whenever the space that is left on the disk says
that it may have become much more; and the guest keeps its programs from writing (see
`guest/limits.py`) for as long as there is too much.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import attrs

from .._errors import EngineError, ToolFailure
from .._threads import in_thread

if TYPE_CHECKING:
    from ..engine import Engine
    from ..session import LocalSession

_log = logging.getLogger(__name__)

# Seconds between two looks at the space that is left; it takes a few microseconds.
_INTERVAL = 0.25
# A session is measured when such a part of what it may still write could be written, and after
# so many seconds in any case: what others delete meanwhile hides what it writes.
_PART, _LEAST = 4, 1 << 20
_LONGEST_PAUSE = 60.0
# Seconds until the first time; those who use a session for less than that do not wait for it.
_FIRST_PAUSE = 2.0
# Measuring a session takes this share of the time, or that one as long as it may have become
# full meanwhile, and so many seconds, at most; and not more than so many are measured at a time.
_SHARE, _URGENT_SHARE = 0.05, 0.5
_MEASURE_LIMIT = 60.0
_AT_A_TIME = 2

# A session whose programs found a way around the limit writes so much more while it is full.
_EVASION_PART, _EVASION_LEAST = 8, 16 << 20

_CALL_LIMIT = 20.0


@attrs.define
class _Known:
    """What is known of one session.

    Attributes:
        free: Bytes that were left on the disk when the session was measured.
        moment: When that was.
        used: Bytes that its files had.
        cost: Seconds that it took.
        reason: Why its programs cannot write; empty when they can.
        held: What its files had when they were last kept from becoming more.
        measuring: Whether it is measured just then.
        telling: Whether the session is told just then.
    """

    free: int
    moment: float
    used: int = 0
    cost: float = 0.0
    reason: str = ""
    held: int = 0
    measuring: bool = False
    telling: bool = False


async def watch(engine: Engine) -> None:
    """Look at the disk for as long as the engine runs."""
    if shutil.which("du") is None:
        _log.warning("what sessions write is not limited: install du (coreutils)")
    known: dict[str, _Known] = {}
    turns = anyio.CapacityLimiter(_AT_A_TIME)
    while True:
        await anyio.sleep(_INTERVAL)
        if not engine.sessions:
            known = {}
            continue
        free = await in_thread(_free, os.fspath(engine.options.home))
        fresh = _Known(free, anyio.current_time() - _LONGEST_PAUSE + _FIRST_PAUSE)
        # Whatever takes time is not waited for: other sessions go on writing.
        known = {id: known.get(id) or attrs.evolve(fresh) for id in engine.sessions}
        for session_id, found in known.items():
            _look(engine, engine.sessions[session_id], found, free, turns)


def _look(
    engine: Engine, session: LocalSession, known: _Known, free: int, turns: anyio.CapacityLimiter
) -> None:
    """Have a session measured if it is time to, and told if something changed."""
    if not known.measuring and _is_due(known, session.sandbox.limits.disk, free):
        known.measuring = True
        engine.background(partial(_measure, session, known, free, turns))
    reason, evades = _verdict(session, known, free)
    if not known.telling and (evades or reason != known.reason):
        known.telling = True
        engine.background(partial(_tell, session, known, reason, evades))


def _is_due(known: _Known, limit: int, free: int) -> bool:
    passed = anyio.current_time() - known.moment
    left = max(0, limit - known.used)
    written = known.free - free
    may_be_full = not known.reason and written >= left
    if passed < known.cost / (_URGENT_SHARE if may_be_full else _SHARE):
        return False
    return bool(known.reason) or passed > _LONGEST_PAUSE or written >= max(_LEAST, left // _PART)


def _verdict(session: LocalSession, known: _Known, free: int) -> tuple[str, bool]:
    """Why a session may not write, and whether it does so all the same."""
    limits, reason = session.sandbox.limits, ""
    if known.used >= limits.disk:
        reason = (
            f"the session's disk of {_size(limits.disk)} is used up: delete files, or raise"
            " AGENTBAY_LOCAL_DISK"
        )
    elif free < limits.disk_reserve:
        reason = f"the disk of the machine has less than {_size(limits.disk_reserve)} left"
    most = known.held + max(limits.disk // _EVASION_PART, _EVASION_LEAST)
    return reason, bool(reason and known.reason) and known.used > most


async def _measure(
    session: LocalSession, known: _Known, free: int, turns: anyio.CapacityLimiter
) -> None:
    """Find out how much a session has; what it had before stands when that takes too long."""
    # It follows no links, takes trees of any depth, and counts a file of several names once.
    command = ["du", "-skx", os.fspath(session.sandbox.directory / "root")]
    begin = anyio.current_time()
    try:
        async with turns:
            known.moment = begin = anyio.current_time()
            with anyio.move_on_after(_MEASURE_LIMIT):
                done = await anyio.run_process(command, check=False, stderr=subprocess.DEVNULL)
                # It fails for each file that is gone meanwhile, and counts the others.
                count = done.stdout.split(b"\t")[0]
                if count.isdigit():
                    known.used, known.free = int(count) * 1024, free
    except FileNotFoundError:
        known.free = free  # there is no du: the log has it
    finally:
        known.cost = anyio.current_time() - begin
        known.measuring = False


async def _tell(session: LocalSession, known: _Known, reason: str, evades: bool) -> None:
    """Let the programs of a session write, or not; `evades` ends them."""
    arguments: dict[str, Any] = {"reason": reason, "end": evades}
    try:
        with session.life.use():
            await session.sandbox.call("restrict", arguments, time_limit=_CALL_LIMIT)
        known.reason, known.held = reason, known.used
        if reason:
            what = "its programs were ended" if evades else "it cannot write"
            _log.warning("session %s: %s: %s", session.session_id, what, reason)
    except (EngineError, ToolFailure) as exc:
        # It is paused, or about to end: it is told at another look, or not any more.
        _log.debug("session %s was not told of the disk: %s", session.session_id, exc)
    finally:
        known.telling = False


def _free(directory: str) -> int:
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize


def _size(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB"
