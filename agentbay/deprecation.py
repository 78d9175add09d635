"""Mark functions that are on their way out, where programs of the first generation look for it."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def deprecated(
    reason: str, replacement: str | None = None, version: str | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function warn whenever it is called, and say so in its docstring.

    Args:
        reason: Why it should not be called.
        replacement: What to call in its place.
        version: Since when.

    Example:
        ```python
        @deprecated("it blocks", replacement="read_all")
        def read(): ...
        ```
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        since = f" since version {version}" if version else ""
        instead = f" Use {replacement}." if replacement else ""
        text = f"{function.__qualname__} is deprecated{since}: {reason}.{instead}"

        @functools.wraps(function)
        def warn(*args: P.args, **kwargs: P.kwargs) -> R:
            warnings.warn(text, DeprecationWarning, stacklevel=2)
            return function(*args, **kwargs)

        warn.__doc__ = f"{function.__doc__ or ''}\n\n{text}".strip()
        return warn

    return decorate
