"""Environment variables and measurements of a session, as a user of the client sees them."""

from __future__ import annotations

from datetime import datetime

import anyio
import pytest

from agentbay import AsyncAgentBay, AsyncSession, ToolError

from .observing import shell

BURN = "while :; do :; done"


async def test_a_variable_holds_for_all_later_commands(session: AsyncSession) -> None:
    assert (await session.env.set({"COLOUR": "green", "SIZE": "1"})).success
    assert (await session.env.set({"SIZE": "größer & 'more'"})).success

    assert await shell(session, 'echo "$COLOUR $SIZE"') == "green größer & 'more'\n"


async def test_the_variable_of_one_command_goes_first_and_for_that_only(
    session: AsyncSession,
) -> None:
    await session.env.set({"COLOUR": "green"})

    once = await session.command.run("echo $COLOUR", envs={"COLOUR": "red"})

    assert once.stdout == "red\n"
    assert await shell(session, "echo $COLOUR") == "green\n"


async def test_variables_are_read_by_name_or_all(session: AsyncSession) -> None:
    await session.env.set({"COLOUR": "green"})

    some = (await session.env.get(["COLOUR", "NOT_SET", "HOME"])).envs
    everything = (await session.env.get()).envs

    assert some == {"COLOUR": "green", "HOME": "/home/wuying"}
    assert everything["COLOUR"] == "green"
    assert {"PATH", "HOME", "USER"} <= everything.keys()
    assert not [name for name in everything if name.startswith("AGENTBAY")]


async def test_variables_of_two_sessions_are_apart(bay: AsyncAgentBay) -> None:
    async with bay.session() as one, bay.session() as other:
        await one.env.set({"COLOUR": "green"})

        assert (await other.env.get(["COLOUR"])).envs == {}


@pytest.mark.parametrize(
    "envs",
    [{"LONG": "x" * 100_001}, {f"N{n}": "x" * 90_000 for n in range(12)}],
    ids=["one", "sum"],
)
async def test_variables_with_which_no_command_could_start_are_refused(
    session: AsyncSession, envs: dict[str, str]
) -> None:
    result = await session.env.set(envs)

    assert isinstance(result.error, ToolError)
    assert "longer than" in result.error_message
    assert await shell(session, "echo fine") == "fine\n"


async def test_the_longest_variables_leave_commands_working(session: AsyncSession) -> None:
    assert (await session.env.set({f"N{n}": "x" * 90_000 for n in range(11)})).success
    assert await shell(session, "echo ${#N9}") == "90000\n"


async def test_metrics_are_those_of_the_session(session: AsyncSession) -> None:
    first = (await session.get_metrics()).unwrap()
    await shell(session, f"({BURN}) > /dev/null 2>&1 &")
    block = "import time; x = bytearray(200_000_000); time.sleep(100)"
    await shell(session, f"python3 -c '{block}' > /dev/null 2>&1 &")

    # Others may use the processors as well, so that little is left for the session.
    with anyio.fail_after(50):
        second = first
        while second.mem_used < 200_000_000 or second.cpu_used_pct < 2:
            await anyio.sleep(0.2)
            second = (await session.get_metrics()).unwrap()

    assert second.cpu_count >= 1
    assert first.cpu_used_pct <= 1
    assert 2 <= second.cpu_used_pct <= 100
    assert first.mem_used < 50_000_000
    assert second.mem_used <= 300_000_000
    assert second.mem_total > second.mem_used
    assert 0 < second.disk_used <= second.disk_total
    assert datetime.fromisoformat(second.timestamp).tzinfo is not None


async def test_metrics_of_an_idle_session_are_zero(session: AsyncSession) -> None:
    (await session.get_metrics()).unwrap()
    metrics = (await session.get_metrics()).unwrap()

    assert metrics.mem_used == 0
    assert metrics.rx_rate_kbyte_per_s <= 10
