"""A create, against everything that can go wrong with it: never two sessions, none forgotten."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from urllib.parse import parse_qsl, urlsplit

import anyio
import attrs
import pytest

from agentbay import AsyncSession
from agentbay._results.sessions import SessionResult
from agentbay.errors import RequestTimeoutError, TransportError

from ..unit.pool_service import Talk, reply
from .cases import ATTEMPTS, SECRETS, client_of, envelope
from .faults import BODIES, CONNECTION, FAULTS, REFUSALS, Fault
from .faulty import Scene, given_up, in_scene, serving_all
from .test_requests import shown

# httpx leaves generators behind when a call is cancelled, which trio reports.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")

_HANGS = 45.0

# Where the service says for sure that it created nothing.
_REFUSED = {
    name
    for name, fault in REFUSALS.items()
    if fault.status in range(400, 500) or (fault.told and fault.status < 500)
}


@attrs.define
class Account:
    """A service that keeps sessions, and has trouble with some of its replies.

    Attributes:
        fault: The trouble.
        loses: Whether a create is carried out before its reply is lost.
        times: How many replies to creates are in trouble.
        everywhere: Whether all other replies are in trouble, too.
        sessions: The sessions that there are, with their labels.
        seen: How often each action was asked for.
    """

    fault: Fault
    loses: bool = True
    times: int = 1
    everywhere: bool = False
    sessions: dict[str, dict[str, str]] = attrs.field(factory=dict[str, dict[str, str]])
    seen: Counter[str] = attrs.field(factory=Counter[str])
    made: int = 0

    async def serve(self, talk: Talk, scene: Scene) -> None:
        """Serve one connection."""
        while True:
            request = (await talk.request()).decode()
            head, _, body = request.partition("\r\n\r\n")
            asked = dict(parse_qsl(urlsplit(head.split()[1]).query) + parse_qsl(body))
            action = asked["Action"]
            self.seen[action] += 1
            faulty, answer = self.everywhere, b""
            if action == "CreateMcpSession" and self.times:
                faulty, self.times = True, self.times - 1
            if not faulty or (self.loses and action == "CreateMcpSession"):
                answer = self._done(action, asked)
            if faulty:
                with suppress(_AnsweredError):
                    await self.fault.trouble(_Read(talk, request), scene)
                    return
            else:
                await talk.say(reply(answer))

    def _done(self, action: str, asked: dict[str, str]) -> bytes:
        if action == "CreateMcpSession":
            self.made += 1
            name = f"s-{self.made}"
            self.sessions[name] = json.loads(asked["Labels"])
            return envelope(Data={"SessionId": name})
        if action == "ListSession":
            wanted = json.loads(asked["Labels"]).items()
            found = [name for name, labels in self.sessions.items() if wanted <= labels.items()]
            return envelope(Data=[{"SessionId": name} for name in found], NextToken="")
        if action == "ReleaseMcpSession":
            del self.sessions[asked["SessionId"]]
            return envelope()
        return envelope(Data={"SessionId": asked["SessionId"]})


class _AnsweredError(Exception):
    """The reply that is in trouble was given, and the connection goes on."""


class _Read(Talk):
    """A connection of which the first request was read already."""

    def __init__(self, talk: Talk, request: str) -> None:
        super().__init__(talk.reader, talk.writer, talk.number, talk.service)
        self._first: bytes | None = request.encode()

    async def request(self) -> bytes:
        """The request that was read; there is trouble with no other one."""
        first, self._first = self._first, None
        if first is None:
            raise _AnsweredError
        return first


Outcome = tuple[Account, SessionResult[AsyncSession]]


async def created(
    fault: Fault, *, loses: bool = True, times: int = 1, everywhere: bool = False
) -> Outcome:
    """Create a session; a request that takes forever is given up soon."""

    async def attempt(limit: float) -> Outcome:
        account = Account(fault, loses, times, everywhere)
        return account, await _created(account, limit)

    def too_soon(outcome: Outcome) -> bool:
        account, _ = outcome
        return not account.seen["CreateMcpSession"] or bool(account.sessions)

    return await (given_up(attempt, too_soon) if fault.stalls else attempt(_HANGS))


async def _created(account: Account, timeout: float) -> SessionResult[AsyncSession]:
    scene = Scene(envelope(Data={"SessionId": "s-1"}), "http://127.0.0.1:9/")
    with serving_all({"it": in_scene(account.serve, scene)}) as services:
        async with client_of(services["it"].url, timeout=timeout) as bay:
            with anyio.fail_after(_HANGS):
                result = await bay.create()
            if result.session is not None:
                bay._ended(result.session.session_id)  # else it is told at exit that it was left
    everything = repr(result) + shown(result.error)
    assert not [secret for secret in SECRETS if secret in everything]
    return result


def by_name(*tables: dict[str, Fault]) -> list[str]:
    # It reads of a request that was read already, so there is nothing left to read.
    never = {"reset before the request is read"}
    return [name for table in tables for name in table if name not in never]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("name", by_name(CONNECTION, BODIES, REFUSALS))
async def test_a_create_of_which_one_reply_is_lost(name: str, anyio_backend: str) -> None:
    """Unless the service refused it, it made a session, and its reply went wrong once."""
    fault = FAULTS[name]
    account, result = await created(fault, loses=name not in _REFUSED)
    assert len(account.sessions) == result.success
    assert account.made <= 1
    if fault.stalls:
        assert isinstance(result.error, RequestTimeoutError)
    elif name in _REFUSED:
        assert result.success == fault.again
        assert "ListSession" not in account.seen
    else:
        assert result.success, result.error_message
        assert account.seen["CreateMcpSession"] == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("name", by_name(FAULTS))
async def test_a_create_where_everything_goes_wrong(name: str, anyio_backend: str) -> None:
    """No reply comes back, of no request: the create fails, and is not sent twice blindly."""
    account, result = await created(FAULTS[name], loses=False, times=99, everywhere=True)
    assert not result.success
    assert type(result.error) is account.fault.error, shown(result.error)
    assert result.error is not None
    assert result.error.action == "CreateMcpSession"
    refused = 0 < account.fault.status < 500 and account.fault.again
    assert account.seen["CreateMcpSession"] == (ATTEMPTS if refused else 1)


@pytest.mark.parametrize("name", ["reset after the request", "half a body", "504 without"])
async def test_a_create_that_fails_twice_makes_one_session(name: str) -> None:
    """Neither of two creates arrived, the third did."""
    account, result = await created(FAULTS[name], loses=False, times=2)
    assert result.success
    assert (account.seen["CreateMcpSession"], account.made) == (3, 1)
    assert account.seen["ListSession"] == 2


async def test_a_create_that_cannot_be_looked_for_tells_why_it_failed_first() -> None:
    account, result = await created(FAULTS["reset after the request"], everywhere=True, times=99)
    assert type(result.error) is TransportError
    assert account.made == 1
