"""Applications, under both of the places where programs look for them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agentbay import ApiResponse, InvalidInputError, ProtocolError
from agentbay._async.application import AsyncApplicationManager
from agentbay._async.computer import AsyncComputer
from agentbay._results.application import AppOperationResult
from agentbay.errors import ApplicationError
from agentbay.protocol import application as tools
from agentbay.protocol._calls import Tool
from agentbay.protocol.application import InstalledApp, Process

from .service import Service, always, session_of, tool_says

Place = type[AsyncComputer] | type[AsyncApplicationManager]
Method = Callable[[Any], Awaitable[ApiResponse]]

each_place = pytest.mark.parametrize("place", [AsyncComputer, AsyncApplicationManager])

CHROME = "/usr/bin/google-chrome-stable"
APP = {"name": "Google Chrome", "start_cmd": CHROME, "stop_cmd": "", "work_directory": ""}
PROCESS = {"pname": "chrome", "pid": 4443, "cmdline": "/opt/google/chrome/chrome"}


def service_that_says(text: str, *, is_error: bool = False) -> Service:
    return Service(always(lambda: tool_says(text, is_error=is_error)))


def sent_by(service: Service) -> tuple[str, dict[str, Any]]:
    (sent,) = service.sent
    return sent.form["Name"], json.loads(sent.form["Args"])


CALLS: dict[str, tuple[Method, str, dict[str, Any]]] = {
    "apps": (
        lambda a: a.get_installed_apps(),
        "get_installed_apps",
        {"start_menu": True, "desktop": False, "ignore_system_app": True},
    ),
    "apps by place": (
        lambda a: a.get_installed_apps(False, True, False),
        "get_installed_apps",
        {"start_menu": False, "desktop": True, "ignore_system_app": False},
    ),
    "apps by name": (
        lambda a: a.get_installed_apps(start_menu=True, desktop=True, ignore_system_apps=False),
        "get_installed_apps",
        {"start_menu": True, "desktop": True, "ignore_system_app": False},
    ),
    "start": (lambda a: a.start_app(CHROME), "start_app", {"start_cmd": CHROME}),
    "start with empty options": (
        lambda a: a.start_app(CHROME, "", ""),
        "start_app",
        {"start_cmd": CHROME},
    ),
    "start with options": (
        lambda a: a.start_app(CHROME, work_directory="/tmp", activity=".Main"),
        "start_app",
        {"start_cmd": CHROME, "work_directory": "/tmp", "activity": ".Main"},
    ),
    "visible": (lambda a: a.list_visible_apps(), "list_visible_apps", {}),
    "stop by name": (
        lambda a: a.stop_app_by_pname("chrome"),
        "stop_app_by_pname",
        {"pname": "chrome"},
    ),
    "stop by pid": (lambda a: a.stop_app_by_pid(4443), "stop_app_by_pid", {"pid": 4443}),
    "stop by command": (
        lambda a: a.stop_app_by_cmd("am force-stop x"),
        "stop_app_by_cmd",
        {"stop_cmd": "am force-stop x"},
    ),
}
LISTS = [name for name in CALLS if not name.startswith("stop")]
STOPS = [name for name in CALLS if name.startswith("stop")]


@each_place
@pytest.mark.parametrize("name", CALLS)
async def test_a_method_calls_its_tool(place: Place, name: str) -> None:
    method, tool, arguments = CALLS[name]
    service = service_that_says("[]")
    result = await method(place(session_of(service)))
    assert sent_by(service) == (tool, arguments)
    assert (result.success, result.request_id) == (True, "r-1")


async def test_the_system_apps_are_left_out_under_the_name_that_the_service_reads() -> None:
    # Clients of the first generation send ignore_system_apps, which services do not look at.
    service = service_that_says("[]")
    await AsyncApplicationManager(session_of(service)).get_installed_apps(True, False, False)
    _, arguments = sent_by(service)
    assert arguments["ignore_system_app"] is False
    assert "ignore_system_apps" not in arguments


@each_place
async def test_the_applications_are_in_data(place: Place) -> None:
    service = service_that_says(json.dumps([APP, {"name": "Editor", "start_cmd": "ed"}]))
    result = await place(session_of(service)).get_installed_apps()
    chrome, editor = result.data
    assert chrome == InstalledApp("Google Chrome", CHROME, "", "")
    assert editor == InstalledApp("Editor", "ed", None, None)
    assert result.unwrap() == result.data


@each_place
@pytest.mark.parametrize("method", [CALLS["start"][0], CALLS["visible"][0]])
async def test_the_processes_are_in_data(place: Place, method: Method) -> None:
    service = service_that_says(json.dumps([PROCESS, {"pname": "x", "pid": 5, "path": "/x"}]))
    result: Any = await method(place(session_of(service)))
    assert result.data == [
        Process("chrome", 4443, "/opt/google/chrome/chrome"),
        Process("x", 5, None),
    ]
    assert result.unwrap() == result.data


async def test_a_process_has_its_name_under_either_key() -> None:
    service = service_that_says('[{"name":"chrome","pid":1}]')
    result = await AsyncComputer(session_of(service)).list_visible_apps()
    assert result.data == [Process("chrome", 1)]


@each_place
@pytest.mark.parametrize("name", STOPS)
@pytest.mark.parametrize("text", ["ok", ""])
async def test_stopping_takes_any_answer(place: Place, name: str, text: str) -> None:
    result = await CALLS[name][0](place(session_of(service_that_says(text))))
    assert isinstance(result, AppOperationResult)
    assert (result.success, result.error_message) == (True, "")


@each_place
@pytest.mark.parametrize("name", CALLS)
async def test_a_tool_that_fails_gives_a_failed_result_with_its_reason(
    place: Place, name: str
) -> None:
    method, tool, _ = CALLS[name]
    result = await method(place(session_of(service_that_says("no such app", is_error=True))))
    assert (result.success, result.error_message) == (False, "no such app")
    assert isinstance(result.error, ApplicationError)
    assert result.error.tool == tool
    with pytest.raises(ApplicationError):
        result.unwrap()


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("text", ["", "started", "null", "{}", "[5]", '["x"]', "[{}]"])
async def test_a_list_that_makes_no_sense_is_a_failure(name: str, text: str) -> None:
    result = await CALLS[name][0](AsyncComputer(session_of(service_that_says(text))))
    assert not result.success
    assert isinstance(result.error, ProtocolError)


REFUSED: list[Callable[[Any], Awaitable[ApiResponse]]] = [
    lambda a: a.start_app(""),
    lambda a: a.start_app(None),
    lambda a: a.stop_app_by_pname(" "),
    lambda a: a.stop_app_by_cmd(""),
    lambda a: a.stop_app_by_pid(0),
    lambda a: a.stop_app_by_pid(-1),
    lambda a: a.stop_app_by_pid("1"),
    lambda a: a.get_installed_apps(start_menu="yes"),
    lambda a: a.start_app("x", work_directory=5),
    lambda a: a.start_app("x", activity=5),
]


@each_place
@pytest.mark.parametrize("method", REFUSED)
async def test_a_bad_argument_is_a_failed_result_and_nothing_is_sent(
    place: Place, method: Method
) -> None:
    service = service_that_says("[]")
    result = await method(place(session_of(service)))
    assert isinstance(result.error, InvalidInputError)
    assert service.sent == []


async def test_the_programs_of_the_first_generation_get_no_warning() -> None:
    # Warnings are errors here; clients of that generation warn about their own calls.
    service = service_that_says("[]")
    assert (await AsyncApplicationManager(session_of(service)).list_visible_apps()).success


async def test_the_manager_reaches_what_only_javascript_programs_had() -> None:
    service = service_that_says(json.dumps([PROCESS]))
    result = await AsyncApplicationManager(session_of(service)).get_running_processes()
    assert sent_by(service) == ("list_running_processes", {})
    assert result.data == [Process.from_dict(PROCESS)]


def test_entries_are_made_from_those_of_a_list_and_show_their_values() -> None:
    assert repr(InstalledApp.from_dict({"name": "Ed", "start_cmd": "ed"})) == (
        "InstalledApp(name='Ed', start_cmd='ed', stop_cmd=None, work_directory=None)"
    )
    assert repr(Process.from_dict(PROCESS)) == (
        "Process(pname='chrome', pid=4443, cmdline='/opt/google/chrome/chrome')"
    )
    with pytest.raises(ValueError, match="pid is missing"):
        Process.from_dict({"pname": "x"})


@pytest.mark.parametrize(
    ("call", "value"),
    [
        (tools.GetInstalledApps(), [InstalledApp("Ed", "ed", "kill", "/")]),
        (tools.StartApp("ed"), [Process("ed", 1, "ed")]),
        (tools.ListVisibleApps(), []),
        (tools.StopAppByPid(1), None),
    ],
)
def test_an_answer_is_read_as_it_was_written(call: Tool[Any], value: Any) -> None:
    assert call.parse(call.write(value)) == value
    assert type(call).from_arguments(call.arguments()) == call


def test_an_engine_understands_both_names_for_the_system_apps() -> None:
    for name in ("ignore_system_app", "ignore_system_apps"):
        call = tools.GetInstalledApps.from_arguments({name: False})
        assert call.ignore_system_apps is False
