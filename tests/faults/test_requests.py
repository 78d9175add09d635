"""Every request on every way, against everything that can go wrong with it.

The whole table runs under asyncio, where the connections are our own; under trio, where they
are those of httpx, one request of each kind does.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from functools import partial

import anyio
import attrs
import pytest

from agentbay.errors import AgentBayError, TransportError

from ..unit.pool_service import PoolService
from .cases import ATTEMPTS, CASES, FEW, REQUEST_ID, SECRETS, Case, client_of
from .faults import FAULTS, Fault
from .faulty import Scene, given_up, in_scene, says, serving_all

# httpx leaves generators behind when a call is cancelled, which trio reports.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")

# Seconds until a request is given up that takes forever, and until one hangs.
_SOON, _HANGS = 1.0, 45.0

_ELSEWHERE = "elsewhere"


@attrs.frozen
class Outcome:
    """What came of a request: an error, or None for a success."""

    case: Case
    service: PoolService
    error: AgentBayError | None


async def outcome(case: Case, service: PoolService, limit: float) -> Outcome:
    error = None
    async with client_of(service.url, timeout=limit) as bay:
        try:
            await case.send(bay.client, service)
        except AgentBayError as exc:
            error = exc
    return Outcome(case, service, error)


async def outcomes(
    fault: Fault, cases: Mapping[str, Case], limit: float
) -> tuple[list[Outcome], PoolService]:
    """Send each request to a server of its own, all at once."""
    found: list[Outcome] = []

    async def one(case: Case, service: PoolService) -> None:
        found.append(await outcome(case, service, limit))

    with serving_all({_ELSEWHERE: in_scene(says(b"{}"), Scene(b"", ""))}) as others:
        elsewhere = others[_ELSEWHERE]
        scripts = {
            name: in_scene(fault.trouble, Scene(case.good, elsewhere.url))
            for name, case in cases.items()
        }
        with serving_all(scripts) as services, anyio.fail_after(_HANGS + 5):
            async with anyio.create_task_group() as tasks:
                for name, case in cases.items():
                    tasks.start_soon(one, case, services[name])
        assert len(found) == len(cases)
        return found, elsewhere


def some_are_missing(found: tuple[list[Outcome], PoolService]) -> bool:
    """Whether there are requests of which nothing arrived."""
    return not all(item.service.heads for item in found[0])


def shown(error: BaseException | None) -> str:
    """All that a log or a traceback could show of an error and of those that led to it."""
    texts: list[str] = []
    while error is not None:
        texts += [*traceback.format_exception_only(error), repr(error), repr(vars(error))]
        error = error.__cause__ or error.__context__
    return "\n".join(texts)


def check(found: Outcome, fault: Fault) -> None:
    """Compare what came of a request with what was to come of it."""
    case, error = found.case, found.error
    assert error is not None, "it says that it succeeded"
    assert type(error) is fault.error, shown(error)
    assert error.code == fault.code
    assert getattr(error, "status_code", 0) == fault.status
    assert getattr(error, "retry_after", None) == fault.retry_after
    if isinstance(error, TransportError):
        assert error.sent
    assert error.action == ("callTool" if case.direct else _action_of(case))
    if case.direct:
        assert error.request_id.startswith(("link-", "vpc-"))
    else:
        assert error.request_id == (REQUEST_ID if fault.told else "")
    times = ATTEMPTS if fault.again and case.harmless else 1
    assert len(error.attempts) == times
    assert max(found.service.connections, len(found.service.heads)) == times


def _action_of(case: Case) -> str:
    return case.name if " " not in case.name else "CallMcpTool"


@pytest.mark.parametrize("name", FAULTS)
async def test_what_comes_of_a_fault(
    name: str, anyio_backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fault = FAULTS[name]
    cases = CASES if anyio_backend == "asyncio" else FEW
    if fault.stalls:
        send = partial(outcomes, fault, cases)
        found, elsewhere = await given_up(send, some_are_missing, _SOON)
    else:
        found, elsewhere = await outcomes(fault, cases, _HANGS)
    failures: list[str] = []
    for item in found:
        try:
            check(item, fault)
            everything = shown(item.error)
            assert not [secret for secret in SECRETS if secret in everything]
        except AssertionError as exc:
            failures.append(f"{item.case.name}: {exc}")
    assert failures == []
    assert elsewhere.connections == 0
    # httpcore logs under DEBUG what a server sends, whatever that repeats.
    own = [record for record in caplog.records if not record.name.startswith("httpcore")]
    logged = "\n".join(record.getMessage() + repr(record.args) for record in own)
    assert not [secret for secret in SECRETS if secret in logged]
