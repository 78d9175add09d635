"""The actions on contexts, and the transfers between them and sessions."""

from __future__ import annotations

from functools import partial

from ..protocol import contexts as actions
from ..protocol.contexts import Context, ContextInfo, ContextPage
from ._dispatch import handles
from ._errors import EngineError
from ._store import ContextRow
from ._threads import in_thread
from .engine import Engine
from .session import Direction

_PAGE_LIMIT = 100


@handles(actions.GetContext)
async def get_context(engine: Engine, call: actions.GetContext) -> Context:
    if call.allow_create and call.name:
        row = await in_thread(engine.store.create_context, call.name)
        return _context(row)
    if not call.name and not call.context_id:
        raise EngineError("InvalidParameter", "Name or ContextId is needed")
    find = partial(engine.store.get_context, id=call.context_id, name=call.name)
    found = await in_thread(find)
    if found is None:
        wanted = call.context_id or call.name
        raise EngineError("Context.NotFound", f"there is no context {wanted!r}")
    return _context(found)


@handles(actions.ListContexts)
async def list_contexts(engine: Engine, call: actions.ListContexts) -> ContextPage:
    size = min(call.max_results or 10, _PAGE_LIMIT)
    start = _offset(call.next_token)
    rows, total = await in_thread(engine.store.list_contexts, size, start)
    more = start + size < total
    return ContextPage(
        [_context(row) for row in rows], str(start + size) if more else "", size, total
    )


@handles(actions.ModifyContext)
async def modify_context(engine: Engine, call: actions.ModifyContext) -> None:
    await in_thread(engine.store.rename_context, call.id, call.name)


@handles(actions.DeleteContext)
async def delete_context(engine: Engine, call: actions.DeleteContext) -> None:
    await in_thread(engine.store.delete_context, call.id)


@handles(actions.SyncContext)
async def sync_context(engine: Engine, call: actions.SyncContext) -> None:
    session = engine.session(call.session_id)
    direction: Direction = "download" if call.mode == "download" else "upload"
    items = [
        item
        for item in session.contexts
        if call.context_id in (None, "", item.context_id) and call.path in (None, "", item.path)
    ]
    if (call.context_id or call.path) and not items:
        wanted = call.context_id or "a context"
        where = f" at {call.path}" if call.path else ""
        raise EngineError("Context.NotFound", f"the session does not have {wanted}{where}")
    session.expect(items, direction)
    engine.background(partial(session.transfer, engine.store, items, direction))


@handles(actions.GetContextInfo)
async def get_context_info(engine: Engine, call: actions.GetContextInfo) -> ContextInfo:
    transfers = engine.session(call.session_id).transfers.values()
    return ContextInfo.of(
        [
            transfer
            for transfer in transfers
            if call.context_id in (None, "", transfer.context_id)
            and call.path in (None, "", transfer.path)
            and call.task_type in (None, "", transfer.task_type)
        ]
    )


def _context(row: ContextRow) -> Context:
    return Context(row.id, row.name, row.created, row.last_used, os_type="linux")


def _offset(token: str | None) -> int:
    if not token:
        return 0
    if not (token.isascii() and token.isdigit()):
        raise EngineError("InvalidParameter", f"NextToken {token!r} is not one of this list")
    return int(token)
