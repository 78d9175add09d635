"""The ways to a tool of a session, and which of them a call takes."""

from __future__ import annotations

import ipaddress
import logging
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs

from .._deferred import Deferred
from .._masking import masked
from .._transport import Answer, ApiClient, Reply
from ..errors import (
    AgentBayError,
    InvalidInputError,
    ProtocolError,
    ToolError,
    TransportError,
    api_error,
)
from ..protocol._calls import Content
from ..protocol._repeatable import is_repeatable
from ..protocol._wire import WireError, named, to_json
from ..protocol.sessions import CallTool, SessionData, ToolReply

if TYPE_CHECKING:
    from ..protocol import direct
else:
    direct = Deferred("agentbay.protocol.direct")  # most sessions have no way of their own

_log = logging.getLogger(__name__)

# Seconds to connect to a session itself. There is another way, and a firewall may say nothing.
_CONNECT_LIMIT = 5.0

# Arguments of a GET are in its URL, of which servers take 8 KB; the encoding triples some texts.
_VPC_LIMIT = 2_000

# Bytes of arguments that the control plane passes on; a message of it holds some 63 KB.
_CONTROL_LIMIT = 60_000


async def send_tool(
    data: SessionData,
    server: str,
    name: str,
    arguments: dict[str, Any],
    *,
    client: ApiClient,
    timeout: float | None = None,
    connect_timeout: float | None = None,
    auto_gen_session: bool = False,
) -> Reply[Content]:
    """Call a tool over the best way that there is.

    That is the link of the session, or its address in a private network, when the service
    told it together with a credential and the tool's server is known; else the control
    plane. A call that could not connect goes to the control plane instead. One that may have
    reached the session does not, because it must not happen twice.

    Args:
        data: What the service told about the session.
        server: The server behind the tool; empty when it is not known.
        name: Name of the tool.
        arguments: Its arguments.
        client: Sends the requests.
        timeout: Seconds until the whole call is given up; the client's by default.
        connect_timeout: Seconds to connect.
        auto_gen_session: Let the control plane make a session when this one is gone.

    Raises:
        InvalidInputError: The arguments are not JSON.
        APIError: The service or the session refused.
        TransportError: No answer came back.
        ProtocolError: The answer makes no sense.
    """
    call, way = _written(data, server, name, arguments, auto_gen_session, client)
    sending = _Sending(client, data, call, way, connect_timeout)
    with client.traced(call.action, name, data.session_id) as trace:
        reply = await client.repeat(sending.once, trace, timeout, harmless=is_repeatable(call))
        trace.request_id = reply.request_id
        trace.error = ToolError.__name__ if reply.value.is_error else ""
        return reply


def uses_link(data: SessionData, server: str, *, client: ApiClient) -> bool:
    """Whether a call goes over the link, which has no limit on the size of a message."""
    return bool(
        data.link_url
        and data.token
        and server
        and is_safe(data.link_url)
        and client.can_reach(data.link_url)
    )


class _Sending:
    """A call on its way, in one attempt or more. A closure would take twice the memory.

    Attributes:
        way: How it goes to the session; None when it goes to the control plane.
    """

    __slots__ = ("call", "client", "connect_timeout", "data", "way")

    def __init__(
        self,
        client: ApiClient,
        data: SessionData,
        call: CallTool,
        way: _Direct | None,
        connect_timeout: float | None,
    ) -> None:
        self.client, self.data, self.call = client, data, call
        self.way, self.connect_timeout = way, connect_timeout

    async def once(self, left: float) -> Reply[Content]:
        """Make an attempt, within some seconds."""
        started = time.monotonic()
        if self.way is not None:
            try:
                return await self._straight(self.way, left)
            except TransportError as exc:
                left -= time.monotonic() - started
                if exc.sent or left <= 0 or _size(self.call.args) > _CONTROL_LIMIT:
                    raise
            _log.debug("%s goes to the control plane: no connection to the session", self.call.name)
            self.way = None
        reply = await self.client.attempt(
            self.call, timeout=left, connect_timeout=self.connect_timeout
        )
        return _first(self.call, reply)

    async def _straight(self, way: _Direct, left: float) -> Reply[Content]:
        token = self.data.token
        if not (token.isascii() and token.isprintable()):
            raise ProtocolError("the service gave the session a credential that cannot be sent")
        try:
            answer = await self.client.fetch(
                way.method,
                way.url,
                action=direct.ACTION,
                params=way.params,
                text=way.text,
                headers=way.headers,
                timeout=left,
                connect_timeout=min(self.connect_timeout or _CONNECT_LIMIT, left),
            )
        except TransportError as exc:
            exc.request_id = way.request_id
            raise
        return Reply(_content(answer, way, self.data), way.request_id)


def _first(call: CallTool, reply: Reply[ToolReply]) -> Reply[Content]:
    try:
        return Reply(reply.value.first(), reply.request_id)
    except WireError as exc:
        facts = {"request_id": reply.request_id, "action": call.action}
        raise ProtocolError(f"{call.action}: unexpected reply: {exc}", **facts) from exc


@attrs.frozen(eq=False, repr=False)
class _Call(CallTool):
    """A call whose parameters are written ahead, for the first time that they are sent."""

    _ahead: list[dict[str, str]] = named(travels=False, factory=list, eq=False, repr=False)

    def write(self) -> None:
        """Write them."""
        self._ahead.append(super().form())

    def form(self) -> dict[str, str]:
        """The parameters that travel in the form."""
        return self._ahead.pop() if self._ahead else super().form()


class _Direct:
    """A call that is ready to be sent to a session, once or more often."""

    __slots__ = ("headers", "method", "params", "request_id", "text", "url")

    def __init__(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        request_id: str,
        *,
        text: str | None = None,
        params: dict[str, str] | None = None,
    ) -> None:
        self.method, self.url, self.headers = method, url, headers
        self.request_id, self.text, self.params = request_id, text, params


def _written(
    data: SessionData,
    server: str,
    name: str,
    arguments: dict[str, Any],
    auto_gen_session: bool,
    client: ApiClient,
) -> tuple[CallTool, _Direct | None]:
    """The call, and how it goes straight to the session; its arguments are written once."""
    try:
        call = _Call(data.session_id, name, arguments, server, auto_gen_session)
        way = _direct(data, call, client)
        if way is None:
            call.write()  # refuses what is not JSON, as the other way has
        return call, way
    except (TypeError, ValueError, RecursionError) as exc:
        if isinstance(exc, AgentBayError):
            raise
        raise InvalidInputError(f"the arguments of {name} are not JSON: {exc}") from exc


def _direct(data: SessionData, call: CallTool, client: ApiClient) -> _Direct | None:
    facts: dict[str, Any] = {
        "args": call.args,
        "server": call.server,
        "tool": call.name,
        "token": data.token,
    }
    if uses_link(data, call.server, client=client):
        link = direct.LinkCall(request_id=direct.link_request_id(), **facts)
        url = link.url(data.link_url)
        return _Direct("POST", url, link.headers(), link.request_id, text=link.body())
    if not (data.vpc_resource and data.network_interface_ip and data.http_port):
        return None
    vpc = direct.VpcCall(request_id=direct.vpc_request_id(), **facts)
    url = vpc.url(data.network_interface_ip, data.http_port)
    if data.token and call.server and client.can_reach(url) and _size(call.args) <= _VPC_LIMIT:
        return _Direct("GET", url, vpc.headers(), vpc.request_id, params=vpc.parameters())
    return None


def _size(arguments: dict[str, Any]) -> int:
    """How many bytes arguments are."""
    return len(to_json(arguments).encode())


def is_safe(url: str) -> bool:
    """Whether a credential may go there: encrypted, or not past the local network."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme == "https" or host == "localhost":
            return True
        return parts.scheme == "http" and ipaddress.ip_address(host).is_private
    except ValueError:
        return False


def _content(answer: Answer, call: _Direct, data: SessionData) -> Content:
    facts = {"request_id": call.request_id, "action": direct.ACTION}
    verdict = direct.read_verdict(answer.text)
    if answer.status >= 300 or answer.status < 200 or not verdict.success:
        message = verdict.message or f"the session refused the call (HTTP {answer.status})"
        raise api_error(
            f"{direct.ACTION}: {masked(message, data.token, data.link_url)}",
            code=verdict.code,
            status_code=answer.status,
            retry_after=answer.retry_after,
            **facts,
        )
    try:
        return direct.read_content(answer.text)
    except WireError as exc:
        # The answer may repeat the credential, so no cause shows it.
        raise ProtocolError(f"{direct.ACTION}: unexpected answer: {exc}", **facts) from None
