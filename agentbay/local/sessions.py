"""The actions on sessions: create, find and list them, their labels and their links.

What only some sessions have is imported when one of them comes.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import h11

from ..protocol import session_details as details
from ..protocol import sessions as actions
from ..protocol.session_details import (
    DesktopInfo,
    LabelData,
    LinkData,
    ResourceData,
    SessionPage,
    SessionSummary,
)
from ..protocol.sessions import SdkStats, SessionData, ToolServer
from . import direct, images
from ._dispatch import handles, load
from ._errors import EngineError
from ._life import Life, Lifetime
from ._link_exchange import Client
from ._storage.policies import check_bindings
from ._threads import in_thread
from .engine import Engine
from .links import LinkServer
from .sandbox import Sandbox
from .session import LocalSession

if TYPE_CHECKING:
    from .live_view import LiveView

_PAGE, _LARGEST_PAGE = 10, 100

# Clients before this version take the text that `shell` answers for what the command printed.
_FIRST_WRAPPED = (0, 13)


@handles(actions.CreateSession)
async def create(engine: Engine, call: actions.CreateSession) -> SessionData:
    image_id = images.check_image(call.image_id)
    _check(call, image_id)
    lifetime = Lifetime.asked(call.timeout, call.max_runtime, call.manual_release)
    contexts = call.persistence_data_list or []
    await in_thread(check_bindings, engine.store, contexts)
    copies = await _skills(engine, call)
    sandbox = await engine.start_sandbox(copies=copies)
    if images.is_mobile(image_id):
        image_id = await _give_phone(sandbox, image_id)
    session_id = sandbox.session_id
    session = LocalSession(
        session_id,
        sandbox,
        image_id,
        dict(call.labels or {}),
        contexts,
        Life(sandbox, lifetime),
        plain_shell=_is_contract_client(call),
        in_vpc=bool(call.vpc_resource),
    )
    engine.sessions[session_id] = session
    if session.life.limited:
        engine.background(partial(engine.expire, session))
    incoming = session.transfers.arrive(contexts)
    engine.background(partial(session.transfer, engine.store, incoming, "download"))
    return await _data(engine, session)


@handles(actions.GetSession)
async def get(engine: Engine, call: actions.GetSession) -> SessionData:
    return await _data(engine, engine.session(call.session_id))


@handles(details.ListSessions)
async def list_sessions(engine: Engine, call: details.ListSessions) -> SessionPage:
    """Sessions in the order of their creation; the token is the number of a page's last one."""
    size = _PAGE if call.max_results is None else call.max_results
    token = call.next_token or "0"
    if size < 1 or not (token.isascii() and token.isdigit()):
        raise EngineError("InvalidParameter", "MaxResults or NextToken is not valid")
    found = [session for session in engine.sessions.values() if _matches(session, call)]
    rest = [session for session in found if session.number > int(token)]
    size = min(size, _LARGEST_PAGE)
    page = rest[:size]
    return SessionPage(
        [SessionSummary(s.session_id, s.life.status, s.session_id, s.image_id) for s in page],
        str(page[-1].number) if len(rest) > size else "",
        size,
        len(found),
    )


@handles(details.SetLabels)
async def set_labels(engine: Engine, call: details.SetLabels) -> None:
    engine.session(call.session_id).labels = dict(call.labels)


@handles(details.GetLabels)
async def get_labels(engine: Engine, call: details.GetLabels) -> LabelData:
    return LabelData(engine.session(call.session_id).labels)


@handles(details.GetResource)
async def get_resource(engine: Engine, call: details.GetResource) -> ResourceData:
    session = engine.session(call.session_id)
    info = DesktopInfo(resource_id=session.session_id, resource_type="Desktop")
    return ResourceData(session.session_id, await _url(engine, session, None), info)


@handles(details.GetLink)
async def get_link(engine: Engine, call: details.GetLink) -> LinkData:
    session = engine.session(call.session_id)
    if call.protocol_type == "adb":
        await load("mobile")
        from .mobile import adb_link

        return adb_link(session.sandbox)
    if call.protocol_type not in (None, "", "https", "wss"):
        raise EngineError(
            "InvalidParameter", f"{call.protocol_type} is not supported: use https or wss"
        )
    if call.protocol_type and call.port is None:
        raise EngineError("InvalidParameter", "port is not valid: a protocol needs a port")
    if call.port is None and images.has_browser(session.image_id):
        await load("browser")
        from .browser import cdp_link

        return await cdp_link(engine, session)
    # Without a browser, the address of the session is where it can be looked at.
    return LinkData(await _url(engine, session, call.port, call.protocol_type == "wss"))


async def _give_phone(sandbox: Sandbox, image_id: str) -> str:
    """Give a session its device; the image that it has then."""
    try:
        await load("mobile")
        from ._phone import phones

        phone = await phones.take(sandbox, scripted=image_id == images.SCRIPTED)
        return images.SCRIPTED if phone.scripted else images.MOBILE
    except BaseException:  # cancelled too: nobody else ends the processes
        await sandbox.close()
        raise


async def _data(engine: Engine, session: LocalSession) -> SessionData:
    ways = await direct.ways(engine, session)
    return SessionData(
        session_id=session.session_id,
        app_instance_id=session.session_id,
        resource_id=session.session_id,
        resource_url=await _url(engine, session, None),
        status=session.life.status,
        image_id=session.image_id,
        tool_list=[
            ToolServer(tool, server) for tool, server in images.tools_of(session.image_id).items()
        ],
        token=session.token,
        link_url=ways.link_url,
        ws_url=ways.ws_url,
        vpc_resource=session.in_vpc,
        network_interface_ip=ways.vpc_ip,
        http_port=ways.vpc_port,
    )


async def _url(
    engine: Engine, session: LocalSession, port: int | None, websocket: bool = False
) -> str:
    links = await engine.links()
    token = _view(session, links) if port is None else await session.link(port, links)
    return links.url(token, "ws" if websocket else "http")


def _view(session: LocalSession, links: LinkServer) -> str:
    """The token of a session's live view."""
    views: list[LiveView] = []

    async def serve(client: Client, request: h11.Request, target: bytes) -> None:
        await load("live_view")
        from .live_view import LiveView

        if not views:
            views.append(LiveView(session))
        await views[0].serve(client, request, target)

    if None not in session.links:
        session.links[None] = links.add_service(serve)
    return session.links[None]


def _matches(session: LocalSession, call: details.ListSessions) -> bool:
    return (
        call.status in (None, session.life.status)
        and call.image_id in (None, "", session.image_id)
        and (call.labels or {}).items() <= session.labels.items()
    )


def _check(call: actions.CreateSession, image_id: str) -> None:
    """Refuse what this engine would not do, rather than leave it out silently."""
    asked = {
        "McpPolicyId: policies belong to an account": call.mcp_policy_id,
        # Clients make these settings by themselves, once the session is there.
        "ExtraConfigs: there is no Android device to set up": (
            call.extra_configs and not images.is_mobile(image_id)
        ),
        "NetworkId: each session has a network of its own, which others cannot join": (
            call.network_id
        ),
        "EnableRecord: there is no browser in that image": (
            call.enable_record and not images.has_browser(image_id)
        ),
    }
    refused = [what for what, value in asked.items() if value]
    if refused:
        raise EngineError(
            "Unsupported",
            f"the local engine cannot do what was asked ({'; '.join(refused)}):"
            " leave it out, or create the session in the cloud",
        )


async def _skills(engine: Engine, call: actions.CreateSession) -> dict[str, Path]:
    if not call.load_skill:
        return {}
    await load("skills")
    from . import skills

    return await in_thread(skills.copies, skills.directory_of(engine), call.skills)


def _is_contract_client(call: actions.CreateSession) -> bool:
    """Whether the vendor's client of the contract generation asks.

    It alone says at every create that it wants no private network.
    """
    version = (call.sdk_stats or SdkStats()).sdk_version
    match = re.match(r"(\d{1,9})\.(\d{1,9})", version)
    if match is None or call.vpc_resource is None:
        return False
    return (int(match[1]), int(match[2])) < _FIRST_WRAPPED
