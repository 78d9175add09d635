"""Sessions: create, find, label, link to and end them; call their tools."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast

import attrs

from .._deferred import Deferred
from .._value import Value
from ..errors import InvalidInputError
from ._calls import Action, Content, Envelope, Paged
from ._checks import check_labels, check_port
from ._wire import Camel, Pascal, WireError, from_json, named, shape, to_json

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


def _labels(_: Any, __: attrs.Attribute[Any], value: object) -> None:
    if value is not None:
        check_labels(value)


def _port(_: Any, __: attrs.Attribute[Any], value: object) -> None:
    if value is not None:
        check_port(value)


def _some_id(_: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise InvalidInputError(f"{attribute.name} is required, not {value!r}")


def _options(_: Any, __: attrs.Attribute[Any], value: object) -> None:
    if value is None or value == "":
        return
    try:
        from_json(cast("str", value))
    except (WireError, TypeError) as exc:
        raise InvalidInputError(f"options must be JSON text, not {shape(value)}") from exc


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
class SessionSummary(Pascal):
    """One entry of a list of sessions."""

    session_id: str
    session_status: str = "UNKNOWN"
    app_instance_id: str = ""
    image_id: str = ""


@attrs.frozen(eq=False, repr=False)
class SessionPage(Pascal):
    """One page of a list of sessions."""

    sessions: list[SessionSummary]
    next_token: str = ""
    max_results: int = 0
    total_count: int = 0


@attrs.frozen(eq=False, repr=False)
class DesktopInfo(Pascal):
    """How a desktop client connects to a session."""

    app_id: str = ""
    auth_code: str = attrs.field(default="", repr=False)
    connection_properties: str = ""
    resource_id: str = ""
    resource_type: str = ""
    ticket: str = attrs.field(default="", repr=False)


@attrs.frozen(eq=False, repr=False)
class ResourceData(Pascal):
    """Where a session can be reached."""

    session_id: str = ""
    resource_url: str = attrs.field(default="", repr=False)
    desktop_info: DesktopInfo = attrs.field(factory=DesktopInfo)


@attrs.frozen(eq=False, repr=False)
class LabelData(Pascal):
    """The labels of a session."""

    labels: dict[str, str] = named(json_text=True, read=lambda raw: raw or "{}", factory=dict)


@attrs.frozen(eq=False, repr=False)
class LinkData(Pascal):
    """An address, with its own credential inside."""

    url: str = attrs.field(repr=False)


@attrs.frozen(eq=False, repr=False)
class StatusData(Pascal):
    """The state of a session; ``FINISH`` after it ended, and why it did."""

    status: str = ""
    image_id: str = ""
    app_instance_id: str = ""
    end_reason: str = ""


@attrs.frozen(eq=False, repr=False)
class ToolSchema(Camel):
    """A tool of an image, with the JSON schema of its arguments."""

    name: str = ""
    description: str = ""
    input_schema: dict[str, Any] = named(factory=dict)
    server: str = ""
    tool: str = ""


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

    labels: dict[str, str] | None = named(json_text=True, default=None, validator=_labels)
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

    session_id: str = attrs.field(validator=_some_id)


@attrs.frozen(eq=False, repr=False)
class GetSessionDetail(Action[StatusData], action="GetSessionDetail", returns=StatusData):
    """Tell the state of a session, also after it ended."""

    session_id: str = named(query=True, validator=_some_id)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ListSessions(Paged[SessionPage], action="ListSession", returns=SessionPage):
    """List the sessions of the account, a page at a time."""

    labels: dict[str, str] | None = named(json_text=True, default=None, validator=_labels)
    max_results: int | None = None
    next_token: str | None = None
    status: SessionStatus | None = None
    image_id: str | None = None


@attrs.frozen(eq=False, repr=False)
class ReleaseSession(Action[None], action="ReleaseMcpSession"):
    """End a session; the reply comes when it is gone."""

    session_id: str = attrs.field(validator=_some_id)


@attrs.frozen(eq=False, repr=False)
class DeleteSession(Action[None], action="DeleteSessionAsync"):
    """Begin to end a session; `GetSessionDetail` tells when it is gone."""

    session_id: str = attrs.field(validator=_some_id)


@attrs.frozen(eq=False, repr=False)
class SetLabels(Action[None], action="SetLabel"):
    """Replace the labels of a session."""

    session_id: str = attrs.field(validator=_some_id)
    labels: dict[str, str] = named(json_text=True)

    def __attrs_post_init__(self) -> None:
        if not check_labels(self.labels):
            raise InvalidInputError("labels must not be empty: give at least one label")


@attrs.frozen(eq=False, repr=False)
class GetLabels(Action[LabelData], action="GetLabel", returns=LabelData):
    """Read the labels of a session."""

    session_id: str = attrs.field(validator=_some_id)
    max_results: int | None = None
    next_token: str | None = None

    def payload(self, reply: Envelope) -> Any:
        """The labels; a session that never had any may come without data."""
        return super().payload(reply) or {}


@attrs.frozen(eq=False, repr=False)
class GetResource(Action[ResourceData], action="GetMcpResource", returns=ResourceData):
    """Tell where a session can be reached."""

    session_id: str = attrs.field(validator=_some_id)


@attrs.frozen(eq=False, repr=False)
class GetLink(Action[LinkData], action="GetLink", returns=LinkData):
    """Get an address for a port of a session."""

    session_id: str = attrs.field(validator=_some_id)
    protocol_type: str | None = None
    port: int | None = attrs.field(default=None, validator=_port)
    options: str | None = named("Option", default=None, validator=_options)


@attrs.frozen(eq=False, repr=False)
class ListTools(Action[list[ToolSchema]], action="ListMcpTools", returns=list[ToolSchema]):
    """List the tools of an image."""

    image_id: str = DEFAULT_IMAGE

    def payload(self, reply: Envelope) -> Any:
        """The tools; an image without tools may come without data."""
        return super().payload(reply) or []

    def render(self, value: list[ToolSchema]) -> dict[str, Any]:
        """The tools as JSON text, in which clients expect them."""
        return {"Data": to_json(value)}


@attrs.frozen(eq=False, repr=False)
class CallTool(Action[ToolReply], action="CallMcpTool", returns=ToolReply):
    """Call a tool of a session through the control plane."""

    session_id: str = attrs.field(validator=_some_id)
    name: str = attrs.field(validator=_some_id)
    args: dict[str, Any] = named(json_text=True)
    server: str = ""
    auto_gen_session: bool = False
    image_id: str | None = None
    external_user_id: str | None = None


@attrs.frozen(eq=False, repr=False)
class PauseSession(Action[None], action="PauseSessionAsync"):
    """Begin to pause a session; `GetSession` tells when it is paused."""

    session_id: str = attrs.field(validator=_some_id)


@attrs.frozen(eq=False, repr=False)
class ResumeSession(Action[None], action="ResumeSessionAsync"):
    """Begin to wake a paused session; `GetSession` tells when it runs."""

    session_id: str = attrs.field(validator=_some_id)


@attrs.frozen(eq=False, repr=False)
class RefreshIdleTime(Action[None], action="RefreshSessionIdleTime"):
    """Begin the time anew after which an unused session ends."""

    session_id: str = attrs.field(validator=_some_id)


@attrs.frozen(eq=False, repr=False)
class GetAdbLink(Action[LinkData], action="GetAdbLink", returns=LinkData):
    """Get an address for the Android debug bridge of a mobile session.

    Its option is JSON text with the public key of the bridge's client, ``adbkey_pub``.
    """

    session_id: str = attrs.field(validator=_some_id)
    option: str = attrs.field(validator=_some_id)
