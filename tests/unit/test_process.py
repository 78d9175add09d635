"""What is asked of a session to handle a process, and which answers are understood."""

from __future__ import annotations

import json
import shlex
import types
from typing import Any

import anyio
import httpx
import pytest

from agentbay import _deadline
from agentbay._async import _process_scripts as scripts
from agentbay._async.process import AsyncProcessHandle, attach, start
from agentbay.errors import AgentBayError, CommandError, ProcessError, RequestTimeoutError

from .service import Service, session_of, tool_says

ID = "0123456789abcdef" * 2


def _later(stdout: str, code: int = 0, stderr: str = "") -> httpx.Response:
    """The answer of the later shell tool."""
    return tool_says(json.dumps({"stdout": stdout, "stderr": stderr, "exit_code": code}))


def _arguments(service: Service, number: int = -1) -> dict[str, Any]:
    arguments: dict[str, Any] = json.loads(service.sent[number].form["Args"])
    return arguments


def _words(service: Service, number: int = -1) -> list[str]:
    return shlex.split(_arguments(service, number)["command"])


async def test_a_start_is_one_call_of_the_shell() -> None:
    service = Service(lambda _: _later("77\n"))
    process = await start(session_of(service), "make", cwd="src", envs={"A": "b c"})

    assert process.pid == 77
    (sent,) = service.sent
    assert sent.form["Name"] == "shell"
    assert set(_arguments(service)) == {"command", "timeout_ms"}
    directory = scripts.DIRECTORY + process.id
    after = ["./src", scripts.KEEPER, scripts.CHILD, "make", "A=b c"]
    assert _words(service) == ["sh", "-c", scripts.START, "sh", directory, *after]


async def test_every_method_runs_its_script() -> None:
    service = Service(lambda _: _later("sent 77\n"))
    process = AsyncProcessHandle(session_of(service), ID, 77)
    directory = scripts.DIRECTORY + ID

    assert await process.kill("SIGTERM")
    assert _words(service) == ["sh", "-c", scripts.SIGNAL, "sh", directory, "TERM"]
    await process.write_stdin("é")
    assert _words(service)[:5] == ["sh", "-c", scripts.FEED, "sh", directory]
    assert _words(service)[6:] == ["w6k=", "last"]
    await process.close_stdin()
    assert _words(service) == ["sh", "-c", scripts.CLOSE, "sh", directory]
    assert await process.poll() is None
    assert _words(service) == ["sh", "-c", scripts.LOOK, "sh", directory, "", "1", "0"]


@pytest.mark.parametrize("reply", [tool_says, _later], ids=["first", "later"])
async def test_answers_of_both_generations_are_understood(reply: Any) -> None:
    answers = iter(["running 77\n", "exit 3 77\nw6nD\n", "exit 3 77\n", "exit 3 77\n"])
    process = await attach(session_of(Service(lambda _: reply(next(answers)))), ID)

    assert process.pid == 77
    assert [text async for text in process.stderr(5)] == ["é�"]
    assert await process.wait() == 3
    assert await process.kill() is False


@pytest.mark.parametrize(
    "reply",
    [
        lambda: _later("", 3, "sh: 1: cd: can't cd to /nowhere"),
        lambda: tool_says(
            "Execution failed. Error code:3 Error message: cd: can't cd to /nowhere",
            is_error=True,
        ),
    ],
    ids=["later", "first"],
)
async def test_a_start_that_fails_tells_why(reply: Any) -> None:
    service = Service(lambda _: reply())
    with pytest.raises(ProcessError, match="nowhere") as caught:
        await start(session_of(service), "make", cwd="/nowhere")
    assert caught.value.request_id == "r-1"
    assert len(service.sent) == 1


async def test_a_session_that_cannot_run_commands_says_so() -> None:
    service = Service(lambda _: tool_says("no shell here", is_error=True))
    with pytest.raises(CommandError, match="no shell"):
        await AsyncProcessHandle(session_of(service), ID, 1).poll()


@pytest.mark.parametrize("text", ["", "?", "exit x 1", "running"])
async def test_an_answer_that_makes_no_sense_is_an_error(text: str) -> None:
    with pytest.raises(ProcessError):
        await AsyncProcessHandle(session_of(Service(lambda _: _later(text))), ID, 1).poll()


@pytest.mark.parametrize(("state", "words"), [("missing 0", "no process"), ("lost 7", "watched")])
async def test_a_process_that_is_gone_is_told(state: str, words: str) -> None:
    process = AsyncProcessHandle(session_of(Service(lambda _: _later(state))), ID, 7)
    for ask in (process.poll, process.kill, process.close_stdin, process.wait):
        with pytest.raises(ProcessError, match=words) as caught:
            await ask()
        assert caught.value.request_id == "r-1"


async def test_much_input_travels_in_parts_under_one_name() -> None:
    service = Service(lambda _: _later("sent 77"))
    await AsyncProcessHandle(session_of(service), ID, 77).write_stdin(b"x" * 70_000)

    calls = [_words(service, number)[5:] for number in range(len(service.sent))]
    assert len({name for name, _, _ in calls}) == 1
    assert [last for _, _, last in calls] == ["", "", "last"]
    assert all(len(json.dumps(sent.form)) < 51_000 for sent in service.sent)


async def test_a_start_that_is_given_up_ends_the_process() -> None:
    def broken(_: object) -> httpx.Response:
        raise httpx.ReadError("gone")

    service = Service(broken)
    session = session_of(service)
    with anyio.fail_after(30):
        with pytest.raises(AgentBayError):
            await start(session, "make")
        await session.agent_bay.aclose()
    assert _words(service)[2] == scripts.SIGNAL


class Slow(Service):
    """A session that answers to a start when it is let."""

    def __init__(self) -> None:
        super().__init__(lambda _: _later("sent 77"))
        self.asked, self.let = anyio.Event(), anyio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if _words(self)[2] == scripts.START:
            self.asked.set()
            await self.let.wait()
        return response


async def test_a_start_that_is_cancelled_goes_on_at_once_and_ends_the_process() -> None:
    service = Slow()
    session = session_of(service)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(start, session, "make")
            await service.asked.wait()
            tasks.cancel_scope.cancel()
        # A process that the session has yet to start would outlive a signal that came before it.
        assert len(service.sent) == 1
        service.let.set()
        await session.agent_bay.aclose()
    assert _words(service)[2] == scripts.SIGNAL


async def test_a_start_that_is_out_of_time_tells_so_at_once_and_ends_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What is left of the deadline is the same when the start begins.
    monkeypatch.setattr(_deadline, "time", types.SimpleNamespace(monotonic=lambda: 0.0))
    service = Slow()
    session = session_of(service)
    with anyio.fail_after(30):
        with session.agent_bay.deadline(0.5), pytest.raises(RequestTimeoutError) as caught:
            await start(session, "make")
        assert caught.value.sent
        service.let.set()
        await session.agent_bay.aclose()
    assert _words(service)[2] == scripts.SIGNAL


async def test_a_start_after_the_deadline_sends_nothing() -> None:
    service = Service(lambda _: _later("77"))
    session = session_of(service)
    with session.agent_bay.deadline(0), pytest.raises(RequestTimeoutError) as caught:
        await start(session, "make")
    await session.agent_bay.aclose()
    assert not caught.value.sent
    assert service.sent == []


def test_a_process_shows_what_it_is() -> None:
    process = AsyncProcessHandle(session_of(Service(lambda _: _later(""))), ID, 7)
    assert repr(process) == f"AsyncProcessHandle('{ID}', pid=7)"
