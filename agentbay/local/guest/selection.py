"""Which paths of a tree a transfer covers.

Engine and guest both import this module, so it depends on nothing.
"""

from __future__ import annotations

# Type checkers take this name for true; importing `typing` would slow every session's start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class Selection:
    """A white list and its exceptions. A listed path stands for itself and what is below it.

    Args:
        include: Paths relative to the tree; "" is all of it, None too, an empty list nothing.
        exclude: Paths that are left out although `include` covers them.
        include_patterns: Regular expressions; a path that one of them matches as a whole is
            listed like one of `include`.
        exclude_patterns: The same for `exclude`.
        below: Nothing else is covered than this path and what is below it.
    """

    def __init__(
        self,
        include: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
        *,
        include_patterns: Sequence[str] = (),
        exclude_patterns: Sequence[str] = (),
        below: str = "",
    ) -> None:
        self._arguments: dict[str, Any] = {
            "include": None if include is None else list(include),
            "exclude": list(exclude),
            "include_patterns": list(include_patterns),
            "exclude_patterns": list(exclude_patterns),
            "below": below,
        }
        self._include = [""] if include is None else [_clean(path) for path in include]
        self._exclude = [_clean(path) for path in exclude]
        self._include_patterns = _compiled(include_patterns)
        self._exclude_patterns = _compiled(exclude_patterns)
        self._below = _clean(below)

    def arguments(self) -> dict[str, Any]:
        """What a selection of the same paths is made of."""
        return dict(self._arguments)

    def covers(self, path: str) -> bool:
        """Tell whether the transfer is about this path."""
        return (
            _within_any(path, [self._below])
            and (_within_any(path, self._include) or _matches_any(path, self._include_patterns))
            and not self._excludes(path)
        )

    def leads_to(self, directory: str) -> bool:
        """Tell whether something in this directory may be covered."""
        if self._excludes(directory):
            return False
        below = directory + "/"
        if not (_within_any(directory, [self._below]) or self._below.startswith(below)):
            return False
        return (
            bool(self._include_patterns)
            or _within_any(directory, self._include)
            or any(path.startswith(below) for path in self._include)
        )

    def _excludes(self, path: str) -> bool:
        return _within_any(path, self._exclude) or _matches_any(path, self._exclude_patterns)


def _clean(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _within_any(path: str, places: list[str]) -> bool:
    return any(not place or path == place or path.startswith(place + "/") for place in places)


def _compiled(patterns: Sequence[str]) -> list[Any]:
    if not patterns:
        return []
    # Few sessions have patterns, and the import would slow the start of all.
    import re

    return [re.compile(pattern) for pattern in patterns]


def _matches_any(path: str, patterns: list[Any]) -> bool:
    """Tell whether a pattern matches a path, or a directory that it is in."""
    if not patterns:
        return False
    parts = path.split("/")
    places = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
    return any(pattern.fullmatch(place) for pattern in patterns for place in places)
