"""What travels over the WebSocket of a session: frames, and the methods that they call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

import attrs

from ._types import check_types
from ._wire import WireError, decode, encode, from_json, shape, to_json

T = TypeVar("T")

# What this side calls itself, and what the gateway between both sides does.
CLIENT = "SDK"
GATEWAY = "WEBSOCKET_SERVER"


class FrameError(WireError):
    """A message is no frame.

    Attributes:
        invocation_id: The invocation that it names all the same; empty when it names none.
    """

    def __init__(self, message: str, invocation_id: str = "") -> None:
        super().__init__(message)
        self.invocation_id = invocation_id


@attrs.frozen
class Frame:
    """One message.

    Attributes:
        invocation_id: What it belongs to; of its own for what nobody asked for.
        source: Who sends it; empty when it does not say.
        target: Whom it is for; only the gateway may leave it out.
        data: The content.
        error: Why the gateway refused.
    """

    invocation_id: str
    source: str
    target: str
    data: dict[str, Any] = attrs.field(repr=False)
    error: str = attrs.field(default="", repr=False)

    def encode(self) -> str:
        """The JSON text.

        Raises:
            ValueError: There is something in the data that JSON has not.
            TypeError: The same.
        """
        message: dict[str, Any] = {
            "invocationId": self.invocation_id,
            "source": self.source,
            "target": self.target,
            "data": self.data,
        }
        return to_json({**message, "error": self.error} if self.error else message)

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read a frame from its JSON text.

        Raises:
            FrameError: It is none.
        """
        try:
            raw = from_json(text)
        except WireError as exc:
            raise FrameError(f"the message is {exc}") from None
        if not isinstance(raw, dict):
            raise FrameError(f"the message is {shape(raw)}, not an object")
        message = cast("dict[str, Any]", raw)
        invocation_id = _text(message, "invocationId") or _text(message, "requestId")
        if not invocation_id:
            raise FrameError("the message names no invocation")
        source, target = _text(message, "source"), _text(message, "target")
        if not target and source != GATEWAY:
            raise FrameError("the message is for nobody", invocation_id)
        data = _data(message.get("data"), invocation_id, optional=source == GATEWAY)
        return cls(invocation_id, source, target, data, _text(message, "error"))

    @property
    def failure(self) -> str:
        """Why the other side refused, as far as every message may tell that; else empty."""
        return (self.error if self.source == GATEWAY else "") or _text(self.data, "error")

    @property
    def server(self) -> str:
        """Who tells something that nobody asked for."""
        return self.source if self.target == CLIENT else self.target


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""


def _data(raw: Any, invocation_id: str, *, optional: bool) -> dict[str, Any]:
    if raw is None and optional:
        return {}
    if isinstance(raw, str):
        try:
            raw = from_json(raw)
        except WireError as exc:
            raise FrameError(f"the data of the message is {exc}", invocation_id) from None
    if not isinstance(raw, dict):
        raise FrameError(f"the data of the message is {shape(raw)}, not an object", invocation_id)
    return cast("dict[str, Any]", raw)


class Method(Generic[T]):
    """Something to ask for over the WebSocket. Subclasses are frozen attrs classes.

    Their fields are the parameters. The server that is asked is `server`, or the one behind
    `tool` when the session knows that tool.
    """

    __slots__ = ()

    method: ClassVar[str] = ""
    mode: ClassVar[str] = ""
    server: ClassVar[str] = ""
    tool: ClassVar[str] = ""
    result: ClassVar[Any] = None

    def __init_subclass__(
        cls,
        *,
        method: str = "",
        mode: str = "",
        server: str = "",
        tool: str = "",
        returns: Any = None,
    ) -> None:
        if method:
            cls.method, cls.mode, cls.server = method, mode, server
            cls.tool, cls.result = tool, returns
        if "method" in vars(cls):  # attrs makes the class a second time, without the arguments
            METHODS[cls.method] = cls

    def params(self) -> dict[str, Any]:
        """The parameters as they travel; those that are None do not.

        Raises:
            InvalidInputError: A value is not of the type of its field.
        """
        check_types(self)
        return cast("dict[str, Any]", encode(self))

    def data(self) -> dict[str, Any]:
        """The content of the frame that asks."""
        mode = {"mode": self.mode} if self.mode else {}
        return {"method": self.method, **mode, "params": self.params()}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read back what is asked for. The inverse of `data`.

        Raises:
            WireError: A parameter is missing or has another shape.
            InvalidInputError: A parameter has a value that is refused.
        """
        params = data.get("params")
        return decode(cls, {} if params is None else params)

    def parse(self, result: Any) -> T:
        """Make the result from the answer.

        Raises:
            WireError: The answer does not have the shape of this method's answers.
        """
        return cast("T", None if self.result is None else decode(self.result, result))

    def write(self, value: T) -> dict[str, Any]:
        """The content of the frame that answers; what an engine sends. The inverse of `parse`."""
        return {"result": {} if value is None else encode(value)}


METHODS: dict[str, type[Method[Any]]] = {}
