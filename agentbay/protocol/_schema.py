"""The JSON schema of a tool's arguments, from its request class."""

from __future__ import annotations

import types
from enum import Enum
from typing import Any, Union, get_args, get_origin

import attrs

from ._calls import Tool
from ._wire import fields

_NAMES: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}


def schema_of(kind: type[Tool[Any]]) -> dict[str, Any]:
    """The schema of the arguments of a tool."""
    return _object(kind)


def description_of(kind: type[Tool[Any]]) -> str:
    """What a tool does, in one line."""
    return (kind.__doc__ or "").strip().splitlines()[0]


def _object(kind: type[Any]) -> dict[str, Any]:
    defaults = {item.name: item.default for item in attrs.fields(kind)}
    properties: dict[str, Any] = {}
    for field in fields(kind):
        entry = _schema(field.hint)
        if field.doc:
            entry["description"] = field.doc
        default = defaults[field.attribute]
        if isinstance(default, str | int | float):
            entry["default"] = default
        properties[field.name] = entry
    required = [field.name for field in fields(kind) if field.required]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _schema(hint: Any) -> dict[str, Any]:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        (inner,) = (arg for arg in args if arg is not type(None))
        return _schema(inner)
    if origin in (list, tuple):
        return {"type": "array", "items": _schema(args[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(args[1])}
    if attrs.has(hint):
        return _object(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"type": "string", "enum": [member.value for member in hint]}
    return {"type": _NAMES[hint]} if hint in _NAMES else {}
