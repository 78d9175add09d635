"""What tests of users rely on: respx in both of its modes, and the event hooks of httpx."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import respx

from agentbay import AgentBay, AsyncAgentBay, AsyncSession, RetryPolicy
from agentbay._pool.transport import carriers
from agentbay.errors import SessionError, TransportError

from .pool_clients import until
from .pool_service import Talk, reply, serving
from .service import KEY

URL = "https://service.test/"

# A session with a way of its own to its tools.
SESSION = {
    "SessionId": "s-1",
    "LinkUrl": "https://link.test/way-in",
    "Token": "tok-1",
    "ToolList": json.dumps([{"server": "wuying_shell", "name": "shell"}]),
}

# respx puts its function in the place of one of httpx, or of one of httpcore.
MODES = ["httpx", "httpcore"]

in_both_modes = pytest.mark.parametrize("using", MODES)


def bay_of(**options: Any) -> AsyncAgentBay:
    return AsyncAgentBay(KEY, endpoint="service.test", **options)


def says(data: Any = None) -> dict[str, Any]:
    return {"RequestId": "r-1", "Success": True, "Code": "ok", "Data": data}


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


async def labels(talk: Talk) -> None:
    """Answer every request with the same labels."""
    while True:
        await talk.request()
        await talk.say(reply(json.dumps(says({"Labels": '{"real": "yes"}'})).encode()))


async def unavailable(talk: Talk) -> None:
    """Refuse every request."""
    while True:
        await talk.request()
        await talk.say(reply(b"later", status="503 Service Unavailable"))


# -- respx -----------------------------------------------------------------------------


@in_both_modes
async def test_a_session_lives_on_routes_alone(using: str) -> None:
    """From its creation to its end, over the control plane and over a link of its own."""
    async with respx.mock(using=using, assert_all_called=True) as router:
        create = router.post(URL, params__contains={"Action": "CreateMcpSession"})
        create.respond(json=says(SESSION))
        shell = {"stdout": "hello\n", "stderr": "", "exit_code": 0}
        content = {"content": [{"type": "text", "text": json.dumps(shell)}], "isError": False}
        tool = router.post(SESSION["LinkUrl"] + "/callTool")
        tool.respond(json={"data": {"result": content}})
        delete = router.post(URL, params__contains={"Action": "ReleaseMcpSession"})
        delete.respond(json=says())
        async with bay_of() as bay, bay.session() as session:
            assert (await session.command.run("echo hello")).output == "hello\n"
        assert [route.call_count for route in (create, tool, delete)] == [1, 1, 1]


@in_both_modes
async def test_a_request_without_a_route_fails_and_goes_nowhere(using: str) -> None:
    with serving() as service:
        async with AsyncAgentBay(KEY, endpoint=service.url) as bay:
            with pytest.raises(AssertionError, match="not mocked"):
                async with respx.mock(using=using, assert_all_mocked=True):
                    await AsyncSession(bay, "s-1").get_labels()
            with pytest.raises(AssertionError, match="not mocked"):
                async with respx.mock(using=using, assert_all_mocked=True):
                    await bay.create()
    assert service.connections == 0


@in_both_modes
async def test_a_route_that_is_not_called_is_told(using: str) -> None:
    with pytest.raises(AssertionError, match="not called"):
        async with respx.mock(using=using, assert_all_called=True) as router:
            router.post(URL).respond(json=says())


@in_both_modes
async def test_a_route_may_fail_and_the_call_is_made_again(using: str) -> None:
    async with respx.mock(using=using) as router:
        route = router.post(URL)
        route.side_effect = [
            httpx.ConnectError("no way"),
            httpx.Response(503),
            httpx.Response(200, json=says({"Labels": '{"a": "b"}'})),
        ]
        bay = bay_of(retry=RetryPolicy(attempts=3, first_delay=0))
        assert (await AsyncSession(bay, "s-1").get_labels()).data == {"a": "b"}
        assert route.call_count == 3


@in_both_modes
async def test_an_error_of_a_route_is_the_error_of_the_call(using: str) -> None:
    async with respx.mock(using=using) as router:
        router.post(URL).mock(side_effect=httpx.ReadTimeout)
        with pytest.raises(SessionError) as caught:
            await AsyncSession(bay_of(), "s-1").get_labels()
    assert isinstance(caught.value.__cause__, TransportError)


@in_both_modes
async def test_a_route_may_let_a_request_through(using: str) -> None:
    with serving(labels) as service:
        async with (
            respx.mock(using=using) as router,
            AsyncAgentBay(KEY, endpoint=service.url) as bay,
        ):
            router.route(host="127.0.0.1").pass_through()
            assert (await AsyncSession(bay, "s-1").get_labels()).data == {"real": "yes"}
    assert len(service.requests) == 1


@in_both_modes
async def test_it_takes_over_and_leaves_in_the_midst_of_a_client(using: str) -> None:
    """A connection that is open already is no way around it."""
    with serving(labels) as service:
        async with AsyncAgentBay(KEY, endpoint=service.url) as bay:
            session = AsyncSession(bay, "s-1")
            for _ in range(2):
                assert (await session.get_labels()).data == {"real": "yes"}
                async with respx.mock(using=using) as router:
                    router.post(service.url).respond(json=says({"Labels": "{}"}))
                    assert (await session.get_labels()).data == {}
    assert len(service.requests) == 2


@in_both_modes
def test_blocking_calls_are_intercepted_too(using: str) -> None:
    with respx.mock(using=using) as router:
        router.post(URL).respond(json=says([]))
        with AgentBay(KEY, endpoint="service.test") as bay:
            assert bay.list().unwrap() == []


@in_both_modes
async def test_what_is_presigned_is_intercepted(using: str) -> None:
    async with respx.mock(using=using) as router:
        put = router.put("https://store.test/file").respond(200)
        router.get("https://store.test/file").respond(content=b"x" * 100_000)
        client = bay_of().client
        await client.upload("https://store.test/file", b"content")
        assert put.calls.last.request.content == b"content"
        pieces: list[bytes] = []

        async def write(piece: bytes) -> None:
            pieces.append(piece)

        await client.get_file("https://store.test/file", write)
        assert b"".join(pieces) == b"x" * 100_000


# -- event hooks -----------------------------------------------------------------------


async def test_event_hooks_see_every_request_and_its_reply() -> None:
    seen: list[str] = []

    async def before(request: httpx.Request) -> None:
        seen.append(f"{request.method} {request.url.path}")
        request.headers["x-hook"] = "was here"

    async def after(response: httpx.Response) -> None:
        seen.append(f"{response.status_code} {(await response.aread()).decode()}")

    with serving() as service:
        async with httpx.AsyncClient(
            **carriers(True), event_hooks={"request": [before], "response": [after]}
        ) as client:
            for path in ("a", "b"):
                assert (await client.get(service.url + path)).text == "ok"
    assert seen == ["GET /a", "200 ok", "GET /b", "200 ok"]
    assert service.connections == 1
    assert all(b"x-hook: was here" in request for request in service.requests)


async def test_a_hook_that_fails_leaves_no_connection_busy() -> None:
    async def raise_on_error(response: httpx.Response) -> None:
        response.raise_for_status()

    with serving(unavailable) as service:
        hooks = {"response": [raise_on_error]}
        async with httpx.AsyncClient(**carriers(True), event_hooks=hooks, timeout=50) as client:
            for _ in range(3):
                with pytest.raises(httpx.HTTPStatusError, match="503"):
                    await client.get(service.url)
                await until(lambda: service.open <= 1)


async def test_a_transport_of_the_user_may_wrap_httpx_s_own_client() -> None:
    """Hooks of a client that a user has, around the calls of the package."""
    seen: list[str] = []

    async def before(request: httpx.Request) -> None:
        seen.append(request.headers["x-acs-action"])

    class Through(httpx.AsyncBaseTransport):
        def __init__(self) -> None:
            self.client = httpx.AsyncClient(event_hooks={"request": [before]})

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return await self.client.send(request, stream=True)

        async def aclose(self) -> None:
            await self.client.aclose()

    with serving(labels) as service:
        async with AsyncAgentBay(KEY, endpoint=service.url, transport=Through()) as bay:
            assert (await AsyncSession(bay, "s-1").get_labels()).data == {"real": "yes"}
    assert seen == ["GetLabel"]
