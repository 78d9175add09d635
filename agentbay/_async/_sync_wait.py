"""Sync one file between a session and its store, and wait until that is done."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

from ..errors import APIError, FileTransferError, FileTransferTimeoutError
from ..protocol.contexts import ContextStatusData, GetContextInfo
from ._pauses import pauses
from .lifecycle import _ask

if TYPE_CHECKING:
    from ..protocol.bindings import InternalContext
    from .session import AsyncSession

_FIRST_PAUSE = 0.1

# Words of the service for transfers that ended; each in any case.
_DONE = {"success", "successful", "ok", "finished", "done", "completed", "complete"}
_FAILED = {"failed", "failure", "error"}

# Lower numbers are no times in seconds since 1970, and higher ones are milliseconds.
_EARLIEST, _LATEST = 1_000_000_000, 100_000_000_000


class SyncTask:
    """One sync of one file: ``download`` brings it into the session, ``upload`` out of it."""

    def __init__(
        self, session: AsyncSession, context: InternalContext, path: str, mode: str
    ) -> None:
        self._session, self._context, self._path, self._mode = session, context, path, mode
        self._before: list[ContextStatusData] = []
        self._began = 0
        self._status = ""

    async def begin(self, *, watched: bool) -> str:
        """Ask for the sync; gives the identifier of the request.

        Args:
            watched: Remember what is told of earlier syncs of the file, so that `finish` does
                not take one of them for this one.
        """
        if watched:
            with suppress(APIError):  # the sync itself says what is wrong
                self._before = await self._told() or []
        self._began = int(time.time())
        return await self._session.context._request_sync(
            self._context.context_id, self._path, self._mode
        )

    async def finish(self, timeout: float, poll_interval: float) -> None:
        """Wait for the end of the sync.

        Args:
            timeout: Seconds to wait.
            poll_interval: Seconds between two looks; the first ones come sooner.

        Raises:
            FileTransferError: The sync failed.
            FileTransferTimeoutError: The time was not enough.
        """
        try:
            with anyio.fail_after(timeout):
                for pause in pauses(_FIRST_PAUSE, poll_interval):
                    if self._ended(await self._told() or []):
                        return
                    await anyio.sleep(pause)
        except TimeoutError as exc:
            raise FileTransferTimeoutError(self._unfinished(timeout)) from exc

    async def _told(self) -> list[ContextStatusData] | None:
        """What the service tells about syncs of the file; None when it should be asked again."""
        call = GetContextInfo(
            session_id=self._session.session_id,
            context_id=self._context.context_id,
            path=self._path,
            task_type=self._mode,
        )
        found = await _ask(self._session, call)
        wanted = (self._context.context_id, self._path, self._mode)
        if found is None:
            return None
        return [t for t in found.transfers if (t.context_id, t.path, t.task_type) == wanted]

    def _ended(self, told: list[ContextStatusData]) -> bool:
        ours = [transfer for transfer in told if not self._is_earlier(transfer)]
        for transfer in ours:
            self._status = transfer.status
            if transfer.error_message or transfer.status.lower() in _FAILED:
                reason = transfer.error_message or "the service gave no reason"
                raise FileTransferError(f"the {self._mode} of {self._path} failed: {reason}")
        return bool(ours) and all(transfer.status.lower() in _DONE for transfer in ours)

    def _is_earlier(self, transfer: ContextStatusData) -> bool:
        """Whether it was told before this sync began, and is no later one in the same words."""
        when = max(transfer.start_time, transfer.finish_time)
        if transfer not in self._before or when < _EARLIEST:
            return False
        return (when // 1000 if when > _LATEST else when) < self._began

    def _unfinished(self, timeout: float) -> str:
        state = f"its state is {self._status!r}" if self._status else "the service tells nothing"
        if not self._status and self._before:
            state = "the service tells only of an earlier one"
        place = self._context.context_path.rstrip("/")
        outside = place and not self._path.startswith(f"{place}/")
        hint = f"; only files below {place} take part" if outside else ""
        return f"the {self._mode} of {self._path} did not end within {timeout:g} s: {state}{hint}"
