"""Calls of tools that go straight to a session, over its link or in a private network."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest

from agentbay import AsyncSession, AuthenticationError, CreateSessionParams

from ..local.clients import Place, engine_client
from .observing import shell

LARGE = "æ" * 3_000_000


@pytest.fixture
async def place(tmp_path: Path) -> AsyncGenerator[Place, None]:
    """An engine as other processes see it."""
    async with engine_client(tmp_path, tells_links=True) as found:
        yield found


@pytest.fixture
async def linked(place: Place) -> AsyncGenerator[AsyncSession, None]:
    async with place.bay.session() as session:
        place.ways.actions.clear()
        yield session


@pytest.fixture
async def in_vpc(place: Place) -> AsyncGenerator[AsyncSession, None]:
    """A session in a private network, as clients of the contract ask for it."""
    async with place.bay.session(CreateSessionParams(is_vpc=True)) as session:
        # Else the link is taken, which is the better way.
        session._data = attrs.evolve(session._data, link_url="")
        place.ways.actions.clear()
        yield session


# -- over the link -----------------------------------------------------------------------


async def test_tools_are_called_over_the_link(place: Place, linked: AsyncSession) -> None:
    assert await shell(linked, "echo hello") == "hello\n"

    assert place.ways.actions == []
    assert [request.url.path.rsplit("/", 1)[1] for request in place.ways.direct] == ["callTool"]


async def test_a_large_file_goes_over_the_link_in_one_call(
    place: Place, linked: AsyncSession
) -> None:
    (await linked.file_system.write_file("/tmp/large", LARGE)).unwrap()
    assert (await linked.file_system.read_file("/tmp/large")).unwrap() == LARGE

    assert len(place.ways.direct) == 2
    assert place.ways.actions == []


async def test_a_tool_that_fails_says_why_over_the_link(linked: AsyncSession) -> None:
    result = await linked.file_system.read_file("/tmp/missing")

    assert not result.success
    assert "No such file" in result.error_message


async def test_a_tool_that_is_not_there_is_refused_over_the_link(linked: AsyncSession) -> None:
    reply = await _post(linked, {"tool": "dance", "args": {}})

    assert reply.status_code == 200
    assert '\\"isError\\": true' in reply.text
    assert "there is no tool" in reply.text


async def test_a_paused_session_refuses_calls_over_the_link(linked: AsyncSession) -> None:
    (await linked.pause()).unwrap()

    refused = await linked.command.run("true")

    assert not refused.success
    assert refused.code == "SessionPaused"


async def test_the_link_of_a_session_ends_with_it(place: Place) -> None:
    session = (await place.bay.create()).unwrap()
    data = session._data
    (await session.delete()).unwrap()

    async with httpx.AsyncClient(timeout=30) as http:
        reply = await http.post(
            f"{data.link_url}callTool", headers={"X-Access-Token": data.token}, json={}
        )
    assert reply.status_code == 404


async def test_a_link_needs_the_token_of_its_session(linked: AsyncSession) -> None:
    other = attrs.evolve(linked._data, token="guessed")
    linked._data, kept = other, linked._data

    refused = await linked.command.run("touch /tmp/here")
    linked._data = kept

    assert isinstance(refused.error, AuthenticationError)
    assert not (await linked.file_system.get_file_info("/tmp/here")).success


@pytest.mark.parametrize(
    "body", ["", "no JSON", "[]", '{"tool": 3}', '{"tool": "shell", "args": []}', "\ud800"]
)
async def test_a_call_that_makes_no_sense_is_refused(linked: AsyncSession, body: str) -> None:
    reply = await _post(linked, body.encode(errors="surrogatepass"))

    assert reply.status_code == 400
    assert reply.json()["success"] is False


async def test_there_is_nothing_but_calls_at_a_link(linked: AsyncSession) -> None:
    async with httpx.AsyncClient(headers={"X-Access-Token": linked.token}, timeout=30) as http:
        assert (await http.get(linked.link_url)).status_code == 404
        assert (await http.get(f"{linked.link_url}callTool")).status_code == 404


async def test_a_link_carries_several_calls_on_one_connection(linked: AsyncSession) -> None:
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=1), timeout=30) as http:
        for _ in range(3):
            reply = await _post(linked, {"tool": "get_env", "args": {}}, http)
            assert reply.status_code == 200


# -- in a private network ----------------------------------------------------------------


async def test_a_session_can_be_asked_for_in_a_private_network(
    place: Place, in_vpc: AsyncSession
) -> None:
    assert in_vpc.is_vpc
    assert in_vpc.network_interface_ip == "127.0.0.1"

    assert await shell(in_vpc, "echo inside") == "inside\n"

    assert place.ways.actions == []
    assert [request.url.path for request in place.ways.direct] == ["/callTool"]


async def test_a_private_call_is_answered_in_both_shapes(in_vpc: AsyncSession) -> None:
    reply = await _get(in_vpc, {"tool": "shell", "args": '{"command": "echo hi"}'})

    flat, nested = reply.json(), httpx.Response(200, text=reply.json()["data"]).json()
    assert flat["isError"] is False
    assert {"content": flat["content"], "isError": False} == nested["result"]


async def test_a_private_call_needs_the_token_of_a_session(in_vpc: AsyncSession) -> None:
    for token in ("", "guessed"):
        reply = await _get(in_vpc, {"tool": "shell", "args": "{}", "token": token})
        assert reply.status_code == 401


async def test_a_session_that_is_in_no_private_network_is_not_reached_as_if_it_were(
    linked: AsyncSession, in_vpc: AsyncSession
) -> None:
    query = {"tool": "shell", "args": "{}", "token": linked.token}

    assert (await _get(in_vpc, query)).status_code == 401


@pytest.mark.parametrize("args", ["no JSON", "[]", "3"])
async def test_private_arguments_that_make_no_sense_are_refused(
    in_vpc: AsyncSession, args: str
) -> None:
    assert (await _get(in_vpc, {"tool": "shell", "args": args})).status_code == 400


@pytest.mark.embedded_only
async def test_the_engine_in_this_process_is_called_without_a_detour(
    session: AsyncSession,
) -> None:
    assert session.link_url == ""
    assert session.ws_url.startswith("ws://127.0.0.1:")
    assert session.token


async def _post(
    session: AsyncSession, body: Any, http: httpx.AsyncClient | None = None
) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    url, headers = f"{session.link_url}callTool", {"X-Access-Token": session.token}
    if http is not None:
        return await http.post(url, headers=headers, content=content)
    async with httpx.AsyncClient(timeout=30) as client:
        return await client.post(url, headers=headers, content=content)


async def _get(session: AsyncSession, query: dict[str, str]) -> httpx.Response:
    url = f"http://{session.network_interface_ip}:{session.http_port}/callTool"
    async with httpx.AsyncClient(timeout=30) as http:
        return await http.get(url, params={"token": session.token, **query})
