"""The ways to a tool of a session, and which of them a call takes."""

from __future__ import annotations

import ipaddress
import logging
import time
from typing import Any
from urllib.parse import urlsplit

from .._exchange import masked
from .._transport import Answer, ApiClient, Reply
from ..errors import (
    AgentBayError,
    InvalidInputError,
    ProtocolError,
    ToolError,
    TransportError,
    api_error,
)
from ..protocol import direct
from ..protocol._calls import Content
from ..protocol._repeatable import is_repeatable
from ..protocol._wire import WireError
from ..protocol.sessions import CallTool, SessionData, ToolReply

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
    call, size = _checked(data, server, name, arguments, auto_gen_session)
    way = _direct_call(data, call, size, client)

    async def once(left: float) -> Reply[Content]:
        nonlocal way
        started = time.monotonic()
        if way is not None:
            connecting = min(connect_timeout or _CONNECT_LIMIT, left)
            try:
                return await _send_direct(way, data, client, left, connecting)
            except TransportError as exc:
                left -= time.monotonic() - started
                if exc.sent or left <= 0 or size > _CONTROL_LIMIT:
                    raise
            _log.debug("%s goes to the control plane: no connection to the session", name)
            way = None
        reply = await client.attempt(call, timeout=left, connect_timeout=connect_timeout)
        return _first(call, reply)

    with client.traced(call.action, name, data.session_id) as trace:
        reply = await client.repeat(once, trace, timeout, harmless=is_repeatable(call))
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


def _first(call: CallTool, reply: Reply[ToolReply]) -> Reply[Content]:
    try:
        return Reply(reply.value.first(), reply.request_id)
    except WireError as exc:
        facts = {"request_id": reply.request_id, "action": call.action}
        raise ProtocolError(f"{call.action}: unexpected reply: {exc}", **facts) from exc


def _checked(
    data: SessionData, server: str, name: str, arguments: dict[str, Any], auto_gen_session: bool
) -> tuple[CallTool, int]:
    """The call, and how many bytes its arguments are."""
    try:
        call = CallTool(data.session_id, name, arguments, server, auto_gen_session)
        # Arguments that are not JSON are refused here.
        return call, len(call.form()["Args"].encode())
    except (TypeError, ValueError, RecursionError) as exc:
        if isinstance(exc, AgentBayError):
            raise
        raise InvalidInputError(f"the arguments of {name} are not JSON: {exc}") from exc


def _direct_call(
    data: SessionData, call: CallTool, size: int, client: ApiClient
) -> direct.LinkCall | direct.VpcCall | None:
    facts: dict[str, Any] = {
        "args": call.args,
        "server": call.server,
        "tool": call.name,
        "token": data.token,
    }
    if uses_link(data, call.server, client=client):
        return direct.LinkCall(request_id=direct.link_request_id(), **facts)
    if not (data.vpc_resource and data.network_interface_ip and data.http_port):
        return None
    vpc = direct.VpcCall(request_id=direct.vpc_request_id(), **facts)
    url = vpc.url(data.network_interface_ip, data.http_port)
    if data.token and call.server and size <= _VPC_LIMIT and client.can_reach(url):
        return vpc
    return None


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


async def _send_direct(
    call: direct.LinkCall | direct.VpcCall,
    data: SessionData,
    client: ApiClient,
    timeout: float,
    connect_timeout: float,
) -> Reply[Content]:
    if not (data.token.isascii() and data.token.isprintable()):
        raise ProtocolError("the service gave the session a credential that cannot be sent")
    limits: dict[str, Any] = {"timeout": timeout, "connect_timeout": connect_timeout}
    facts: dict[str, Any] = {"action": direct.ACTION, "headers": call.headers(), **limits}
    try:
        if isinstance(call, direct.LinkCall):
            answer = await client.fetch("POST", call.url(data.link_url), text=call.body(), **facts)
        else:
            url = call.url(data.network_interface_ip, data.http_port)
            answer = await client.fetch("GET", url, params=call.parameters(), **facts)
    except TransportError as exc:
        exc.request_id = call.request_id
        raise
    return Reply(_content(answer, call, data), call.request_id)


def _content(answer: Answer, call: direct.LinkCall | direct.VpcCall, data: SessionData) -> Content:
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
