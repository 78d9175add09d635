"""Tool calls that go straight to a session: what is sent, and what the answers look like."""

from __future__ import annotations

import random
import string
import time
from collections.abc import Mapping
from typing import Any, cast

import attrs

from .._value import Value
from ._calls import Content
from ._wire import Camel, WireError, decode, from_json, named, to_json
from .sessions import ToolReply

ACTION = "callTool"
TOKEN_HEADER = "X-Access-Token"


@attrs.frozen(eq=False, repr=False)
class LinkCall(Camel):
    """A call over the link of a session, as the body of a POST."""

    args: dict[str, Any]
    server: str
    request_id: str
    tool: str
    token: str = attrs.field(repr=False)

    def url(self, link_url: str) -> str:
        """Where it goes."""
        return f"{link_url.rstrip('/')}/{ACTION}"

    def headers(self) -> dict[str, str]:
        """The headers; the credential is expected here and in the body."""
        return {"Content-Type": "application/json", TOKEN_HEADER: self.token}

    def body(self) -> str:
        """The body, as JSON text."""
        return to_json(self)


@attrs.frozen(eq=False, repr=False)
class VpcCall(Value):
    """A call inside a private network, as the parameters of a GET."""

    server: str
    tool: str
    args: dict[str, Any]
    token: str = attrs.field(repr=False)
    request_id: str

    def url(self, ip: str, port: str) -> str:
        """Where it goes."""
        return f"http://{f'[{ip}]' if ':' in ip else ip}:{port}/{ACTION}"

    def headers(self) -> dict[str, str]:
        """The headers that the service expects, though there is no form."""
        return {"Content-Type": "application/x-www-form-urlencoded"}

    def parameters(self) -> dict[str, str]:
        """The parameters of the URL."""
        return {
            "server": self.server,
            "tool": self.tool,
            "args": to_json(self.args),
            "token": self.token,
            "requestId": self.request_id,
        }


def link_request_id() -> str:
    """An identifier for a call over a link."""
    return f"link-{_now()}-{random.randrange(10**8, 10**9)}"


def vpc_request_id() -> str:
    """An identifier for a call inside a private network."""
    letters = "".join(random.choices(string.ascii_lowercase + string.digits, k=9))
    return f"vpc-{_now()}-{letters}"


def _now() -> int:
    return time.time_ns() // 1_000_000


@attrs.frozen(eq=False, repr=False)
class Verdict(Camel):
    """Whether an answer says no, and why."""

    success: bool = named(also=("Success",), default=True)
    code: str = named(also=("Code",), default="")
    message: str = named(also=("Message", "errorMessage", "ErrorMessage"), default="")


def read_verdict(text: str) -> Verdict:
    """What an answer says about itself; an answer without words says yes."""
    try:
        return decode(Verdict, from_json(text))
    except WireError:
        return Verdict()


def read_content(text: str) -> Content:
    """What a tool answered, in any of the shapes that services wrap it in.

    The content may be at the top, in ``result``, or in ``data`` and its ``result``; ``data``
    and ``result`` may be JSON text. An answer without any content is no success.

    Raises:
        WireError: There is no content. The message shows nothing of the answer.
    """
    reply = _content_holder(_object(text, "the answer"), "the answer")
    content, failed = _get(reply, "content"), _get(reply, "isError")
    try:
        return decode(ToolReply, {"content": content, "isError": failed}).first()
    except WireError:
        raise WireError("its content is neither a list of texts nor of objects") from None


def _content_holder(node: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    if _get(node, "content") is not None:
        return node
    for name in ("data", "result"):
        inner = _get(node, name)
        if inner not in (None, ""):
            return _content_holder(_object(inner, name), name)
    raise WireError(f"{where} has no content")


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = from_json(value)
        except WireError:
            raise WireError(f"{where} is not JSON") from None
    if not isinstance(value, Mapping):
        raise WireError(f"{where} is not an object")
    return cast("Mapping[str, Any]", value)


def _get(node: Mapping[str, Any], name: str) -> Any:
    value = node.get(name)
    return node.get(name[0].upper() + name[1:]) if value is None else value
