"""Tasks that outlive the call that starts them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    import asyncio

_log = logging.getLogger(__name__)

# An asyncio loop itself holds its tasks but weakly.
_tasks: set[asyncio.Task[None]] = set()


def start(func: Callable[[], Awaitable[object]], *, context: Context | None = None) -> None:
    """Run a function in a task that lasts until it returns, or until its event loop ends.

    The event loop does not wait for it: it is cancelled when the loop ends. Whatever it raises
    is logged.

    This is the one place that tells the event loops apart. A task of anyio ends together with
    the block that started it, and what runs here has no such block: its owner is an object
    that a user keeps, on an event loop that is the user's.

    Args:
        func: What to run.
        context: The context variables that it sees; a copy of the caller's by default.
    """
    context = copy_context() if context is None else context
    name = getattr(func, "__qualname__", "agentbay")
    if _on_trio():
        import trio

        trio.lowlevel.spawn_system_task(_on_trio_guarded, func, name=name, context=context)
    else:
        import asyncio

        loop = asyncio.get_running_loop()
        task = loop.create_task(_guarded(func), name=name, context=context)
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)


def _on_trio() -> bool:
    # Not imported by anyone, it cannot be what runs; and it takes long to import.
    trio: Any = sys.modules.get("trio")
    return trio is not None and trio.lowlevel.in_trio_run()


async def _guarded(func: Callable[[], Awaitable[object]]) -> None:
    try:
        await func()
    except Exception:  # noqa: BLE001 - there is nobody else to tell
        _log.exception("a task in the background failed")


async def _on_trio_guarded(func: Callable[[], Awaitable[object]]) -> None:
    cancelled = anyio.get_cancelled_exc_class()
    try:
        await _guarded(func)
    except cancelled:
        raise
    except BaseExceptionGroup as group:  # what leaves a system task ends the whole run
        _, others = group.split(cancelled)
        if others is not None:
            _log.error("a task in the background failed", exc_info=others)
    except BaseException:  # noqa: BLE001 - what leaves a system task ends the whole run
        _log.exception("a task in the background failed")
