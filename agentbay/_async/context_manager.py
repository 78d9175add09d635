"""The contexts of one session, and the transfers between them and its files."""

from __future__ import annotations

import anyio

from .._results.base import reported
from .._results.context import ContextInfoResult, ContextSyncResult
from ..errors import AgentBayError, InvalidInputError
from ..protocol.contexts import ContextStatusData, GetContextInfo, SyncContext
from ._resource import Resource

_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.05, 5.0, 1.5
_MODES = ("upload", "download")


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

    @reported(ContextSyncResult)
    async def sync(
        self,
        context_id: str | None = None,
        path: str | None = None,
        mode: str | None = None,
        *,
        timeout: float = 300.0,
    ) -> ContextSyncResult:
        """Bring contexts up to date, and wait until that is done.

        Args:
            context_id: Only this context; all contexts of the session by default.
            path: Only this path of the session.
            mode: ``"upload"`` from the session, ``"download"`` into it; the service's
                choice by default, which is to upload.
            timeout: Seconds to wait.

        Returns:
            Whether every transfer succeeded; `error_message` names those that did not.
        """
        if mode is not None and mode not in _MODES:
            raise InvalidInputError(f"mode must be one of {', '.join(_MODES)}, not {mode!r}")
        call = SyncContext(
            session_id=self._session.session_id, context_id=context_id, path=path, mode=mode
        )
        reply = await self._session.get_client().send(call)
        try:
            with anyio.fail_after(timeout):
                await self._settled({context_id} if context_id else set(), path, mode)
        except TimeoutError as exc:
            raise AgentBayError(
                f"the contexts were not synced within {timeout:g} s", request_id=reply.request_id
            ) from exc
        return ContextSyncResult(reply.request_id, True)

    async def _settled(self, context_ids: set[str], path: str | None, mode: str | None) -> None:
        """Wait until no transfer runs and each of the contexts has one that ended.

        Raises:
            AgentBayError: A transfer failed.
        """
        pause = _FIRST_PAUSE
        while True:
            only = next(iter(context_ids)) if len(context_ids) == 1 else None
            request_id, transfers = await self._transfers(only, path, mode)
            known = {transfer.context_id for transfer in transfers}
            if context_ids <= known and all(transfer.finished for transfer in transfers):
                _check(transfers, request_id)
                return
            await anyio.sleep(pause)
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)

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


def _check(transfers: list[ContextStatusData], request_id: str) -> None:
    failed = [transfer for transfer in transfers if transfer.status == "Failed"]
    if failed:
        reasons = (
            f"{transfer.task_type or 'transfer'} of {transfer.context_id} at {transfer.path}: "
            f"{transfer.error_message or 'no reason given'}"
            for transfer in failed
        )
        raise AgentBayError(f"not synced: {'; '.join(reasons)}", request_id=request_id)
