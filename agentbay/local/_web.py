"""The engine as a web application: `POST /` with the parameters of an action."""

from __future__ import annotations

import binascii
import hmac
import logging
import uuid
from typing import Any
from urllib.parse import unquote_plus

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from .._version import __version__
from ..errors import AgentBayError, InvalidInputError
from ..protocol._calls import ACTIONS, Action
from ..protocol._wire import WireError
from . import _index
from ._dispatch import ACTION_HANDLERS, load, named, why_not
from ._errors import EngineError, ToolFailure
from ._logs import CALL
from .engine import Engine

_log = logging.getLogger(__name__)

# A tool call carries a file's content; 40 MB of text is the largest that clients send at once.
_BODY_LIMIT = 64 * 1024 * 1024

# Characters of a value of a form from which on it matters how fast that is read.
_LONG = 4096

# What a client that went away does not want any more. Other actions run to their end.
_ABANDONED_WITH_CLIENT = ("CallMcpTool", "CreateMcpSession")


def create_app(engine: Engine, api_key: str | None = None) -> Starlette:
    """The application that serves an engine.

    Args:
        engine: What does the work.
        api_key: The key that every request must carry; None for an engine inside the
            process of its only user.
    """

    async def act(request: Request) -> JSONResponse:
        return await _act(engine, api_key, request)

    async def health(_: Request) -> PlainTextResponse:
        return PlainTextResponse(f"agentbay {__version__}\n")

    routes = [Route("/", act, methods=["POST"]), Route("/healthz", health)]
    return Starlette(routes=routes)


async def _act(engine: Engine, api_key: str | None, request: Request) -> JSONResponse:
    request_id = str(uuid.uuid4()).upper()
    try:
        parameters = await _parameters(request)
        _authorize(parameters.get("Authorization", ""), api_key)
        call = request.scope[CALL] = await _read(parameters)
        fields = await _run(engine, call, request)
    except (EngineError, ToolFailure) as exc:
        status = exc.status if isinstance(exc, EngineError) else 400
        return _reply(request_id, status, {"Code": exc.code, "Message": str(exc)})
    except Exception:  # noqa: BLE001 - the engine's boundary: a defect must not end the server
        _log.exception("request %s failed", request_id)
        message = f"the engine failed; its log has the details under {request_id}"
        return _reply(request_id, 500, {"Code": "InternalError", "Message": message})
    return _reply(request_id, 200, {"Code": "ok", **fields})


async def _run(engine: Engine, call: Action[Any], request: Request) -> dict[str, Any]:
    """Carry out an action; one that only its client wants ends when the client goes away."""
    if call.action not in _ABANDONED_WITH_CLIENT:
        return await _carry_out(engine, call)
    outcome: dict[str, Any] | AgentBayError | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_when_gone, request, tasks.cancel_scope)
        try:
            outcome = await _carry_out(engine, call)
        except (EngineError, ToolFailure) as exc:
            outcome = exc  # raised below, as it is: not in the group's ExceptionGroup
        tasks.cancel_scope.cancel()
    if outcome is None:
        raise EngineError("ClientGone", "the client closed the connection", status=499)
    if isinstance(outcome, AgentBayError):
        raise outcome
    return outcome


async def _cancel_when_gone(request: Request, scope: anyio.CancelScope) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def _carry_out(engine: Engine, call: Action[Any]) -> dict[str, Any]:
    handler = ACTION_HANDLERS.get(type(call))
    if handler is None:
        reason = why_not(type(call))
        raise EngineError(
            "InvalidAction.NotFound",
            f"the local engine does not have {call.action}: {reason}",
            status=404,
        )
    return call.render(await handler(engine, call))


async def _parameters(request: Request) -> dict[str, str]:
    """The parameters, wherever they travel: clients put some into the URL."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY_LIMIT:
            raise EngineError("RequestTooLarge", "the request is larger than 64 MiB", status=413)
    try:
        form = _form(body.decode())
    except UnicodeDecodeError as exc:
        raise EngineError("InvalidParameter", "the form is not UTF-8") from exc
    return {**dict(request.query_params), **dict(form)}


def _form(text: str) -> list[tuple[str, str]]:
    """The fields of a form; long values in a sixth of the time that `urllib` takes."""
    pairs = [pair.partition("=") for pair in text.split("&") if pair]
    return [(unquote_plus(name), _unquoted(value)) for name, _, value in pairs]


def _unquoted(value: str) -> str:
    if len(value) < _LONG or not value.isascii() or any(sign in value for sign in "=\r\n"):
        return unquote_plus(value)
    # Quoted-printable text has another sign for the same thing, and is read by C.
    data = binascii.a2b_qp(value.replace("+", " ").replace("%", "="))
    if len(data) != len(value) - 2 * value.count("%"):  # a sign that no two digits follow
        return unquote_plus(value)
    return data.decode(errors="replace")


def _authorize(authorization: str, api_key: str | None) -> None:
    if api_key is None:
        return
    if not hmac.compare_digest(authorization.encode(), f"Bearer {api_key}".encode()):
        raise EngineError(
            "NOT_LOGIN", "the API key is not the one that this engine was started with"
        )


async def _read(parameters: dict[str, str]) -> Action[Any]:
    name = parameters.get("Action", "")
    if name in _index.ACTIONS:
        await load(_index.ACTIONS[name])
    kind = named(ACTIONS, name)
    if kind is None:
        raise EngineError("InvalidAction.NotFound", f"there is no action {name!r}", status=404)
    try:
        return kind.from_parameters(parameters)
    except (WireError, InvalidInputError) as exc:
        raise EngineError("InvalidParameter", f"{name}: {exc}") from exc


def _reply(request_id: str, status: int, fields: dict[str, Any]) -> JSONResponse:
    envelope = {"RequestId": request_id, "Success": status < 300, "HttpStatusCode": status}
    headers = {"x-acs-request-id": request_id}
    return JSONResponse({**envelope, **fields}, status, headers)
