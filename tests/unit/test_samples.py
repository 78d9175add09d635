"""Our requests against recorded ones: the same actions, names, places and encodings."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
import respx

from agentbay import AsyncAgentBay, AsyncSession, ContextSync, CreateSessionParams
from agentbay.protocol import bindings, browser, context_files, contexts, network, sessions, skills
from agentbay.protocol._calls import ACTIONS
from agentbay.protocol._wire import fields

from .service import ENDPOINT, KEY, Sent, Service, by_action, client, ok, session_of, tool_says

# Most tests drop their client rather than close it, which trio reports.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")

SAMPLES = Path(__file__).parent.parent / "data" / "samples"
NAMES = sorted(str(path.relative_to(SAMPLES)) for path in SAMPLES.glob("*/*.http"))

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

# Modules whose import makes their actions known.
_MODULES = (bindings, browser, context_files, contexts, network, sessions, skills)

# Parameters that are not the same after a request was read and written again, and why.
_DIFFERENT = {
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

# A parameter that the model of an action names and no recorded client fills in by itself.
_NEVER_SENT = {("CallMcpTool", "Tool")}


def _is_placeholder(name: str) -> bool:
    return "allfields" in name and name.endswith(tuple(f"-{a}.http" for a in _PLACEHOLDERS))


def _read(name: str) -> Sent:
    head, _, body = (SAMPLES / name).read_bytes().decode().partition("\r\n\r\n")
    return Sent.read(head.split()[1], body)


def _plain(value: Any) -> Any:
    """JSON text, at any depth, as what it stands for."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, str) and value[:1] in ("{", "["):
        return _plain(json.loads(value))
    return value


def _without_key(parameters: dict[str, str]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in parameters.items() if name != "Authorization"}


def test_there_are_samples_of_every_action() -> None:
    assert {_read(name).action for name in NAMES} == set(ACTIONS)


@pytest.mark.parametrize("name", [name for name in NAMES if not _is_placeholder(name)])
def test_a_recorded_request_is_written_as_it_was_read(name: str) -> None:
    sample = _read(name)
    request = ACTIONS[sample.action].from_parameters(sample.parameters)
    query, form = _without_key(sample.query), _without_key(sample.form)
    ours = {key: _plain(value) for key, value in request.form().items()}
    for parameter in _DIFFERENT.get(name, {}):
        assert form.pop(parameter, None) != ours.pop(parameter)
    assert ours == form
    assert request.query() == query


@pytest.mark.parametrize("name", NAMES)
def test_every_recorded_parameter_is_known_in_its_place(name: str) -> None:
    sample = _read(name)
    known = fields(ACTIONS[sample.action])
    in_query = {field.name for field in known if field.query}
    in_form = {field.name for field in known if not field.query}
    assert set(_without_key(sample.query)) <= in_query
    sent = {name.partition(".")[0] for name in _without_key(sample.form)}
    assert {name for name in sent if (sample.action, name) not in _NEVER_SENT} <= in_form


# -- what the methods of the client send -----------------------------------------------

Call = Callable[[AsyncSession], Awaitable[Any]]

_ALL_POLICY = contexts.SyncPolicy(
    upload_policy=contexts.UploadPolicy(
        upload_mode=contexts.UploadMode.ARCHIVE, archive_exclude_paths=["/x"]
    ),
    recycle_policy=contexts.RecyclePolicy(contexts.Lifecycle.LIFECYCLE_1DAY, ["/tmp/cache"]),
    bw_list=contexts.BWList([contexts.WhiteList("/a", ["/a/b"])]),
    mapping_policy=contexts.MappingPolicy("/m"),
)
_ALL_PARAMS = CreateSessionParams(
    labels={"env": "dev", "名": "值 &="},
    image_id="linux_latest",
    context_syncs=[
        ContextSync("ctx-1", "/home/wuying", _ALL_POLICY, beta_wait_for_completion=False),
        ContextSync("ctx-2", "/nopolicy", beta_wait_for_completion=False),
    ],
    policy_id="pol-1",
    enable_browser_replay=True,
    framework="langchain",
)

# Of `create`, with everything: parameters of the sample that this client has no argument for.
_NO_ARGUMENT = {"LoadSkill", "MaxRuntime", "NetworkId", "Skills", "Timeout"}

_SAME: dict[str, Call] = {
    "001-create-default-CreateMcpSession": lambda s: s.agent_bay.create(),
    "015-get-GetSession": lambda s: s.agent_bay.get("s-000001"),
    "017-list-ListSession": lambda s: s.agent_bay.list(),
    "018-list-all-options-page2-ListSession": lambda s: s.agent_bay.list(
        {"env": "dev"}, 1, 5, "RUNNING", "linux_latest"
    ),
    "022-set-labels-SetLabel": lambda s: s.set_labels({"project": "demo", "a": "b c"}),
    "023-get-labels-GetLabel": lambda s: s.get_labels(),
    "024-info-GetMcpResource": lambda s: s.info(),
    "025-get-link-default-GetLink": lambda s: s.get_link(),
    "026-get-link-all-GetLink": lambda s: s.get_link("https", 30199, '{"k":1}'),
    "027-list-mcp-tools-ListMcpTools": lambda s: s.list_mcp_tools(),
    "028-call-tool-api-CallMcpTool": lambda s: s.call_mcp_tool(
        "shell", {"command": 'echo 你好 & "q"', "timeout_ms": 1000}
    ),
    "029-call-tool-api-error-CallMcpTool": lambda s: s.call_mcp_tool("fail", {}),
    "030-call-tool-api-autogen-CallMcpTool": lambda s: s.call_mcp_tool(
        "shell", {"command": "x"}, auto_gen_session=True
    ),
    "031-command-CallMcpTool": lambda s: s.command.run("ls", 5000, "/tmp", {"A": "1"}),
    "033-fs-write-CallMcpTool": lambda s: s.file_system.write_file("/tmp/a", "héllo"),
    "046-ctx-create-GetContext": lambda s: s.agent_bay.context.create("my ctx"),
    "047-ctx-get-name-GetContext": lambda s: s.agent_bay.context.get("my ctx"),
    "048-ctx-get-id-GetContext": lambda s: s.agent_bay.context.get(context_id="ctx-1"),
    "049-ctx-list-ListContexts": lambda s: s.agent_bay.context.list(),
    "051-ctx-update-ModifyContext": lambda s: s.agent_bay.context.update(
        contexts.Context("ctx-1", "new")
    ),
    "054-ctx-delete-DeleteContext": lambda s: s.agent_bay.context.delete(
        contexts.Context("ctx-1", "old")
    ),
    "060-sctx-info-GetContextInfo": lambda s: s.context.info(),
    "061-sctx-info-all-GetContextInfo": lambda s: s.context.info("ctx-1", "/p", "upload"),
    "062-sctx-sync-SyncContext": lambda s: s.context.sync(),
    "064-sctx-sync-all-SyncContext": lambda s: s.context.sync("ctx-1", "/p", "upload"),
}

_STATUS = [{"contextId": "ctx-1", "path": "/p", "status": "Success", "taskType": "upload"}]
_REPLIES = {
    "CreateMcpSession": lambda: ok({"SessionId": "s-000001"}),
    "GetSession": lambda: ok({"SessionId": "s-000001"}),
    "GetLink": lambda: ok({"Url": "https://link"}),
    "GetMcpResource": lambda: ok({"SessionId": "s-000001"}),
    "GetContext": lambda: ok({"Id": "ctx-1", "Name": "my ctx"}),
    "CallMcpTool": lambda: tool_says(""),
    "GetContextInfo": lambda: ok(
        {"ContextStatus": json.dumps([{"type": "data", "data": json.dumps(_STATUS)}])}
    ),
}


def _as_recorded(sent: Sent, sample: Sent) -> None:
    """The same action and the same parameters in the same places, the credential included."""
    assert sent.action == sample.action
    assert _without_key(sent.query) == _without_key(sample.query)
    theirs, ours = _without_key(sample.form), _without_key(sent.form)
    for stats in (theirs.get("SdkStats"), ours.get("SdkStats")):
        if stats is not None:
            del stats["sdk_version"], stats["is_release"]  # facts about the client itself
    assert ours == theirs


@pytest.mark.parametrize("name", _SAME)
async def test_a_method_sends_what_was_recorded(name: str) -> None:
    service = Service(by_action(_REPLIES))
    await _SAME[name](session_of(service))
    _as_recorded(service.sent[0], _read(f"0.22-async/{name}.http"))


@pytest.mark.parametrize("name", _SAME)
async def test_every_method_sends_its_key_in_the_form_only(name: str) -> None:
    # Recorded clients put the key of SyncContext into the URL, where access logs keep it.
    service = Service(by_action(_REPLIES))
    await _SAME[name](session_of(service))
    for sent, request in zip(service.sent, service.requests, strict=True):
        assert sent.form["Authorization"] == f"Bearer {KEY}"
        assert KEY not in str(request.url)
        assert KEY not in str(request.headers.raw)


async def test_create_with_everything_sends_what_was_recorded() -> None:
    service = Service(by_action(_REPLIES))
    (await client(service).create(_ALL_PARAMS)).unwrap()
    sample = _read("0.22-async/002-create-all-CreateMcpSession.http")
    form = {name: value for name, value in sample.form.items() if name not in _NO_ARGUMENT}
    items = json.loads(form["PersistenceDataList"])[:2]  # the others stand for later modules
    form["PersistenceDataList"] = json.dumps(items)
    _as_recorded(service.sent[0], attrs.evolve(sample, form=form))


async def test_a_later_page_is_asked_for_with_the_token_of_the_one_before() -> None:
    pages = iter([{"NextToken": "nt-1"}, {}])
    service = Service(lambda _: ok([], **next(pages)))
    result = await client(service).list({"env": "dev"}, 2, 5, "RUNNING", "linux_latest")
    assert result.success
    first, second = service.sent
    _as_recorded(first, _read("0.22-async/018-list-all-options-page2-ListSession.http"))
    _as_recorded(second, _read("0.22-async/019-list-all-options-page2-ListSession.http"))


async def test_contexts_of_a_page_are_asked_for_as_recorded() -> None:
    service = Service(by_action({"ListContexts": lambda: ok([])}))
    await client(service).context.list(max_results=3, next_token="nt")
    sample = _read("0.22-async/050-ctx-list-all-ListContexts.http")
    # The account's contexts are listed, so no session is named.
    form = {name: value for name, value in sample.form.items() if name != "SessionId"}
    _as_recorded(service.sent[0], attrs.evolve(sample, form=form))


async def test_sync_asks_for_the_transfers_that_it_started() -> None:
    service = Service(by_action(_REPLIES))
    await session_of(service).context.sync("ctx-1", "/p", "upload")
    sample = _read("0.22-async/065-sctx-sync-all-GetContextInfo.http")
    # The direction is named, so that an older transfer the other way does not count.
    form = {**sample.form, "TaskType": "upload"}
    assert service.actions == ["SyncContext", "GetContextInfo"]
    _as_recorded(service.sent[1], attrs.evolve(sample, form=form))


async def test_delete_releases_the_session() -> None:
    # The contract names this action; later clients call DeleteSessionAsync and then wait.
    service = Service(by_action(_REPLIES))
    assert (await session_of(service).delete()).success
    (sent,) = service.sent
    sample = _read("0.10/067-delete-ReleaseMcpSession.http")
    _as_recorded(sent, attrs.evolve(sample, form={**sample.form, "SessionId": "s-000001"}))


@pytest.mark.parametrize("format", ["text", "bytes"])
async def test_a_file_is_read_as_base64_without_asking_for_its_size(format: Any) -> None:
    # Recorded clients ask get_file_info first and read text as text; a character that lies
    # across two ranges, and a file that tells no size, would come out wrong.
    service = Service(by_action({"CallMcpTool": lambda: tool_says("aGVsbG8=")}))
    await session_of(service).file_system.read_file("/tmp/a", format=format)
    (sent,) = service.sent
    sample = _read("0.22-async/037-fs-read-bytes-CallMcpTool.http")
    args = {**json.loads(sample.form["Args"]), "length": 45 * 1024}
    form = {**sample.form, "Args": json.dumps(args)}
    _as_recorded(sent, attrs.evolve(sample, form=form))


async def test_the_frame_of_a_request_is_the_recorded_one() -> None:
    service = Service(by_action(_REPLIES))
    await session_of(service).get_labels()
    (request,) = service.requests
    raw = (SAMPLES / "0.22-async/023-get-labels-GetLabel.http").read_bytes().decode()
    line, *headers = raw.partition("\r\n\r\n")[0].split("\r\n")
    recorded = httpx.URL(line.split()[1]).params
    pairs = dict(header.split(": ", 1) for header in headers)
    assert (request.method, request.url.path) == ("POST", "/")
    assert list(request.url.params) == list(recorded)
    for name in ("Action", "Format", "Version"):
        assert request.url.params[name] == recorded[name]
    for name in ("Timestamp", "SignatureNonce"):
        assert len(request.url.params[name]) == len(recorded[name])
    for name in ("x-acs-version", "x-acs-action", "content-type"):
        assert request.headers[name] == pairs[name]
    assert request.headers["host"] == ENDPOINT
    assert "authorization" not in request.headers


async def test_two_requests_have_different_nonces() -> None:
    service = Service(by_action(_REPLIES))
    session = session_of(service)
    await session.get_labels()
    await session.get_labels()
    first, second = (request.url.params["SignatureNonce"] for request in service.requests)
    assert first != second


async def test_a_tool_is_called_on_the_server_that_the_service_named() -> None:
    tools = json.dumps([{"name": "shell", "server": "wuying_shell"}])
    replies = {**_REPLIES, "GetSession": lambda: ok({"SessionId": "s-1", "ToolList": tools})}
    service = Service(by_action(replies))
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


def test_the_exceptions_name_samples_and_parameters_that_exist() -> None:
    known = {
        field.name for kind in (sessions.CallTool, sessions.CreateSession) for field in fields(kind)
    }
    assert set(_DIFFERENT) <= set(NAMES)
    assert {name for names in _DIFFERENT.values() for name in names} <= known
