"""Sessions that are there: list, label, link to, pause and end them; the tools of images."""

from __future__ import annotations

from typing import Any, cast

import attrs

from ..errors import InvalidInputError
from ._calls import Action, Envelope, Paged
from ._checks import check_labels, check_port
from ._wire import Camel, Pascal, WireError, from_json, named, shape, to_json
from .sessions import DEFAULT_IMAGE, SessionStatus, check_id, some_labels


def _port(_: Any, __: attrs.Attribute[Any], value: object) -> None:
    if value is not None:
        check_port(value)


def _options(_: Any, __: attrs.Attribute[Any], value: object) -> None:
    if value is None or value == "":
        return
    try:
        from_json(cast("str", value))
    except (WireError, TypeError) as exc:
        raise InvalidInputError(f"options must be JSON text, not {shape(value)}") from exc


# -- what travels inside ---------------------------------------------------------------


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


# -- actions ---------------------------------------------------------------------------


@attrs.frozen(eq=False, repr=False)
class GetSessionDetail(Action[StatusData], action="GetSessionDetail", returns=StatusData):
    """Tell the state of a session, also after it ended."""

    session_id: str = named(query=True, validator=check_id)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ListSessions(Paged[SessionPage], action="ListSession", returns=SessionPage):
    """List the sessions of the account, a page at a time."""

    labels: dict[str, str] | None = named(json_text=True, default=None, validator=some_labels)
    max_results: int | None = None
    next_token: str | None = None
    status: SessionStatus | None = None
    image_id: str | None = None


@attrs.frozen(eq=False, repr=False)
class DeleteSession(Action[None], action="DeleteSessionAsync"):
    """Begin to end a session; `GetSessionDetail` tells when it is gone."""

    session_id: str = attrs.field(validator=check_id)


@attrs.frozen(eq=False, repr=False)
class SetLabels(Action[None], action="SetLabel"):
    """Replace the labels of a session."""

    session_id: str = attrs.field(validator=check_id)
    labels: dict[str, str] = named(json_text=True)

    def __attrs_post_init__(self) -> None:
        if not check_labels(self.labels):
            raise InvalidInputError("labels must not be empty: give at least one label")


@attrs.frozen(eq=False, repr=False)
class GetLabels(Action[LabelData], action="GetLabel", returns=LabelData):
    """Read the labels of a session."""

    session_id: str = attrs.field(validator=check_id)
    max_results: int | None = None
    next_token: str | None = None

    def payload(self, reply: Envelope) -> Any:
        """The labels; a session that never had any may come without data."""
        return super().payload(reply) or {}


@attrs.frozen(eq=False, repr=False)
class GetResource(Action[ResourceData], action="GetMcpResource", returns=ResourceData):
    """Tell where a session can be reached."""

    session_id: str = attrs.field(validator=check_id)


@attrs.frozen(eq=False, repr=False)
class GetLink(Action[LinkData], action="GetLink", returns=LinkData):
    """Get an address for a port of a session."""

    session_id: str = attrs.field(validator=check_id)
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
class PauseSession(Action[None], action="PauseSessionAsync"):
    """Begin to pause a session; `GetSession` tells when it is paused."""

    session_id: str = attrs.field(validator=check_id)


@attrs.frozen(eq=False, repr=False)
class ResumeSession(Action[None], action="ResumeSessionAsync"):
    """Begin to wake a paused session; `GetSession` tells when it runs."""

    session_id: str = attrs.field(validator=check_id)


@attrs.frozen(eq=False, repr=False)
class RefreshIdleTime(Action[None], action="RefreshSessionIdleTime"):
    """Begin the time anew after which an unused session ends."""

    session_id: str = attrs.field(validator=check_id)


@attrs.frozen(eq=False, repr=False)
class GetAdbLink(Action[LinkData], action="GetAdbLink", returns=LinkData):
    """Get an address for the Android debug bridge of a mobile session.

    Its option is JSON text with the public key of the bridge's client, ``adbkey_pub``.
    """

    session_id: str = attrs.field(validator=check_id)
    option: str = attrs.field(validator=check_id)
