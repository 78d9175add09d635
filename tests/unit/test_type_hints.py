"""Frameworks that make tools of methods ask `typing` for the types of their arguments."""

from __future__ import annotations

import inspect
import subprocess
import sys
import typing
from collections.abc import Callable

import pytest

import agentbay
from agentbay import (
    AgentBay,
    CreateSessionParams,
    LifecyclePolicy,
    Session,
    SessionPauseResult,
)

_CLASSES = [
    thing
    for thing in (getattr(agentbay, name) for name in agentbay.__all__)
    if inspect.isclass(thing)
]


def _functions(kind: type) -> list[Callable[..., object]]:
    members = inspect.getmembers(kind, inspect.isfunction)
    return [function for name, function in members if not name.startswith("_")]


@pytest.mark.parametrize("kind", _CLASSES)
def test_type_hints_of_a_class_and_its_methods_can_be_read(kind: type) -> None:
    typing.get_type_hints(kind)
    for function in _functions(kind):
        typing.get_type_hints(function)


@pytest.mark.parametrize("kind", [AgentBay, Session])
def test_a_class_that_loads_late_is_the_real_one(kind: type[AgentBay] | type[Session]) -> None:
    assert typing.get_type_hints(kind.pause)["return"] is SessionPauseResult


def test_an_optional_argument_that_loads_late_keeps_its_shape() -> None:
    found = typing.get_type_hints(CreateSessionParams)["lifecycle_policy"]
    assert set(typing.get_args(found)) == {LifecyclePolicy, type(None)}


def test_hints_cost_nothing_until_they_are_asked_for() -> None:
    code = (
        "import sys; from agentbay import AgentBay, AsyncAgentBay, CreateSessionParams\n"
        "late = {'agentbay._results.lifecycle', 'agentbay._params.browser'}\n"
        "assert not late & sys.modules.keys(), late & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)
