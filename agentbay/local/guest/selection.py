"""Which paths of a tree a transfer covers.

Engine and guest both import this module, so it depends on nothing.
"""

from __future__ import annotations

# Type checkers take this name for true; importing `typing` would slow every session's start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Selection:
    """A white list and its exceptions. A listed path stands for itself and what is below it.

    Args:
        include: Paths relative to the tree; "" is all of it, None too, an empty list nothing.
        exclude: Paths that are left out although `include` covers them.
    """

    def __init__(self, include: Sequence[str] | None = None, exclude: Sequence[str] = ()) -> None:
        self._include = [""] if include is None else [_clean(path) for path in include]
        self._exclude = [_clean(path) for path in exclude]

    def covers(self, path: str) -> bool:
        """Tell whether the transfer is about this path."""
        return _within_any(path, self._include) and not _within_any(path, self._exclude)

    def leads_to(self, directory: str) -> bool:
        """Tell whether something in this directory may be covered."""
        if _within_any(directory, self._exclude):
            return False
        below = directory + "/"
        return _within_any(directory, self._include) or any(
            path.startswith(below) for path in self._include
        )


def _clean(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _within_any(path: str, places: list[str]) -> bool:
    return any(not place or path == place or path.startswith(place + "/") for place in places)
