"""The engine's state: its sessions, its contexts, its links."""

from __future__ import annotations

import fcntl
import logging
import os
import sys
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import IO, Literal, cast, get_args

import anyio
import anyio.abc
import attrs

from ..errors import ConfigError
from . import _rootfs
from ._bwrap import Isolation
from ._errors import EngineError
from ._store import Store
from ._threads import in_thread
from .links import LinkServer
from .sandbox import Sandbox
from .session import LocalSession

_log = logging.getLogger(__name__)

IsolationKind = Literal["bubblewrap", "none"]
Network = Literal["isolated", "host", "none"]


@attrs.frozen
class EngineOptions:
    """How an engine runs.

    Attributes:
        home: Where contexts are kept, and sessions while they run.
        isolation: How far sessions are kept apart from the host.
        link_host: Address at which links listen.
    """

    home: Path
    isolation: Isolation = attrs.field(factory=Isolation)
    link_host: str = "127.0.0.1"

    @classmethod
    def from_environment(
        cls, *, home: Path | None = None, link_host: str = "127.0.0.1"
    ) -> EngineOptions:
        """Read ``AGENTBAY_LOCAL_HOME``, ``AGENTBAY_LOCAL_ISOLATION`` and ``..._NETWORK``.

        Raises:
            ConfigError: One of them has a value that makes no sense.
        """
        kind = _choice("AGENTBAY_LOCAL_ISOLATION", "bubblewrap", get_args(IsolationKind))
        network = _choice("AGENTBAY_LOCAL_NETWORK", "isolated", get_args(Network))
        isolation = Isolation(cast("IsolationKind", kind), cast("Network", network))
        return cls(home or _home(), isolation, link_host)


def _choice(name: str, default: str, known: tuple[str, ...]) -> str:
    value = os.environ.get(name, "").strip() or default
    if value not in known:
        raise ConfigError(f"{name} must be one of {', '.join(known)}, not {value!r}")
    return value


def _home() -> Path:
    if named := os.environ.get("AGENTBAY_LOCAL_HOME"):
        return Path(named).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "agentbay"
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "agentbay"


class Engine:
    """Serves one process. `engine_running` makes one, and ends it."""

    def __init__(self, options: EngineOptions, directory: Path, tasks: anyio.abc.TaskGroup) -> None:
        self.options = options
        self.store = Store(options.home / "contexts")
        self.sessions: dict[str, LocalSession] = {}
        self.tasks = tasks
        self._directory = directory
        self._links: LinkServer | None = None
        self._links_lock = anyio.Lock()

    def session(self, session_id: str) -> LocalSession:
        """The session of that id.

        Raises:
            EngineError: There is none.
        """
        try:
            return self.sessions[session_id]
        except KeyError:
            raise EngineError(
                "InvalidMcpSession.NotFound", "Resource [McpSession] is not found."
            ) from None

    async def start_sandbox(self, session_id: str) -> Sandbox:
        """Start the processes of a new session."""
        directory = self._directory / session_id
        return await Sandbox.start(directory, session_id, self.options.isolation)

    async def links(self) -> LinkServer:
        """The server of links; it listens from the first time that one is needed."""
        async with self._links_lock:
            if self._links is None:
                server = LinkServer(self.options.link_host)
                await self.tasks.start(server.serve)
                self._links = server
        return self._links

    def background(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do something that no reply waits for."""
        self.tasks.start_soon(_logged, work)

    async def close(self) -> None:
        """End all sessions; contexts that follow them are saved first."""
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as closing:
                for session in list(self.sessions.values()):
                    closing.start_soon(_logged, partial(self._end, session))
            self.store.close()

    async def _end(self, session: LocalSession) -> None:
        self.sessions.pop(session.session_id, None)
        await session.close(self.store, self._links)

    async def end(self, session_id: str) -> None:
        """End a session; the contexts that follow it are saved first.

        Raises:
            EngineError: There is no such session.
        """
        await self._end(self.session(session_id))


async def _logged(work: Callable[[], Awaitable[object]]) -> None:
    try:
        await work()
    except Exception:  # noqa: BLE001 - the engine's boundary: other sessions go on
        _log.exception("work in the background failed")


@asynccontextmanager
async def engine_running(options: EngineOptions) -> AsyncGenerator[Engine, None]:
    """An engine for the length of a block."""
    engines = options.home / "engines"
    engines.mkdir(mode=0o700, parents=True, exist_ok=True)
    await in_thread(_remove_stale, engines)
    directory = engines / uuid.uuid4().hex
    with _claimed(directory):
        async with anyio.create_task_group() as tasks:
            engine = Engine(options, directory, tasks)
            try:
                yield engine
            finally:
                await engine.close()
                tasks.cancel_scope.cancel()
                _remove(directory)


def _claimed(directory: Path) -> IO[bytes]:
    """Make a directory that is known to be in use for as long as the returned file is open.

    The lock is on a file beside the directory, taken before the directory exists: another
    engine never sees the one without the other.
    """
    lock = directory.with_suffix(".lock").open("wb")
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    directory.mkdir(mode=0o700)
    return lock


def _remove_stale(engines: Path) -> None:
    """Remove what engines left behind that were killed."""
    for path in engines.glob("*.lock"):
        with path.open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            _log.debug("removing what engine %s left behind", path.stem)
            _remove(path.with_suffix(""))


def _remove(directory: Path) -> None:
    """Remove the directory of an engine, and then its lock; the caller holds that."""
    for session in directory.glob("*"):
        _rootfs.remove(session)
    directory.rmdir()
    directory.with_suffix(".lock").unlink(missing_ok=True)
