"""The browser of one session: started as it is asked for, ended so that its files are whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.abc

from ...errors import InvalidInputError
from ...protocol.browser import BROWSER_DATA_PATH, FINGERPRINT_FILE
from ...protocol.contexts import PersistenceItem
from ...protocol.fingerprint import FingerprintFormat
from .._errors import EngineError, ToolFailure
from .._link_exchange import RefusedError
from .._operator.tasks import Tasks
from .._storage.transfers import below
from .._threads import in_thread
from ..links import LinkServer
from .cdp import Address, BrowserLost, Cdp
from .link import CdpLink
from .looks import Look, look_of
from .options import Proxy, Wanted
from .parts import default_page, extension_switches, forwarder
from .process import Chromium, command_line
from .program import required_chromium, version_of
from .recording import RECORD_PATH, Recording
from .targets import Targets

if TYPE_CHECKING:
    from ..engine import Engine
    from ..sandbox import Sandbox
    from ..session import LocalSession

# Seconds: for contexts on their way to the session, for pages to look as they should, and for a
# browser that is started or stopped by somebody else.
_SETTLE_LIMIT, _READY_LIMIT, _TURN_LIMIT = 100.0, 30.0, 100.0
_RECORD_LIMIT = 20.0

_AGAIN = "destroy() and then initialize() start it again"


class Browser:
    """The browser of one session, whether it runs or not. It belongs to the engine's loop.

    Attributes:
        link: What clients reach it through.
        tasks: What the operator does on its pages.
    """

    def __init__(self, engine: Engine, session: LocalSession) -> None:
        self.link: CdpLink = CdpLink(self._place, session.connect)
        self.tasks: Tasks = Tasks(engine.background, session.life.use)
        self._engine, self._session, self._sandbox = engine, session, session.sandbox
        self._changing = anyio.Lock()
        self._wanted: Wanted | None = None
        self._resting = False
        self._running: Chromium | None = None
        self._recording: Recording | None = None
        self._proxy: anyio.abc.AsyncResource | None = None
        self._token = ""

    async def address(self) -> Address:
        """Where it takes commands. One that was ended for a transfer of its files starts again.

        Raises:
            ToolFailure: It does not run; says why.
            EngineError: It does not start again.
        """
        async with self._turn():
            return await self._awake()

    async def _awake(self) -> Address:
        if self._resting and self._wanted is not None:
            await self._begin(self._wanted)
        if self._running is None:
            raise ToolFailure("there is no browser: initialize() starts one", number=-1)
        if self._running.ended.is_set():
            raise ToolFailure(f"{self._running.reason}: {_AGAIN}", number=-1)
        return self._running.address

    async def start(self, wanted: Wanted) -> int:
        """Start it, unless it runs already; the port on which it listens in the session.

        What contexts hold for it is waited for.

        Raises:
            EngineError: It cannot be started; says why.
        """
        with anyio.move_on_after(_SETTLE_LIMIT) as waiting:
            await self._session.transfers.settle()
        if waiting.cancelled_caught:
            reason = "contexts are still on their way to the session: try again later"
            raise EngineError("BrowserFailed", reason, status=503)
        async with self._turn():
            if self._resting or self._runs:
                return (await self._awake()).port
            await self._end()
            return (await self._begin(wanted)).address.port

    async def stop(self) -> None:
        """End it, once everything is in its files. It can be started again."""
        async with self._turn():
            self._resting = False
            await self._end()

    async def close(self, links: LinkServer | None) -> None:
        """Let nothing more reach it; the session is about to end."""
        self.tasks.cancel()
        self.link.hang_up()
        if links is not None:
            links.remove(self._token)
        if self._proxy is not None:
            await self._proxy.aclose()

    async def url(self) -> str:
        """The address for clients, with a token in it.

        Raises:
            EngineError: The browser does not run; says why.
        """
        async with self._turn():
            try:
                await self._awake()
            except ToolFailure as exc:
                code = "BrowserNotStarted" if self._running is None else "BrowserEnded"
                raise EngineError(code, str(exc), status=409) from exc
            if not self._token:
                links = await self._engine.links()
                self._token = links.add_service(self.link.serve)
                self.link.url = links.url(self._token, "ws")
            return self.link.url

    @asynccontextmanager
    async def at_rest(self, items: Sequence[PersistenceItem]) -> AsyncGenerator[None, None]:
        """Keep its files still during a block in which they are read or written.

        If it runs it is ended before, and starts again as it was when somebody wants it after
        that. Nothing happens to it when the files are others.
        """
        kept = [BROWSER_DATA_PATH, *([RECORD_PATH] if self._recording else [])]
        if not any(_overlap(item.path, path) for item in items for path in kept):
            yield
            return
        async with self._turn():
            self._resting = self._resting or self._runs
            await self._end()
            yield

    @property
    def _runs(self) -> bool:
        return self._running is not None and not self._running.ended.is_set()

    async def _begin(self, wanted: Wanted) -> Chromium:
        program = await in_thread(required_chromium, wanted.option.browser_type)
        version = await in_thread(version_of, program)
        look = look_of(wanted.option, version, await self._fingerprint(wanted))
        window = has_window(self._sandbox)
        switches = [*look.switches(window=window), *(wanted.option.cmd_args or ())]
        switches += await extension_switches(self._sandbox, program, wanted.option.extension_path)
        try:
            switches += await self._proxy_switches(wanted.proxy)
            browser = await Chromium.start(
                self._sandbox, command_line(program, switches, window=window)
            )
        except BaseException:  # cancelled too: nobody else closes it
            await self._close_proxy()
            raise
        self._engine.background(browser.watch)
        self._running, self._wanted, self._resting = browser, wanted, False
        try:
            await self._prepare(browser, look, wanted)
        except BaseException:  # cancelled too: a browser that is not as it should be is none
            with anyio.CancelScope(shield=True):
                browser.kill()
                await self._end()
            raise
        return browser

    async def _prepare(self, browser: Chromium, look: Look, wanted: Wanted) -> None:
        if look.overrides("page"):
            await self._dress(browser, look)
        if wanted.records:
            recording = self._recording = Recording(self._sandbox)
            self._engine.background(partial(self._accompany, browser, recording))
        if wanted.option.default_navigate_url is not None:
            await default_page(self._sandbox, browser.address, wanted.option.default_navigate_url)

    async def _dress(self, browser: Chromium, look: Look) -> None:
        begun = anyio.Event()
        found: list[Targets] = []

        async def keep() -> None:
            try:
                async with Cdp.open(self._sandbox, browser.address) as cdp:
                    found.append(Targets(cdp, look))
                    begun.set()
                    await found[0].keep()
            except BrowserLost:
                begun.set()

        self._engine.background(keep)
        failure = "its pages did not get ready in time"
        with anyio.move_on_after(_READY_LIMIT):
            await begun.wait()
            if found:
                await found[0].ready.wait()
                failure = found[0].failure
            else:
                failure = "it has ended at once"
        if failure:
            raise EngineError("BrowserFailed", f"the browser cannot be as asked: {failure}")

    async def _accompany(self, browser: Chromium, recording: Recording) -> None:
        try:
            async with Cdp.open(self._sandbox, browser.address) as cdp:
                await recording.keep(cdp)
        except BrowserLost:
            recording.ended.set()

    async def _fingerprint(self, wanted: Wanted) -> FingerprintFormat | None:
        """The fingerprint in all its details: the one that is given, or the one that is kept."""
        option = wanted.option
        if not option.fingerprint_persistent:
            return option.fingerprint_format
        if option.fingerprint_format is not None:
            content = option.fingerprint_format.to_json().encode()
            await self._sandbox.call("write_file", {"path": FINGERPRINT_FILE}, body=content)
            return option.fingerprint_format
        try:
            reply = await self._sandbox.call("read_file", {"path": FINGERPRINT_FILE})
            return FingerprintFormat.load(reply.body.decode(errors="replace"))
        except (ToolFailure, InvalidInputError) as exc:
            reason = f"there is no fingerprint that was kept ({exc}): give fingerprint_format once"
            raise EngineError("InvalidParameter", reason) from exc

    async def _proxy_switches(self, proxy: Proxy | None) -> list[str]:
        if proxy is None:
            return []
        if not (proxy.username or proxy.password):
            return [f"--proxy-server={proxy.address}"]
        self._proxy, address = await forwarder(self._sandbox, proxy)
        return [f"--proxy-server={address}"]

    async def _end(self) -> None:
        """End what runs, and wait until its files are whole."""
        browser, self._running = self._running, None
        recording, self._recording = self._recording, None
        self.link.hang_up()
        if browser is not None:
            await browser.close()
        if recording is not None:
            with anyio.move_on_after(_RECORD_LIMIT):
                await recording.ended.wait()
        await self._close_proxy()

    async def _close_proxy(self) -> None:
        proxy, self._proxy = self._proxy, None
        if proxy is not None:
            await proxy.aclose()

    async def _place(self) -> Address:
        try:
            with self._session.life.use():
                return await self.address()
        except (ToolFailure, EngineError) as exc:
            raise RefusedError(503, f"{exc}\n") from exc

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[None, None]:
        """Wait until nobody else starts or stops it."""
        with anyio.move_on_after(_TURN_LIMIT) as waiting:
            await self._changing.acquire()
        if waiting.cancelled_caught:
            raise EngineError("BrowserBusy", "the browser is being started or stopped", status=503)
        try:
            yield
        finally:
            self._changing.release()


def has_window(sandbox: Sandbox) -> bool:
    """Whether a browser shows a window: when there is a display already, where it can be seen."""
    return "DISPLAY" in sandbox.environment


def _overlap(one: str, other: str) -> bool:
    return below(one, other) is not None or below(other, one) is not None
