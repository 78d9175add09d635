"""Turn attrs values into wire data and back.

A field travels under its own name, in the case that its class asks for (`Pascal`, `Camel`),
unless `named` says otherwise. `None` is not sent. Unknown keys in a reply are ignored, so
that an older client can talk to a newer service.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, TypeVar, Union, cast, get_args, get_origin

import attrs

from .._value import Value

T = TypeVar("T")


class WireError(ValueError):
    """A payload does not have the shape that its type promises."""


class Pascal(Value):
    """Fields travel as ``PascalCase``."""

    __slots__ = ()


class Camel(Value):
    """Fields travel as ``camelCase``."""

    __slots__ = ()


def named(
    name: str | None = None,
    *,
    doc: str = "",
    also: tuple[str, ...] = (),
    json_text: bool = False,
    query: bool = False,
    read: Callable[[Any], Any] | None = None,
    travels: bool = True,
    **kwargs: Any,
) -> Any:
    """Describe a field of a request or a reply.

    Args:
        name: Its name on the wire, when the rule of the class does not give it.
        doc: One line for the JSON schema of a tool.
        also: Further names to accept when reading.
        json_text: The value travels as JSON text inside the payload.
        query: The value travels in the query string of an action, not in its form.
        read: Brings a raw value into shape before it is decoded.
        travels: False for a value that the client keeps to itself.
        kwargs: Passed on to `attrs.field`.
    """
    wire = {
        "name": name,
        "doc": doc,
        "also": also,
        "json_text": json_text,
        "query": query,
        "read": read,
        "travels": travels,
    }
    return attrs.field(metadata={"wire": wire}, **kwargs)


@attrs.frozen(eq=False, repr=False)
class Field(Value):
    """How one field of an attrs class travels."""

    attribute: str
    argument: str
    name: str
    hint: Any
    required: bool
    doc: str = ""
    also: tuple[str, ...] = ()
    json_text: bool = False
    query: bool = False
    read: Callable[[Any], Any] | None = None
    # What the three below say is in the others; every value of every reply asks for it.
    names: tuple[str, ...] = attrs.field(init=False, eq=False, repr=False)
    plain: Any = attrs.field(init=False, eq=False, repr=False)
    optional: bool = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "names", (self.name, *self.also))
        object.__setattr__(self, "plain", _plain(self))
        object.__setattr__(self, "optional", type(None) in get_args(self.hint))

    def find(self, data: Mapping[str, Any]) -> Any:
        """The raw value in ``data``, under any name of the field; else None."""
        for name in self.names:
            if (value := data.get(name)) is not None:
                return value
        return None


def _plain(field: Field) -> Any:
    """The type of which a raw value is taken as it is; `object` for any, None for none."""
    if field.read is not None or field.json_text:
        return None
    if field.hint is Any or field.hint is object:
        return object
    options = [kind for kind in get_args(field.hint) or (field.hint,) if kind in _SCALARS]
    single = get_origin(field.hint) in (None, Union, types.UnionType)
    return options[0] if single and len(options) == 1 else None


_SCALARS = frozenset({str, int, float, bool})

_fields: dict[Any, tuple[Field, ...]] = {}


def fields(kind: Any) -> tuple[Field, ...]:
    """How the fields of ``kind`` travel, in their order."""
    if kind not in _fields:
        hints = typing.get_type_hints(kind)
        found = (_field(kind, item, hints[item.name]) for item in attrs.fields(kind))
        _fields[kind] = tuple(field for field in found if field is not None)
    return _fields[kind]


def _field(kind: type[Any], item: attrs.Attribute[Any], hint: Any) -> Field | None:
    wire = dict(item.metadata.get("wire", {}))
    if not wire.pop("travels", True):
        return None
    name = wire.pop("name", None) or _cased(kind, item.name)
    required = item.default is attrs.NOTHING
    return Field(item.name, cast(str, item.alias), name, hint, required, **wire)


def _cased(kind: type[Any], name: str) -> str:
    if not issubclass(kind, Pascal | Camel):
        return name
    words = name.split("_")
    first = words[0].capitalize() if issubclass(kind, Pascal) else words[0]
    return first + "".join(word.capitalize() for word in words[1:])


def encode(value: Any) -> Any:
    """Make plain JSON-able data from attrs values, enums and containers of them."""
    kind = cast("Any", type(value))
    if kind in _SCALARS or value is None:
        return value
    if kind in _fields or attrs.has(kind):
        pairs = ((field, getattr(value, field.attribute)) for field in fields(kind))
        return {
            field.name: to_json(item) if field.json_text else encode(item)
            for field, item in pairs
            if item is not None
        }
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        mapping = cast("Mapping[object, object]", value)
        return {str(key): encode(item) for key, item in mapping.items()}
    if isinstance(value, list | tuple):
        items = cast("list[object]", value)
        return [encode(item) for item in items]
    return value


def decode(kind: type[T], data: Any) -> T:
    """Build a ``kind`` from plain data; the inverse of `encode`.

    Raises:
        WireError: The data has another shape; the text names the path to the value.
    """
    return cast(T, _decode(kind, data, getattr(kind, "__name__", str(kind))))


def to_json(value: Any) -> str:
    """Write a value as compact JSON text; text outside ASCII is kept as it is."""
    return _to_json(encode(value))


_to_json: Callable[[Any], str] = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":")
).encode


def from_json(text: str) -> Any:
    """Read JSON text.

    Raises:
        WireError: The text is not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    # Neither the text nor an exception that holds it: there may be a credential in it.
    raise WireError(f"not JSON, but {shape(text)}")


def shape(value: Any) -> str:
    """What a value is, for errors: replies hold credentials, which no error may show."""
    if isinstance(value, str):
        return f"text of {len(value)} characters" if value else "empty text"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    return "a number" if isinstance(value, int | float) else type(value).__name__


def decode_field(field: Field, raw: Any, where: str) -> Any:
    """Decode the raw value of one field."""
    if field.read is not None:
        raw = field.read(raw)
    if field.json_text and isinstance(raw, str):
        raw = from_json(raw)
    return _decode(field.hint, raw, where)


def _decode(kind: Any, data: Any, where: str) -> Any:
    if kind in _fields:  # the quick way to what `attrs.has` says below
        return _decode_object(kind, data, where)
    if kind is Any or kind is object:
        return data
    if kind in _SCALARS:
        return _decode_scalar(kind, data, where)
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _decode_union(get_args(kind), data, where)
    if attrs.has(kind):
        return _decode_object(kind, data, where)
    if origin in (list, tuple):
        inner = get_args(kind)[0]
        if inner is Any:
            raw = [item for _, item in _items(data, where)]
            return raw if origin is list else tuple(raw)
        items = [_decode(inner, raw, f"{where}[{n}]") for n, raw in _items(data, where)]
        return items if origin is list else tuple(items)
    if origin is dict:
        value = get_args(kind)[1]
        return {
            key: _decode(value, raw, f"{where}[{key!r:.40}]")
            for key, raw in _object(data, where).items()
        }
    return _decode_scalar(kind, data, where)


def _decode_union(options: tuple[Any, ...], data: Any, where: str) -> Any:
    if data is None and type(None) in options:
        return None
    (kind,) = (option for option in options if option is not type(None))
    return _decode(kind, data, where)


def _decode_object(kind: Any, data: Any, where: str) -> Any:
    values = _object(data, where)
    arguments: dict[str, Any] = {}
    missing: list[str] = []
    for field in fields(kind):
        raw = values.get(field.name)
        if raw is None and field.also:
            raw = field.find(values)
        if raw is None:
            if field.required:
                missing.append(field.name)
        elif field.plain is object or type(raw) is field.plain:
            arguments[field.argument] = raw
        else:
            where_it_is = f"{where}.{field.attribute}"
            arguments[field.argument] = decode_field(field, raw, where_it_is)
    if missing:
        raise WireError(f"{where}: {', '.join(missing)} is missing")
    return kind(**arguments)


def _decode_scalar(kind: Any, data: Any, where: str) -> Any:
    if type(data) is kind:
        return data
    if data is None:
        raise WireError(f"{where}: expected a value, not null")
    if kind is bool:
        return _boolean(data, where)
    if kind in (int, float) and isinstance(data, bool):
        raise WireError(f"{where}: expected a number, not {shape(data)}")
    if kind is str and isinstance(data, list | dict):
        raise WireError(f"{where}: expected text, not {shape(data)}")
    if kind is int and isinstance(data, float) and not data.is_integer():
        raise WireError(f"{where}: expected a whole number, not {shape(data)}")
    try:
        return kind(data)
    except (TypeError, ValueError, OverflowError):
        pass
    raise WireError(f"{where}: expected {_expected(kind)}, not {shape(data)}")


_EXPECTED: dict[Any, str] = {str: "text", int: "a whole number", float: "a number"}


def _expected(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"one of {', '.join(str(item.value) for item in kind)}"
    return _EXPECTED.get(kind) or str(kind.__name__)


def _boolean(data: Any, where: str) -> bool:
    text = str(data).lower()
    if text in ("true", "1"):
        return True
    if text in ("false", "0", ""):
        return False
    raise WireError(f"{where}: expected true or false, not {shape(data)}")


def _object(data: Any, where: str) -> Mapping[str, Any]:
    if type(data) is not dict and not isinstance(data, Mapping):
        raise WireError(f"{where}: expected an object, not {shape(data)}")
    return cast("Mapping[str, Any]", data)


def _items(data: Any, where: str) -> list[tuple[int, Any]]:
    if not isinstance(data, list | tuple):
        raise WireError(f"{where}: expected a list, not {shape(data)}")
    return list(enumerate(cast("list[Any]", data)))
