"""What the groups of operations on a session do through it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from .._deferred import Deferred, hint
from .._live import Live
from .._loop_local import LoopLocal
from .._results.sessions import McpTool
from ..errors import ProtocolError, ToolError

if TYPE_CHECKING:
    from .. import _transport as transports
    from .._transport import Reply
    from ..protocol import _calls as calls
    from ..protocol import _wire as wire
    from ..protocol import sessions as actions
    from . import _routes as routes
    from . import _websocket as websocket
    from .client import AsyncAgentBay
else:
    actions = Deferred("agentbay.protocol.sessions")
    transports = Deferred("agentbay._transport")
    calls = Deferred("agentbay.protocol._calls")
    routes = Deferred("agentbay._async._routes")
    websocket = Deferred("agentbay._async._websocket")
    wire = Deferred("agentbay.protocol._wire")
    AsyncAgentBay = hint("agentbay._async.client", "AsyncAgentBay")

T = TypeVar("T")


class SessionCore(Live):
    """The state of a session, and the ways to its tools."""

    _bay: AsyncAgentBay
    _data: actions.SessionData
    _mcp_tools: list[McpTool]
    _image_id: str
    _enable_browser_replay: bool
    _file_transfer_context_id: str | None
    _file_transfer_path: str
    _connections: LoopLocal[websocket.Connection]

    async def _call(self, tool: calls.Tool[T], *, timeout: float | None = None) -> Reply[T]:
        """Call a tool and make its result.

        Raises:
            ToolError: The tool failed.
            ProtocolError: The tool's answer makes no sense.
        """
        reply = await self._send_tool(tool.tool, tool.arguments(), timeout=timeout)
        facts = {"request_id": reply.request_id, "action": actions.CallTool.action}
        try:
            return transports.Reply(tool.parse(reply.value), reply.request_id)
        except wire.WireError as exc:
            raise ProtocolError(f"{tool.tool}: unexpected answer: {exc}", **facts) from exc
        except ToolError as exc:
            exc.request_id, exc.action = reply.request_id, actions.CallTool.action
            raise

    def _send_tool(
        self,
        name: str,
        arguments: dict[str, Any],
        *,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        auto_gen_session: bool = False,
    ) -> Coroutine[Any, Any, Reply[calls.Content]]:
        return routes.send_tool(
            self._data,
            self._server_of(name),
            name,
            arguments,
            client=self._bay.client,
            timeout=timeout,
            connect_timeout=connect_timeout,
            auto_gen_session=auto_gen_session,
        )

    def _refused(self, tool: str, reply: Reply[calls.Content]) -> ToolError:
        """The error for the answer of a tool that failed, with all of its text."""
        number, _ = calls.split_failure(reply.value.text)
        code = "" if number is None else str(number)
        text = reply.value.text or calls.NO_REASON
        return ToolError(text, tool=tool, request_id=reply.request_id, code=code)

    async def _websocket(self) -> websocket.Connection:
        """The connection of the session on this event loop; opened when it is needed.

        Raises:
            SessionError: The session has none, or no credential may go there.
            ConfigError: The extra ``ws`` is not installed.
        """
        return await websocket.connection_of(self)

    async def _disconnect(self) -> None:
        """Close the WebSockets of the session, on all event loops."""
        await websocket.disconnect(self)

    def _server_of(self, tool: str) -> str:
        """The server behind a tool; empty when the tool is not known."""
        return next((known.server for known in self._mcp_tools if known.name == tool), "")

    def _adopt(
        self, data: actions.SessionData, *, image_id: str = "", replay: bool = False
    ) -> None:
        """Take over what the service told about the session."""
        self._data = attrs.evolve(data, session_id=data.session_id or self._data.session_id)
        self._image_id = image_id
        self._enable_browser_replay = replay
        self._mcp_tools = [McpTool(tool.name, server=tool.server) for tool in data.tool_list]
