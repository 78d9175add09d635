"""What goes wrong before a request is sent, and what a kept connection brings."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import anyio
import pytest

from agentbay import AsyncAgentBay
from agentbay._transport import ApiClient
from agentbay.errors import AgentBayError, APIError, RequestTimeoutError, TransportError
from agentbay.protocol.sessions import CallTool, GetSession

from ..unit.pool_clients import certificates, trusting
from ..unit.pool_service import PoolService, Talk, reply
from .cases import ATTEMPTS, CASES, FEW, REQUEST_ID, SECRETS, Case, client_of, envelope
from .faulty import Scene, Trouble, always, given_up, in_scene, reset, says, serving_all
from .test_requests import shown

__all__ = ["certificates", "trusting"]

# httpx leaves generators behind when a call is cancelled, which trio reports.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")

_HANGS = 45.0

_NOWHERE = Scene(b"", "")


def cases_of(backend: str) -> Mapping[str, Case]:
    """All requests on our own connections, one of each kind on those of httpx."""
    return CASES if backend == "asyncio" else FEW


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which nobody listens, and which nobody else gets meanwhile."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        yield silent.getsockname()[1]


async def failure(case: Case, client: ApiClient, service: PoolService) -> AgentBayError:
    with anyio.fail_after(_HANGS), pytest.raises(AgentBayError) as caught:
        await case.send(client, service)
    everything = shown(caught.value)
    assert not [secret for secret in SECRETS if secret in everything]
    return caught.value


async def each(cases: Mapping[str, Case], bay: AsyncAgentBay, service: PoolService) -> None:
    """Every request fails without being sent, and is tried again; see `_unsent`."""
    async with anyio.create_task_group() as tasks:
        for case in cases.values():
            tasks.start_soon(_unsent, case, bay, service)


async def _unsent(case: Case, bay: AsyncAgentBay, service: PoolService) -> None:
    error = await failure(case, bay.client, service)
    assert type(error) is TransportError
    assert not error.sent
    # The control plane is tried as well when the session cannot be reached.
    assert error.action == ("CallMcpTool" if " " in case.name else case.name)
    assert len(error.attempts) == ATTEMPTS


# -- no connection ---------------------------------------------------------------------


async def test_nobody_listens(closed_port: int, anyio_backend: str) -> None:
    service = PoolService(always(), port=closed_port)  # type: ignore[arg-type]  # never begun
    async with client_of(service.url) as bay:
        await each(cases_of(anyio_backend), bay, service)


async def test_a_name_leads_nowhere(closed_port: int) -> None:
    service = PoolService(always(), port=closed_port)  # type: ignore[arg-type]  # never begun
    # Not all: the system looks for a while, one name after the other.
    few = {name: CASES[name] for name in ("GetSession", "CallMcpTool")}
    async with client_of("http://no-such-host.invalid:1") as bay:
        await each(few, bay, service)


@pytest.mark.parametrize("way", ["link", "private"])
@pytest.mark.parametrize("tool", ["read_file", "shell"])
async def test_a_session_that_cannot_be_reached_is_reached_through_the_control_plane(
    closed_port: int, way: str, tool: str
) -> None:
    case, other = CASES[f"{tool} by {way}"], CASES[f"{tool} by control plane"]
    nobody = PoolService(always(), port=closed_port)  # type: ignore[arg-type]  # never begun
    with serving_all({"it": in_scene(says(other.good), _NOWHERE)}) as services:
        async with client_of(services["it"].url) as bay:
            result = await case.send(bay.client, nobody)
    assert result.value.text == "yes"
    assert len(services["it"].requests) == 1


async def _reset_at_once(talk: Talk, _: Scene) -> None:
    reset(talk)


async def test_a_connection_that_is_reset_before_anything_is_sent(anyio_backend: str) -> None:
    """Whether something was sent is a question of moments; that nothing arrived is none."""
    cases = cases_of(anyio_backend)
    script = in_scene(_reset_at_once, _NOWHERE)
    with serving_all(dict.fromkeys(cases, script)) as services:

        async def one(case: Case) -> None:
            service = services[case.name]
            async with client_of(service.url) as bay:
                error = await failure(case, bay.client, service)
            assert type(error) is TransportError
            assert len(error.attempts) <= ATTEMPTS
            assert service.heads == []
            assert service.connections <= 2 * ATTEMPTS

        async with anyio.create_task_group() as tasks:
            for case in cases.values():
                tasks.start_soon(one, case)


# -- TLS -------------------------------------------------------------------------------


@pytest.fixture
def presented(certificates: Path) -> ssl.SSLContext:
    """What servers here present: a certificate for 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    return context


async def test_requests_over_tls_arrive(
    presented: ssl.SSLContext, trusting: ssl.SSLContext, anyio_backend: str
) -> None:
    """Else it would be no wonder that those below fail."""
    for case in FEW.values():
        with serving_all({"it": in_scene(says(case.good), _NOWHERE)}, presented) as services:
            async with client_of(services["it"].url, verify=trusting) as bay:
                if not case.direct:
                    await case.send(bay.client, services["it"])


@pytest.mark.parametrize("wrong", ["host", "authority"])
async def test_a_server_that_is_not_who_it_says_gets_no_byte(
    presented: ssl.SSLContext, trusting: ssl.SSLContext, wrong: str, anyio_backend: str
) -> None:
    cases = {name: case for name, case in cases_of(anyio_backend).items() if not case.direct}
    verify = trusting if wrong == "host" else True
    with serving_all({"it": in_scene(says(envelope()), _NOWHERE)}, presented) as services:
        service = services["it"]
        url = service.url.replace("127.0.0.1", "localhost") if wrong == "host" else service.url

        async def one(case: Case) -> None:
            async with client_of(url, verify=verify) as bay:
                error = await failure(case, bay.client, service)
            assert type(error) is TransportError
            assert not error.sent
            assert len(error.attempts) == 1, "the certificate will be no better"

        async with anyio.create_task_group() as tasks:
            for case in cases.values():
                tasks.start_soon(one, case)
        assert service.heads == []


async def test_a_server_without_tls_gets_no_byte_of_a_request() -> None:
    heard: list[bytes] = []

    async def plain(talk: Talk, _: Scene) -> None:
        heard.append(await talk.reader.read(1 << 16))
        await talk.say(reply(b"this is no TLS", status="400 Bad Request"))

    with serving_all({"it": in_scene(plain, _NOWHERE)}) as services:
        service = services["it"]
        async with client_of(service.url.replace("http:", "https:")) as bay:
            for name in ("GetSession", "CallMcpTool"):
                error = await failure(CASES[name], bay.client, service)
                assert type(error) is TransportError
                assert not error.sent
    assert heard
    assert not [data for data in heard if b"Action" in data]


# Under trio, httpcore leaves the socket of a handshake that is cancelled to the collector.
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_server_that_does_not_finish_the_handshake_is_given_up() -> None:
    async def mute(talk: Talk, _: Scene) -> None:
        while await talk.reader.read(1 << 16):
            pass

    async def attempt(case: Case, limit: float) -> PoolService:
        with serving_all({"it": in_scene(mute, _NOWHERE)}) as services:
            service = services["it"]
            async with client_of(service.url.replace("http:", "https:"), timeout=limit) as bay:
                error = await failure(case, bay.client, service)
            assert type(error) is RequestTimeoutError
        return service

    for name in ("GetSession", "CallMcpTool"):
        send = partial(attempt, CASES[name])
        assert (await given_up(send, lambda service: not service.connections)).connections == 1


# -- connections that are kept ---------------------------------------------------------

# Told by the second reply, so that it is seen which of the replies counted.
_SECOND = {"RequestId": "R-second", "Success": False, "Code": "Second", "Message": "no"}
_REFUSED = envelope(**_SECOND)


def _first_then(*then: Trouble) -> Trouble:
    """Answer the first request of all connections with a success, and close; then others."""

    async def trouble(talk: Talk, scene: Scene) -> None:
        if talk.number == 1:
            await talk.request()
            await talk.say(reply(envelope(Data={"SessionId": "s"})))
            return
        await then[min(talk.number - 2, len(then) - 1)](talk, scene)

    return trouble


async def _warm(bay: AsyncAgentBay, service: PoolService) -> None:
    await bay.client.send(GetSession("s"))
    await _until(lambda: service.open == 0)


async def _until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(30):
        while not condition():  # noqa: ASYNC110 - it comes true in another thread
            await anyio.sleep(0.002)


async def test_a_connection_that_was_closed_while_idle_costs_nothing(anyio_backend: str) -> None:
    """Each request goes over a fresh connection, once, and its reply is the one that counts."""
    cases = {name: case for name, case in cases_of(anyio_backend).items() if not case.direct}
    script = in_scene(_first_then(says(_REFUSED)), _NOWHERE)
    with serving_all(dict.fromkeys(cases, script)) as services:

        async def one(case: Case) -> None:
            service = services[case.name]
            async with client_of(service.url) as bay:
                await _warm(bay, service)
                error = await failure(case, bay.client, service)
            assert isinstance(error, APIError)
            assert (error.request_id, error.code) == ("R-second", "Second")
            assert (service.connections, len(service.requests)) == (2, 2)

        async with anyio.create_task_group() as tasks:
            for case in cases.values():
                tasks.start_soon(one, case)


@pytest.mark.parametrize("late", [False, True])
async def test_a_second_reply_is_not_the_one_to_the_next_request(late: bool) -> None:
    """Neither when it comes with the first one, nor when the connection is idle already."""
    good = envelope(Data={"SessionId": "s"})

    twice = 0

    async def trouble(talk: Talk, _: Scene) -> None:
        nonlocal twice
        while True:
            await talk.request()
            pieces = [reply(good), reply(_REFUSED)]
            await talk.say(*pieces if late else [b"".join(pieces)], pause=0.02 if late else 0)
            twice += 1

    with serving_all({"it": in_scene(trouble, _NOWHERE)}) as services:
        async with client_of(services["it"].url) as bay:
            for number in range(4):
                found = await bay.client.send(GetSession("s"))
                assert (found.value.session_id, found.request_id) == ("s", REQUEST_ID)
                await _until(lambda number=number: twice > number)  # type: ignore[misc]
    assert len(services["it"].requests) == 4


@pytest.mark.parametrize(
    ("said", "status"), [(_REFUSED, "400 No"), (_REFUSED, "200 OK"), (b"too long", "413 Too Long")]
)
async def test_a_reply_before_the_end_of_the_request(said: bytes, status: str) -> None:
    """It counts, and the connection is not used again: the rest of the request is lost."""

    async def trouble(talk: Talk, _: Scene) -> None:
        while head := await talk.reader.readuntil(b"\r\n\r\n"):
            talk.service.heads.append(head)
            await talk.say(reply(said, status=status))
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
            await talk.reader.readexactly(int(length))

    call = CallTool("s", "write_file", {"path": "/x", "content": "x" * 8_000_000})
    with serving_all({"it": in_scene(trouble, _NOWHERE)}) as services:
        async with client_of(services["it"].url) as bay:
            for times in (1, 2):
                with anyio.fail_after(_HANGS), pytest.raises(APIError) as caught:
                    await bay.client.send(call)
                assert caught.value.status_code == int(status[:3])
                assert len(services["it"].heads) == times


async def test_a_connection_that_fails_does_not_harm_the_calls_beside_it() -> None:
    """Half of the calls get no reply; the others on the same client do."""
    good = envelope(Data={"SessionId": "s"})

    async def trouble(talk: Talk, _: Scene) -> None:
        while b"SessionId=bad" not in await talk.request():
            await talk.say(reply(good))
        reset(talk)

    results: list[str] = []

    async def one(bay: AsyncAgentBay, name: str) -> None:
        try:
            results.append((await bay.client.send(GetSession(name))).value.session_id)
        except TransportError:
            results.append("lost")

    with serving_all({"it": in_scene(trouble, _NOWHERE)}) as services:
        async with client_of(services["it"].url) as bay, anyio.create_task_group() as tasks:
            for number in range(40):
                tasks.start_soon(partial(one, bay, "bad" if number % 2 else "good"))
    assert (results.count("s"), results.count("lost")) == (20, 20)
