"""Ways around the connections of the client, and the one to them."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from typing import Any

import anyio
import httpx
import pytest
import respx

from agentbay import AsyncAgentBay, AsyncSession
from agentbay._pool import _dialing
from agentbay._pool._pools import most_connections
from agentbay._pool._proxies import proxies
from agentbay._pool._stock import StockTransport
from agentbay._pool._tls import Tls
from agentbay._pool.transport import carriers

from .pool_clients import client_of, no_proxy
from .pool_service import Talk, answer, reply, serving
from .service import KEY

# The fixtures of these tests.
__all__ = ["no_proxy"]

# httpx leaves generators behind when a call is cancelled, which trio reports.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")

with_own_pool = pytest.mark.parametrize("anyio_backend", ["asyncio"])


async def labels(talk: Talk) -> None:
    """Answer every request with the same labels."""
    said = {"RequestId": "r-1", "Success": True, "Data": {"Labels": '{"real": "yes"}'}}
    while True:
        await talk.request()
        await talk.say(reply(json.dumps(said).encode()))


ENVIRONMENTS = [
    {},
    {"http": "http://p:1"},
    {"https": "p:2", "all": "socks5://p:3"},
    {"all": "http://p:4", "no": "localhost, .example.com,10.0.0.1,::1,https://x.test,10.0.0.0/8"},
    {"all": "http://p:5", "no": "a.test,*"},
    {"http": "", "all": "http://p:6", "no": ""},
]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_proxies_are_those_that_httpx_takes(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from httpx import _utils

    monkeypatch.setattr(_utils, "getproxies", lambda: environment)
    assert proxies(environment) == _utils.get_environment_proxies()


async def test_the_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as service, serving() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        async with httpx.AsyncClient(**carriers(True), timeout=50) as client:
            await client.get("http://service.invalid/far")
            await client.get(service.url)
    assert proxy.requests[0].startswith(b"GET http://service.invalid/far HTTP/1.1")
    assert (len(proxy.requests), len(service.requests)) == (1, 1)


@pytest.mark.parametrize("using", ["httpx", "httpcore"])
async def test_respx_intercepts_in_both_of_its_modes(using: str) -> None:
    with serving(answer) as service:
        async with client_of() as client:
            await client.get(service.url)
            async with respx.mock(using=using) as router:
                route = router.get(service.url).respond(text="mocked")
                assert (await client.get(service.url)).text == "mocked"
                assert route.call_count == 1
            assert (await client.get(service.url)).text == "ok"
    assert len(service.requests) == 2


@pytest.mark.parametrize("using", ["httpx", "httpcore"])
async def test_respx_intercepts_the_calls_of_a_session_in_both_modes(using: str) -> None:
    async with respx.mock(using=using) as router:
        route = router.post("https://service.test/", data__contains={"SessionId": "s-1"})
        route.respond(json={"RequestId": "mocked", "Data": {"Labels": "{}"}})
        async with AsyncAgentBay(KEY, endpoint="service.test") as bay:
            assert (await AsyncSession(bay, "s-1").get_labels()).request_id == "mocked"


async def test_shards_carry_many_calls_and_stay_small() -> None:
    with serving() as service:
        transport = StockTransport(Tls(), most=64)
        async with httpx.AsyncClient(transport=transport, timeout=50) as client:
            for _ in range(2):
                async with anyio.create_task_group() as tasks:
                    for _ in range(100):
                        tasks.start_soon(client.get, service.url)
            assert len(transport._shards) == 8
            assert {shard.load for shard in transport._shards} == {0}
            assert len(transport._roomy) == 8
            with anyio.move_on_after(0):
                await client.get(service.url)
            assert {shard.load for shard in transport._shards} == {0}
    assert service.connections <= 64


async def test_requests_that_are_cancelled_while_they_wait_take_no_place_along() -> None:
    with serving() as service:
        async with httpx.AsyncClient(transport=StockTransport(Tls(), most=5), timeout=50) as client:
            for moment in range(60):
                async with anyio.create_task_group() as tasks:
                    for _ in range(20):
                        tasks.start_soon(client.get, service.url)
                    for _ in range(moment):
                        await anyio.lowlevel.checkpoint()
                    tasks.cancel_scope.cancel()
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(client.get, service.url)


async def test_a_host_with_two_addresses_is_reached_at_the_one_that_answers() -> None:
    with serving() as service:
        async with client_of() as client:
            response = await client.get(f"http://localhost:{service.port}/")
    assert response.content == b"ok"


@with_own_pool
async def test_the_first_address_that_answers_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket() as refused, serving() as service:
        refused.bind(("127.0.0.1", 0))
        addresses = [refused.getsockname(), ("127.0.0.1", service.port)]

        async def resolve(*_: object) -> Any:
            return [(socket.AF_INET, address) for address in addresses]

        monkeypatch.setattr(_dialing, "_resolve", resolve)
        opened = await _dialing.dial(loop, "any", 30)
        with opened:
            assert opened.getpeername() == ("127.0.0.1", service.port)
        addresses[1] = addresses[0]
        with pytest.raises(ConnectionRefusedError):
            await _dialing.dial(loop, "any", 30)


def test_connections_leave_some_of_the_files_that_the_system_allows() -> None:
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert 0 < most_connections() <= min(1000, files)


def _run(program: str) -> list[bytes]:
    """Run a program with a service, which it finds as URL; gives what the service was asked."""
    code = f"import sys\nURL = sys.argv[1]\n{program}"
    with serving(labels) as service:
        command = [sys.executable, "-W", "error", "-c", code, service.url]
        subprocess.run(command, check=True, timeout=60)
    return service.requests


BLOCKING = """
from agentbay import AgentBay, Session
bay = AgentBay("akm-x", endpoint=URL)
session = Session(bay, "s-1")
def call():
    return session.get_labels().data
"""

ASYNC = """
import asyncio
from agentbay import AsyncAgentBay, AsyncSession
bay = AsyncAgentBay("akm-x", endpoint=URL)
session = AsyncSession(bay, "s-1")
runner = asyncio.Runner()
def call():
    return runner.run(session.get_labels()).data
"""

in_both_worlds = pytest.mark.parametrize("program", [BLOCKING, ASYNC], ids=["blocking", "async"])


@in_both_worlds
def test_a_call_loads_no_more_than_it_needs(program: str) -> None:
    asked = _run(
        f"""{program}
assert call() == {{"real": "yes"}}
assert "agentbay._pool._connection" in sys.modules
spared = {{"httpx", "httpcore", "certifi", "email", "urllib.request", "trio"}} & set(sys.modules)
assert not spared, spared
"""
    )
    assert len(asked) == 1


@in_both_worlds
@pytest.mark.parametrize("using", ["httpx", "httpcore"])
def test_respx_that_is_loaded_after_the_first_call_intercepts_the_next(
    program: str, using: str
) -> None:
    asked = _run(
        f"""{program}
assert call() == {{"real": "yes"}}
import respx
with respx.mock(using={using!r}) as router:
    router.post(URL).respond(json={{"RequestId": "mocked", "Data": {{"Labels": "{{}}"}}}})
    assert call() == {{}}
assert call() == {{"real": "yes"}}
"""
    )
    assert len(asked) == 2


@in_both_worlds
def test_what_is_put_in_the_place_of_a_part_of_httpx_after_the_first_call_sees_the_next(
    program: str,
) -> None:
    asked = _run(
        f"""{program}
assert call() == {{"real": "yes"}}
import httpx
seen = []
original = httpx.AsyncClient.send
async def send(self, request, **options):
    seen.append(request.headers["x-acs-action"])
    return await original(self, request, **options)
httpx.AsyncClient.send = send
assert call() == {{"real": "yes"}}
httpx.AsyncClient.send = original
assert call() == {{"real": "yes"}}
assert seen == ["GetLabel"]
"""
    )
    assert len(asked) == 3
