"""Contexts: storage that outlives sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._results.base import reported
from .._results.context import ContextListResult, ContextResult
from .._results.sessions import OperationResult
from ..errors import InvalidInputError
from ..protocol import contexts as actions
from ..protocol.contexts import Context

if TYPE_CHECKING:
    from .._transport import ApiClient


class AsyncContextService:
    """The contexts of the account. A session uses one through `ContextSync`.

    Example:
        context = (await bay.context.get("my-project", create=True)).unwrap()
        params = CreateSessionParams(context_syncs=[ContextSync(context.id, "/home/wuying/work")])
        session = (await bay.create(params)).unwrap()
    """

    def __init__(self, client: ApiClient, region_id: str = "") -> None:
        self._client = client
        self._region_id = region_id

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
        if not name and not context_id:
            raise InvalidInputError("a context is found by its name or by its context_id")
        if create and context_id:
            raise InvalidInputError("create=True takes a name: the service chooses the id")
        call = actions.GetContext(
            name=name,
            context_id=context_id,
            allow_create=create,
            login_region_id=(self._region_id or None) if create else None,
        )
        reply = await self._client.send(call)
        return ContextResult(reply.request_id, True, reply.value.id, reply.value)

    async def create(self, name: str) -> ContextResult:
        """Create a context, or find the one that has the name already."""
        return await self.get(name, create=True)

    @reported(ContextListResult)
    async def list(
        self, *, max_results: int = 10, next_token: str | None = None
    ) -> ContextListResult:
        """List contexts, a page at a time.

        Args:
            max_results: How many a page may have.
            next_token: Where the page begins: `next_token` of the page before.
        """
        reply = await self._client.send(
            actions.ListContexts(max_results=max_results, next_token=next_token)
        )
        page = reply.value
        return ContextListResult(
            reply.request_id,
            True,
            page.contexts,
            page.next_token,
            page.max_results,
            page.total_count,
        )

    @reported(OperationResult[bool])
    async def update(self, context: Context) -> OperationResult[bool]:
        """Give a context the name that the object carries."""
        reply = await self._client.send(actions.ModifyContext(context.id, context.name))
        return OperationResult(reply.request_id, True, True)

    @reported(OperationResult[bool])
    async def delete(self, context: Context) -> OperationResult[bool]:
        """Delete a context and its files."""
        reply = await self._client.send(actions.DeleteContext(context.id))
        return OperationResult(reply.request_id, True, True)
