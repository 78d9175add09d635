"""Contexts: storage that outlives sessions."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import anyio
import attrs

from .._results.base import reported
from .._results.context import (
    ClearContextResult,
    ContextFileListResult,
    ContextListResult,
    ContextResult,
    FileUrlResult,
)
from .._results.sessions import OperationResult
from ..errors import ClearanceTimeoutError, InvalidInputError
from ..protocol import context_files as files
from ..protocol import contexts as actions
from ..protocol._checks import as_kind, check_times
from ..protocol.context_files import ContextFileEntry
from ..protocol.contexts import Context, ContextListParams
from ._pauses import pauses

if TYPE_CHECKING:
    from .client import AsyncAgentBay

_log = logging.getLogger(__name__)

_PAGE, _FILE_PAGE = 10, 50
# Seconds before the first look at what was asked to be cleared.
_FIRST_PAUSE = 0.1


class AsyncContextService:
    """The contexts of the account. A session uses one through `ContextSync`.

    Example:
        ```python
        context = (await bay.context.get("my-project", create=True)).unwrap()
        params = CreateSessionParams(context_syncs=[ContextSync(context.id, "/home/wuying/work")])
        session = (await bay.create(params)).unwrap()
        ```
    """

    def __init__(self, agent_bay: AsyncAgentBay) -> None:
        self._client = agent_bay.client
        self._region_id = agent_bay.region_id

    @reported(ContextResult)
    async def get(
        self, name: str | None = None, create: bool = False, context_id: str | None = None
    ) -> ContextResult:
        """Find a context by its name or its id.

        Args:
            name: Its name.
            create: Create it when there is none of that name.
            context_id: Its id; cannot be given with `create`.
        """
        _check_search(name, context_id, create)
        region = (self._region_id or None) if create else None
        call = actions.GetContext(
            name=name, context_id=context_id, allow_create=create, login_region_id=region
        )
        reply = await self._client.send(call)
        found = reply.value
        found = attrs.evolve(found, name=found.name or name or "", state=found.state or "available")
        return ContextResult(reply.request_id, True, found.id, found)

    async def create(self, name: str) -> ContextResult:
        """Create a context, or find the one that has the name already."""
        return await self.get(name, create=True)

    @reported(ContextListResult)
    async def list(
        self,
        params: ContextListParams | None = None,
        *,
        max_results: int | None = None,
        next_token: str | None = None,
        session_id: str | None = None,
    ) -> ContextListResult:
        """List contexts, a page at a time.

        Args:
            params: The other arguments, kept together; they come before it.
            max_results: How many a page may have; 10 by default.
            next_token: Where the page begins: `next_token` of the page before.
            session_id: Only contexts of this session.
        """
        kept = as_kind("params", params or ContextListParams(), ContextListParams)
        size, token = max_results or kept.max_results or _PAGE, next_token or kept.next_token
        call = actions.ListContexts(
            max_results=size, next_token=token, session_id=session_id or kept.session_id
        )
        reply = await self._client.send(call)
        return ContextListResult(reply.request_id, True, *attrs.astuple(reply.value, recurse=False))

    @reported(OperationResult[bool])
    async def update(self, context: Context) -> OperationResult[bool]:
        """Give a context the name that the object carries."""
        context = as_kind("context", context, Context)
        reply = await self._client.send(actions.ModifyContext(context.id, context.name))
        return OperationResult(reply.request_id, True, True)

    @reported(OperationResult[bool])
    async def delete(self, context: Context) -> OperationResult[bool]:
        """Delete a context and its files."""
        context = as_kind("context", context, Context)
        reply = await self._client.send(actions.DeleteContext(context.id))
        return OperationResult(reply.request_id, True, True)

    @reported(FileUrlResult)
    async def get_file_download_url(self, context_id: str, file_path: str) -> FileUrlResult:
        """Get the address from which a file of a context can be fetched.

        Args:
            context_id: Which context.
            file_path: Path of the file in the context.
        """
        reply = await self._client.send(files.GetDownloadUrl(context_id, file_path))
        return FileUrlResult(reply.request_id, True, reply.value.url, reply.value.expire_time)

    @reported(FileUrlResult)
    async def get_file_upload_url(self, context_id: str, file_path: str) -> FileUrlResult:
        """Get the address to which a file of a context can be put, with HTTP ``PUT``.

        Args:
            context_id: Which context.
            file_path: Path of the file in the context.
        """
        reply = await self._client.send(files.GetUploadUrl(context_id, file_path))
        return FileUrlResult(reply.request_id, True, reply.value.url, reply.value.expire_time)

    @reported(OperationResult[bool])
    async def delete_file(self, context_id: str, file_path: str) -> OperationResult[bool]:
        """Delete a file of a context.

        Args:
            context_id: Which context.
            file_path: Path of the file in the context.
        """
        reply = await self._client.send(files.DeleteContextFile(context_id, file_path))
        return OperationResult(reply.request_id, True, True)

    @reported(ContextFileListResult)
    async def list_files(
        self,
        context_id: str,
        parent_folder_path: str,
        page_number: int = 1,
        page_size: int = 50,
        max_results: int | None = None,
        next_token: str | None = None,
    ) -> ContextFileListResult:
        """List the files of a directory of a context, a page at a time.

        Pages are found by their numbers, or, when one of the last two arguments is given, by
        the token of the page before.

        Args:
            context_id: Which context.
            parent_folder_path: The directory.
            page_number: Which page, from 1.
            page_size: How many entries a page has.
            max_results: How many entries a page may have.
            next_token: Where the page begins: `next_token` of the page before.
        """
        paging: dict[str, Any] = {"page_number": page_number, "page_size": page_size}
        if max_results is not None or next_token is not None:
            paging = {"max_results": max_results, "next_token": next_token}
        call = files.ListContextFiles(
            context_id=context_id, parent_folder_path=parent_folder_path, **paging
        )
        reply = await self._client.send(call)
        page = reply.value
        token = page.next_token or None
        return ContextFileListResult(reply.request_id, True, page.entries, page.count, token)

    async def list_all_files(
        self, context_id: str, parent_folder_path: str
    ) -> AsyncIterator[ContextFileEntry]:
        """Go through all files of a directory of a context, page after page.

        Args:
            context_id: Which context.
            parent_folder_path: The directory.

        Raises:
            AgentBayError: A page could not be read.

        Example:
            ```python
            async for file in bay.context.list_all_files(context.id, "/"):
                print(file.file_path, file.size)
            ```
        """
        token: str | None = None
        while True:
            page = await self.list_files(
                context_id, parent_folder_path, max_results=_FILE_PAGE, next_token=token
            )
            for entry in page.unwrap():
                yield entry
            token = page.next_token
            if not token:
                return

    @reported(ClearContextResult)
    async def start_clear(self, context_id: str) -> ClearContextResult:
        """Begin to delete all files of a context, and do not wait for it.

        Args:
            context_id: Which context.
        """
        reply = await self._client.send(actions.ClearContext(context_id))
        return ClearContextResult(reply.request_id, True, status="clearing", context_id=context_id)

    @reported(ClearContextResult)
    async def get_clear_status(self, context_id: str) -> ClearContextResult:
        """Tell how far the clearing of a context is; it is done when `status` is ``available``.

        Args:
            context_id: Which context.
        """
        if not context_id:
            raise InvalidInputError("context_id must not be empty")
        reply = await self._client.send(actions.GetContext(context_id=context_id))
        found = reply.value
        return ClearContextResult(
            reply.request_id, True, status=found.state or "clearing", context_id=found.id
        )

    async def clear(
        self, context_id: str, timeout: float = 60, poll_interval: float = 2.0
    ) -> ClearContextResult:
        """Delete all files of a context, and wait until that is done.

        Args:
            context_id: Which context.
            timeout: Seconds to wait.
            poll_interval: Longest time between two looks at the state, in seconds; the first
                ones come sooner.

        Raises:
            ClearanceTimeoutError: The time was not enough; the clearing goes on.
        """
        started = await self._start_clear(context_id, timeout, poll_interval)
        if not started.success:
            return started
        with anyio.move_on_after(timeout):
            # Half of a short time limit, so that there is at least one look.
            waits = pauses(min(_FIRST_PAUSE, timeout / 2), poll_interval)
            found = await self._cleared(context_id, waits)
            return attrs.evolve(found, request_id=started.request_id) if found.success else found
        reason = f"the context {context_id} was not cleared within {timeout:g} s"
        raise ClearanceTimeoutError(reason, request_id=started.request_id)

    @reported(ClearContextResult)
    async def _start_clear(
        self, context_id: str, timeout: float, poll_interval: float
    ) -> ClearContextResult:
        check_times(timeout=timeout, poll_interval=poll_interval)
        return await self.start_clear(context_id)

    @reported(ClearContextResult)
    async def _cleared(self, context_id: str, waits: Iterator[float]) -> ClearContextResult:
        while True:
            await anyio.sleep(next(waits))
            found = await self.get_clear_status(context_id)
            if not found.success or found.status == "available":
                return found
            _log.debug("the context %s is %s", context_id, found.status)


def _check_search(name: str | None, context_id: str | None, create: bool) -> None:
    if not name and not context_id:
        raise InvalidInputError("no context is named: give its name or its context_id")
    if create and context_id:
        raise InvalidInputError("create=True takes a name: the service chooses the id")
