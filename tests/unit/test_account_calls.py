"""What the client does for programs of the first generation, and the names that are beta."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from agentbay import AgentBay, AsyncSession, BetaNamespace, GetSessionResult, ListSessionParams

from .service import ENDPOINT, KEY, Service, always, by_action, client, ok, session_of

ENTRY = {"SessionId": "s-1", "SessionStatus": "RUNNING", "ImageId": "i", "AppInstanceId": "a"}


@pytest.mark.parametrize(
    ("params", "labels", "size", "token"),
    [
        (None, {}, "10", None),
        ({"a": "b"}, {"a": "b"}, "10", None),
        (ListSessionParams(5, "next", {"a": "b"}), {"a": "b"}, "5", "next"),
    ],
)
async def test_a_page_is_found_by_labels(
    params: ListSessionParams | Mapping[str, str] | None,
    labels: dict[str, str],
    size: str,
    token: str | None,
) -> None:
    service = Service(always(lambda: ok([ENTRY], NextToken="more", TotalCount=9)))
    result = await client(service).list_by_labels(params)
    assert service.actions == ["ListSession"]
    sent = service.sent[0].parameters
    assert json.loads(sent["Labels"]) == labels
    assert (sent["MaxResults"], sent.get("NextToken")) == (size, token)
    assert result.session_ids == ["s-1"]
    assert result.session_ids[0]["sessionStatus"] == "RUNNING"
    assert (result.next_token, result.max_results, result.total_count) == ("more", int(size), 9)


async def test_labels_that_are_none_are_refused_before_anything_is_sent() -> None:
    service = Service(always(ok))
    result = await client(service).list_by_labels({"": "b"})
    assert (result.success, service.actions) == (False, [])


async def test_get_session_tells_everything() -> None:
    data = {
        "SessionId": "s-1", "AppInstanceId": "a", "ResourceId": "r", "Success": True,
        "HttpPort": "80", "NetworkInterfaceIp": "10.0.0.1", "Token": "secret",
        "LinkUrl": "https://link", "WsUrl": "wss://ws", "VpcResource": True, "VpcIp": "10.0.0.2",
        "VpcId": "v", "ResourceUrl": "https://r", "Status": "RUNNING",
        "ToolList": '[{"name": "shell", "server": "wuying_shell"}]',
        "contexts": [{"id": "c", "name": "n"}],
    }  # fmt: skip
    service = Service(always(lambda: ok(data)))
    result = await client(service).get_session("s-1")
    known = result.unwrap()
    assert service.sent[0].parameters == {"SessionId": "s-1"}
    assert (known.app_instance_id, known.resource_id, known.http_port) == ("a", "r", "80")
    assert (known.token, known.link_url, known.ws_url) == ("secret", "https://link", "wss://ws")
    assert (known.vpc_resource, known.vpc_ip, known.vpc_id) == (True, "10.0.0.2", "v")
    assert (known.status, known.resource_url) == ("RUNNING", "https://r")
    assert json.loads(known.tool_list) == [{"name": "shell", "server": "wuying_shell"}]
    assert known.contexts == [{"id": "c", "name": "n"}]
    for shown in (repr(known), repr(result)):
        assert "secret" not in shown
        assert "https://link" not in shown


async def test_what_is_told_of_many_tools_is_shown_in_short() -> None:
    schema = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(99)}}
    tools = [{"name": f"tool-{n}", "inputSchema": schema} for n in range(99)]
    service = Service(always(lambda: ok(json.dumps(tools))))
    told = Service(always(lambda: ok({"SessionId": "s-1", "ToolList": json.dumps(tools)})))

    for result in (
        await session_of(service).list_mcp_tools(),
        await client(told).get_session("s-1"),
    ):
        assert result.success
        assert "tool-0" in repr(result)
        assert len(repr(result)) < 2000


async def test_get_session_of_one_that_is_gone_fails() -> None:
    gone = {"Code": "InvalidMcpSession.NotFound", "Message": "gone", "Success": False}
    result = await client(Service(always(lambda: ok(**gone)))).get_session("s-1")
    assert isinstance(result, GetSessionResult)
    assert (result.success, result.code, result.data) == (False, gone["Code"], None)


@pytest.mark.parametrize("word", ["beta_pause", "pause"])
async def test_the_client_pauses_a_session(word: str) -> None:
    service = Service(by_action({"GetSession": lambda: ok({"Status": "PAUSED"})}))
    session: AsyncSession = session_of(service)
    result = await getattr(session.agent_bay, word)(session, timeout=30, poll_interval=0.01)
    assert (result.success, result.status) == (True, "PAUSED")
    assert service.actions == ["PauseSessionAsync", "GetSession"]


@pytest.mark.parametrize("word", ["beta_resume", "resume"])
async def test_the_client_wakes_a_session(word: str) -> None:
    service = Service(by_action({"GetSession": lambda: ok({"Status": "RUNNING"})}))
    session: AsyncSession = session_of(service)
    result = await getattr(session.agent_bay, word)(session, timeout=30, poll_interval=0.01)
    assert (result.success, result.status) == (True, "RUNNING")
    assert service.actions == ["ResumeSessionAsync", "GetSession"]


async def test_beta_has_the_same_objects_as_the_client() -> None:
    bay = client(Service(always(ok)))
    assert bay.beta.skills is bay.beta_skills
    assert bay.beta.network is bay.beta_network


def test_beta_of_the_blocking_client_has_blocking_objects() -> None:
    bay = AgentBay(KEY, endpoint=ENDPOINT)
    assert isinstance(bay.beta, BetaNamespace)
    assert bay.beta.skills == bay.beta_skills
    assert bay.beta.skills is bay.beta.skills


async def test_a_session_answers_to_the_getters_of_either_generation() -> None:
    data = {"Token": "t", "LinkUrl": "https://link", "VpcIp": "10.0.0.2", "VpcId": "v"}
    service = Service(always(lambda: ok(data)))
    session = (await client(service).get("s-1")).unwrap()
    assert (session.getToken(), session.get_token()) == ("t", "t")
    assert session.getLinkUrl() == session.get_link_url() == "https://link"
    assert (session.vpc_ip, session.vpc_id) == ("10.0.0.2", "v")
    assert session.mcpTools is session.mcp_tools
