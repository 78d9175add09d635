"""Call the functions that users give us to be told of something."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

E = TypeVar("E")


async def tell(callback: Callable[[E], object], event: E) -> Any:
    """Call a plain function or a coroutine function, and give back what it answers."""
    answer = callback(event)
    return await answer if inspect.isawaitable(answer) else answer
