"""Values that programs write as dictionaries, and read from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, cast

import attrs

from ..errors import InvalidInputError
from ._wire import Camel, WireError, decode, encode


class Map(Camel):
    """What can be written as a dictionary of JSON values, and read from one."""

    __slots__ = ()

    def to_map(self) -> dict[str, Any]:
        """The dictionary that travels; without what is None."""
        return cast("dict[str, Any]", encode(self))

    @classmethod
    def from_map(cls, m: Mapping[str, Any] | None = None) -> Self | None:
        """Read the dictionary that `to_map` writes; None when there is nothing to read.

        Raises:
            InvalidInputError: A value is missing or has another type.
        """
        if not m:
            return None
        try:
            return cls._read(m)
        except WireError as exc:
            raise InvalidInputError(str(exc)) from exc

    @classmethod
    def _read(cls, m: Mapping[str, Any]) -> Self:
        return decode(cls, m)

    def _to_map(self) -> dict[str, Any]:
        return self.to_map()

    @classmethod
    def _from_map(cls, m: Mapping[str, Any] | None = None) -> Self | None:
        return cls.from_map(m)


def listed(value: Any) -> Any:
    """An attrs converter: a tuple as a list."""
    return list(cast("Sequence[Any]", value)) if isinstance(value, tuple) else value


def some_of(known: Sequence[str] | None) -> Callable[[object, Any, object], None]:
    """An attrs validator: a list of texts, of those that are known if any are; or None."""

    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value is None:
            return
        if not isinstance(value, list):
            raise InvalidInputError(f"{attribute.name} must be a list of texts, not {value!r:.80}")
        for item in cast("list[object]", value):
            if not isinstance(item, str) or (known is not None and item not in known):
                expected = "texts" if known is None else ", ".join(known)
                raise InvalidInputError(f"{attribute.name}: {item!r:.80} is not one of {expected}")

    return check
