"""Every request that the client can send, each with as little in it as it may have."""

from __future__ import annotations

import importlib
import json
import pkgutil
import types
from collections.abc import Awaitable, Callable
from enum import Enum, EnumType
from typing import Any, Union, cast, get_args, get_origin

import attrs

from agentbay import AsyncAgentBay, RetryPolicy, protocol
from agentbay._async._routes import send_tool
from agentbay._transport import ApiClient, Reply
from agentbay.protocol._calls import ACTIONS, Action
from agentbay.protocol._wire import fields, to_json
from agentbay.protocol.sessions import SessionData

from ..unit.pool_service import PoolService

# An action is known once its module is imported: none may be missing below.
for _module in pkgutil.iter_modules(protocol.__path__):
    importlib.import_module(f"{protocol.__name__}.{_module.name}")

KEY = "akm-7f3a-secret-of-the-account"
TOKEN = "tok-19c4-secret-of-the-session"
PATH = "way-in-5e0d-secret"
SECRETS = (KEY, TOKEN, PATH)

# How often a request is sent that may be sent again.
ATTEMPTS = 3
_AT_ONCE = RetryPolicy(attempts=ATTEMPTS, first_delay=0, longest_delay=2)

# What the service calls its replies.
REQUEST_ID = "R-2b7e"


@attrs.frozen
class Case:
    """A request on one of the ways that requests go.

    Attributes:
        name: What it is called in tests.
        harmless: Whether it may be sent again when it is not known what became of it.
        direct: Whether it goes to the session itself, not to the control plane.
        good: The body of the reply that says yes.
        send: Sends it, through a client and to a server.
    """

    name: str
    harmless: bool
    direct: bool
    good: bytes
    send: Callable[[ApiClient, PoolService], Awaitable[Reply[Any]]]


def client_of(url: str, *, timeout: float = 30.0, verify: Any = True) -> AsyncAgentBay:
    """A client of a server, which tries again at once."""
    return AsyncAgentBay(
        KEY, endpoint=url.rstrip("/"), timeout=timeout, verify=verify, retry=_AT_ONCE
    )


def envelope(**more: Any) -> bytes:
    """A reply that says yes."""
    return to_json({"RequestId": REQUEST_ID, "Success": True, "Code": "ok", **more}).encode()


# -- the smallest value of a type ------------------------------------------------------

_VALUES: dict[Any, Any] = {str: "x", int: 1, float: 1.0, bool: True, Any: {"a": 1}}
_OWN: dict[str, Any] = {"labels": {"a": "b"}, "option": '{"adbkey_pub": "k"}', "name": "shell"}


def smallest(hint: Any) -> Any:
    """A value of a type, with nothing in it that may be left out."""
    origin, options = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return smallest(options[0])
    if origin in (list, tuple):
        return [smallest(options[0])]
    if origin is dict:
        return {"a": smallest(options[1])}
    if isinstance(hint, EnumType):
        return next(iter(cast("type[Enum]", hint)))
    if attrs.has(hint):
        needed = [field for field in fields(hint) if field.required]
        return hint(**{f.argument: _OWN.get(f.attribute) or smallest(f.hint) for f in needed})
    return _VALUES[hint]


# -- the ways --------------------------------------------------------------------------


# They make something, or may: a second one would make another. Not read from the table of the
# package, which is what is tested.
_ONCE = {"BindContexts", "CallMcpTool", "CreateMcpSession", "CreateNetwork", "InitBrowser"}


def _action(kind: type[Action[Any]]) -> Case:
    call: Action[Any] = smallest(kind)
    value = None if kind.result is None else smallest(kind.result)
    good = envelope(**({} if value is None else call.render(value)))

    async def send(client: ApiClient, _: PoolService) -> Reply[Any]:
        return await client.send(call)

    return Case(kind.action, kind.action not in _ONCE, False, good, send)


_CONTENT = {"content": [{"type": "text", "text": "yes"}], "isError": False}


def _tool(way: str, tool: str) -> Case:
    async def send(client: ApiClient, service: PoolService) -> Reply[Any]:
        data = {
            "link": SessionData("s", token=TOKEN, link_url=f"{service.url}{PATH}"),
            "private": SessionData(
                "s",
                token=TOKEN,
                vpc_resource=True,
                network_interface_ip="127.0.0.1",
                http_port=str(service.port),
            ),
        }.get(way, SessionData("s"))
        return await send_tool(data, "a_server", tool, {"path": "/x"}, client=client)

    body = {"data": {"result": _CONTENT}}
    good = envelope(Data=_CONTENT) if way == "control plane" else json.dumps(body).encode()
    return Case(f"{tool} by {way}", tool == "read_file", way != "control plane", good, send)


CASES = {
    case.name: case
    for case in (
        *(_action(kind) for kind in ACTIONS.values() if kind.__module__.startswith("agentbay.")),
        *(
            _tool(way, tool)
            for way in ("link", "private", "control plane")
            for tool in ("read_file", "shell")
        ),
    )
}

# One of each kind, for what is not tried with all of them.
FEW = {
    name: CASES[name]
    for name in (
        *("GetSession", "CallMcpTool", "read_file by link", "shell by link"),
        *("read_file by private", "shell by private"),
    )
}
