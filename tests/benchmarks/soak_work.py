"""What the sessions of a soak are used for, and whether each answer is the right one."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import attrs
import httpx

from agentbay import AsyncAgentBay, AsyncSession, ContextSync, CreateSessionParams
from agentbay.errors import AgentBayError, APIError, FileTransferTimeoutError, TransportError

LABEL = "soak"

_PORT = 30150
_KEPT = "/home/wuying/kept"

# Seconds for a server in a session to listen, and a session to be deleted.
_START_LIMIT = 30.0
_DELETE_LIMIT = 120.0

# Interpreters are large, so few sessions have one at a time.
_INTERPRETERS = 2


class WrongError(Exception):
    """An answer that says yes, and is not the right one."""


@attrs.define
class Tally:
    """What came of everything so far.

    Attributes:
        done: What worked, by what it was.
        failed: Failures as they come from a bad network, by their class.
        wrong: What must not be: wrong answers, lost files, other errors; the first ones.
    """

    done: Counter[str] = attrs.field(factory=Counter[str])
    failed: Counter[str] = attrs.field(factory=Counter[str])
    wrong: list[str] = attrs.field(factory=list[str])

    def complain(self, text: str) -> None:
        """Keep a few of the things that went wrong; a long run has a bounded memory."""
        if len(self.wrong) < 50:
            self.wrong.append(text)

    def judge(self, what: str, error: AgentBayError | None) -> None:
        """Count a success, or a failure that is the network's; complain of any other."""
        if error is None:
            self.done[what] += 1
        elif is_of_the_network(error):
            self.failed[type(error).__name__] += 1
        else:
            self.complain(f"{what}: {type(error).__name__}: {error}")


def is_of_the_network(error: AgentBayError) -> bool:
    """Whether the relay may have caused an error."""
    if isinstance(error, TransportError | FileTransferTimeoutError):
        return True
    return isinstance(error, APIError) and error.status_code >= 500


class Worker:
    """Makes sessions, one after the other, and uses each of them for a while.

    Args:
        bay: Leads to the engine through the relay.
        tally: Where everything is counted.
        directory: For files of this machine; the worker's own.
        limiter: Lets some sessions only have an interpreter.
    """

    def __init__(
        self, bay: AsyncAgentBay, tally: Tally, directory: Path, limiter: anyio.CapacityLimiter
    ) -> None:
        self._bay, self._tally, self._limiter = bay, tally, limiter
        self._directory = directory
        directory.mkdir()
        self._context = ""
        # What files of the session hold, as far as they were acknowledged.
        self._files: dict[str, str] = {}

    async def run(self, until: float) -> None:
        """Work until a moment of the event loop's clock."""
        while anyio.current_time() < until:
            try:
                await self._one_session(until)
            except AgentBayError as exc:
                self._tally.judge("session", exc)
                await anyio.sleep(0.2)
            except WrongError as exc:
                self._tally.complain(str(exc))
            except httpx.HTTPError as exc:  # addresses lead past the relay
                self._tally.complain(f"an address of the engine: {type(exc).__name__}: {exc}")

    async def _one_session(self, until: float) -> None:
        keeps = random.random() < 0.2
        params = CreateSessionParams(labels={LABEL: "1"})
        if keeps:
            params.context_syncs = [ContextSync(await self._find_context(), _KEPT)]
        session = (await self._bay.create(params)).unwrap()
        self._tally.done["create"] += 1
        self._files = {}
        token = ""
        try:
            if random.random() < 0.5:  # else calls of tools go past the relay
                session._data = attrs.evolve(session._data, link_url="")
            for _ in range(random.randint(5, 25)):
                if anyio.current_time() < until:
                    await self._one_call(session)
            await self._compare_files(session)
            if keeps:
                token = await self._keep(session)
        finally:
            saved = await self._delete(session, sync=bool(token))
        if token and saved:
            await self._compare_kept(token)

    async def _one_call(self, session: AsyncSession) -> None:
        call, name = random.choices([call for call, _ in _CALLS], [odds for _, odds in _CALLS])[0]
        try:
            await call(self, session)
            self._tally.judge(name, None)
        except AgentBayError as exc:
            self._tally.judge(name, exc)

    # -- calls -----------------------------------------------------------------------------

    async def _command(self, session: AsyncSession) -> None:
        token = uuid.uuid4().hex
        said = (await session.command.run(f"printf %s {token}")).unwrap()
        _same("command", said, token)

    async def _file(self, session: AsyncSession) -> None:
        path = f"/tmp/file-{random.randrange(8)}"
        content = f"{uuid.uuid4().hex}é\n" * random.choice((1, 100, 5_000))
        self._files.pop(path, None)  # what it holds after a failure nobody knows
        (await session.file_system.write_file(path, content)).unwrap()
        self._files[path] = content
        _same("file", (await session.file_system.read_file(path)).unwrap(), content)

    async def _transfer(self, session: AsyncSession) -> None:
        folder = await session.file_system.get_file_transfer_context_path()
        out, back = self._directory / "out", self._directory / "back"
        await anyio.Path(out).write_bytes(random.randbytes(random.choice((0, 1_000, 300_000))))
        far = f"{folder}/{uuid.uuid4().hex}"
        (await session.file_system.upload_file(out, far)).unwrap()
        (await session.file_system.download_file(far, back)).unwrap()
        _same("transfer", await anyio.Path(back).read_bytes(), await anyio.Path(out).read_bytes())

    async def _link(self, session: AsyncSession) -> None:
        token = uuid.uuid4().hex
        (await session.file_system.write_file("/tmp/site/token", token)).unwrap()
        command = f"python3 -m http.server {_PORT} --directory /tmp/site &"
        (await session.command.run(command)).unwrap()  # a second one ends at once
        link = (await session.get_link(port=_PORT)).unwrap()
        async with httpx.AsyncClient(trust_env=False, timeout=_START_LIMIT) as http:
            with anyio.move_on_after(_START_LIMIT):
                while (answer := await http.get(f"{link}token")).status_code != 200:  # noqa: ASYNC110
                    await anyio.sleep(0.1)
                return _same("link", answer.text, token)
        raise WrongError(f"a server in a session is not reached within {_START_LIMIT:g} s")

    async def _environment(self, session: AsyncSession) -> None:
        token = uuid.uuid4().hex
        (await session.env.set({"TOKEN": token})).unwrap()
        _same("environment", (await session.env.get(["TOKEN"])).unwrap().get("TOKEN"), token)

    async def _code(self, session: AsyncSession) -> None:
        async with self._limiter:
            result = await session.code.run_code("print(6 * 7)", "python")
            _same("code", str(result.unwrap()).strip(), "42")

    # -- contexts --------------------------------------------------------------------------

    async def _find_context(self) -> str:
        if not self._context:
            name = f"{LABEL}-{uuid.uuid4().hex}"
            self._context = (await self._bay.context.get(name, create=True)).unwrap().id
        return self._context

    async def _keep(self, session: AsyncSession) -> str:
        token = uuid.uuid4().hex
        (await session.file_system.write_file(f"{_KEPT}/token", token)).unwrap()
        return token

    async def _compare_kept(self, token: str) -> None:
        url = (await self._bay.context.get_file_download_url(self._context, "/token")).unwrap()
        async with httpx.AsyncClient(trust_env=False, timeout=_START_LIMIT) as http:
            _same("a file of a context", (await http.get(url)).text, token)
        self._tally.done["context"] += 1

    # -- the end of a session --------------------------------------------------------------

    async def _compare_files(self, session: AsyncSession) -> None:
        for path, content in self._files.items():
            result = await session.file_system.read_file(path)
            self._tally.judge("compare", result.error)
            if result.success:
                _same(f"{path} at the end", result.content, content)

    async def _delete(self, session: AsyncSession, *, sync: bool) -> bool:
        """Delete a session, for sure; tells whether its files were saved."""
        saved = sync
        with anyio.move_on_after(_DELETE_LIMIT, shield=True):
            while True:
                result = await session.delete(sync_context=saved)
                self._tally.judge("delete", result.error)
                if result.success:
                    return saved and result.sync_error is None
                saved = False
                await anyio.sleep(0.5)
        self._tally.complain(f"session {session.session_id} cannot be deleted")
        return False


_Call = Callable[[Worker, AsyncSession], Awaitable[None]]

# What is called, and how often.
_CALLS: list[tuple[tuple[_Call, str], float]] = [
    ((Worker._command, "command"), 50),
    ((Worker._file, "file"), 35),
    ((Worker._environment, "environment"), 8),
    ((Worker._transfer, "transfer"), 4),
    ((Worker._link, "link"), 2),
    ((Worker._code, "code"), 0.3),
]


def limiter() -> anyio.CapacityLimiter:
    """Made inside of the event loop, for all of its workers."""
    return anyio.CapacityLimiter(_INTERPRETERS)


def _same(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise WrongError(f"{what}: {found!r:.100} is not {wanted!r:.100}")
