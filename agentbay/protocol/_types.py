"""Whether a request holds what its fields say; where it does not, the caller is told."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Union, cast, get_args, get_origin

import attrs

from ..errors import InvalidInputError
from ._wire import fields, shape

Fits = Callable[[Any], bool]

# What a value of a type may be given as, and what it is called.
_KINDS: dict[Any, tuple[Any, str]] = {
    str: (str, "text"),
    bool: (bool, "True or False"),
    int: (int, "a whole number"),
    float: ((int, float), "a number"),
    list: ((list, tuple), "a list"),
    dict: (Mapping, "a dictionary"),
}


def check_types(request: object) -> None:
    """Refuse a request of which a value has another type than its field.

    Raises:
        InvalidInputError: It has; the text names the field, and not the value, which may be a
            credential.
    """
    for field in fields(type(request)):
        value = getattr(request, field.attribute)
        if type(value) is field.plain or (value is None and field.optional):
            continue
        if not _fits(field.hint)(value):
            expected = _expected(field.hint, value)
            raise InvalidInputError(f"{field.attribute} must be {expected}, not {shape(value)}")


@cache
def _fits(hint: Any) -> Fits:
    """What tells whether a value is of a type; kept, because to read a type takes longer."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        options = [_fits(part) for part in parts]
        return lambda value: any(option(value) for option in options)
    if origin in (list, dict):
        return _each_fits(_KINDS[origin][0], _fits(parts[-1]), parts[-1])
    kind = _KINDS[hint][0] if hint in _KINDS else hint
    if attrs.has(hint):
        return lambda value: isinstance(value, kind) and _is_right(value)
    if hint in _KINDS or hint is type(None):
        return lambda value: isinstance(value, kind)
    return lambda _: True


def _is_right(part: object) -> bool:
    """Whether a part is right within; else the error names what is not."""
    check_types(part)
    return True


def _each_fits(kind: Any, fits: Fits, hint: Any) -> Fits:
    if hint is Any:
        return lambda value: isinstance(value, kind)
    if kind is Mapping:
        return lambda value: isinstance(value, kind) and all(map(fits, cast("Any", value).values()))
    return lambda value: isinstance(value, kind) and all(map(fits, value))


def _expected(hint: Any, value: object) -> str:
    """What a value should be that is something else."""
    if get_origin(hint) in (Union, types.UnionType):
        return _expected(get_args(hint)[0], value)
    kind = get_origin(hint) or hint
    if kind not in _KINDS:
        return f"a {getattr(kind, '__name__', kind)} object"
    kinds, name = _KINDS[kind]
    if kind in (list, dict) and isinstance(value, kinds):
        return f"{name}, in which each value is {_expected(get_args(hint)[-1], None)}"
    return name
