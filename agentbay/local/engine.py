"""The engine's state: its sessions, its contexts, its links."""

from __future__ import annotations

import logging
import math
import os
import secrets
import string
import sys
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Literal, cast, get_args

import anyio
import anyio.abc
import attrs

from ..errors import ConfigError
from ..protocol.session_details import StatusData
from ..protocol.sessions import SessionStatus
from . import _engines
from ._desktop.screen_links import PREFIX as SCREENS_PREFIX
from ._desktop.screen_links import ScreenLinks
from ._file_links import PREFIX as FILES_PREFIX
from ._file_links import FileLinks
from ._life import not_found
from ._sandbox import disk
from ._sandbox.bwrap import Isolation
from ._sandbox.limits import Limits
from ._spare import Spare
from ._storage.quota import Quota
from ._storage.store import Store
from ._threads import in_thread
from .links import LinkServer
from .sandbox import Sandbox
from .session import LocalSession

_log = logging.getLogger(__name__)

IsolationKind = Literal["bubblewrap", "none"]
Network = Literal["isolated", "host", "none"]

# Sessions that have ended are told about, so many of them and for so many seconds.
_MOST_FINISHED, _REMEMBERED = 1000, 3600.0

# Seconds between two removals of what contexts need no more.
_TIDY_INTERVAL = 1800.0


@attrs.frozen
class EngineOptions:
    """How an engine runs.

    Attributes:
        home: Where contexts are kept, and sessions while they run.
        isolation: How far sessions are kept apart from the host.
        link_host: Address at which links listen.
        limits: What the programs of one session may use.
        skills: Directory of the skills that sessions can get; by default that which
            ``AGENTBAY_LOCAL_SKILLS`` names when somebody asks for skills.
        quota: What contexts may hold.
        tells_links: Whether clients call tools over the link of a session. Clients in this
            process have a quicker way.
    """

    home: Path
    isolation: Isolation = attrs.field(factory=Isolation)
    link_host: str = "127.0.0.1"
    limits: Limits = attrs.field(factory=Limits)
    skills: Path | None = None
    quota: Quota = attrs.field(factory=Quota)
    tells_links: bool = False

    @classmethod
    def from_environment(
        cls, *, home: Path | None = None, link_host: str = "127.0.0.1"
    ) -> EngineOptions:
        """Read ``AGENTBAY_LOCAL_HOME``, ``..._ISOLATION`` and ``..._NETWORK``.

        The limits of sessions are those of `Limits.from_environment`, those of contexts are
        those of `Quota.from_environment`.

        Raises:
            ConfigError: One of them has a value that makes no sense.
        """
        kind = _choice("AGENTBAY_LOCAL_ISOLATION", "bubblewrap", get_args(IsolationKind))
        network = _choice("AGENTBAY_LOCAL_NETWORK", "isolated", get_args(Network))
        isolation = Isolation(cast("IsolationKind", kind), cast("Network", network))
        return cls(
            home or _home(),
            isolation,
            link_host,
            Limits.from_environment(),
            quota=Quota.from_environment(),
        )


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
        self.store: Store = Store(options.home / "contexts", options.quota)
        self.files: FileLinks = FileLinks(self.store)
        self.screens: ScreenLinks = ScreenLinks(directory / "screenshots")
        self.sessions: dict[str, LocalSession] = {}
        self.finished: Finished = Finished()
        self.tasks = tasks
        # More at a time would only make each of them take longer, up to its time limit.
        self._starts = anyio.Semaphore(2 * (os.cpu_count() or 1))
        self._spare = Spare(self._start_spare)
        self._directory = directory
        self._links: LinkServer | None = None
        self._links_lock = anyio.Lock()

    def session(self, session_id: str) -> LocalSession:
        """The session of that id.

        Raises:
            EngineError: There is none, or it is about to end.
        """
        session = self.sessions.get(session_id)
        if session is None or session.life.status is SessionStatus.DELETING:
            raise not_found()
        return session

    async def start_sandbox(self, *, copies: Mapping[str, Path] | None = None) -> Sandbox:
        """Start the processes of a new session, whose id is that of the sandbox.

        Args:
            copies: Directories to copy into it, by their path there.
        """
        sandbox = None if copies else await self._spare.take()
        if sandbox is None:
            session_id = _session_id()
            sandbox = await self._start(self._directory / session_id, session_id, copies)
        else:
            await _rename(sandbox, self._directory / sandbox.session_id)
        sandbox.publish = self._publish
        self._spare.want()
        return sandbox

    async def _start_spare(self) -> Sandbox:
        session_id = _session_id()
        # Under a name that is not a session's: those are listed.
        directory = self._directory / session_id.replace("session", "spare", 1)
        return await self._start(directory, session_id)

    async def _start(
        self, directory: Path, session_id: str, copies: Mapping[str, Path] | None = None
    ) -> Sandbox:
        options = self.options
        async with self._starts:
            return await Sandbox.start(
                directory, session_id, options.isolation, limits=options.limits, copies=copies
            )

    async def _publish(self, png: bytes) -> str:
        links = await self.links()
        return f"{links.origin}{await self.screens.add(png)}"

    async def keep_spare(self) -> None:
        """Keep a sandbox ready, until `close`."""
        if self.options.isolation.kind == "bubblewrap":  # else programs know their directory
            await self._spare.keep()

    async def links(self) -> LinkServer:
        """The server of links; it listens from the first time that one is needed."""
        async with self._links_lock:
            if self._links is None:
                server = LinkServer(self.options.link_host)
                server.mount(FILES_PREFIX, self.files.serve)
                server.mount(SCREENS_PREFIX, self.screens.serve)
                await self.tasks.start(server.serve)
                self._links = server
        return self._links

    def background(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do something that no reply waits for."""
        self.tasks.start_soon(_logged, work)

    async def close(self) -> None:
        """End all sessions; contexts that follow them are saved first."""
        self._spare.stop()
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as closing:
                for session in list(self.sessions.values()):
                    if session.life.begin_end("EngineStopped"):
                        closing.start_soon(self._finish, session)
                    closing.start_soon(session.life.gone.wait)
            self.store.close()

    def begin_end(self, session_id: str, reason: str) -> anyio.Event:
        """Begin to end a session; the contexts that follow it are saved first.

        Returns:
            What is set once it is gone. It may have been about to end before.

        Raises:
            EngineError: There is no such session.
        """
        session = self.sessions.get(session_id)
        if session is None:
            raise not_found()
        if session.life.begin_end(reason):
            self.tasks.start_soon(self._finish, session)
        return session.life.gone

    async def expire(self, session: LocalSession) -> None:
        """End a session when its time is up."""
        reason = await session.life.time_up(lambda: session.linked(self._links))
        if reason is not None:
            _log.debug("session %s ends: %s", session.session_id, reason)
            self.begin_end(session.session_id, reason)

    async def _finish(self, session: LocalSession) -> None:
        with anyio.CancelScope(shield=True):
            await _logged(partial(session.close, self.store, self._links))
            self.sessions.pop(session.session_id, None)
            self.finished.add(session)
            session.life.ended()


def _session_id() -> str:
    letters = string.ascii_lowercase + string.digits
    return "session-" + "".join(secrets.choice(letters) for _ in range(17))


async def _rename(sandbox: Sandbox, directory: Path) -> None:
    """Give the directory of a sandbox another name, which nothing in the sandbox notices."""
    try:
        await in_thread(sandbox.directory.rename, directory)
        sandbox.directory = directory
    except BaseException:  # cancelled too: nobody else closes it
        await sandbox.close()
        raise


async def _logged(work: Callable[[], Awaitable[object]]) -> None:
    try:
        await work()
    except Exception:  # noqa: BLE001 - the engine's boundary: other sessions go on
        _log.exception("work in the background failed")


async def _tidy(store: Store) -> None:
    """Remove what no context needs any more, now and then."""
    while True:
        await anyio.sleep(_TIDY_INTERVAL)
        await in_thread(store.collect_garbage)


class Finished:
    """Sessions that have ended, for those who ask; the latest ones, for a while."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[float, StatusData]] = {}

    def add(self, session: LocalSession) -> None:
        """Note that a session has ended."""
        ended = session.session_id
        data = StatusData("FINISH", session.image_id, ended, session.life.end_reason)
        self._found[ended] = (anyio.current_time(), data)
        while len(self._found) > _MOST_FINISHED:
            del self._found[next(iter(self._found))]

    def find(self, session_id: str) -> StatusData:
        """What is known about a session that has ended.

        Raises:
            EngineError: None is known.
        """
        moment, data = self._found.get(session_id, (-math.inf, StatusData()))
        if anyio.current_time() - moment > _REMEMBERED:
            raise not_found()
        return data


@asynccontextmanager
async def engine_running(options: EngineOptions) -> AsyncGenerator[Engine, None]:
    """An engine for the length of a block."""
    engines = options.home / "engines"
    engines.mkdir(mode=0o700, parents=True, exist_ok=True)
    await in_thread(_engines.remove_stale, engines)
    directory = engines / uuid.uuid4().hex
    with _engines.claimed(directory):
        async with anyio.create_task_group() as tasks:
            engine = Engine(options, directory, tasks)
            engine.background(partial(_tidy, engine.store))
            engine.background(partial(disk.watch, engine))
            engine.background(engine.keep_spare)
            try:
                yield engine
            finally:
                await engine.close()
                tasks.cancel_scope.cancel()
