"""Old names for the arguments of a class."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

K = TypeVar("K", bound=type[Any])


def renamed(**names: str) -> Callable[[K], K]:
    """Let a class be made with old names of its arguments, too.

    Args:
        names: The old name of each, and the name that the class knows it by.
    """

    def decorate(kind: K) -> K:
        make = kind.__init__

        @functools.wraps(make)
        def __init__(self: object, *args: Any, **given: Any) -> None:  # noqa: N807
            for old in names.keys() & given.keys():
                if names[old] in given:
                    raise TypeError(f"{kind.__name__} got {old} and {names[old]}, which are one")
                given[names[old]] = given.pop(old)
            make(self, *args, **given)

        kind.__init__ = __init__
        kind.__renamed__ = names
        return kind

    return decorate
