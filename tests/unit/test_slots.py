"""A limit on how many of something there are at once, over all event loops."""

from __future__ import annotations

import threading

import anyio
import pytest
from anyio.lowlevel import checkpoint

from agentbay._slots import Slots

pytestmark = pytest.mark.anyio


async def test_who_finds_no_place_waits_for_one_in_the_order_of_asking() -> None:
    slots, order = Slots(2), list[int]()

    async def use(number: int) -> None:
        await slots.take()
        order.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(use, number)
            await checkpoint()
        await anyio.wait_all_tasks_blocked()
        assert order == [0, 1]
        slots.give_back()
        await anyio.wait_all_tasks_blocked()
        assert order == [0, 1, 2]
        slots.give_back()
    assert order == [0, 1, 2, 3]


async def test_without_a_limit_nobody_waits() -> None:
    slots = Slots(None)
    with anyio.fail_after(30):
        for _ in range(1000):
            await slots.take()
    slots.give_back()


async def test_a_place_is_not_lost_with_the_one_who_waits_for_it() -> None:
    slots = Slots(1)
    await slots.take()
    with anyio.move_on_after(0.01):
        await slots.take()
    slots.give_back()
    with anyio.fail_after(30):
        await slots.take()


async def test_a_place_that_comes_with_the_cancellation_is_given_on() -> None:
    slots = Slots(1)
    await slots.take()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(slots.take)
        await anyio.wait_all_tasks_blocked()
        slots.give_back()
        tasks.cancel_scope.cancel()
    with anyio.fail_after(30):
        await slots.take()


def test_a_place_goes_from_one_event_loop_to_another(anyio_backend: str) -> None:
    slots, waiting, done = Slots(1), threading.Event(), list[str]()

    async def waits() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(slots.take)
            await anyio.wait_all_tasks_blocked()
            waiting.set()
        done.append("taken")

    async def gives() -> None:
        await anyio.to_thread.run_sync(waiting.wait, 30)
        slots.give_back()

    anyio.run(slots.take, backend=anyio_backend)
    thread = threading.Thread(target=lambda: anyio.run(waits, backend=anyio_backend))
    thread.start()
    anyio.run(gives)
    thread.join(30)
    assert done == ["taken"]
