"""Find the function that carries out an action or a tool call.

`@handles(GetLink)` stands above the function in the module of the same noun. `_index` knows
that module, and `load` imports it.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ..protocol._calls import Action, Tool
from . import _index
from ._threads import in_thread

if TYPE_CHECKING:
    from .engine import Engine
    from .sandbox import Sandbox

A = TypeVar("A", bound=Action[Any])
C = TypeVar("C", bound=Tool[Any])
T = TypeVar("T")

ACTION_HANDLERS: dict[type[Action[Any]], Callable[[Engine, Any], Awaitable[Any]]] = {}
TOOL_HANDLERS: dict[type[Tool[Any]], Callable[[Sandbox, Any], Awaitable[Any]]] = {}

# Those of sessions with a mobile device; what is not among them is done as in other sessions.
PHONE_HANDLERS: dict[type[Tool[Any]], Callable[[Sandbox, Any], Awaitable[Any]]] = {}

_NO_AGENT = (
    "agents that do whole tasks are in the cloud: use its endpoint and a key, or "
    "session.browser.operator with a model of yours (AGENTBAY_LOCAL_MODEL_URL)"
)

# What the engine does not do, and why: by the class of the request, or by its module.
UNSUPPORTED: dict[str, str] = {
    "agent": _NO_AGENT,
    "agent_stream": _NO_AGENT,
    "network": "each session has a network of its own, which other machines cannot join",
    "BindSkills": "sessions get skills at their creation (load_skills), contexts have none",
    "Login": (
        "what logs in by itself is in the cloud: log in with act() once, and keep the profile of "
        "the browser in a context"
    ),
    "LongScreenshot": ("it puts no pictures together: take one, swipe, and take another one"),
    "UnbindSkills": "sessions get skills at their creation (load_skills), contexts have none",
}


# Modules with requests that have no handler yet, or none in this engine.
_MODULES = (
    *("agent", "application", "browser", "browser_operator", "code", "computer"),
    *("metrics", "mobile", "network", "oss", "skills", "ui", "window"),
)


_loaded: set[str] = set()


async def load(module: str) -> None:
    """Import a module with handlers, unless that was done. Other sessions go on meanwhile."""
    if module not in _loaded:
        await in_thread(importlib.import_module, f".{module}", __package__)
        _loaded.add(module)


def named(registry: dict[str, T], name: str) -> T | None:
    """The class of a request, by its name.

    The modules of requests that nobody handles are imported when the first one is asked for:
    that is time which the start of an engine does not have.
    """
    if name not in registry:
        place = _index.TOOLS.get(name) or _index.ON_PHONES.get(name)
        for module in _MODULES if place is None else (place.module,):
            importlib.import_module(f"..protocol.{module}", __package__)
    return registry.get(name)


def why_not(kind: type[Action[Any]] | type[Tool[Any]]) -> str:
    """Why the engine does not do this."""
    module = kind.__module__.rpartition(".")[2]
    return UNSUPPORTED.get(kind.__name__) or UNSUPPORTED.get(module) or "it is not part of it"


def handles(
    kind: type[A],
) -> Callable[[Callable[[Engine, A], Awaitable[T]]], Callable[[Engine, A], Awaitable[T]]]:
    """Let a function carry out an action."""

    def register(func: Callable[[Engine, A], Awaitable[T]]) -> Callable[[Engine, A], Awaitable[T]]:
        ACTION_HANDLERS[kind] = func
        return func

    return register


def handles_tool(
    kind: type[C],
) -> Callable[[Callable[[Sandbox, C], Awaitable[T]]], Callable[[Sandbox, C], Awaitable[T]]]:
    """Let a function carry out a tool call, in the sandbox of the session."""

    def register(
        func: Callable[[Sandbox, C], Awaitable[T]],
    ) -> Callable[[Sandbox, C], Awaitable[T]]:
        TOOL_HANDLERS[kind] = func
        return func

    return register


def handles_on_phone(
    kind: type[C],
) -> Callable[[Callable[[Sandbox, C], Awaitable[T]]], Callable[[Sandbox, C], Awaitable[T]]]:
    """Let a function carry out a tool call in a session that has a mobile device."""

    def register(
        func: Callable[[Sandbox, C], Awaitable[T]],
    ) -> Callable[[Sandbox, C], Awaitable[T]]:
        PHONE_HANDLERS[kind] = func
        return func

    return register
