"""Who listens to httpx, or stands in for a part of it, and would miss what goes past it.

respx does, and others. Nobody does while httpx is not loaded.
"""

from __future__ import annotations

import os
import sys
from types import FunctionType
from typing import Any

# What `httpx.AsyncClient` does with a request, in its own words.
_STEPS = (
    "send",
    "_send_handling_auth",
    "_send_handling_redirects",
    "_send_single_request",
    "_transport_for_url",
)

# The steps as they were found, when all of them were of httpx itself.
_own_steps: tuple[object, ...] = ()


def at_clients() -> bool:
    """Whether somebody put a function of theirs in the place of one of `httpx.AsyncClient`."""
    global _own_steps
    client = getattr(sys.modules.get("httpx"), "AsyncClient", None)
    if client is None:
        return False
    steps = tuple(getattr(client, step, None) for step in _STEPS)
    if steps == _own_steps:
        return False
    if not all(step is None or _is_own(step) for step in steps):
        return True
    _own_steps = steps
    return False


def at_transports() -> bool:
    """Whether somebody did so with the transports of httpx, or with httpcore under them."""
    transport: Any = getattr(sys.modules.get("httpx"), "AsyncHTTPTransport", None)
    if transport is None:
        return False
    if transport.handle_async_request.__module__ != "httpx._transports.default":
        return True
    pool: Any = getattr(sys.modules.get("httpcore"), "AsyncConnectionPool", None)
    if pool is None:
        return False
    return bool(pool.handle_async_request.__module__ != "httpcore._async.connection_pool")


def _is_own(method: object) -> bool:
    here = os.path.dirname(str(sys.modules["httpx"].__file__))
    return type(method) is FunctionType and method.__code__.co_filename.startswith(here)
