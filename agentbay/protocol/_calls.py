"""What a request to the service is: an action of the control plane, or a tool of a session."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

import attrs

from .._value import Value
from ..errors import InvalidInputError, ProtocolError, ToolError
from ._types import check_types
from ._wire import (
    Field,
    Pascal,
    WireError,
    decode,
    decode_field,
    encode,
    fields,
    from_json,
    named,
    to_json,
)

T = TypeVar("T")

API_VERSION = "2025-05-06"


@attrs.frozen(eq=False, repr=False)
class Envelope(Pascal):
    """What every reply of the control plane looks like."""

    request_id: str = named(also=("requestId",), default="")
    success: bool | None = None
    code: str = named(also=("code",), default="")
    message: str = named(also=("message",), default="")
    http_status_code: int | None = None
    data: Any = None
    next_token: str | None = None
    max_results: int | None = None
    total_count: int | None = None
    count: int | None = None

    @property
    def refusal(self) -> str:
        """The error code; empty when the code is one that says yes."""
        return "" if self.code.lower() in ("ok", "success") else self.code

    @property
    def says_yes(self) -> bool:
        """Whether it is a success; without a word about that, when there is no error code."""
        return not self.refusal if self.success is None else self.success

    @property
    def tells_something(self) -> bool:
        """Whether it is a reply of the service at all, and not an object of somebody else."""
        said = bool(self.request_id or self.code)
        return said or self.success is not None or self.data is not None


def request_id_of(reply: object) -> str:
    """What a reply calls its request, whatever else is in it; empty when it does not say."""
    values = cast("dict[str, Any]", reply) if isinstance(reply, dict) else {}
    found = values.get("RequestId") or values.get("requestId")
    return found if isinstance(found, str) else ""


class Action(Pascal, Generic[T]):
    """A request to the control plane. Subclasses are frozen attrs classes."""

    __slots__ = ()

    action: ClassVar[str] = ""
    result: ClassVar[Any] = None

    def __init_subclass__(cls, *, action: str = "", returns: Any = None) -> None:
        if action:
            cls.action, cls.result = action, returns
        if "action" in vars(cls):  # attrs makes the class a second time, without the arguments
            ACTIONS[cls.action] = cls

    def query(self) -> dict[str, str]:
        """The parameters that travel in the query string."""
        return dict(self._parameters(query=True))

    def form(self) -> dict[str, str]:
        """The parameters that travel in the form.

        Raises:
            InvalidInputError: A value is not of the type of its field.
        """
        check_types(self)
        return dict(sorted(self._parameters(query=False)))

    def _parameters(self, *, query: bool) -> Iterator[tuple[str, str]]:
        for field in fields(type(self)):
            value = getattr(self, field.attribute)
            if field.query is not query or value is None:
                continue
            if type(value) is str or field.json_text:
                yield field.name, to_json(value) if field.json_text else value
            else:
                yield from _flatten(field.name, value)

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, str]) -> Self:
        """Read the request back from its merged query and form parameters.

        Raises:
            WireError: A parameter is missing or has another shape.
            InvalidInputError: A parameter has a value that the request refuses.
        """
        arguments: dict[str, Any] = {}
        for field in fields(cls):
            raw = _unflatten(field, parameters)
            if raw is not None:
                arguments[field.argument] = decode_field(field, raw, field.name)
            elif field.required:
                raise WireError(f"{field.name} is missing")
        return cls(**arguments)

    def parse(self, reply: Envelope) -> T:
        """Make the result from a reply.

        Raises:
            ProtocolError: The reply does not have the shape of this action's replies.
        """
        if self.result is None:
            return cast(T, None)
        try:
            return cast(T, decode(self.result, self.payload(reply)))
        except WireError as exc:
            facts = {"request_id": reply.request_id, "action": self.action}
            raise ProtocolError(f"{self.action}: unexpected reply: {exc}", **facts) from exc

    def payload(self, reply: Envelope) -> Any:
        """The part of a reply that holds the result; a few services send JSON text."""
        if isinstance(reply.data, str):
            return from_json(reply.data) if reply.data else None
        return reply.data

    def render(self, value: T) -> dict[str, Any]:
        """The envelope fields of a successful reply; what the engine sends."""
        return {"Data": encode(value)}


class Paged(Action[T]):
    """An action that lists.

    Its result holds the entries in its first field, and in the others what the envelope says
    about the other pages.
    """

    __slots__ = ()

    def payload(self, reply: Envelope) -> Any:
        """The page: the entries, and where the next one begins."""
        return {
            fields(self.result)[0].name: super().payload(reply) or [],
            "NextToken": reply.next_token,
            "MaxResults": reply.max_results,
            "TotalCount": reply.total_count,
            "Count": reply.count,
        }

    def render(self, value: T) -> dict[str, Any]:
        """The envelope fields of a page."""
        page = cast("dict[str, Any]", encode(value))
        return {"Data": page.pop(fields(self.result)[0].name), **page}


ACTIONS: dict[str, type[Action[Any]]] = {}


def _flatten(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """`{"A": {"b": [1]}}` travels as ``A.b.1=1``; None is dropped at any depth."""
    plain: Any = encode(value)
    if isinstance(plain, dict):
        entries = cast("dict[str, Any]", plain)
        for key, item in entries.items():
            yield from _flatten(f"{name}.{key}", item)
    elif isinstance(plain, list):
        items = cast("list[object]", plain)
        for number, item in enumerate(items, 1):
            yield from _flatten(f"{name}.{number}", item)
    elif plain is not None:
        yield name, str(plain)


def _unflatten(field: Field, parameters: Mapping[str, str]) -> Any:
    if field.name in parameters:
        return parameters[field.name]
    prefix = f"{field.name}."
    tree: dict[str, Any] = {}
    for key, value in parameters.items():
        if key.startswith(prefix):
            *parents, leaf = key.removeprefix(prefix).split(".")
            node = tree
            for parent in parents:
                node = _part(node, parent, key)
            if leaf in node:
                raise WireError(f"{key} is a value and has parts, too")
            node[leaf] = value
    return _lists(tree) if tree else None


def _part(node: dict[str, Any], name: str, key: str) -> dict[str, Any]:
    part = node.setdefault(name, {})
    if not isinstance(part, dict):
        raise WireError(f"{key} is part of a value")
    return cast("dict[str, Any]", part)


def _lists(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    branch = cast("dict[str, Any]", tree)
    if branch and all(key.isascii() and key.isdigit() for key in branch):
        return [_lists(branch[key]) for key in sorted(branch, key=int)]
    return {key: _lists(item) for key, item in branch.items()}


@attrs.frozen(eq=False, repr=False)
class Content(Value):
    """The text that a tool answers with, and whether it reports a failure.

    `pieces` is the whole answer as it came, of which the text is the first piece.
    """

    text: str
    is_error: bool = False
    pieces: list[Any] = attrs.field(factory=list[Any], eq=False, repr=False)


class Tool(Value, Generic[T]):
    """A tool call. Subclasses are frozen attrs classes that hold the arguments."""

    __slots__ = ()

    tool: ClassVar[str] = ""
    server: ClassVar[str] = ""
    result: ClassVar[Any] = None
    error: ClassVar[type[ToolError]] = ToolError

    def __init_subclass__(
        cls,
        *,
        tool: str = "",
        server: str = "",
        returns: Any = None,
        error: type[ToolError] = ToolError,
    ) -> None:
        if tool:
            cls.tool, cls.server, cls.result, cls.error = tool, server, returns, error
        if "tool" in vars(cls):  # attrs makes the class a second time, without the arguments
            TOOLS[cls.tool] = cls

    def arguments(self) -> dict[str, Any]:
        """The arguments as they travel.

        Raises:
            InvalidInputError: A value is not of the type of its field.
        """
        check_types(self)
        return cast(dict[str, Any], encode(self))

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any]) -> Self:
        """Read the call back from its arguments.

        Raises:
            WireError: An argument is missing or has another shape.
            InvalidInputError: An argument has a value that the tool refuses.
        """
        return decode(cls, arguments)

    def parse(self, content: Content) -> T:
        """Make the result from what the tool answered.

        Raises:
            ToolError: The tool reports a failure; of the class that the tool names.
            WireError: The text does not have the shape of this tool's replies.
        """
        if content.is_error:
            raise self.failure(content.text)
        return self.read(content.text)

    def read(self, text: str) -> T:
        """Make the result from the text of a successful reply."""
        return cast(T, None if self.result is None else decode(self.result, from_json(text)))

    def write(self, value: T) -> Content:
        """The reply for a result; what the engine sends. The inverse of `parse`."""
        return Content("" if value is None else to_json(value))

    def failure(self, text: str) -> ToolError:
        """The error that a failure text stands for."""
        number, message = split_failure(text)
        return self.error(message, tool=self.tool, code="" if number is None else str(number))


TOOLS: dict[str, type[Tool[Any]]] = {}

# What is said of a failure that came without a text.
NO_REASON = "the tool gave no reason"

_FAILURE = re.compile(
    r"Execution failed\. Error code:\s*(-?\d{1,9})\s+Error message:\s?(.*)", re.DOTALL
)


def failure_text(message: str, number: int) -> str:
    """The text with which the service reports that a tool failed."""
    return f"Execution failed. Error code:{number} Error message: {message}"


def split_failure(text: str) -> tuple[int | None, str]:
    """The error number in a failure text, if it has one, and the message."""
    match = _FAILURE.search(text)
    return (int(match[1]), match[2]) if match else (None, text or NO_REASON)


def not_blank(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """An attrs validator: text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidInputError(f"{attribute.name} must be text that is not blank, not {value!r}")


def a_path(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """An attrs validator: text that can name a file."""
    check_path(attribute.name, value)


def check_path(name: str, value: object) -> None:
    """Refuse what cannot name a file.

    Raises:
        InvalidInputError: It is not text, is empty, or holds NUL.
    """
    if not isinstance(value, str) or not value or "\0" in value:
        raise InvalidInputError(f"{name} must be the path of a file, not {value!r}")
