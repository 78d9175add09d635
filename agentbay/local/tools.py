"""The tools of sessions: what there is, and the calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ..errors import InvalidInputError
from ..protocol import session_details as details
from ..protocol import sessions as actions
from ..protocol._calls import TOOLS, Content, Tool, failure_text
from ..protocol._schema import description_of, schema_of
from ..protocol._wire import WireError
from ..protocol.command import Shell
from ..protocol.session_details import ToolSchema
from ..protocol.sessions import ToolReply
from . import _index, images
from ._dispatch import PHONE_HANDLERS, TOOL_HANDLERS, handles, load, named, why_not
from ._errors import ToolFailure
from .engine import Engine
from .sandbox import Sandbox
from .session import LocalSession

_NO_TOOL, _BAD_ARGUMENTS = -32601, -32602


@handles(details.ListTools)
async def list_tools(engine: Engine, call: details.ListTools) -> list[ToolSchema]:
    await load("app")  # which has all of them
    kinds = [TOOLS[name] for name in images.tools_of(images.check_image(call.image_id))]
    return [
        ToolSchema(kind.tool, description_of(kind), schema_of(kind), kind.server, kind.tool)
        for kind in kinds
    ]


@handles(actions.CallTool)
async def call_tool(engine: Engine, call: actions.CallTool) -> ToolReply:
    content = await answer(engine.session(call.session_id), call.name, call.args)
    return ToolReply([{"type": "text", "text": content.text}], content.is_error)


async def answer(session: LocalSession, name: str, arguments: dict[str, Any]) -> Content:
    """Call a tool of a session; what it says, also when it says no.

    Raises:
        EngineError: The session does not run.
    """
    with session.life.use():
        if name in _index.TOOLS:
            await load(_index.TOOLS[name].module)
        kind = named(TOOLS, name)
        if kind is None:
            return _failed(f"there is no tool {name!r}", _NO_TOOL)
        if not images.has_tool(session.image_id, kind):
            return _failed(_not_in_image(session.image_id, kind), _NO_TOOL)
        if _handler(session, kind) is None:
            reason = f"the local engine does not have {name}: {why_not(kind)}"
            return _failed(reason, _NO_TOOL)
        try:
            return await _carry_out(session, kind.from_arguments(arguments))
        except (WireError, InvalidInputError) as exc:
            return _failed(f"bad arguments for {name}: {exc}", _BAD_ARGUMENTS)
        except ToolFailure as exc:
            return _failed(str(exc), exc.number)


async def _carry_out(session: LocalSession, tool: Tool[Any]) -> Content:
    handler = _handler(session, type(tool))
    assert handler is not None
    value = await handler(session.sandbox, tool)
    if session.plain_shell and isinstance(tool, Shell):
        return tool.write_plain(value)
    return tool.write(value)


def _handler(
    session: LocalSession, kind: type[Tool[Any]]
) -> Callable[[Sandbox, Any], Awaitable[Any]] | None:
    if session.sandbox.phone is not None and kind in PHONE_HANDLERS:
        return PHONE_HANDLERS[kind]
    return TOOL_HANDLERS.get(kind)


def _not_in_image(image_id: str, kind: type[Tool[Any]]) -> str:
    others = images.images_with(kind)
    if not others:
        return f"the local engine does not have {kind.tool}: {why_not(kind)}"
    return (
        f"image {image_id} does not have {kind.tool}: create a session with {' or '.join(others)}"
    )


def _failed(message: str, number: int) -> Content:
    return Content(failure_text(message, number), is_error=True)
