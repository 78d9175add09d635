"""Call the functions that users give us to be told of something."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")
E = TypeVar("E")


async def tell(callback: Callable[[E], Awaitable[T] | T], event: E) -> T:
    """Call a plain function or a coroutine function, and give back what it answers."""
    answer: Any = callback(event)
    told: T = await answer if inspect.isawaitable(answer) else answer
    return told
