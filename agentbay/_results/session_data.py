"""Everything that the service tells about a session, as `get_session` returns it."""

from __future__ import annotations

from typing import Any, Self

import attrs

from .._value import Value
from ..protocol._wire import to_json
from ..protocol.sessions import SessionData
from .base import ApiResponse


@attrs.frozen(eq=False, repr=False)
class GetSessionData(Value):
    """Everything that the service tells about a session.

    Attributes:
        app_instance_id: Identifier of its machine.
        resource_id: Identifier of what it holds.
        session_id: Its identifier.
        success: Whether the service says that it is well.
        http_port: Its port in a private network; empty outside of one.
        network_interface_ip: Its address in a private network; empty outside of one.
        token: Credential for calls that go straight to it.
        link_url: Where those calls go; empty when there is no such way.
        ws_url: Where it streams; empty when it does not.
        vpc_resource: Whether it runs in a private network of the account.
        vpc_ip: Its address in that network.
        vpc_id: Which network that is.
        resource_url: Where a web browser shows it; holds a credential.
        status: Its state, such as ``RUNNING``.
        tool_list: The tools that it has, as JSON text.
        contexts: Its contexts, each with ``id`` and ``name``.
    """

    app_instance_id: str = ""
    resource_id: str = ""
    session_id: str = ""
    success: bool = False
    http_port: str = ""
    network_interface_ip: str = ""
    token: str = attrs.field(default="", repr=False)
    link_url: str = attrs.field(default="", repr=False)
    ws_url: str = attrs.field(default="", repr=False)
    vpc_resource: bool = False
    vpc_ip: str = ""
    vpc_id: str = ""
    resource_url: str = attrs.field(default="", repr=False)
    status: str = ""
    tool_list: str = ""
    contexts: list[dict[str, Any]] = attrs.field(factory=list[dict[str, Any]])

    @classmethod
    def of(cls, data: SessionData) -> Self:
        """Take over what the service told."""
        names = {field.name for field in attrs.fields(SessionData)}
        kept = [field.name for field in attrs.fields(cls) if field.name in names]
        told = {name: getattr(data, name) for name in kept}
        told["tool_list"] = to_json(data.tool_list) if data.tool_list else ""
        told["contexts"] = data.contexts or []
        return cls(**told)


@attrs.frozen(eq=False, repr=False)
class GetSessionResult(ApiResponse):
    """The result of asking for everything about a session."""

    data: GetSessionData | None = None

    def unwrap(self) -> GetSessionData:
        """Return what is known, or raise what went wrong."""
        self._check()
        return self.data  # type: ignore[return-value]  # a success has its data
