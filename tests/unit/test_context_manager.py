"""The contexts of a session, against a service that lives in the test."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

from agentbay import ContextSync, DownloadPolicy, SyncPolicy
from agentbay._async import context_manager
from agentbay._params.mounts import BetaContextMount
from agentbay._results.context import ContextSyncResult
from agentbay.errors import AgentBayError, InvalidInputError
from agentbay.protocol.bindings import ContextBinding
from agentbay.protocol.contexts import ContextStatusData

from .service import Sent, Service, always, by_action, ok, session_of


def transfers(*rows: dict[str, Any]) -> httpx.Response:
    groups = [{"type": "data", "data": json.dumps(rows)}]
    return ok({"ContextStatus": json.dumps(groups)})


def row(status: str = "Success", kind: str = "download", context_id: str = "c-1") -> dict[str, Any]:
    return {
        "contextId": context_id, "path": "/p", "status": status, "taskType": kind,
        "errorMessage": "disk full" if status == "Failed" else "",
    }  # fmt: skip


BOUND = [{"ContextId": "c-1", "Path": "/p", "ContextName": "n", "Policy": "{}", "BindTime": "t"}]


def service_of(
    bindings: Any = BOUND, looks: Callable[[], httpx.Response] = lambda: transfers(row())
) -> Service:
    return Service(
        by_action({"DescribeSessionContexts": lambda: ok(bindings), "GetContextInfo": looks})
    )


# -- bind ------------------------------------------------------------------------------


async def test_bind_sends_contexts_and_mounts_and_waits_for_the_files() -> None:
    service = service_of()
    result = await session_of(service).context.bind(
        ContextSync("c-1", "/p", SyncPolicy()), BetaContextMount("c-2", "/q")
    )
    assert (result.success, result.request_id) == (True, "r-1")
    assert service.actions == ["BindContexts", "DescribeSessionContexts", "GetContextInfo"]
    first, second = json.loads(service.sent[0].form["PersistenceDataList"])
    assert (first["ContextId"], first["Path"], set(first)) == (
        "c-1", "/p", {"ContextId", "Path", "Policy"},
    )  # fmt: skip
    how = {"AccessMode": "readWrite", "StorageMode": "standard", "SourcePath": ""}
    assert second == {"ContextId": "c-2", "Path": "/q", "Type": "mount", "MountConfig": how}
    look = {"SessionId": "s-000001", "ContextId": "c-1", "Path": "/p"}
    assert service.sent[2].parameters == look


@pytest.mark.parametrize(
    ("context", "wait"),
    [
        (BetaContextMount("c-1", "/p"), True),
        (ContextSync("c-1", "/p", beta_wait_for_completion=False), True),
        (ContextSync("c-1", "/p"), False),
    ],
)
async def test_bind_waits_for_nothing_else(context: Any, wait: bool) -> None:
    service = service_of()
    assert (await session_of(service).context.bind(context, wait_for_completion=wait)).success
    assert service.actions == ["BindContexts"]


async def test_bind_tells_that_files_did_not_arrive() -> None:
    # Existing clients report a success, whatever the wait found.
    service = service_of(looks=lambda: transfers(row("Failed")))
    result = await session_of(service).context.bind(ContextSync("c-1", "/p"))
    assert not result.success
    assert "disk full" in result.error_message


@pytest.mark.parametrize("bindings", [[], None, BOUND])
async def test_bind_waits_no_longer_than_its_limit(bindings: Any) -> None:
    service = service_of(bindings, lambda: transfers(row("Running")))
    with anyio.fail_after(30):
        result = await session_of(service).context.bind(ContextSync("c-1", "/p"), timeout=0.2)
    assert isinstance(result.error, AgentBayError)
    assert (result.request_id, "0.2 s" in result.error_message) == ("r-1", True)


async def test_a_context_without_files_is_bound() -> None:
    service = service_of(looks=lambda: transfers(row("Running", "upload")))
    policy = SyncPolicy(download_policy=DownloadPolicy(auto_download=False))
    assert (await session_of(service).context.bind(ContextSync("c-1", "/p", policy))).success
    assert service.actions.count("GetContextInfo") == 3


async def test_a_path_that_is_taken_has_its_code() -> None:
    service = Service(always(lambda: ok(Success=False, Code="PathAlreadyBound", Message="taken")))
    result = await session_of(service).context.bind(ContextSync("c-1", "/p"))
    assert (result.success, result.code) == (False, "PathAlreadyBound")


async def test_bind_needs_a_context_and_a_limit() -> None:
    service = service_of()
    manager = session_of(service).context
    assert isinstance((await manager.bind()).error, InvalidInputError)
    late = await manager.bind(ContextSync("c-1", "/p"), timeout=0)
    assert isinstance(late.error, InvalidInputError)
    assert service.sent == []


@pytest.mark.parametrize(("data", "count"), [(BOUND, 1), (None, 0), ([], 0), ("", 0)])
async def test_the_contexts_of_a_session_are_listed(data: Any, count: int) -> None:
    service = service_of(data)
    found = (await session_of(service).context.list_bindings()).unwrap()
    assert found == [ContextBinding("c-1", "n", "/p", "{}", "t")] * count
    assert service.sent[0].parameters == {"SessionId": "s-000001"}


def test_rows_are_read_from_dictionaries() -> None:
    assert ContextBinding.from_dict(BOUND[0]).bind_time == "t"
    assert ContextStatusData.from_dict(row()).task_type == "download"


async def test_the_context_for_files_in_transit_is_found() -> None:
    data = [{"ContextId": "c-9", "ContextPath": "/t", "ContextType": "file_transfer"}]
    service = Service(always(lambda: ok(data)))
    found = await session_of(service).context._internal()
    assert (found.context_id, found.context_path) == ("c-9", "/t")
    wanted = {"ContextTypes.1": "file_transfer", "SessionId": "s-000001"}
    assert service.sent[0].parameters == wanted
    with pytest.raises(AgentBayError, match="keeps no file_transfer"):
        await session_of(Service(always(ok))).context._internal()


# -- sync ------------------------------------------------------------------------------


@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize(("status", "success"), [("Success", True), ("Failed", False)])
async def test_a_callback_is_told_once(status: str, success: bool, by_name: bool) -> None:
    told: list[bool] = []
    threads: set[int] = set()

    def callback(well: bool) -> None:
        told.append(well)
        threads.add(threading.get_ident())

    service = service_of(looks=lambda: transfers(row(status)))
    manager = session_of(service).context
    if by_name:
        result = await manager.sync("c-1", callback=callback)
    else:
        result = await manager.sync("c-1", None, None, callback, 150, 1500)
    assert (result.success, told) == (success, [success])
    assert threads != {threading.get_ident()}


async def test_a_callback_may_be_a_coroutine_function() -> None:
    told: list[bool] = []

    async def callback(well: bool) -> None:
        await anyio.lowlevel.checkpoint()
        told.append(well)

    await session_of(service_of()).context.sync("c-1", callback=callback)
    assert told == [True]


async def test_a_request_that_is_refused_is_a_result_and_no_callback() -> None:
    # Existing clients of the first generation raise a TypeError here.
    told: list[bool] = []
    service = Service(always(lambda: ok(Success=False, Code="Bad", Message="no")))
    result = await session_of(service).context.sync("c-1", callback=told.append)
    assert (result.success, result.code, told) == (False, "Bad", [])


async def test_sync_takes_the_numbers_of_the_later_generation() -> None:
    service = service_of(looks=lambda: transfers(row("Running")))
    with anyio.fail_after(30):
        result = await session_of(service).context.sync("c-1", None, "upload", 3, 10)
    assert "not synced within 0.0331 s" in result.error_message


def test_retries_stand_for_the_time_that_they_took() -> None:
    assert context_manager._limit(None, None, None) == 300
    assert context_manager._limit(7, 1, 1) == 7
    assert context_manager._limit(None, 150, 500) == pytest.approx(674, abs=10)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (("text",), {}),
        ((1, 2, 3), {}),
        ((None, 1, 2, 3), {}),
        ((True,), {}),
        ((0,), {}),
        ((5,), {"max_retries": 5}),
        ((), {"timeout": 0}),
        ((), {"retry_interval": -1}),
    ],
)
async def test_arguments_of_sync_that_make_no_sense_are_refused_before_sending(
    more: Any, named: Any
) -> None:
    service = service_of()
    result = await session_of(service).context.sync(None, None, None, *more, **named)
    assert isinstance(result.error, InvalidInputError)
    assert service.sent == []


def test_the_result_of_a_blocking_sync_can_be_awaited() -> None:
    result = ContextSyncResult("r-1", True)

    async def program() -> ContextSyncResult:
        return await result

    assert asyncio.run(program()) is result
    assert asyncio.run(result) is result  # type: ignore[arg-type]  # as existing programs do


async def test_a_transfer_is_looked_for_under_its_own_path() -> None:
    paths: list[str | None] = []

    def answer(sent: Sent) -> httpx.Response:
        if sent.action == "DescribeSessionContexts":
            return ok([*BOUND, {"ContextId": "c-2", "Path": "/q"}])
        paths.append(sent.form.get("Path"))
        return transfers(row(context_id=sent.form.get("ContextId", "")))

    session = session_of(Service(answer))
    assert (await session.context.bind(ContextSync("c-1", "/p"), ContextSync("c-2", "/q"))).success
    assert paths[1:] == ["/p", "/q"]
