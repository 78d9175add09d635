"""The contexts of the account and their files, against a service that lives in the test."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anyio
import httpx
import pytest

from agentbay import ApiResponse, AsyncContextService
from agentbay._async import context
from agentbay._deadline import Deadline
from agentbay.errors import (
    ClearanceTimeoutError,
    InvalidInputError,
    ProtocolError,
    RequestTimeoutError,
)
from agentbay.protocol.context_files import ContextFileEntry
from agentbay.protocol.contexts import ContextListParams

from .service import Sent, Service, always, client, ok


def no() -> httpx.Response:
    return ok(Success=False, Code="Bad", Message="no")


def contexts(service: Service) -> AsyncContextService:
    return client(service).context


ENTRY = {
    "FileId": "f-1", "FileName": "a.txt", "FilePath": "/a.txt", "FileType": "FILE",
    "GmtCreate": "c", "GmtModified": "m", "Size": 3, "Status": "ok",
}  # fmt: skip


# -- files -----------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["Upload", "Download"])
async def test_an_address_for_a_file_is_asked_for(direction: str) -> None:
    service = Service(always(lambda: ok({"Url": "https://x?secret", "ExpireTime": 17})))
    method = getattr(contexts(service), f"get_file_{direction.lower()}_url")
    result = await method("c-1", "/p/a b.txt")
    assert (result.unwrap(), result.expire_time, result.request_id) == (
        "https://x?secret",
        17,
        "r-1",
    )
    assert "secret" not in repr(result)
    assert service.actions == [f"GetContextFile{direction}Url"]
    assert service.sent[0].parameters == {"ContextId": "c-1", "FilePath": "/p/a b.txt"}


@pytest.mark.parametrize("data", [None, {}, "", [1]])
async def test_no_address_is_a_failure(data: Any) -> None:
    result = await contexts(Service(always(lambda: ok(data)))).get_file_upload_url("c", "/p")
    assert isinstance(result.error, ProtocolError)
    assert result.url == ""


async def test_a_file_is_deleted() -> None:
    service = Service(always(ok))
    assert (await contexts(service).delete_file("c-1", "/a")).unwrap() is True
    assert service.actions == ["DeleteContextFile"]
    assert service.sent[0].form.items() >= {"ContextId": "c-1", "FilePath": "/a"}.items()
    assert (await contexts(Service(always(no))).delete_file("c-1", "/a")).code == "Bad"


async def test_files_are_listed_by_the_number_of_the_page() -> None:
    service = Service(always(lambda: ok([ENTRY], Count=7)))
    result = await contexts(service).list_files("c-1", "/p")
    entry = ContextFileEntry("f-1", "a.txt", "/a.txt", "FILE", "c", "m", 3, "ok")
    assert (result.unwrap(), result.count, result.next_token) == ([entry], 7, None)
    assert service.sent[0].query == {}
    wanted = {"ContextId": "c-1", "ParentFolderPath": "/p", "PageNumber": "1", "PageSize": "50"}
    assert service.sent[0].parameters == wanted


@pytest.mark.parametrize(
    ("token", "query"),
    [("abc", {"MaxResults": "10", "NextToken": "abc"}), (None, {"MaxResults": "10"})],
)
async def test_files_are_listed_by_the_token_of_the_page(
    token: str | None, query: dict[str, str]
) -> None:
    service = Service(always(lambda: ok([], NextToken="nt")))
    result = await contexts(service).list_files("c-1", "/p", max_results=10, next_token=token)
    assert (result.entries, result.next_token) == ([], "nt")
    assert service.sent[0].query == query
    assert not {"PageNumber", "PageSize"} & set(service.sent[0].form)


async def test_a_list_of_files_that_failed_says_why() -> None:
    # The result of existing clients has no such attribute.
    result = await contexts(Service(always(no))).list_files("c-1", "/p")
    assert (result.success, result.error_message, result.entries) == (False, "[Bad] no", [])


async def test_all_pages_of_files_are_gone_through() -> None:
    pages = iter([ok([ENTRY], NextToken="2"), ok([ENTRY])])
    service = Service(lambda _: next(pages))
    found = [entry async for entry in contexts(service).list_all_files("c-1", "/")]
    assert len(found) == 2
    assert service.sent[1].query == {"MaxResults": "50", "NextToken": "2"}


_SENSELESS: list[Callable[[AsyncContextService], Awaitable[ApiResponse]]] = [
    lambda c: c.list_files("", "/"),
    lambda c: c.list_files("c", "/", 0),
    lambda c: c.list_files("c", "/", 1, 0),
    lambda c: c.list_files("c", "/", max_results=0),
    lambda c: c.delete_file("c", ""),
    lambda c: c.get_file_upload_url("", "/a"),
    lambda c: c.get_file_download_url("c", "a\0"),
    lambda c: c.start_clear(" "),
    lambda c: c.get_clear_status(""),
    lambda c: c.clear("c", 0),
    lambda c: c.clear("c", 1, -1),
    lambda c: c.clear(""),
]


@pytest.mark.parametrize("call", _SENSELESS)
async def test_arguments_that_make_no_sense_are_refused_before_sending(
    call: Callable[[AsyncContextService], Awaitable[ApiResponse]],
) -> None:
    service = Service(always(ok))
    assert isinstance((await call(contexts(service))).error, InvalidInputError)
    assert service.sent == []


# -- list ------------------------------------------------------------------------------


async def test_the_page_may_be_told_by_an_object() -> None:
    service = Service(always(lambda: ok([])))
    await contexts(service).list(ContextListParams(3, "nt", "s-1"))
    assert service.sent[0].parameters == {"MaxResults": "3", "NextToken": "nt", "SessionId": "s-1"}
    await contexts(service).list(ContextListParams(3, "nt"), max_results=5)
    assert service.sent[1].parameters == {"MaxResults": "5", "NextToken": "nt"}
    await contexts(service).list()
    assert service.sent[2].parameters == {"MaxResults": "10"}


async def test_a_context_has_the_name_that_was_asked_for_when_none_is_told() -> None:
    found = await contexts(Service(always(lambda: ok({"Id": "c-1"})))).get("mine")
    assert (found.unwrap().name, found.unwrap().state) == ("mine", "available")


# -- clear -----------------------------------------------------------------------------


def clearing(*states: str | None) -> Service:
    left = list(states)

    def answer(sent: Sent) -> httpx.Response:
        if sent.action == "ClearContext":
            return ok(RequestId="r-start")
        state = left.pop(0) if len(left) > 1 else left[0]
        return ok({"Id": "c-1", "Name": "n", "State": state})

    return Service(answer)


async def test_clear_waits_until_the_context_is_empty() -> None:
    service = clearing("clearing", "pre-available", "in-use", "", None, "available")
    result = await contexts(service).clear("c-1", 10, 0.01)
    assert (result.success, result.status, result.context_id) == (True, "available", "c-1")
    assert result.request_id == "r-start"
    assert service.actions == ["ClearContext"] + ["GetContext"] * 6
    assert service.sent[0].parameters == {"Id": "c-1"}
    assert service.sent[1].parameters == {"ContextId": "c-1", "AllowCreate": "False"}


async def test_clearing_that_takes_too_long_raises() -> None:
    with anyio.fail_after(30), pytest.raises(ClearanceTimeoutError) as failed:
        await contexts(clearing("clearing")).clear("c-1", 0.1, 0.02)
    assert failed.value.request_id == "r-start"


async def test_a_short_time_limit_has_a_look_nevertheless(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Existing clients do not look at all when the limit is below the interval.
    firsts: list[float] = []

    def pauses(first: float, _: float) -> Iterator[float]:
        firsts.append(first)
        return itertools.repeat(0.0)

    monkeypatch.setattr(context, "_FIRST_PAUSE", 60.0)
    monkeypatch.setattr(context, "pauses", pauses)
    assert (await contexts(clearing("available")).clear("c-1", 20, 120)).success
    assert firsts == [10]


async def test_the_first_looks_at_what_is_cleared_come_soon() -> None:
    service = clearing("clearing", "clearing", "available")
    with anyio.fail_after(30):
        assert (await contexts(service).clear("c-1", 600, 300)).success


async def test_clearing_does_not_outlive_a_deadline() -> None:
    with anyio.fail_after(30), Deadline(0.2):
        result = await contexts(clearing("clearing")).clear("c-1", 600, 300)
    assert isinstance(result.error, RequestTimeoutError)


async def test_clearing_that_is_refused_is_a_failed_result() -> None:
    result = await contexts(Service(always(no))).clear("c-1", 1, 0.01)
    assert (result.success, result.code) == (False, "Bad")


async def test_a_look_that_is_refused_ends_the_wait() -> None:
    service = Service(lambda sent: ok() if sent.action == "ClearContext" else no())
    result = await contexts(service).clear("c-1", 5, 0.01)
    assert (result.success, result.code, len(service.sent)) == (False, "Bad", 2)


async def test_start_clear_does_not_wait() -> None:
    service = clearing("clearing")
    result = await contexts(service).start_clear("c-1")
    assert (result.status, result.context_id, service.actions) == (
        "clearing",
        "c-1",
        ["ClearContext"],
    )


@pytest.mark.parametrize(
    ("state", "status"), [("available", "available"), ("", "clearing"), (None, "clearing")]
)
async def test_a_state_that_is_not_told_is_not_taken_for_done(state: Any, status: str) -> None:
    result = await contexts(clearing(state)).get_clear_status("c-1")
    assert (result.status, result.context_id) == (status, "c-1")
