"""The contexts of one session, and the transfers between them and its files."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from .._deferred import hint
from .._params import ContextSync
from .._results.base import reported
from .._results.context import (
    ContextBindingsResult,
    ContextBindResult,
    ContextInfoResult,
    ContextSyncResult,
)
from ..errors import AgentBayError, ContextNotFoundError, InvalidInputError
from ..protocol._checks import check_functions, check_limits, check_times
from ..protocol.bindings import (
    BindContexts,
    InternalContext,
    ListBindings,
    LoadInternalContexts,
)
from ..protocol.contexts import ContextStatusData, GetContextInfo, SyncContext
from ._creation import persistence_item
from ._pauses import pauses
from ._resource import Resource

if TYPE_CHECKING:
    from .._params.mounts import BetaContextMount
else:
    BetaContextMount = hint("agentbay._params.mounts", "BetaContextMount")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0
_MODES = ("upload", "download")

# How often a context is asked for before it counts as one that brings no files.
_EMPTY_LOOKS = 3

# Seconds to wait for a sync, and the retries that stand for such a limit: milliseconds before
# the second look at it, and how much longer each pause is than the one before.
_SYNC_LIMIT = 300.0
_RETRIES, _RETRY_INTERVAL, _RETRY_GROWTH = 150, 500, 1.1


class AsyncContextManager(Resource):
    """Brings the contexts of a session up to date, and tells how far that is."""

    @reported(ContextInfoResult)
    async def info(
        self,
        context_id: str | None = None,
        path: str | None = None,
        task_type: str | None = None,
    ) -> ContextInfoResult:
        """Tell how far the transfers between the session and its contexts are.

        Args:
            context_id: Only this context.
            path: Only this path of the session.
            task_type: Only ``"upload"`` or ``"download"``.
        """
        request_id, transfers = await self._transfers(context_id, path, task_type)
        return ContextInfoResult(request_id, True, context_status_data=transfers)

    async def sync(
        self,
        context_id: str | None = None,
        path: str | None = None,
        mode: str | None = None,
        *more: Callable[[bool], object] | int | None,
        callback: Callable[[bool], object] | None = None,
        max_retries: int | None = None,
        retry_interval: int | None = None,
        timeout: float | None = None,
    ) -> ContextSyncResult:
        """Bring contexts up to date, and wait until that is done.

        Args:
            context_id: Only this context; all contexts of the session by default.
            path: Only this path of the session.
            mode: ``"upload"`` from the session, ``"download"`` into it; the service's
                choice by default, which is to upload.
            more: The next three without names, with or without the first of them.
            callback: Told once whether every transfer succeeded, when the service took the
                request. It runs on a thread, or on the event loop if it is a coroutine
                function.
            max_retries: Sets the time limit in another way: how often to look, 150 times
                by default.
            retry_interval: Milliseconds before the second look, 500 by default; each pause
                is a tenth longer than the one before, up to 5 s.
            timeout: Seconds to wait; 300 by default.

        Returns:
            Whether every transfer succeeded; `error_message` names those that did not.

        Example:
            ```python
            (await session.context.sync(mode="upload")).unwrap()
            ```
        """
        try:
            callback, tries, interval = _retries(more, callback, max_retries, retry_interval)
            limit = _limit(timeout, tries, interval)
            request_id = await self._request_sync(context_id, path, mode)
        except AgentBayError as exc:
            return ContextSyncResult.failed(exc)
        result = await self._synced(context_id, path, mode, limit, request_id)
        if callback is not None:
            await _tell(callback, result.success)
        return result

    async def _request_sync(
        self, context_id: str | None, path: str | None, mode: str | None
    ) -> str:
        if mode is not None and mode not in _MODES:
            raise InvalidInputError(f"mode must be one of {', '.join(_MODES)}, not {mode!r}")
        call = SyncContext(
            session_id=self._session.session_id, context_id=context_id, path=path, mode=mode
        )
        return (await self._session.get_client().send(call)).request_id

    @reported(ContextSyncResult)
    async def _synced(
        self,
        context_id: str | None,
        path: str | None,
        mode: str | None,
        limit: float,
        request_id: str,
    ) -> ContextSyncResult:
        try:
            with anyio.fail_after(limit):
                await self._settled({context_id} if context_id else set(), path, mode)
        except TimeoutError as exc:
            raise AgentBayError(
                f"the contexts were not synced within {limit:g} s", request_id=request_id
            ) from exc
        return ContextSyncResult(request_id, True)

    @reported(ContextBindResult)
    async def bind(
        self,
        *contexts: ContextSync | BetaContextMount,
        wait_for_completion: bool = True,
        timeout: float = 300.0,
    ) -> ContextBindResult:
        """Give contexts to a session that runs.

        Args:
            contexts: Which contexts, and where; a path can be given to one of them only.
            wait_for_completion: Wait until their files have arrived. Mounts need no wait.
            timeout: Seconds to wait.

        Returns:
            Whether the contexts are there; with `wait_for_completion`, also their files.

        Example:
            ```python
            await session.context.bind(ContextSync(context.id, "/home/wuying/data"))
            ```
        """
        if not contexts:
            raise InvalidInputError("name at least one context to bind")
        check_times(timeout=timeout)
        items = [persistence_item(context) for context in contexts]
        call = BindContexts(self._session.session_id, items)
        request_id = (await self._session.get_client().send(call)).request_id
        waited = [context for context in contexts if _is_waited_for(context)]
        if wait_for_completion and waited:
            await self._bound_within(waited, timeout, request_id)
        return ContextBindResult(request_id, True)

    @reported(ContextBindingsResult)
    async def list_bindings(self) -> ContextBindingsResult:
        """List the contexts of the session."""
        call = ListBindings(self._session.session_id)
        reply = await self._session.get_client().send(call)
        return ContextBindingsResult(reply.request_id, True, reply.value)

    async def _internal(self, kind: str = "file_transfer") -> InternalContext:
        """The context of a kind that the service keeps for the session.

        Raises:
            ContextNotFoundError: There is none.
        """
        call = LoadInternalContexts(self._session.session_id, [kind])
        reply = await self._session.get_client().send(call)
        for found in reply.value:
            if found.context_type in ("", kind) and found.context_id and found.context_path:
                return found
        raise ContextNotFoundError(
            f"the service keeps no {kind} context for the session", request_id=reply.request_id
        )

    async def _bound_within(
        self, contexts: list[ContextSync | BetaContextMount], timeout: float, request_id: str
    ) -> None:
        try:
            with anyio.fail_after(timeout):
                await self._bound(contexts)
        except TimeoutError as exc:
            reason = f"the contexts are bound, and not there within {timeout:g} s"
            raise AgentBayError(reason, request_id=request_id) from exc

    async def _bound(self, contexts: list[ContextSync | BetaContextMount]) -> None:
        """Wait until the session has the contexts, and their files."""
        wanted = {(context.context_id, context.path) for context in contexts}
        waits = pauses(_FIRST_PAUSE, _LONGEST_PAUSE)
        while True:
            bindings = (await self.list_bindings()).unwrap()
            if wanted <= {(binding.context_id, binding.path) for binding in bindings}:
                break
            await anyio.sleep(next(waits))
        for context in contexts:
            await self._arrived(context.context_id, context.path)

    async def _arrived(self, context_id: str, path: str) -> None:
        """Wait until a context has brought its files; one may have none to bring."""
        for looks, pause in enumerate(pauses(_FIRST_PAUSE, _LONGEST_PAUSE), 1):
            request_id, transfers = await self._transfers(context_id, path, None)
            ours = [
                t for t in transfers if t.task_type == "download" and t.context_id == context_id
            ]
            if all(transfer.finished for transfer in ours) and (ours or looks >= _EMPTY_LOOKS):
                _check(ours, request_id)
                return
            await anyio.sleep(pause)

    async def _settled(self, context_ids: set[str], path: str | None, mode: str | None) -> None:
        """Wait until no transfer runs and each of the contexts has one that ended.

        Raises:
            AgentBayError: A transfer failed.
        """
        for pause in pauses(_FIRST_PAUSE, _LONGEST_PAUSE):
            only = next(iter(context_ids)) if len(context_ids) == 1 else None
            request_id, transfers = await self._transfers(only, path, mode)
            known = {transfer.context_id for transfer in transfers}
            if context_ids <= known and all(transfer.finished for transfer in transfers):
                _check(transfers, request_id)
                return
            await anyio.sleep(pause)

    async def _transfers(
        self, context_id: str | None, path: str | None, task_type: str | None
    ) -> tuple[str, list[ContextStatusData]]:
        call = GetContextInfo(
            session_id=self._session.session_id,
            context_id=context_id,
            path=path,
            task_type=task_type,
        )
        reply = await self._session.get_client().send(call)
        return reply.request_id, reply.value.transfers


def _is_waited_for(context: ContextSync | BetaContextMount) -> bool:
    return isinstance(context, ContextSync) and context.beta_wait_for_completion is not False


def _retries(
    more: tuple[Any, ...],
    callback: Callable[[bool], object] | None,
    max_retries: int | None,
    retry_interval: int | None,
) -> tuple[Callable[[bool], object] | None, int | None, int | None]:
    """Sort positional arguments; older callers have a callback before the two numbers."""
    if more and more[0] is not None and not callable(more[0]):
        more = (None, *more)
    if len(more) > 3:
        raise InvalidInputError(f"sync takes at most 3 further arguments, not {more!r:.80}")
    given = (callback, max_retries, retry_interval)
    found = [*more, None, None, None][:3]
    if any(a is not None and b is not None for a, b in zip(given, found, strict=True)):
        raise InvalidInputError("callback, max_retries or retry_interval is given twice")
    merged: Any = (b if a is None else a for a, b in zip(given, found, strict=True))
    told, tries, interval = merged
    check_functions(callback=told)
    for value in (tries, interval):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise InvalidInputError(
                f"max_retries and retry_interval must be integers, not {value!r:.80}"
            )
    return told, tries, interval


def _limit(timeout: float | None, tries: int | None, interval: int | None) -> float:
    """Seconds to wait, which older callers say in retries."""
    if timeout is not None or (tries is None and interval is None):
        limit = _SYNC_LIMIT if timeout is None else timeout
    else:
        pause = (_RETRY_INTERVAL if interval is None else interval) / 1000
        longest, limit = max(pause, _LONGEST_PAUSE), 0.0
        for _ in range(min(_RETRIES if tries is None else tries, 10_000)):
            limit += pause
            pause = min(pause * _RETRY_GROWTH, longest)
    check_limits(timeout=limit)
    return limit


async def _tell(callback: Callable[[bool], object], success: bool) -> None:
    if inspect.iscoroutinefunction(callback):
        await callback(success)
        return
    answer = await anyio.to_thread.run_sync(callback, success)
    if inspect.isawaitable(answer):
        await answer


def _check(transfers: list[ContextStatusData], request_id: str) -> None:
    failed = [transfer for transfer in transfers if transfer.status == "Failed"]
    if failed:
        reasons = (
            f"{transfer.task_type or 'transfer'} of {transfer.context_id} at {transfer.path}: "
            f"{transfer.error_message or 'no reason given'}"
            for transfer in failed
        )
        raise AgentBayError(f"not synced: {'; '.join(reasons)}", request_id=request_id)
