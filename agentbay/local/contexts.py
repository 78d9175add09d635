"""The actions on contexts, and the transfers between them and sessions."""

from __future__ import annotations

from functools import partial

from ..protocol import contexts as actions
from ..protocol.contexts import Context, ContextInfo, ContextPage, PersistenceItem
from ._dispatch import handles
from ._errors import EngineError
from ._storage.store import ContextRow
from ._threads import in_thread
from .engine import Engine
from .session import Direction, LocalSession

_PAGE_LIMIT = 100
# Digits of a page token: what the database counts in has more.
_TOKEN_DIGITS = 18


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
    size = min(10 if call.max_results is None else call.max_results, _PAGE_LIMIT)
    if size < 1:
        raise EngineError("InvalidParameter", f"MaxResults must be positive, not {size}")
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
    session.life.check()
    items = session.transfers.find(call.context_id, call.path)
    if (call.context_id or call.path) and not items:
        single = session.transfers.internal
        if single is not None and call.context_id == single.context_id:
            reason = f"{call.path} is not below {single.path}, through which single files go"
            raise EngineError("Context.NotFound", reason)
        wanted = call.context_id or "a context"
        where = f" at {call.path}" if call.path else ""
        raise EngineError("Context.NotFound", f"the session does not have {wanted}{where}")
    begin_transfers(engine, session, items, direction)


@handles(actions.GetContextInfo)
async def get_context_info(engine: Engine, call: actions.GetContextInfo) -> ContextInfo:
    transfers = engine.session(call.session_id).transfers
    return ContextInfo.of(transfers.rows(call.context_id, call.path, call.task_type))


@handles(actions.ClearContext)
async def clear_context(engine: Engine, call: actions.ClearContext) -> None:
    await in_thread(engine.store.clear_context, call.id)


def begin_transfers(
    engine: Engine, session: LocalSession, items: list[PersistenceItem], direction: Direction
) -> None:
    """Begin to move files; `GetContextInfo` tells how far that is."""

    async def move() -> None:
        try:
            with session.life.use():
                await session.transfer(engine.store, items, direction)
        except EngineError as exc:
            session.transfers.refuse(items, direction, str(exc))

    session.expect(items, direction)
    engine.background(move)


def _context(row: ContextRow) -> Context:
    return Context(row.id, row.name, row.created, row.last_used, os_type="linux")


def _offset(token: str | None) -> int:
    if not token:
        return 0
    if not (token.isascii() and token.isdigit() and len(token) <= _TOKEN_DIGITS):
        raise EngineError("InvalidParameter", f"NextToken {token!r} is not one of this list")
    return int(token)
