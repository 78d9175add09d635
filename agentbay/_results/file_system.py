"""The results of operations on files."""

from __future__ import annotations

import attrs

from ..protocol._wire import to_json
from ..protocol.file_system import DirectoryEntry, FileChangeEvent, FileFacts
from .base import ApiResponse
from .sessions import OperationResult


@attrs.frozen(eq=False, repr=False)
class BoolResult(OperationResult[bool]):
    """The result of an operation that has nothing to tell but that it worked."""


@attrs.frozen(eq=False, repr=False)
class EditResult(BoolResult):
    """What an edit changed in a file, or would change.

    Attributes:
        diff: The difference in the unified format; empty when nothing differs.
    """

    diff: str = attrs.field(default="", kw_only=True)


@attrs.frozen(eq=False, repr=False)
class FileInfoResult(ApiResponse):
    """What is known about a file."""

    file_info: FileFacts = attrs.field(factory=FileFacts)

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self.file_info.size

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return self.success and self.file_info.is_file

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return self.file_info.is_directory

    @property
    def permissions(self) -> str:
        """Permission bits, such as ``rw-r--r--``."""
        return self.file_info.permissions

    def unwrap(self) -> FileFacts:
        """Return the facts, or raise what went wrong."""
        self._check()
        return self.file_info


@attrs.frozen(eq=False, repr=False)
class DirectoryListResult(ApiResponse):
    """The entries of a directory."""

    entries: list[DirectoryEntry] = attrs.field(factory=list[DirectoryEntry])

    def unwrap(self) -> list[DirectoryEntry]:
        """Return the entries, or raise what went wrong."""
        self._check()
        return self.entries


@attrs.frozen(eq=False, repr=False)
class FileContentResult(ApiResponse):
    """The text of a file."""

    content: str = ""

    def unwrap(self) -> str:
        """Return the text, or raise what went wrong."""
        self._check()
        return self.content


@attrs.frozen(eq=False, repr=False)
class BinaryFileContentResult(ApiResponse):
    """The bytes of a file."""

    content: bytes = attrs.field(default=b"", repr=False)

    @property
    def size(self) -> int:
        """How many bytes were read."""
        return len(self.content)

    def unwrap(self) -> bytes:
        """Return the bytes, or raise what went wrong."""
        self._check()
        return self.content


@attrs.frozen(eq=False, repr=False)
class MultipleFileContentResult(ApiResponse):
    """The texts of several files, by path; a file that failed has its error as text."""

    contents: dict[str, str] = attrs.field(factory=dict[str, str])

    def unwrap(self) -> dict[str, str]:
        """Return the texts, or raise what went wrong."""
        self._check()
        return self.contents


@attrs.frozen(eq=False, repr=False)
class FileSearchResult(ApiResponse):
    """The absolute paths that a search found."""

    matches: list[str] = attrs.field(factory=list[str])

    def unwrap(self) -> list[str]:
        """Return the paths, or raise what went wrong."""
        self._check()
        return self.matches


@attrs.frozen(eq=False, repr=False)
class FileChangeResult(ApiResponse):
    """What changed below a directory since the last time this was asked."""

    events: list[FileChangeEvent] = attrs.field(factory=list[FileChangeEvent])

    @property
    def raw_data(self) -> str:
        """The changes as JSON text, as the service writes them."""
        return to_json(self.events)

    def has_changes(self) -> bool:
        """Whether anything changed."""
        return bool(self.events)

    def get_created_files(self) -> list[str]:
        """The paths of files that appeared."""
        return self._files("create")

    def get_modified_files(self) -> list[str]:
        """The paths of files whose content changed."""
        return self._files("modify")

    def get_deleted_files(self) -> list[str]:
        """The paths of files that are gone."""
        return self._files("delete")

    def unwrap(self) -> list[FileChangeEvent]:
        """Return the changes, or raise what went wrong."""
        self._check()
        return self.events

    def _files(self, event_type: str) -> list[str]:
        files = (event for event in self.events if event.path_type == "file")
        return [event.path for event in files if event.event_type == event_type]


@attrs.frozen(eq=False, repr=False)
class UploadResult(ApiResponse):
    """What became of a file that was sent to a session.

    A failure keeps what is known about the steps before it.

    Attributes:
        request_id_upload_url: Identifier of the request for the address of the file.
        request_id_sync: Identifier of the request that brought the file into the session.
        http_status: What the store answered; None when it was not asked.
        etag: What the store calls the file; None when it did not say.
        bytes_sent: How many bytes the store took.
        path: Where the file is in the session.
    """

    request_id_upload_url: str | None = attrs.field(default=None, kw_only=True)
    request_id_sync: str | None = attrs.field(default=None, kw_only=True)
    http_status: int | None = attrs.field(default=None, kw_only=True)
    etag: str | None = attrs.field(default=None, kw_only=True)
    bytes_sent: int = attrs.field(default=0, kw_only=True)
    path: str = attrs.field(default="", kw_only=True)

    def unwrap(self) -> str:
        """Return `path`, or raise what went wrong."""
        self._check()
        return self.path


@attrs.frozen(eq=False, repr=False)
class DownloadResult(ApiResponse):
    """What became of a file that was fetched from a session.

    A failure keeps what is known about the steps before it.

    Attributes:
        request_id_download_url: Identifier of the request for the address of the file.
        request_id_sync: Identifier of the request that brought the file out of the session.
        http_status: What the store answered; None when it was not asked.
        bytes_received: How many bytes arrived.
        path: Where the file is in the session.
        local_path: Where it was to go on the local machine.
    """

    request_id_download_url: str | None = attrs.field(default=None, kw_only=True)
    request_id_sync: str | None = attrs.field(default=None, kw_only=True)
    http_status: int | None = attrs.field(default=None, kw_only=True)
    bytes_received: int = attrs.field(default=0, kw_only=True)
    path: str = attrs.field(default="", kw_only=True)
    local_path: str = attrs.field(default="", kw_only=True)

    def unwrap(self) -> str:
        """Return `local_path`, or raise what went wrong."""
        self._check()
        return self.local_path
