"""Object storage: buckets of this machine, and transfers between sessions and URLs.

Buckets come into being when something is put into them. They live in the engine's home, where
all its sessions share them.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import shlex
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import anyio.from_thread

from ..protocol._wire import WireError, decode
from ..protocol.oss import (
    OssDownload,
    OssDownloadAnonymous,
    OssEnvInit,
    OssUpload,
    OssUploadAnonymous,
)
from ._dispatch import handles_tool
from ._errors import EngineError, ToolFailure
from ._output import command_output
from ._storage.entries import Entry
from ._storage.store import Store
from ._threads import in_thread
from .sandbox import Sandbox

# Seconds that a transfer may take.
_LIMIT = 600.0
_CHUNK = 8 * 1024 * 1024
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_LONGEST_KEY = 1023

_credentials: WeakKeyDictionary[Sandbox, OssEnvInit] = WeakKeyDictionary()


@handles_tool(OssEnvInit)
async def env_init(sandbox: Sandbox, call: OssEnvInit) -> dict[str, Any]:
    if call.endpoint not in (None, "", "local"):
        raise ToolFailure(
            "OSS environment initialization failed: the local engine keeps buckets on this "
            "machine and does not use other endpoints: leave out the endpoint, or use URLs"
        )
    _credentials[sandbox] = call
    return {}


@handles_tool(OssUpload)
async def upload(sandbox: Sandbox, call: OssUpload) -> str:
    try:
        _check(sandbox, call)
        packed = await _packed(sandbox, call.path)
        try:
            await in_thread(_store, sandbox, call, packed or call.path)
        finally:
            if packed:
                with anyio.CancelScope(shield=True):
                    await sandbox.call("delete_file", {"path": packed})
    except (EngineError, ToolFailure) as exc:
        raise ToolFailure(f"Upload failed: {exc}") from exc
    return f"Upload success: {call.path} is {call.object} in {call.bucket}"


@handles_tool(OssDownload)
async def download(sandbox: Sandbox, call: OssDownload) -> str:
    try:
        _check(sandbox, call)
        await in_thread(_fetch, sandbox, call)
    except (EngineError, ToolFailure) as exc:
        raise ToolFailure(f"Download failed: {exc}") from exc
    return f"Download success: {call.object} of {call.bucket} is at {call.path}"


@handles_tool(OssUploadAnonymous)
async def upload_anonymous(sandbox: Sandbox, call: OssUploadAnonymous) -> str:
    try:
        await _transfer(sandbox, "put", call.path, call.url)
    except ToolFailure as exc:
        raise ToolFailure(f"Upload failed: {exc}") from exc
    return f"Upload success: {call.path}"


@handles_tool(OssDownloadAnonymous)
async def download_anonymous(sandbox: Sandbox, call: OssDownloadAnonymous) -> str:
    try:
        await _transfer(sandbox, "get", call.path, call.url)
    except ToolFailure as exc:
        raise ToolFailure(f"Download failed: {exc}") from exc
    return f"Download success: {call.path}"


def _check(sandbox: Sandbox, call: OssUpload | OssDownload) -> None:
    """Refuse credentials that are not those of the engine, and names that no bucket has.

    ``AGENTBAY_LOCAL_OSS_ACCESS_KEY_ID``, ``..._ACCESS_KEY_SECRET`` and ``..._SECURITY_TOKEN``
    are the engine's; without a key id, any credentials do.
    """
    given = _credentials.get(sandbox)
    if given is None:
        raise ToolFailure("there are no credentials: set them with session.oss.env_init")
    if _setting("ACCESS_KEY_ID"):
        pairs = {
            "ACCESS_KEY_ID": given.access_key_id,
            "ACCESS_KEY_SECRET": given.access_key_secret,
            "SECURITY_TOKEN": given.security_token or "",
        }
        for name, value in pairs.items():
            expected = _setting(name)
            # Without a token of its own the engine takes any: the cloud's clients need one.
            if (expected or name != "SECURITY_TOKEN") and not _same(value, expected):
                raise ToolFailure(f"the {name.lower()} is not the one that the engine knows")
    if not _BUCKET.fullmatch(call.bucket):
        raise ToolFailure("the name of a bucket has 3 to 63 of a-z, 0-9 and - between them")
    if call.object[0] in "/\\" or len(call.object.encode(errors="replace")) > _LONGEST_KEY:
        raise ToolFailure(
            f"the name of an object has up to {_LONGEST_KEY} bytes and begins with no slash"
        )


def _setting(name: str) -> str:
    return os.environ.get(f"AGENTBAY_LOCAL_OSS_{name}", "").strip()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(errors="replace"), other.encode())


async def _packed(sandbox: Sandbox, path: str) -> str | None:
    """An archive of a directory, as a file of the session; None for a path that is a file."""
    said = await _transfer(sandbox, "pack", path)
    match = re.fullmatch(r'\{"packed": (?:null|"([^"\\]+)")\}\n', said)
    if match is None:
        raise ToolFailure("the session sent a reply that is not valid")
    return match[1]


async def _transfer(sandbox: Sandbox, action: str, path: str, url: str = "") -> str:
    """Run the program that does transfers in the session; returns what it prints."""
    reply = await sandbox.call("transfer_program", {})
    try:
        command = decode(list[str], reply.data.get("command"))
    except WireError as exc:
        raise ToolFailure("the session sent a reply that is not valid") from exc
    variables = {"TRANSFER_ACTION": action, "TRANSFER_PATH": path, "TRANSFER_URL": url}
    arguments = {
        # What the guest says is run where the guest is: it gains nothing by a lie.
        "command": shlex.join(command),
        "environment": {**sandbox.environment, **variables},
        "time_limit": _LIMIT,
    }
    output = command_output(await sandbox.call("shell", arguments, time_limit=_LIMIT + 10))
    if output.timed_out:
        raise ToolFailure(f"it did not end within {_LIMIT:.0f} seconds", number=-1)
    if output.exit_code != 0:
        said = output.stderr.replace(url, "the URL") if url else output.stderr
        raise ToolFailure((said.strip().splitlines() or ["the session ended it"])[-1])
    return output.stdout


# -- in threads ------------------------------------------------------------------------


def _store(sandbox: Sandbox, call: OssUpload, path: str) -> None:
    with _buckets(sandbox) as store:
        blob, size = store.add_blob(_read(sandbox, path))
        bucket = store.create_context(call.bucket)
        entry = Entry(_place(call.object), "file", 0o600, time.time_ns(), size, blob, None)
        store.commit(bucket.id, [entry], prefix=entry.path, delete_missing=False)


def _read(sandbox: Sandbox, path: str) -> Iterator[bytes]:
    """The content of a file of the session, in parts."""
    offset = 0
    while True:
        arguments = {"path": path, "offset": offset, "length": _CHUNK}
        part = anyio.from_thread.run(sandbox.call, "read_file", arguments).body
        yield part
        offset += len(part)
        if len(part) < _CHUNK:
            return


def _fetch(sandbox: Sandbox, call: OssDownload) -> None:
    with _buckets(sandbox) as store:
        bucket = store.get_context(name=call.bucket)
        if bucket is None:
            raise ToolFailure(f"there is no bucket {call.bucket}")
        place = _place(call.object)
        found = [entry for entry in store.list_entries(bucket.id, place) if entry.blob]
        if not found:
            raise ToolFailure(f"there is no object {call.object} in {call.bucket}")
        mode = "overwrite"
        with store.open_blob(found[0].blob or "") as file:
            while (part := file.read(_CHUNK)) or mode == "overwrite":
                write = partial(
                    sandbox.call, "write_file", {"path": call.path, "mode": mode}, body=part
                )
                anyio.from_thread.run(write)
                mode = "append"


def _place(key: str) -> str:
    """Where an object is in its bucket: any key will do, and none is in the way of another."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def _buckets(sandbox: Sandbox) -> Store:
    """The store whose contexts are the buckets."""
    # The engine keeps a session's directory at home/engines/<engine>/<session>.
    home: Path = sandbox.directory.parents[2]
    return Store(home / "oss")
