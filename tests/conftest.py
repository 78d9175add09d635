"""What every test module shares."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterator

import pytest
from hypothesis import settings

from agentbay import AsyncAgentBay, AsyncSession

# A machine under load is no failure. HYPOTHESIS_PROFILE=thorough looks four times as hard.
settings.register_profile("quick", max_examples=25, deadline=None)
settings.register_profile("thorough", max_examples=100, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Every coroutine test runs on both event loops."""
    backend: str = request.param
    return backend


@pytest.fixture(scope="session", autouse=True)
def _local_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The embedded engine keeps its state in a directory of this run, and nothing else is set."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AGENTBAY_")]:
            patch.delenv(name)
        patch.setenv("AGENTBAY_LOCAL_HOME", str(tmp_path_factory.mktemp("agentbay")))
        yield


@pytest.fixture
async def bay() -> AsyncGenerator[AsyncAgentBay, None]:
    """A client of the embedded engine."""
    async with AsyncAgentBay(endpoint="local") as client:
        yield client


@pytest.fixture
async def session(bay: AsyncAgentBay) -> AsyncGenerator[AsyncSession, None]:
    """A session of the embedded engine, deleted after the test."""
    async with bay.session() as running:
        yield running
