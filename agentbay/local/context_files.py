"""The files of contexts: list and delete them, and addresses to move them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial

from ..protocol import context_files as actions
from ..protocol.browser import EXTENSIONS_BASE_PATH
from ..protocol.context_files import ContextFileEntry, ContextFilePage, FileUrl
from ._dispatch import handles
from ._errors import EngineError
from ._file_links import Method
from ._storage.entries import Entry
from ._storage.transfers import below
from ._threads import in_thread
from .engine import Engine
from .guest.tarstream import DIRECTORY, is_tree_path

_PAGE, _LARGEST_PAGE = 50, 1000


@handles(actions.ListContextFiles)
async def list_files(engine: Engine, call: actions.ListContextFiles) -> ContextFilePage:
    folder = _path(engine, call.context_id, call.parent_folder_path)
    if folder and not is_tree_path(folder):
        raise EngineError("InvalidParameter", f"{call.parent_folder_path!r} is no folder")
    entries = await in_thread(engine.store.list_entries, call.context_id, folder)
    found = await in_thread(_children, call.context_id, entries, folder)
    by_token = call.max_results is not None or bool(call.next_token)
    size = min((call.max_results if by_token else call.page_size) or _PAGE, _LARGEST_PAGE)
    if by_token:
        after = _name_of(call.next_token)
        rest = [file for file in found if not after or file.file_name > after]
        more = len(rest) > size
        token = rest[size - 1].file_name.encode().hex() if more else None
        return ContextFilePage(rest[:size], len(found), token, size)
    start = ((call.page_number or 1) - 1) * size
    return ContextFilePage(found[start : start + size], len(found))


@handles(actions.DeleteContextFile)
async def delete_file(engine: Engine, call: actions.DeleteContextFile) -> None:
    path = _file(engine, call.context_id, call.file_path)
    await in_thread(engine.store.delete_file, call.context_id, path)


@handles(actions.GetUploadUrl)
async def upload_url(engine: Engine, call: actions.GetUploadUrl) -> FileUrl:
    return await _url(engine, "PUT", call.context_id, call.file_path)


@handles(actions.GetDownloadUrl)
async def download_url(engine: Engine, call: actions.GetDownloadUrl) -> FileUrl:
    return await _url(engine, "GET", call.context_id, call.file_path)


async def _url(engine: Engine, method: Method, context_id: str, file_path: str) -> FileUrl:
    path = _file(engine, context_id, file_path)
    if await in_thread(partial(engine.store.get_context, id=context_id)) is None:
        raise EngineError("Context.NotFound", f"there is no context {context_id!r}")
    links = await engine.links()
    target, expires = engine.files.sign(method, context_id, path)
    return FileUrl(links.origin + target, expires)


def _file(engine: Engine, context_id: str, file_path: str) -> str:
    path = _path(engine, context_id, file_path)
    if not is_tree_path(path):
        raise EngineError("InvalidParameter", f"{file_path!r} is no path of a file in a context")
    return path


def _path(engine: Engine, context_id: str, path: str) -> str:
    """The path in a context of what a request names.

    That may also be a path of a session: clients name a file as they know it there. Sessions
    that run tell where the context is; a mapping policy, where another system had it.
    """
    for session in engine.sessions.values():
        for item in session.transfers.find(context_id, None):
            mapped = item.policy.mapping_policy if item.policy else None
            for place in (item.path, mapped.path if mapped else ""):
                found = below(path, place) if place.startswith("/") else _foreign(path, place)
                if found is not None:
                    return found
    # Clients put extensions into a context before any session has it, and name them like this.
    known = below(path, EXTENSIONS_BASE_PATH) if path.startswith("/") else None
    path = path if known is None else known
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _foreign(path: str, place: str) -> str | None:
    r"""A path relative to one like ``C:\work``; None when it is not below that."""
    path, place = path.replace("\\", "/"), place.replace("\\", "/").rstrip("/")
    if not place or f"{path}/".lower()[: len(place) + 1] != f"{place}/".lower():
        return None
    return path[len(place) + 1 :]


def _children(context_id: str, entries: Iterable[Entry], folder: str) -> list[ContextFileEntry]:
    """What is directly in a folder. Directories need no entry of their own."""
    found: dict[str, Entry] = {}
    start = len(folder) + 1 if folder else 0
    for entry in entries:
        if len(entry.path) <= start:
            continue  # the folder itself
        name, _, rest = entry.path[start:].partition("/")
        path = entry.path[:start] + name
        if rest:
            implied = Entry(path, "directory", 0o755, entry.mtime_ns, changed=entry.changed)
            found.setdefault(name, implied)
        else:
            found[name] = entry
    return [_file_entry(context_id, name, found[name]) for name in sorted(found)]


def _file_entry(context_id: str, name: str, entry: Entry) -> ContextFileEntry:
    is_directory = entry.kind == DIRECTORY
    key = f"{context_id}/{entry.path}".encode("utf-8", "surrogateescape")
    changed = datetime.fromtimestamp(entry.changed, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return ContextFileEntry(
        hashlib.sha256(key).hexdigest()[:32],
        _text(name),
        _text(f"/{entry.path}"),
        "FOLDER" if is_directory else "FILE",
        changed,
        changed,
        entry.size,
        "available",
    )


def _text(name: str) -> str:
    """A name as JSON can hold it."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _name_of(token: str | None) -> str:
    try:
        return bytes.fromhex(token or "").decode()
    except ValueError as exc:
        raise EngineError("InvalidParameter", "NextToken is not one of this list") from exc
