"""Sessions: create, find and end them; call their tools."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast

import attrs

from .._deferred import Deferred
from .._value import Value
from ..errors import InvalidInputError
from ._calls import Action, Content
from ._checks import check_labels
from ._wire import Camel, Pascal, WireError, from_json, named, shape

if TYPE_CHECKING:
    from . import contexts
    from . import extra_configs as extras
else:
    # They are large, and most requests go without them.
    contexts = Deferred("agentbay.protocol.contexts")
    extras = Deferred("agentbay.protocol.extra_configs")

DEFAULT_IMAGE = "linux_latest"


class SessionStatus(StrEnum):
    """The states of a session."""

    RUNNING = "RUNNING"
    PAUSING = "PAUSING"
    PAUSED = "PAUSED"
    RESUMING = "RESUMING"
    DELETING = "DELETING"
    DELETED = "DELETED"


def some_labels(_: Any, __: attrs.Attribute[Any], value: object) -> None:
    """An attrs validator: labels, or None."""
    if value is not None:
        check_labels(value)


def check_id(_: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    """An attrs validator: the identifier of something."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidInputError(f"{attribute.name} is required, not {value!r}")


def _tool_list(raw: Any) -> Any:
    return from_json(raw or "[]") or [] if isinstance(raw, str) else raw


# -- what travels inside ---------------------------------------------------------------


@attrs.frozen(eq=False, repr=False)
class SdkStats(Value):
    """Which SDK creates a session. Nothing else about the caller is sent."""

    source: str = "sdk"
    sdk_language: str = "python"
    sdk_version: str = ""
    is_release: bool = True
    framework: str = ""


@attrs.frozen(eq=False, repr=False)
class ToolServer(Value):
    """A tool of a session, and the server behind it."""

    name: str = named(also=("Name",), default="")
    server: str = named(also=("serverName", "Server"), default="")


@attrs.frozen(eq=False, repr=False)
class SessionData(Pascal):
    """What the service tells about a session."""

    session_id: str = ""
    success: bool = True
    err_msg: str = ""
    app_instance_id: str = ""
    resource_id: str = ""
    resource_url: str = attrs.field(default="", repr=False)
    status: str = ""
    image_id: str = ""
    token: str = attrs.field(default="", repr=False)
    link_url: str = attrs.field(default="", repr=False)
    ws_url: str = named(also=("wsUrl",), default="", repr=False)
    tool_list: list[ToolServer] = named(read=_tool_list, factory=list)
    vpc_ip: str = ""
    vpc_id: str = ""
    vpc_resource: bool = False
    network_interface_ip: str = ""
    http_port: str = ""
    contexts: list[dict[str, Any]] | None = named("contexts", also=("Contexts",), default=None)


@attrs.frozen(eq=False, repr=False)
class ToolReply(Camel):
    """What a tool answers: pieces of content, of which the first one counts."""

    content: list[Any] = named(factory=list)
    is_error: bool = False

    def first(self) -> Content:
        """The first piece of content, as text."""
        piece = self.content[0] if self.content else ""
        if isinstance(piece, Mapping):
            values = cast(Mapping[str, Any], piece)
            piece = values.get("text") or values.get("blob") or values.get("data") or ""
        if not isinstance(piece, str):
            raise WireError(f"content: expected text, not {shape(piece)}")
        return Content(piece, self.is_error, self.content)


# -- actions ---------------------------------------------------------------------------


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CreateSession(Action[SessionData], action="CreateMcpSession", returns=SessionData):
    """Create a session."""

    labels: dict[str, str] | None = named(json_text=True, default=None, validator=some_labels)
    image_id: str | None = None
    persistence_data_list: list[contexts.PersistenceItem] | None = named(
        json_text=True, default=None
    )
    mcp_policy_id: str | None = None
    vpc_resource: bool | None = None
    extra_configs: extras.ExtraConfigs | None = None
    login_region_id: str | None = None
    network_id: str | None = None
    enable_record: bool | None = None
    timeout: int | None = None
    max_runtime: int | None = None
    manual_release: bool | None = None
    load_skill: bool | None = None
    skills: list[str] | None = named(json_text=True, default=None)
    sdk_stats: SdkStats | None = named(json_text=True, default=None)
    context_id: str | None = None
    external_user_id: str | None = None
    session_id: str | None = None


@attrs.frozen(eq=False, repr=False)
class GetSession(Action[SessionData], action="GetSession", returns=SessionData):
    """Tell what is known about a session."""

    session_id: str = attrs.field(validator=check_id)


@attrs.frozen(eq=False, repr=False)
class ReleaseSession(Action[None], action="ReleaseMcpSession"):
    """End a session; the reply comes when it is gone."""

    session_id: str = attrs.field(validator=check_id)


@attrs.frozen(eq=False, repr=False)
class CallTool(Action[ToolReply], action="CallMcpTool", returns=ToolReply):
    """Call a tool of a session through the control plane."""

    session_id: str = attrs.field(validator=check_id)
    name: str = attrs.field(validator=check_id)
    args: dict[str, Any] = named(json_text=True)
    server: str = ""
    auto_gen_session: bool = False
    image_id: str | None = None
    external_user_id: str | None = None
