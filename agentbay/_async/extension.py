"""Extensions of the browser, kept in a context."""

from __future__ import annotations

import builtins
import itertools
import os
import time
import uuid
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import anyio

from ..errors import AgentBayError, InvalidInputError
from ..protocol.context_files import (
    ContextFileEntry,
    DeleteContextFile,
    GetUploadUrl,
    ListContextFiles,
)
from ..protocol.contexts import Context
from ..protocol.extension import EXTENSIONS_BASE_PATH, Extension, ExtensionOption
from . import _local_files as local_files

if TYPE_CHECKING:
    from .client import AsyncAgentBay

_PAGE = 100

# Seconds in which nothing of an upload moves until it is given up.
_IDLE = 300.0

# What the identifiers of the service's contexts begin with; a name is used otherwise.
_CONTEXT_ID = "SdkCtx-"


class AsyncExtensionsService:
    """Keeps extensions of the browser in a context, for the sessions that are to get them.

    Args:
        agent_bay: The client of the account.
        context_id: Name or identifier of the context; a context of that name is created when
            there is none. By default one with a name of its own, which `cleanup` deletes.

    Example:
        ```python
        extensions = AsyncExtensionsService(bay, "my-extensions")
        extension = await extensions.create("blocker.zip")
        option = await extensions.create_extension_option([extension.id])
        context = BrowserContext(profile.id, extension_option=option)
        session = (await bay.create(CreateSessionParams(browser_context=context))).unwrap()
        ```
    """

    def __init__(self, agent_bay: AsyncAgentBay, context_id: str = "") -> None:
        self._bay = agent_bay
        if not isinstance(context_id, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(f"context_id must be text, not {context_id!r:.80}")
        self._wanted = context_id.strip()
        self._name = self._wanted or f"extensions-{int(time.time())}-{uuid.uuid4().hex[:8]}"
        self._context: Context | None = None

    @property
    def extension_context(self) -> Context | None:
        """The context; None until it is first used."""
        return self._context

    @property
    def context_id(self) -> str | None:
        """The identifier of the context; None until it is first used."""
        return None if self._context is None else self._context.id

    @property
    def context_name(self) -> str:
        """The name of the context."""
        return self._name if self._context is None else self._context.name or self._name

    @property
    def auto_created(self) -> bool:
        """Whether the context has a name of its own, so that `cleanup` deletes it."""
        return not self._wanted

    async def create(self, local_path: str | os.PathLike[str]) -> Extension:
        """Upload an extension.

        Args:
            local_path: A ``.zip`` file on this machine.

        Raises:
            FileNotFoundError: There is no such file.
            InvalidInputError: It is no ``.zip`` file.
            AgentBayError: It could not be uploaded.
        """
        await _check(local_path)
        return await self._upload(f"ext_{uuid.uuid4().hex}.zip", local_path)

    async def list(self) -> builtins.list[Extension]:
        """List the extensions; each goes by the name of its file in the context.

        Raises:
            AgentBayError: They could not be listed.
        """
        found: dict[str, ContextFileEntry] = {}
        for number in itertools.count(1):
            entries = {item.file_name: item for item in await self._page(number)}
            more = len(entries) >= _PAGE and not entries.keys() <= found.keys()
            found |= entries
            if not more:
                break
        return [Extension(name, name, item.gmt_create) for name, item in found.items()]

    async def update(self, extension_id: str, new_local_path: str | os.PathLike[str]) -> Extension:
        """Replace an extension by another file; it keeps its identifier.

        Args:
            extension_id: Which one.
            new_local_path: A ``.zip`` file on this machine.

        Raises:
            FileNotFoundError: There is no such file.
            InvalidInputError: It is no ``.zip`` file, or there is no such extension.
            AgentBayError: It could not be uploaded.
        """
        await _check(new_local_path)
        if extension_id not in {item.id for item in await self.list()}:
            raise InvalidInputError(f"there is no extension {extension_id!r:.80}")
        return await self._upload(extension_id, new_local_path)

    async def delete(self, extension_id: str) -> bool:
        """Delete an extension, and tell whether that worked.

        Args:
            extension_id: Which one; its `id`.

        Returns:
            False when the service refused, or could not be reached.
        """
        try:
            context = await self._get_context()
            await self._bay.client.send(DeleteContextFile(context.id, _path(extension_id)))
        except AgentBayError:
            return False
        return True

    async def cleanup(self) -> bool:
        """Delete the context if it has a name of its own, and tell whether that worked.

        A context that was asked for by its name or identifier is left as it is.
        """
        if self._context is None or not self.auto_created:
            return True
        result = await self._bay.context.delete(self._context)
        if result.success:
            self._context = None
        return result.success

    async def create_extension_option(self, extension_ids: Sequence[str]) -> ExtensionOption:
        """Choose extensions for the `BrowserContext` of a session.

        Args:
            extension_ids: Which ones, at least one; the `id` of each.

        Raises:
            InvalidInputError: No extension is given.
            AgentBayError: The context could not be found.
        """
        ExtensionOption("-", extension_ids)  # refused before a request is sent
        return ExtensionOption((await self._get_context()).id, list(extension_ids))

    async def _get_context(self) -> Context:
        if self._context is None:
            service = self._bay.context
            if self._wanted.startswith(_CONTEXT_ID):
                result = await service.get(context_id=self._wanted)
            else:
                result = await service.get(self._name, create=True)
            self._context = result.unwrap()
        return self._context

    async def _page(self, number: int) -> builtins.list[ContextFileEntry]:
        context = await self._get_context()
        call = ListContextFiles(
            context_id=context.id,
            parent_folder_path=EXTENSIONS_BASE_PATH,
            page_number=number,
            page_size=_PAGE,
        )
        return (await self._bay.client.send(call)).value.entries

    async def _upload(self, extension_id: str, local_path: str | os.PathLike[str]) -> Extension:
        path, client = os.fspath(local_path), self._bay.client
        async with local_files.opened(path) as file:
            size = (await local_files.in_thread(os.fstat, file.fileno())).st_size
            context = await self._get_context()
            url = (await client.send(GetUploadUrl(context.id, _path(extension_id)))).value.url
            await client.put_file(url, partial(local_files.pieces, file, size), size, idle=_IDLE)
        return Extension(extension_id, os.path.basename(path))


def _path(extension_id: str) -> str:
    if not extension_id.strip() or "/" in extension_id:
        raise InvalidInputError(f"{extension_id!r:.80} is no identifier of an extension")
    return f"{EXTENSIONS_BASE_PATH}/{extension_id}"


async def _check(local_path: str | os.PathLike[str]) -> None:
    path = anyio.Path(local_path)
    if not await path.is_file():
        raise FileNotFoundError(f"there is no file {os.fspath(local_path)!r}")
    if path.suffix.lower() != ".zip":
        raise InvalidInputError(f"an extension is a .zip file, not {path.name!r}")
