"""The actions on sessions, and the calls of their tools."""

from __future__ import annotations

import posixpath
import secrets
import string
from functools import partial
from typing import Any

from ..errors import InvalidInputError
from ..protocol import sessions as actions
from ..protocol._calls import TOOLS, Content, Tool, failure_text
from ..protocol._schema import description_of, schema_of
from ..protocol._wire import WireError
from ..protocol.contexts import PersistenceItem
from ..protocol.sessions import (
    DEFAULT_IMAGE,
    DesktopInfo,
    LabelData,
    LinkData,
    ResourceData,
    SessionData,
    SessionPage,
    SessionStatus,
    SessionSummary,
    StatusData,
    ToolReply,
    ToolSchema,
    ToolServer,
)
from ._dispatch import TOOL_HANDLERS, handles, why_not
from ._errors import EngineError, ToolFailure
from ._threads import in_thread
from .engine import Engine
from .session import LocalSession, check_policy

_IMAGES = (DEFAULT_IMAGE,)
_PAGE_LIMIT = 100


@handles(actions.CreateSession)
async def create(engine: Engine, call: actions.CreateSession) -> SessionData:
    _check(call)
    contexts = call.persistence_data_list or []
    await in_thread(_check_contexts, engine, contexts)
    session_id = f"session-{_letters(17)}"
    sandbox = await engine.start_sandbox(session_id)
    session = LocalSession(
        session_id, sandbox, call.image_id or DEFAULT_IMAGE, dict(call.labels or {}), contexts
    )
    engine.sessions[session_id] = session
    incoming = [item for item in contexts if _downloads(item)]
    session.expect(incoming, "download")
    engine.background(partial(session.transfer, engine.store, incoming, "download"))
    return await _data(engine, session)


@handles(actions.GetSession)
async def get(engine: Engine, call: actions.GetSession) -> SessionData:
    return await _data(engine, engine.session(call.session_id))


@handles(actions.GetSessionDetail)
async def get_detail(engine: Engine, call: actions.GetSessionDetail) -> StatusData:
    session = engine.session(call.session_id)
    return StatusData(SessionStatus.RUNNING, session.image_id, session.session_id)


@handles(actions.ListSessions)
async def list_sessions(engine: Engine, call: actions.ListSessions) -> SessionPage:
    """Sessions in the order of their creation; the token is the last one of a page."""
    found = [session for session in engine.sessions.values() if _matches(session, call)]
    ids = [session.session_id for session in found]
    start = ids.index(call.next_token) + 1 if call.next_token in ids else 0
    size = min(call.max_results or 10, _PAGE_LIMIT)
    page = found[start : start + size]
    more = start + size < len(found)
    return SessionPage(
        [
            SessionSummary(s.session_id, SessionStatus.RUNNING, s.session_id, s.image_id)
            for s in page
        ],
        page[-1].session_id if more else "",
        size,
        len(found),
    )


@handles(actions.ReleaseSession)
async def release(engine: Engine, call: actions.ReleaseSession) -> None:
    await engine.end(call.session_id)


@handles(actions.DeleteSession)
async def delete(engine: Engine, call: actions.DeleteSession) -> None:
    await engine.end(call.session_id)


@handles(actions.SetLabels)
async def set_labels(engine: Engine, call: actions.SetLabels) -> None:
    engine.session(call.session_id).labels = dict(call.labels)


@handles(actions.GetLabels)
async def get_labels(engine: Engine, call: actions.GetLabels) -> LabelData:
    return LabelData(engine.session(call.session_id).labels)


@handles(actions.GetResource)
async def get_resource(engine: Engine, call: actions.GetResource) -> ResourceData:
    session = engine.session(call.session_id)
    info = DesktopInfo(resource_id=session.session_id, resource_type="Desktop")
    return ResourceData(session.session_id, await _url(engine, session, None), info)


@handles(actions.GetLink)
async def get_link(engine: Engine, call: actions.GetLink) -> LinkData:
    session = engine.session(call.session_id)
    if call.protocol_type not in (None, "", "https", "wss"):
        raise EngineError(
            "InvalidParameter", f"{call.protocol_type} is not supported: use https or wss"
        )
    if call.protocol_type and call.port is None:
        raise EngineError("InvalidParameter", "port is not valid: a protocol needs a port")
    return LinkData(await _url(engine, session, call.port, call.protocol_type == "wss"))


@handles(actions.ListTools)
async def list_tools(engine: Engine, call: actions.ListTools) -> list[ToolSchema]:
    _check_image(call.image_id)
    return [
        ToolSchema(kind.tool, description_of(kind), schema_of(kind), kind.server, kind.tool)
        for kind in TOOL_HANDLERS
    ]


@handles(actions.CallTool)
async def call_tool(engine: Engine, call: actions.CallTool) -> ToolReply:
    session = engine.session(call.session_id)
    session.used = True
    content = await _answer(session, call)
    return ToolReply([{"type": "text", "text": content.text}], content.is_error)


async def _answer(session: LocalSession, call: actions.CallTool) -> Content:
    kind = TOOLS.get(call.name)
    if kind is None:
        return _failed(f"there is no tool {call.name!r}", -32601)
    handler = TOOL_HANDLERS.get(kind)
    if handler is None:
        return _failed(f"the local engine does not have {call.name}: {why_not(kind)}", -32601)
    try:
        tool: Tool[Any] = kind.from_arguments(call.args)
        return tool.write(await handler(session.sandbox, tool))
    except (WireError, InvalidInputError) as exc:
        return _failed(f"bad arguments for {call.name}: {exc}", -32602)
    except ToolFailure as exc:
        return _failed(str(exc), exc.number)


def _failed(message: str, number: int) -> Content:
    return Content(failure_text(message, number), is_error=True)


async def _data(engine: Engine, session: LocalSession) -> SessionData:
    return SessionData(
        session_id=session.session_id,
        app_instance_id=session.session_id,
        resource_id=session.session_id,
        resource_url=await _url(engine, session, None),
        status=SessionStatus.RUNNING,
        image_id=session.image_id,
        tool_list=[ToolServer(kind.tool, kind.server) for kind in TOOL_HANDLERS],
    )


async def _url(
    engine: Engine, session: LocalSession, port: int | None, websocket: bool = False
) -> str:
    links = await engine.links()
    return links.url(await session.link(port, links), "ws" if websocket else "http")


def _matches(session: LocalSession, call: actions.ListSessions) -> bool:
    return (
        call.status in (None, SessionStatus.RUNNING)
        and call.image_id in (None, "", session.image_id)
        and (call.labels or {}).items() <= session.labels.items()
    )


def _check(call: actions.CreateSession) -> None:
    """Refuse what this engine would not do, rather than leave it out silently."""
    _check_image(call.image_id)
    asked = {
        "a private network (VpcResource)": call.vpc_resource,
        "policies (McpPolicyId)": call.mcp_policy_id,
        "mobile settings (ExtraConfigs)": call.extra_configs,
        "networks (NetworkId)": call.network_id,
        "browser recording (EnableRecord)": call.enable_record,
        "time limits of sessions (Timeout, MaxRuntime)": call.timeout or call.max_runtime,
        "skills (LoadSkill)": call.load_skill,
    }
    refused = [what for what, value in asked.items() if value]
    if refused:
        raise EngineError("Unsupported", f"the local engine does not have {', '.join(refused)}")


def _check_image(image_id: str | None) -> None:
    if image_id and image_id not in _IMAGES:
        raise EngineError(
            "InvalidImage", f"the local engine has {', '.join(_IMAGES)}, and not {image_id}"
        )


def _check_contexts(engine: Engine, items: list[PersistenceItem]) -> None:
    paths = [posixpath.normpath(item.path) for item in items]
    for item, path in zip(items, paths, strict=True):
        if not path.startswith("/") or path == "/":
            raise EngineError(
                "InvalidParameter", f"a context needs an absolute path, not {item.path!r}"
            )
        others = [other for other in paths if other is not path]
        if any(path == other or other.startswith(f"{path}/") for other in others):
            raise EngineError("PathAlreadyBound", f"two contexts share the path {path}")
        if item.type or item.mount_config:
            raise EngineError("Unsupported", "the local engine does not have mounts of contexts")
        check_policy(item.policy)
        if engine.store.get_context(id=item.context_id) is None:
            raise EngineError("Context.NotFound", f"there is no context {item.context_id}")


def _downloads(item: PersistenceItem) -> bool:
    return item.policy is None or item.policy.download_policy.auto_download


def _letters(count: int) -> str:
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(count))
