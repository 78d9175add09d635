"""One session of the engine: its sandbox, its labels, its links and its contexts."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import secrets
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import attrs

from ..errors import AgentBayError
from ..protocol.contexts import PersistenceItem
from ._errors import EngineError
from ._life import Life
from ._link_exchange import RefusedError
from ._storage.policies import check_policy, saves
from ._storage.store import Store
from ._storage.transfers import LIMIT as TRANSFER_LIMIT
from ._storage.transfers import Direction, Transfers
from ._threads import in_thread
from .links import LinkServer
from .sandbox import Sandbox

if TYPE_CHECKING:
    from ._desktop.viewer import Viewer
    from .pty import Terminal
    from .streams import Connection

__all__ = ["Direction", "LocalSession", "check_policy"]

_log = logging.getLogger(__name__)


def _new_transfers(session: LocalSession) -> Transfers:
    return Transfers(session.sandbox, session.contexts)


@attrs.define(eq=False)
class LocalSession:
    """A session of the engine.

    Attributes:
        life: What state it is in. Whatever uses the session does so within `life.use()`.
        number: Sessions are listed in this order.
        plain_shell: Whether its client takes what a command prints for the answer of the tool.
        in_vpc: Whether clients are told that it is in a private network.
        token: What opens the ways to it that do not go through the control plane.
        service: The link of those ways; empty before somebody was told.
        connections: Its WebSockets, those of its live view included.
        links: The tokens of its links, by their port; None stands for its live view.
        terminals: Its terminals, by their id.
    """

    session_id: str
    sandbox: Sandbox
    image_id: str
    labels: dict[str, str]
    contexts: list[PersistenceItem]
    life: Life
    plain_shell: bool = False
    in_vpc: bool = False
    token: str = attrs.field(factory=functools.partial(secrets.token_urlsafe, 24), repr=False)
    service: str = attrs.field(default="", repr=False)
    connections: set[Connection | Viewer] = attrs.field(factory=set["Connection | Viewer"])
    terminals: dict[str, Terminal] = attrs.field(factory=dict[str, "Terminal"])
    number: int = attrs.field(factory=itertools.count(1).__next__)
    links: dict[int | None, str] = attrs.field(factory=dict[int | None, str])
    transfers: Transfers = attrs.field(
        default=attrs.Factory(_new_transfers, takes_self=True), init=False
    )

    async def link(self, port: int, links: LinkServer) -> str:
        """The token under which a port is linked."""
        if port not in self.links:
            connect = functools.partial(self.connect, port)
            self.links[port] = links.add(connect, label=f"port {port}", port=port)
        return self.links[port]

    async def connect(self, port: int) -> anyio.abc.SocketStream:
        """Open a connection into the session, for the link server, which knows OSErrors."""
        try:
            with self.life.use():
                return await self.sandbox.connect(port)
        except EngineError as exc:
            raise RefusedError(503, f"{exc}\n") from exc
        except AgentBayError as exc:
            raise ConnectionAbortedError(str(exc)) from exc

    def linked(self, links: LinkServer | None) -> bool:
        """Whether somebody is connected to a link, or uses a stream."""
        if any(connection.busy for connection in self.connections):
            return True
        if self.sandbox.browser is not None and self.sandbox.browser.link.busy:
            return True
        return links is not None and any(map(links.busy, self.links.values()))

    def expect(self, items: list[PersistenceItem], direction: Direction) -> None:
        """Note transfers that are about to begin, so that none of them looks done."""
        self.transfers.expect(items, direction)

    async def transfer(
        self, store: Store, items: list[PersistenceItem], direction: Direction
    ) -> None:
        """Bring contexts into the session, or its files into them, one after the other."""
        browser = self.sandbox.browser
        async with contextlib.nullcontext() if browser is None else browser.at_rest(items):
            await self.transfers.run(store, items, direction)

    async def close(self, store: Store, links: LinkServer | None) -> None:
        """Save the contexts that follow the session, then end its processes."""
        told = self.transfers.unsaved()
        try:
            with anyio.move_on_after(TRANSFER_LIMIT, shield=True):
                saved = [item for item in self.contexts if self.life.used and saves(item)]
                await self.transfer(store, saved, "upload")
                await self._forget_internal(store)
        finally:
            self._warn_of_loss(told)
            for token in (*self.links.values(), self.service):
                if links is not None:
                    links.remove(token)
            for connection in list(self.connections):
                connection.close()
            if self.sandbox.browser is not None:
                await self.sandbox.browser.close(links)
            await self.sandbox.close()

    def _warn_of_loss(self, told: dict[tuple[str, str], str]) -> None:
        """Say what could not be saved, and why; nobody can ask the session for it any more."""
        for (context_id, path), reason in self.transfers.unsaved().items():
            if told.get((context_id, path)) != reason:
                _log.warning(
                    "session %s ends, and %s of %s is not saved: %s",
                    self.session_id,
                    path,
                    context_id,
                    reason,
                )

    async def _forget_internal(self, store: Store) -> None:
        """Remove the context that single files went through."""
        if self.transfers.internal is not None:
            with contextlib.suppress(EngineError):
                await in_thread(store.delete_context, self.transfers.internal.context_id)
