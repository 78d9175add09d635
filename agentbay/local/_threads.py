"""Blocking work, in threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import anyio.to_thread

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run blocking work in a worker thread.

    While the interpreter ends, Python 3.12 and later start no threads any more. The work of
    saving contexts and ending sessions is then done here: there is nobody left to stall.
    """
    begun = False

    def run() -> T:
        nonlocal begun
        begun = True
        return work(*args, **kwargs)

    try:
        return await anyio.to_thread.run_sync(run)
    except RuntimeError:
        if begun:
            raise
        return run()
