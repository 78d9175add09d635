"""Whether data has the shape that a JSON schema describes.

Knows what schemas of model classes are made of. What it does not know, such as a pattern, is
left to whoever asked for the data.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sized
from typing import Any, cast

from ...protocol._wire import WireError, shape

# Schemas that refer to themselves may be followed this deep.
_DEEPEST = 64

_KINDS: dict[str, Callable[[Any], bool]] = {
    "object": lambda data: isinstance(data, dict),
    "array": lambda data: isinstance(data, list),
    "string": lambda data: isinstance(data, str),
    "boolean": lambda data: isinstance(data, bool),
    "null": lambda data: data is None,
    "number": lambda data: isinstance(data, int | float) and not isinstance(data, bool),
    "integer": lambda data: _is_whole(data),
}


def check_data(schema: Mapping[str, Any], data: Any) -> None:
    """Refuse data of another shape.

    Raises:
        WireError: It does not fit; the text names the place, and shows no value.
    """
    _Checker(schema).check(schema, data, "data", 0)


class _Checker:
    def __init__(self, whole: Mapping[str, Any]) -> None:
        self._whole = whole

    def check(self, schema: Any, data: Any, where: str, depth: int) -> None:
        if depth > _DEEPEST:
            raise WireError(f"{where}: the schema goes too deep")
        if schema is False:
            raise WireError(f"{where}: nothing is allowed here")
        if not isinstance(schema, Mapping):
            return
        part, deeper = cast("Mapping[str, Any]", schema), depth + 1
        if "$ref" in part:
            self.check(self._part(part["$ref"]), data, where, deeper)
        _check_kind(part, data, where)
        _check_value(part, data, where)
        _check_size(part, data, where)
        self._choices(part, data, where, deeper)
        if isinstance(data, dict):
            self._object(part, cast("dict[str, Any]", data), where, deeper)
        if isinstance(data, list):
            self._items(part, cast("list[object]", data), where, deeper)

    def _part(self, reference: Any) -> Any:
        found: Any = self._whole
        for name in filter(None, str(reference).removeprefix("#").split("/")):
            key = name.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or key not in found:
                raise WireError(f"the schema has no part {reference!s:.80}")
            found = cast("Mapping[str, Any]", found)[key]
        return found

    def _choices(self, schema: Mapping[str, Any], data: Any, where: str, depth: int) -> None:
        for choice in schema.get("allOf", ()):
            self.check(choice, data, where, depth)
        for name in ("anyOf", "oneOf"):
            options = schema.get(name)
            if options and not any(self._fits(one, data, where, depth) for one in options):
                raise WireError(f"{where}: none of the allowed shapes fits {shape(data)}")

    def _fits(self, schema: Any, data: Any, where: str, depth: int) -> bool:
        try:
            self.check(schema, data, where, depth)
        except WireError:
            return False
        return True

    def _object(
        self, schema: Mapping[str, Any], data: dict[str, Any], where: str, depth: int
    ) -> None:
        known = cast("Mapping[str, Any]", schema.get("properties", {}))
        missing = [name for name in schema.get("required", ()) if name not in data]
        if missing:
            raise WireError(f"{where}: {', '.join(missing)} is missing")
        for name, value in data.items():
            rest = True if "patternProperties" in schema else schema.get("additionalProperties")
            self.check(known.get(name, rest), value, f"{where}.{name:.40}", depth)

    def _items(self, schema: Mapping[str, Any], data: list[object], where: str, depth: int) -> None:
        first = cast("list[Any]", schema.get("prefixItems", []))
        for number, value in enumerate(data):
            part = first[number] if number < len(first) else schema.get("items")
            self.check(part, value, f"{where}[{number}]", depth)


def _check_kind(schema: Mapping[str, Any], data: Any, where: str) -> None:
    named = schema.get("type")
    kinds = cast("list[str]", named if isinstance(named, list) else [named] if named else [])
    known = [kind for kind in kinds if kind in _KINDS]
    if known and not any(_KINDS[kind](data) for kind in known):
        raise WireError(f"{where}: expected {' or '.join(known)}, not {shape(data)}")


def _check_value(schema: Mapping[str, Any], data: Any, where: str) -> None:
    allowed = [schema["const"]] if "const" in schema else schema.get("enum")
    if allowed is not None and not any(_same(one, data) for one in allowed):
        raise WireError(f"{where}: expected one of {json.dumps(allowed):.200}")
    if not _KINDS["number"](data):
        return
    limits: dict[str, Callable[[float], bool]] = {
        "minimum": lambda limit: data >= limit,
        "maximum": lambda limit: data <= limit,
        "exclusiveMinimum": lambda limit: data > limit,
        "exclusiveMaximum": lambda limit: data < limit,
    }
    for name, fits in limits.items():
        if _KINDS["number"](schema.get(name)) and not fits(schema[name]):
            raise WireError(f"{where}: the number breaks {name} {schema[name]}")


def _check_size(schema: Mapping[str, Any], data: Any, where: str) -> None:
    ends = {str: "Length", list: "Items", dict: "Properties"}
    end = next((end for kind, end in ends.items() if isinstance(data, kind)), None)
    if end is None:
        return
    length = len(cast("Sized", data))
    least, most = schema.get(f"min{end}"), schema.get(f"max{end}")
    if (least is not None and length < least) or (most is not None and length > most):
        raise WireError(f"{where}: its length is {length}, not {least or 0} to {most or 'any'}")


def _same(one: Any, other: Any) -> bool:
    # JSON tells true from 1, which Python does not.
    return isinstance(one, bool) is isinstance(other, bool) and one == other


def _is_whole(data: Any) -> bool:
    if isinstance(data, float):
        return data.is_integer()
    return isinstance(data, int) and not isinstance(data, bool)
