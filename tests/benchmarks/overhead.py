"""What a call costs more for its deadline, its repeating, its line in the log, and its span."""

from __future__ import annotations

import json
import logging
import statistics
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import anyio

from agentbay import AsyncAgentBay, AsyncSession
from agentbay.protocol.sessions import GetSession

from ..unit.pool_service import Talk, reply, serving
from ._measure import Row, ratios, show

# Calls of one measurement, and how often each thing is measured, in turn with the others.
_CALLS, _ROUNDS = 100, 15

_REPLY = reply(json.dumps({"RequestId": "r-1", "Success": True, "Data": {"Labels": "{}"}}).encode())

Call = Callable[[], Awaitable[object]]


def main() -> None:
    """Measure, and print; the service is a thread of this process, and does not count."""
    with serving(_answer) as service:
        anyio.run(_measure, service.url)


async def _answer(talk: Talk) -> None:
    while True:
        await talk.request()
        await talk.say(_REPLY)


async def _measure(url: str) -> None:
    async with AsyncAgentBay("akm-x", endpoint=url) as bay:
        session, call = AsyncSession(bay, "s-1"), GetSession("s-1")
        plain = session.get_labels

        async def in_time() -> None:
            with bay.deadline(30):
                await session.get_labels()

        rows = [
            await _compared("repeating, of a request alone", _sent(bay, call), _once(bay, call)),
            await _compared("a deadline", in_time, plain),
            await _compared("a line in the log", plain, plain, _debug),
        ]
    rows += await _traced(url)
    show("overhead of a call: CPU, against the same call without it", rows)


def _sent(bay: AsyncAgentBay, call: GetSession) -> Call:
    return lambda: bay.client.send(call)


def _once(bay: AsyncAgentBay, call: GetSession) -> Call:
    return lambda: bay.client.attempt(call)


@contextmanager
def _debug() -> Generator[None]:
    log = logging.getLogger("agentbay")
    level = log.level
    log.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        log.setLevel(level)


async def _traced(url: str) -> list[Row]:
    try:
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
    except ModuleNotFoundError:
        return [Row("a span", "not measured: install agentbay-sdk[otel] and opentelemetry-sdk")]
    rows: list[Row] = []
    async with (
        AsyncAgentBay("akm-x", endpoint=url) as bay,
        AsyncAgentBay("akm-x", endpoint=url, tracing=True) as unheard,
    ):
        plain = AsyncSession(bay, "s-1").get_labels
        what = "a span that nobody wants"
        rows.append(await _compared(what, AsyncSession(unheard, "s-1").get_labels, plain))
        trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))
        async with AsyncAgentBay("akm-x", endpoint=url, tracing=True) as heard:
            what = "a span, without sending it anywhere"
            rows.append(await _compared(what, AsyncSession(heard, "s-1").get_labels, plain))
    return rows


async def _compared(
    what: str,
    more: Call,
    less: Call,
    inside: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Row:
    """Measure two kinds of calls in turn, and tell what the first one costs more.

    Args:
        what: What the row is called.
        more: The call with it.
        less: The call without it.
        inside: A block around the calls with it, which is not measured.
    """
    with_it: list[float] = []
    without: list[float] = []
    for call in (more, less):
        await _cpu(call)
    for _ in range(_ROUNDS):
        with inside():
            with_it.append(await _cpu(more))
        without.append(await _cpu(less))
    added = statistics.median(a - b for a, b in zip(with_it, without, strict=True))
    return Row(what, f"{ratios(with_it, without)}, {added * 1e6:+.0f} us")


async def _cpu(call: Call) -> float:
    """Seconds of CPU that this thread takes for a call."""
    begin = time.thread_time()
    for _ in range(_CALLS):
        await call()
    return (time.thread_time() - begin) / _CALLS
