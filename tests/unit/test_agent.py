"""Agents whose tasks are asked for: what is sent, every shape of an answer, how waits end."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest

from agentbay import InvalidInputError, ProtocolError, SessionNotFoundError
from agentbay._async import _agent_runs
from agentbay._async.agent import (
    AsyncAgent,
    AsyncAgentBrowser,
    AsyncAgentComputer,
    AsyncAgentMobile,
)
from agentbay._async.agent_task import AsyncTaskExecution
from agentbay._results.agent import ExecutionResult, QueryResult
from agentbay.errors import AgentError, AgentTimeoutError, APIError, ToolError
from agentbay.protocol import agent as tools
from agentbay.protocol._calls import Content, Tool
from agentbay.protocol.agent import TaskStart, TaskState

from .service import Sent, Service, ok, session_of, tool_says

KINDS = {
    "computer": ("flux_execute_task", "flux_get_task_status", "flux_terminate_task"),
    "browser": (
        "browser_use_execute_task",
        "browser_use_get_task_status",
        "browser_use_terminate_task",
    ),
    "mobile": ("execute_task", "get_task_status", "terminate_task"),
}
TEXT_SCHEMA = {
    "title": "Result",
    "type": "object",
    "properties": {"result": {"type": "string", "description": "What came out, as text."}},
    "required": ["result"],
}

Answer = str | dict[str, Any] | httpx.Response | Exception


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_agent_runs, "INTERVAL", 0.01)


class Clock:
    """Stands in for the time by which tasks are waited for."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that stands still."""
    clock = Clock()
    monkeypatch.setattr(_agent_runs, "time", clock)
    return clock


class Script(Service):
    """Gives each tool its answers in turn; the last one again and again.

    Attributes:
        clock: Goes on by 40 s with each answer.
    """

    clock: Clock | None = None

    def __init__(self, **answers: Answer | list[Answer]) -> None:
        super().__init__(self._next)
        self._answers = {
            name: list(given) if isinstance(given, list) else [given]
            for name, given in answers.items()
        }

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await anyio.sleep(0.001)  # as on a network, a caller that is cancelled sends nothing more
        return await super().handle_async_request(request)

    def _next(self, sent: Sent) -> httpx.Response:
        if sent.action != "CallMcpTool":
            return ok({"Port": 9333})
        if self.clock is not None:
            self.clock.now += 40
        given = self._answers[sent.form["Name"]]
        answer = given.pop(0) if len(given) > 1 else given[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            # A response can be sent once only.
            return httpx.Response(answer.status_code, content=answer.content)
        return tool_says(answer if isinstance(answer, str) else json.dumps(answer))

    @property
    def calls(self) -> list[tuple[str, Any]]:
        """The tools that were called, with their arguments."""
        tools = (sent for sent in self.sent if sent.action == "CallMcpTool")
        return [(sent.form["Name"], json.loads(sent.form["Args"])) for sent in tools]

    @property
    def names(self) -> list[str]:
        """The tools that were called."""
        return [name for name, _ in self.calls]


def refusal(text: str) -> httpx.Response:
    """A tool that fails."""
    return tool_says(text, is_error=True)


def failing(status: int, code: str = "InternalError") -> httpx.Response:
    """A service that says no."""
    return httpx.Response(status, json={"RequestId": "r-9", "Code": code, "Message": "broken"})


def script_of(kind: str, *looks: Answer, start: Answer | None = None) -> Script:
    """A service whose task has an identifier, and these states in turn."""
    begin, look, stop = KINDS[kind]
    answers: dict[str, Any] = {
        begin: {"task_id": "t-1"} if start is None else start,
        look: list(looks) or [{"task_id": "t-1", "status": "running"}],
        stop: {"task_id": "t-1", "status": "cancelled"},
    }
    return Script(**answers)


def agent_of(service: Service, kind: str) -> Any:
    """One of the agents of a session."""
    return getattr(AsyncAgent(session_of(service)), kind)


async def wait(kind: str, service: Service, timeout: float = 30) -> ExecutionResult:
    """Do a task with one of the agents."""
    result: ExecutionResult = await agent_of(service, kind).execute_task_and_wait("do it", timeout)
    return result


async def _looked(service: Script, look: str) -> None:
    """Wait until the answer to a look was taken, because there is another one."""
    with anyio.fail_after(30):
        while service.names.count(look) < 2:  # noqa: ASYNC110 - the loop under test makes it true
            await anyio.sleep(0.005)


DONE: dict[str, Any] = {"task_id": "t-1", "status": "finished", "product": "42"}


# -- what is sent ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["computer", "browser"])
async def test_a_task_is_begun_and_goes_on(kind: str) -> None:
    service = script_of(kind)
    result = await agent_of(service, kind).execute_task("do it")
    assert (result.success, result.task_id, result.task_status) == (True, "t-1", "running")
    assert (result.request_id, result.unwrap()) == ("r-1", "")
    assert service.names == [KINDS[kind][0]]


async def test_a_task_of_the_computer_sends_its_text() -> None:
    service = script_of("computer")
    await AsyncAgent(session_of(service)).computer.execute_task("do it")
    assert service.calls == [("flux_execute_task", {"task": "do it"})]


async def test_a_task_of_the_browser_sends_every_argument() -> None:
    service = script_of("browser")
    await AsyncAgent(session_of(service)).browser.execute_task("do it")
    ((_, arguments),) = service.calls
    assert json.loads(arguments.pop("output_schema")) == TEXT_SCHEMA
    assert arguments == {"task": "do it", "use_vision": False, "full_page_screenshot": False}


class Price:
    """Looks like a model of pydantic."""

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        return {"title": "Price", "type": "object"}


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        (Price, {"title": "Price", "type": "object"}),
        (Price(), {"title": "Price", "type": "object"}),
        ({"type": "object", "description": "ä"}, {"type": "object", "description": "ä"}),
        ('{"type": "object"}', {"type": "object"}),
    ],
)
async def test_the_shape_of_a_result_is_a_model_or_a_schema(schema: Any, sent: Any) -> None:
    service = script_of("browser")
    await AsyncAgent(session_of(service)).browser.execute_task("do it", True, schema, True)
    ((_, arguments),) = service.calls
    assert json.loads(arguments.pop("output_schema")) == sent
    assert arguments == {"task": "do it", "use_vision": True, "full_page_screenshot": True}


async def test_no_word_about_full_pages_means_no() -> None:
    service = script_of("browser")
    await AsyncAgent(session_of(service)).browser.execute_task("x", full_page_screenshot=None)
    assert service.calls[0][1]["full_page_screenshot"] is False


@pytest.mark.parametrize("steps", [{}, {"max_steps": 7}])
async def test_a_task_of_the_phone_sends_its_steps(steps: dict[str, Any]) -> None:
    service = script_of("mobile", start={"taskId": "t-2"})
    execution = await AsyncAgent(session_of(service)).mobile.execute_task("do it", **steps)
    assert (execution.task_id, execution.done) == ("t-2", False)
    assert service.calls == [("execute_task", {"task": "do it", "max_steps": 50, **steps})]
    assert repr(execution) == "AsyncTaskExecution('t-2')"


@pytest.mark.parametrize("kind", KINDS)
async def test_the_state_and_the_end_are_asked_for_by_the_identifier(kind: str) -> None:
    service = script_of(kind)
    agent = agent_of(service, kind)
    state = await agent.get_task_status("t-1")
    stopped = await agent.terminate_task("t-1")
    assert service.calls == [(name, {"task_id": "t-1"}) for name in KINDS[kind][1:]]
    assert (state.success, state.task_status, state.request_id) == (True, "running", "r-1")
    assert (stopped.success, stopped.task_id, stopped.task_status) == (True, "t-1", "cancelled")


async def test_the_first_generation_uses_the_computer() -> None:
    service = script_of("computer", DONE)
    agent = AsyncAgent(session_of(service))
    assert (await agent.async_execute_task("do it")).task_id == "t-1"
    assert (await agent.get_task_status("t-1")).task_product == "42"
    assert (await agent.terminate_task("t-1")).success
    assert (await agent.execute_task("do it", 3)).unwrap() == "42"
    assert service.names == [*KINDS["computer"], *KINDS["computer"][:2]]


def test_the_agents_have_the_nested_names_of_the_vendor() -> None:
    assert AsyncAgent.Computer is AsyncAgentComputer
    assert AsyncAgent.Browser is AsyncAgentBrowser
    assert AsyncAgent.Mobile is AsyncAgentMobile


# -- the browser behind its agent ------------------------------------------------------


async def test_the_browser_is_started_before_its_first_task_only() -> None:
    service = script_of("browser", DONE)
    agent = AsyncAgent(session_of(service)).browser
    await agent.execute_task("one")
    assert (await agent.execute_task_and_wait("two", 5)).success
    assert service.actions.count("InitBrowser") == 1
    assert service.actions[0] == "InitBrowser"


async def test_the_browser_can_be_started_by_its_agent() -> None:
    service = script_of("browser")
    session = session_of(service)
    assert await AsyncAgent(session).browser.initialize() is True
    assert session.browser.is_initialized()


async def test_a_browser_that_was_destroyed_is_started_again() -> None:
    """The vendor's agent keeps a flag of its own, which `destroy` does not reset."""
    service = script_of("browser")
    service._answers["stopChrome"] = ["ok"]
    session = session_of(service)
    agent = AsyncAgent(session).browser
    await agent.execute_task("one")
    await session.browser.destroy()
    await agent.execute_task("two")
    assert service.actions.count("InitBrowser") == 2


async def test_a_browser_that_does_not_start_is_the_reason_of_the_failure() -> None:
    service = Service(lambda _: failing(500, "NoBrowser"))
    result = await AsyncAgent(session_of(service)).browser.execute_task("do it")
    assert (result.success, result.code, result.task_status) == (False, "NoBrowser", "failed")
    assert isinstance(result.error, APIError)
    assert service.actions == ["InitBrowser"]


# -- what is refused -------------------------------------------------------------------

REFUSED: dict[str, Callable[[AsyncAgent], Awaitable[Any]]] = {
    "a blank task": lambda a: a.computer.execute_task(" "),
    "a task that is no text": lambda a: a.browser.execute_task(None),  # type: ignore[arg-type] # the test
    "a blank identifier": lambda a: a.mobile.get_task_status(""),
    "no identifier": lambda a: a.computer.terminate_task(None),  # type: ignore[arg-type] # the test
    "a limit of nothing": lambda a: a.computer.execute_task_and_wait("x", 0),
    "a negative limit": lambda a: a.browser.execute_task_and_wait("x", -1),
    "a limit without end": lambda a: a.mobile.execute_task_and_wait("x", float("inf")),
    "a limit that is no number": lambda a: a.computer.execute_task_and_wait("x", "9"),  # type: ignore[arg-type] # the test
    "no looks": lambda a: a.execute_task("x", 0),
    "half a look": lambda a: a.execute_task("x", 1.5),  # type: ignore[arg-type] # the test
    "no step": lambda a: a.mobile.execute_task_and_wait("x", 5, max_steps=0),
    "half a step": lambda a: a.mobile.execute_task_and_wait("x", 5, max_steps=1.5),  # type: ignore[arg-type] # the test
    "a schema that is a number": lambda a: a.browser.execute_task("x", output_schema=5),  # type: ignore[arg-type] # the test
    "a schema that is no object": lambda a: a.browser.execute_task("x", output_schema="[]"),
    "a schema that is no JSON": lambda a: a.browser.execute_task("x", output_schema={"a": {1}}),
    "a model without a schema": lambda a: a.browser.execute_task("x", output_schema=int),
    "vision that is no flag": lambda a: a.browser.execute_task("x", "yes"),  # type: ignore[arg-type] # the test
    "a function that is none": lambda a: a.mobile.execute_task_and_wait("x", 5, on_content=5),  # type: ignore[arg-type] # the test
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_makes_no_sense_is_refused_before_anything_is_sent(name: str) -> None:
    service = Script()
    result = await REFUSED[name](AsyncAgent(session_of(service)))
    assert isinstance(result.error, InvalidInputError)
    assert not result.success
    assert service.sent == []


@pytest.mark.parametrize("arguments", [("",), ("x", 0), ("x", 5, "no function")])
async def test_a_task_of_the_phone_that_makes_no_sense_is_not_begun(arguments: Any) -> None:
    service = Script()
    with pytest.raises(InvalidInputError):
        await AsyncAgent(session_of(service)).mobile.execute_task(*arguments)
    assert service.sent == []


async def test_a_handle_needs_an_identifier_and_a_limit() -> None:
    agent = AsyncAgent(session_of(Script()))
    with pytest.raises(InvalidInputError):
        agent.computer.attach(" ")
    assert isinstance((await agent.computer.attach("t").wait(0)).error, InvalidInputError)
    with pytest.raises(InvalidInputError):
        agent.computer.attach("t").events(0)


async def test_a_handle_that_was_made_by_hand_says_what_is_missing() -> None:
    execution = AsyncTaskExecution("t-1")
    assert (execution.task_id, execution.done) == ("t-1", False)
    result = await execution.wait()
    assert isinstance(result.error, AgentError)
    assert "execute_task()" in result.error_message


# -- how a task begins -----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["computer", "browser"])
@pytest.mark.parametrize("text", ["", "ok", "{}", "[]", '{"task_id": ""}', '{"status": "running"}'])
async def test_a_start_without_an_identifier_makes_no_sense(kind: str, text: str) -> None:
    result = await wait(kind, script_of(kind, start=text))
    assert isinstance(result.error, ProtocolError)
    assert (result.success, result.task_status) == (False, "failed")


@pytest.mark.parametrize("kind", ["computer", "browser"])
async def test_a_start_that_fails_gives_a_failed_result(kind: str) -> None:
    service = script_of(kind, start=refusal("no agent here"))
    result = await agent_of(service, kind).execute_task("do it")
    assert (result.success, result.error_message) == (False, "no agent here")
    assert (result.task_status, result.task_id, result.request_id) == ("failed", "", "r-1")
    assert isinstance(result.error, AgentError)
    assert result.error.tool == KINDS[kind][0]


async def test_a_start_on_the_phone_that_fails_raises() -> None:
    service = script_of("mobile", start=refusal("no phone here"))
    with pytest.raises(AgentError, match="no phone here") as caught:
        await agent_of(service, "mobile").execute_task("do it")
    assert (caught.value.tool, caught.value.request_id) == ("execute_task", "r-1")


async def test_a_phone_that_cannot_be_reached_raises_an_error_of_agents() -> None:
    service = script_of("mobile", start=httpx.ConnectError("no route"))
    with pytest.raises(AgentError) as caught:
        await agent_of(service, "mobile").execute_task("do it")
    assert caught.value.__cause__ is not None


async def test_a_failure_to_begin_is_a_result_when_it_is_waited_for() -> None:
    result = await wait("mobile", script_of("mobile", start=refusal("no phone here")))
    assert (result.success, result.error_message) == (False, "no phone here")


@pytest.mark.parametrize("text", ["The light is on.", "[1]", '"on"', '{"light": "on"}', "{light"])
async def test_text_without_an_identifier_is_what_came_out_of_a_phone(text: str) -> None:
    service = script_of("mobile", start=text)
    execution = await agent_of(service, "mobile").execute_task("light")
    assert (execution.done, execution.task_id) == (True, "")
    result = await execution.wait(0.1)
    assert (result.success, result.task_status, result.task_result) == (True, "finished", text)
    assert service.names == ["execute_task"]
    assert [event async for event in execution.events()] == []


@pytest.mark.parametrize(
    ("answer", "success", "status", "text"),
    [
        ({"status": "completed", "result": "on"}, True, "completed", "on"),
        ({"status": "failed", "error": "no light"}, False, "failed", ""),
        ({"error": "no light"}, False, "failed", ""),
        ({"result": {"light": 1}}, True, "finished", '{"light":1}'),
    ],
)
async def test_a_phone_may_answer_with_the_end_at_once(
    answer: Any, success: bool, status: str, text: str
) -> None:
    result = await wait("mobile", script_of("mobile", start=answer))
    assert (result.success, result.task_status, result.task_result) == (success, status, text)
    assert success or "no light" in result.error_message


@pytest.mark.parametrize("text", ["", "  \n", '{"status": "running"}'])
async def test_an_empty_answer_of_a_phone_is_no_success(text: str) -> None:
    result = await wait("mobile", script_of("mobile", start=text))
    assert not result.success
    assert isinstance(result.error, ProtocolError | AgentError)
    assert (result.task_status, result.task_result) == ("failed", "")


@pytest.mark.parametrize("start", [{"task_id": 17}, {"taskId": 17}])
async def test_an_identifier_may_be_a_number(start: Any) -> None:
    service = script_of("mobile", start=start)
    assert (await agent_of(service, "mobile").execute_task("x")).task_id == "17"


# -- how a task stands -----------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", ["task_id", "taskId"])
@pytest.mark.parametrize("product", ["product", "result"])
async def test_a_state_has_names_of_two_kinds(kind: str, key: str, product: str) -> None:
    told = {key: "t-2", "status": "running", "action": "typing", product: "4"}
    state = await agent_of(script_of(kind, told), kind).get_task_status("t-1")
    assert (state.task_id, state.task_status) == ("t-2", "running")
    assert (state.task_action, state.task_product, state.unwrap()) == ("typing", "4", "4")
    assert (state.stream, state.error) == ([], None)


async def test_a_phone_tells_what_it_thought_and_what_went_wrong() -> None:
    piece = {"timestamp_ms": 5, "content": "tap", "reasoning": "the light"}
    told = {"task_id": "t-1", "status": "failed", "stream": [piece, 5], "error": "no light"}
    state = await agent_of(script_of("mobile", told), "mobile").get_task_status("t-1")
    assert (state.success, state.stream, str(state.error)) == (True, [piece], "no light")
    assert isinstance(state.error, AgentError)


@pytest.mark.parametrize(
    ("told", "status"),
    [({}, "finished"), ({"product": "4"}, "finished"), ({"error": "gone"}, "failed")],
)
async def test_a_state_without_a_status_is_an_end(told: Any, status: str) -> None:
    """The first generation took a misspelt default for a task that goes on for ever."""
    state = await agent_of(script_of("computer", told), "computer").get_task_status("t-1")
    assert state.task_status == status
    result = await wait("computer", script_of("computer", told))
    assert (result.task_status, result.success) == (status, status == "finished")


async def test_an_empty_name_gives_way_to_the_other_one() -> None:
    told = {"task_id": "", "taskId": "t-2", "status": "completed", "product": "", "result": "4"}
    state = await agent_of(script_of("mobile", told), "mobile").get_task_status("t-1")
    assert (state.task_id, state.task_product) == ("t-2", "4")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ({"message": "no light", "code": "E1"}, "no light"),
        ({"code": "E1"}, '{"code":"E1"}'),
        ([1], "[1]"),
    ],
)
async def test_the_error_of_a_task_may_be_an_object(error: Any, text: str) -> None:
    told = {"status": "failed", "error": error}
    state = await agent_of(script_of("mobile", told), "mobile").get_task_status("t-1")
    assert str(state.error) == text


@pytest.mark.parametrize("error", ["", None, {}, []])
async def test_an_empty_error_of_a_task_is_none(error: Any) -> None:
    told = {"status": "running", "error": error}
    state = await agent_of(script_of("mobile", told), "mobile").get_task_status("t-1")
    assert state.error is None


@pytest.mark.parametrize("text", ["", "running", "[]", '{"status": {}}', '{"task_id": []}'])
async def test_a_state_that_makes_no_sense_is_no_end_of_the_task(text: str) -> None:
    state = await agent_of(script_of("computer", text), "computer").get_task_status("t-1")
    assert isinstance(state.error, ProtocolError)
    assert (state.success, state.task_status) == (False, "")


async def test_a_question_that_fails_says_nothing_about_the_task() -> None:
    """The vendor's calls a task failed whose state could not be asked for."""
    service = script_of("computer", httpx.ConnectError("no route"))
    state = await agent_of(service, "computer").get_task_status("t-1")
    assert (state.success, state.task_status) == (False, "")
    assert state.error is not None


@pytest.mark.parametrize("text", ["", "ok", "{}", '{"taskId": "t-1"}'])
async def test_a_task_is_ended_whatever_is_said_to_it(text: str) -> None:
    service = Script(flux_terminate_task=text)
    result = await agent_of(service, "computer").terminate_task("t-1")
    assert (result.success, result.task_id) == (True, "t-1")


@pytest.mark.parametrize("kind", KINDS)
async def test_an_end_that_is_refused_is_a_failed_result(kind: str) -> None:
    service = Script(**{KINDS[kind][2]: refusal("Task not found")})
    result = await agent_of(service, kind).terminate_task("t-9")
    assert (result.success, result.error_message) == (False, "Task not found")


# -- waiting ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", ["finished", "completed", "COMPLETED"])
async def test_both_words_for_success_end_the_wait(kind: str, status: str) -> None:
    running = {"task_id": "t-1", "status": "running", "action": "typing"}
    service = script_of(kind, running, running, {**DONE, "status": status})
    result = await wait(kind, service)
    assert (result.success, result.task_result, result.task_status) == (True, "42", status)
    assert (result.task_id, result.request_id, result.error) == ("t-1", "r-1", None)
    begin, look, _ = KINDS[kind]
    assert service.names == [begin, look, look, look]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", ["failed", "cancelled", "canceled", "unsupported"])
async def test_every_word_for_a_failure_ends_the_wait(kind: str, status: str) -> None:
    told = {"status": status, "product": "half of it", "error": "no paper"}
    service = script_of(kind, told)
    result = await wait(kind, service)
    assert (result.success, result.task_status, result.task_result) == (
        False,
        status,
        "half of it",
    )
    assert "no paper" in result.error_message
    assert isinstance(result.error, AgentError)
    assert service.names == list(KINDS[kind][:2])
    with pytest.raises(AgentError):
        result.unwrap()


async def test_what_a_failed_task_brought_is_its_reason_when_there_is_no_other() -> None:
    result = await wait("computer", script_of("computer", {"status": "failed", "product": "why"}))
    assert "why" in result.error_message
    result = await wait("computer", script_of("computer", {"status": "unsupported"}))
    assert "gave no reason" in result.error_message


@pytest.mark.parametrize("kind", KINDS)
async def test_a_task_that_runs_out_of_time_is_ended_once_and_keeps_what_it_brought(
    kind: str, clock: Clock
) -> None:
    running = {"status": "running", "product": "half of it"}
    service = script_of(kind, running)
    service.clock = clock
    result = await wait(kind, service, timeout=100)
    assert (result.success, result.task_status) == (False, "failed")
    assert (result.task_id, result.task_result) == ("t-1", "half of it")
    assert isinstance(result.error, AgentTimeoutError)
    assert isinstance(result.error, TimeoutError)
    assert result.error_message == "timeout: task t-1 has not ended after 100 s and 3 looks"
    assert service.names.count(KINDS[kind][1]) == 3
    assert service.names.count(KINDS[kind][2]) == 1
    assert service.names[-1] == KINDS[kind][2]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_time_limit_below_the_interval_still_looks(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vendor's does not look at all within less than three seconds."""
    monkeypatch.setattr(_agent_runs, "INTERVAL", 3.0)
    assert (await wait(kind, script_of(kind, DONE), timeout=0.01)).success


@pytest.mark.usefixtures("clock")
async def test_the_last_look_is_taken_at_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_agent_runs, "INTERVAL", 60.0)
    service = script_of("computer", {"status": "running"}, DONE)
    with anyio.fail_after(30):
        assert (await wait("computer", service, timeout=0.05)).success


async def test_a_task_that_cannot_be_ended_may_go_on() -> None:
    service = script_of("computer")
    service._answers["flux_terminate_task"] = [refusal("no")]
    result = await wait("computer", service, timeout=0.02)
    assert result.error_message.endswith("it could not be ended, and may go on")


@pytest.mark.parametrize(
    "trouble", [httpx.ConnectError("no route"), failing(500), failing(429), "no JSON"]
)
async def test_trouble_on_the_way_does_not_end_the_wait(trouble: Any) -> None:
    """The vendor's ends with the first look that fails."""
    service = script_of("computer", *[trouble] * 4, {"status": "running"}, trouble, DONE)
    assert (await wait("computer", service)).task_result == "42"


async def test_the_last_trouble_is_reported_when_the_time_is_over(clock: Clock) -> None:
    """The vendor's drops the reason."""
    service = script_of("computer", {"status": "running", "product": "half"}, failing(503, "Busy"))
    service.clock = clock
    result = await wait("computer", service, timeout=100)
    assert "the last look failed: " in result.error_message
    assert "[Busy] broken" in result.error_message
    assert isinstance(result.error, AgentTimeoutError)
    assert isinstance(result.error.__cause__, APIError)
    assert result.task_result == "half"


async def test_trouble_that_is_over_is_not_reported(clock: Clock) -> None:
    service = script_of("computer", failing(500), {"status": "running"})
    service.clock = clock
    assert "look failed" not in (await wait("computer", service, timeout=100)).error_message


async def test_an_agent_that_refuses_to_tell_again_and_again_ends_the_wait() -> None:
    service = script_of("mobile", *[refusal("Task not found or already finished")] * 3, DONE)
    result = await wait("mobile", service)
    assert (result.success, result.task_id) == (False, "t-1")
    assert result.error_message == "Task not found or already finished"
    assert isinstance(result.error, ToolError)
    assert service.names == ["execute_task", *["get_task_status"] * 3]


async def test_refusals_count_only_in_a_row() -> None:
    no, running = refusal("no"), {"status": "running"}
    service = script_of("mobile", no, no, running, no, no, failing(400), no, no, DONE)
    assert (await wait("mobile", service)).success


async def test_the_end_of_the_session_ends_the_wait() -> None:
    service = script_of("computer", failing(400, "InvalidMcpSession.NotFound"))
    result = await wait("computer", service)
    assert isinstance(result.error, SessionNotFoundError)
    assert (result.task_status, result.code) == ("failed", "InvalidMcpSession.NotFound")
    assert service.names == list(KINDS["computer"][:2])


@pytest.mark.parametrize("kind", KINDS)
async def test_a_caller_that_is_cancelled_ends_the_task(kind: str) -> None:
    service = script_of(kind)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait, kind, service, 60)
        await _looked(service, KINDS[kind][1])
        tasks.cancel_scope.cancel()
    assert service.names[-1] == KINDS[kind][2]
    assert service.names.count(KINDS[kind][2]) == 1


async def test_what_a_task_said_stands_in_for_what_it_brought(clock: Clock) -> None:
    pieces = [
        {"timestamp_ms": 1, "content": "The light ", "reasoning": "think"},
        {"timestamp_ms": 2, "content": "is on."},
    ]
    service = script_of("mobile", {"status": "running", "stream": pieces})
    service.clock = clock
    result = await wait("mobile", service, timeout=100)
    assert result.task_result == "The light is on."
    service = script_of("mobile", {"status": "completed", "stream": pieces})
    assert (await wait("mobile", service)).task_result == "The light is on."


@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_is_printed(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The vendor's writes what an agent says to the standard output."""
    piece = {"timestamp_ms": 1, "content": "tap", "reasoning": "the light"}
    await wait(kind, script_of(kind, {"status": "running", "stream": [piece]}), timeout=0.02)
    assert capsys.readouterr() == ("", "")


# -- the first generation --------------------------------------------------------------


async def test_the_first_generation_looks_so_often_and_lets_the_task_go_on() -> None:
    service = script_of("computer")
    result = await AsyncAgent(session_of(service)).execute_task("do it", max_try_times=3)
    assert (result.success, result.task_status, result.task_id) == (False, "failed", "t-1")
    assert result.error_message.startswith("timeout")
    assert service.names == ["flux_execute_task", *["flux_get_task_status"] * 3]


async def test_the_first_generation_ends_the_task_of_a_caller_that_is_cancelled() -> None:
    service = script_of("computer")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(AsyncAgent(session_of(service)).execute_task, "do it", 1000)
        await _looked(service, "flux_get_task_status")
        tasks.cancel_scope.cancel()
    assert service.names[-1] == "flux_terminate_task"


# -- the handle ------------------------------------------------------------------------


async def test_a_handle_waits_and_knows_when_it_is_done() -> None:
    service = script_of("mobile", {"status": "running"}, DONE)
    execution = await agent_of(service, "mobile").execute_task("do it")
    result = await execution.wait(timeout=30)
    assert (result.task_result, execution.done) == ("42", True)
    calls = len(service.sent)
    assert (await execution.wait()) is result
    assert len(service.sent) == calls


@pytest.mark.parametrize("kind", KINDS)
async def test_a_task_of_another_program_can_be_waited_for(kind: str) -> None:
    service = script_of(kind, DONE)
    execution = agent_of(service, kind).attach("t-1")
    assert (execution.task_id, service.sent) == ("t-1", [])
    assert (await execution.wait(30)).task_result == "42"


async def test_a_wait_may_leave_the_task_alone() -> None:
    service = script_of("mobile", *[{"status": "running"}] * 3, DONE)
    execution = await agent_of(service, "mobile").execute_task("do it")
    result = await execution.wait(0.001, terminate=False)
    assert (result.success, execution.done) == (False, False)
    with anyio.move_on_after(0):
        await execution.wait(30, terminate=False)
    assert (await execution.wait(30)).success
    assert "terminate_task" not in service.names


async def test_a_handle_that_ran_out_of_time_stays_so() -> None:
    service = script_of("mobile")
    execution = await agent_of(service, "mobile").execute_task("do it")
    result = await execution.wait(0.02)
    assert execution.done
    assert (await execution.wait(0.02)) is result


async def test_a_handle_ends_its_task() -> None:
    piece = {"timestamp_ms": 1, "content": "half"}
    service = script_of("mobile", {"status": "running", "stream": [piece]})
    execution = await agent_of(service, "mobile").execute_task("do it")
    waited: list[ExecutionResult] = []

    async def wait_for_it() -> None:
        waited.append(await execution.wait(30))

    async with anyio.create_task_group() as group:
        group.start_soon(wait_for_it)
        await _looked(service, "get_task_status")
        waited.append(await execution.cancel())
    stopped, result = waited
    assert (stopped.success, stopped.task_status, execution.done) == (True, "cancelled", True)
    assert (result.success, result.task_status, result.task_result) == (False, "cancelled", "half")
    assert service.names.count("terminate_task") == 1
    assert (await execution.cancel()).success
    assert service.names.count("terminate_task") == 1


async def test_an_end_that_is_refused_leaves_the_task_running() -> None:
    service = script_of("mobile", DONE)
    service._answers["terminate_task"] = [refusal("not yet")]
    execution = await agent_of(service, "mobile").execute_task("do it")
    stopped = await execution.cancel()
    assert (stopped.success, stopped.error_message, execution.done) == (False, "not yet", False)
    assert (await execution.wait(30)).success


async def test_events_are_told_once_and_in_their_order() -> None:
    """The vendor's knows what it told by the time only, which two pieces may share."""
    one = {"timestamp_ms": 1, "content": "a", "reasoning": "why"}
    two, three = {"timestamp_ms": 1, "content": "b"}, {"timestamp_ms": 1, "content": "b"}
    service = script_of(
        "mobile",
        {"status": "running", "action": "looking", "stream": [one]},
        {"status": "running", "action": "looking", "stream": [one, two]},
        {"status": "running", "action": "tapping", "stream": [one, two, three]},
        {"status": "completed", "action": "tapping", "stream": [three], "result": "on"},
    )
    execution = await agent_of(service, "mobile").execute_task("light")
    told = [(event.type, event.content) async for event in execution.events(30)]
    assert told == [
        ("action", "looking"),
        ("reasoning", "why"),
        ("content", "a"),
        ("content", "b"),
        ("action", "tapping"),
        ("content", "b"),
    ]
    assert [event.seq async for event in execution.events()] == [1, 2, 3, 4, 5, 6]
    assert (await execution.wait()).task_result == "on"


async def test_events_have_a_time_limit_and_the_task_goes_on() -> None:
    service = script_of("computer")
    execution = agent_of(service, "computer").attach("t-1")
    with pytest.raises(AgentTimeoutError):
        async for _ in execution.events(0.03):
            pass
    assert not execution.done
    assert "flux_terminate_task" not in service.names


async def test_a_look_at_a_service_that_hangs_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_agent_runs, "_LEAST_LOOK", 0.05)

    class Hanging(Script):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            response = await super().handle_async_request(request)
            if self.names[-1] == "flux_get_task_status":
                await anyio.sleep(60)
            return response

    service = Hanging(
        flux_execute_task={"task_id": "t"}, flux_get_task_status={}, flux_terminate_task=""
    )
    with anyio.fail_after(30):
        result = await wait("computer", service, timeout=0.1)
    assert isinstance(result.error, AgentTimeoutError)


# -- the results, and what an engine writes --------------------------------------------


def test_results_are_made_with_their_names() -> None:
    result = ExecutionResult("r", True, task_id="t", task_status="finished", task_result="4")
    assert (result.get_request_id(), result.unwrap()) == ("r", "4")
    state = QueryResult(request_id="r", task_status="running", task_action="a", task_product="p")
    assert (state.stream, state.error_message, state.success) == ([], "", False)


def test_the_classes_of_errors_are_those_of_the_tree() -> None:
    assert str(AgentError()) == "Agent action error"
    assert issubclass(AgentTimeoutError, AgentError)


STATE = TaskState("t-1", "running", "typing", "4", [{"timestamp_ms": 1, "content": "x"}], "e")


@pytest.mark.parametrize(
    ("call", "value"),
    [
        (tools.StartComputerTask("x"), TaskStart("t-1")),
        (tools.StartBrowserTask("x"), TaskStart("t-1")),
        (tools.StartMobileTask("x"), TaskStart("t-1")),
        (tools.StartMobileTask("x"), TaskStart("", TaskState("", "completed", product="4"))),
        (tools.ComputerTaskState("t-1"), STATE),
        (tools.BrowserTaskState("t-1"), STATE),
        (tools.MobileTaskState("t-1"), STATE),
        (tools.StopComputerTask("t-1"), TaskState("t-1", "cancelled")),
        (tools.StopBrowserTask("t-1"), TaskState("t-1", "cancelled")),
        (tools.StopMobileTask("t-1"), TaskState("t-1", "cancelled")),
    ],
)
def test_what_an_engine_writes_is_what_is_read(call: Tool[Any], value: Any) -> None:
    assert call.parse(call.write(value)) == value
    assert type(call).from_arguments(call.arguments()) == call
    with pytest.raises(AgentError):
        call.parse(Content("no", is_error=True))
