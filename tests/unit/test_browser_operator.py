"""Acting on pages in natural language: the calls, the tasks, and the pages they are for."""

from __future__ import annotations

import json
import logging
import re
import types
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest

from agentbay import InvalidInputError
from agentbay._async import _page_tasks
from agentbay._async._page_target import PageTarget
from agentbay._async.browser import AsyncBrowser
from agentbay._async.browser_operator import AsyncBrowserOperator
from agentbay._params.browser_operator import ActOptions, ExtractOptions, ObserveOptions
from agentbay._results.browser_operator import ActResult, ObserveResult
from agentbay._results.sessions import McpTool
from agentbay.errors import BrowserError, BrowserTimeoutError
from agentbay.protocol import browser_operator as tools
from agentbay.protocol._calls import TOOLS, Tool

from .service import Sent, Service, ok, session_of, tool_says

Answer = str | Callable[[], httpx.Response]
Method = Callable[[AsyncBrowserOperator], Awaitable[object]]

STARTED = '{"task_id":"t-1"}'
DONE = '{"steps":["went there","clicked"],"is_done":true,"success":true}'
FOUND = '[{"selector":"#a","description":"a link","method":"click","arguments":"{\\"n\\":1}"}]'
PICTURE = "data:image/png;base64,cGljdHVyZQ=="
SCHEMA = {"type": "object", "properties": {"price": {"type": "number"}}}


class Model:
    """What is used of a model class of pydantic."""

    def __init__(self, price: float) -> None:
        self.price = price

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        return {**SCHEMA, "title": "Modell ü"}

    @classmethod
    def model_validate(cls, data: Any) -> Model:
        if "price" not in data:
            raise ValueError("price is missing")
        return cls(data["price"])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_page_tasks, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(_page_tasks, "_LONGEST_PAUSE", 0.002)


def operator_of(**answers: Answer | list[Answer]) -> tuple[Service, AsyncBrowserOperator]:
    """An operator whose tools answer so; of a list, one after the other, then the last one."""
    rest = {f"page_use_{name}": _listed(answer) for name, answer in answers.items()}

    def answer(sent: Sent) -> httpx.Response:
        left = rest[sent.form["Name"]]
        found = left.pop(0) if len(left) > 1 else left[0]
        return tool_says(found) if isinstance(found, str) else found()

    service = Service(answer)
    browser = AsyncBrowser(session_of(service))
    browser.attach()
    return service, AsyncBrowserOperator(browser._session, browser)


def _listed(answer: Answer | list[Answer]) -> list[Answer]:
    if isinstance(answer, str) or callable(answer):
        return [answer]
    return list(answer)


def working(**answers: Answer | list[Answer]) -> tuple[Service, AsyncBrowserOperator]:
    """An operator all of whose tools work."""
    good: dict[str, Answer | list[Answer]] = {
        "navigate": "opened",
        "screenshot": PICTURE,
        "close_session": "",
        "act_async": STARTED,
        "get_act_result": DONE,
        "observe_async": STARTED,
        "get_observe_result": FOUND,
        "observe": FOUND,
        "extract_async": STARTED,
        "get_extract_result": '{"price":3.5}',
        "login": "logged in",
    }
    return operator_of(**{**good, **answers})


def refusal(text: str = "no such thing") -> Callable[[], httpx.Response]:
    return lambda: tool_says(text, is_error=True)


def calls(service: Service) -> list[tuple[str, dict[str, Any]]]:
    return [(sent.form["Name"], json.loads(sent.form["Args"])) for sent in service.sent]


OBSERVED = ObserveResult("#a", "a link", "click", {"n": 1})

# -- what is sent ----------------------------------------------------------------------

SENT: dict[str, tuple[Method, str, dict[str, Any]]] = {
    "navigate": (lambda o: o.navigate("https://u"), "navigate", {"url": "https://u"}),
    "screenshot": (
        lambda o: o.screenshot(),
        "screenshot",
        {"context_id": 0, "full_page": True, "quality": 80},
    ),
    "screenshot of a part": (
        lambda o: o.screenshot(
            PageTarget("p", 2), False, 50, {"x": 1, "y": 2, "width": 3.5, "height": 4}, 20
        ),
        "screenshot",
        {
            "context_id": 2,
            "page_id": "p",
            "full_page": False,
            "quality": 50,
            "clip": {"x": 1, "y": 2, "width": 3.5, "height": 4},
            "timeout": 20,
        },
    ),
    "screenshot_bytes": (
        lambda o: o.screenshot_bytes(quality=5),
        "screenshot",
        {"context_id": 0, "full_page": True, "quality": 5},
    ),
    "close": (lambda o: o.close(), "close_session", {}),
    "act": (lambda o: o.act(ActOptions("go")), "act_async", {"context_id": 0, "action": "go"}),
    "act with all of today": (
        lambda o: o.act(ActOptions("go", {"name": "x"}, True, 7), PageTarget("p", 1)),
        "act_async",
        {
            "context_id": 1,
            "page_id": "p",
            "action": "go",
            "variables": {"name": "x"},
            "use_vision": True,
            "timeout": 7,
        },
    ),
    "act with parts of seconds": (
        lambda o: o.act(ActOptions("go", timeout=1.5)),
        "act_async",
        {"context_id": 0, "action": "go", "timeout": 2},
    ),
    "act with all of the first generation": (
        lambda o: o.act(
            ActOptions(
                "go",
                timeoutMS=5000,
                iframes=False,
                dom_settle_timeout_ms=9,
                variables={},
                use_vision=False,
            )
        ),
        "act_async",
        {
            "context_id": 0,
            "action": "go",
            "timeout_ms": 5000,
            "iframes": False,
            "dom_settle_timeout_ms": 9,
            "variables": {},
            "use_vision": False,
        },
    ),
    "observe": (
        lambda o: o.observe(ObserveOptions("find")),
        "observe_async",
        {"context_id": 0, "instruction": "find"},
    ),
    "observe with everything": (
        lambda o: o.observe(
            ObserveOptions("find", True, "#a", 5, iframes=True, dom_settle_timeout_ms=9),
            PageTarget("p"),
        ),
        "observe_async",
        {
            "context_id": 0,
            "page_id": "p",
            "instruction": "find",
            "use_vision": True,
            "selector": "#a",
            "iframes": True,
            "dom_settle_timeout_ms": 9,
        },
    ),
    "extract": (
        lambda o: o.extract(ExtractOptions("get", SCHEMA)),
        "extract_async",
        {
            "context_id": 0,
            "instruction": "get",
            "field_schema": "schema: " + json.dumps(SCHEMA),
            "max_page": 1,
        },
    ),
    "extract with everything": (
        lambda o: o.extract(
            ExtractOptions(
                "get", Model, True, False, "#a", 5, 3, iframe=True, dom_settle_timeout_ms=9
            ),
            PageTarget("p"),
        ),
        "extract_async",
        {
            "context_id": 0,
            "page_id": "p",
            "instruction": "get",
            "field_schema": 'schema: {"type": "object", "properties": {"price": '
            '{"type": "number"}}, "title": "Modell ü"}',
            "use_text_extract": True,
            "use_vision": False,
            "selector": "#a",
            "iframe": True,
            "dom_settle_timeout_ms": 9,
            "max_page": 3,
        },
    ),
    "login": (
        lambda o: o.login("{}"),
        "login",
        {"login_config": "{}", "context_id": 0, "use_vision": False},
    ),
    "login on a page": (
        lambda o: o.login("{}", PageTarget("p", 1), None),
        "login",
        {"login_config": "{}", "context_id": 1, "page_id": "p"},
    ),
}


@pytest.mark.parametrize("name", SENT)
async def test_a_method_calls_its_tool_with_what_was_asked_for(name: str) -> None:
    method, tool, expected = SENT[name]
    service, operator = working()
    await method(operator)
    called, arguments = calls(service)[0]
    trace = arguments.pop("trace_id", None)
    assert (called, arguments) == (f"page_use_{tool}", expected)
    assert bool(trace) is tool.endswith("_async")
    assert trace is None or re.fullmatch("[0-9a-f]{32}", trace)


async def test_two_tasks_have_traces_of_their_own() -> None:
    service, operator = working()
    await operator.act(OBSERVED)
    await operator.act(OBSERVED)
    traces = [arguments["trace_id"] for name, arguments in calls(service) if "act_async" in name]
    assert len(set(traces)) == 2


# -- what comes back -------------------------------------------------------------------


async def test_what_the_service_says_about_an_address_is_given_back() -> None:
    assert await working()[1].navigate("https://u") == "opened"


@pytest.mark.parametrize("text", [PICTURE, "cGljdHVyZQ==", "cGljdHVyZQ==\n"])
async def test_a_picture_comes_as_the_service_sent_it_and_as_bytes(text: str) -> None:
    _, operator = working(screenshot=text)
    assert await operator.screenshot() == text.strip()
    assert await operator.screenshot_bytes() == b"picture"


@pytest.mark.parametrize("text", ["", " "])
async def test_no_picture_is_an_error(text: str) -> None:
    with pytest.raises(BrowserError, match="empty"):
        await working(screenshot=text)[1].screenshot()


@pytest.mark.parametrize("text", ["too busy!", "beschäftigt"])
async def test_a_picture_that_is_none_is_an_error_for_those_who_want_its_bytes(text: str) -> None:
    with pytest.raises(BrowserError, match="no picture"):
        await working(screenshot=text)[1].screenshot_bytes()


@pytest.mark.parametrize(
    ("text", "success", "message"),
    [
        (DONE, True, '["went there", "clicked"]'),
        ('{"is_done":true,"success":false,"steps":"it is locked"}', False, "it is locked"),
        ('{"is_done":true,"success":true,"steps":[]}', True, "no step was taken"),
        ('{"is_done":true,"success":true}', True, "no step was taken"),
        ('{"isDone":true,"success":true,"steps":[{"a":"ü"}]}', True, '[{"a": "ü"}]'),
        ('{"is_done":true}', False, "no step was taken"),
    ],
)
async def test_an_action_tells_whether_it_worked_and_what_was_done(
    text: str, success: bool, message: str
) -> None:
    result = await working(get_act_result=text)[1].act(ActOptions("go"))
    assert result == ActResult(success, message)
    assert result.request_id == "r-1"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('"{\\"n\\":1}"', {"n": 1}),
        ('"not JSON"', "not JSON"),
        ('""', ""),
        ('{"n":1}', {"n": 1}),
        ("[1]", [1]),
        ("5", 5),
        ("null", {}),
    ],
)
async def test_arguments_of_any_type_are_understood(arguments: str, expected: object) -> None:
    # The clients of today fail when they are no text.
    text = f'[{{"selector":"#a","description":"d","method":"m","arguments":{arguments}}}]'
    worked, found = await working(get_observe_result=text)[1].observe(ObserveOptions("x"))
    assert worked
    assert found == [ObserveResult("#a", "d", "m", expected)]


async def test_nothing_found_is_no_failure() -> None:
    assert await working(get_observe_result="[]")[1].observe(ObserveOptions("x")) == (True, [])


async def test_data_becomes_an_object_of_the_model() -> None:
    worked, data = await working()[1].extract(ExtractOptions("x", Model))
    assert worked
    assert isinstance(data, Model)
    assert data.price == 3.5


async def test_data_of_a_plain_schema_stays_what_it_is() -> None:
    assert await working()[1].extract(ExtractOptions("x", SCHEMA)) == (True, {"price": 3.5})
    options: Any = ExtractOptions("x", {"type": "array"})
    assert await working(get_extract_result="[1,2]")[1].extract(options) == (True, [1, 2])


async def test_data_that_does_not_fit_the_model_is_an_error_at_once() -> None:
    service, operator = working(get_extract_result='{"secret":1}')
    with pytest.raises(BrowserError, match="does not fit Model") as caught:
        await operator.extract(ExtractOptions("x", Model))
    assert "secret" not in str(caught.value)
    assert isinstance(caught.value.__cause__, ValueError)
    assert len(service.sent) == 2


async def test_one_of_the_observed_things_is_used_where_it_was_seen() -> None:
    # Clients of both generations forget the selector.
    service, operator = working()
    await operator.act(OBSERVED, PageTarget("p"))
    _, arguments = calls(service)[0]
    expected = {"selector": "#a", "method": "click", "arguments": {"n": 1}}
    assert json.loads(arguments["action"]) == expected
    await operator.act(ObserveResult("", "d", "click", {}))
    assert json.loads(calls(service)[2][1]["action"]) == {"method": "click", "arguments": {}}


async def test_close_tells_whether_it_was_done() -> None:
    assert await working()[1].close() is True
    assert await working(close_session=refusal())[1].close() is False
    gone = working(close_session=lambda: ok(None, Success=False, Code="SessionNotFound"))[1]
    assert await gone.close() is False


async def test_a_login_that_fails_is_a_result_with_its_reason() -> None:
    assert await working()[1].login("{}") == ActResult(True, "logged in")
    result = await working(login=refusal("wrong key"))[1].login("{}")
    assert (result.success, result.message, result.request_id) == (False, "wrong key", "r-1")
    assert "wrong key" in str(result.error)


# -- failures --------------------------------------------------------------------------

STARTS: dict[str, Method] = {
    "navigate": lambda o: o.navigate("https://u"),
    "screenshot": lambda o: o.screenshot(),
    "act_async": lambda o: o.act(ActOptions("go")),
    "observe_async": lambda o: o.observe(ObserveOptions("x")),
    "extract_async": lambda o: o.extract(ExtractOptions("x", SCHEMA)),
}
TASKS: dict[str, Method] = {
    "get_act_result": STARTS["act_async"],
    "get_observe_result": STARTS["observe_async"],
    "get_extract_result": STARTS["extract_async"],
}


@pytest.mark.parametrize("tool", STARTS)
async def test_a_refusal_is_an_error_and_not_a_text(tool: str) -> None:
    # Clients of both generations give back a sentence where a page or a picture is expected.
    service, operator = working(**{tool: refusal("no page")})
    with pytest.raises(BrowserError, match="no page") as caught:
        await STARTS[tool](operator)
    assert caught.value.request_id == "r-1"
    assert len(service.sent) == 1


@pytest.mark.parametrize("tool", STARTS)
async def test_a_service_that_says_no_is_a_browser_error_with_its_code(tool: str) -> None:
    no = lambda: ok(None, Success=False, Code="X", Message="not today")  # noqa: E731
    with pytest.raises(BrowserError, match="not today") as caught:
        await STARTS[tool](working(**{tool: no})[1])
    assert caught.value.code == "X"


@pytest.mark.parametrize("text", ["", "{}", "[]", "soon", '{"task_id":""}', '{"task_id":null}'])
@pytest.mark.parametrize("tool", ["act_async", "observe_async", "extract_async"])
async def test_a_start_that_names_no_task_is_an_error(tool: str, text: str) -> None:
    with pytest.raises(BrowserError):
        await STARTS[tool](working(**{tool: text})[1])


async def test_a_task_is_found_under_both_of_its_names() -> None:
    service, operator = working(act_async='{"taskId":"t-2"}')
    await operator.act(ActOptions("go"))
    assert calls(service)[1][1] == {"task_id": "t-2"}


@pytest.mark.parametrize("question", TASKS)
async def test_the_result_of_a_task_is_asked_for_by_its_name(question: str) -> None:
    service, operator = working()
    await TASKS[question](operator)
    assert calls(service)[1:] == [(f"page_use_{question}", {"task_id": "t-1"})]


@pytest.mark.parametrize("pending", ["", " ", "null"])
@pytest.mark.parametrize("question", TASKS)
async def test_a_result_is_asked_for_until_it_is_there(question: str, pending: str) -> None:
    last = {"get_act_result": DONE, "get_observe_result": FOUND}.get(question, '{"price":1}')
    answers: list[Answer] = [*[pending] * 40, last]
    service, operator = working(**{question: answers})
    await TASKS[question](operator)
    assert len(service.sent) == 42


async def test_an_action_that_goes_on_is_not_done() -> None:
    answers: list[Answer] = ['{"is_done":false,"success":false,"steps":["a"]}', "{}", DONE]
    service, operator = working(get_act_result=answers)
    assert (await operator.act(ActOptions("go"))).success
    assert len(service.sent) == 4


@pytest.mark.parametrize("question", TASKS)
async def test_a_few_failures_in_a_row_are_put_up_with(question: str) -> None:
    last = {"get_act_result": DONE, "get_observe_result": FOUND}.get(question, '{"price":1}')
    some: list[Answer] = [refusal(), lambda: httpx.Response(502), "{not JSON", refusal()]
    _, operator = working(**{question: [*some, "", *some, last]})
    await TASKS[question](operator)


@pytest.mark.parametrize(
    ("question", "most"),
    [("get_act_result", 5), ("get_observe_result", 20), ("get_extract_result", 20)],
)
async def test_a_dead_task_is_reported_with_what_its_service_said(question: str, most: int) -> None:
    # Clients of today ask on until the time is over, and report just that.
    service, operator = working(**{question: refusal("no task t-1")})
    with pytest.raises(BrowserError, match="no task t-1") as caught:
        await TASKS[question](operator)
    assert not isinstance(caught.value, BrowserTimeoutError)
    assert len(service.sent) == 1 + most


@pytest.mark.parametrize("question", TASKS)
async def test_a_task_that_dies_on_the_way_is_reported_soon(question: str) -> None:
    # Its tool told that the task goes on, so that a refusal means something else.
    answers: list[Answer] = ["", "", *[refusal("no task t-1")] * 20]
    service, operator = working(**{question: answers})
    with pytest.raises(BrowserError, match="no task t-1"):
        await TASKS[question](operator)
    assert len(service.sent) == 1 + 2 + 5


@pytest.mark.parametrize("text", ["soon", "5", "{", '{"is_done":[]}'])
async def test_a_result_that_makes_no_sense_is_not_waited_for(text: str) -> None:
    service, operator = working(get_act_result=text)
    with pytest.raises(BrowserError, match="unexpected answer"):
        await operator.act(ActOptions("go"))
    assert len(service.sent) == 6


@pytest.mark.parametrize("code", ["InvalidMcpSession.NotFound", "NOT_LOGIN"])
async def test_a_session_that_is_gone_ends_the_wait_at_once(code: str) -> None:
    gone = lambda: ok(None, Success=False, Code=code, Message="gone")  # noqa: E731
    service, operator = working(get_extract_result=gone)
    with pytest.raises(BrowserError, match="gone"):
        await operator.extract(ExtractOptions("x", SCHEMA))
    assert len(service.sent) == 2


SHORT: list[Method] = [
    lambda o: o.act(ActOptions("go", timeout=0.05)),
    lambda o: o.act(ActOptions("go", timeoutMS=50)),
    lambda o: o.observe(ObserveOptions("x", timeout=0.05)),
    lambda o: o.extract(ExtractOptions("x", SCHEMA, timeout=0.05)),
]


@pytest.mark.parametrize("method", SHORT)
async def test_a_task_is_waited_for_as_long_as_was_asked_for(method: Method) -> None:
    _, operator = working(get_act_result="", get_observe_result="", get_extract_result="")
    with (
        anyio.fail_after(30),
        pytest.raises(BrowserTimeoutError, match=r"t-1 .* 0\.05 s") as caught,
    ):
        await method(operator)
    assert isinstance(caught.value, TimeoutError)


async def test_the_end_of_the_time_tells_the_last_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service, operator = working(get_extract_result=refusal("still starting"))
    clock = types.SimpleNamespace(monotonic=lambda: 60.0 * len(service.sent))
    monkeypatch.setattr(_page_tasks, "time", clock)
    with pytest.raises(BrowserTimeoutError) as caught:
        await operator.extract(ExtractOptions("x", SCHEMA, timeout=100))
    assert "still starting" in str(caught.value.__cause__)


async def test_the_default_time_is_five_minutes() -> None:
    assert ActOptions("x").limit == ObserveOptions("x").limit == 300
    assert ExtractOptions("x", SCHEMA).limit == 300


async def test_every_request_has_a_limit() -> None:
    service, operator = working()
    limits: list[int] = []
    answer = service.answer

    def timed(sent: Sent) -> httpx.Response:
        limits.append(round(anyio.current_effective_deadline() - anyio.current_time()))
        return answer(sent)

    service.answer = timed
    await operator.login("{}")
    await operator.screenshot(timeout=40)
    await operator.screenshot(timeout=40_000)
    await operator.act(ActOptions("go", timeout=10))
    await operator.act(ActOptions("go"))
    assert limits == [300, 100, 100, 60, 10, 60, 30]


# -- without a browser, and with bad arguments -----------------------------------------

ALL: dict[str, Method] = {name: method for name, (method, _, _) in SENT.items()}


@pytest.mark.parametrize("name", [name for name in ALL if name != "close"])
async def test_without_a_browser_nothing_is_sent(name: str) -> None:
    service = Service(lambda _: tool_says(""))
    browser = AsyncBrowser(session_of(service))
    with pytest.raises(BrowserError, match="initialize"):
        await ALL[name](AsyncBrowserOperator(browser._session, browser))
    assert service.sent == []


async def test_close_works_without_a_browser() -> None:
    service = Service(lambda _: tool_says(""))
    browser = AsyncBrowser(session_of(service))
    assert await AsyncBrowserOperator(browser._session, browser).close()


REFUSED: list[Callable[[Any], Awaitable[object]]] = [
    lambda o: o.navigate(" "),
    lambda o: o.navigate(None),
    lambda o: o.screenshot(quality=101),
    lambda o: o.screenshot(quality="best"),
    lambda o: o.screenshot(full_page="yes"),
    lambda o: o.screenshot(clip={"x": 1}),
    lambda o: o.screenshot(clip={"x": 1, "y": 1, "width": "1", "height": 1}),
    lambda o: o.screenshot(timeout=0),
    lambda o: o.screenshot(timeout="1"),
    lambda o: o.screenshot("page-1"),
    lambda o: o.act("click"),
    lambda o: o.act(ObserveOptions("x")),
    lambda o: o.act(ActOptions("x"), page="page-1"),
    lambda o: o.observe("x"),
    lambda o: o.extract({"instruction": "x"}),
    lambda o: o.login({"api_key": "k-secret"}),
    lambda o: o.login("k-secret"),
    lambda o: o.login('["k-secret"]'),
    lambda o: o.login(""),
]


@pytest.mark.parametrize("method", REFUSED)
async def test_a_bad_argument_is_refused_before_anything_is_sent(
    method: Callable[[Any], Awaitable[object]],
) -> None:
    service, operator = working()
    with pytest.raises(InvalidInputError) as caught:
        await method(operator)
    assert service.sent == []
    assert "k-secret" not in str(caught.value)


BAD: list[Callable[[], object]] = [
    lambda: ActOptions(""),
    lambda: ActOptions(5),  # type: ignore[arg-type]  # tested
    lambda: ActOptions("x", 5000),  # type: ignore[arg-type]  # timeoutMS of older programs
    lambda: ActOptions("x", {"a": 1}),  # type: ignore[dict-item]  # tested
    lambda: ActOptions("x", use_vision=1),  # type: ignore[arg-type]  # tested
    lambda: ActOptions("x", timeout=0),
    lambda: ActOptions("x", timeout=True),
    lambda: ActOptions("x", timeout=1, timeoutMS=1000),
    lambda: ActOptions("x", timeoutMS=1.5),  # type: ignore[arg-type]  # tested
    lambda: ActOptions("x", timeoutMS=-1),
    lambda: ActOptions("x", iframes="no"),  # type: ignore[arg-type]  # tested
    lambda: ObserveOptions(" "),
    lambda: ObserveOptions("x", None, 5),  # type: ignore[arg-type]  # tested
    lambda: ObserveOptions("x", timeout=float("nan")),
    lambda: ObserveOptions("x", dom_settle_timeout_ms=0),
    lambda: ExtractOptions("", SCHEMA),
    lambda: ExtractOptions("x", None),  # type: ignore[arg-type]  # tested
    lambda: ExtractOptions("x", int),
    lambda: ExtractOptions("x", "{}"),  # type: ignore[arg-type]  # tested
    lambda: ExtractOptions("x", {"a": object()}),
    lambda: ExtractOptions("x", SCHEMA, max_page=0),
    lambda: ExtractOptions("x", SCHEMA, max_page=True),
    lambda: ExtractOptions("x", SCHEMA, timeout=-1),
]


@pytest.mark.parametrize("make", BAD)
def test_options_that_make_no_sense_are_refused_at_once(make: Callable[[], object]) -> None:
    with pytest.raises(InvalidInputError):
        make()


async def test_no_page_limit_is_the_default_one() -> None:
    service, operator = working()
    await operator.extract(ExtractOptions("x", SCHEMA, max_page=None))
    assert calls(service)[0][1]["max_page"] == 1


# -- secrets ---------------------------------------------------------------------------


async def test_no_secret_is_logged_or_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    _, operator = working(login=refusal("no"))
    options = ActOptions("log in", {"password": "hidden-1"})
    await operator.act(options)
    result = await operator.login('{"api_key": "hidden-2"}')
    login = tools.Login('{"api_key": "hidden-2"}')
    shown = caplog.text + repr(options) + repr(options.call()) + repr(result) + repr(login)
    assert "hidden" not in shown


async def test_nothing_is_told_to_anyone_but_the_service() -> None:
    service, operator = working()
    await operator.act(ActOptions("go"))
    await operator.extract(ExtractOptions("x", Model))
    assert {request.url.host for request in service.requests} == {"service.test"}


# -- services of the first generation --------------------------------------------------


async def test_a_service_without_the_task_is_asked_to_observe_at_once() -> None:
    service, operator = working()
    operator._session._mcp_tools = [McpTool("page_use_observe", server="wuying_page")]
    options = ObserveOptions("find", True, timeout=20, iframes=True, dom_settle_timeout_ms=9)
    assert await operator.observe(options, PageTarget("p")) == (True, [OBSERVED])
    assert calls(service) == [
        (
            "page_use_observe",
            {
                "context_id": 0,
                "page_id": "p",
                "instruction": "find",
                "use_vision": True,
                "iframes": True,
                "dom_settle_timeout_ms": 9,
            },
        )
    ]
    operator._session._mcp_tools.append(McpTool("page_use_observe_async"))
    await operator.observe(options)
    assert calls(service)[1][0] == "page_use_observe_async"


# -- what an engine reads and sends ----------------------------------------------------

TOOL_CALLS: list[Tool[Any]] = [
    tools.Navigate("https://u"),
    tools.TakePicture(False, 5, {"x": 1, "y": 2, "width": 3, "height": 4}, 7, page_id="p"),
    tools.CloseSession(),
    tools.Login('{"a":1}', True, context_id=1),
    tools.Act("go", {"a": "b"}, True, 5, 6, False, 7, page_id="p", trace_id="t"),
    tools.Observe("x", True, "#a", True, 5, context_id=3),
    tools.ObserveAtOnce("x", True, True, 5, page_id="p"),
    tools.Extract("x", SCHEMA, True, False, "#a", True, 5, 4, trace_id="t"),
    tools.GetActResult("t"),
    tools.GetObserveResult("t"),
    tools.GetExtractResult("t"),
]


@pytest.mark.parametrize("call", TOOL_CALLS, ids=lambda call: call.tool)
def test_a_call_is_read_as_it_was_sent(call: Tool[Any]) -> None:
    assert TOOLS[call.tool] is type(call)
    assert type(call).from_arguments(json.loads(json.dumps(call.arguments()))) == call


def test_a_schema_is_read_with_and_without_its_prefix() -> None:
    call = {"instruction": "x", "field_schema": json.dumps(SCHEMA)}
    assert tools.Extract.from_arguments(call).schema == SCHEMA


ROUND: list[tuple[Tool[Any], Any]] = [
    (tools.Navigate("u"), "opened"),
    (tools.TakePicture(), PICTURE),
    (tools.Login("{}"), "in"),
    (tools.Act("x"), tools.Task("t")),
    (tools.Observe("x"), tools.Task("t")),
    (tools.Extract("x", {}), tools.Task("t")),
    (tools.GetActResult("t"), tools.ActState(True, True, ["a"])),
    (tools.GetActResult("t"), None),
    (tools.GetObserveResult("t"), [OBSERVED, ObserveResult("a", "b", "c", "text")]),
    (tools.GetObserveResult("t"), []),
    (tools.GetObserveResult("t"), None),
    (tools.ObserveAtOnce("x"), [OBSERVED]),
    (tools.GetExtractResult("t"), {"a": 1}),
    (tools.GetExtractResult("t"), None),
    (tools.CloseSession(), None),
]


@pytest.mark.parametrize(("call", "value"), ROUND)
def test_a_reply_is_read_as_it_was_written(call: Tool[Any], value: Any) -> None:
    assert call.parse(call.write(value)) == value


def test_arguments_travel_as_text() -> None:
    assert tools.GetObserveResult("t").write([OBSERVED]).text == FOUND
