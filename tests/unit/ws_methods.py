"""A few methods of a session that exist for tests only, and what the tests do with them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import attrs
import pytest

from agentbay import AsyncSession
from agentbay._async._websocket import Connection
from agentbay.protocol._frames import Method
from agentbay.protocol._wire import named

from .ws_service import SECRET, TOKEN, Call, WsService, by_method, session_at, silent

SERVER = "TEST_SERVER"


@attrs.frozen
class Greeting:
    text: str


@attrs.frozen
class Greet(Method[Greeting], method="test.greet", server=SERVER, returns=Greeting):
    name: str = "you"
    language: str | None = None


@attrs.frozen
class Count(Method[None], method="test.count", mode="stream", server=SERVER, tool="count"):
    up_to: int = named("upTo", default=2)


@attrs.frozen
class Note(Method[None], method="test.note", server=SERVER):
    text: Any = ""


def greeting(call: Call) -> None:
    call.result({"text": f"hello {call.params['name']}"})


def counting(call: Call) -> None:
    for number in range(call.params["upTo"]):
        call.event(n=number)
    call.end(status="finished")


@pytest.fixture
def service() -> Iterator[WsService]:
    """Greets and counts."""
    answers = {"test.greet": greeting, "test.count": counting, "test.note": silent}
    with WsService(by_method(answers)) as running:
        yield running


async def connect(service: WsService, **options: Any) -> Connection:
    session = session_at(service, **options)
    connection = await session._websocket()
    _keep[id(connection)] = session
    return connection


async def drain(stream: AsyncIterator[Any], into: list[Any]) -> None:
    """Take what comes, also when an error comes behind it."""
    async for data in stream:
        into.append(data)  # noqa: PERF401 - the list is that of the caller


# What is dropped is closed.
_keep: dict[int, AsyncSession] = {}


@pytest.fixture(autouse=True)
def drop_sessions() -> Iterator[None]:
    yield
    _keep.clear()


def secrets_in(error: BaseException | None) -> bool:
    """Whether an error shows a secret, or one of those that led to it."""
    texts: list[str] = []
    while error is not None:
        texts += [str(error), repr(error)]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return any(secret in text for text in texts for secret in (SECRET, TOKEN))


def answered(**keys: Any) -> Callable[[Call], None]:
    return lambda call: call.send(**keys)
