"""Run the tests of behaviour on each of the services that `--legs` names.

A test that has the fixture `bay`, or one that needs it, runs on the engine in this process, on an
engine in a process of its own that is reached over HTTP, and in the cloud when there is a key:
`TEST_AGENTBAY_API_KEY`, and `TEST_AGENTBAY_ENDPOINT` for another region. Tests that make an
engine of their own run once for each event loop.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator

import attrs
import pytest

from agentbay import AsyncAgentBay, AsyncSession

from .clock import Clock, clock_of_sessions
from .observing import CountingTransport
from .services import EMBEDDED, Service, cloud, served_engine


@attrs.frozen
class Leg:
    """One of the ways in which a test runs."""

    backend: str
    engine: str = ""

    def __str__(self) -> str:
        return f"{self.engine}-{self.backend}" if self.engine else self.backend


_WITHOUT_SERVICE = [Leg("asyncio"), Leg("trio")]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test in all the ways that there are for it."""
    if "leg" not in metafunc.fixturenames:
        return
    legs: list[Leg] = _WITHOUT_SERVICE
    if "service" in metafunc.fixturenames:
        named: list[str] = metafunc.config.getoption("--legs") or []
        fitting = _fitting(metafunc.definition)
        pairs = [name.split("-") for name in named]
        legs = [Leg(backend, engine) for engine, backend in pairs if engine in fitting]
    if metafunc.definition.get_closest_marker("asyncio_only"):
        legs = list(dict.fromkeys(attrs.evolve(leg, backend="asyncio") for leg in legs))
    if legs:
        metafunc.parametrize("leg", legs, ids=str, indirect=True, scope="module")
    else:
        skip = pytest.mark.skip(
            reason="none of --legs is one that this test can run on: add embedded-asyncio to them"
        )
        metafunc.parametrize("leg", [pytest.param(None, marks=skip)], indirect=True)


def _fitting(item: pytest.Item) -> tuple[str, ...]:
    if item.get_closest_marker("embedded_only"):
        return ("embedded",)
    if item.get_closest_marker("engine_only"):
        return ("embedded", "served")
    return ("embedded", "served", "cloud")


@pytest.fixture(scope="module")
def leg(request: pytest.FixtureRequest) -> Leg:
    """How the test runs."""
    found: Leg = request.param
    return found


@pytest.fixture(scope="module")
def anyio_backend(leg: Leg) -> str:
    """The event loop of the test."""
    return leg.backend


@pytest.fixture(scope="session")
def _served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with served_engine(tmp_path_factory.mktemp("served") / "log") as service:
        yield service


@pytest.fixture(scope="module")
def service(leg: Leg, request: pytest.FixtureRequest) -> Service:
    """Where the test runs."""
    if leg.engine == "served":
        found: Service = request.getfixturevalue("_served")
        return found
    return cloud() if leg.engine == "cloud" else EMBEDDED


@pytest.fixture
async def bay(service: Service) -> AsyncGenerator[AsyncAgentBay, None]:
    """A client of the service."""
    async with service.client() as client:
        yield client


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the sessions of the embedded engine."""
    return clock_of_sessions(monkeypatch)


@pytest.fixture
def transport(service: Service) -> CountingTransport:
    """What a client sends is counted by it."""
    return CountingTransport(service)


@pytest.fixture
async def counted(
    service: Service, transport: CountingTransport
) -> AsyncGenerator[AsyncSession, None]:
    """A session; what it sends is counted from here on."""
    async with service.client(transport) as bay, bay.session() as running:
        transport.actions.clear()
        yield running
