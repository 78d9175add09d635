"""Find the function that carries out an action or a tool call.

`@handles(GetLink)` stands above the function in the module of the same noun; `app.py`
imports those modules.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ..protocol._calls import Action, Tool

if TYPE_CHECKING:
    from .engine import Engine
    from .sandbox import Sandbox

A = TypeVar("A", bound=Action[Any])
C = TypeVar("C", bound=Tool[Any])
T = TypeVar("T")

ACTION_HANDLERS: dict[type[Action[Any]], Callable[[Engine, Any], Awaitable[Any]]] = {}
TOOL_HANDLERS: dict[type[Tool[Any]], Callable[[Sandbox, Any], Awaitable[Any]]] = {}

_LATER = "this release of the engine has commands, files, contexts and links"

# What the engine does not do, and why: by the class of the request, or by its module.
UNSUPPORTED: dict[str, str] = {
    "application": "sessions have no desktop",
    "bindings": _LATER,
    "browser": "sessions have no browser",
    "code": _LATER,
    "computer": "sessions have no desktop",
    "context_files": _LATER,
    "env": _LATER,
    "git": _LATER,
    "metrics": _LATER,
    "mobile": "there is no Android device",
    "network": "sessions have networks of their own only",
    "oss": _LATER,
    "skills": _LATER,
    "ui": "sessions have no desktop",
    "window": "sessions have no desktop",
    "ClearContext": _LATER,
    "GetAdbLink": "there is no Android device",
    "PauseSession": _LATER,
    "RefreshIdleTime": _LATER,
    "ResumeSession": _LATER,
}


def why_not(kind: type[Action[Any]] | type[Tool[Any]]) -> str:
    """Why the engine does not do this."""
    module = kind.__module__.rpartition(".")[2]
    return UNSUPPORTED.get(kind.__name__) or UNSUPPORTED.get(module) or _LATER


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
