"""Files and directories of a session."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Self, cast

import attrs

from ..errors import FileError, InvalidInputError
from ._calls import Content, Tool, a_path
from ._checks import check_times
from ._wire import Camel, WireError, decode, encode, named, shape, to_json

SERVER = "wuying_filesystem"
NO_MATCHES = "No matches found"

# A fence is longer where the text in it has one of its own.
_FENCED = re.compile(r"(?P<fence>`{3,})diff\n(?P<difference>.*)(?P=fence)\s*", re.DOTALL)

# One message of the tool channel holds 63 KiB. Text travels as it is, bytes as base64.
TEXT_CHUNK = 51 * 1024
BYTES_CHUNK = 45 * 1024


class WriteMode(StrEnum):
    """What happens to what a file holds already."""

    OVERWRITE = "overwrite"
    APPEND = "append"


# -- values ----------------------------------------------------------------------------


class FileFacts(dict[str, Any]):
    """What is known about a file: a dictionary with the usual facts as attributes."""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return str(self.get("name", ""))

    @property
    def path(self) -> str:
        """The absolute path."""
        return str(self.get("path", ""))

    @property
    def size(self) -> int:
        """Size in bytes."""
        size = self.get("size")
        return int(size) if isinstance(size, int | float) else 0

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return bool(self.get("isDirectory", False))

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return bool(self.get("isFile", not self.is_directory))

    @property
    def permissions(self) -> str:
        """Permission bits, such as ``rw-r--r--``."""
        return str(self.get("permissions", ""))


class DirectoryEntry(dict[str, Any]):
    """One entry of a directory: a dictionary with its values as attributes, too."""

    @property
    def name(self) -> str:
        """Name within the directory."""
        return str(self["name"])

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return bool(self["isDirectory"])

    @property
    def is_file(self) -> bool:
        """Whether it is anything but a directory."""
        return not self.is_directory


@attrs.frozen
class FileChangeEvent(Camel):
    """One change below a watched directory.

    Attributes:
        event_type: ``create``, ``modify`` or ``delete``.
        path: Absolute path.
        path_type: ``file`` or ``directory``.
    """

    event_type: str = ""
    path: str = ""
    path_type: str = ""

    def to_dict(self) -> dict[str, str]:
        """The change with the names that travel."""
        return cast("dict[str, str]", encode(self))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_dict` gives.

        Raises:
            WireError: Something in it is no text.
        """
        return decode(cls, data)

    _to_dict = to_dict
    _from_dict = from_dict


@attrs.frozen
class Edit(Camel):
    """Replace the first occurrence of a text by another one."""

    old_text: str
    new_text: str


def _each_once(paths: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(paths))


# -- tools -----------------------------------------------------------------------------


@attrs.frozen
class CreateDirectory(Tool[None], tool="create_directory", server=SERVER, error=FileError):
    """Create a directory and its parents; one that exists is fine."""

    path: str = named(doc="Path of the directory.", validator=a_path)


@attrs.frozen
class DeleteFile(Tool[None], tool="delete_file", server=SERVER, error=FileError):
    """Delete a file."""

    path: str = named(doc="Path of the file.", validator=a_path)


@attrs.frozen
class EditFile(Tool[str], tool="edit_file", server=SERVER, error=FileError):
    """Replace texts in a file, one after the other."""

    path: str = named(doc="Path of the file.", validator=a_path)
    edits: list[Edit] = named(doc="Texts to find, and what to put in their place.")
    dry_run: bool = named("dryRun", doc="Only show the difference.", default=False)

    def read(self, text: str) -> str:
        """The difference, without its code fence."""
        found = _FENCED.fullmatch(text)
        return found["difference"] if found else text

    def write(self, value: str) -> Content:
        """The difference in a code fence."""
        return Content(f"```diff\n{value}```\n")


@attrs.frozen
class GetFileInfo(Tool[FileFacts], tool="get_file_info", server=SERVER, error=FileError):
    """Tell size, kind, times and permissions of a file."""

    path: str = named(doc="Path of the file or directory.", validator=a_path)

    def read(self, text: str) -> FileFacts:
        """Read lines of ``key: value``."""
        pairs = (line.split(":", 1) for line in _lines(text) if ":" in line)
        return FileFacts({key.strip(): _typed(key.strip(), value) for key, value in pairs})

    def write(self, value: FileFacts) -> Content:
        """Write lines of ``key: value``."""
        return Content("".join(f"{key}: {_plain(item)}\n" for key, item in value.items()))


@attrs.frozen
class ListDirectory(
    Tool[list[DirectoryEntry]], tool="list_directory", server=SERVER, error=FileError
):
    """List the entries of a directory."""

    path: str = named(doc="Path of the directory.", validator=a_path)

    def read(self, text: str) -> list[DirectoryEntry]:
        """Read lines of ``[DIR] name`` and ``[FILE] name``."""
        return list(self._entries(text))

    def _entries(self, text: str) -> Iterator[DirectoryEntry]:
        for line in _lines(text):
            for mark, is_directory in (("[DIR] ", True), ("[FILE] ", False)):
                if line.startswith(mark):
                    name = line.removeprefix(mark)
                    yield DirectoryEntry(name=name, isDirectory=is_directory)

    def write(self, value: list[DirectoryEntry]) -> Content:
        """Write one line for each entry."""
        marks = ("[DIR]" if entry.is_directory else "[FILE]" for entry in value)
        pairs = zip(marks, value, strict=True)
        return Content("\n".join(f"{mark} {entry.name}" for mark, entry in pairs))


@attrs.frozen
class MoveFile(Tool[None], tool="move_file", server=SERVER, error=FileError):
    """Move or rename a file or directory; the destination must not exist."""

    source: str = named(doc="What to move.", validator=a_path)
    destination: str = named(doc="Where to; must not exist.", validator=a_path)


@attrs.frozen
class ReadFile(Tool[bytes], tool="read_file", server=SERVER, error=FileError):
    """Read a file, or a range of its bytes."""

    path: str = named(doc="Path of the file.", validator=a_path)
    offset: int = named(doc="First byte to read.", default=0)
    length: int = named(doc="How many bytes; 0 reads to the end.", default=0)
    format: str | None = named(doc='"binary" for base64, else UTF-8 text.', default=None)

    def read(self, text: str) -> bytes:
        """The bytes that were read."""
        binary = self.format == "binary"
        try:
            return base64.b64decode(text, validate=True) if binary else text.encode()
        except ValueError:
            pass  # no cause: it may hold the text, in which there may be a credential
        raise WireError(f"not {'base64' if binary else 'UTF-8'}: {shape(text)}")

    def write(self, value: bytes) -> Content:
        """The bytes as base64, or as text."""
        if self.format == "binary":
            return Content(base64.b64encode(value).decode())
        return Content(value.decode())


@attrs.frozen
class ReadMultipleFiles(
    Tool[dict[str, str]], tool="read_multiple_files", server=SERVER, error=FileError
):
    """Read several text files; one that fails does not fail the others."""

    paths: list[str] = named(doc="Paths of the files.", converter=_each_once)

    def read(self, text: str) -> dict[str, str]:
        """Read blocks of ``path: content``, split by a line ``---``.

        The paths that were asked for, in their order, mark where a block begins: a line
        ``---`` or a colon inside a file does not.
        """
        contents: dict[str, str] = {}
        for path, following in zip(self.paths, [*self.paths[1:], None], strict=False):
            block, text = _cut(text, following)
            if not block.startswith(f"{path}:"):
                raise WireError(f"there is no text of {path}")
            contents[path] = block.removeprefix(f"{path}:").removeprefix(" ").removeprefix("\n")
        return contents

    def write(self, value: dict[str, str]) -> Content:
        """Write one block for each file."""
        blocks = (f"{path}:\n{content}\n---\n" for path, content in value.items())
        return Content("".join(blocks).removesuffix("\n"))


@attrs.frozen
class SearchFiles(Tool[list[str]], tool="search_files", server=SERVER, error=FileError):
    """Find files by name, below a directory."""

    path: str = named(doc="Where to search.", validator=a_path)
    pattern: str = named(doc="Part of the name, or a pattern with * and ?.")
    exclude_patterns: str | None = named(
        "excludePatterns", doc="Patterns to leave out, separated by commas.", default=None
    )

    def read(self, text: str) -> list[str]:
        """Read one absolute path a line."""
        found = [line for line in _lines(text) if line]
        return [] if found == [NO_MATCHES] else found

    def write(self, value: list[str]) -> Content:
        """Write one absolute path a line."""
        return Content("\n".join(value) or NO_MATCHES)


@attrs.frozen
class WriteFile(Tool[None], tool="write_file", server=SERVER, error=FileError):
    """Write a text file; its parent directories are created."""

    path: str = named(doc="Path of the file.", validator=a_path)
    content: str = named(doc="The text to write.")
    mode: WriteMode = named(doc="Replace the file or add to it.", default=WriteMode.OVERWRITE)

    def __attrs_post_init__(self) -> None:
        try:
            self.content.encode()
        except UnicodeEncodeError as exc:
            raise InvalidInputError(
                f"content cannot be written as UTF-8: {exc.reason}; pass bytes instead"
            ) from exc


@attrs.frozen
class GetFileChange(
    Tool[list[FileChangeEvent]],
    tool="get_file_change",
    server=SERVER,
    returns=list[FileChangeEvent],
    error=FileError,
):
    """Tell what changed below a directory since the last time this was asked."""

    path: str = named(doc="Path of the directory.", validator=a_path)

    def read(self, text: str) -> list[FileChangeEvent]:
        """Read the JSON list; nothing at all means that nothing changed."""
        return super().read(text or "[]")

    def write(self, value: list[FileChangeEvent]) -> Content:
        """Write the JSON list."""
        return Content(to_json(value))


def write_mode(mode: str) -> WriteMode:
    """Read the mode of a write.

    Raises:
        InvalidInputError: Neither ``overwrite`` nor ``append``.
    """
    try:
        return WriteMode(mode)
    except ValueError as exc:
        raise InvalidInputError(
            f"Invalid write mode: {mode}. Must be 'overwrite' or 'append'."
        ) from exc


def check_interval(interval: float) -> None:
    """Refuse a time between two looks that is none.

    Raises:
        InvalidInputError: It is not positive, or endless.
    """
    check_times(interval=interval)
    if interval == math.inf:
        raise InvalidInputError(f"interval must be positive, in seconds, not {interval!r}")


def _lines(text: str) -> list[str]:
    """The lines of a reply. Names hold any character but this one, so `splitlines` is no help."""
    return [line.removesuffix("\r") for line in text.split("\n")]


def _typed(key: str, raw: str) -> Any:
    """A value of `GetFileInfo`: numbers and booleans by their look, names as they are."""
    if key in ("name", "path", "permissions"):
        return raw.removeprefix(" ")
    text = raw.strip()
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cut(text: str, following: str | None) -> tuple[str, str]:
    """Split off the block that ends before the block of ``following``."""
    if following is None:
        return text.removesuffix("\n").removesuffix("\n---"), ""
    block, mark, rest = text.partition(f"\n---\n{following}:")
    return block, f"{following}:{rest}" if mark else ""
