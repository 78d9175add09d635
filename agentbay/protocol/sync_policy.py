"""How a context follows a session: which of its files, when, and for how long."""

from __future__ import annotations

from typing import Any, Self, cast

import attrs

from ..errors import InvalidInputError
from ._checks import Choice, as_texts
from ._renamed import renamed
from ._wire import Camel, encode, named


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


def _no_wildcards(what: str, paths: object) -> None:
    for path in as_texts(what, paths):
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
    """How files leave a session for its context.

    Attributes:
        auto_upload: Whether changes go into the context without being asked for.
        upload_strategy: When they do.
        upload_mode: Whether files are kept one by one, or as one archive.
        archive_exclude_paths: Paths that are kept one by one beside an archive, relative to
            the context.

    Raises:
        InvalidInputError: There is no such strategy or mode.
    """

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
    """How files of a context enter a session.

    Attributes:
        auto_download: Whether they do without being asked for.
        download_strategy: When they do.

    Raises:
        InvalidInputError: There is no such strategy.
    """

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
    """What happens in the context when a file is deleted in the session.

    Attributes:
        sync_local_file: Whether it is deleted there, too.
    """

    sync_local_file: bool = True

    @classmethod
    def default(cls) -> Self:
        """The policy that applies when none is given."""
        return cls()


@renamed(extract_to_current_folder="extract_current_folder")
@attrs.define
class ExtractPolicy(Policy):
    """What happens to archives that a context brings into a session.

    Attributes:
        extract: Whether they are unpacked.
        delete_src_file: Whether an archive that was unpacked is deleted.
        extract_current_folder: Whether the files go beside the archive, rather than into a
            directory of its name.
    """

    extract: bool = True
    delete_src_file: bool = True
    extract_current_folder: bool = named("extractToCurrentFolder", default=False)

    @classmethod
    def default(cls) -> Self:
        """The policy that applies when none is given."""
        return cls()


@attrs.define
class RecyclePolicy(Policy):
    """How long which paths of a context are kept.

    Attributes:
        lifecycle: How long.
        paths: Which paths, relative to the context, without wildcards; ``""`` is everything.

    Raises:
        InvalidInputError: There is no such lifecycle, or a path holds a wildcard.
    """

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
    """A path that takes part in syncing.

    Attributes:
        path: The path, relative to the context, with everything below it; ``""`` is all.
        exclude_paths: Paths below it that take no part.
        is_path_regex: Whether `path` is a regular expression.
        is_exclude_regex: Whether `exclude_paths` are regular expressions.

    Raises:
        InvalidInputError: A path holds a wildcard, and is no regular expression.
    """

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
    """The paths that take part in syncing.

    Attributes:
        white_lists: The paths; an empty list restricts nothing.
    """

    white_lists: list[WhiteList] = named(factory=list)


@attrs.define
class MappingPolicy(Policy):
    """The path under which another operating system wrote the files.

    Attributes:
        path: That path, as that system writes it; empty when no other one wrote any.
    """

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
    """How a context follows a session.

    None stands for the default of a part.

    Attributes:
        upload_policy: How files leave the session.
        download_policy: How they enter it.
        delete_policy: What becomes of deleted files.
        extract_policy: What becomes of archives.
        recycle_policy: How long files are kept.
        bw_list: The paths that take part, as a `BWList`, a `WhiteList` or a list of these; all
            of them by default.
        mapping_policy: Where another operating system had the files; None when all are of one.
    """

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
