"""The contexts of one session, and the transfers between them and its files."""

from __future__ import annotations

import functools
import logging
import posixpath
import time
from datetime import UTC, datetime
from typing import Literal

import anyio
import attrs

from ...errors import AgentBayError
from ...protocol.contexts import ContextStatusData, PersistenceItem
from ...protocol.sync_policy import SyncPolicy
from .._errors import EngineError
from .._threads import in_thread
from ..guest.selection import Selection
from ..sandbox import Sandbox
from . import policies
from .store import Store, no_file
from .trees import Summary, Unpack, download, shared_device, upload

_log = logging.getLogger(__name__)

Direction = Literal["upload", "download"]

# Seconds that one transfer may take.
LIMIT = 3600.0

# Seconds between two looks at transfers that are waited for.
_LOOK_INTERVAL = 0.02

# Transfers of single files are told about until there are so many of them.
_MOST_ROWS = 1000


class Transfers:
    """Moves files between a session and its contexts, one after the other.

    A transfer is about the whole of a context, or about one path below the one that it is
    bound to; an item with that longer path stands for the second kind.

    Attributes:
        internal: The context that the engine keeps for single files, once it is needed.
    """

    def __init__(self, sandbox: Sandbox, contexts: list[PersistenceItem]) -> None:
        self.internal: PersistenceItem | None = None
        self._sandbox = sandbox
        self._contexts = contexts
        self._since = {item.path: _now() for item in contexts}
        self._rows: dict[tuple[str, str, Direction], ContextStatusData] = {}
        self._known: dict[tuple[str, str], frozenset[str]] = {}
        self._syncing = anyio.Lock()

    def bind(self, items: list[PersistenceItem]) -> None:
        """Give the session more contexts."""
        self._contexts.extend(items)
        self._since |= {item.path: _now() for item in items}

    def since(self, item: PersistenceItem) -> str:
        """When the session got a context; ISO 8601, UTC."""
        return self._since[item.path]

    def find(self, context_id: str | None, path: str | None) -> list[PersistenceItem]:
        """What a request to sync is about; nothing when the session does not have it.

        Args:
            context_id: Only this context; all but the internal one when it is not given.
            path: Only this path: where a context is, or one below it.
        """
        internal = [self.internal] if self.internal and (context_id or path) else []
        found = [
            item
            for item in [*self._contexts, *internal]
            if context_id in (None, "", item.context_id)
        ]
        if not path:
            return found
        return [attrs.evolve(i, path=path) for i in found if below(path, i.path) is not None]

    def rows(
        self, context_id: str | None, path: str | None, task_type: str | None
    ) -> list[ContextStatusData]:
        """How far transfers are; those of single files only when their path is given."""
        whole = {(item.context_id, item.path) for item in self._contexts}
        return [
            row
            for row in self._rows.values()
            if context_id in (None, "", row.context_id)
            and task_type in (None, "", row.task_type)
            and (row.path == path if path else (row.context_id, row.path) in whole)
        ]

    def unsaved(self) -> dict[tuple[str, str], str]:
        """Why the last uploads failed, of those that did, by context and path."""
        return {
            (row.context_id, row.path): row.error_message
            for row in self._rows.values()
            if row.task_type == "upload" and row.status == "Failed"
        }

    def arrive(self, items: list[PersistenceItem]) -> list[PersistenceItem]:
        """Note what the session gets, before any of it looks done.

        Returns:
            Those that are about to bring files. Clients wait for each context, so the others
            have done that already.
        """
        incoming = [i for i in items if (i.policy or SyncPolicy()).download_policy.auto_download]
        for item in items:
            self._note(item, "download", "Running" if item in incoming else "Success")
        return incoming

    def expect(self, items: list[PersistenceItem], direction: Direction) -> None:
        """Note transfers that are about to begin, so that none of them looks done."""
        for item in items:
            self._note(item, direction, "Running")

    async def run(self, store: Store, items: list[PersistenceItem], direction: Direction) -> None:
        """Bring contexts into the session, or its files into them, one after the other."""
        async with self._syncing:
            for item in items:
                try:
                    summary = await self._move(store, item, direction)
                except (AgentBayError, OSError) as exc:
                    _log.debug("%s of %s failed: %s", direction, item.context_id, exc)
                    self._note(item, direction, "Failed", str(exc))
                else:
                    self._finish(item, direction, summary)
                finally:
                    self._settle(item, direction)

    async def settle(self) -> None:
        """Wait until no transfer is under way."""
        while any(row.status == "Running" for row in self._rows.values()):
            async with self._syncing:
                # One that is expected may not have begun.
                await anyio.sleep(_LOOK_INTERVAL)

    def refuse(self, items: list[PersistenceItem], direction: Direction, reason: str) -> None:
        """Note that transfers which were expected do not take place."""
        for item in items:
            self._note(item, direction, "Failed", reason)

    async def _move(self, store: Store, item: PersistenceItem, direction: Direction) -> Summary:
        bound = self._bound(item)
        part = below(item.path, bound.path) or ""
        selection = policies.selection(bound.policy, part)
        rules = None if bound.policy is None else policies.recycling(bound.policy)
        await in_thread(store.recycle, bound.context_id, rules)
        place = (bound.context_id, bound.path)
        known = self._known.get(place, frozenset())
        if direction == "upload":
            summary = await self._upload(store, bound, selection, known)
        else:
            summary = await self._download(store, bound, selection, unpacks=not part)
        if part and not summary.paths and not summary.failures:
            _check_part(item, part, direction, known)
        # What could not be read this time is still what the session had.
        kept = (path for path in known if summary.failures or not selection.covers(path))
        self._known[place] = summary.paths.union(kept)
        return summary

    async def _upload(
        self, store: Store, item: PersistenceItem, selection: Selection, known: frozenset[str]
    ) -> Summary:
        archive_roots = policies.archive_roots(item.policy)
        directory = self._sandbox.directory
        beside = await in_thread(shared_device, store, item.context_id, directory)
        if archive_roots is not None:
            beside = None
        work = functools.partial(
            upload,
            store=store,
            context_id=item.context_id,
            delete_missing=(item.policy or SyncPolicy()).delete_policy.sync_local_file,
            known=known,
            selection=selection,
            archive_roots=archive_roots,
            unarchived=policies.unarchived(item.policy),
            beside=beside is not None,
        )
        arguments = {"path": item.path, "beside": beside, **selection.arguments()}
        return await self._sandbox.stream("pack", arguments, work, time_limit=LIMIT)

    async def _download(
        self, store: Store, item: PersistenceItem, selection: Selection, *, unpacks: bool
    ) -> Summary:
        policy = (item.policy or SyncPolicy()).extract_policy
        unpack = Unpack(not policy.delete_src_file, policy.extract_current_folder)
        work = functools.partial(
            download,
            store=store,
            context_id=item.context_id,
            selection=selection,
            unpack=unpack if unpacks and policy.extract else None,
        )
        return await self._sandbox.stream("unpack", {"path": item.path}, work, time_limit=LIMIT)

    def _bound(self, item: PersistenceItem) -> PersistenceItem:
        internal = [self.internal] if self.internal else []
        return next(
            bound
            for bound in [*self._contexts, *internal]
            if bound.context_id == item.context_id and below(item.path, bound.path) is not None
        )

    def _finish(self, item: PersistenceItem, direction: Direction, summary: Summary) -> None:
        if summary.failures:
            text = "; ".join(f"{path}: {why}" for path, why in summary.failures.items())
            self._note(item, direction, "Failed", text)
        else:
            self._note(item, direction, "Success")

    def _settle(self, item: PersistenceItem, direction: Direction) -> None:
        """Leave no transfer behind that looks as if it still ran."""
        row = self._rows.get((item.context_id, item.path, direction))
        if row is not None and row.status == "Running":
            self._note(item, direction, "Failed", "the engine failed; its log has the details")

    def _note(
        self, item: PersistenceItem, direction: Direction, status: str, error: str = ""
    ) -> None:
        key = (item.context_id, item.path, direction)
        before = self._rows.pop(key, None)
        now = int(time.time())
        running = status == "Running"
        start = now if running or before is None else before.start_time
        self._rows[key] = ContextStatusData(
            item.context_id, item.path, error, status, start, 0 if running else now, direction
        )
        self._forget_rows()

    def _forget_rows(self) -> None:
        if len(self._rows) <= _MOST_ROWS:
            return
        whole = {(item.context_id, item.path) for item in self._contexts}
        for key, row in list(self._rows.items()):
            if row.finished and key[:2] not in whole:
                del self._rows[key]
                return


def below(path: str, base: str) -> str | None:
    """A path relative to one that it is at ("") or below; None when it is not."""
    path, base = posixpath.normpath(path), posixpath.normpath(base)
    if path == base:
        return ""
    return path[len(base) + 1 :] if path.startswith(f"{base}/") else None


def _check_part(
    item: PersistenceItem, part: str, direction: Direction, known: frozenset[str]
) -> None:
    """Tell a file that is nowhere from one that the session has deleted."""
    if direction == "download":
        raise no_file(part)
    if not any(path == part or path.startswith(f"{part}/") for path in known):
        raise EngineError("Context.FileNotFound", f"the session has no file {item.path!r}")


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
