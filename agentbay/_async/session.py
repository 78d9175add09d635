"""One session: its identity, its life, its links and its tools."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import attrs

from .._deferred import Deferred, hint
from .._loop_local import LoopLocal
from .._results.base import raising, reported
from .._results.sessions import (
    DeleteResult,
    LinkResult,
    McpTool,
    McpToolResult,
    McpToolsResult,
    OperationResult,
    SessionInfo,
)
from ..errors import SessionError
from ..protocol._checks import as_dict, check_labels, check_limits
from ._session_core import SessionCore

if TYPE_CHECKING:
    from .._results.lifecycle import (
        SessionMetricsResult,
        SessionPauseResult,
        SessionResumeResult,
        SessionStatusResult,
    )
    from .._transport import ApiClient
    from ..protocol import key_names
    from ..protocol import session_details as details
    from ..protocol import sessions as actions
    from . import _creating as creating
    from . import _websocket as websocket
    from . import lifecycle
    from .agent import AsyncAgent
    from .application import AsyncApplicationManager
    from .browser import AsyncBrowser
    from .client import AsyncAgentBay
    from .code import AsyncCode
    from .command import AsyncCommand
    from .computer import AsyncComputer
    from .context_manager import AsyncContextManager
    from .env import AsyncEnv
    from .file_system import AsyncFileSystem
    from .git import AsyncGit
    from .mobile import AsyncMobile
    from .oss import AsyncOss
    from .pty import AsyncPty
    from .ui import AsyncUI
    from .window import AsyncWindowManager
else:
    actions = Deferred("agentbay.protocol.sessions")
    details = Deferred("agentbay.protocol.session_details")
    websocket = Deferred("agentbay._async._websocket")
    key_names = Deferred("agentbay.protocol.key_names")
    lifecycle = Deferred("agentbay._async.lifecycle")
    creating = Deferred("agentbay._async._creating")
    SessionMetricsResult = hint("agentbay._results.lifecycle", "SessionMetricsResult")
    SessionPauseResult = hint("agentbay._results.lifecycle", "SessionPauseResult")
    SessionResumeResult = hint("agentbay._results.lifecycle", "SessionResumeResult")
    SessionStatusResult = hint("agentbay._results.lifecycle", "SessionStatusResult")
    ApiClient = hint("agentbay._transport", "ApiClient")
    AsyncAgentBay = hint("agentbay._async.client", "AsyncAgentBay")

# Where the first generation of the service has the context for transfers.
_FILE_TRANSFER_PATH = "/temp/file-transfer"


class AsyncSession(SessionCore):
    """A session of the account: a machine of its own, in the cloud or on the local engine.

    Sessions come from `AsyncAgentBay.create`, `AsyncAgentBay.session` and
    `AsyncAgentBay.get`. Methods that return a result tell a failure in it; only `info`, `get_link`
    and those about labels raise it, as a `SessionError`.

    Example:
        ```python
        async with bay.session() as session:
            result = await session.command.run("uname -a")
            print(result.output)
        ```
    """

    def __init__(self, agent_bay: AsyncAgentBay, session_id: str) -> None:
        self._bay = agent_bay
        self._data = actions.SessionData(session_id)
        self._mcp_tools: list[McpTool] = []
        self._image_id = ""
        self._enable_browser_replay = False
        self._record_context_id: str | None = None
        self._file_transfer_context_id: str | None = None
        self._file_transfer_path = _FILE_TRANSFER_PATH
        client = agent_bay.client
        self._connections = LoopLocal(lambda: websocket.Connection(client))

    def __repr__(self) -> str:
        return f"AsyncSession({self.session_id!r})"

    # -- what is known about it --------------------------------------------------------

    @property
    def agent_bay(self) -> AsyncAgentBay:
        """The client that the session came from."""
        return self._bay

    @property
    def session_id(self) -> str:
        """The identifier of the session."""
        return self._data.session_id

    @property
    def image_id(self) -> str:
        """The image that the session was made from; empty when it is not known."""
        return self._image_id or self._data.image_id

    @property
    def resource_url(self) -> str:
        """Where a web browser shows the session; holds a credential."""
        return self._data.resource_url

    @property
    def app_instance_id(self) -> str:
        """The identifier of the machine behind the session."""
        return self._data.app_instance_id

    @property
    def token(self) -> str:
        """The credential for calls that go straight to the session."""
        return self._data.token

    @property
    def link_url(self) -> str:
        """Where calls go that go straight to the session; empty when there is no such way."""
        return self._data.link_url

    @property
    def ws_url(self) -> str:
        """Where the session streams; empty when it does not."""
        return self._data.ws_url

    @property
    def is_vpc(self) -> bool:
        """Whether the session runs in a private network of the account."""
        return self._data.vpc_resource

    @property
    def network_interface_ip(self) -> str:
        """Address of the session in its private network; empty outside of one."""
        return self._data.network_interface_ip

    @property
    def http_port(self) -> str:
        """Port of the session in its private network; empty outside of one."""
        return self._data.http_port

    @property
    def vpc_ip(self) -> str:
        """Address of the session in a private network of the account; empty outside of one."""
        return self._data.vpc_ip

    @property
    def vpc_id(self) -> str:
        """The private network of the account that the session is in; empty outside of one."""
        return self._data.vpc_id

    @property
    def mcp_tools(self) -> list[McpTool]:
        """The tools of the session, as far as they were told or listed."""
        return self._mcp_tools

    mcpTools = mcp_tools  # noqa: N815 - the names that existing programs use

    @property
    def enableBrowserReplay(self) -> bool:  # noqa: N802 - the name that existing programs use
        """Whether the browser of the session is recorded."""
        return self._enable_browser_replay

    @enableBrowserReplay.setter
    def enableBrowserReplay(self, value: bool) -> None:  # noqa: N802
        self._enable_browser_replay = value

    @property
    def record_context_id(self) -> str | None:
        """The context that keeps the recording of the browser."""
        return self._record_context_id

    @property
    def file_transfer_context_id(self) -> str | None:
        """The context through which files are uploaded and downloaded."""
        return self._file_transfer_context_id

    def get_api_key(self) -> str:
        """The API key that the session is used with."""
        return self._bay.api_key

    def get_client(self) -> ApiClient:
        """The HTTP client that the session is used with."""
        return self._bay.client

    def get_agent_bay(self) -> AsyncAgentBay:
        """The client that the session came from."""
        return self._bay

    def get_session_id(self) -> str:
        """The identifier of the session."""
        return self.session_id

    def is_vpc_enabled(self) -> bool:
        """Whether the session runs in a private network of the account."""
        return self.is_vpc

    def get_network_interface_ip(self) -> str:
        """Address of the session in its private network; empty outside of one."""
        return self.network_interface_ip

    def get_http_port(self) -> str:
        """Port of the session in its private network; empty outside of one."""
        return self.http_port

    def get_token(self) -> str:
        """The credential for calls that go straight to the session."""
        return self.token

    def get_link_url(self) -> str:
        """Where calls go that go straight to the session; empty when there is no such way."""
        return self.link_url

    getToken = get_token  # noqa: N815
    getLinkUrl = get_link_url  # noqa: N815

    def find_server_for_tool(self, tool_name: str) -> str:
        """Name the server behind a tool; empty when the tool is not known.

        Sessions know their tools after `list_mcp_tools`, or when the service told them.
        """
        return self._server_of(tool_name)

    # -- what can be done with it ------------------------------------------------------

    @cached_property
    def command(self) -> AsyncCommand:
        """Run shell commands."""
        from .command import AsyncCommand

        return AsyncCommand(self)

    @cached_property
    def file_system(self) -> AsyncFileSystem:
        """Read and write files."""
        from .file_system import AsyncFileSystem

        return AsyncFileSystem(self)

    @property
    def fs(self) -> AsyncFileSystem:
        """Same as `file_system`."""
        return self.file_system

    @property
    def filesystem(self) -> AsyncFileSystem:
        """Same as `file_system`."""
        return self.file_system

    @property
    def files(self) -> AsyncFileSystem:
        """Same as `file_system`."""
        return self.file_system

    @cached_property
    def context(self) -> AsyncContextManager:
        """Keep contexts in step with the session."""
        from .context_manager import AsyncContextManager

        return AsyncContextManager(self)

    @cached_property
    def code(self) -> AsyncCode:
        """Run code, and keep what it computed."""
        from .code import AsyncCode

        return AsyncCode(self)

    @cached_property
    def oss(self) -> AsyncOss:
        """Move files between the session and object storage."""
        from .oss import AsyncOss

        return AsyncOss(self)

    @cached_property
    def browser(self) -> AsyncBrowser:
        """Start a browser in the session and connect to it."""
        from .browser import AsyncBrowser

        return AsyncBrowser(self)

    @cached_property
    def computer(self) -> AsyncComputer:
        """Use the desktop: mouse, keyboard, screen and windows."""
        from .computer import AsyncComputer

        return AsyncComputer(self)

    @cached_property
    def mobile(self) -> AsyncMobile:
        """Use the phone: screen, keys and apps."""
        from .mobile import AsyncMobile

        return AsyncMobile(self)

    @cached_property
    def application(self) -> AsyncApplicationManager:
        """Start and stop the applications of the desktop."""
        from .application import AsyncApplicationManager

        return AsyncApplicationManager(self)

    @cached_property
    def window(self) -> AsyncWindowManager:
        """Find and arrange the windows of the desktop."""
        from .window import AsyncWindowManager

        return AsyncWindowManager(self)

    @cached_property
    def ui(self) -> AsyncUI:
        """Find the elements of the screen, and use them."""
        from .ui import AsyncUI

        return AsyncUI(self)

    @cached_property
    def env(self) -> AsyncEnv:
        """Read and set the session's environment variables."""
        from .env import AsyncEnv

        return AsyncEnv(self)

    @cached_property
    def git(self) -> AsyncGit:
        """Use git repositories in the session."""
        from .git import AsyncGit

        return AsyncGit(self)

    @cached_property
    def pty(self) -> AsyncPty:
        """Open terminals."""
        from .pty import AsyncPty

        return AsyncPty(self)

    @cached_property
    def agent(self) -> AsyncAgent:
        """Give tasks to agents that the service runs in the session."""
        from .agent import AsyncAgent

        return AsyncAgent(self)

    async def delete(self, sync_context: bool = False) -> DeleteResult:
        """End the session and release what it holds.

        Deleting a session that is gone succeeds. A context that cannot be synced does not
        keep the session: it is deleted, and `sync_error` of the result says what was not
        saved.

        Args:
            sync_context: Upload the session's contexts first, and wait for that. The
                recording of a browser is uploaded without being asked for.

        Example:
            ```python
            result = await session.delete(sync_context=True)
            if result.sync_error:
                print("not saved:", result.sync_error)
            ```
        """
        return await lifecycle.end(self, sync_context)

    @raising(SessionError)
    async def set_labels(self, labels: Mapping[str, str]) -> OperationResult[None]:
        """Replace the labels of the session.

        Args:
            labels: Names and values; neither may be blank.

        Raises:
            SessionError: The labels cannot be used (nothing was sent), or the service
                refused.
        """
        wanted, client = check_labels(labels), self.get_client()
        if self._bay._owner:  # whose label stays
            reply = await client.send(details.GetLabels(self.session_id))
            wanted = {**wanted, **creating.own_labels(reply.value.labels)}
        done = await client.send(details.SetLabels(self.session_id, wanted))
        return OperationResult(done.request_id, True)

    @raising(SessionError)
    async def get_labels(self) -> OperationResult[dict[str, str]]:
        """Read the labels of the session.

        Raises:
            SessionError: The service refused.
        """
        reply = await self.get_client().send(details.GetLabels(self.session_id))
        return OperationResult(reply.request_id, True, creating.users_labels(reply.value.labels))

    @raising(SessionError)
    async def info(self) -> OperationResult[SessionInfo]:
        """Tell where the session can be reached.

        Raises:
            SessionError: The session is gone, or the service refused.

        Example:
            ```python
            info = (await session.info()).data
            print(info.resource_url)
            ```
        """
        reply = await self.get_client().send(details.GetResource(self.session_id))
        found = reply.value
        info = SessionInfo(found.session_id, found.resource_url, **attrs.asdict(found.desktop_info))
        return OperationResult(reply.request_id, True, info)

    @raising(SessionError)
    async def get_link(
        self,
        protocol_type: str | None = None,
        port: int | None = None,
        options: str | None = None,
    ) -> LinkResult:
        """Get an address under which the session can be reached from outside.

        Args:
            protocol_type: ``"https"`` or ``"wss"``; the service's choice by default.
            port: A port on which a server listens in the session, from 30100 to 30199. The
                session's own address by default.
            options: Further options, as JSON text.

        Returns:
            The address in `data`; it holds a credential.

        Raises:
            SessionError: The port is out of range or the options are not JSON (nothing was
                sent), or the service refused.

        Example:
            ```python
            await session.command.run("python3 -m http.server 30150 &")
            link = (await session.get_link(port=30150)).data
            ```
        """
        call = details.GetLink(self.session_id, protocol_type, port, options)
        reply = await self.get_client().send(call)
        return LinkResult(reply.request_id, True, reply.value.url)

    @reported(McpToolsResult)
    async def list_mcp_tools(self, image_id: str | None = None) -> McpToolsResult:
        """List the tools that `call_mcp_tool` can call.

        Args:
            image_id: The image whose tools to list; that of the session by default.
        """
        call = details.ListTools(image_id or self.image_id or actions.DEFAULT_IMAGE)
        reply = await self.get_client().send(call)
        tools = [McpTool(**attrs.asdict(tool, recurse=False)) for tool in reply.value]
        self._mcp_tools = tools
        return McpToolsResult(reply.request_id, True, tools)

    @reported(McpToolResult)
    async def call_mcp_tool(
        self,
        tool_name: str,
        args: Mapping[str, Any],
        read_timeout: float | None = None,
        connect_timeout: float | None = None,
        auto_gen_session: bool = False,
    ) -> McpToolResult:
        """Call a tool of the session by its name.

        Args:
            tool_name: Name of the tool, as `list_mcp_tools` gives it.
            args: Its arguments.
            read_timeout: Seconds to wait for the answer; the client's limit by default.
            connect_timeout: Seconds to wait for the connection, within the other limit; 5 by
                default where the call goes straight to the session.
            auto_gen_session: Let the service make a session when this one is gone.

        Returns:
            The tool's answer, as text, in `data`.

        Example:
            ```python
            result = await session.call_mcp_tool("shell", {"command": "ls", "timeout_ms": 1000})
            print(result.data)
            ```
        """
        limits = {"timeout": read_timeout, "connect_timeout": connect_timeout}
        check_limits(read_timeout=read_timeout, connect_timeout=connect_timeout)
        arguments = key_names.with_key_names(tool_name, as_dict("args", args))
        reply = await self._send_tool(
            tool_name, arguments, auto_gen_session=auto_gen_session, **limits
        )
        if reply.value.is_error:
            raise self._refused(tool_name, reply)
        content = reply.value
        return McpToolResult(reply.request_id, True, content.text, content=content.pieces)

    async def get_status(self) -> SessionStatusResult:
        """Tell the state of the session, such as ``RUNNING``; ``FINISH`` after it ended."""
        return await lifecycle.get_status(self)

    async def keep_alive(self) -> OperationResult[None]:
        """Begin the session's idle time anew, so that it is not released."""
        return await lifecycle.keep_alive(self)

    async def get_metrics(
        self, read_timeout: float | None = None, connect_timeout: float | None = None
    ) -> SessionMetricsResult:
        """Measure processor, memory, disk and network of the session.

        Args:
            read_timeout: Seconds to wait for the answer; the client's limit by default.
            connect_timeout: Seconds to wait for the connection.
        """
        return await lifecycle.get_metrics(self, read_timeout, connect_timeout)

    async def beta_pause(
        self, timeout: float = 600, poll_interval: float = 2.0
    ) -> SessionPauseResult:
        """Freeze the session, and wait until it is.

        Args:
            timeout: Seconds to wait.
            poll_interval: Longest time between two looks at the state, in seconds.

        Returns:
            The state in `status`. When the time was not enough, that which was seen last; the
            session may still be frozen later.
        """
        return await lifecycle.pause(self, timeout, poll_interval)

    async def beta_resume(
        self, timeout: float = 600, poll_interval: float = 2.0
    ) -> SessionResumeResult:
        """Let a paused session go on, and wait until it does.

        Args:
            timeout: Seconds to wait.
            poll_interval: Longest time between two looks at the state, in seconds.

        Returns:
            The state in `status`. When the time was not enough, that which was seen last; the
            session may still go on later.
        """
        return await lifecycle.resume(self, timeout, poll_interval)

    pause = beta_pause
    resume = beta_resume
