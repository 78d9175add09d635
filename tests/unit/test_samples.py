"""Our requests against recorded ones: the same actions, names, places and encodings.

Each recorded request is compared twice: as a model (what was read is written as it was) and,
unless it was made from the names of its fields only, as what a program sends that does the
same. Whatever differs stands in a table here, with its reason.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
import respx

from agentbay import (
    AgentBay,
    AsyncAgentBay,
    AsyncSession,
    Session,
    protocol,
)
from agentbay.protocol._calls import ACTIONS
from agentbay.protocol._wire import fields

from .samples import FILES, NAMES, SAMPLES, STEPS, JsonText, Request, parameters_of, read
from .scenes import SCENES, Program, stage
from .service import ENDPOINT, KEY, Service, by_action, client, ok, session_of, tool_says

__all__ = ["SAMPLES"]

for _found in pkgutil.iter_modules(protocol.__path__):  # makes every action known
    importlib.import_module(f"{protocol.__name__}.{_found.name}")

# What is compared elsewhere: how a WebSocket is opened, and everything that goes over it.
_ELSEWHERE = {
    name: "test_sample_frames.py"
    for name in FILES
    if name.endswith(("ws-frames.jsonl", "WsHandshake.http"))
}

# Samples that a client made from its field names, such as Labels=labels-v. They show names and
# places, but their values are none that a service would accept.
_PLACEHOLDERS = (
    "BindContexts",
    "CallMcpTool",
    "CreateMcpSession",
    "GetLink",
    "ListSession",
    "SetLabel",
)

# A parameter that the model of an action names and no recorded client fills in by itself.
_NEVER_SENT = {("CallMcpTool", "Tool")}


def _is_made_of_names(name: str) -> bool:
    return "allfields" in name


def _is_placeholder(name: str) -> bool:
    return _is_made_of_names(name) and name.endswith(tuple(f"-{a}.http" for a in _PLACEHOLDERS))


_CONTROL = [name for name in NAMES if read(name).common]


# -- as models -------------------------------------------------------------------------

# Parameters that are not the same after a request was read and written again, and why.
_REWRITTEN = {
    "0.10/006-create-all-CreateMcpSession.http": {
        "PersistenceDataList": "two flags of the white lists are left out; they get their defaults",
    },
    **{
        f"0.10/{name}-CallMcpTool.http": {
            "Server": "left out by clients of the first generation; later ones always send it",
        }
        for name in (
            "007-create-all",
            "008-create-all",
            "024-call-tool",
            "025-command",
            "026-run-code",
        )
    },
}


def test_there_are_samples_of_every_action() -> None:
    assert {read(name).action for name in _CONTROL} == set(ACTIONS)


@pytest.mark.parametrize("name", [name for name in _CONTROL if not _is_placeholder(name)])
def test_a_recorded_request_is_written_as_it_was_read(name: str) -> None:
    sample = read(name)
    call = ACTIONS[sample.action].from_parameters(parameters_of(name))
    sent = httpx.Request("POST", "https://x/?Action=x", data=call.form())
    ours = Request.of(sent)
    ours = attrs.evolve(ours, query=call.query()).without(*_REWRITTEN.get(name, ()))
    theirs = sample.without("Authorization", *_REWRITTEN.get(name, ()))
    assert (ours.query, ours.form) == (theirs.query, theirs.form)
    for parameter in _REWRITTEN.get(name, ()):
        assert call.form()[parameter] != parameters_of(name).get(parameter)


@pytest.mark.parametrize("name", _CONTROL)
def test_every_recorded_parameter_is_known_in_its_place(name: str) -> None:
    sample = read(name).without("Authorization")
    known = fields(ACTIONS[sample.action])
    in_query = {field.name for field in known if field.query}
    in_form = {field.name for field in known if not field.query}
    assert set(sample.query) <= in_query
    sent = {name.partition(".")[0] for name in sample.form}
    assert {name for name in sent if (sample.action, name) not in _NEVER_SENT} <= in_form


# -- as what a program sends -----------------------------------------------------------


# Requests that we do not send, and why.
_TRANSFERS = "the service names its context for transfers; a client makes none of its own"
_RELEASED = "ReleaseMcpSession ends a session and answers when it is gone"
_UNSIZED = "a file is read until it ends: its size may be unknown, or change"
_ANY_KIND = "asks about every kind of transfer; only the one that was begun is waited for"
_STAYS = "later ones keep the file in the store, where the session may still be reading it"
_TWICE = "a transfer that is begun is not begun once more"
_UNSENT: dict[str, str] = {
    "0.10/001-create-default-GetContext.http": _TRANSFERS,
    "0.10/003-create-default-GetContextInfo.http": "there is no context to wait for",
    "0.10/004-create-all-GetContext.http": _TRANSFERS,
    "0.10/005-create-all-GetContext.http": "EnableRecord lets the service keep the recording",
    "0.10/009-create-all-ModifyContext.http": "EnableRecord lets the service keep the recording",
    "0.10/012-get-GetContext.http": _TRANSFERS,
    "0.10/027-create-vpc-GetContext.http": _TRANSFERS,
    "0.10/029-create-vpc-ListMcpTools.http": "the service tells the tools of a session itself",
    "0.10/030-create-vpc-GetContextInfo.http": "there is no context to wait for",
    "0.10/036-vpc-get-then-call-GetContext.http": _TRANSFERS,
    "0.22-async/034-fs-read-CallMcpTool.http": _UNSIZED,
    "0.22-async/036-fs-read-bytes-CallMcpTool.http": _UNSIZED,
    "0.22-sync/008-fs-read-CallMcpTool.http": _UNSIZED,
    "0.10/054-file-upload-GetContextInfo.http": _ANY_KIND,
    "0.10/058-file-download-GetContextInfo.http": _ANY_KIND,
    "0.22-async/074-file-upload-GetContextInfo.http": _ANY_KIND,
    "0.22-async/077-file-download-GetContextInfo.http": _ANY_KIND,
    "0.22-sync/018-file-upload-GetContextInfo.http": _ANY_KIND,
    "0.22-sync/023-file-download-GetContextInfo.http": _ANY_KIND,
    "0.10/056-file-upload-DeleteContextFile.http": _STAYS,
    "0.10/062-file-download-DeleteContextFile.http": _STAYS,
    "0.22-sync/019-file-upload-SyncContext.http": _TWICE,
    "0.22-sync/020-file-upload-GetContextInfo.http": _TWICE,
    "0.22-sync/024-file-download-SyncContext.http": _TWICE,
    "0.22-sync/025-file-download-GetContextInfo.http": _TWICE,
    "0.22-async/098-delete-DeleteSessionAsync.http": _RELEASED,
    "0.22-async/099-delete-GetSessionDetail.http": _RELEASED,
    "0.22-async/102-delete-sync-DeleteSessionAsync.http": _RELEASED,
    "0.22-async/103-delete-sync-GetSessionDetail.http": _RELEASED,
    "0.22-async/107-ws-watch-CallMcpTool.http": "part of a watch; looked at once here",
    "0.22-async/108-ws-delete-DeleteSessionAsync.http": _RELEASED,
    "0.22-async/109-ws-delete-GetSessionDetail.http": _RELEASED,
    "0.22-sync/041-ws-watch-POST-link-callTool.http": "part of a watch; looked at once here",
    "0.22-sync/042-delete-DeleteSessionAsync.http": _RELEASED,
    "0.22-sync/043-delete-GetSessionDetail.http": _RELEASED,
    "0.22-sync/044-delete-ws-DeleteSessionAsync.http": _RELEASED,
    "0.22-sync/045-delete-ws-GetSessionDetail.http": _RELEASED,
}

# Requests of ours that were not recorded, and why.
_BEFORE = "what is told of earlier transfers is known before another one begins"
_ADDED: dict[str, tuple[str, str]] = {
    "0.10/browser-url": ("GetCdpLink", "asked for first; a region without it gives a plain link"),
    "0.10/adb": ("GetAdbLink", "asked for first; a region without it gives a plain link"),
    **{
        f"{directory}/file-{kind}": ("GetContextInfo", _BEFORE)
        for directory in ("0.10", "0.22-async", "0.22-sync")
        for kind in ("upload", "download")
    },
    "0.22-async/delete": ("ReleaseMcpSession", _RELEASED),
    "0.22-async/delete-sync": ("ReleaseMcpSession", _RELEASED),
    "0.22-async/ws-delete": ("ReleaseMcpSession", _RELEASED),
    "0.22-sync/delete": ("ReleaseMcpSession", _RELEASED),
    "0.22-sync/delete-ws": ("ReleaseMcpSession", _RELEASED),
}

# Parameters that we send otherwise, for every request of an action in a directory, and why.
_KEY_IN_FORM = "recorded in the URL, where access logs keep it"
_OTHERWISE: dict[tuple[str, str], dict[str, str]] = {
    ("", "SyncContext"): {"Authorization": _KEY_IN_FORM},
    ("0.10", "CallMcpTool"): {"Server": "came later; empty when it is not known"},
    ("0.10", "CreateMcpSession"): {
        "LoginRegionId": "came later",
        "PersistenceDataList": "without contexts that a client makes for itself",
        "VpcResource": "left out when it is the default",
    },
    ("0.10", "GetContext"): {"LoginRegionId": "came later, for a context that is created"},
}

# Of single requests: what we send otherwise, and why.
_SHELL = "names are quoted, a step that fails is noticed, and a list can be cleared"
_ONLY_OURS = "asks for the transfers that it waits for, not for older ones"
_PARTS = {"Args": "in parts of 45 KiB, as base64: a character may lie across two of them"}
_KEYS = {"BrowserOption": "has two settings that came later, at their defaults"}
_DIFFERENT: dict[str, dict[str, str]] = {
    "0.10/008-create-all-CallMcpTool.http": {"Args": _SHELL},
    "0.10/007-create-all-CallMcpTool.http": {"Args": "the time limit is the later, longer one"},
    "0.10/006-create-all-CreateMcpSession.http": {
        "EnableRecord": "the later generation's way to record a browser"
    },
    "0.10/010-create-all-GetContextInfo.http": {"TaskType": _ONLY_OURS},
    "0.10/050-sctx-sync-GetContextInfo.http": {"TaskType": _ONLY_OURS},
    "0.10/063-browser-init-InitBrowser.http": _KEYS,
    "0.10/065-browser-init-async-InitBrowser.http": _KEYS,
    "0.22-async/003-create-all-GetContextInfo.http": {"TaskType": _ONLY_OURS},
    "0.22-async/005-create-browserctx-standard-GetContextInfo.http": {
        "TaskType": _ONLY_OURS,
        "ContextId": _ONLY_OURS,
    },
    "0.22-async/010-create-mobile-extraconfigs-CallMcpTool.http": {"Args": _SHELL},
    "0.22-async/011-create-mobile-extraconfigs-CallMcpTool.http": {"Args": _SHELL},
    "0.22-async/012-create-mobile-extraconfigs-CallMcpTool.http": {"Args": _SHELL},
    "0.22-async/013-create-mobile-extraconfigs-GetContextInfo.http": {
        "TaskType": _ONLY_OURS,
        "ContextId": _ONLY_OURS,
    },
    "0.22-async/014-create-mobile-extraconfigs-CallMcpTool.http": {"Args": _SHELL},
    "0.22-async/035-fs-read-CallMcpTool.http": _PARTS,
    "0.22-async/037-fs-read-bytes-CallMcpTool.http": _PARTS,
    "0.22-async/065-sctx-sync-all-GetContextInfo.http": {"TaskType": _ONLY_OURS},
    "0.22-sync/009-fs-read-CallMcpTool.http": _PARTS,
    "0.22-sync/013-sctx-sync-GetContextInfo.http": {"TaskType": _ONLY_OURS},
    "0.22-sync-http-endpoint/006-sctx-sync-GetContextInfo.http": {"TaskType": _ONLY_OURS},
}


def _compare(step: str, requests: list[httpx.Request]) -> None:
    """Every request of a step is the recorded one, but for what the tables say."""
    theirs = [name for name in STEPS[step] if name not in _UNSENT]
    if step in _ADDED:
        added = next(one for one in requests if Request.of(one).action == _ADDED[step][0])
        requests = [one for one in requests if one is not added]
    assert [Request.of(request).action for request in requests] == [
        read(name).action for name in theirs
    ]
    for name, request in zip(theirs, requests, strict=True):
        sample, ours = _comparable(read(name)), _comparable(Request.of(request))
        directory = name.partition("/")[0]
        changed = {
            **_OTHERWISE.get(("", sample.action), {}),
            **_OTHERWISE.get((directory, sample.action), {}),
            **_DIFFERENT.get(name, {}),
        }
        assert ours.without(*changed) == sample.without(*changed)
        for parameter in _DIFFERENT.get(name, {}):
            assert ours.parameters.get(parameter) != sample.parameters.get(parameter), parameter


def _comparable(request: Request) -> Request:
    """Without facts about the client itself: its version, and the key that it was given."""
    form = dict(request.form)
    if isinstance(stats := form.get("SdkStats"), JsonText):
        known = {k: v for k, v in stats.value.items() if k not in ("sdk_version", "is_release")}
        form["SdkStats"] = known
    if request.action == "CreateMcpSession" and isinstance(labels := form.get("Labels"), JsonText):
        # A label of the client's own tells it whether a request arrived whose reply was lost.
        users = {name: v for name, v in labels.value.items() if name != "agentbay-request"}
        form |= {"Labels": JsonText(users)}
        if not users:
            del form["Labels"]
    if "Authorization" in form:
        assert form["Authorization"] in (f"Bearer {KEY}", "Bearer akm-test")
        form["Authorization"] = "Bearer KEY"
    path = request.path.replace("//", "/")
    return attrs.evolve(request, form=form, path=path)


_ASYNC = [step for step in SCENES if step.startswith("0.22-async")]


@pytest.fixture
def local(tmp_path: Path) -> Path:
    path = tmp_path / "up.txt"
    path.write_bytes(b"payload-123")
    return path


@pytest.mark.parametrize("step", _ASYNC)
async def test_a_program_sends_what_was_recorded(step: str, local: Path) -> None:
    service, session = stage(step)
    program = Program(session.agent_bay, session, local)
    for call in SCENES[step]:
        service.requests.clear()
        answer: Awaitable[Any] | None = call(program)
        result = await answer if inspect.isawaitable(answer) else answer
        assert getattr(result, "success", True) or step.endswith("get-notfound")
    _compare(step, service.requests)
    assert all(KEY not in str(request.url) for request in service.requests)


@pytest.mark.parametrize("step", [step for step in SCENES if step not in _ASYNC])
def test_a_blocking_program_sends_what_was_recorded(step: str, local: Path) -> None:
    service, session = stage(step)
    program = Program(AgentBay._wrap(session.agent_bay), Session._wrap(session), local)
    for call in SCENES[step]:
        service.requests.clear()
        assert getattr(call(program), "success", True)
    _compare(step, service.requests)
    assert all(KEY not in str(request.url) for request in service.requests)


def test_no_recorded_file_is_unaccounted_for() -> None:
    compared = {name for step in SCENES for name in STEPS[step]}
    names_only = {name for name in NAMES if _is_made_of_names(name)}
    counts = {
        "files": len(FILES),
        "sent by a program as recorded": len(compared - {*_UNSENT, *_DIFFERENT}),
        "sent with a difference that has a reason": len(_DIFFERENT),
        "not sent, for a reason": len(_UNSENT),
        "spoken over a WebSocket as recorded": len(_ELSEWHERE),
        "made of names, compared with the model": len(names_only),
    }
    print(counts)  # noqa: T201
    assert sum(counts.values()) == 2 * len(FILES)
    assert {*compared, *_ELSEWHERE, *names_only} == set(FILES)


def test_the_tables_name_what_exists() -> None:
    known = {field.name for kind in ACTIONS.values() for field in fields(kind)}
    tables = [*_OTHERWISE.values(), *_DIFFERENT.values(), *_REWRITTEN.values()]
    parameters = {name for table in tables for name in table} - {"Authorization"}
    assert parameters <= known
    assert {*_UNSENT, *_DIFFERENT, *_REWRITTEN} <= set(NAMES)
    assert {*SCENES, *_ADDED} <= set(STEPS)
    assert not set(_UNSENT) & set(_DIFFERENT)


# -- beside the recordings -------------------------------------------------------------


async def test_a_later_page_is_asked_for_with_the_token_of_the_one_before() -> None:
    pages = iter([{"NextToken": "nt-1"}, {}])
    service = Service(lambda _: ok([], **next(pages)))
    result = await client(service).list({"env": "dev"}, 2, 5)
    assert result.success
    assert [sent.form.get("NextToken") for sent in service.sent] == [None, "nt-1"]


async def test_two_requests_have_different_nonces() -> None:
    service = Service(by_action({}))
    session = session_of(service)
    await session.get_labels()
    await session.get_labels()
    first, second = (request.url.params["SignatureNonce"] for request in service.requests)
    assert first != second
    assert len(first) == len(second) == 32


async def test_the_time_of_a_request_is_written_as_recorded() -> None:
    service = Service(by_action({}))
    await session_of(service).get_labels()
    (request,) = service.requests
    assert len(request.url.params["Timestamp"]) == len("2026-11-21T19:59:00Z")
    assert (request.url.params["Format"], request.url.params["Version"]) == ("json", "2025-05-06")
    assert request.headers["host"] == ENDPOINT
    assert "authorization" not in request.headers


async def test_a_tool_is_called_on_the_server_that_the_service_named() -> None:
    tools = json.dumps([{"name": "shell", "server": "wuying_shell"}])
    service = Service(
        by_action(
            {
                "GetSession": lambda: ok({"SessionId": "s-1", "ToolList": tools}),
                "CallMcpTool": lambda: tool_says(""),
            }
        )
    )
    session = (await client(service).get("s-1")).unwrap()
    await session.command.run("ls")
    assert service.sent[-1].form["Server"] == "wuying_shell"


async def test_a_router_of_respx_can_stand_in_for_the_service() -> None:
    router = respx.MockRouter(assert_all_called=True)
    route = router.post(
        f"https://{ENDPOINT}/",
        params__contains={"Action": "GetLink"},
        data__contains={"Port": "30100"},
    )
    route.respond(json={"RequestId": "r-9", "Data": {"Url": "https://x"}})
    transport = httpx.MockTransport(router.async_handler)
    link = await AsyncSession(
        AsyncAgentBay(KEY, endpoint=ENDPOINT, transport=transport), "s-1"
    ).get_link(port=30100)
    assert (link.data, link.request_id) == ("https://x", "r-9")
