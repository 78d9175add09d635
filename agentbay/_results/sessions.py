"""The results of operations on sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Self, SupportsIndex, TypeVar, cast, overload

import attrs

from .._value import Value
from ..errors import AgentBayError
from .base import ApiResponse

if TYPE_CHECKING:
    from ..protocol.session_details import SessionPage, SessionSummary

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
        session = None if self.session is None else wrap(self.session)
        return attrs.evolve(cast("SessionResult[T]", self), session=session)


# What programs of the current generation call the parts of an entry, and where they are here.
_KEYS = {
    "sessionId": "session_id",
    "sessionStatus": "status",
    "appInstanceId": "app_instance_id",
    "imageId": "image_id",
}


class SessionId(str):
    """The identifier of a session in a list, with what the list tells about it.

    It is text, as in the first generation of the service's clients, and answers as a mapping
    does, as in the current one: ``entry["sessionStatus"]`` is ``entry.status``.

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

    @classmethod
    def of(cls, entry: SessionSummary) -> Self:
        """Make one from an entry of the service's list."""
        return cls(entry.session_id, entry.session_status, entry.image_id, entry.app_instance_id)

    @property
    def session_id(self) -> str:
        """The identifier, as plain text."""
        return str(self)

    @overload
    def get(self, key: str) -> str | None: ...
    @overload
    def get(self, key: str, default: T) -> str | T: ...
    def get(self, key: str, default: object = None) -> object:
        """The part of that name, such as ``sessionStatus``; `default` when there is none."""
        return self[key] if key in _KEYS else default

    def keys(self) -> list[str]:
        """The names of the parts."""
        return list(_KEYS)

    def __contains__(self, key: object) -> bool:
        return key in _KEYS or (isinstance(key, str) and super().__contains__(key))

    def __getitem__(self, key: SupportsIndex | slice | str) -> str:
        if not isinstance(key, str):
            return super().__getitem__(key)
        return str(getattr(self, _KEYS[key]))


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

    @classmethod
    def of(cls, request_id: str, page: SessionPage, size: int) -> Self:
        """Make one from a page of the service's list, which was asked for `size` entries."""
        return cls(
            request_id,
            True,
            session_ids=[SessionId.of(entry) for entry in page.sessions],
            next_token=page.next_token,
            max_results=page.max_results or size,
            total_count=page.total_count,
        )

    def unwrap(self) -> list[SessionId]:
        """Return the identifiers, or raise what went wrong."""
        self._check()
        return self.session_ids


@attrs.frozen(eq=False, repr=False)
class SessionInfo(Value):
    """Where a session can be reached, and how a desktop client connects to it.

    Attributes:
        session_id: Identifier of the session.
        resource_url: Where a web browser shows it; holds a credential.
        app_id: Identifier of the application that is streamed.
        auth_code: Credential for a desktop client.
        connection_properties: How a desktop client connects, as the service writes it.
        resource_id: Identifier of the machine.
        resource_type: Kind of the machine, as the service names it.
        ticket: Another credential for a desktop client.
    """

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
    """What a tool answered, as text.

    Attributes:
        data: The text of its first piece.
        content: All pieces as they came: mappings with a ``type`` and, say, a ``text``.
    """

    data: str = ""
    content: list[Any] = attrs.field(factory=list[Any], kw_only=True, repr=False)

    def unwrap(self) -> str:
        """Return the text, or raise what went wrong."""
        self._check()
        return self.data
