"""Contexts: storage that outlives sessions, and how it follows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, cast

import attrs

from ..errors import InvalidInputError, api_error
from ._calls import Action, Envelope, Paged, not_blank
from ._checks import Choice
from ._renamed import renamed
from ._wire import Camel, Pascal, decode, encode, named

# -- policies --------------------------------------------------------------------------


class UploadStrategy(Choice):
    """When files of a session are uploaded."""

    UPLOAD_BEFORE_RESOURCE_RELEASE = "UploadBeforeResourceRelease"
    BEFORE_RESOURCE_RELEASE = UPLOAD_BEFORE_RESOURCE_RELEASE


class UploadMode(Choice):
    """How files are kept: one by one, or as one archive."""

    FILE = "File"
    ARCHIVE = "Archive"


class DownloadStrategy(Choice):
    """When files of a context are brought into a session."""

    DOWNLOAD_ASYNC = "DownloadAsync"
    ASYNC = DOWNLOAD_ASYNC


class Lifecycle(Choice):
    """How long files of a context are kept."""

    LIFECYCLE_1DAY = "Lifecycle_1Day"
    LIFECYCLE_3DAYS = "Lifecycle_3Days"
    LIFECYCLE_5DAYS = "Lifecycle_5Days"
    LIFECYCLE_10DAYS = "Lifecycle_10Days"
    LIFECYCLE_15DAYS = "Lifecycle_15Days"
    LIFECYCLE_30DAYS = "Lifecycle_30Days"
    LIFECYCLE_90DAYS = "Lifecycle_90Days"
    LIFECYCLE_180DAYS = "Lifecycle_180Days"
    LIFECYCLE_360DAYS = "Lifecycle_360Days"
    LIFECYCLE_FOREVER = "Lifecycle_Forever"


def _no_wildcards(what: str, paths: list[str]) -> None:
    for path in paths:
        if any(sign in path for sign in "*?[]"):
            raise InvalidInputError(f"{what} must not hold wildcards: {path!r}")


class Policy(Camel):
    """What the policies have in common: they can be written as a mapping."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """The policy under the names that the service uses."""
        return cast("dict[str, Any]", encode(self))

    # A method of this name is how programs of both generations ask for the mapping.
    __dict__ = to_dict  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]


@attrs.define
class UploadPolicy(Policy):
    """How files leave a session for its context."""

    auto_upload: bool = True
    upload_strategy: UploadStrategy = attrs.field(
        default=UploadStrategy.UPLOAD_BEFORE_RESOURCE_RELEASE, converter=UploadStrategy
    )
    upload_mode: UploadMode = attrs.field(default=UploadMode.FILE, converter=UploadMode)
    archive_exclude_paths: list[str] | None = None

    @classmethod
    def default(cls) -> Self:
        """The policy that applies when none is given."""
        return cls()


@attrs.define
class DownloadPolicy(Policy):
    """How files of a context enter a session."""

    auto_download: bool = True
    download_strategy: DownloadStrategy = attrs.field(
        default=DownloadStrategy.DOWNLOAD_ASYNC, converter=DownloadStrategy
    )

    @classmethod
    def default(cls) -> Self:
        """The policy that applies when none is given."""
        return cls()


@attrs.define
class DeletePolicy(Policy):
    """Whether a file deleted in the session is deleted in the context too."""

    sync_local_file: bool = True

    @classmethod
    def default(cls) -> Self:
        """The policy that applies when none is given."""
        return cls()


@renamed(extract_to_current_folder="extract_current_folder")
@attrs.define
class ExtractPolicy(Policy):
    """What happens to archives that a context brings into a session."""

    extract: bool = True
    delete_src_file: bool = True
    extract_current_folder: bool = named("extractToCurrentFolder", default=False)

    @classmethod
    def default(cls) -> Self:
        """The policy that applies when none is given."""
        return cls()


@attrs.define
class RecyclePolicy(Policy):
    """How long which paths of a context are kept."""

    lifecycle: Lifecycle = attrs.field(default=Lifecycle.LIFECYCLE_FOREVER, converter=Lifecycle)
    paths: list[str] = named(factory=lambda: [""])

    def __attrs_post_init__(self) -> None:
        _no_wildcards("RecyclePolicy.paths", self.paths)

    @classmethod
    def default(cls) -> Self:
        """The policy that applies when none is given."""
        return cls()


@attrs.define
class WhiteList(Policy):
    """A path that takes part in syncing, relative to the context; "" is everything."""

    path: str = ""
    exclude_paths: list[str] = named(factory=list)
    is_path_regex: bool = False
    is_exclude_regex: bool = False

    def __attrs_post_init__(self) -> None:
        if not self.is_path_regex:
            _no_wildcards("WhiteList.path", [self.path])
        if not self.is_exclude_regex:
            _no_wildcards("WhiteList.exclude_paths", self.exclude_paths)


@attrs.define
class BWList(Policy):
    """The paths that take part in syncing."""

    white_lists: list[WhiteList] = named(factory=list)


@attrs.define
class MappingPolicy(Policy):
    """The path under which another operating system wrote the files."""

    path: str = ""

    @classmethod
    def default(cls) -> Self:
        """The policy that names no path."""
        return cls()


def _or_default(factory: Any) -> Any:
    """A field for which None means the default, as callers of both generations write it."""
    return attrs.field(
        factory=factory, converter=lambda value: factory() if value is None else value
    )


def _bw_list(value: BWList | WhiteList | list[WhiteList] | None) -> BWList:
    """The paths that take part; all when None. The guides also show a list, or one entry."""
    if value is None:
        return BWList([WhiteList()])
    if isinstance(value, WhiteList):
        return BWList([value])
    return BWList(value) if isinstance(value, list) else value


@renamed(
    upload="upload_policy",
    download="download_policy",
    delete="delete_policy",
    extract="extract_policy",
    recycle="recycle_policy",
    mapping="mapping_policy",
    white_list="bw_list",
)
@attrs.define
class SyncPolicy(Policy):
    """How a context follows a session."""

    upload_policy: UploadPolicy = _or_default(UploadPolicy)
    download_policy: DownloadPolicy = _or_default(DownloadPolicy)
    delete_policy: DeletePolicy = _or_default(DeletePolicy)
    extract_policy: ExtractPolicy = _or_default(ExtractPolicy)
    recycle_policy: RecyclePolicy = _or_default(RecyclePolicy)
    bw_list: BWList = attrs.field(default=None, converter=_bw_list)
    mapping_policy: MappingPolicy | None = None

    @classmethod
    def default(cls) -> Self:
        """The policy that applies when none is given."""
        return cls()


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
        finish_time: When it ended; 0 while it runs.
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
