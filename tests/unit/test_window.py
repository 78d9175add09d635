"""Windows, under both of the places where programs look for them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from agentbay import ApiResponse, InvalidInputError, ProtocolError, ToolError
from agentbay._async.computer import AsyncComputer
from agentbay._async.window import AsyncWindowManager
from agentbay.protocol import window as tools
from agentbay.protocol._calls import Tool
from agentbay.protocol.window import Window

from .service import Service, always, session_of, tool_says

Place = type[AsyncComputer] | type[AsyncWindowManager]
Method = Callable[[Any], Awaitable[ApiResponse]]

each_place = pytest.mark.parametrize("place", [AsyncComputer, AsyncWindowManager])

WINDOW = {
    "window_id": 65906,
    "window_title": "Program Manager",
    "pid": 7488,
    "pname": "explorer.exe",
    "absolute_upper_left_x": 0,
    "absolute_upper_left_y": 1,
    "width": 1024,
    "height": 768,
    "child_windows": [{"window_id": 7, "window_title": "inside"}],
}


def service_that_says(text: str, *, is_error: bool = False) -> Service:
    return Service(always(lambda: tool_says(text, is_error=is_error)))


def sent_by(service: Service) -> tuple[str, dict[str, Any]]:
    (sent,) = service.sent
    return sent.form["Name"], json.loads(sent.form["Args"])


def _for_one(name: str) -> tuple[Method, dict[str, Any]]:
    return lambda windows: getattr(windows, name)(7), {"window_id": 7}


_NAMES = ("activate", "close", "maximize", "minimize", "restore", "fullscreen")
DONE: dict[str, tuple[Method, dict[str, Any]]] = {
    **{f"{name}_window": _for_one(f"{name}_window") for name in _NAMES},
    "resize_window": (
        lambda w: w.resize_window(7, 800, 600),
        {"window_id": 7, "width": 800, "height": 600},
    ),
    "focus_mode": (lambda w: w.focus_mode(True), {"on": True}),
}
READ: dict[str, Method] = {
    "list_root_windows": lambda w: w.list_root_windows(),
    "get_active_window": lambda w: w.get_active_window(),
}


@each_place
@pytest.mark.parametrize("name", DONE)
@pytest.mark.parametrize("text", ["ok", ""])
async def test_an_operation_calls_the_tool_of_its_name(place: Place, name: str, text: str) -> None:
    method, arguments = DONE[name]
    service = service_that_says(text)
    result = await method(place(session_of(service)))
    assert sent_by(service) == (name, arguments)
    assert (result.success, result.request_id, result.unwrap()) == (True, "r-1", True)


@each_place
@pytest.mark.parametrize("name", [*DONE, *READ])
async def test_a_tool_that_fails_gives_a_failed_result_with_its_reason(
    place: Place, name: str
) -> None:
    method = READ[name] if name in READ else DONE[name][0]
    result = await method(place(session_of(service_that_says("no such window", is_error=True))))
    assert (result.success, result.error_message) == (False, "no such window")
    assert isinstance(result.error, ToolError)
    assert result.error.tool == name


@each_place
async def test_the_windows_are_listed_within_a_time_limit(place: Place) -> None:
    service = service_that_says(json.dumps([WINDOW]))
    result = await place(session_of(service)).list_root_windows()
    assert sent_by(service) == ("list_root_windows", {"timeout_ms": 3000})
    (window,) = result.windows
    assert window == Window(
        65906,
        "Program Manager",
        absolute_upper_left_x=0,
        absolute_upper_left_y=1,
        width=1024,
        height=768,
        pid=7488,
        pname="explorer.exe",
        child_windows=[Window(7, "inside")],
    )
    assert result.unwrap() == result.windows


@each_place
async def test_a_time_limit_may_be_given_by_its_place_or_name(place: Place) -> None:
    service = service_that_says("[]")
    windows = place(session_of(service))
    await windows.list_root_windows(5)
    await windows.get_active_window(timeout_ms=6)
    limits = [json.loads(sent.form["Args"])["timeout_ms"] for sent in service.sent]
    assert limits == [5, 6]


@each_place
async def test_the_active_window_is_asked_for_without_arguments(place: Place) -> None:
    # Services of today know no time limit here; those of the first generation have a default.
    service = service_that_says(json.dumps(WINDOW))
    result = await place(session_of(service)).get_active_window()
    assert sent_by(service) == ("get_active_window", {})
    assert result.window is not None
    assert result.window.window_id == 65906


@pytest.mark.parametrize(
    ("keys", "title"),
    [
        ({"window_title": "A"}, "A"),
        ({"title": "A"}, "A"),
        ({"title": "A", "window_title": "A"}, "A"),
        ({"window_title": None, "title": "A"}, "A"),
        ({}, ""),
    ],
)
async def test_a_window_has_its_title_under_either_name(keys: dict[str, Any], title: str) -> None:
    # Clients of the first generation look for another key than the service sends.
    service = service_that_says(json.dumps([{"window_id": 1, **keys}]))
    (window,) = (await AsyncComputer(session_of(service)).list_root_windows()).windows
    assert window == Window(1, title)


@pytest.mark.parametrize("text", ["", " ", "[]"])
async def test_no_windows_are_an_empty_list(text: str) -> None:
    result = await AsyncComputer(session_of(service_that_says(text))).list_root_windows()
    assert (result.success, result.windows) == (True, [])


@pytest.mark.parametrize("text", ["", "null"])
async def test_no_active_window_is_none(text: str) -> None:
    result = await AsyncComputer(session_of(service_that_says(text))).get_active_window()
    assert (result.success, result.window, result.unwrap()) == (True, None, None)


_DEEP = '{"window_id":1,"child_windows":[' * 400 + "]}" * 400


@pytest.mark.parametrize(
    "text", [_DEEP, f"[{_DEEP}]", "busy", "{", "{}", "5", "[5]", "[{}]", '[{"window_id":"x"}]']
)
async def test_windows_that_make_no_sense_are_a_failure(text: str) -> None:
    windows = AsyncComputer(session_of(service_that_says(text)))
    assert isinstance((await windows.list_root_windows()).error, ProtocolError)
    assert isinstance((await windows.get_active_window()).error, ProtocolError)


async def test_the_programs_of_the_first_generation_get_no_warning() -> None:
    # Warnings are errors here; clients of that generation warn about their own calls.
    service = service_that_says("[]")
    assert (await AsyncWindowManager(session_of(service)).list_root_windows()).success
    assert (await AsyncComputer(session_of(service)).list_root_windows()).success


async def test_the_manager_reaches_what_only_javascript_programs_had() -> None:
    service = service_that_says("[]")
    assert (await AsyncWindowManager(session_of(service)).list_all_windows(5)).windows == []
    assert sent_by(service) == ("list_all_windows", {"timeout_ms": 5})
    service = service_that_says(json.dumps(WINDOW))
    info = await AsyncWindowManager(session_of(service)).get_window_info(65906)
    assert sent_by(service) == ("get_window_info", {"window_id": 65906})
    assert info.window == Window.from_dict(WINDOW)
    service = service_that_says("ok")
    assert (await AsyncWindowManager(session_of(service)).move_window(7, -1, 2)).unwrap()
    assert sent_by(service) == ("move_window", {"window_id": 7, "x": -1, "y": 2})


REFUSED: list[Callable[[Any], Awaitable[ApiResponse]]] = [
    lambda w: w.activate_window("7"),
    lambda w: w.activate_window(None),
    lambda w: w.close_window(True),
    lambda w: w.resize_window(7, 0, 1),
    lambda w: w.resize_window(7, 1, -1),
    lambda w: w.focus_mode("off"),
    lambda w: w.list_root_windows(-1),
    lambda w: w.list_root_windows("soon"),
    lambda w: w.get_active_window("soon"),
]


@each_place
@pytest.mark.parametrize("method", REFUSED)
async def test_a_bad_argument_is_a_failed_result_and_nothing_is_sent(
    place: Place, method: Method
) -> None:
    service = service_that_says("ok")
    result = await method(place(session_of(service)))
    assert isinstance(result.error, InvalidInputError)
    assert service.sent == []


async def test_a_long_time_limit_is_waited_for() -> None:
    limits: list[Any] = []

    def answer(_: object) -> httpx.Response:
        return tool_says("[]")

    session = session_of(Service(answer))
    call = session._call

    async def recorded(tool: Any, *, timeout: float | None = None) -> Any:
        limits.append(timeout)
        return await call(tool, timeout=timeout)

    session._call = recorded  # type: ignore[method-assign]  # what is waited for travels nowhere
    await AsyncComputer(session).list_root_windows()
    await AsyncComputer(session).list_root_windows(120_000)
    assert limits == [None, 135.0]


def test_a_window_is_made_from_an_entry_of_a_list() -> None:
    assert Window.from_dict({"window_id": 1, "title": "A"}) == Window(1, "A")
    with pytest.raises(ValueError, match="window_id is missing"):
        Window.from_dict({"title": "A"})


def test_an_engine_sends_a_title_under_both_names() -> None:
    text = tools.ListRootWindows().write([Window(1, "A", child_windows=[Window(2, "B")])]).text
    (window,) = json.loads(text)
    assert window["title"] == window["window_title"] == "A"
    (child,) = window["child_windows"]
    assert child["title"] == child["window_title"] == "B"


@pytest.mark.parametrize(
    ("call", "value"),
    [
        (tools.ListRootWindows(), [Window.from_dict(WINDOW)]),
        (tools.ListRootWindows(), []),
        (tools.GetActiveWindow(), Window.from_dict(WINDOW)),
        (tools.GetActiveWindow(), None),
        (tools.CloseWindow(7), None),
    ],
)
def test_an_answer_is_read_as_it_was_written(call: Tool[Any], value: Any) -> None:
    assert call.parse(call.write(value)) == value


@pytest.mark.parametrize(
    "call",
    [
        tools.ListRootWindows(5),
        tools.GetActiveWindow(),
        tools.GetActiveWindow(5),
        tools.ResizeWindow(1, 2, 3),
        tools.FocusMode(False),
        tools.MoveWindow(1, 2, 3),
    ],
)
def test_an_engine_reads_a_call_as_it_was_sent(call: Tool[Any]) -> None:
    assert type(call).from_arguments(call.arguments()) == call
