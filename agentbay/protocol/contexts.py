"""Contexts: storage that outlives sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, cast

import attrs

from ..errors import api_error
from ._calls import Action, Envelope, Paged, not_blank
from ._wire import Camel, Pascal, decode, named
from .sync_policy import SyncPolicy

# -- what travels inside ---------------------------------------------------------------


@attrs.frozen
class MountConfig(Pascal):
    """How a context is mounted rather than copied."""

    access_mode: str = "readWrite"
    storage_mode: str = "standard"
    source_path: str = ""
    object_key: str | None = None


@attrs.frozen
class PersistenceItem(Pascal):
    """A context that a new session gets."""

    context_id: str
    path: str
    policy: SyncPolicy | None = named(json_text=True, default=None)
    type: str | None = None
    mount_config: MountConfig | None = None


@attrs.define
class Context(Pascal):
    """Storage with a name that outlives sessions.

    Attributes:
        id: Identifier, given by the service.
        name: Name, chosen by the user; unique in the account.
        state: ``available``, ``in-use``, ``clearing`` or ``pre-available``.
        created_at: When it was created, as the service writes it.
        last_used_at: When a session last used it.
        os_type: Operating system that wrote the files; None when unknown.
    """

    id: str
    name: str = ""
    created_at: str | None = named("CreateTime", default=None)
    last_used_at: str | None = named("LastUsedTime", default=None)
    state: str = attrs.field(default="available", kw_only=True)
    os_type: str | None = attrs.field(default=None, kw_only=True)


@attrs.frozen
class ContextPage(Pascal):
    """One page of a list of contexts."""

    contexts: list[Context]
    next_token: str = ""
    max_results: int = 0
    total_count: int = 0


@attrs.frozen
class ContextStatusData(Camel):
    """One transfer between a context and a session.

    Attributes:
        context_id: Which context.
        path: Where in the session.
        error_message: Why it failed; empty when it did not.
        status: ``Success``, ``Failed``, or a word for a transfer that still runs.
        start_time: When it began, in seconds since 1970.
        finish_time: When it ended, in seconds since 1970; 0 while it runs.
        task_type: ``upload`` or ``download``.
    """

    context_id: str = ""
    path: str = ""
    error_message: str = ""
    status: str = ""
    start_time: int = 0
    finish_time: int = 0
    task_type: str = ""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read one from a reply of the service."""
        return decode(cls, data)

    @property
    def finished(self) -> bool:
        """Whether the transfer ended, well or not."""
        return self.status in ("Success", "Failed")


@attrs.frozen
class StatusGroup(Camel):
    """The transfers of one kind; those of kind ``data`` are files."""

    type: str = ""
    data: list[ContextStatusData] = named(json_text=True, factory=list)


@attrs.frozen
class ContextInfo(Pascal):
    """The transfers of a session."""

    context_status: list[StatusGroup] = named(
        json_text=True, read=lambda raw: raw or "[]", factory=list
    )

    @classmethod
    def of(cls, transfers: list[ContextStatusData]) -> Self:
        """The form in which transfers travel."""
        return cls([StatusGroup("data", transfers)])

    @property
    def transfers(self) -> list[ContextStatusData]:
        """The transfers of files."""
        groups = (group.data for group in self.context_status if group.type == "data")
        return [transfer for group in groups for transfer in group]


@attrs.define
class ContextListParams:
    """Which page of the list of contexts.

    Attributes:
        max_results: How many a page may have; 10 when None.
        next_token: Where the page begins: `next_token` of the page before.
        session_id: Only contexts of this session.
    """

    max_results: int | None = None
    next_token: str | None = None
    session_id: str | None = None


# -- actions ---------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class GetContext(Action[Context], action="GetContext", returns=Context):
    """Find a context by name or id, and create it when asked to."""

    name: str | None = None
    context_id: str | None = None
    allow_create: bool = False
    login_region_id: str | None = None

    def payload(self, reply: Envelope) -> Any:
        """The context; a success without one means that there is none of that name."""
        if not reply.data:
            raise api_error(
                f"there is no context {self.context_id or self.name!r}",
                code="Context.NotFound",
                status_code=reply.http_status_code or 200,
                request_id=reply.request_id,
                action=self.action,
            )
        found = super().payload(reply)
        if isinstance(found, Mapping):
            # A state that is not told must not look like one that is: clearing waits for it.
            told = cast("Mapping[str, Any]", found)
            return {**told, "State": told.get("State") or ""}
        return found


@attrs.frozen(kw_only=True)
class ListContexts(Paged[ContextPage], action="ListContexts", returns=ContextPage):
    """List the contexts of the account, a page at a time."""

    max_results: int | None = None
    next_token: str | None = None
    session_id: str | None = None
    context_type: str | None = None


@attrs.frozen
class ModifyContext(Action[None], action="ModifyContext"):
    """Rename a context."""

    id: str = attrs.field(validator=not_blank)
    name: str = attrs.field(validator=not_blank)


@attrs.frozen
class DeleteContext(Action[None], action="DeleteContext"):
    """Delete a context and its files."""

    id: str = attrs.field(validator=not_blank)


@attrs.frozen(kw_only=True)
class SyncContext(Action[None], action="SyncContext"):
    """Start to bring the contexts of a session up to date.

    The vendor's clients put the API key of this action into the URL, where every access log
    sees it; ours travels in the form, as for all other actions.
    """

    session_id: str
    context_id: str | None = None
    path: str | None = None
    mode: str | None = None


@attrs.frozen(kw_only=True)
class GetContextInfo(Action[ContextInfo], action="GetContextInfo", returns=ContextInfo):
    """Tell how far the transfers of a session are."""

    session_id: str
    context_id: str | None = None
    path: str | None = None
    task_type: str | None = None

    def payload(self, reply: Envelope) -> Any:
        """The transfers; a session without any may come without data."""
        return super().payload(reply) or {}


@attrs.frozen
class ClearContext(Action[None], action="ClearContext"):
    """Begin to delete the files of a context; its state tells when they are gone."""

    id: str = attrs.field(validator=not_blank)
