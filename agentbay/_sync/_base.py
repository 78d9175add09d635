"""What every generated blocking class has in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Self, SupportsIndex, TypeVar, cast

from .._deferred import Deferred

if TYPE_CHECKING:
    from .. import _bridge as _bridge
else:
    # Loaded by the first call, because a program that imports the package may make none.
    _bridge = Deferred(f"{__package__.removesuffix('._sync')}._bridge")

A = TypeVar("A")


def async_of(value: Wrapper[A]) -> A:
    """What a blocking object stands for; anything else as it is, for the method to refuse."""
    return cast("A", getattr(value, "_impl", value))


class Wrapper(Generic[A]):
    """Holds the async object that does the work."""

    _impl: A

    @classmethod
    def _wrap(cls, impl: A) -> Self:
        self = cls.__new__(cls)
        self._impl = impl
        return self

    @classmethod
    def _wrap_optional(cls, impl: A | None) -> Self | None:
        return None if impl is None else cls._wrap(impl)

    def __repr__(self) -> str:
        return repr(self._impl).replace("Async", "", 1)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._impl == other._impl

    def __hash__(self) -> int:
        return hash(self._impl)

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[object, ...]:
        self._impl.__reduce_ex__(protocol)  # refuses when there can be no copy
        return super().__reduce_ex__(protocol)
