"""Handlers are imported when their first request comes: `_index` has to know all of them."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agentbay.local import _index
from agentbay.local._dispatch import ACTION_HANDLERS, PHONE_HANDLERS, TOOL_HANDLERS
from agentbay.local.streams import METHOD_HANDLERS
from agentbay.protocol._calls import Tool

Handlers = dict[type[Tool[Any]], Callable[..., Awaitable[Any]]]


@pytest.fixture(autouse=True)
def _everything_is_imported() -> None:
    importlib.import_module("agentbay.local.app")


def _module(thing: object) -> str:
    return thing.__module__.rpartition(".")[2]


def test_the_index_has_the_module_of_every_action() -> None:
    assert {
        kind.action: _module(ACTION_HANDLERS[kind]) for kind in ACTION_HANDLERS
    } == _index.ACTIONS


@pytest.mark.parametrize(
    ("places", "handlers"),
    [(_index.TOOLS, TOOL_HANDLERS), (_index.ON_PHONES, PHONE_HANDLERS)],
    ids=["tools", "on phones"],
)
def test_the_index_has_every_tool(places: dict[str, _index.Place], handlers: Handlers) -> None:
    found = {kind.tool: _index.Place(_module(kind), kind.server) for kind in handlers}
    assert places == found


def test_a_tool_is_carried_out_in_the_module_of_its_name() -> None:
    assert all(_module(kind) == _module(TOOL_HANDLERS[kind]) for kind in TOOL_HANDLERS)
    assert {_module(handler) for handler in PHONE_HANDLERS.values()} == {"mobile"}


def test_the_index_has_the_modules_of_all_methods() -> None:
    assert {_module(handler) for handler in METHOD_HANDLERS.values()} == set(_index.METHODS)


def test_an_engine_starts_without_what_nobody_asked_for() -> None:
    code = "import sys, agentbay.local.host; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    prefix = "agentbay.local."
    found = {name.removeprefix(prefix) for name in said.stdout.split() if name.startswith(prefix)}
    assert "engine" in found
    assert not found & {"app", "uvicorn", *_index.ACTIONS.values(), *_index.METHODS}
