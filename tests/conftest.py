"""What every test module shares."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterator

import pytest
from hypothesis import settings

from agentbay import AsyncAgentBay, AsyncSession, _left_over

from .redaction import no_secret_is_told

__all__ = ["no_secret_is_told"]

# A machine under load is no failure. HYPOTHESIS_PROFILE=thorough looks four times as hard.
settings.register_profile("quick", max_examples=25, deadline=None)
settings.register_profile("thorough", max_examples=100, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

_LEGS = ("embedded-asyncio", "embedded-trio", "served-asyncio", "cloud-asyncio")

# Each engine and each loop once: the embedded engine runs on the loop of the test, what serves
# always on asyncio, and what a client says over HTTP is the same on both loops.
_USUAL = ("embedded-trio", "served-asyncio")

_MARKERS = (
    "engine_only: looks at the machine on which sessions run (files, processes), or expects what"
    " only the engine says of itself; does not run in the cloud",
    "embedded_only: changes settings of the engine from inside of its process; runs on no other",
    "asyncio_only: uses a library that is for asyncio; runs there, whatever loop --legs names",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say on which services the tests in `contract` run."""
    parser.addoption(
        "--legs",
        type=_legs,
        default=",".join(_USUAL + _LEGS[3:] * ("TEST_AGENTBAY_API_KEY" in os.environ)),
        help="on what engine and event loop the tests in `contract` run: some of"
        f" {', '.join(_LEGS)}; the cloud needs TEST_AGENTBAY_API_KEY (default: %(default)s)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers of tests in `contract` known."""
    for line in _MARKERS:
        config.addinivalue_line("markers", line)


def _legs(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(_LEGS):
        raise pytest.UsageError(f"--legs does not know {', '.join(sorted(unknown))}")
    if "cloud-asyncio" in names and not os.environ.get("TEST_AGENTBAY_API_KEY"):
        raise pytest.UsageError("--legs=cloud-asyncio needs TEST_AGENTBAY_API_KEY")
    return names


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Every coroutine test runs on both event loops."""
    backend: str = request.param
    return backend


@pytest.fixture(scope="session", autouse=True)
def _local_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Engines keep their state in a directory of this run, and nothing else is set."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AGENTBAY_")]:
            patch.delenv(name)
        patch.setenv("AGENTBAY_LOCAL_HOME", str(tmp_path_factory.mktemp("agentbay")))
        yield


@pytest.fixture(autouse=True)
def _a_service_of_a_test_ends_with_it() -> Iterator[None]:
    """Sessions that a test made up do not go on; those of engines would, and are told at exit."""
    yield
    for session_id in [name for name in _left_over._open if not name.startswith("session-")]:
        _left_over.closed(session_id)


@pytest.fixture
async def bay() -> AsyncGenerator[AsyncAgentBay, None]:
    """A client of the embedded engine; in `contract`, of others as well."""
    async with AsyncAgentBay(endpoint="local") as client:
        yield client


@pytest.fixture
async def session(bay: AsyncAgentBay) -> AsyncGenerator[AsyncSession, None]:
    """A session, deleted after the test."""
    async with bay.session() as running:
        yield running
