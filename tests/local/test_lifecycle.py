"""What clients of other generations and languages send about sessions, and get."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from agentbay.local import engine as engines
from agentbay.local._errors import EngineError
from agentbay.local._life import Lifetime
from agentbay.local._sandbox.bwrap import Isolation
from agentbay.local.engine import EngineOptions

from .engines import Requests, engine_requests

CONTRACT = {"VpcResource": "False", "SdkStats": json.dumps({"sdk_version": "0.10.2"})}
TODAY = {"SdkStats": json.dumps({"sdk_version": "0.22.3"})}
OURS = {"SdkStats": json.dumps({"sdk_version": "0.1.0"})}


@pytest.fixture
async def ask(tmp_path: Path) -> AsyncGenerator[Requests, None]:
    async with engine_requests(EngineOptions(tmp_path, Isolation(network="none"))) as requests:
        yield requests


async def _shell(
    ask: Requests, session: str, command: str, limit: int = 30_000
) -> tuple[str, bool]:
    arguments = json.dumps({"command": command, "timeout_ms": limit})
    data = await ask.data("CallMcpTool", SessionId=session, Name="shell", Args=arguments)
    return data["content"][0]["text"], data["isError"]


async def test_the_contract_generation_gets_what_a_command_printed(ask: Requests) -> None:
    session = (await ask.data("CreateMcpSession", **CONTRACT))["SessionId"]

    assert await _shell(ask, session, "echo hello; echo oops >&2") == ("hello\n", False)
    text, failed = await _shell(ask, session, "no-such-program")
    assert failed
    assert text.startswith("Execution failed. Error code:127 Error message: ")
    assert "no-such-program" in text
    timeout = "Execution failed. Error code:-1 Error message: [timeout]"
    assert await _shell(ask, session, "sleep 60", limit=100) == (timeout, True)


@pytest.mark.parametrize("who", [TODAY, OURS, {}], ids=["today", "ours", "unknown"])
async def test_all_others_get_the_output_in_an_envelope(ask: Requests, who: dict[str, str]) -> None:
    session = (await ask.data("CreateMcpSession", **who))["SessionId"]

    text, failed = await _shell(ask, session, "echo hello; exit 3")

    assert not failed
    assert json.loads(text) == {"exit_code": 3, "stdout": "hello\n", "stderr": "", "traceId": ""}


async def test_a_page_begins_after_the_last_one_although_that_session_is_gone(
    ask: Requests,
) -> None:
    ids = [(await ask.data("CreateMcpSession"))["SessionId"] for _ in range(3)]
    first = await ask("ListSession", Labels="{}", MaxResults="2")
    assert [entry["SessionId"] for entry in first["Data"]] == ids[:2]
    await ask.data("ReleaseMcpSession", SessionId=ids[1])

    second = await ask("ListSession", Labels="{}", NextToken=first["NextToken"])

    assert [entry["SessionId"] for entry in second["Data"]] == ids[2:]
    assert second["NextToken"] == ""
    assert second["TotalCount"] == 2


@pytest.mark.parametrize(
    "wrong", [{"MaxResults": "0"}, {"MaxResults": "-3"}, {"NextToken": "x"}, {"NextToken": "²"}]
)
async def test_a_page_that_cannot_be_is_refused(ask: Requests, wrong: dict[str, str]) -> None:
    assert (await ask("ListSession", Labels="{}", **wrong))["Code"] == "InvalidParameter"


async def test_the_first_look_after_a_request_sees_what_it_did(
    ask: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vendor clients give up at once when a session is in another state than that."""
    monkeypatch.setattr("agentbay.local.lifecycle._PATIENCE", 30.0)
    session = (await ask.data("CreateMcpSession"))["SessionId"]

    await ask.data("PauseSessionAsync", SessionId=session)
    assert (await ask.data("GetSession", SessionId=session))["Status"] in ("PAUSING", "PAUSED")
    await ask.data("ResumeSessionAsync", SessionId=session)
    assert (await ask.data("GetSession", SessionId=session))["Status"] == "RUNNING"
    await ask.data("DeleteSessionAsync", SessionId=session)
    detail = await ask.data("GetSessionDetail", SessionId=session)
    assert detail["Status"] == "FINISH"
    assert detail["EndReason"] == "Deleted"


async def test_a_session_that_is_about_to_end_is_told_so_and_of_no_use(ask: Requests) -> None:
    session = (await ask.data("CreateMcpSession"))["SessionId"]
    told: list[bool] = []

    async def release() -> None:
        told.append((await ask("ReleaseMcpSession", SessionId=session))["Success"])

    saving = ask.engine.sessions[session].transfers._syncing
    async with anyio.create_task_group() as tasks, saving:
        tasks.start_soon(release)
        await ask.data("DeleteSessionAsync", SessionId=session)
        detail = await ask.data("GetSessionDetail", SessionId=session)
        (entry,) = await ask.data("ListSession", Labels="{}", Status="DELETING")
        assert detail["Status"] == entry["SessionStatus"] == "DELETING"
        for action in ("CallMcpTool", "GetSession", "GetLink", "PauseSessionAsync"):
            call = {"SessionId": session, "Name": "shell", "Args": '{"command":"true"}'}
            assert (await ask(action, **call))["Code"] == "InvalidMcpSession.NotFound"
        assert told == []
    assert told == [True]


async def test_the_end_of_a_session_is_forgotten_after_a_while(
    ask: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [(await ask.data("CreateMcpSession"))["SessionId"] for _ in range(3)]
    monkeypatch.setattr(engines, "_MOST_FINISHED", 2)
    for session in ids:
        await ask.data("ReleaseMcpSession", SessionId=session)

    codes = [(await ask("GetSessionDetail", SessionId=session))["Code"] for session in ids]
    assert codes == ["InvalidMcpSession.NotFound", "ok", "ok"]
    monkeypatch.setattr(engines, "_REMEMBERED", 0.0)
    reply = await ask("GetSessionDetail", SessionId=ids[2])
    assert reply["Code"] == "InvalidMcpSession.NotFound"


@pytest.mark.parametrize(
    ("asked", "idle", "maximum"),
    [
        ((None, None, None), "inf", "inf"),
        ((None, None, True), "inf", "inf"),
        ((90, None, None), 90, "inf"),
        ((5, 30, False), 300, 1800),
        ((None, 2, None), "inf", 120),
    ],
)
def test_limits_of_a_policy_are_minutes_and_the_older_one_is_seconds(
    asked: tuple[int | None, int | None, bool | None], idle: float, maximum: float
) -> None:
    assert Lifetime.asked(*asked) == Lifetime(float(idle), float(maximum))


@pytest.mark.parametrize("asked", [(0, None, None), (5, -1, None), (5, None, True)])
def test_limits_that_make_no_sense_are_refused(
    asked: tuple[int | None, int | None, bool | None],
) -> None:
    with pytest.raises(EngineError, match=r"positive|without"):
        Lifetime.asked(*asked)


async def test_an_action_that_is_not_here_is_refused_with_the_reason(ask: Requests) -> None:
    reply = await ask("CreateNetwork", SessionId="s-1")
    assert reply["Code"] == "InvalidAction.NotFound"
    assert "network of its own" in reply["Message"]


async def test_a_served_engine_knows_the_tools_that_it_lacks(tmp_path: Path) -> None:
    """In a process of its own, where no client has imported their modules."""
    program = f"""
import anyio
from pathlib import Path
from agentbay.local.engine import EngineOptions
from tests.local.engines import engine_requests
async def main():
    async with engine_requests(EngineOptions(Path({str(tmp_path)!r}))) as ask:
        session = (await ask.data("CreateMcpSession"))["SessionId"]
        call = {{"SessionId": session, "Name": "flux_execute_task", "Args": "{{}}"}}
        print((await ask.data("CallMcpTool", **call))["content"][0]["text"])
anyio.run(main)
"""
    done = await anyio.run_process([sys.executable, "-W", "error", "-c", program])
    assert b"agents that do whole tasks" in done.stdout
