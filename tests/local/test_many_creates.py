"""Creates that are cancelled at any moment, or whose reply is lost, against the embedded engine.

``CANCELLED_CREATES=1000`` cancels so many; the gate is content with fewer. ``CREATES_SEED``
repeats the choice of moments.
"""

from __future__ import annotations

import os
import random
import re
import secrets
from contextlib import suppress
from pathlib import Path

import anyio
import httpx
import pytest

from agentbay import AsyncAgentBay, CreateSessionParams, RetryPolicy
from agentbay.errors import RequestTimeoutError
from agentbay.local.transport import embedded_transport

from .sandboxes import processes_with, until

# Not AGENTBAY_...: the tests take those out of the environment.
CREATES = int(os.environ.get("CANCELLED_CREATES", "60"))
SEED = os.environ.get("CREATES_SEED") or secrets.token_hex(4)

# How many are under way at once.
AT_ONCE = 6

pytestmark = pytest.mark.timeout(60 + CREATES)


def home() -> Path:
    """Where the embedded engine of these tests keeps everything."""
    return Path(os.environ["AGENTBAY_LOCAL_HOME"])


def directories(kind: str) -> set[str]:
    """The ids of all sandboxes of a kind that have a directory."""
    found = (path.name.partition("-") for path in home().glob("engines/*/*") if path.is_dir())
    return {sandbox for name, _, sandbox in found if name == kind}


def running() -> set[str]:
    """The ids of all sandboxes that have a process."""
    lines = (Path(f"/proc/{pid}/cmdline") for pid in processes_with(str(home())))
    found: set[str] = set()
    for line in lines:
        with suppress(OSError):
            found |= set(re.findall(r"(?:session|spare)-([a-z0-9]{17})", line.read_text()))
    return found


async def sessions(bay: AsyncAgentBay) -> set[str]:
    return {str(session_id) async for session_id in bay.list_all()}


class Moments:
    """Creates sessions and is cancelled meanwhile, over and over.

    It is cancelled later after it was, and earlier after it was not: so both happen on any machine.
    """

    def __init__(self, bay: AsyncAgentBay, dice: random.Random, longest: float) -> None:
        self._bay, self._dice = bay, dice
        self._longest: float = longest
        self.cancelled = self.created = 0

    async def run(self, times: int) -> None:
        """Try that often; what was created is deleted."""
        for _ in range(times):
            made = None
            with anyio.move_on_after(self._dice.uniform(0, self._longest)) as scope:
                if self._dice.random() < 0.1:
                    scope.cancel()  # before anything is sent
                made = (await self._bay.create()).unwrap()
            if made is None:
                self.cancelled += 1
                self._longest *= 1.5
            else:
                self.created += 1
                self._longest /= 2
                (await made.delete()).unwrap()


async def test_cancelled_creates_leave_no_session_process_or_file(bay: AsyncAgentBay) -> None:
    async with bay.session():
        begin = anyio.current_time()
    async with bay.session():
        longest = 1.5 * (anyio.current_time() - begin)
    before = await sessions(bay), directories("session"), running() - directories("spare")
    dice = random.Random(SEED)
    print(f"CREATES_SEED={SEED}")  # noqa: T201 - shown when the test fails
    moments = [Moments(bay, random.Random(dice.random()), longest) for _ in range(AT_ONCE)]
    async with anyio.create_task_group() as tasks:
        for number, one in enumerate(moments):
            tasks.start_soon(one.run, len(range(number, CREATES, AT_ONCE)))
    assert sum(one.cancelled + one.created for one in moments) == CREATES
    assert sum(one.cancelled for one in moments) > CREATES / 20

    async def nothing_left() -> bool:
        # One sandbox is kept ready for the next session.
        left = running() - directories("spare")
        return (await sessions(bay), directories("session"), left) == before

    await until(nothing_left, 30)
    async with bay.session() as session:
        assert session.session_id.partition("-")[2] in running() & directories("session")
        assert (await session.command.run("echo fine")).output == "fine\n"


class Losing(httpx.AsyncBaseTransport):
    """Leads to the embedded engine, and loses replies to creates on the way back.

    Attributes:
        losses: What happens to the next replies, in their order.
        made: How many sessions the engine made.
    """

    def __init__(self, *losses: str) -> None:
        self._engine = embedded_transport()
        self.losses = list(losses)
        self.made = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._engine.handle_async_request(request)
        if request.headers["x-acs-action"] != "CreateMcpSession":
            return response
        self.made += response.status_code == 200
        match self.losses.pop(0) if self.losses else "":
            case "reset":
                raise httpx.ReadError("connection reset", request=request)
            case "gateway":
                return httpx.Response(504, text="<html>no answer in time</html>")
            case "page":
                return httpx.Response(200, text="<html>welcome</html>")
            case "silence":
                await anyio.sleep_forever()
            case _:
                pass
        return response

    async def aclose(self) -> None:
        await self._engine.aclose()


def losing(*losses: str, timeout: float = 60) -> tuple[Losing, AsyncAgentBay]:
    way = Losing(*losses)
    retry = RetryPolicy(attempts=3, first_delay=0)
    return way, AsyncAgentBay(
        "akm-x", endpoint="http://engine.invalid", transport=way, retry=retry, timeout=timeout
    )


@pytest.mark.parametrize("loss", ["reset", "gateway", "page"])
async def test_a_create_whose_reply_is_lost_makes_one_session(
    loss: str, bay: AsyncAgentBay
) -> None:
    before = await sessions(bay)
    way, losing_bay = losing(loss)
    async with losing_bay:
        async with losing_bay.session(CreateSessionParams(labels={"a": "b"})) as session:
            assert await sessions(bay) - before == {session.session_id}
            assert (await session.command.run("echo fine")).output == "fine\n"
            assert (await session.get_labels()).data == {"a": "b"}
        assert way.made == 1
    assert await sessions(bay) <= before


async def test_a_create_whose_reply_never_comes_leaves_no_session(bay: AsyncAgentBay) -> None:
    before = await sessions(bay)
    way, losing_bay = losing("silence", timeout=5)
    async with losing_bay:
        result = await losing_bay.create()
        assert isinstance(result.error, RequestTimeoutError)
        assert way.made == 1
    assert await sessions(bay) <= before


async def test_a_create_that_is_cancelled_after_its_reply_was_lost_leaves_no_session(
    bay: AsyncAgentBay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentbay._async._clean_ups._GRACE", 0.1)
    before = await sessions(bay)
    way, losing_bay = losing("silence")
    async with losing_bay, anyio.create_task_group() as tasks:
        tasks.start_soon(losing_bay.create)
        with anyio.fail_after(30):
            while not way.made:  # noqa: ASYNC110 - the engine makes it true
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    assert await sessions(bay) <= before
