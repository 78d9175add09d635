"""What attrs classes that load with the package have in common."""

from __future__ import annotations

from typing import Any, cast

import attrs

# Characters of each value in the text of an object: enough for a person, and for a log.
_SHOWN = 1000


class Value:
    """Comparison and text for attrs classes that ask for neither.

    attrs would write both for every class, which doubles the time that it takes to make one;
    the classes that use this are those that load with the package.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        shown = (field.name for field in attrs.fields(cast("Any", type(self))) if field.repr)
        values = ", ".join(f"{name}={_shown(getattr(self, name))}" for name in shown)
        return f"{type(self).__name__}({values})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash(self._compared())

    def _compared(self) -> tuple[object, ...]:
        fields = attrs.fields(cast("Any", type(self)))
        return tuple(getattr(self, field.name) for field in fields if field.eq)


def _shown(value: object) -> str:
    """The text of a value, without the rest of a long one."""
    text = repr(value[:_SHOWN] if isinstance(value, str | bytes) else value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
