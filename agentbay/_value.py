"""What attrs classes that load with the package have in common."""

from __future__ import annotations

from typing import Any, cast

import attrs


class Value:
    """Comparison and text for attrs classes that ask for neither.

    attrs would write both for every class, which doubles the time that it takes to make one;
    the classes that use this are those that load with the package.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        shown = (field.name for field in attrs.fields(cast("Any", type(self))) if field.repr)
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"{type(self).__name__}({values})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash(self._compared())

    def _compared(self) -> tuple[object, ...]:
        fields = attrs.fields(cast("Any", type(self)))
        return tuple(getattr(self, field.name) for field in fields if field.eq)
