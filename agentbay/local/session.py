"""One session of the engine: its sandbox, its labels, its links and its contexts."""

from __future__ import annotations

import functools
import html
import logging
import time
from typing import Literal

import anyio
import anyio.abc
import attrs

from ..errors import AgentBayError
from ..protocol.contexts import ContextStatusData, PersistenceItem, SyncPolicy
from ._errors import EngineError
from ._store import Store
from ._trees import Summary, download, upload
from .links import LinkServer
from .sandbox import Sandbox

_log = logging.getLogger(__name__)

Direction = Literal["upload", "download"]

# Seconds that one transfer may take.
_TRANSFER_LIMIT = 3600.0


@attrs.define(eq=False)
class LocalSession:
    """A session of the engine.

    Attributes:
        used: Whether a tool was called or a link opened: before that there is nothing to save.
    """

    session_id: str
    sandbox: Sandbox
    image_id: str
    labels: dict[str, str]
    contexts: list[PersistenceItem]
    used: bool = False
    links: dict[int | None, str] = attrs.field(factory=dict[int | None, str])
    transfers: dict[tuple[str, str, Direction], ContextStatusData] = attrs.field(
        factory=dict[tuple[str, str, Direction], ContextStatusData]
    )
    _known: dict[tuple[str, str], frozenset[str]] = attrs.field(
        factory=dict[tuple[str, str], frozenset[str]]
    )
    _syncing: anyio.Lock = attrs.field(factory=anyio.Lock)

    async def link(self, port: int | None, links: LinkServer) -> str:
        """The token under which a port is linked; None stands for the session's own page."""
        if port not in self.links:
            if port is None:
                self.links[port] = links.add_page(self.page)
            else:
                connect = functools.partial(self._connect, port)
                self.links[port] = links.add(connect, label=f"port {port}", port=port)
        return self.links[port]

    async def _connect(self, port: int) -> anyio.abc.SocketStream:
        """Open a connection into the session, for the link server, which knows OSErrors."""
        self.used = True
        try:
            return await self.sandbox.connect(port)
        except AgentBayError as exc:
            raise ConnectionAbortedError(str(exc)) from exc

    def page(self) -> str:
        """What a web browser sees of the session itself."""
        rows = {"Session": self.session_id, "Image": self.image_id, **self.labels}
        cells = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
            for name, value in rows.items()
        )
        return f"<!doctype html><title>{self.session_id}</title><table>{cells}</table>\n"

    def expect(self, items: list[PersistenceItem], direction: Direction) -> None:
        """Note transfers that are about to begin, so that none of them looks done."""
        for item in items:
            self._note(item, direction, "Running")

    async def transfer(
        self, store: Store, items: list[PersistenceItem], direction: Direction
    ) -> None:
        """Bring contexts into the session, or its files into them, one after the other."""
        async with self._syncing:
            for item in items:
                try:
                    summary = await self._move(store, item, direction)
                except (AgentBayError, OSError) as exc:
                    _log.warning("%s of %s failed: %s", direction, item.context_id, exc)
                    self._note(item, direction, "Failed", str(exc))
                else:
                    self._finish(item, direction, summary)
                finally:
                    self._settle(item, direction)

    async def close(self, store: Store, links: LinkServer | None) -> None:
        """Save the contexts that follow the session, then end its processes."""
        try:
            with anyio.move_on_after(_TRANSFER_LIMIT, shield=True):
                saved = [item for item in self.contexts if self.used and _saves(item)]
                await self.transfer(store, saved, "upload")
        finally:
            for token in self.links.values():
                if links is not None:
                    links.remove(token)
            await self.sandbox.close()

    async def _move(self, store: Store, item: PersistenceItem, direction: Direction) -> Summary:
        place = (item.context_id, item.path)
        include, exclude = _white_list(item.policy)
        if direction == "upload":
            deletes = (item.policy or SyncPolicy()).delete_policy.sync_local_file
            work = functools.partial(
                upload,
                store=store,
                context_id=item.context_id,
                delete_missing=deletes,
                known=self._known.get(place, frozenset()),
                include=include,
                exclude=exclude,
            )
            arguments = {"path": item.path, "include": include, "exclude": exclude}
            summary = await self.sandbox.stream("pack", arguments, work, time_limit=_TRANSFER_LIMIT)
        else:
            work = functools.partial(download, store=store, context_id=item.context_id)
            summary = await self.sandbox.stream(
                "unpack", {"path": item.path}, work, time_limit=_TRANSFER_LIMIT
            )
        # What could not be read this time is still what the session had.
        known = self._known.get(place, frozenset()) if summary.failures else frozenset[str]()
        self._known[place] = summary.paths | known
        return summary

    def _finish(self, item: PersistenceItem, direction: Direction, summary: Summary) -> None:
        if summary.failures:
            text = "; ".join(f"{path}: {why}" for path, why in summary.failures.items())
            self._note(item, direction, "Failed", text)
        else:
            self._note(item, direction, "Success")

    def _settle(self, item: PersistenceItem, direction: Direction) -> None:
        """Leave no transfer behind that looks as if it still ran."""
        if self.transfers[item.context_id, item.path, direction].status == "Running":
            self._note(item, direction, "Failed", "the engine failed; its log has the details")

    def _note(
        self, item: PersistenceItem, direction: Direction, status: str, error: str = ""
    ) -> None:
        key = (item.context_id, item.path, direction)
        before = self.transfers.get(key)
        now = int(time.time())
        running = status == "Running"
        start = now if running or before is None else before.start_time
        self.transfers[key] = ContextStatusData(
            item.context_id, item.path, error, status, start, 0 if running else now, direction
        )


def check_policy(policy: SyncPolicy | None) -> None:
    """Refuse what this engine would not do.

    Raises:
        EngineError: The policy asks for something else than keeping files in step.
    """
    if policy is None:
        return
    refused = None
    if policy.upload_policy.upload_mode != "File":
        refused = "archives (UploadMode.ARCHIVE)"
    elif policy.mapping_policy is not None:
        refused = "path mapping (MappingPolicy)"
    elif policy.recycle_policy.lifecycle != "Lifecycle_Forever":
        refused = "recycling (RecyclePolicy)"
    elif any(rule.is_path_regex or rule.is_exclude_regex for rule in policy.bw_list.white_lists):
        refused = "white lists of regular expressions"
    if refused:
        raise EngineError("UnsupportedPolicy", f"the local engine does not have {refused}")


def _saves(item: PersistenceItem) -> bool:
    return (item.policy or SyncPolicy()).upload_policy.auto_upload


def _white_list(policy: SyncPolicy | None) -> tuple[list[str] | None, list[str]]:
    """The paths that take part, None for all of them, and the paths that do not."""
    rules = (policy or SyncPolicy()).bw_list.white_lists
    include = [rule.path.strip("/") for rule in rules]
    exclude = [path.strip("/") for rule in rules for path in rule.exclude_paths]
    return (None if "" in include else include), exclude
