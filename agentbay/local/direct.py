"""Ways to a session that do not go through the control plane: calls of tools, and streams."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, cast
from urllib.parse import parse_qsl

import attrs
import h11

from ..protocol._calls import Content
from ..protocol._wire import WireError, decode, from_json
from ..protocol.direct import ACTION, TOKEN_HEADER
from . import streams, tools
from ._errors import EngineError
from ._link_exchange import Client, RefusedError, race
from ._link_headers import upgrade
from ._logs import identifier, noted, tool_named
from .engine import Engine
from .session import LocalSession

# Bytes of a call; 40 MB of text is the largest that clients send at once.
_LONGEST = 64 * 1024 * 1024

Facts = MutableMapping[str, object]
"""What the log is told of a call."""

_JSON = (b"Content-Type", b"application/json")
_CALL_PATH = f"/{ACTION}".encode()


@attrs.frozen
class Ways:
    """Where a session is reached, as clients are told.

    Attributes:
        link_url: For calls of tools; empty where those are quicker on the way of the others.
        ws_url: For streams.
        vpc_ip: For calls of tools of a session in a private network; else empty.
        vpc_port: The same.
    """

    link_url: str = attrs.field(default="", repr=False)
    ws_url: str = attrs.field(default="", repr=False)
    vpc_ip: str = ""
    vpc_port: str = ""


async def ways(engine: Engine, session: LocalSession) -> Ways:
    """Where a session is reached."""
    links = await engine.links()
    links.mount(ACTION, partial(_serve_vpc, engine))
    if not session.service:
        session.service = links.add_service(partial(_serve, engine, session))
    link = links.url(session.service) if engine.options.tells_links else ""
    ip, port = (links.host, str(links.port)) if session.in_vpc else ("", "")
    return Ways(link, links.url(session.service, "ws"), ip, port)


async def call_in_vpc(
    engine: Engine, parameters: Mapping[str, str], facts: Facts
) -> tuple[int, dict[str, Any]]:
    """Carry out a call of a tool inside a private network: the HTTP status, and the answer.

    The answer has two shapes at once, because clients do not agree on one.
    """
    digest = _digest(parameters.get("token", ""))
    found = [s for s in engine.sessions.values() if s.in_vpc and _digest(s.token) == digest]
    if not found:
        return _refusal(EngineError("InvalidToken", "the token opens no session", status=401))
    facts["session"] = found[0].session_id
    facts["request_id"] = identifier(parameters.get("requestId"))
    try:
        args = from_json(parameters.get("args") or "{}")
        content = await _answer(found[0], parameters.get("tool"), args, facts)
    except EngineError as exc:
        return _refusal(exc)
    except WireError as exc:
        return _refusal(EngineError("InvalidParameter", f"args: {exc}"))
    result = _result(content)
    return 200, {**result, **_wrapped(result)}


async def _call_over_link(
    session: LocalSession, body: bytes, facts: Facts
) -> tuple[int, dict[str, Any]]:
    try:
        call = decode(dict[str, Any], from_json(body.decode()))
        facts["request_id"] = identifier(call.get("requestId"))
        content = await _answer(session, call.get("tool"), call.get("args"), facts)
    except EngineError as exc:
        return _refusal(exc)
    except (WireError, UnicodeDecodeError) as exc:
        return _refusal(EngineError("InvalidParameter", f"the call is malformed: {exc}"))
    return 200, _wrapped(_result(content))


async def _answer(session: LocalSession, tool: object, args: object, facts: Facts) -> Content:
    facts["tool"] = tool_named(tool)
    if not isinstance(tool, str) or not isinstance(args, dict | None):
        raise EngineError("InvalidParameter", "a call needs a tool, and an object of arguments")
    content = await tools.answer(session, tool, cast("dict[str, Any]", args or {}))
    if content.is_error:
        facts["result"] = "tool failed"
    return content


def _result(content: Content) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": content.text}], "isError": content.is_error}


def _wrapped(result: dict[str, Any]) -> dict[str, Any]:
    return {"data": json.dumps({"result": result}, ensure_ascii=False)}


def _refusal(exc: EngineError) -> tuple[int, dict[str, Any]]:
    return exc.status, {"success": False, "code": exc.code, "message": str(exc)}


def _digest(token: str) -> bytes:
    """What can be compared in a time that tells nothing of the token."""
    return hashlib.sha256(token.encode(errors="replace")).digest()


# -- on the port of links ----------------------------------------------------------------


async def _serve(
    engine: Engine, session: LocalSession, client: Client, request: h11.Request, path: bytes
) -> None:
    if upgrade(request) is not None:
        with _noted(engine, request, "websocket", session) as facts:
            _check_token(session, request)
            facts["status"] = 101
            await streams.serve(engine, session, client, request)
        return
    with _noted(engine, request, "link", session) as facts:
        _check_token(session, request)
        if path != _CALL_PATH or request.method != b"POST":
            raise RefusedError(404, f"there is only POST /{ACTION} here, and a WebSocket\n")
        body = await client.body(_LONGEST)
        await _reply(client, partial(_call_over_link, session, body, facts), facts)


async def _serve_vpc(engine: Engine, client: Client, request: h11.Request) -> None:
    with _noted(engine, request, "vpc") as facts:
        await client.body(0)
        query = request.target.partition(b"?")[2].decode("ascii")
        parameters = dict(parse_qsl(query, keep_blank_values=True))
        await _reply(client, partial(call_in_vpc, engine, parameters, facts), facts)


def _noted(
    engine: Engine, request: h11.Request, route: str, session: LocalSession | None = None
) -> AbstractContextManager[Facts]:
    session_id = None if session is None else session.session_id
    method = request.method.decode("ascii")
    return noted(streams.log_level(engine), method=method, route=route, session=session_id)


async def _reply(
    client: Client, work: Callable[[], Awaitable[tuple[int, dict[str, Any]]]], facts: Facts
) -> None:
    """Answer with JSON, unless the client leaves before that: then the work ends."""

    async def answer() -> None:
        status, fields = await work()
        facts["status"] = status
        await client.reply(status, json.dumps(fields), _JSON)

    await race(answer, client.left)


def _check_token(session: LocalSession, request: h11.Request) -> None:
    name = TOKEN_HEADER.lower().encode()
    given = next((value for key, value in request.headers if key == name), b"")
    if not hmac.compare_digest(given, session.token.encode()):
        raise RefusedError(401, f"{TOKEN_HEADER} is not the token of this session\n")
