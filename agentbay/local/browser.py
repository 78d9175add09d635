"""The browser of a session: start it, tell where it is, and stop it."""

from __future__ import annotations

from functools import partial

from ..protocol import browser as actions
from ..protocol.browser import BrowserPort
from ..protocol.contexts import PersistenceItem
from ..protocol.session_details import LinkData
from ..protocol.sync_policy import DownloadPolicy, ExtractPolicy, SyncPolicy
from . import images
from ._dispatch import handles, handles_tool
from ._errors import EngineError, ToolFailure
from ._storage.transfers import below
from ._threads import in_thread
from .engine import Engine
from .sandbox import Sandbox
from .session import LocalSession


@handles(actions.InitBrowser)
async def init_browser(engine: Engine, call: actions.InitBrowser) -> BrowserPort:
    session = engine.session(call.session_id)
    with session.life.use():
        _check_session(session)
        if call.persistent_path != actions.BROWSER_DATA_PATH:
            reason = f"the profile of a browser is at {actions.BROWSER_DATA_PATH}"
            raise EngineError("Unsupported", f"{reason}, not {call.persistent_path!r:.200}")
        # Here because most engines start no browser, and have no time for more imports.
        from ._chromium.browser import Browser
        from ._chromium.options import check_option

        wanted = check_option(call.browser_option)
        if wanted.records:
            await _keep_recordings(engine, session)
        if session.sandbox.browser is None:
            session.sandbox.browser = Browser(engine, session)
        try:
            return BrowserPort(await session.sandbox.browser.start(wanted))
        except ToolFailure as exc:
            raise EngineError("BrowserFailed", f"the browser does not start: {exc}") from exc


@handles(actions.GetCdpLink)
async def get_cdp_link(engine: Engine, call: actions.GetCdpLink) -> LinkData:
    return await cdp_link(engine, engine.session(call.session_id))


@handles_tool(actions.StopChrome)
async def stop_chrome(sandbox: Sandbox, _: actions.StopChrome) -> None:
    if sandbox.browser is not None:
        await sandbox.browser.stop()


async def cdp_link(engine: Engine, session: LocalSession) -> LinkData:
    """Where the browser of a session takes DevTools commands.

    Raises:
        EngineError: It does not run; says why.
    """
    session.life.check()
    _check_session(session)
    if session.sandbox.browser is None:
        reason = "there is no browser: initialize() starts one"
        raise EngineError("BrowserNotStarted", reason, status=409)
    return LinkData(await session.sandbox.browser.url())


def _check_session(session: LocalSession) -> None:
    if not images.has_tool(session.image_id, actions.StopChrome):
        fitting = " or ".join(images.images_with(actions.StopChrome))
        reason = f"image {session.image_id} has no browser: create a session with {fitting}"
        raise EngineError("Unsupported", reason)
    if session.in_vpc:
        reason = "a browser in a private network is reached without any token, which is not safe"
        raise EngineError("Unsupported", f"{reason} here: create a session without is_vpc")


async def _keep_recordings(engine: Engine, session: LocalSession) -> None:
    """Let recordings go into a context when the session ends, unless one is there for them."""
    from ._chromium.recording import RECORD_PATH

    places = [item.path for item in session.contexts]
    if any(below(RECORD_PATH, place) is not None for place in places):
        return
    name = f"browserreplay-{session.session_id}"
    row = await in_thread(partial(engine.store.create_context, name))
    if any(item.context_id == row.id for item in session.contexts):
        return
    policy = SyncPolicy(
        download_policy=DownloadPolicy(auto_download=False),
        extract_policy=ExtractPolicy(extract=False),
    )
    session.transfers.bind([PersistenceItem(row.id, RECORD_PATH, policy)])
