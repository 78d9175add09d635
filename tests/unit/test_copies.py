"""What can be copied and pickled, and what says that it cannot."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from agentbay import (
    AgentBay,
    AsyncAgentBay,
    AsyncSession,
    CommandError,
    CommandResult,
    ContextSync,
    CreateSessionParams,
    Session,
    SessionListResult,
)
from agentbay._results.sessions import SessionId

_WAYS: list[Callable[[Any], Any]] = [
    copy.copy,
    copy.deepcopy,
    lambda value: pickle.loads(pickle.dumps(value)),
]
ways = pytest.mark.parametrize("way", _WAYS, ids=["copy", "deepcopy", "pickle"])


@ways
@pytest.mark.parametrize("kind", [AgentBay, AsyncAgentBay])
def test_a_client_says_that_another_one_has_to_be_made(way: Any, kind: Any) -> None:
    with pytest.raises(TypeError, match="make another one"):
        way(kind(endpoint="local"))


@ways
@pytest.mark.parametrize("part", ["", "command", "file_system", "context"])
def test_a_session_says_how_it_is_found_elsewhere(way: Any, part: str) -> None:
    session = AsyncSession(AsyncAgentBay(endpoint="local"), "s-1")
    for whole in (session, Session._wrap(session)):
        with pytest.raises(TypeError, match="session_id"):
            way(getattr(whole, part) if part else whole)


@ways
@pytest.mark.parametrize(
    "value",
    [
        CreateSessionParams(labels={"a": "b"}, context_syncs=[ContextSync("c-1", "/w")]),
        CommandResult.failed(CommandError("no", tool="shell", exit_code=2, stdout="out")),
        SessionListResult("r-1", True, session_ids=[SessionId("s-1", "RUNNING", "image")]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_parameters_and_results_have_copies(way: Any, value: Any) -> None:
    another = way(value)
    assert another == value
    assert repr(another) == repr(value)
    if isinstance(value, CommandResult):
        assert (another.error.exit_code, another.error.stdout) == (2, "out")
    if isinstance(value, SessionListResult):
        assert another.session_ids[0].status == "RUNNING"
