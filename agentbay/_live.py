"""What lives in one process, on connections and event loops, and has no copy."""

from __future__ import annotations

from typing import ClassVar, NoReturn, SupportsIndex


class Live:
    """Refuses `copy` and `pickle`, and says what to do instead."""

    __slots__ = ()

    _instead: ClassVar[str] = (
        "a session, and what belongs to it, cannot be copied or pickled: keep its session_id, "
        "with which `get` of any client finds it"
    )

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(self._instead)
