"""The life of sessions, as a user of the client sees it."""

from __future__ import annotations

import time
from typing import Any

import anyio
import httpx
import pytest

from agentbay import (
    AsyncAgentBay,
    AsyncSession,
    CreateSessionParams,
    InvalidInputError,
    RequestTimeoutError,
    SessionError,
    SessionNotFoundError,
    ToolError,
)
from agentbay.protocol import application, computer, ui, window
from agentbay.protocol._calls import TOOLS

from ..local.sandboxes import processes_with, until
from . import file_server
from .observing import CountingTransport, session_directories, session_processes, shell

UNKNOWN = "session-00000000000000000"

# Arguments with which each tool works, in the order of the calls.
TOOL_CALLS: dict[str, dict[str, Any]] = {
    "shell": {"command": file_server.SERVE},
    "create_directory": {"path": "/tmp/tools"},
    "write_file": {"path": "/tmp/tools/a.txt", "content": "red"},
    "read_file": {"path": "/tmp/tools/a.txt"},
    "read_multiple_files": {"paths": ["/tmp/tools/a.txt"]},
    "edit_file": {"path": "/tmp/tools/a.txt", "edits": [{"oldText": "red", "newText": "blue"}]},
    "get_file_info": {"path": "/tmp/tools/a.txt"},
    "list_directory": {"path": "/tmp/tools"},
    "search_files": {"path": "/tmp/tools", "pattern": "a"},
    "get_file_change": {"path": "/tmp/tools"},
    "oss_env_init": {"access_key_id": "key", "access_key_secret": "secret"},
    "oss_upload": {"bucket": "tools", "object": "a", "path": "/tmp/tools/a.txt"},
    "oss_download": {"bucket": "tools", "object": "a", "path": "/tmp/tools/c.txt"},
    "oss_upload_annon": {"url": file_server.URL, "path": "/tmp/tools/a.txt"},
    "oss_download_annon": {"url": file_server.URL, "path": "/tmp/tools/d.txt"},
    "move_file": {"source": "/tmp/tools/a.txt", "destination": "/tmp/tools/b.txt"},
    "delete_file": {"path": "/tmp/tools/b.txt"},
    "set_env": {"envs": [{"key": "COLOUR", "value": "green"}]},
    "get_env": {},
    "get_metrics": {},
    "run_code": {"code": "1 + 1", "language": "python"},
}

_DESKTOP = (application, computer, ui, window)
DESKTOP_TOOLS = {
    name for name, kind in TOOLS.items() if kind.__module__ in [m.__name__ for m in _DESKTOP]
}

MEMBERS = [
    *("session_id", "resource_url", "token", "is_vpc", "http_port", "network_interface_ip"),
    *("mcp_tools", "enableBrowserReplay", "record_context_id", "file_transfer_context_id"),
    *("get_api_key", "get_client", "get_agent_bay", "get_session_id", "get_token"),
    *("get_http_port", "get_network_interface_ip", "is_vpc_enabled", "find_server_for_tool"),
    *("delete", "info", "set_labels", "get_labels", "get_link"),
    *("list_mcp_tools", "call_mcp_tool", "command", "context", "file_system"),
]


def _labelled(**labels: str) -> CreateSessionParams:
    return CreateSessionParams(labels=labels)


# -- create, get, list -----------------------------------------------------------------


async def test_a_created_session_is_found_by_its_id(bay: AsyncAgentBay) -> None:
    result = await bay.create()
    created = result.unwrap()

    assert result.success
    assert result.request_id
    found = (await bay.get(created.session_id)).unwrap()
    assert found.session_id == created.session_id == found.get_session_id()
    assert found.image_id == "linux_latest"
    assert found.resource_url == created.resource_url
    assert await shell(found, "echo hello") == "hello\n"
    assert (await bay.delete(created)).success


async def test_two_sessions_do_not_see_each_others_files(bay: AsyncAgentBay) -> None:
    async with bay.session() as one, bay.session() as other:
        await one.file_system.write_file("/tmp/mine.txt", "secret")

        assert not (await other.file_system.read_file("/tmp/mine.txt")).success


async def test_sessions_are_listed_by_their_labels(bay: AsyncAgentBay) -> None:
    both = {"suite": "labels", "part": "a"}
    async with (
        bay.session(CreateSessionParams(labels=both)) as one,
        bay.session(_labelled(suite="labels", part="b")) as other,
        bay.session() as plain,
    ):
        everything = {str(entry) async for entry in bay.list_all()}
        suite = (await bay.list({"suite": "labels"})).session_ids

        assert {one.session_id, other.session_id, plain.session_id} <= everything
        assert suite == [one.session_id, other.session_id]
        assert (await bay.list(both)).session_ids == [one.session_id]
        assert (await bay.list({"suite": "none"})).session_ids == []


async def test_pages_of_a_list_follow_each_other(bay: AsyncAgentBay) -> None:
    params = _labelled(suite="paging")
    async with bay.session(params) as first, bay.session(params) as second:
        pages = [await bay.list({"suite": "paging"}, page=page, limit=1) for page in (1, 2)]

        assert [page.session_ids for page in pages] == [[first.session_id], [second.session_id]]
        assert [page.total_count for page in pages] == [2, 2]
        assert [page.max_results for page in pages] == [1, 1]
        assert pages[0].next_token
        assert not pages[1].next_token


async def test_a_page_past_the_end_is_an_error(bay: AsyncAgentBay) -> None:
    async with bay.session(_labelled(suite="past")):
        result = await bay.list({"suite": "past"}, page=3, limit=1)

        assert not result.success
        assert isinstance(result.error, InvalidInputError)
        assert "page 1 is the last one" in result.error_message


@pytest.mark.parametrize("wrong", [{"page": 0}, {"page": -1}, {"limit": 0}, {"limit": True}])
async def test_a_page_that_cannot_be_is_refused(bay: AsyncAgentBay, wrong: dict[str, int]) -> None:
    result = await bay.list(**wrong)  # type: ignore[arg-type]  # wrong on purpose

    assert isinstance(result.error, InvalidInputError)


async def test_a_list_entry_tells_state_and_image(bay: AsyncAgentBay) -> None:
    async with bay.session(_labelled(suite="entry")):
        (entry,) = (await bay.list({"suite": "entry"}, status="RUNNING")).unwrap()

        assert entry.status == "RUNNING"
        assert entry.image_id == "linux_latest"
        assert (await bay.list({"suite": "entry"}, status="PAUSED")).session_ids == []
        assert (await bay.list({"suite": "entry"}, image_id="windows_latest")).session_ids == []


async def test_an_unknown_state_is_refused_with_those_that_exist(bay: AsyncAgentBay) -> None:
    result = await bay.list(status="ASLEEP")

    assert isinstance(result.error, InvalidInputError)
    assert "RUNNING" in result.error_message


@pytest.mark.engine_only
@pytest.mark.parametrize(
    ("params", "named"),
    [
        (CreateSessionParams(image_id="windows_latest"), ["windows_latest", "linux_latest"]),
        (CreateSessionParams(policy_id="policy-1"), ["McpPolicyId: policies", "leave it out"]),
        (CreateSessionParams(enable_browser_replay=True), ["EnableRecord: ", "leave it out"]),
    ],
)
async def test_what_the_engine_does_not_have_is_refused_and_leaves_nothing(
    bay: AsyncAgentBay, params: CreateSessionParams, named: list[str]
) -> None:
    before = session_directories()

    result = await bay.create(params)

    assert not result.success
    assert result.session is None
    assert [part for part in named if part not in result.error_message] == []
    assert result.code
    assert session_directories() == before


# -- delete ----------------------------------------------------------------------------


async def test_deleting_twice_succeeds(bay: AsyncAgentBay) -> None:
    session = (await bay.create()).unwrap()

    assert (await session.delete()).success
    assert (await session.delete()).success
    assert (await session.delete(sync_context=True)).success


@pytest.mark.engine_only
async def test_a_deleted_session_leaves_no_process_and_no_directory(bay: AsyncAgentBay) -> None:
    session = (await bay.create()).unwrap()
    marker = f"4242.{time.time_ns()}"
    await shell(session, f"sleep {marker} & (setsid sleep {marker} &) ; true")

    async def both_run() -> bool:
        return len(processes_with(marker)) == 2

    await until(both_run, 30)
    assert session.session_id in session_directories()

    assert (await session.delete()).success

    assert processes_with(marker) == []
    assert processes_with(session.session_id) == []
    assert session.session_id not in session_directories()
    assert session.session_id not in [str(entry) async for entry in bay.list_all()]


async def test_everything_fails_clearly_after_delete(bay: AsyncAgentBay) -> None:
    session = (await bay.create()).unwrap()
    await session.delete()

    await _expect_not_found(bay, session)


async def test_everything_fails_clearly_for_an_unknown_session(bay: AsyncAgentBay) -> None:
    await _expect_not_found(bay, AsyncSession(bay, UNKNOWN))


async def _expect_not_found(bay: AsyncAgentBay, session: AsyncSession) -> None:
    results = [
        await bay.get(session.session_id),
        await session.command.run("true"),
        await session.file_system.read_file("/etc/passwd"),
        await session.call_mcp_tool("shell", {"command": "true"}),
        await session.context.info(),
        await session.context.sync(),
    ]
    for result in results:
        assert not result.success
        assert isinstance(result.error, SessionNotFoundError)
        assert result.code == "InvalidMcpSession.NotFound"
        assert result.request_id
    for call in (session.info, session.get_link, session.get_labels):
        with pytest.raises(SessionError, match="not found") as caught:
            await call()
        assert caught.value.code == "InvalidMcpSession.NotFound"
    assert (await session.delete()).success


async def test_a_blank_session_id_is_refused(bay: AsyncAgentBay) -> None:
    assert isinstance((await bay.get(" ")).error, InvalidInputError)


# -- the block form --------------------------------------------------------------------


@pytest.mark.engine_only
async def test_a_block_deletes_its_session(bay: AsyncAgentBay) -> None:
    async with bay.session() as session:
        assert session.session_id in session_directories()

    assert session.session_id not in session_directories()


@pytest.mark.engine_only
async def test_a_block_deletes_its_session_and_lets_the_error_out(bay: AsyncAgentBay) -> None:
    class MineError(Exception):
        pass

    seen: list[str] = []

    async def use() -> None:
        async with bay.session() as session:
            seen.append(session.session_id)
            raise MineError

    with pytest.raises(MineError):
        await use()
    assert seen[0] not in session_directories()


@pytest.mark.engine_only
async def test_a_cancelled_block_deletes_its_session(bay: AsyncAgentBay) -> None:
    seen: list[str] = []
    with anyio.CancelScope() as scope:
        async with bay.session() as session:
            seen.append(session.session_id)
            scope.cancel()
            await session.command.run("sleep 30")

    assert scope.cancelled_caught
    assert seen[0] not in session_directories()


async def test_a_block_whose_session_is_gone_already_ends_well(bay: AsyncAgentBay) -> None:
    async with bay.session() as session:
        await session.delete()


async def test_a_block_without_a_session_raises_the_reason(bay: AsyncAgentBay) -> None:
    with pytest.raises(Exception, match="windows_latest"):
        async with bay.session(CreateSessionParams(image_id="windows_latest")):
            pytest.fail("there is no such session")


@pytest.mark.engine_only
@pytest.mark.parametrize("delay", [0.0, 0.002, 0.01, 0.03, 0.06, 0.1])
async def test_a_cancelled_create_leaves_no_session(bay: AsyncAgentBay, delay: float) -> None:
    before = session_directories()
    created: list[AsyncSession] = []

    with anyio.move_on_after(delay):
        created.append((await bay.create(_labelled(suite="cancelled"))).unwrap())
    for session in created:  # the machine was faster than the delay
        await session.delete()
    await bay.aclose()  # waits until what was cancelled is undone

    assert (await bay.list({"suite": "cancelled"})).session_ids == []
    assert session_directories() == before
    assert before or session_processes() == []


# -- labels ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "labels",
    [
        None,
        [],
        {},
        "a",
        [("a", "b")],
        {"": "x"},
        {" ": "x"},
        {"x": ""},
        {"x": "\t"},
        {"x": 1},
        {"x": None},
        {1: "x"},
    ],
    ids=repr,
)
async def test_labels_that_cannot_be_used_are_refused_before_sending(
    counted: AsyncSession, transport: CountingTransport, labels: Any
) -> None:
    with pytest.raises(SessionError):
        await counted.set_labels(labels)

    assert transport.actions == []


async def test_labels_are_replaced_as_a_whole(session: AsyncSession) -> None:
    await session.set_labels({"a": "1", "b": "2"})
    first = await session.get_labels()
    await session.set_labels({"größe 📏": "žluťoučký kůň & 100% = {\"q\": '1'}\n"})

    assert first.success
    assert first.data == {"a": "1", "b": "2"}
    assert (await session.get_labels()).data == {
        "größe 📏": "žluťoučký kůň & 100% = {\"q\": '1'}\n"
    }


async def test_labels_given_at_creation_are_kept(bay: AsyncAgentBay) -> None:
    async with bay.session(_labelled(project="demo")) as session:
        assert (await session.get_labels()).unwrap() == {"project": "demo"}


async def test_a_session_without_labels_has_an_empty_set(session: AsyncSession) -> None:
    assert (await session.get_labels()).unwrap() == {}


# -- info and links --------------------------------------------------------------------


async def test_info_tells_where_the_session_is(session: AsyncSession) -> None:
    result = await session.info()
    info = result.unwrap()

    assert result.request_id
    assert info.session_id == session.session_id
    assert info.resource_type == "Desktop"
    assert info.resource_url == session.resource_url
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        page = await http.get(info.resource_url)
    assert page.status_code == 200
    assert session.session_id in page.text


async def test_the_page_of_a_session_shows_labels_as_text(bay: AsyncAgentBay) -> None:
    async with bay.session(_labelled(name="<script>alert(1)</script>")) as session:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
            page = await http.get(session.resource_url)

        assert "&lt;script&gt;" in page.text
        assert "<script>" not in page.text


@pytest.mark.parametrize("port", [30099, 30200, 0, -1, True, "30150", 30150.0], ids=repr)
async def test_a_port_that_cannot_be_linked_is_refused_before_sending(
    counted: AsyncSession, transport: CountingTransport, port: Any
) -> None:
    with pytest.raises(SessionError, match=r"\[30100, 30199\]"):
        await counted.get_link(port=port)

    assert transport.actions == []


@pytest.mark.parametrize("options", ["{", "a=1", {"a": 1}, 5], ids=repr)
async def test_options_of_a_link_that_are_not_json_are_refused_before_sending(
    counted: AsyncSession, transport: CountingTransport, options: Any
) -> None:
    with pytest.raises(SessionError, match="options must be JSON text"):
        await counted.get_link(options=options)

    assert transport.actions == []


@pytest.mark.engine_only
@pytest.mark.parametrize("port", [30100, 30199])
async def test_the_outermost_ports_can_be_linked(session: AsyncSession, port: int) -> None:
    assert (await session.get_link(port=port)).unwrap().startswith("http://")


@pytest.mark.parametrize(("protocol", "port"), [("http", 30150), ("ftp", 30150), ("https", None)])
async def test_a_protocol_that_cannot_be_linked_is_refused(
    session: AsyncSession, protocol: str, port: int | None
) -> None:
    with pytest.raises(SessionError) as caught:
        await session.get_link(protocol_type=protocol, port=port)

    assert caught.value.code == "InvalidParameter"
    assert caught.value.request_id


async def test_the_session_itself_has_a_link(session: AsyncSession) -> None:
    link = (await session.get_link()).data
    assert link == (await session.info()).unwrap().resource_url


# -- tools -----------------------------------------------------------------------------


@pytest.mark.engine_only
async def test_each_listed_tool_can_be_called(session: AsyncSession) -> None:
    tools = (await session.list_mcp_tools()).unwrap()

    # Those of the desktop need its programs: test_windows has them.
    assert {tool.name for tool in tools} - DESKTOP_TOOLS == TOOL_CALLS.keys()
    for name, arguments in TOOL_CALLS.items():
        result = await session.call_mcp_tool(name, arguments)
        assert result.success, (name, result.error_message)


@pytest.mark.engine_only
async def test_the_schema_of_a_tool_tells_its_arguments(session: AsyncSession) -> None:
    tools = {tool.name: tool for tool in (await session.list_mcp_tools()).unwrap()}

    for name, arguments in TOOL_CALLS.items():
        tool = tools[name]
        schema = tool.input_schema
        assert schema["type"] == "object"
        assert set(schema["required"]) == arguments.keys(), name
        assert arguments.keys() <= schema["properties"].keys()
        for description in schema["properties"].values():
            assert description["type"] in ("string", "integer", "boolean", "array", "object")
            assert description["description"]
        assert tool.description
        assert tool.server
    edits = tools["edit_file"].input_schema["properties"]["edits"]
    assert set(edits["items"]["required"]) == {"oldText", "newText"}


@pytest.mark.engine_only
async def test_a_tool_without_a_required_argument_says_which(session: AsyncSession) -> None:
    for name, arguments in TOOL_CALLS.items():
        for missing in arguments:
            given = {key: value for key, value in arguments.items() if key != missing}
            result = await session.call_mcp_tool(name, given)

            assert not result.success
            assert isinstance(result.error, ToolError)
            assert missing in result.error_message


async def test_the_shell_tool_runs_a_command(session: AsyncSession) -> None:
    result = await session.call_mcp_tool(
        "shell", {"command": "echo $((6*7))", "timeout_ms": 30_000}
    )

    assert result.success
    assert "42" in result.data


async def test_an_unknown_tool_is_an_error_that_names_it(session: AsyncSession) -> None:
    result = await session.call_mcp_tool("fly", {})

    assert isinstance(result.error, ToolError)
    assert "fly" in result.error_message
    assert result.data == ""


async def test_an_argument_of_the_wrong_kind_is_an_error(session: AsyncSession) -> None:
    result = await session.call_mcp_tool("shell", {"command": ["ls"]})

    assert isinstance(result.error, ToolError)
    assert "command" in result.error_message


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, b"x", float("nan")], ids=["object", "set", "bytes", "nan"]
)
async def test_arguments_that_are_not_json_are_refused_before_sending(
    counted: AsyncSession, transport: CountingTransport, value: object
) -> None:
    result = await counted.call_mcp_tool("shell", {"command": value})

    assert isinstance(result.error, InvalidInputError)
    assert transport.actions == []


@pytest.mark.engine_only
async def test_the_read_timeout_is_in_seconds_and_ends_the_command(session: AsyncSession) -> None:
    marker = f"77.{time.time_ns()}"
    call = {"command": f"sleep {marker}", "timeout_ms": 50_000}
    with anyio.fail_after(30):
        result = await session.call_mcp_tool("shell", call, read_timeout=1)

        assert isinstance(result.error, RequestTimeoutError)
        assert "1 s" in result.error_message

    async def gone() -> bool:
        return processes_with(marker) == []

    await until(gone, 30)


@pytest.mark.engine_only
async def test_the_server_of_a_tool_is_known(session: AsyncSession) -> None:
    assert session.find_server_for_tool("shell") == "wuying_shell"
    assert session.find_server_for_tool("fly") == ""
    for tool in (await session.list_mcp_tools()).unwrap():
        assert session.find_server_for_tool(tool.name) == tool.server


async def test_the_tools_of_an_unknown_image_are_refused(session: AsyncSession) -> None:
    result = await session.list_mcp_tools("windows_latest")

    assert not result.success
    assert "windows_latest" in result.error_message


# -- members ---------------------------------------------------------------------------


async def test_a_session_has_the_members_that_programs_use(session: AsyncSession) -> None:
    assert [name for name in MEMBERS if not hasattr(session, name)] == []


async def test_a_session_outside_of_a_private_network_says_so(session: AsyncSession) -> None:
    assert session.is_vpc_enabled() is session.is_vpc is False
    assert session.get_network_interface_ip() == session.get_http_port() == ""
    assert session.get_token() == session.token
    assert session.enableBrowserReplay is False
    assert session.get_agent_bay() is session.agent_bay
    assert session.get_client() is session.agent_bay.client
