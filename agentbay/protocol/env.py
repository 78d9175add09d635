"""Environment variables of a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import attrs

from ..errors import InvalidInputError
from ._calls import Content, Tool
from ._checks import as_texts
from ._wire import WireError, decode, from_json, named, shape, to_json

SERVER = "wuying_system"


def _name(_: object, __: attrs.Attribute[object], value: object) -> None:
    if not isinstance(value, str) or not value or "=" in value or "\0" in value:
        raise InvalidInputError(f"{value!r:.80} cannot be the name of an environment variable")


def _value(_: object, __: attrs.Attribute[object], value: object) -> None:
    if not isinstance(value, str) or "\0" in value:
        raise InvalidInputError("the value of an environment variable must be text without NUL")


def _some(_: object, __: attrs.Attribute[object], value: list[Variable]) -> None:
    if not value:
        raise InvalidInputError("envs must not be empty")


def _names(_: object, attribute: attrs.Attribute[object], value: list[str] | None) -> None:
    for name in value or []:
        _name(_, attribute, name)


@attrs.frozen
class Variable:
    """An environment variable. Values may be secrets, so they are not shown."""

    key: str = named(doc="Its name.", validator=_name)
    value: str = named(doc="Its value.", validator=_value, repr=False)


@attrs.frozen
class SetEnv(Tool[None], tool="set_env", server=SERVER):
    """Set environment variables for all later calls."""

    envs: list[Variable] = named(doc="The variables; one that exists changes.", validator=_some)


@attrs.frozen
class GetEnv(Tool[dict[str, str]], tool="get_env", server=SERVER):
    """Read environment variables."""

    keys: list[str] | None = named(
        doc="The names; all variables by default.", default=None, validator=_names
    )

    def read(self, text: str) -> dict[str, str]:
        """Read the JSON object; a name that has no value is not set."""
        data = from_json(text)
        if not isinstance(data, dict):
            raise WireError(f"expected an object, not {shape(data)}")
        found = cast("dict[str, Any]", data)
        values = {name: value for name, value in found.items() if value is not None}
        return decode(dict[str, str], values)

    def write(self, value: dict[str, str]) -> Content:
        """Write the JSON object."""
        return Content(to_json(value))


def variables(envs: Mapping[str, str]) -> list[Variable]:
    """Make the variables of a mapping.

    Raises:
        InvalidInputError: It is no mapping of texts to texts, or it is empty.
    """
    if not isinstance(cast(object, envs), Mapping):
        raise InvalidInputError(f"envs must be a mapping of names to values, not {envs!r:.80}")
    for name, value in envs.items():
        for what, item in (("keys", name), ("values", value)):
            if not isinstance(cast(object, item), str):
                raise InvalidInputError(
                    f"All environment variable {what} must be strings, "
                    f"got {type(item).__name__} for key {str(name)!r}"
                )
    return [Variable(name, value) for name, value in envs.items()]


def names(keys: Sequence[str] | None) -> list[str] | None:
    """The names to ask for; None when there are none.

    Raises:
        InvalidInputError: It is no list of texts.
    """
    return as_texts("keys", keys or ()) or None
