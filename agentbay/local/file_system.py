"""The file tools. The guest does the work, so that the session's kernel resolves each path."""

from __future__ import annotations

from typing import Any, cast

from ..protocol import file_system as tools
from ..protocol._wire import WireError, decode
from ..protocol.file_system import DirectoryEntry, FileChangeEvent, FileFacts
from ._dispatch import handles_tool
from ._errors import ToolFailure
from .sandbox import Sandbox

# Bytes of a character in UTF-8 after its first one: how many at most, and which.
_LONGEST_TAIL = 3
_CONTINUATION = bytes(range(0x80, 0xC0))


@handles_tool(tools.CreateDirectory)
async def create_directory(sandbox: Sandbox, call: tools.CreateDirectory) -> None:
    await sandbox.call("create_directory", {"path": call.path})


@handles_tool(tools.DeleteFile)
async def delete_file(sandbox: Sandbox, call: tools.DeleteFile) -> None:
    await sandbox.call("delete_file", {"path": call.path})


@handles_tool(tools.EditFile)
async def edit_file(sandbox: Sandbox, call: tools.EditFile) -> str:
    reply = await sandbox.call("edit_file", call.arguments())
    return str(reply.data.get("diff", ""))


@handles_tool(tools.GetFileInfo)
async def get_file_info(sandbox: Sandbox, call: tools.GetFileInfo) -> FileFacts:
    data = dict((await sandbox.call("get_file_info", {"path": call.path})).data)
    facts = FileFacts(name=_one_line(data.pop("name", "")), path=_one_line(data.pop("path", "")))
    facts["isDirectory"] = bool(data.pop("is_directory", False))
    facts["isFile"] = bool(data.pop("is_file", False))
    facts.update(data)
    return facts


@handles_tool(tools.ListDirectory)
async def list_directory(sandbox: Sandbox, call: tools.ListDirectory) -> list[DirectoryEntry]:
    data = (await sandbox.call("list_directory", {"path": call.path})).data
    return [
        DirectoryEntry(name=_one_line(entry.get("name")), isDirectory=bool(entry["is_directory"]))
        for entry in _objects(data, "entries")
    ]


@handles_tool(tools.MoveFile)
async def move_file(sandbox: Sandbox, call: tools.MoveFile) -> None:
    await sandbox.call("move_file", call.arguments())


@handles_tool(tools.ReadFile)
async def read_file(sandbox: Sandbox, call: tools.ReadFile) -> bytes:
    binary = call.format == "binary"
    length = call.length + (_LONGEST_TAIL if call.length and not binary else 0)
    arguments = {"path": call.path, "offset": call.offset, "length": length}
    body = (await sandbox.call("read_file", arguments)).body
    if binary:
        return body
    text = _whole_characters(body, call.offset > 0, call.length or len(body))
    _check_text(call.path, text)
    return text


@handles_tool(tools.ReadMultipleFiles)
async def read_multiple_files(sandbox: Sandbox, call: tools.ReadMultipleFiles) -> dict[str, str]:
    data = (await sandbox.call("read_multiple_files", call.arguments())).data
    return {
        _printable(entry.get("path")): f"Error - {entry['error']}"
        if entry.get("error")
        else str(entry.get("content"))
        for entry in _objects(data, "files")
    }


@handles_tool(tools.SearchFiles)
async def search_files(sandbox: Sandbox, call: tools.SearchFiles) -> list[str]:
    excluded = [part for part in (call.exclude_patterns or "").split(",") if part]
    arguments = {"path": call.path, "pattern": call.pattern, "exclude_patterns": excluded}
    data = (await sandbox.call("search_files", arguments)).data
    if data.get("truncated"):
        raise ToolFailure("more than 10,000 matches: search for something narrower")
    matches = data.get("matches")
    if not isinstance(matches, list):
        raise _nonsense()
    return [_one_line(match) for match in cast("list[object]", matches)]


@handles_tool(tools.WriteFile)
async def write_file(sandbox: Sandbox, call: tools.WriteFile) -> None:
    arguments = {"path": call.path, "mode": call.mode.value}
    await sandbox.call("write_file", arguments, body=call.content.encode())


@handles_tool(tools.GetFileChange)
async def get_file_change(sandbox: Sandbox, call: tools.GetFileChange) -> list[FileChangeEvent]:
    data = (await sandbox.call("get_file_change", {"path": call.path})).data
    try:
        return decode(list[FileChangeEvent], data.get("events"))
    except WireError as exc:
        raise _nonsense() from exc


def _whole_characters(body: bytes, cut: bool, length: int) -> bytes:
    """The characters that begin in a range of bytes: texts of adjacent ranges can be joined."""
    start = _tail(body, 0) if cut else 0
    return body[start : length + _tail(body, length)]


def _tail(body: bytes, start: int) -> int:
    """How many bytes at this place belong to a character that began before it."""
    following = body[start : start + _LONGEST_TAIL]
    return len(following) - len(following.lstrip(_CONTINUATION))


def _check_text(path: str, body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError as exc:
        raise ToolFailure(
            f"Failed to read file: {path} is not UTF-8 text (byte {exc.start}): "
            'read it with format "binary"'
        ) from exc


def _printable(name: object) -> str:
    """A name as text that can travel; bytes that are not UTF-8 show as escapes."""
    return str(name).encode(errors="surrogateescape").decode(errors="backslashreplace")


def _one_line(name: object) -> str:
    """A name for replies in which each line is an entry of its own."""
    return _printable(name).replace("\n", "\\n")


def _objects(data: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """A list of objects from the guest, whose word is not trusted."""
    items = data.get(key)
    if not isinstance(items, list):
        raise _nonsense()
    objects = cast("list[object]", items)
    if not all(isinstance(item, dict) for item in objects):
        raise _nonsense()
    return cast("list[dict[str, Any]]", objects)


def _nonsense() -> ToolFailure:
    return ToolFailure("the session sent a reply that is not valid")
