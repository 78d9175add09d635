"""What the service would refuse or lose, refused before it is sent."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, NoReturn, SupportsIndex, TypeVar, cast

import attrs

from ..errors import InvalidInputError

T = TypeVar("T")

FIRST_PORT, LAST_PORT = 30100, 30199


class Choice(StrEnum):
    """Values of which a parameter is one; they may be given as text."""

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        known = ", ".join(cls)
        raise InvalidInputError(f"{cls.__name__} must be one of {known}, not {value!r:.80}")


def check_labels(labels: object) -> dict[str, str]:
    """Refuse labels that the service would not keep.

    Raises:
        InvalidInputError: Not a dictionary, or a key or a value is not text, or is blank.
    """
    if not isinstance(labels, Mapping):
        raise InvalidInputError(f"labels must be a dictionary of text, not {labels!r}")
    for key, value in cast(Mapping[object, object], labels).items():
        if not isinstance(key, str) or not key.strip():
            raise InvalidInputError(f"a label key must be text that is not blank, not {key!r}")
        if not isinstance(value, str) or not value.strip():
            raise InvalidInputError(
                f"the value of label {key!r} must be text that is not blank, not {value!r}"
            )
    return dict(cast(Mapping[str, str], labels))


def check_limits(**limits: object) -> None:
    """Refuse times that nobody can wait; None stands for no time of the caller's.

    Raises:
        InvalidInputError: One is no number, or not positive.
    """
    check_times(**{name: value for name, value in limits.items() if value is not None})


def check_times(**times: object) -> None:
    """Refuse times that nobody can wait, and None.

    Raises:
        InvalidInputError: One is no number, or not positive.
    """
    for name, value in times.items():
        if not isinstance(value, int | float) or not value > 0:
            raise InvalidInputError(f"{name} must be positive, in seconds, not {value!r:.80}")


def as_dict(name: str, values: object) -> dict[str, Any]:
    """Refuse what is not a mapping, such as a list of ``"NAME=value"``.

    Raises:
        InvalidInputError: It is none.
    """
    if not isinstance(values, Mapping):
        raise InvalidInputError(f"{name} must be a dictionary, not {values!r:.80}")
    return dict(cast("Mapping[str, Any]", values))


def as_texts(name: str, values: object) -> list[str]:
    """Refuse what is no list of text; a text, which is a sequence of texts, is never meant.

    Raises:
        InvalidInputError: It is none.
    """
    if isinstance(values, Iterable) and not isinstance(values, str | Mapping):
        found = list(cast("Iterable[object]", values))
        if all(isinstance(value, str) for value in found):
            return cast("list[str]", found)
    raise InvalidInputError(f"{name} must be a list of texts, not {values!r:.80}")


def as_path(name: str, path: object) -> str:
    """Refuse what cannot name a file of this machine.

    Raises:
        InvalidInputError: It is neither text nor a path.
    """
    found = os.fspath(cast("os.PathLike[str]", path)) if isinstance(path, os.PathLike) else path
    if not isinstance(found, str):
        raise InvalidInputError(f"{name} must be the path of a file, not {path!r:.80}")
    return found


def as_kind(name: str, value: object, kind: type[T]) -> T:
    """Refuse what is of another class.

    Raises:
        InvalidInputError: It is.
    """
    if not isinstance(value, kind):
        raise InvalidInputError(f"{name} must be a {kind.__name__} object, not {value!r:.80}")
    return value


def check_functions(**functions: object) -> None:
    """Refuse what cannot be called; None stands for no function.

    Raises:
        InvalidInputError: One cannot.
    """
    for name, value in functions.items():
        if value is not None and not callable(value):
            raise InvalidInputError(f"{name} must be a function, not {value!r:.80}")


def check_port(port: object) -> int:
    """Refuse a port that the service does not link to.

    Raises:
        InvalidInputError: Not an int, or outside 30100-30199.
    """
    if not isinstance(port, int) or isinstance(port, bool) or not FIRST_PORT <= port <= LAST_PORT:
        raise InvalidInputError(
            f"Invalid port value: {port!r}. "
            f"Port must be an integer in the range [{FIRST_PORT}, {LAST_PORT}]."
        )
    return port


def _whole(value: object, field: attrs.Attribute[Any]) -> int:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise InvalidInputError(f"{field.name} must be a whole number, not {value!r:.80}")
    return operator.index(cast(SupportsIndex, value))


# A converter of attrs: a whole number of any type, such as 512.0 for a coordinate.
WHOLE = attrs.Converter(_whole, takes_field=True)


def at_least(least: int) -> Callable[[Any, attrs.Attribute[Any], int], None]:
    """An attrs validator: a number that is not below a limit."""

    def check(_: Any, field: attrs.Attribute[Any], value: int) -> None:
        if value < least:
            raise InvalidInputError(f"{field.name} must be at least {least}, not {value}")

    return check


def a_flag(_: Any, field: attrs.Attribute[Any], value: object) -> None:
    """An attrs validator: True or False, and nothing that only counts as one of them."""
    if not isinstance(value, bool):
        raise InvalidInputError(f"{field.name} must be True or False, not {value!r:.80}")


def a_text(_: Any, field: attrs.Attribute[Any], value: object) -> None:
    """An attrs validator: text that can travel, also an empty one."""
    if not isinstance(value, str):
        raise InvalidInputError(f"{field.name} must be text, not {value!r:.80}")
    try:
        value.encode()
    except UnicodeEncodeError as exc:
        raise InvalidInputError(f"{field.name} cannot be sent as UTF-8: {exc.reason}") from exc
