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
