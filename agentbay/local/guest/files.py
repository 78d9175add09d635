"""The operations on files: the table of them, and those that take a few lines."""

from __future__ import annotations

import os
import stat
import time

from . import file_arguments, file_contents, file_moves, limits
from .failure import Failure
from .file_edits import edit_file
from .search import search_files
from .system_calls import birth_time

# Type checkers take this name for true; importing `typing` would slow every session's start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    _Reply = tuple[dict[str, Any], bytes]
    _Operation = Callable[[dict[str, Any], bytes], _Reply]

# The years that ISO 8601 can write.
_FIRST_SECOND = -62_135_596_800
_LAST_SECOND = 253_402_300_799


def create_directory(arguments: dict[str, Any], _body: bytes) -> _Reply:
    """Create a directory and its parents; one that exists is fine."""
    os.makedirs(file_arguments.path(arguments), exist_ok=True)
    return {}, b""


def read_file(arguments: dict[str, Any], _body: bytes) -> _Reply:
    """Return a range of a file's bytes."""
    path = file_arguments.path(arguments)
    offset = file_arguments.count(arguments, "offset")
    length = file_arguments.count(arguments, "length")
    content, size = file_contents.read(path, offset, length)
    return {"size": size}, content


def write_file(arguments: dict[str, Any], body: bytes) -> _Reply:
    """Replace or extend what a file contains; its parents are created."""
    path = file_arguments.path(arguments)
    if arguments["path"].endswith("/"):
        raise Failure(f"{path}: the path of a file must not end in a slash")
    mode = arguments.get("mode", "overwrite")
    if mode == "overwrite":
        file_contents.overwrite(path, body)
    elif mode == "append":
        file_contents.append(path, body)
    else:
        raise Failure(f"Invalid write mode: {mode}. Must be 'overwrite' or 'append'.")
    return {}, b""


def delete_file(arguments: dict[str, Any], _body: bytes) -> _Reply:
    """Delete a file or a symbolic link."""
    os.unlink(file_arguments.path(arguments))
    return {}, b""


def move_file(arguments: dict[str, Any], _body: bytes) -> _Reply:
    """Move a file or directory to a path that does not exist yet."""
    source = file_arguments.path(arguments, "source")
    file_moves.move(source, file_arguments.path(arguments, "destination"))
    return {}, b""


def get_file_info(arguments: dict[str, Any], _body: bytes) -> _Reply:
    """Describe a file or directory."""
    path = file_arguments.path(arguments)
    status = os.stat(path)
    created = birth_time(path)
    if created is None:
        # What comes closest: a file is no younger than the last change that it shows.
        created = int(min(status.st_ctime, status.st_mtime))
    return {
        "name": os.path.basename(path) or path,
        "path": path,
        "size": status.st_size,
        "is_directory": stat.S_ISDIR(status.st_mode),
        "is_file": stat.S_ISREG(status.st_mode),
        "permissions": stat.filemode(status.st_mode)[1:],
        "created": _iso_8601(created),
        "modified": _iso_8601(int(status.st_mtime)),
        "accessed": _iso_8601(int(status.st_atime)),
    }, b""


def list_directory(arguments: dict[str, Any], _body: bytes) -> _Reply:
    """List what a directory contains, by name."""
    entries: list[dict[str, Any]] = []
    with os.scandir(file_arguments.path(arguments)) as found:
        for entry in found:
            status = _status(entry)
            if status is not None and not file_contents.is_temporary(entry.name):
                is_directory = stat.S_ISDIR(status.st_mode)
                size = status.st_size
                entries.append({"name": entry.name, "is_directory": is_directory, "size": size})
    entries.sort(key=lambda entry: entry["name"])
    return {"entries": entries}, b""


def read_multiple_files(arguments: dict[str, Any], _body: bytes) -> _Reply:
    """Read text files; one that cannot be read does not keep the others back."""
    given = file_arguments.texts(arguments, "paths")
    files: list[dict[str, str | None]] = []
    room = file_contents.LIMIT
    for name, path in [(name, file_arguments.absolute(name, "paths")) for name in given]:
        content, error = None, None
        try:
            content = file_contents.read_text(path, limit=room)
            room -= len(content.encode())
        except Failure as exc:
            error = exc.message
        except OSError as exc:
            error = _describe(exc)
        files.append({"path": name, "content": content, "error": error})
    return {"files": files}, b""


def get_file_change(arguments: dict[str, Any], body: bytes) -> _Reply:
    """What has happened below a path since it was asked about last."""
    # Not at the top: most sessions never ask.
    from . import changes

    return changes.get_file_change(arguments, body)


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Return the status of what an entry leads to; None if it is gone."""
    for follow_symlinks in (True, False):
        try:
            return entry.stat(follow_symlinks=follow_symlinks)
        except OSError:
            # A link that leads nowhere is described itself.
            continue
    return None


def _iso_8601(seconds: int) -> str:
    within = min(max(seconds, _FIRST_SECOND), _LAST_SECOND)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(within))


def _describe(exc: OSError) -> str:
    reason = limits.reason(exc)
    return f"{exc.filename}: {reason}" if exc.filename else str(reason or exc)


def _explained(failed_to: str, operation: _Operation) -> _Operation:
    """Make the errors of an operation begin with what it failed to do."""

    def explained(arguments: dict[str, Any], body: bytes) -> _Reply:
        try:
            return operation(arguments, body)
        except OSError as exc:
            raise Failure(f"Failed to {failed_to}: {_describe(exc)}") from exc
        except Failure as exc:
            raise Failure(f"Failed to {failed_to}: {exc.message}", exc.number) from exc

    return explained


PLAIN: dict[str, _Operation] = {
    "create_directory": _explained("create directory", create_directory),
    "read_file": _explained("read file", read_file),
    "write_file": _explained("write file", write_file),
    "delete_file": _explained("delete file", delete_file),
    "move_file": _explained("move file", move_file),
    "get_file_info": _explained("get file status", get_file_info),
    "list_directory": _explained("list directory", list_directory),
    "edit_file": _explained("edit file", edit_file),
    "search_files": _explained("search files", search_files),
    "read_multiple_files": _explained("read multiple files", read_multiple_files),
    "get_file_change": _explained("get file change", get_file_change),
}
