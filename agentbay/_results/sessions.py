"""The results of operations on sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar

import attrs

from .._value import Value
from ..errors import AgentBayError
from .base import ApiResponse

S = TypeVar("S")
T = TypeVar("T")


@attrs.frozen(eq=False, repr=False)
class OperationResult(ApiResponse, Generic[T]):
    """The result of an operation on a session; `data` is its payload."""

    data: T | None = None

    def unwrap(self) -> T:
        """Return `data`, or raise what went wrong."""
        self._check()
        return self.data  # type: ignore[return-value]  # a success has its payload


@attrs.frozen(eq=False, repr=False)
class LinkResult(OperationResult[str]):
    """The result of getting a link; its `data` is an address with a credential inside."""

    data: str | None = attrs.field(default=None, repr=False)


@attrs.frozen(eq=False, repr=False)
class DeleteResult(ApiResponse):
    """The result of deleting a session.

    Attributes:
        sync_error: Why contexts could not be synced before; the session was deleted
            nevertheless. None when they were, or when it was not asked for.
    """

    sync_error: AgentBayError | None = attrs.field(default=None, kw_only=True, eq=False)


@attrs.frozen(eq=False, repr=False)
class SessionResult(ApiResponse, Generic[S]):
    """The result of creating or finding a session."""

    session: S | None = None

    def unwrap(self) -> S:
        """Return the session, or raise what went wrong."""
        self._check()
        return self.session  # type: ignore[return-value]  # a success has its session

    def mapped(self, wrap: Callable[[S], T]) -> SessionResult[T]:
        """The same result, with another view of the session."""
        return SessionResult(
            self.request_id,
            self.success,
            None if self.session is None else wrap(self.session),
            error_message=self.error_message,
            code=self.code,
            error=self.error,
        )


class SessionId(str):
    """The identifier of a session in a list, with what the list tells about it.

    Attributes:
        status: State, such as ``RUNNING``; ``UNKNOWN`` when the service did not say.
        image_id: Image it was made from.
        app_instance_id: Identifier of its machine.
    """

    __slots__ = ("app_instance_id", "image_id", "status")

    status: str
    image_id: str
    app_instance_id: str

    def __new__(
        cls, session_id: str, status: str = "UNKNOWN", image_id: str = "", app_instance_id: str = ""
    ) -> Self:
        """Make one from the parts of an entry."""
        self = super().__new__(cls, session_id)
        self.status = status
        self.image_id = image_id
        self.app_instance_id = app_instance_id
        return self

    @property
    def session_id(self) -> str:
        """The identifier, as plain text."""
        return str(self)


@attrs.frozen(eq=False, repr=False)
class SessionListResult(ApiResponse):
    """One page of a list of sessions.

    Attributes:
        session_ids: The identifiers; each also tells the state and image of its session.
        next_token: Where the next page begins; empty on the last one.
        max_results: How many entries a page may have.
        total_count: How many sessions match in all.
    """

    session_ids: list[SessionId] = attrs.field(factory=list[SessionId])
    next_token: str = ""
    max_results: int = 0
    total_count: int = 0

    def unwrap(self) -> list[SessionId]:
        """Return the identifiers, or raise what went wrong."""
        self._check()
        return self.session_ids


@attrs.frozen(eq=False, repr=False)
class SessionInfo(Value):
    """Where a session can be reached, and how a desktop client connects to it."""

    session_id: str = ""
    resource_url: str = attrs.field(default="", repr=False)  # holds a credential
    app_id: str = ""
    auth_code: str = attrs.field(default="", repr=False)
    connection_properties: str = ""
    resource_id: str = ""
    resource_type: str = ""
    ticket: str = attrs.field(default="", repr=False)


@attrs.frozen(eq=False, repr=False)
class McpTool(Value):
    """A tool that sessions of an image offer.

    Attributes:
        name: Its name, for `call_mcp_tool`.
        description: What it does.
        input_schema: JSON schema of its arguments.
        server: The server behind it.
        tool: Its name on that server.
    """

    name: str = ""
    description: str = ""
    input_schema: dict[str, Any] = attrs.field(factory=dict[str, Any])
    server: str = ""
    tool: str = ""

    def get_name(self) -> str:
        """Its name."""
        return self.name

    def get_server(self) -> str:
        """The server behind it."""
        return self.server


@attrs.frozen(eq=False, repr=False)
class McpToolsResult(ApiResponse):
    """The tools of an image."""

    tools: list[McpTool] = attrs.field(factory=list[McpTool])

    def unwrap(self) -> list[McpTool]:
        """Return the tools, or raise what went wrong."""
        self._check()
        return self.tools


@attrs.frozen(eq=False, repr=False)
class McpToolResult(ApiResponse):
    """What a tool answered, as text."""

    data: str = ""

    def unwrap(self) -> str:
        """Return the text, or raise what went wrong."""
        self._check()
        return self.data
